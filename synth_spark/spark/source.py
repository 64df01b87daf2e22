"""Sources: CSV, JSON lines, Parquet and Delta, opened without changing a value.

Times held as text stay text; their format is the plan's (`Column.time_format`). How CSV gets its
types: `csv_text.py`.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from synth_spark.core.paths import exact, local_path
from synth_spark.errors import EmptyTableError, SynthError
from synth_spark.records.detect import NoColumnsError
from synth_spark.spark import csv_text, tables
from synth_spark.spark.arrow import quoted
from synth_spark.spark.csv_text import CORRUPT
from synth_spark.spark.failures import clear_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
EMPTY = "check the path; of CSV, whether there are lines below the header"
_NESTED = ("array", "map", "struct", "binary", "variant", "interval", "geometry", "geography")


class NoSourceError(SynthError):
    """Nothing is at the source's path."""

    code = "SYN-220"


class SourceFormatError(SynthError):
    """The source cannot be read in its format."""

    code = "SYN-221"


class NestedColumnError(SynthError):
    """Columns hold nested or binary values, or others that cannot be read and have no codec."""

    code = "SYN-222"


class NoColumnError(SynthError):
    """A column that the plan names is not in the source."""

    code = "SYN-223"


class SameNameError(SynthError):
    """Two columns have the same name but for case."""

    code = "SYN-224"


@dataclass(frozen=True, slots=True)
class Source:
    """A table as it lies somewhere."""

    frame: DataFrame
    path: str
    format: str  # csv, jsonl, parquet, delta
    types: dict[str, str]  # column -> Spark type, in the source's order
    arrow: pa.Schema | None = field(
        default=None, compare=False
    )  # of a Parquet file on this machine
    delimiter: str = ","  # of a CSV file
    header: dict[str, str] = field(default_factory=dict)  # CSV: column -> name in the first line

    @property
    def columns(self) -> list[str]:
        """Names in the source's order."""
        return list(self.types)

    def head(self, rows: int) -> pa.Table:
        """The first rows, as Arrow."""
        return self.frame.select(*[quoted(c) for c in self.columns]).limit(rows).toArrow()

    def need(self, names: list[str]) -> None:
        """Refuse if a column is not there.

        Raises:
            NoColumnError: It names the missing columns and those that there are (SYN-223).
        """
        missing = [n for n in names if n not in self.types]
        if missing:
            raise NoColumnError(
                f"{self.path} has no column {', '.join(map(repr, missing))}.",
                hint=f"one of {', '.join(self.columns)}",
                missing=missing,
                columns=self.columns,
            )


def open_source(
    spark: SparkSession,
    path: str,
    *,
    format: str = "auto",
    delimiter: str = ",",
    header: bool = True,
    drop: tuple[str, ...] = (),
) -> Source:
    """Open a table, whatever it is written in.

    Args:
        spark: The session.
        path: File, folder or table folder; with a scheme (`s3a://`) it is not looked at before.
        format: csv, jsonl, parquet, delta, or auto: by name, else by contents.
        delimiter: CSV only.
        header: CSV only: whether the first line holds the names.
        drop: Columns to leave out.

    Raises:
        NoSourceError: Nothing is there (SYN-220).
        SourceFormatError: It cannot be read (SYN-221).
        NestedColumnError: A column is nested or binary (SYN-222).
        EmptyTableError: It has no rows (SYN-201).
        NewerProtocolError: A Delta table needs a newer reader (SYN-213).
    """
    must_be_readable(path)
    kind = guess_format(path) if format == "auto" else format
    try:
        with clear_errors(path):
            source = _open(
                spark, path, kind, delimiter if not path.endswith(".tsv") else "\t", header
            )
            source = _without(source, drop)
            _refuse_nested(source)
            empty = source.frame.isEmpty()
    except SynthError:
        raise
    except Exception as error:
        raise _refusal(error, path, kind) from error
    if empty:
        raise EmptyTableError(f"{path} has no rows.", hint=EMPTY, path=path)
    return source


def must_be_readable(path: str) -> None:
    """Refuse a path on this machine that Spark would fail on without a clear word."""
    local = local_path(path)
    if local is not None and not local.exists():
        raise NoSourceError(f"There is nothing at {path}.", hint="check the path", path=path)
    if local is not None and ":" in str(local.absolute()):
        raise SourceFormatError(
            f"{path} has a colon in its path, which Spark's file reader does not take.",
            hint="a link to it, or a copy, under a name without one",
            path=path,
        )


def _refusal(error: Exception, path: str, kind: str) -> SynthError:
    """The numbered error for what Spark says of a file that it cannot read."""
    if "COLUMN_ALREADY_EXISTS" in str(error):
        return SameNameError(
            f"{path} has two columns of one name, or of names that differ in case only: "
            + ", ".join(re.findall(r"`(.+?)`", _first_line(error))),
            hint="rename one",
            path=path,
        )
    return SourceFormatError(
        f"{path} cannot be read as {kind}: {_first_line(error)}",
        hint="name the format (--source.format), or repair the file",
        path=path,
        format=kind,
    )


def guess_format(path: str) -> str:
    """The format of a file or folder by its name, else by its first bytes.

    Raises:
        SourceFormatError: Neither tells (SYN-221).
    """
    local = local_path(path)
    if local is None or local.is_file():
        named = _by_name(path)
        if named or local is None:
            return named or "delta"
        return _by_bytes(local)
    if (local / "_delta_log").is_dir():
        return "delta"
    files = sorted(f for f in local.rglob("*") if f.is_file() and f.name[0] not in "._")
    if not files:
        raise EmptyTableError(f"The folder {path} holds no files.", hint=EMPTY, path=path)
    return _by_name(files[0].name) or _by_bytes(files[0])


def _by_name(name: str) -> str:
    plain = name
    for zipped in (".gz", ".bz2", ".zst"):
        plain = plain.removesuffix(zipped)
    return _ENDINGS.get(Path(plain).suffix.lower(), "")


def _by_bytes(file: Path) -> str:
    with file.open("rb") as stream:
        start = stream.read(4096)
    if not start:
        raise EmptyTableError(f"{file} is empty.", hint=EMPTY, path=str(file))
    if start[:4] == b"PAR1":
        return "parquet"
    if start.lstrip()[:1] == b"{":
        return "jsonl"
    if b"\0" in start:
        raise SourceFormatError(
            f"{file} is neither text nor Parquet.", hint="CSV, JSON lines, Parquet or Delta"
        )
    return "csv"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def _open(spark: SparkSession, path: str, kind: str, delimiter: str, header: bool) -> Source:
    if kind == "csv":
        table = csv_text.read(spark, path, delimiter, header)
        return Source(
            table.frame, path, kind, table.types, delimiter=table.delimiter, header=table.header
        )
    if kind == "jsonl":
        frame = spark.read.option("columnNameOfCorruptRecord", CORRUPT).json(exact(path))
        types = {n: t for n, t in _types(frame).items() if n != CORRUPT}
        return Source(frame, path, kind, types)
    if kind == "delta":
        frame = tables.read(spark, path)
        return Source(frame, path, kind, _types(frame))
    if kind == "parquet":
        return _open_parquet(spark, path)
    raise SourceFormatError(f"{kind!r} is not a format.", hint="auto, csv, jsonl, parquet or delta")


def _types(frame: DataFrame) -> dict[str, str]:
    return {f.name: f.dataType.simpleString() for f in frame.schema.fields}


# ---- Parquet ------------------------------------------------------------------------------------


def _open_parquet(spark: SparkSession, path: str) -> Source:
    arrow = _footer(path)
    _refuse_unreadable(path, arrow)
    nanos = [f.name for f in arrow or [] if pa.types.is_timestamp(f.type) and f.type.unit == "ns"]
    if nanos:
        spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
    frame = spark.read.parquet(exact(path))
    if nanos and arrow is not None:
        frame = _nanos_as_times(frame, arrow, nanos)
    return Source(frame, path, "parquet", _types(frame), arrow)


def _footer(path: str) -> pa.Schema | None:
    """The Arrow schema of the first file, where this machine can see it."""
    local = local_path(path)
    if local is None:
        return None
    local = local.absolute()  # pyarrow takes a name with a colon for an address
    if local.is_file():
        return pq.read_schema(local)
    files = sorted(f for f in local.rglob("*.parquet") if not f.name.startswith((".", "_")))
    return pq.read_schema(files[0]) if files else None


def _refuse_unreadable(path: str, arrow: pa.Schema | None) -> None:
    """Types that Spark has no reader for, named before it fails on them without naming them.

    Raises:
        NoColumnsError: There is no column (SYN-204).
        NestedColumnError: Of those columns (SYN-222).
    """
    if arrow is None:
        return
    if not len(arrow):
        raise NoColumnsError(f"{path} has no columns.", path=path)
    odd = (pa.types.is_time, pa.types.is_float16, pa.types.is_decimal256)
    bad = {f.name: str(f.type) for f in arrow if any(test(f.type) for test in odd)}
    if bad:
        raise NestedColumnError(
            f"{path} has columns that Spark does not read: "
            f"{', '.join(f'{n} ({t})' for n, t in bad.items())}.",
            hint="write them as text or as plain numbers, or leave them out of the file",
            columns=list(bad),
        )


def _nanos_as_times(frame: DataFrame, arrow: pa.Schema, names: list[str]) -> DataFrame:
    """Times in nanoseconds, which Spark reads as integers, as its own times in microseconds."""
    from pyspark.sql import functions as sf

    changed = {}
    for name in names:
        # floor, not truncation, so that times before 1970 stay in order
        time = sf.timestamp_micros(sf.floor(sf.col(quoted(name)) / sf.lit(1000)).cast("bigint"))
        if frame.schema[name].dataType.simpleString() == "bigint":
            changed[name] = time if arrow.field(name).type.tz else time.cast("timestamp_ntz")
    columns = [changed.get(c, sf.col(quoted(c))).alias(c) for c in frame.columns]
    return frame.select(*columns)


# ---- what has no codec --------------------------------------------------------------------------


def _without(source: Source, drop: tuple[str, ...]) -> Source:
    source.need(list(drop))
    kept = {n: t for n, t in source.types.items() if n not in drop}
    frame = source.frame.drop(*drop) if drop else source.frame
    return replace(source, frame=frame, types=kept)


def _refuse_nested(source: Source) -> None:
    lower = [n.lower() for n in source.columns]
    twice = sorted({n for n in source.columns if lower.count(n.lower()) > 1})
    if twice:
        raise SameNameError(
            f"The columns {', '.join(twice)} differ in case only.", hint="rename one", columns=twice
        )
    if "" in source.types:
        raise SameNameError(f"{source.path} has a column without a name.", hint="name it")
    bad = {n: t for n, t in source.types.items() if t.startswith(_NESTED)}
    if bad:
        named = ", ".join(f"{n} ({t.split('<')[0]})" for n, t in bad.items())
        raise NestedColumnError(
            f"{source.path} has nested or binary columns: {named}.",
            hint=f"leave them out ({' '.join(f'--drop {shlex.quote(n)}' for n in bad)}; in a plan "
            f"records.drop: {json.dumps(list(bad))}) or flatten them first",
            columns=list(bad),
        )
