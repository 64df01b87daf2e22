"""A block of subjects on a worker: the model it holds, and the rows that it draws from it.

A block's rows are a function of the model, the seed and the block's number, and of nothing else.
Beside its columns a row holds

    _subject  number of the synthetic subject, from 0
    _event    place of the row among its subject's, from 0
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition, Share
from synth_spark.core.schema import Column, Schema
from synth_spark.spark.arrow import arrow_type, cast_batch, ddl, from_records, from_values

ROWS_PER_BATCH = 131_072  # of the Arrow batches that go to the writer
_KEPT_MODELS = 4
_models: OrderedDict[tuple[Any, ...], Drawer] = OrderedDict()  # by model, its way, condition


class Drawer(Protocol):
    """A model that is ready to draw, as a worker holds it."""

    block_size: int

    def conditioned(self, condition: Condition) -> Drawer:
        """The same, drawing only subjects that hold a condition."""

    def draw(self, block: int, subjects: int, seed: int) -> tuple[Records, dict[str, Any]]:
        """The records of the first `subjects` subjects of one block, and identifier values.

        The identifiers: "#key" with one text a subject, others with one text a row.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a worker needs to draw any block; small, as it is pickled with every job."""

    folder: str  # of the model, on this machine or on shared storage
    archive: str  # its name among the session's files, for workers that do not see the folder
    sha256: str  # of the model; names it in the workers' cache
    load: Callable[[str], Drawer]  # folder -> drawer: a module-level function, or a frozen value
    schema: Schema
    seed: int
    shares: tuple[Share, ...]  # every condition with its subjects; each begins a block of its own
    block_size: int

    @property
    def subjects(self) -> int:
        """In all."""
        return sum(s.subjects for s in self.shares)

    @property
    def blocks(self) -> int:
        """Blocks that hold all subjects; the last of each share may be part full."""
        return sum(-(-s.subjects // self.block_size) for s in self.shares)

    def place(self, block: int) -> tuple[Condition, int, int]:
        """The condition of a block, its first subject's number and how many it holds.

        Example:
            >>> from synth_spark.core.conditions import Condition, Share
            >>> shares = (Share(Condition(()), 5), Share(Condition(()), 3))
            >>> recipe = Recipe(folder="", archive="", sha256="", load=None, schema=None, seed=1,
            ...                 shares=shares, block_size=4)
            >>> [recipe.place(b)[1:] for b in range(recipe.blocks)]
            [(0, 4), (4, 1), (5, 3)]
        """
        first, left = 0, block
        for share in self.shares:
            own = -(-share.subjects // self.block_size)
            if left < own:
                before = left * self.block_size
                return (
                    share.condition,
                    first + before,
                    min(self.block_size, share.subjects - before),
                )
            first, left = first + share.subjects, left - own
        raise IndexError(block)

    @property
    def columns(self) -> list[Column]:
        """The table's columns: the key first."""
        return [*([self.schema.key] if self.schema.key else []), *self.schema.columns]


def table_ddl(recipe: Recipe) -> str:
    """The Spark schema of the sampled table."""
    return ddl(recipe.columns, _subject="bigint", _event="int")


def generate(recipe: Recipe, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """All rows of the blocks named in `batches`."""
    for batch in batches:
        for block in batch.column("id").to_pylist():
            drawer = drawer_of(recipe, recipe.place(block)[0])
            yield from in_batches(block_rows(recipe, drawer, block))


def in_batches(whole: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in pieces of the size that goes to the writer."""
    for start in range(0, whole.num_rows, ROWS_PER_BATCH):
        yield whole.slice(start, ROWS_PER_BATCH)


def block_rows(recipe: Recipe, drawer: Drawer, block: int) -> pa.RecordBatch:
    """The rows of one block in the table's columns and types."""
    _, first, subjects = recipe.place(block)
    records, identifiers = drawer.draw(block, subjects, recipe.seed)
    return table_rows(recipe, records, identifiers, first + np.arange(subjects))


def table_rows(
    recipe: Recipe, records: Records, identifiers: dict[str, Any], subjects: NDArray[np.int64]
) -> pa.RecordBatch:
    """Drawn records in the table's columns and types; `subjects` are their numbers."""
    owners = records.owners
    numbers = {
        "_subject": np.asarray(subjects, np.int64)[owners],
        "_event": (np.arange(records.rows) - records.offsets[:-1][owners]).astype(np.int32),
    }
    columns: dict[str, Any] = {}
    if recipe.schema.key:
        columns[recipe.schema.key.name] = _spread(identifiers["#key"], owners)
    for column in recipe.schema.columns:
        found = identifiers.get(column.name)
        columns[column.name] = records.columns[column.name] if found is None else found
    arrays = from_records(Records({}, records.offsets), [], **numbers)
    named = [arrays.column(n) for n in arrays.schema.names]
    named += [
        v if isinstance(v, pa.Array) else from_values(v, c)
        for c, v in zip(recipe.columns, columns.values(), strict=True)
    ]
    target = pa.schema(
        [
            ("_subject", pa.int64()),
            ("_event", pa.int32()),
            *((c.name, arrow_type(c)) for c in recipe.columns),
        ]
    )
    return cast_batch(pa.RecordBatch.from_arrays(named, names=target.names), target)


def _spread(keys: Any, owners: Any) -> pa.Array:
    """The key of each row from the key of each subject."""
    return pa.array(keys, pa.string()).take(pa.array(owners))


def drawer_of(recipe: Recipe, condition: Condition) -> Drawer:
    """The model of this worker: made ready at its first task, kept for the next."""
    name = (recipe.sha256, recipe.load, condition.text())
    if name not in _models:
        _models[name] = _loaded(recipe) if not condition.clauses else drawer_of(
            recipe, Condition(())
        ).conditioned(condition)  # fmt: skip
        while len(_models) > _KEPT_MODELS:
            _models.popitem(last=False)
    _models.move_to_end(name)
    return _models[name]


def _loaded(recipe: Recipe) -> Drawer:
    return loaded(recipe, recipe.load)


def loaded(recipe: Recipe, load: Callable[[str], Any]) -> Any:
    """What `load` makes of the model's folder, with as many threads as the task has cores."""
    cpus = _task_cpus()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(cpus)  # before the libraries are loaded; afterwards it has no effect
    made = load(_model_folder(recipe))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cpus)
    return made


def _task_cpus() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return max(1, int(context.cpus())) if context else 1


def _model_folder(recipe: Recipe) -> str:
    """The model's folder if this worker sees it, else its copy from the session's files."""
    if Path(recipe.folder).is_dir():
        return recipe.folder
    from pyspark import SparkFiles

    sent = Path(SparkFiles.get(recipe.archive))
    target = sent.with_name(f"{sent.stem}-{os.getpid()}")  # Spark removes what lies there
    if not target.exists():
        with zipfile.ZipFile(sent) as packed:
            packed.extractall(target)
    return str(target)
