"""Train and holdout: every subject is on one side, with all its rows, by a draw of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.spark.arrow import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_U53 = 2**53


class OneSubjectError(SynthError):
    """All rows belong to one subject, so nothing can be learned about subjects."""

    code = "SYN-231"


def split(
    kept: DataFrame, schema: Schema, rows: int, *, holdout_share: float, most: int
) -> tuple[DataFrame, dict[str, int]]:
    """`_split` for each row by its subject's draw, and at least one subject on either side.

    Args:
        kept: Good rows; `_draw` holds 64 random bits of each row's subject.
        schema: Of the rows.
        rows: How many there are.
        holdout_share: Of the subjects, about.
        most: Events kept of one subject, the first in time.

    Returns:
        The rows with `_split`, and subjects, subjects_cut, rows_cut.

    Raises:
        OneSubjectError: There is one subject only (SYN-231).
    """
    from pyspark.sql import functions as sf

    drawn, limit = sf.shiftrightunsigned("_draw", 11), int(holdout_share * _U53)
    facts = _facts(kept, schema, most, limit=limit)
    if facts["subjects"] < 2:
        raise OneSubjectError(
            f"All {rows:,} rows belong to {facts['subjects']} subject.",
            hint="another key column, or none if every row stands for itself",
            subjects=facts["subjects"],
        )
    if holdout_share > 0 and facts["holdout"] == 0:
        limit = facts["low"] + 1
    if facts["holdout"] == facts["subjects"]:
        limit = facts["high"]
    if facts["subjects_cut"]:
        kept = _cut(kept, schema, most)
    side = sf.when(drawn < sf.lit(limit), "holdout").otherwise("train")
    return kept.withColumn("_split", side), facts


def _facts(kept: DataFrame, schema: Schema, most: int, *, limit: int) -> dict[str, int]:
    """Subjects in all, below `limit` and with too many events; the least and the largest draw."""
    from pyspark.sql import functions as sf

    drawn = sf.shiftrightunsigned("_draw", 11)
    if schema.shape == "events" and schema.key:
        people = kept.groupBy(sf.col(quoted(schema.key.name)).alias("_of")).agg(
            sf.count("*").alias("n"), sf.first(drawn).alias("u")
        )
    else:
        people = kept.select(sf.lit(1).alias("n"), drawn.alias("u"))
    above = sf.sum(sf.greatest(sf.col("n") - most, sf.lit(0)))
    facts = people.agg(
        sf.count("*").alias("subjects"),
        sf.count_if(sf.col("u") < limit).alias("holdout"),
        sf.min("u").alias("low"),
        sf.max("u").alias("high"),
        sf.count_if(sf.col("n") > most).alias("subjects_cut"),
        sf.coalesce(above, sf.lit(0)).alias("rows_cut"),
    )
    return dict(facts.first().asDict())


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
