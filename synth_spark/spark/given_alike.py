"""Subjects for the rows of a table of conditions, from a model that is conditioned.

Each distinct row is a condition with a block of its own, or several; its subjects get the numbers
of the rows that are alike. A block's subjects are a function of the table, the model, the seed and
the block's number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    ImpossibleConditionError,
    Share,
)
from synth_spark.core.given import Asked, TooManyGivenError, condition_of, held_exactly, row_text
from synth_spark.spark.arrow import map_in_arrow, quoted
from synth_spark.spark.blocks import Recipe, drawer_of, in_batches, table_ddl, table_rows
from synth_spark.spark.fanout import tasks
from synth_spark.spark.given import Given

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_DISTINCT = 2_000  # rows that differ; a block of the model is drawn for each


@dataclass(frozen=True, slots=True)
class Alike:
    """The distinct rows of a table of conditions, in the order of the first of each."""

    shares: tuple[Share, ...]
    first: tuple[int, ...]  # the number of each one's first row

    @classmethod
    def of(cls, given: Given, rows: int, more: tuple[Clause, ...]) -> Alike:
        """The distinct rows among the first `rows`.

        Args:
            given: The table.
            rows: How many of its rows count.
            more: Clauses that hold for every row.

        Raises:
            TooManyGivenError: There are more than `MOST_DISTINCT` (SYN-714).
        """
        from pyspark.sql import functions as sf

        asked = given.asked
        counted = given.frame.where(sf.col("_number") < rows).groupBy(
            *[quoted(n) for n in asked.fields]
        )
        grouped = counted.agg(sf.min("_number").alias("_first"), sf.count("*").alias("_rows"))
        if (distinct := int(grouped.count())) > MOST_DISTINCT:
            raise TooManyGivenError(
                f"sample.given has {distinct:,} rows that differ; this generator draws a block of "
                f"subjects for each, for {MOST_DISTINCT:,} at most.",
                hint="round numbers, leave columns out, or generator autoregressive on a flat "
                "table without sample.where, which fills rows one by one",
                distinct=distinct,
                most=MOST_DISTINCT,
            )
        found = grouped.orderBy("_first").collect()
        shares = tuple(
            Share(condition_of(asked, _cells(r.asDict()), more), int(r["_rows"])) for r in found
        )
        return cls(shares, tuple(int(r["_first"]) for r in found))


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a row with times as seconds since 1970."""
    return {
        n: np.datetime64(v, "us").astype(np.int64) / 1e6 if isinstance(v, datetime) else v
        for n, v in row.items()
    }


def refuse_impossible(asked: Asked, alike: Alike, spark: SparkSession, recipe: Recipe) -> None:
    """Refuse rows that the model gives no chance; every distinct one is tried on the workers.

    Raises:
        ImpossibleConditionError: The model gives one no chance (SYN-711).
        CannotConditionError: It cannot draw under one (SYN-712).
    """
    shares = spark.range(0, len(alike.shares), 1, tasks(spark, len(alike.shares)))
    found = shares.mapInArrow(partial(_tried, recipe), "at bigint, code string, said string")
    worst = found.orderBy("at").first()
    if worst is None:
        return
    row, condition = alike.first[worst["at"]], alike.shares[worst["at"]].condition
    kind = ImpossibleConditionError if worst["code"] == "SYN-711" else CannotConditionError
    raise kind(
        f"sample.given, row {row} (from 0), {row_text(asked, condition)}: {worst['said']}",
        hint="another value, or an empty cell, which is drawn",
        row=row,
        condition=condition.text(),
    )


def _tried(recipe: Recipe, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        bad: list[tuple[int, str, str]] = []
        for at in batch.column("id").to_pylist():
            try:
                drawer_of(recipe, recipe.shares[at].condition)
            except (ImpossibleConditionError, CannotConditionError) as error:
                bad.append((at, error.code, str(error.args[0])))
                break
        at, code, said = zip(*bad, strict=True) if bad else ((), (), ())
        yield pa.RecordBatch.from_arrays(
            [pa.array(at, pa.int64()), pa.array(code, pa.string()), pa.array(said, pa.string())],
            ["at", "code", "said"],
        )


def numbered_blocks(given: Given, alike: Alike, recipe: Recipe) -> DataFrame:
    """For each block the rows that its subjects stand for: `id`, `numbers` (ascending)."""
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    starts, block = [], 0
    for first, share in zip(alike.first, alike.shares, strict=True):
        starts.append((first, block))
        block += -(-share.subjects // recipe.block_size)
    same = Window.partitionBy(*[quoted(n) for n in given.asked.fields])
    place = sf.row_number().over(same.orderBy("_number")) - 1
    rows = given.frame.where(sf.col("_number") < recipe.subjects).select(
        "_number", sf.min("_number").over(same).alias("_first"), place.alias("_place")
    )
    begun = given.frame.sparkSession.createDataFrame(starts, "_first bigint, _start bigint")
    within = sf.floor(sf.col("_place") / sf.lit(recipe.block_size))
    joined = rows.join(sf.broadcast(begun), "_first")
    placed = joined.select((sf.col("_start") + within).cast("bigint").alias("id"), "_number")
    return placed.groupBy("id").agg(sf.sort_array(sf.collect_list("_number")).alias("numbers"))


def drawn(
    given: Given, numbered: DataFrame, spark: SparkSession, recipe: Recipe, *blocks: int
) -> DataFrame:
    """The twin's rows of blocks `first` to `last - 1`, drawn by `parts` tasks; see `fanout.py`."""
    first, last, parts = blocks
    rows = numbered.where(f"id >= {first} AND id < {last}")
    spread = rows.repartitionByRange(max(1, min(parts, last - first)), "id")
    return map_in_arrow(spread, partial(_draw, recipe, given.asked), table_ddl(recipe))


def _draw(
    recipe: Recipe, asked: Asked, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for block, numbers in zip(
            batch.column("id").to_pylist(), batch.column("numbers"), strict=True
        ):
            condition, _, subjects = recipe.place(block)
            drawer = drawer_of(recipe, condition)
            records, ids = drawer.draw(block, subjects, recipe.seed)
            records = held_exactly(asked, condition, records)
            rows = np.asarray(numbers.values)
            yield from in_batches(table_rows(recipe, records, ids, rows))
