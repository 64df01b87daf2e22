"""The story of a run: ingest, fit, sample, evaluate, told through ports.

Each step is complete or not done: it leaves `steps/STEP.json` with the fingerprint of the plan up
to it, and a step that is complete under the same plan is skipped when the run is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from synth_spark.columns._determined_search import determined
from synth_spark.columns._text_mine import check_miner
from synth_spark.columns._texts import Texts, texts, without_text
from synth_spark.columns.determined import Determined
from synth_spark.columns.serial import serials
from synth_spark.config import AUTO, STEPS, Plan, Step
from synth_spark.core.conditions import (
    CannotConditionError,
    Condition,
    ImpossibleConditionError,
    Share,
)
from synth_spark.core.given import TooManyGivenError
from synth_spark.core.ports import Engine, Known, learn, schema_made
from synth_spark.core.progress import Progress, Say
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import FAMILIES, GENERATORS
from synth_spark.errors import NotForFamilyError, NotForShapeError, TooFewSubjectsError
from synth_spark.metrics.base import Evaluation
from synth_spark.pipelines import gates, model_folder
from synth_spark.pipelines.cold import cold_formats
from synth_spark.pipelines.conditions import (
    Holding,
    check_conditions,
    check_known,
    check_taste,
    shares_of,
)
from synth_spark.pipelines.evaluate import Dataset, evaluate
from synth_spark.pipelines.folder import NothingToResumeError, RunFolder
from synth_spark.pipelines.reach import check_reach, short

LEAST_HOLDERS = 5  # of a key that is told, where the generator has no setting for it
LEAST_SUBJECTS = 2  # one alone cannot be compared with anybody, and would be copied
BASELINE_SUBJECTS = 200_000  # the baseline's scores need no more, whatever the twin's size


class Workshop(Protocol):
    """What carries out the steps' heavy parts; Spark's is spark/workshop.py."""

    def ingest(self, plan: Plan, schema: Schema) -> dict[str, Any]:
        """Read, check, make pseudonymous, split and store the records.

        Returns facts for JSON: rows_in, rows_kept, rows_quarantined, rows_repeated, rows_cut,
        subjects_train, subjects_holdout, reasons, and `identifiers` (the formats, see
        columns/identifier.py, of the key as "#key" and of each identifier column).
        """

    def engine(self, part: str) -> Engine:
        """Answers for one part: train, holdout, twin or baseline."""

    def draw(
        self, model: Path, table: str, shares: Sequence[Share], *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw a table (twin or baseline) from a model folder; returns rows, subjects, seconds."""

    def given(self) -> int:
        """Keep the plan's table of conditions in the run folder; returns its rows."""

    def draw_given(
        self, model: Path, table: str, rows: int, *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw a subject for each of the first rows of the kept table of conditions.

        Returns what `draw` does, and `given`: its fields, what is left out, and how it is met.
        """

    def deliver(self, table: str, out: str) -> None:
        """Write a table in the source's columns and types where the plan wants it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    folder: Path
    evaluation: Evaluation | None
    missed: tuple[str, ...]  # gates that were not passed, as sentences

    @property
    def exit_code(self) -> int:
        """0 done, 3 a gate was not passed."""
        return 3 if self.missed else 0


@dataclass(frozen=True, slots=True)
class Job:
    """One plan in one folder with one workshop."""

    plan: Plan
    schema: Schema
    folder: RunFolder
    shop: Workshop
    say: Say

    def ingest(self) -> dict[str, Any]:
        tables = ("records", "histories", "quarantine", "twin", "baseline", "given")
        self.folder.clear(*tables, "shards", "checkpoints", "models")
        facts = self.shop.ingest(self.plan, self.schema)
        self._enough(facts)
        return facts

    def _enough(self, facts: dict[str, Any]) -> None:
        """Refuse what leaves the plan's generator too few subjects, by what ingest found."""
        kind = GENERATORS.get(self.plan.generator.name)
        least = max(kind.min_subjects, LEAST_SUBJECTS)
        if facts["subjects_train"] < least:
            raise TooFewSubjectsError(
                f"{self.plan.generator.name} needs {least} subjects to learn from; there are "
                f"{facts['subjects_train']} beside {facts['subjects_holdout']} held out.",
                hint="more records" + (", or independent" if least > LEAST_SUBJECTS else ""),
                subjects=facts["subjects_train"],
                held_out=facts["subjects_holdout"],
                rows=facts["rows_kept"],
            )

    def fit(self) -> dict[str, Any]:
        identifiers = cold_formats(self.schema) if self.plan.cold else self._split()["identifiers"]
        if not self.plan.cold:
            self._enough(self._split())
        if self.plan.run.resume == "never":
            self.folder.clear("shards", "checkpoints", "models")
        facts: dict[str, Any] = {}
        for role, name in self.generators().items():
            start = time.perf_counter()
            params = self.plan.params() if role == "twin" else GENERATORS.get(name).Params()
            kind, engine = GENERATORS.get(name), self.shop.engine("train")
            least = getattr(params, "min_subjects", LEAST_HOLDERS)
            found = Determined()
            if kind.relates and not self.plan.cold:
                found = learn(determined(without_text(self.schema), least), engine)
            rest = found.rest(self.schema)
            lines = Texts()
            if not self.plan.cold:
                lines = learn(texts(rest, min_subjects=least, relates=kind.relates), engine)
            story = kind.learn(lines.rest(rest), params, self.plan.seed)
            asked = partial(self.hear, found, lines) if role == "twin" else None
            model = learn(story, engine, asked)
            if not self.plan.cold:
                rows = self._split()["subjects_train"] + self._split()["subjects_holdout"]
                identifiers = {**identifiers, **learn(serials(self.schema, rows), engine)}
            seconds = time.perf_counter() - start
            sha256 = model_folder.save(
                self.folder.path / "models" / role,
                model,
                generator=name,
                schema=schema_made(kind, self.schema, params),
                identifiers=identifiers,
                determined=found,
                texts=lines,
                facts={
                    "seed": self.plan.seed,
                    "plan": self.plan.fingerprint("fit"),
                    "fit_s": seconds,
                },
            )
            facts[role] = {
                "generator": name,
                "sha256": sha256,
                "fit_s": seconds,
                "about": model.about(),
                "looked_up": found.in_words(),
                "lines": lines.in_words(),
            }
            self.say(Progress(stage="fit", done=1, total=1, of=name, elapsed_s=seconds))
        return facts

    def hear(self, found: Determined, lines: Texts, known: Known) -> None:
        """Refuse the plan's conditions if the model, as it turns out, will not draw under them."""

        def left(condition: Condition) -> Condition:
            return lines.conditioned(found.asked(condition, self.schema))[1]

        check_known(known, self.plan.generator.name, self.plan.sample, self.schema, left)

    def generators(self) -> dict[str, str]:
        """Which generator makes which table; no baseline beside itself or without an evaluation."""
        named = {"twin": self.plan.generator.name}
        wanted = self.plan.evaluate
        if self.plan.cold:
            return named
        beside = wanted.enabled and wanted.baseline not in ("", named["twin"])
        if beside and not self.unable(wanted.baseline):
            named["baseline"] = wanted.baseline
        return named

    def unable(self, name: str) -> bool:
        """Whether a generator cannot draw under the plan's conditions."""
        try:
            check_conditions(GENERATORS.get(name), name, self.plan.sample, self.schema)
        except CannotConditionError:
            return True
        return False

    def _split(self) -> dict[str, Any]:
        """What ingest found."""
        return self.folder.need("ingest", self.plan.fingerprint("ingest"))

    def sample(self) -> dict[str, Any]:
        learned = self.folder.need("fit", self.plan.fingerprint("fit"))
        if self.plan.run.resume == "never":
            self.folder.clear("twin", "baseline", "given")
        subjects = self.shop.given() if self.plan.sample.given else self.plan.sample.subjects
        if subjects is None:
            split = self._split()
            subjects = int(split["subjects_train"] + split["subjects_holdout"])
        facts: dict[str, Any] = {}
        for role in self.generators():
            wanted = subjects if role == "twin" else min(subjects, BASELINE_SUBJECTS)
            lineage: dict[str, Any] = {
                "run": self.plan.name,
                "plan": self.plan.fingerprint("sample"),
                "model": learned[role]["sha256"],
                "seed": self.plan.seed,
            }
            folder = self.folder.path / "models" / role
            asked: dict[str, Any] = {"seed": self.plan.seed, "facts": lineage}
            shares: Sequence[Share] = ()
            try:
                if self.plan.sample.given:
                    facts[role] = self.shop.draw_given(folder, role, wanted, **asked)
                else:
                    if role == "twin":
                        check_reach(self.plan, wanted)
                    shares = shares_of(self.plan.sample, self.schema, wanted)
                    facts[role] = self.shop.draw(folder, role, shares, **asked)
            except (CannotConditionError, ImpossibleConditionError, TooManyGivenError) as error:
                if role == "twin":
                    raise
                facts[role] = {"refused": str(error)}  # the twin is scored without it
                continue
            if any(s.condition.clauses for s in shares):
                facts[role]["conditions"] = [[s.condition.text(), s.subjects] for s in shares]
        if notes := short(self.plan, subjects, int(facts["twin"]["rows"])):
            facts["twin"]["notes"] = list(notes)
        if self.plan.sample.out:
            self.shop.deliver("twin", self.plan.sample.out)
        return facts

    def evaluate(self) -> dict[str, Any]:
        split = self._split()
        drawn = self.folder.need("sample", self.plan.fingerprint("sample"))
        engines: dict[Dataset, Engine] = {
            "train": self.shop.engine("train"),
            "synthetic": self.shop.engine("twin"),
        }
        if split["subjects_holdout"]:
            engines["holdout"] = self.shop.engine("holdout")
        if "rows" in drawn.get("baseline", {}):
            engines["independent"] = self.shop.engine("baseline")
        asked = Condition.parse(self.plan.sample.where, self.schema)
        if asked.clauses:  # the twin's subjects are compared with those that hold the same
            for side in ("train", "holdout"):
                if side in engines:
                    engines[side] = Holding(engines[side], asked, self.schema)
        found = evaluate(self.schema, engines, seed=self.plan.seed, say=self.say)
        return {"evaluation": found.to_json()}


def run(job: Job, steps: Sequence[Step], finish: Callable[[Job, Evaluation], None]) -> Outcome:
    """Carry out the named steps in order, skipping what is complete when the run is resumed.

    Args:
        job: The plan, its folder and its workshop.
        steps: Some of ingest, fit, sample, evaluate.
        finish: Writes the report once there is an evaluation.

    Raises:
        SynthError: A step was refused or failed; steps before it stay complete.
    """
    plan = job.plan
    check_steps(plan, job.folder, steps)
    again = plan.run.resume == "never"
    found = None
    with job.folder.replaced() if again and steps[0] == "sample" else nullcontext():
        if again:
            job.folder.forget(STEPS[STEPS.index(steps[0]) :])
        begun = next((s for s in steps if not job.folder.step(s)), None)
        for step in (s for s in steps if s != "evaluate" or _scored(plan)):
            _do(job, step, alone=step == begun and step in ("sample", "evaluate"))
    if "evaluate" in steps and (entry := job.folder.step("evaluate")):
        found = Evaluation.from_json(entry["facts"]["evaluation"])
        finish(job, found)
    missed = gates.missed(found, plan.evaluate.gates) if found else ()
    return Outcome(job.folder.path, found, missed)


def _scored(plan: Plan) -> bool:
    return plan.evaluate.enabled and not plan.cold


BUILT_ON: dict[Step, tuple[Step, ...]] = {
    "fit": ("ingest",), "sample": ("fit",), "evaluate": ("ingest", "sample"),
}  # fmt: skip


def check_steps(plan: Plan, folder: RunFolder, steps: Sequence[Step]) -> None:
    """Refuse steps that do not go with what the run folder holds, before anything there changes.

    Raises:
        NothingToResumeError: What is to be resumed, or built on, was not done here (SYN-132).
        OtherPlanError: It was done under another plan (SYN-131).
    """
    if plan.run.resume == "always" and not any(folder.step(s) for s in STEPS):
        raise NothingToResumeError(
            f"{folder.path} holds no run to resume.", hint="--run.resume if-possible"
        )
    for step in steps:
        if plan.run.resume != "never" and folder.resumable(step, plan.fingerprint(step)):
            continue
        if step == "evaluate" and not _scored(plan):
            continue
        for below in BUILT_ON.get(step, ()):
            if below not in steps and not (below == "ingest" and plan.cold):
                folder.need(below, plan.fingerprint(below))


def _do(job: Job, step: Step, *, alone: bool) -> None:
    """One step, unless it is complete already; alone: its plan is not the one of the model."""
    fingerprint = job.plan.fingerprint(step)
    if job.folder.step(step):
        job.say(Progress(stage=step, done=1, total=1, of="step (complete before)", elapsed_s=0.0))
        return
    start = time.perf_counter()
    facts = getattr(job, step)()
    if alone:
        job.folder.write_plan(step, job.plan.kept())
    job.folder.complete(step, fingerprint, time.perf_counter() - start, facts)


def check(plan: Plan, schema: Schema) -> None:
    """Refuse, before anything starts, a plan that cannot work.

    Raises:
        NotForShapeError: The generator cannot make records of this shape (SYN-701).
        BadConditionError, CannotConditionError: Of the conditions (SYN-710, SYN-712).
        CannotTemperError: Its models have no temperature and no nucleus (SYN-715).
        NotForFamilyError: It cannot make records of this family (SYN-703).
        UnknownNameError: The baseline is not a generator (SYN-101).
        SynthError: A scenario takes none of the subjects (SYN-762).
        NoMinerError: There is a column of log lines and no library to mine it (SYN-780).
    """
    if schema.of_kind("text"):
        check_miner()
    if plan.generator.name != AUTO:
        _check_generator(plan, schema)
    if plan.evaluate.enabled and not plan.cold:
        gates.check_gates(plan.evaluate.gates)
        if plan.evaluate.baseline:
            GENERATORS.get(plan.evaluate.baseline)
    plan.params()
    if plan.sample.subjects is not None:
        check_reach(plan, plan.sample.subjects)


def _check_generator(plan: Plan, schema: Schema) -> None:
    kind = GENERATORS.get(plan.generator.name)
    if schema.shape not in kind.shapes:
        fit = [n for n in GENERATORS.names() if schema.shape in GENERATORS.get(n).shapes]
        raise NotForShapeError(
            f"{plan.generator.name} makes {' and '.join(sorted(kind.shapes))} tables, "
            f"and this one is {schema.shape}.",
            hint=f"one of {', '.join(fit)}"
            + (", or name --key and --time" if schema.shape == "flat" else ""),
            generator=plan.generator.name,
            shape=schema.shape,
        )
    _check_family(plan, schema, kind)
    check_conditions(kind, plan.generator.name, plan.sample, schema)
    check_taste(kind, plan.generator.name, plan.sample)


def _check_family(plan: Plan, schema: Schema, kind: Any) -> None:
    """Refuse a family that the generator has no rules for, or one in another shape than its own."""
    shape = FAMILIES.get(schema.family).shape
    if kind.families and schema.family in kind.families and schema.shape != shape:
        raise NotForShapeError(
            f"Records of {schema.family} are {shape}, and these are {schema.shape}.",
            hint="name --records.key and --records.time"
            if shape == "events"
            else "no --records.time",
            generator=plan.generator.name,
            shape=schema.shape,
        )
    if kind.families and schema.family not in kind.families:
        raise NotForFamilyError(
            f"{plan.generator.name} makes records of {', '.join(sorted(kind.families))}, "
            f"and these are of {schema.family}.",
            hint="another generator, or records.family where the table is one of these",
            generator=plan.generator.name,
            family=schema.family,
        )
