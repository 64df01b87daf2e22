"""Tables of conditions on Spark: read, numbered, checked, kept in the run folder.

Rows have the numbers 0, 1, ... in which they stand: a file's rows from the top, the files of a
folder in the order of their names. That number is the synthetic subject's, whatever the cluster:
Spark cuts files as it likes, but it tells the file and the place of each cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.core.conditions import WEEKDAYS
from synth_spark.core.given import CLOCK, Asked, BadGivenError, asked_columns
from synth_spark.core.schema import Schema
from synth_spark.spark import tables
from synth_spark.spark.arrow import quoted
from synth_spark.spark.csv_text import CORRUPT
from synth_spark.spark.failures import clear_errors
from synth_spark.spark.source import Source, open_source
from synth_spark.spark.typed import as_kind

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

SHOWN = 3  # faults that an error names
_OWN_TYPES = ("date", "timestamp", "timestamp_ntz")  # that tell the time without a format


@dataclass(frozen=True, slots=True)
class Given:
    """A table of conditions: its rows typed and numbered in `_number`."""

    asked: Asked
    frame: DataFrame  # `_number` and the columns that count, in our own types
    rows: int


def open_given(
    spark: SparkSession, path: str, schema: Schema, names: Mapping[str, str], *, zone: str
) -> Given:
    """Open a table of conditions and check every cell against the kind of its column.

    Args:
        spark: The session.
        path: Parquet, CSV, JSON lines or Delta.
        schema: Of the records.
        names: Column of the records to its name in their source.
        zone: Of the records' clock.

    Raises:
        NoSourceError: Nothing is there (SYN-220).
        EmptyTableError: It has no rows (SYN-201).
        BadConditionError: A column that the records do not have (SYN-710).
        BadGivenError: A cell that does not fit its column, or nothing to hold (SYN-713).
        SynthError: It cannot be read; see `source.py`.
    """
    source = open_source(spark, path)
    asked = asked_columns(source.columns, schema, names)
    with clear_errors(path):
        frame, rows = _numbered(source, asked, zone)
        _refuse_faults(frame, asked, path)
    columns = [quoted(n) for n in asked.fields]
    return Given(asked, frame.select("_number", *columns), rows)


def keep(given: Given, path: Path, plan: str) -> None:
    """Write the table into the run folder, under the fingerprint of the plan that names it."""
    asked = {
        "schema": given.asked.schema.to_json(),
        "names": given.asked.names,
        "left_out": given.asked.left_out,
        "rows": given.rows,
    }
    tables.create(
        given.frame, path, {"plan": plan, "asked": json.dumps(asked)}, {"app": plan, "wave": 0}
    )


def kept(spark: SparkSession, path: Path, plan: str) -> Given | None:
    """The table that `keep` wrote under this plan, if it is there and whole."""
    if not tables.exists(path):
        return None
    found = tables.properties(spark, path)
    if found.get("plan") != plan or not tables.commits(path, plan):
        return None
    said: dict[str, Any] = json.loads(found["asked"])
    asked = Asked(Schema.from_json(said["schema"]), said["names"], tuple(said["left_out"]))
    return Given(asked, tables.read(spark, path), int(said["rows"]))


# ---- in order -----------------------------------------------------------------------------------


def _numbered(source: Source, asked: Asked, zone: str) -> tuple[DataFrame, int]:
    """Typed cells, `_fault` where one is wrong, and the row's number; all rows."""
    from pyspark.sql import functions as sf

    placed = [
        sf.monotonically_increasing_id().alias("_at"),
        sf.col("_metadata.file_path").alias("_file"),
        sf.col("_metadata.file_block_start").alias("_cut"),
    ]
    cells, faults = _cells(source, asked, zone)
    frame = source.frame.select(*placed, *cells, sf.coalesce(*faults).alias("_fault"))
    cuts = (
        source.frame.select(*placed)
        .groupBy("_file", "_cut")
        .agg(sf.min("_at").alias("_first"), sf.count("*").alias("n"))
        .collect()
    )
    rows, starts = 0, []
    for cut in sorted(cuts, key=lambda c: (c["_file"], c["_cut"])):
        starts.append((cut["_file"], cut["_cut"], rows - int(cut["_first"])))
        rows += int(cut["n"])
    moved = source.frame.sparkSession.createDataFrame(
        starts, "_file string, _cut bigint, _moved bigint"
    )
    number = (sf.col("_at") + sf.col("_moved")).alias("_number")
    joined = frame.join(sf.broadcast(moved), ["_file", "_cut"])
    return joined.select(number, "_fault", *[quoted(n) for n in asked.fields]), rows


def _cells(source: Source, asked: Asked, zone: str) -> tuple[list[SparkColumn], list[SparkColumn]]:
    """The columns in our types, and for each what is wrong with its cell (null: nothing)."""
    from pyspark.sql import functions as sf

    cells, typed, faults = [], {}, [sf.lit(None).cast("string")]
    for column in asked.schema.columns:
        name = asked.names[column.name]
        raw, kind = sf.col(quoted(name)), source.types[name]
        read = replace(column, time_format="") if kind in _OWN_TYPES else column
        value, fits = as_kind(raw, read, kind, zone)
        if column.kind == "category" and kind == "string":
            value = sf.when(raw != "", raw)
        typed[column.name] = value
        cells.append(value.alias(column.name))
        said = sf.concat(sf.lit(f"{name}="), raw.cast("string"))
        if fits is not None:
            faults.append(sf.when(~fits, said))
        if column.source_type == CLOCK:
            hour = (value == sf.floor(value)) & value.between(0, 23)
            day = sf.lower(sf.substring(value, 1, 3)).isin(*WEEKDAYS)
            good = hour if column.kind == "number" else day
            faults.append(sf.when(value.isNotNull() & ~good, said))
    for column in asked.schema.of_kind("place"):
        if column.partner:
            halves = typed[column.name].isNull() != typed[column.partner].isNull()
            faults.append(sf.when(halves, sf.lit(f"half of the place {column.name}")))
    if CORRUPT in source.frame.columns:
        # Spark reads no raw file for that column alone, so another is named in what is told
        beside = sf.substring(sf.coalesce(cells[0].cast("string"), sf.lit("")), 1, 0)
        faults.append(sf.concat(sf.lit("a line that does not fit: "), sf.col(CORRUPT), beside))
    return cells, faults


def _refuse_faults(frame: DataFrame, asked: Asked, path: str) -> None:
    bad = frame.where("_fault IS NOT NULL")
    first = bad.orderBy("_number").select("_number", "_fault").limit(SHOWN).collect()
    if not first:
        return
    said = "; ".join(f"row {r['_number']}: {r['_fault']}" for r in first)
    kinds = ", ".join(f"{c.name} {c.kind}" for c in asked.schema.columns)
    raise BadGivenError(
        f"{path} has {bad.count():,} rows that do not fit the records (from 0): {said}.",
        hint=f"the columns' kinds ({kinds}); an empty cell is drawn",
        path=path,
        rows=[int(r["_number"]) for r in first],
    )
