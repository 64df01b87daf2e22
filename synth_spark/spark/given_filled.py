"""Subjects for the rows of a table of conditions, from a model that fills gaps.

Workers are handed the rows themselves, block after block. A block's rows are a function of the
table, the model, the seed and the block's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import ImpossibleConditionError
from synth_spark.core.given import Asked
from synth_spark.pipelines.drawer import Filler, load_filler
from synth_spark.spark.arrow import map_in_arrow, to_values
from synth_spark.spark.blocks import Recipe, in_batches, loaded, table_ddl, table_rows
from synth_spark.spark.given import SHOWN, Given

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_fillers: dict[tuple[str, tuple[str, ...]], Filler] = {}


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
