"""Sampling fan-out: one input row is one block of subjects, the output is the twin's rows.

A block's rows are a function of the model, the seed and the block's number, so neither partitions
nor retries nor speculation change them. Blocks are grouped in waves; each wave is one Delta commit
that can be tried again without harm, and a killed run goes on with the first wave that is not
in the table. Beside its columns the table holds

    _subject  number of the synthetic subject, from 0
    _event    place of the row among its subject's, from 0

Of the Arrow variants `mapInArrow` is the one without a shuffle, with a barrier flag and no
pandas, and within the noise of the fastest (docs/explanation-performance.md).
"""

from __future__ import annotations

import os
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from synth_spark.core.batch import Records
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.core.schema import Column, Schema
from synth_spark.spark import tables
from synth_spark.spark.arrow import arrow_type, cast_batch, ddl, from_records, from_values
from synth_spark.spark.tables import TableTakenError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS_PER_BATCH = 131_072  # of the Arrow batches that go to the writer
WAVE_ROWS = 5_000_000
_KEPT_MODELS = 2


class Drawer(Protocol):
    """A model that is ready to draw, as a worker holds it."""

    block_size: int

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
    load: Callable[[str], Drawer]  # a module-level function: folder -> drawer
    schema: Schema
    seed: int
    subjects: int
    block_size: int

    @property
    def blocks(self) -> int:
        """Blocks that hold all subjects; the last may be part full."""
        return -(-self.subjects // self.block_size)

    @property
    def columns(self) -> list[Column]:
        """The table's columns: the key first."""
        return [*([self.schema.key] if self.schema.key else []), *self.schema.columns]


# ---- on the driver ------------------------------------------------------------------------------


def recipe_for(
    spark: SparkSession,
    folder: Path,
    *,
    sha256: str,
    load: Callable[[str], Drawer],
    schema: Schema,
    seed: int,
    subjects: int,
) -> Recipe:
    """Load a model once on the driver, and give the session its files for the workers."""
    block_size = load(str(folder)).block_size
    archive = f"model-{sha256[:24]}.zip"
    _ship(spark, folder, archive)
    return Recipe(
        folder=str(folder), archive=archive, sha256=sha256, load=load, schema=schema,
        seed=seed, subjects=subjects, block_size=block_size,
    )  # fmt: skip


def _ship(spark: SparkSession, folder: Path, archive: str) -> None:
    """Pack a model beside its folder and add it to the session, once for each name (a hash).

    The file must outlive the session, so it lies in the run folder and not in a temporary one.
    """
    if _SENT.get(archive) is spark:
        return
    packed = folder.with_name(archive)
    with zipfile.ZipFile(packed, "w") as out:
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            out.write(file, file.relative_to(folder))
    spark.addArtifact(str(packed), file=True)
    _SENT[archive] = spark


_SENT: dict[str, SparkSession] = {}


def rows_of(
    spark: SparkSession, recipe: Recipe, first: int, last: int, partitions: int
) -> DataFrame:
    """The rows of blocks `first` to `last - 1`."""
    blocks = spark.range(first, last, 1, max(1, min(partitions, last - first)))
    return blocks.mapInArrow(partial(_generate, recipe), table_ddl(recipe))


def rows_in_pandas(spark: SparkSession, recipe: Recipe, partitions: int) -> DataFrame:
    """The same rows through `mapInPandas`, for users with a pandas step of their own."""

    def emit(frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            batch = pa.RecordBatch.from_pydict({"id": frame["id"].to_numpy()})
            for rows in _generate(recipe, iter([batch])):
                yield rows.to_pandas()

    return spark.range(0, recipe.blocks, 1, partitions).mapInPandas(emit, table_ddl(recipe))


def table_ddl(recipe: Recipe) -> str:
    """The Spark schema of the sampled table."""
    return ddl(recipe.columns, _subject="bigint", _event="int")


def sample_table(
    spark: SparkSession,
    recipe: Recipe,
    path: Path,
    *,
    facts: Mapping[str, object],
    rows_per_subject: float = 1.0,
    wave_rows: int = WAVE_ROWS,
    partitions: int | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Draw a table wave by wave; begun before, it goes on where it stopped.

    Args:
        spark: The session.
        recipe: From `recipe_for`.
        path: Of the Delta table.
        facts: Become the table's properties; `run`, `plan`, `model`, `seed` at least.
        rows_per_subject: About, to size the waves.
        wave_rows: Rows of one commit, about.
        partitions: Tasks of one wave; the rows do not depend on it.
        say: Told after each wave.

    Returns:
        rows, subjects, waves, waves_before (found in the table), seconds.

    Raises:
        TableTakenError: The table was made by another run, model or seed (SYN-215).
        NoWriteError, DiskFullError: Of the folder (SYN-211, SYN-212).
    """
    start = time.perf_counter()
    size = max(1, int(wave_rows / max(rows_per_subject * recipe.block_size, 1)))
    stated = {**facts, "seed": recipe.seed, "model": recipe.sha256, "subjects": recipe.subjects}
    size = _ready(spark, recipe, path, {**stated, "wave_blocks": size})
    app = f"{facts.get('run', '')}/{recipe.sha256[:24]}/{recipe.seed}/{path.name}"
    done = tables.commits(spark, path, app)
    waves = -(-recipe.blocks // size)
    rows, before = sum(int(d["rows"]) for d in done.values()), len(done)
    for wave in range(waves):
        if wave in done:
            continue
        first, last = wave * size, min((wave + 1) * size, recipe.blocks)
        frame = rows_of(spark, recipe, first, last, partitions or _tasks(spark))
        tables.append_once(frame, path, app=app, version=wave, facts={"app": app, "wave": wave})
        rows = sum(int(d["rows"]) for d in tables.commits(spark, path, app).values())
        say(_progress(rows, min(last * recipe.block_size, recipe.subjects), recipe, wave, start))
    seconds = time.perf_counter() - start
    return {
        "rows": rows,
        "subjects": recipe.subjects,
        "waves": waves,
        "waves_before": before,
        "seconds": seconds,
    }


def _progress(rows: int, drawn: int, recipe: Recipe, wave: int, start: float) -> Progress:
    """How far the table is; the rows in all are guessed from those of the subjects drawn so far."""
    return Progress(
        stage="sample",
        done=rows,
        total=max(rows, round(rows * recipe.subjects / max(drawn, 1))),
        of="rows",
        elapsed_s=time.perf_counter() - start,
        numbers={"wave": wave + 1},
    )


def _ready(spark: SparkSession, recipe: Recipe, path: Path, stated: Mapping[str, object]) -> int:
    """Make the table, or check that it is this very one; returns the blocks of a wave."""
    if not tables.exists(path):
        names = [c.name for c in recipe.columns]
        tables.create(spark, path, table_ddl(recipe), names, stated)
        return int(str(stated["wave_blocks"]))
    found = tables.properties(spark, path)
    other = {
        k: found.get(k) for k, v in stated.items() if k != "wave_blocks" and found.get(k) != str(v)
    }
    if other:
        raise TableTakenError(
            f"The table {path} was made with another {', '.join(other)}.",
            hint="another path, or remove it",
            path=str(path),
            found=other,
        )
    return int(found["wave_blocks"])  # the cut of the waves must stay, whatever is asked for now


def _tasks(spark: SparkSession) -> int:
    """Tasks of a wave: two a core, so that a slow one does not hold up the rest."""
    slots = spark.conf.get("spark.default.parallelism", "") or spark.conf.get(
        "spark.sql.shuffle.partitions", "8"
    )
    return 2 * int(slots)


# ---- on the workers -----------------------------------------------------------------------------

_models: OrderedDict[str, Drawer] = OrderedDict()


def _generate(recipe: Recipe, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """All rows of the blocks named in `batches`."""
    drawer = _drawer(recipe)
    for batch in batches:
        for block in batch.column("id").to_pylist():
            whole = block_rows(recipe, drawer, block)
            for start in range(0, whole.num_rows, ROWS_PER_BATCH):
                yield whole.slice(start, ROWS_PER_BATCH)


def block_rows(recipe: Recipe, drawer: Drawer, block: int) -> pa.RecordBatch:
    """The rows of one block in the table's columns and types."""
    first = block * recipe.block_size
    subjects = min(recipe.block_size, recipe.subjects - first)
    records, identifiers = drawer.draw(block, subjects, recipe.seed)
    owners = records.owners
    numbers = {
        "_subject": first + owners,
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


def _drawer(recipe: Recipe) -> Drawer:
    """The model of this worker: loaded at its first task, kept for the next."""
    if recipe.sha256 in _models:
        _models.move_to_end(recipe.sha256)
        return _models[recipe.sha256]
    cpus = _task_cpus()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(cpus)  # before the libraries are loaded; afterwards it has no effect
    drawer = recipe.load(_model_folder(recipe))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cpus)
    _models[recipe.sha256] = drawer
    while len(_models) > _KEPT_MODELS:
        _models.popitem(last=False)
    return drawer


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
