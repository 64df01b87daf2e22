"""Ingest: a source becomes typed, checked and pseudonymous tables, split by subject.

Three tables go into the run folder: `records` (one row a record), `histories` (one row a subject,
see `histories.py`) and, if there are bad rows, `quarantine` (the row as JSON, the reason, the
column). A row goes exactly one way: rows in = kept + quarantined + exact repeats dropped + cut. No
raw id leaves the pass in which it is read: keys, counterparts and all other identifiers are
replaced by keyed hashes there, in quarantine too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.core.paths import address, exact
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.errors import SynthError
from synth_spark.records.base import Rule
from synth_spark.spark import histories, tables, times
from synth_spark.spark.arrow import (
    map_in_arrow,
    quoted,
    to_values,
)
from synth_spark.spark.checks import all_columns, check, stage_ddl
from synth_spark.spark.source import CORRUPT, MISSING_WORDS, Source

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

LEAST_KEY_BYTES = 16
FORMAT_ROWS = 100_000  # rows whose identifiers show the format
_U53 = 2**53
_WHOLE = ("tinyint", "smallint", "int", "bigint", "float", "double")


class IdKeyError(SynthError):
    """The key of the id hashes is too short."""

    code = "SYN-230"


class OneSubjectError(SynthError):
    """All rows belong to one subject, so nothing can be learned about subjects."""

    code = "SYN-231"


class NoGoodRowsError(SynthError):
    """Too many rows were bad, or all of them."""

    code = "SYN-232"


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """How records are checked and split."""

    seed: int = 1
    zone: str = "UTC"  # of the local clock that instants are turned into
    repeats: str = "keep"  # keep or drop exact repeats
    holdout_share: float = 0.1
    max_events_per_subject: int = 100_000
    quarantine_limit_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of the rows. Counts add up: in = kept + quarantined + repeated + cut."""

    rows_in: int
    rows_kept: int
    rows_quarantined: int
    rows_repeated: int  # exact repeats that were dropped
    rows_cut: int  # of subjects with more events than allowed
    rows_train: int
    rows_holdout: int
    subjects_train: int
    subjects_holdout: int
    subjects_cut: int
    longest: int  # events of the longest history that was kept
    reasons: dict[str, int] = field(default_factory=dict)  # sentence -> rows

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


Pass = Mapping[str, Any]


def ingest(
    source: Source,
    schema: Schema,
    folder: Path,
    *,
    key: bytes,
    names: Mapping[str, str] | None = None,
    rules: Sequence[Rule] = (),
    settings: IngestSettings | None = None,
) -> IngestReport:
    """Read, check, make pseudonymous, split and store.

    Args:
        source: From `source.open_source`.
        schema: What the columns are.
        folder: The run folder; its tables `records`, `histories`, `quarantine` are replaced.
        key: Of the id hashes, at least 16 bytes; used on the workers, written nowhere.
        names: Canonical column to the source's; the same name if left out.
        rules: What is true of a good row; see `records/base.py`.
        settings: Of the split and the limits.

    Raises:
        IdKeyError: The key is too short (SYN-230).
        NoColumnError: A column is not in the source (SYN-223).
        NoGoodRowsError: More rows were bad than allowed (SYN-232).
        OneSubjectError: There is one subject only (SYN-231).
        NoWriteError, DiskFullError: The folder (SYN-211, SYN-212).
    """
    chosen = settings or IngestSettings()
    if len(key) < LEAST_KEY_BYTES:
        raise IdKeyError(
            f"The id key has {len(key)} bytes.", hint=f"at least {LEAST_KEY_BYTES} random ones"
        )
    columns = all_columns(schema)
    named = {c.name: (names or {}).get(c.name, c.name) for c in columns}
    source.need(list(named.values()))
    tables.check_writable(folder)
    stage = folder / "stage"
    try:
        checked = _typed(source, schema, named, chosen)
        work = partial(check, schema, tuple(rules), key, named)
        with tables.clear_errors(folder):
            map_in_arrow(checked, work, stage_ddl(schema)).write.mode("overwrite").parquet(
                address(stage)
            )
        return _settle(source.frame.sparkSession, schema, folder, chosen)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


# ---- on Spark: types ----------------------------------------------------------------------------


def _typed(
    source: Source, schema: Schema, named: Mapping[str, str], settings: IngestSettings
) -> DataFrame:
    """Typed columns, the raw text where a value does not fit, hashes, and the row's place."""
    from pyspark.sql import functions as sf

    columns, typed, raw = all_columns(schema), [], []
    for i, column in enumerate(columns):
        value, fits = _as_kind(
            sf.col(quoted(named[column.name])),
            column,
            source.types[named[column.name]],
            settings.zone,
        )
        typed.append(value.alias(column.name))
        if fits is not None:
            raw.append(
                sf.when(~fits, sf.col(quoted(named[column.name])).cast("string")).alias(f"_raw{i}")
            )
    texts = source.format in ("csv", "jsonl") and CORRUPT in source.frame.columns
    line = [sf.col(CORRUPT).alias("_line")] if texts else []
    place = sf.monotonically_increasing_id().alias("_row")
    frame = source.frame.select(place, *typed, *raw, *line)
    content = [sf.col(quoted(c.name)) for c in schema.columns if c.kind != "identifier"]
    whole = [sf.col(quoted(c.name)) for c in columns]
    drawn = (
        sf.xxhash64(sf.lit(settings.seed), quoted(schema.key.name))
        if schema.key
        else sf.lit(0).cast("bigint")
    )
    return frame.select(
        "*",
        histories.content_hash(settings.seed, content).alias("_hash"),
        histories.content_hash(settings.seed, whole).alias("_same"),
        drawn.alias("_draw"),
    )


def _as_kind(
    value: SparkColumn, column: Column, source_type: str, zone: str
) -> tuple[SparkColumn, SparkColumn | None]:
    """A source column in our type, and whether each value fits it (None: every value does)."""
    from pyspark.sql import functions as sf

    if column.kind in ("number", "place"):
        text = source_type == "string"
        missing = value.isNull() | (sf.trim(value).isin(*MISSING_WORDS) if text else sf.lit(False))
        number = (
            value.cast("int").cast("double")
            if source_type == "boolean"
            else value.try_cast("double")
        )
        number = sf.when(~missing & ~sf.isnan(number), number)
        return number, (missing | value.try_cast("double").isNotNull() if text else None)
    if column.kind == "time":
        missing = value.isNull() | (
            sf.trim(value).isin(*MISSING_WORDS) if source_type == "string" else sf.lit(False)
        )
        clock = times.to_clock(value, source_type, column.time_format, zone)
        return sf.when(~missing, clock), missing | clock.isNotNull()
    if source_type in ("float", "double") or source_type.startswith("decimal"):
        whole = (value == sf.floor(value)) & (sf.abs(value) < sf.lit(1e15))
        text = sf.when(whole, value.cast("bigint").cast("string")).otherwise(value.cast("string"))
        return sf.when(~sf.isnan(value.cast("double")), text), None
    return value.cast("string"), None


# ---- on Spark: split and store ------------------------------------------------------------------


def _settle(
    spark: SparkSession, schema: Schema, folder: Path, settings: IngestSettings
) -> IngestReport:
    """Split the checked rows and write the tables; the stage is read, never the source again."""
    from pyspark.sql import functions as sf

    stage = spark.read.parquet(exact(folder / "stage"))
    found = {
        (r["_reason"], r["_column"]): r["count"]
        for r in stage.groupBy("_reason", "_column").count().collect()
    }
    rows_in = sum(found.values())
    reasons = {
        r: sum(n for (s, _), n in found.items() if s == r)
        for r in sorted({r for r, _ in found if r})
    }
    bad = sum(reasons.values())
    _refuse_bad(rows_in, bad, reasons, settings.quarantine_limit_share)
    shutil.rmtree(folder / "quarantine", ignore_errors=True)
    if bad:
        faults = stage.where("_reason IS NOT NULL").select(
            sf.col("_raw").alias("row"),
            sf.col("_reason").alias("reason"),
            sf.col("_column").alias("column"),
        )
        tables.write(faults, folder / "quarantine")
    kept = stage.where("_reason IS NULL")
    before = rows_in - bad
    if settings.repeats == "drop":
        kept = _numbered(kept, "_same").where("_times = 1").drop("_times")
        before = kept.count()
    if schema.shape == "flat":  # the order must not hang on ids, and equal rows must differ in it
        order = sf.xxhash64(sf.lit(settings.seed), "_hash", "_times")
        kept = _numbered(kept, "_hash").withColumn("_order", order)
    if not schema.key:
        kept = kept.withColumn("_draw", sf.col("_order"))
    kept, facts = _split(kept, schema, settings, before)
    _store(kept, schema, folder, settings, before)
    return IngestReport(
        rows_in=rows_in,
        rows_quarantined=bad,
        rows_repeated=rows_in - bad - before,
        reasons=reasons,
        **_part_counts(spark, folder),
        rows_cut=facts["rows_cut"],
        subjects_cut=facts["subjects_cut"],
    )


def _refuse_bad(rows_in: int, bad: int, reasons: Mapping[str, int], limit: float) -> None:
    if rows_in and bad < rows_in and bad <= limit * rows_in:
        return
    worst = sorted(reasons.items(), key=lambda item: -item[1])[:3]
    named = "; ".join(f"{reason} ({n:,} rows)" for reason, n in worst)
    raise NoGoodRowsError(
        f"{bad:,} of {rows_in:,} rows are bad: {named}.",
        hint="check the kinds and time formats in the plan, or raise ingest.quarantine_limit_share",
        rows_in=rows_in,
        rows_bad=bad,
        reasons=dict(reasons),
    )


def _numbered(frame: DataFrame, by: str) -> DataFrame:
    """Rows with equal `by` numbered from 1 in `_times`."""
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    return frame.withColumn("_times", sf.row_number().over(Window.partitionBy(by).orderBy("_row")))


def _split(
    kept: DataFrame, schema: Schema, settings: IngestSettings, rows: int
) -> tuple[DataFrame, dict[str, int]]:
    """`_split` for each row by its subject's draw, and at least one subject on either side."""
    from pyspark.sql import functions as sf

    drawn = sf.shiftrightunsigned("_draw", 11)
    limit = int(settings.holdout_share * _U53)
    most = settings.max_events_per_subject
    if schema.shape == "events" and schema.key:
        people = kept.groupBy(sf.col(quoted(schema.key.name)).alias("_of")).agg(
            sf.count("*").alias("n"), sf.first(drawn).alias("u")
        )
    else:
        people = kept.select(sf.lit(1).alias("n"), drawn.alias("u"))
    facts = people.agg(
        sf.count("*").alias("subjects"),
        sf.count_if(sf.col("u") < limit).alias("holdout"),
        sf.min("u").alias("low"),
        sf.max("u").alias("high"),
        sf.count_if(sf.col("n") > most).alias("subjects_cut"),
        sf.coalesce(sf.sum(sf.greatest(sf.col("n") - most, sf.lit(0))), sf.lit(0)).alias(
            "rows_cut"
        ),
    ).first()
    if facts["subjects"] < 2:
        raise OneSubjectError(
            f"All {rows:,} rows belong to {facts['subjects']} subject.",
            hint="another key column, or none if every row stands for itself",
            subjects=facts["subjects"],
        )
    if settings.holdout_share > 0 and facts["holdout"] == 0:
        limit = facts["low"] + 1
    if facts["holdout"] == facts["subjects"]:
        limit = facts["high"]
    if facts["subjects_cut"]:
        kept = _cut(kept, schema, most)
    side = sf.when(drawn < sf.lit(limit), "holdout").otherwise("train")
    return kept.withColumn("_split", side), facts.asDict()


def _cut(kept: DataFrame, schema: Schema, most: int) -> DataFrame:
    """The first `most` events of each subject in time."""
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    key = quoted(schema.key.name) if schema.key else "_draw"
    order = Window.partitionBy(key).orderBy(quoted(schema.time), "_row")
    return (
        kept.withColumn("_place", sf.row_number().over(order))
        .where(sf.col("_place") <= most)
        .drop("_place")
    )


def _store(
    kept: DataFrame, schema: Schema, folder: Path, settings: IngestSettings, rows: int
) -> None:
    """Write `records`, and `histories` from it."""
    from pyspark.sql import functions as sf

    spark = kept.sparkSession
    columns = [sf.col(quoted(c.name)) for c in all_columns(schema)]
    order = ["_order"] if schema.shape == "flat" else []
    tables.write(kept.select(*columns, "_split", "_row", "_hash", *order), folder / "records")
    records = tables.read(spark, folder / "records")
    if schema.shape == "flat":
        whole = histories.flat(records, schema)
    else:
        assert schema.key is not None
        whole = histories.gathered(
            records,
            schema,
            seed=settings.seed,
            rows=rows,
            subject=schema.key.name,
            most=settings.max_events_per_subject,
        )
    tables.write(whole, folder / "histories")


def _part_counts(spark: SparkSession, folder: Path) -> dict[str, Any]:
    """Rows and subjects of either part, from the table that was written."""
    from pyspark.sql import functions as sf

    parts = tables.read(spark, folder / "histories").groupBy("_split")
    counts = parts.agg(
        sf.count("*").alias("subjects"),
        sf.sum("_length").alias("rows"),
        sf.max("_length").alias("longest"),
    )
    found = {r["_split"]: r.asDict() for r in counts.collect()}
    none = {"subjects": 0, "rows": 0, "longest": 0}
    train, holdout = found.get("train", none), found.get("holdout", none)
    return {
        "rows_kept": train["rows"] + holdout["rows"],
        "rows_train": train["rows"],
        "rows_holdout": holdout["rows"],
        "subjects_train": train["subjects"],
        "subjects_holdout": holdout["subjects"],
        "longest": max(train["longest"], holdout["longest"]),
    }


# ---- identifier formats -------------------------------------------------------------------------


def identifier_states(
    source: Source,
    schema: Schema,
    names: Mapping[str, str],
    summarise: Callable[[Any, Any], Any],
    merge: Callable[[Any, Any], Any],
) -> dict[str, Any]:
    """The codec state of every identifier column ("#key" for the key), from the first rows.

    Only what the codec keeps of a format leaves the workers, never an id.
    """
    from pyspark.sql import functions as sf

    columns = {c.name: c for c in schema.of_kind("identifier")}
    if schema.key:
        columns["#key"] = schema.key
    if not columns:
        return {}
    picked = []
    for role, column in columns.items():
        name = names.get(column.name, column.name)
        number = source.types[name] in _WHOLE  # the codec reads numbers as whole ones
        picked.append(sf.col(quoted(name)).cast("double" if number else "string").alias(role))
    frame = source.frame.select(*picked).limit(FORMAT_ROWS)
    rows = (
        map_in_arrow(frame, partial(_format_states, summarise), "state binary")
        .toArrow()
        .column("state")
        .to_pylist()
    )
    states = [loads(row) for row in rows]
    return {role: reduce(merge, [s[role] for s in states]) for role in columns}


def _format_states(
    summarise: Callable[[Any, Any], Any], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        owners = np.arange(batch.num_rows, dtype=np.int64)
        state = {n: summarise(to_values(batch.column(n)), owners) for n in batch.schema.names}
        yield pa.RecordBatch.from_arrays([pa.array([dumps(state)], pa.binary())], names=["state"])
