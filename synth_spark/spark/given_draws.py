"""Subjects for the rows of a table of conditions.

A model that fills gaps is handed the rows themselves, block after block. Any other draws a block for
every distinct row, under its cells as a condition, and its subjects get the numbers of the rows that
are alike. Either way a block is a function of the table, the model, the seed and its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    ImpossibleConditionError,
    Share,
)
from synth_spark.core.given import (
    BLOCK_ROWS,
    Asked,
    TooManyGivenError,
    condition_of,
    held_exactly,
)
from synth_spark.pipelines.drawer import Filler, load_drawer, load_filler
from synth_spark.pipelines.model_folder import Saved
from synth_spark.spark.arrow import map_in_arrow, quoted, to_values
from synth_spark.spark.blocks import Recipe, drawer_of, in_batches, loaded, table_ddl, table_rows
from synth_spark.spark.fanout import RowsOf, recipe_for, tasks
from synth_spark.spark.given import SHOWN, Given

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_DISTINCT = 2_000  # rows that differ, for generators that draw a block for each
_fillers: dict[tuple[str, tuple[str, ...]], Filler] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the rows of a table are met by one model."""

    recipe: Recipe
    rows: RowsOf
    how: str  # in words


def plan_of(
    spark: SparkSession,
    model: Path,
    given: Given,
    rows: int,
    more: tuple[Clause, ...],
    *,
    saved: Saved,
    seed: int,
) -> Plan:
    """How a model draws a subject for each of the first rows of a table; impossible ones refused.

    Args:
        spark: The session.
        model: Its folder.
        given: The table, as the run keeps it.
        rows: How many of its rows count.
        more: Clauses that hold for every row.
        saved: The model.
        seed: Of the sampling.

    Raises:
        TooManyGivenError: Too many rows differ for this model (SYN-714).
        ImpossibleConditionError: The model gives a row no chance (SYN-711).
        CannotConditionError: It cannot draw under a row (SYN-712).
    """
    common: Any = {
        "sha256": saved.sha256, "load": load_drawer, "schema": saved.schema, "seed": seed,
    }  # fmt: skip
    if not more and load_filler(str(model), given.asked.fields) is not None:
        recipe = recipe_for(spark, model, subjects=rows, most=BLOCK_ROWS, **common)
        refuse_unknown(given, recipe)
        return Plan(
            recipe=recipe, rows=partial(filled, given), how="gaps filled, each row on its own"
        )
    alike = Alike.of(given, rows, more)
    recipe = recipe_for(spark, model, subjects=alike.shares, tried=False, **common)
    refuse_impossible(alike, spark, recipe)
    numbered = numbered_blocks(given, alike, recipe).persist()
    how = f"{len(alike.shares):,} conditions, one for each distinct row"
    return Plan(recipe=recipe, rows=partial(drawn, given, numbered), how=how)


# ---- models that fill gaps ----------------------------------------------------------------------


def filled(given: Given, spark: SparkSession, recipe: Recipe, *blocks: int) -> DataFrame:
    """The twin's rows of blocks `first` to `last - 1`, drawn by `parts` tasks; see `fanout.py`."""
    from pyspark.sql import functions as sf

    first, last, parts = blocks
    size = recipe.block_size
    block = sf.floor(sf.col("_number") / sf.lit(size)).cast("bigint")
    rows = given.frame.where(sf.col("_number").between(first * size, last * size - 1))
    placed = rows.withColumn("_block", block).where(sf.col("_number") < recipe.subjects)
    whole = placed.repartitionByRange(max(1, min(parts, last - first)), "_block")
    ordered = whole.sortWithinPartitions("_number")
    return map_in_arrow(ordered, partial(_fill, recipe, given.asked), table_ddl(recipe))


def refuse_unknown(given: Given, recipe: Recipe) -> None:
    """Refuse cells that the model could never draw.

    Raises:
        ImpossibleConditionError: It names the first rows (SYN-711).
    """
    work = partial(_unknown, recipe, given.asked)
    found = map_in_arrow(given.frame, work, "row bigint, cell string").persist()
    first = found.orderBy("row", "cell").limit(SHOWN).collect()
    if first:
        said = "; ".join(f"row {r['row']}: {r['cell']}" for r in first)
        raise ImpossibleConditionError(
            f"{found.count():,} cells of sample.given have no chance under the model "
            f"(rows from 0): {said}.",
            hint="a value that the records hold often enough, or an empty cell, which is drawn",
            rows=[int(r["row"]) for r in first],
        )
    found.unpersist()


def _fill(
    recipe: Recipe, asked: Asked, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for block, rows in whole_blocks(batches):
        filler = _filler(recipe, asked)
        records, ids = filler.fill(block, _records(asked, rows), recipe.seed)
        numbers = rows.column("_number").to_numpy()
        yield from in_batches(table_rows(recipe, records, ids, numbers))


def whole_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Rows in order of `_block`, cut into the blocks that they make."""
    parts: list[pa.RecordBatch] = []
    for batch in batches:
        blocks = batch.column("_block").to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(blocks)]
        for start, end in pairwise(cuts):
            if end == start:
                continue
            if parts and parts[0].column("_block")[0].as_py() != blocks[start]:
                yield _block_of(parts)
                parts = []
            parts.append(batch.slice(start, end - start))
    if parts:
        yield _block_of(parts)


def _block_of(parts: list[pa.RecordBatch]) -> tuple[int, pa.Table]:
    return parts[0].column("_block")[0].as_py(), pa.Table.from_batches(parts)


def _unknown(
    recipe: Recipe, asked: Asked, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if not batch.num_rows:
            continue
        known = _records(asked, batch)
        rows, cells = [], []
        for name, wrong in _filler(recipe, asked).unknown(known).items():
            at = np.flatnonzero(wrong)
            rows.append(batch.column("_number").to_numpy()[at])
            texts = _texts(known.columns[name], at)
            cells += [f"{asked.names[name]}={text}" for text in texts]
        numbers = pa.array(np.concatenate(rows) if rows else [], pa.int64())
        yield pa.RecordBatch.from_arrays([numbers, pa.array(cells, pa.string())], ["row", "cell"])


def _texts(values: Any, at: Any) -> list[str]:
    if isinstance(values, Coded):
        return [str(v) for v in values[at].texts()]
    array = np.asarray(values)[at]
    return [f"{v:g}" if array.dtype.kind == "f" else str(v) for v in array]


def _records(asked: Asked, rows: Any) -> Records:
    return Records.flat({n: to_values(rows.column(n)) for n in asked.fields})


def _filler(recipe: Recipe, asked: Asked) -> Filler:
    """The filler of this worker, made ready at its first task."""
    name = (recipe.sha256, asked.fields)
    if name not in _fillers:
        _fillers.clear()
        _fillers[name] = loaded(recipe, partial(load_filler, fields=asked.fields))
    return _fillers[name]


# ---- all other models ---------------------------------------------------------------------------


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


def refuse_impossible(alike: Alike, spark: SparkSession, recipe: Recipe) -> None:
    """Refuse rows that the model gives no chance; every distinct one is tried on the workers.

    Raises:
        ImpossibleConditionError: The model gives one no chance (SYN-711).
        CannotConditionError: It cannot draw under one (SYN-712).
    """
    shares = spark.range(0, len(alike.shares), 1, min(tasks(spark), len(alike.shares)))
    found = shares.mapInArrow(partial(_tried, recipe), "at bigint, code string, said string")
    worst = found.orderBy("at").first()
    if worst is None:
        return
    row, condition = alike.first[worst["at"]], alike.shares[worst["at"]].condition
    kind = ImpossibleConditionError if worst["code"] == "SYN-711" else CannotConditionError
    raise kind(
        f"sample.given, row {row} (from 0), {condition.text()}: {worst['said']}",
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
