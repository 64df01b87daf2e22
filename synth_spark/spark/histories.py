"""Histories: one row a subject, its events as lists in the order of time.

Made once by one shuffle; everything after works on whole subjects without another. Beside the
columns of the schema a row holds

    _split   train or holdout
    _length  events of the subject (1 in a flat table)
    _order   hash of the subject's content and the seed, which neither ids nor partitions change

In a flat table the columns hold plain values, in a table of events lists of `_length` values.
Events with the same time keep the order they had in the source.
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
    from pyspark.sql import functions as sf

    parts = [part for c in columns for part in (c, c.isNull())]
    return sf.xxhash64(sf.lit(seed), *parts)


def flat(frame: DataFrame, schema: Schema) -> DataFrame:
    """Histories of a flat table; the frame has `_split` and `_order` already."""
    from pyspark.sql import functions as sf

    columns = [sf.col(quoted(c.name)) for c in schema.columns]
    return frame.select("_split", sf.lit(1).cast("int").alias("_length"), "_order", *columns)


def gathered(
    frame: DataFrame,
    schema: Schema,
    *,
    seed: int,
    rows: int,
    subject: str,
    most: int,
    in_time: bool = True,
) -> DataFrame:
    """Histories of a table of events.

    Args:
        frame: Rows with the columns, `_split`, `_row` (place in the source), `_hash` (content).
        schema: Of the records.
        seed: Of the run.
        rows: About how many there are, which decides the partitions.
        subject: The column that names the subject.
        most: Events kept of one subject, the first in time.
        in_time: False: in the order of `_row` alone, so that times that run back stay visible.
    """
    from pyspark.sql import functions as sf

    place = {c.name: f"c{i}" for i, c in enumerate(schema.columns)}
    fields = [
        sf.col(quoted(schema.time)).alias("t"),
        sf.col("_row").alias("r"),
        sf.col("_hash").alias("h"),
    ]
    fields = (fields if in_time else fields[1:]) + [
        sf.col(quoted(n)).alias(p) for n, p in place.items()
    ]
    parts = max(1, -(-rows // ROWS_PER_PARTITION))
    listed = (
        frame.repartition(max(parts, _slots(frame)), quoted(subject))
        .groupBy(sf.col(quoted(subject)).alias("_of"))  # its own name may be e
        .agg(
            sf.first("_split").alias("_split"),
            sf.sort_array(sf.collect_list(sf.struct(*fields))).alias("e"),
        )
        .withColumn("e", sf.slice("e", 1, most))
    )
    return listed.select(
        "_split",
        sf.size("e").alias("_length"),
        sf.xxhash64(sf.lit(seed), sf.col("e.h")).alias("_order"),
        *[sf.col(f"e.{place[c.name]}").alias(c.name) for c in schema.columns],
    )


def of_drawn(drawn: DataFrame, schema: Schema) -> DataFrame:
    """Histories of a sampled table (`fanout.py`), events in the order in which they were drawn.

    Kept in the session's storage where a shuffle made them, as they are read more than once.
    """
    from pyspark.sql import functions as sf

    if schema.shape == "flat":
        order = sf.xxhash64("_subject").alias("_order")
        return flat(drawn.withColumns({"_split": sf.lit("drawn"), "_order": order}), schema)
    named = drawn.withColumns(
        {"_split": sf.lit("drawn"), "_row": sf.col("_event"), "_hash": sf.col("_subject")}
    )
    rows = int(named.count())
    most = 2**31 - 1
    return gathered(
        named, schema, seed=0, rows=rows, subject="_subject", most=most, in_time=False
    ).persist()


def _slots(frame: DataFrame) -> int:
    """The shuffle partitions that the session is set to, which stand for its cores."""
    return min(64, int(frame.sparkSession.conf.get("spark.sql.shuffle.partitions", "2")))
