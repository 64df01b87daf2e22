"""Histories: one row a subject, its events as lists in the order of time.

Made once by one shuffle; everything after works on whole subjects without another. Beside the
columns of the schema a row holds

    _split   train or holdout
    _length  events of the subject (1 in a flat table)
    _order   hash of the subject's content and the seed: an order that neither ids nor partitions change

In a flat table the columns hold plain values, in a table of events lists of `_length` values. Events
with the same time keep the order they had in the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth_spark.core.schema import Schema
from synth_spark.spark.arrow import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

ROWS_PER_PARTITION = 1_000_000


def content_hash(seed: int, columns: list[SparkColumn]) -> SparkColumn:
    """A 64-bit hash of a row's values; a missing value counts as one (Spark's hash skips it)."""
    from pyspark.sql import functions as F

    parts = [part for c in columns for part in (c, c.isNull())]
    return F.xxhash64(F.lit(seed), *parts)


def flat(frame: DataFrame, schema: Schema) -> DataFrame:
    """Histories of a flat table; the frame has `_split` and `_order` already."""
    from pyspark.sql import functions as F

    columns = [F.col(quoted(c.name)) for c in schema.columns]
    return frame.select("_split", F.lit(1).cast("int").alias("_length"), "_order", *columns)


def gathered(frame: DataFrame, schema: Schema, *, seed: int, rows: int, subject: str, most: int) -> DataFrame:
    """Histories of a table of events.

    Args:
        frame: Rows with the columns, `_split`, `_row` (place in the source), `_hash` (of the content).
        schema: Of the records.
        seed: Of the run.
        rows: About how many there are, which decides the partitions.
        subject: The column that names the subject.
        most: Events kept of one subject, the first in time.
    """
    from pyspark.sql import functions as F

    names = [c.name for c in schema.columns if c.name != schema.time]
    fields = [F.col(quoted(schema.time)).alias("t"), F.col("_row").alias("r"), F.col("_hash").alias("h")]
    fields += [F.col(quoted(n)).alias(f"c{i}") for i, n in enumerate(names)]
    parts = max(1, -(-rows // ROWS_PER_PARTITION))
    listed = (
        frame.repartition(max(parts, _slots(frame)), quoted(subject))
        .groupBy(quoted(subject))
        .agg(F.first("_split").alias("_split"), F.sort_array(F.collect_list(F.struct(*fields))).alias("e"))
        .withColumn("e", F.slice("e", 1, most))
    )
    place = {schema.time: "t"} | {n: f"c{i}" for i, n in enumerate(names)}
    return listed.select(
        "_split",
        F.size("e").alias("_length"),
        F.xxhash64(F.lit(seed), F.col("e.h")).alias("_order"),
        *[F.col(f"e.{place[c.name]}").alias(c.name) for c in schema.columns],
    )


def _slots(frame: DataFrame) -> int:
    """The shuffle partitions that the session is set to, which stand for its cores."""
    return min(64, int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions", "2")))
