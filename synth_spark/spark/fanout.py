"""Sampling fan-out: one input row is one block of subjects, the output is the twin's rows.

A block's rows are a function of the model, the seed and the block's number, so neither partitions
nor retries nor speculation change them (`blocks.py`). Blocks are grouped in waves; each wave is one
Delta commit that can be tried again without harm, and a killed run goes on with the first wave that
is not in the table.

Of the Arrow variants `mapInArrow` is the one without a shuffle, with a barrier flag and no
pandas, and within the noise of the fastest (docs/explanation-performance.md).
"""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synth_spark.core.conditions import Condition, Share
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.core.schema import Schema
from synth_spark.spark import tables
from synth_spark.spark.blocks import Drawer, Recipe, generate, table_ddl
from synth_spark.spark.tables import TableTakenError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WAVE_ROWS = 5_000_000
_FEW = 8  # blocks a task: below, a core has one task
LONGEST_SAID = 4_000  # characters of the conditions in a table's properties; more are hashed


def recipe_for(
    spark: SparkSession,
    folder: Path,
    *,
    sha256: str,
    load: Callable[[str], Drawer],
    schema: Schema,
    seed: int,
    subjects: int | Sequence[Share],
    most: int | None = None,
    tried: bool = True,
) -> Recipe:
    """Load a model once on the driver, and give the session its files for the workers.

    Args:
        spark: The session.
        folder: Of the model.
        sha256: Of the model.
        load: Reads a model folder; a module-level function, or a frozen value that is called.
        schema: Of the records.
        seed: Of the sampling.
        subjects: How many, or conditions with how many hold each.
        most: Of the block size; None: the model's own.
        tried: Whether every condition is tried here, before anything is drawn.

    Raises:
        ImpossibleConditionError: The model gives a condition no chance (SYN-711).
        CannotConditionError: The model cannot draw under a condition (SYN-712).
    """
    drawer = load(str(folder))
    free = (Share(Condition(()), subjects),) if isinstance(subjects, int) else ()
    shares = free if isinstance(subjects, int) else tuple(subjects)
    for share in shares if tried else ():
        if share.condition.clauses:
            drawer.conditioned(share.condition)
    block_size = min(drawer.block_size, most or drawer.block_size)
    archive = f"model-{sha256[:24]}.zip"
    _ship(spark, folder, archive)
    return Recipe(
        folder=str(folder), archive=archive, sha256=sha256, load=load, schema=schema,
        seed=seed, shares=shares, block_size=block_size,
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
    return blocks.mapInArrow(partial(generate, recipe), table_ddl(recipe))


RowsOf = Callable[["SparkSession", Recipe, int, int, int], "DataFrame"]


def rows_in_pandas(spark: SparkSession, recipe: Recipe, partitions: int) -> DataFrame:
    """The same rows through `mapInPandas`, for users with a pandas step of their own."""

    def emit(frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            batch = pa.RecordBatch.from_pydict({"id": frame["id"].to_numpy()})
            for rows in generate(recipe, iter([batch])):
                yield rows.to_pandas()

    return spark.range(0, recipe.blocks, 1, partitions).mapInPandas(emit, table_ddl(recipe))


def sample_table(
    spark: SparkSession,
    recipe: Recipe,
    path: Path,
    *,
    facts: Mapping[str, object],
    rows_per_subject: float = 1.0,
    wave_rows: int = WAVE_ROWS,
    partitions: int | None = None,
    rows: RowsOf = rows_of,
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
        rows: Makes the rows of some blocks.
        say: Told after each wave.

    Returns:
        rows, subjects, waves, waves_before (found in the table), seconds.

    Raises:
        TableTakenError: The table was made by another run, model or seed (SYN-215).
        NoWriteError, DiskFullError: Of the folder (SYN-211, SYN-212).
    """
    start = time.perf_counter()
    size = max(1, int(wave_rows / max(rows_per_subject * recipe.block_size, 1)))
    asked = "; ".join(f"{s.subjects} {s.condition.text()}".strip() for s in recipe.shares)
    if len(asked) > LONGEST_SAID:
        asked = hashlib.sha256(asked.encode()).hexdigest()
    stated = {**facts, "seed": recipe.seed, "model": recipe.sha256, "subjects": asked}
    size, first_done = _cut(spark, path, {**stated, "wave_blocks": size})
    stated["wave_blocks"] = size
    app = f"{facts.get('run', '')}/{recipe.sha256[:24]}/{recipe.seed}/{path.name}"
    done = ({0: {"rows": 0}} if first_done else {}) | tables.commits(path, app)
    waves = max(1, -(-recipe.blocks // size))  # a table of nobody is one too
    found_by = ["_subject", *([recipe.schema.time] if recipe.schema.time else [])]
    written, before = sum(int(d["rows"]) for d in done.values()), len(done)
    for wave in range(waves):
        if wave in done:
            continue
        first, last = wave * size, min((wave + 1) * size, recipe.blocks)
        frame = rows(spark, recipe, first, last, partitions or tasks(spark, last - first))
        said = {"app": app, "wave": wave}
        if tables.exists(path):
            tables.append_once(frame, path, app=app, version=wave, facts=said)
        else:
            tables.create(frame, path, stated, said, skipped_by=found_by)
        written += tables.commits(path, app, since=wave).get(wave, {"rows": 0})["rows"]
        say(_progress(written, last, recipe, wave, start))
    seconds = time.perf_counter() - start
    return {
        "rows": written,
        "subjects": recipe.subjects,
        "waves": waves,
        "waves_before": before,
        "seconds": seconds,
    }


def _progress(rows: int, blocks: int, recipe: Recipe, wave: int, start: float) -> Progress:
    """How far the table is; the rows in all are guessed from those of the subjects drawn so far."""
    _, before_last, held = recipe.place(blocks - 1) if blocks else (None, 0, 0)
    drawn = before_last + held
    return Progress(
        stage="sample",
        done=rows,
        total=max(rows, round(rows * recipe.subjects / max(drawn, 1))),
        of="rows",
        elapsed_s=time.perf_counter() - start,
        numbers={"wave": wave + 1},
    )


def _cut(spark: SparkSession, path: Path, stated: Mapping[str, object]) -> tuple[int, bool]:
    """The blocks of a wave, and whether the table was made with its first wave.

    A table that is there is checked to be this very one. Its log's entries may be gone (Delta keeps
    them for a month), its properties are not.
    """
    if not tables.exists(path):
        return int(str(stated["wave_blocks"])), False
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
    # the cut of the waves must stay, whatever is asked for now
    return int(found["wave_blocks"]), tables.FIRST in found


def tasks(spark: SparkSession, blocks: int) -> int:
    """Tasks of a wave: two a core, so that a slow one does not hold up the rest; of few blocks one.

    A task costs a twentieth of a second or more, and of ten blocks in four tasks one of two cores
    would draw six.
    """
    slots = spark.conf.get("spark.default.parallelism", "") or spark.conf.get(
        "spark.sql.shuffle.partitions", "8"
    )
    return max(1, min(blocks, int(slots) * (1 if blocks < 2 * _FEW * int(slots) else 2)))
