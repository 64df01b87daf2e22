"""The workshop on Spark: carries out the heavy parts of a run's steps."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import Plan
from synth_spark.core.conditions import Share
from synth_spark.core.ports import Train, Trained
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import CODECS, FAMILIES
from synth_spark.errors import SynthError
from synth_spark.pipelines.drawer import load_drawer
from synth_spark.pipelines.folder import RunFolder
from synth_spark.pipelines.model_folder import load_saved
from synth_spark.records.world import materialise
from synth_spark.spark import fanout, histories, id_formats, ingest, tables, twin_out
from synth_spark.spark.engine import SparkEngine, engine_of
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

    def _engine(self, part: str) -> SparkEngine:
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
        train = self.engine("train")
        recipe = fanout.recipe_for(
            self.spark,
            model,
            sha256=saved.sha256,
            load=load_drawer,
            schema=saved.schema,
            seed=seed,
            subjects=shares,
        )
        seen, rows = train.counts()
        return fanout.sample_table(
            self.spark,
            recipe,
            self.folder.path / table,
            facts=facts,
            rows_per_subject=rows / max(seen, 1),
            wave_rows=self.plan.sample.rows_per_wave,
            partitions=self.plan.sample.partitions,
            say=self.say,
        )

    def deliver(self, table: str, out: str) -> None:
        """Write a table in the source's columns, order and types."""
        source = self.source or open_plan(self.spark, self.plan)
        drawn = tables.read(self.spark, self.folder.path / table)
        twin_out.deliver(
            drawn,
            self.schema,
            source,
            self.plan.source_names(),
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
