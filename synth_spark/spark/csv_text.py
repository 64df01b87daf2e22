"""CSV, read as text and given types in one pass of our own.

Spark's inference turns `007` into 7 and re-writes times. Here a column becomes a number only if
every value would be written back the same, but for commas between thousands; times held as text
stay text.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_spark.core.paths import exact, local_path
from synth_spark.spark.arrow import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORRUPT = "_synth_spark_bad_line"  # the text of a line that does not fit the table
MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
WHOLE_FILE_BYTES = 64 * 2**20  # a CSV file below this may have line breaks inside quotes
# 1,234,567.89; fifteen digits before the point at most, so that none is rounded
_GROUPED = r"^-?(0|[1-9][0-9]{0,2}(,[0-9]{3}){0,4})(\.[0-9]+)?$"
# 1,234 may be a decimal comma and 123,456,789 three codes; neither 1,234,567 nor 1,234.5 can
_TELLING = r"^-?[0-9]{1,2},[0-9]{3},|,[0-9]{3}\."


class CsvTable(NamedTuple):
    """A CSV file with its types."""

    frame: DataFrame  # the columns and CORRUPT
    types: dict[str, str]  # column -> Spark type
    delimiter: str
    header: dict[str, str]  # column -> name in the first line


def read(spark: SparkSession, path: str, delimiter: str, header: bool) -> CsvTable:
    """Read a file or a folder of files; lines that do not fit stand whole in CORRUPT."""
    from pyspark.sql import types as st

    local = local_path(path)
    delimiter = delimiter_of(local, delimiter)
    small = local is not None and local.is_file() and local.stat().st_size < WHOLE_FILE_BYTES
    reader = spark.read.options(
        sep=delimiter, header=header, escape='"', multiLine=small, columnNameOfCorruptRecord=CORRUPT
    )
    names = reader.csv(exact(path)).columns
    schema = st.StructType([st.StructField(n, st.StringType()) for n in [*names, CORRUPT]])
    texts = reader.schema(schema).csv(exact(path))
    kinds, grouped = _csv_types(texts, names)
    typed = texts.select(*[_as_type(n, kinds[n], n in grouped) for n in names], CORRUPT)
    written = _header(local, delimiter) if header and local is not None else []
    named = dict(zip(names, written, strict=True)) if len(written) == len(names) else {}
    return CsvTable(typed, kinds, delimiter, named)


def _header(file: Path, delimiter: str) -> list[str]:
    """The names as the first line has them: Spark makes up those that are empty or stand twice."""
    if not file.is_file() or file.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return []
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream, delimiter=delimiter), []) if len(delimiter) == 1 else []


def delimiter_of(file: Path | None, said: str) -> str:
    """The delimiter, where a comma was taken for granted and the first line has none of them."""
    if said != "," or file is None or not file.is_file() or file.suffix in (".gz", ".bz2", ".zst"):
        return said
    with file.open("rb") as stream:
        names = re.sub(rb'"[^"]*"', b"", stream.readline(1 << 20))
    found = [sign for sign in (";", "\t", "|") if sign.encode() in names]
    return found[0] if found and b"," not in names else said


def _csv_types(texts: DataFrame, names: list[str]) -> tuple[dict[str, str], set[str]]:
    """For each column the narrowest type in which every value keeps its meaning, in one pass.

    Returns:
        Column to type, and the columns of numbers with commas between thousands.
    """
    from pyspark.sql import functions as sf

    tests = {
        "bigint": r"^(0|-?[1-9][0-9]{0,17})$",
        "double": r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$",
        "boolean": r"^(true|false|True|False|TRUE|FALSE)$",
    }
    # 007 is a name, not a number; whole numbers of 19 digits would be rounded
    kept_as_text = r"^[-+]?(0[0-9]|[0-9]{19,}$)"
    wanted = []
    for i, name in enumerate(names):
        value = sf.col(quoted(name))
        there = ~value.isin(*MISSING_WORDS) & value.isNotNull()
        for kind, pattern in tests.items():
            fits = (
                value.rlike(pattern) & ~value.rlike(kept_as_text)
                if kind == "double"
                else value.rlike(pattern)
            )
            wanted.append(sf.bool_and(sf.when(there, fits)).alias(f"{i}{kind}"))
        wanted += [
            sf.bool_and(sf.when(there, value.rlike(_GROUPED))).alias(f"{i}grouped"),
            sf.bool_or(value.contains(",") & value.rlike(_TELLING)).alias(f"{i}telling"),
            sf.bool_or(there & value.contains(".")).alias(f"{i}point"),
        ]
    found: dict[str, Any] = (
        texts.where(sf.col(CORRUPT).isNull()).agg(*wanted).first().asDict() if wanted else {}
    )
    kinds = {n: next((k for k in tests if found[f"{i}{k}"]), "string") for i, n in enumerate(names)}
    grouped = {n for i, n in enumerate(names) if found[f"{i}grouped"] and found[f"{i}telling"]}
    places = {n: i for i, n in enumerate(names)}
    kinds |= {n: "double" if found[f"{places[n]}point"] else "bigint" for n in grouped}
    return kinds, grouped


def _as_type(name: str, kind: str, grouped: bool) -> Any:
    from pyspark.sql import functions as sf

    value = sf.col(quoted(name))
    if kind == "string":
        return value
    missing = value.isin(*MISSING_WORDS) | value.isNull()
    plain = sf.replace(value, sf.lit(","), sf.lit("")) if grouped else value
    return sf.when(~missing, plain.try_cast(kind)).alias(name)
