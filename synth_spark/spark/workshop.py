"""The workshop on Spark: carries out the heavy parts of a run's steps."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import Plan
from synth_spark.core.conditions import Condition, Share
from synth_spark.core.given import ROW
from synth_spark.core.local import NoRecords
from synth_spark.core.ports import Train, Trained
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import CODECS, FAMILIES
from synth_spark.errors import SynthError
from synth_spark.pipelines.drawer import ModelDrawer, Tempered, load_drawer
from synth_spark.pipelines.folder import RunFolder
from synth_spark.pipelines.model_folder import Saved, load_saved
from synth_spark.records.world import materialise
from synth_spark.spark import (
    fanout,
    given,
    given_draws,
    histories,
    id_formats,
    ingest,
    tables,
    twin_out,
)
from synth_spark.spark.blocks import Recipe
from synth_spark.spark.checks import all_columns
from synth_spark.spark.engine import SparkEngine, engine_of
from synth_spark.spark.given import Given
from synth_spark.spark.ranks import train_on_ranks
from synth_spark.spark.source import Source, open_source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY_VARIABLE, KEY_FILE_VARIABLE = "SYNTH_SPARK_ID_KEY", "SYNTH_SPARK_ID_KEY_FILE"


class IdKeyFileError(SynthError):
    """The file with the key of the id hashes cannot be read."""

    code = "SYN-233"


@dataclass
class SparkWorkshop:
    """One run's workshop.

    Attributes:
        spark: The session.
        plan: Of the run.
        schema: Of the records.
        folder: Of the run; the driver and all executors see it.
        source: The opened source, if it was opened before (to detect).
        say: Told of progress.
    """

    spark: SparkSession
    plan: Plan
    schema: Schema
    folder: RunFolder
    source: Source | None = None
    say: Say = silent
    _engines: dict[str, SparkEngine] = field(default_factory=dict)

    # ---- ingest ---------------------------------------------------------------------------------

    def ingest(self, plan: Plan, schema: Schema) -> dict[str, Any]:
        """Read, check, make pseudonymous, split and store; see `spark/ingest.py`."""
        start = time.perf_counter()
        self._engines.clear()
        source = self.source or open_plan(self.spark, plan)
        family, names = FAMILIES.get(schema.family), plan.source_names()
        settings = ingest.IngestSettings(
            seed=plan.seed,
            zone=plan.source.time_zone or "UTC",
            repeats=plan.ingest.repeats,
            holdout_share=plan.ingest.holdout_share,
            max_events_per_subject=plan.ingest.max_events_per_subject,
            quarantine_limit_share=plan.ingest.quarantine_limit_share,
        )
        key = id_key(self.folder.path, plan.ingest.id_key_file)
        report = ingest.ingest(
            source,
            schema,
            self.folder.path,
            key=key,
            names=names,
            rules=family.rules_for(schema),
            settings=settings,
        )
        codec = CODECS.get("identifier")
        states = id_formats.identifier_states(source, schema, names, codec.summarise, codec.merge)
        formats = {role: codec.finish(state).state() for role, state in states.items()}
        done = {"rows_in": report.rows_in, "rows_kept": report.rows_kept}
        seconds = time.perf_counter() - start
        self.say(
            Progress(
                stage="ingest",
                done=report.rows_in,
                total=report.rows_in,
                of="rows",
                elapsed_s=seconds,
            )
        )
        return {**report.to_json(), **done, "identifiers": formats}

    # ---- learning and scoring -------------------------------------------------------------------

    def engine(self, part: str) -> SparkEngine:
        """The engine of train, holdout, twin or baseline."""
        if part not in self._engines:
            self._engines[part] = self._engine(part)
        return self._engines[part]

    def _engine(self, part: str) -> Any:
        if part == "train" and self.plan.cold:
            return NoRecords()
        if part in ("train", "holdout"):
            frame = tables.read(self.spark, self.folder.path / "histories")
            more = {"seed": self.plan.seed, "folder": self.folder.path, "train": self._train}
            return engine_of(frame, self.schema, part, **more)
        drawn = tables.read(self.spark, self.folder.path / part)
        frame = histories.of_drawn(drawn, self.schema)
        return SparkEngine(frame, self.schema, seed=self.plan.seed)

    def _train(self, request: Train, shards: Path, manifest: dict[str, Any]) -> Trained:
        """Train on the plan's ranks, from the last checkpoint where the run is resumed."""
        fit = self.plan.fit
        limits = {"max_epochs": fit.max_epochs, "max_minutes": fit.max_minutes}
        changed = {k: v for k, v in limits.items() if v is not None}
        if changed:
            assert is_dataclass(request.trainee)  # every trainee of the shelf is one
            schedule = replace(request.trainee.schedule, **changed)
            request = replace(request, trainee=replace(request.trainee, schedule=schedule))
        return train_on_ranks(
            self.spark,
            request,
            shards,
            ranks=fit.ranks,
            collective=fit.collective,
            folder=self.folder.path / "checkpoints" / request.name,
            seed=self.plan.seed,
            say=self.say,
            max_restarts=fit.restarts,
            fingerprint=self.plan.fingerprint("fit"),
            threads=fit.threads,
        )

    # ---- sampling -------------------------------------------------------------------------------

    def draw(
        self, model: Path, table: str, shares: Sequence[Share], *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw a table wave by wave; begun before, it goes on where it stopped."""
        saved = load_saved(model)
        self._engines.pop(table, None)
        recipe = fanout.recipe_for(
            self.spark,
            model,
            sha256=saved.sha256,
            load=self._way_to_load(table),
            schema=saved.schema,
            seed=seed,
            subjects=shares,
        )
        return self._sampled(saved, recipe, table, facts)

    def given(self) -> int:
        """Keep the plan's table of conditions in the run folder; returns its rows."""
        return self._given().rows

    def _given(self) -> Given:
        path, plan = self.folder.path / "given", self.plan.fingerprint("sample")
        found = given.kept(self.spark, path, plan)
        if found is None:
            fresh = given_draws.given_table(self.spark, self.plan, self.schema, self.folder.path)
            assert fresh is not None
            self.folder.clear("given", "twin", "baseline")  # what was drawn from another table
            given.keep(fresh, path, plan)
            found = given.kept(self.spark, path, plan)
            assert found is not None
        return found

    def draw_given(
        self, model: Path, table: str, rows: int, *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw a subject for each of the first rows of the kept table of conditions."""
        saved, asked = load_saved(model), self._given()
        self._engines.pop(table, None)
        more = Condition.parse(self.plan.sample.where, self.schema).clauses
        way = given_draws.way_of(
            self.spark, model, asked, rows, more, saved=saved, seed=seed,
            load=self._way_to_load(table),
        )  # fmt: skip
        done = self._sampled(saved, way.recipe, table, facts, way.rows)
        said = {"fields": asked.asked.fields, "left_out": asked.asked.left_out, "how": way.how}
        return {**done, "given": said}

    def _way_to_load(self, table: str) -> Callable[[str], ModelDrawer]:
        """How the model of a table is read: the plan's temperature and nucleus are the twin's."""
        asked = Tempered(self.plan.sample.temperature, self.plan.sample.top_p)
        return load_drawer if table != "twin" or asked == Tempered() else asked

    def _sampled(
        self,
        saved: Saved,
        recipe: Recipe,
        table: str,
        facts: dict[str, Any],
        rows_of: fanout.RowsOf = fanout.rows_of,
    ) -> dict[str, Any]:
        seen, rows = self._size(saved, recipe.subjects, recipe.seed)
        return fanout.sample_table(
            self.spark,
            recipe,
            self.folder.path / table,
            facts=facts,
            rows_per_subject=rows / max(seen, 1),
            wave_rows=self.plan.sample.rows_per_wave,
            partitions=self.plan.sample.partitions,
            rows=rows_of,
            say=self.say,
        )

    def _size(self, saved: Saved, subjects: int, seed: int) -> tuple[int, int]:
        """Subjects and their rows, to size the waves: the real ones, or a first block's."""
        if not self.plan.cold:
            return self.engine("train").counts()
        some = min(subjects, saved.model.block_size)
        return some, saved.model.sample(0, some, seed).rows

    def deliver(self, table: str, out: str) -> None:
        """Write a table in the source's columns, order and types, then what the model added."""
        drawn = tables.read(self.spark, self.folder.path / table)
        schema = load_saved(self.folder.path / "models" / table).schema
        if self.plan.cold:
            source = Source(drawn, "", "made", {})
        else:
            source = self.source or open_plan(self.spark, self.plan)
        names = self.plan.source_names()
        there = {names.get(c.name, c.name) for c in all_columns(self.schema)}
        if self.plan.cold:
            there = set()
        more = {c.name: c.source_type for c in all_columns(schema) if c.name not in there}
        if self.plan.sample.given:
            more[ROW] = "bigint"
            number = Column(name=ROW, kind="number", source_type="bigint")
            drawn = drawn.withColumn(ROW, drawn["_subject"].cast("double"))
            schema = replace(schema, columns=(*schema.columns, number))
        source = replace(source, types={**source.types, **more}) if more else source
        twin_out.deliver(
            drawn,
            schema,
            source,
            names,
            out,
            zone=self.plan.source.time_zone or "UTC",
            replace=True,  # `app` refused a place that is taken before the run began
        )


def open_plan(spark: SparkSession, plan: Plan, *, world: Path | None = None) -> Source:
    """The source that a plan names; a table of the built-in world is made first.

    Args:
        spark: The session.
        plan: Whose source it is.
        world: Where the built-in world goes; None: into the run folder.
    """
    wanted = plan.source
    path = wanted.path
    if path.startswith("world:"):
        path = str(materialise(path, world or plan.folder / "world"))
    return open_source(
        spark,
        path,
        format=wanted.format,
        delimiter=wanted.delimiter,
        header=wanted.header,
        drop=plan.records.drop,
    )


def id_key(folder: Path, file: str | None) -> bytes:
    """The key of the id hashes: from the environment, a file, or made once in the run folder.

    Raises:
        IdKeyFileError: The named file cannot be read (SYN-233).
    """
    if os.environ.get(KEY_VARIABLE):
        return os.environ[KEY_VARIABLE].encode()
    named = os.environ.get(KEY_FILE_VARIABLE) or file
    if named:
        try:
            return Path(named).read_bytes().strip()
        except OSError as error:
            raise IdKeyFileError(
                f"The file with the id key, {named}, cannot be read: {error.strerror}.",
                hint=f"check the path, or set {KEY_VARIABLE}",
                path=named,
            ) from error
    own = folder / ".id_key"
    if not own.exists():
        handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_hex(32))
    return own.read_bytes().strip()
