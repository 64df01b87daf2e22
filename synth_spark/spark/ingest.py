"""Ingest: a source becomes typed, checked and pseudonymous tables, split by subject.

Three tables go into the run folder: `records` (one row a record), `histories` (one row a subject,
see `histories.py`) and, if there are bad rows, `quarantine` (the row as JSON, the reason, the
column). A row goes exactly one way: rows in = kept + quarantined + exact repeats dropped + cut. No
raw id leaves the pass in which it is read: keys, counterparts and all other identifiers are
replaced by keyed hashes there, in quarantine too.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.core.paths import address, exact
from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.records.base import Rule
from synth_spark.spark import histories, tables
from synth_spark.spark.arrow import map_in_arrow, quoted
from synth_spark.spark.checks import all_columns, check, stage_ddl
from synth_spark.spark.parts import split
from synth_spark.spark.source import Source
from synth_spark.spark.typed import typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LEAST_KEY_BYTES = 16


class IdKeyError(SynthError):
    """The key of the id hashes is too short."""

    code = "SYN-230"


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
        checked = typed(source, schema, named, seed=chosen.seed, zone=chosen.zone)
        work = partial(check, schema, tuple(rules), key, named)
        with tables.clear_errors(folder):
            map_in_arrow(checked, work, stage_ddl(schema)).write.mode("overwrite").parquet(
                address(stage)
            )
        return _settle(source.frame.sparkSession, schema, folder, chosen)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


# ---- on Spark: split and store ------------------------------------------------------------------


def _settle(
    spark: SparkSession, schema: Schema, folder: Path, settings: IngestSettings
) -> IngestReport:
    """Split the checked rows and write the tables; the stage is read, never the source again."""
    from pyspark.sql import functions as sf

    stage = spark.read.parquet(exact(folder / "stage"))
    rows_in, reasons = _counted(stage)
    bad = sum(reasons.values())
    _refuse_bad(rows_in, bad, reasons, settings.quarantine_limit_share)
    shutil.rmtree(folder / "quarantine", ignore_errors=True)
    if bad:
        _set_aside(stage, folder / "quarantine")
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
    kept, facts = split(
        kept,
        schema,
        before,
        holdout_share=settings.holdout_share,
        most=settings.max_events_per_subject,
    )
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


def _counted(stage: DataFrame) -> tuple[int, dict[str, int]]:
    """All rows, and for each reason the bad ones."""
    found = {r["_reason"]: int(r["count"]) for r in stage.groupBy("_reason").count().collect()}
    return sum(found.values()), {r: found[r] for r in sorted(r for r in found if r)}


def _set_aside(stage: DataFrame, quarantine: Path) -> None:
    """Write the bad rows with their reasons."""
    from pyspark.sql import functions as sf

    faults = stage.where("_reason IS NOT NULL").select(
        sf.col("_raw").alias("row"),
        sf.col("_reason").alias("reason"),
        sf.col("_column").alias("column"),
    )
    tables.write(faults, quarantine)


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
