"""The story of a run, with a workshop that works in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from synth_spark.config import STEPS, NoSourceError, Plan, plan_from
from synth_spark.core.batch import Records
from synth_spark.core.conditions import BadConditionError, ImpossibleConditionError, Share
from synth_spark.core.local import Local, NoRecords
from synth_spark.core.progress import silent
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import NotForFamilyError, NotForShapeError, SynthError, TooFewSubjectsError
from synth_spark.pipelines.cold import ColdStartError, cold_steps
from synth_spark.pipelines.conditions import CannotTemperError
from synth_spark.pipelines.folder import NothingToResumeError, OtherPlanError, RunFolder
from synth_spark.pipelines.gates import UnknownGateError
from synth_spark.pipelines.model_folder import load_saved
from synth_spark.pipelines.reach import check_reach
from synth_spark.pipelines.run import Job, check, run
from synth_spark.telling import facts, tell_notes
from tests.contract.cases import EVENTS, FLAT, flat_records


@dataclass
class Memory:
    """Keeps every table as records; notes which parts it was asked to work on."""

    tables: dict[str, Records] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def ingest(self, plan: Plan, schema: Any) -> dict[str, Any]:
        self.calls.append("ingest")
        records = flat_records(300)
        self.tables |= {
            "train": records.take(np.arange(240)),
            "holdout": records.take(np.arange(240, 300)),
        }
        counts = {"rows_in": 300, "rows_kept": 300, "rows_quarantined": 0, "rows_repeated": 0}
        return {**counts, "subjects_train": 240, "subjects_holdout": 60, "identifiers": {}}

    def engine(self, part: str) -> Local:
        return Local(self.tables[part])

    def draw(
        self, model: Path, table: str, shares: Sequence[Share], *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        self.calls.append(f"draw {table}")
        drawn = load_saved(model).model
        parts = [
            drawn.conditioned(s.condition).sample(i, s.subjects, seed) for i, s in enumerate(shares)
        ]
        self.tables[table] = Records.joined(parts)
        subjects = sum(s.subjects for s in shares)
        return {"rows": subjects, "subjects": subjects, "seconds": 0.1}

    def deliver(self, table: str, out: str) -> None:
        self.calls.append("deliver")
        Path(out).write_text("twin")


def job(folder: Path, shop: Memory, **settings: Any) -> Job:
    plan = plan_from({"generator": {"name": "independent"}, **settings})
    run_folder = RunFolder(folder)
    run_folder.open(plan.to_yaml())
    return Job(plan, FLAT, run_folder, shop, silent)


def ignore(job: Job, evaluation: Any) -> None:
    """No report."""


def test_all_steps_run_in_order_and_end_with_an_evaluation(tmp_path: Path) -> None:
    shop, reports = Memory(), []
    out = tmp_path / "twin.parquet"
    this = job(tmp_path / "run", shop, sample={"out": str(out)})
    outcome = run(this, STEPS, lambda j, e: reports.append(e))
    assert shop.calls == ["ingest", "draw twin", "deliver"]
    assert outcome.exit_code == 0
    assert reports == [outcome.evaluation]
    assert outcome.evaluation.line("columns").value > 0.9
    assert out.read_text() == "twin"


def test_as_many_subjects_are_drawn_as_there_were(tmp_path: Path) -> None:
    shop = Memory()
    run(job(tmp_path / "run", shop), ("ingest", "fit", "sample"), ignore)
    assert shop.tables["twin"].subjects == 300


def test_complete_steps_are_skipped_when_resumed(tmp_path: Path) -> None:
    shop = Memory()
    run(job(tmp_path / "run", shop), ("ingest", "fit"), ignore)
    shop.calls.clear()
    run(job(tmp_path / "run", shop, run={"resume": "if-possible"}), STEPS, ignore)
    assert shop.calls == ["draw twin"]


def test_a_run_of_another_plan_is_not_resumed(tmp_path: Path) -> None:
    shop = Memory()
    run(job(tmp_path / "run", shop), ("ingest",), ignore)
    other = job(tmp_path / "run", shop, seed=2, run={"resume": "if-possible"})
    with pytest.raises(OtherPlanError):
        run(other, STEPS, ignore)


def test_always_resume_needs_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(NothingToResumeError):
        run(job(tmp_path / "run", Memory(), run={"resume": "always"}), STEPS, ignore)


def test_a_step_alone_needs_the_ones_before_it(tmp_path: Path) -> None:
    with pytest.raises(NothingToResumeError, match="ingest"):
        run(job(tmp_path / "run", Memory()), ("fit",), ignore)


def test_doing_a_step_again_takes_back_the_later_ones(tmp_path: Path) -> None:
    shop = Memory()
    run(job(tmp_path / "run", shop), STEPS, ignore)
    run(job(tmp_path / "run", shop), ("fit",), ignore)
    folder = RunFolder(tmp_path / "run")
    assert [bool(folder.step(s)) for s in STEPS] == [True, True, False, False]


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder that is text, by its path."""
    kept = (p for p in sorted(folder.rglob("*")) if p.suffix in (".json", ".yaml", ".txt"))
    return {str(p.relative_to(folder)): p.read_text() for p in kept}


def whole_run(folder: Path) -> None:
    """A run as it lies on a disk, with a twin."""
    made = job(folder, Memory())
    run(made, STEPS, ignore)
    (folder / "twin").mkdir()
    (folder / "twin" / "rows.txt").write_text("the first twin")


def sampling(folder: Path, shop: Memory, **settings: Any) -> Job:
    """A job that only draws: the folder's plan is not written again."""
    plan = plan_from({"generator": {"name": "independent"}, **settings})
    return Job(plan, FLAT, RunFolder(folder), shop, silent)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"generator": {"name": "independent", "params": {"min_subjects": 7}}}, OtherPlanError),
        ({"sample": {"where": ["plan=gold"]}}, ImpossibleConditionError),
    ],
)
def test_a_refused_sampling_leaves_the_run_folder_as_it_was(
    settings: dict[str, Any], error: type[SynthError], tmp_path: Path
) -> None:
    whole_run(tmp_path)
    before = files(tmp_path)
    with pytest.raises(error):
        run(sampling(tmp_path, Memory(), **settings), ("sample",), ignore)
    assert files(tmp_path) == before


def test_what_is_asked_of_one_sampling_is_not_asked_of_the_next(tmp_path: Path) -> None:
    whole_run(tmp_path)
    plan = (tmp_path / "plan.yaml").read_text()
    shop = Memory()
    run(sampling(tmp_path, shop, sample={"where": ["months=12..24"]}), ("sample",), ignore)
    assert shop.tables["twin"].columns["months"].max() <= 24
    assert (tmp_path / "plan.yaml").read_text() == plan
    assert "months=12..24" in (tmp_path / "sample-plan.yaml").read_text()
    run(sampling(tmp_path, shop), ("sample",), ignore)
    assert shop.tables["twin"].columns["months"].max() > 24
    assert "months" not in (tmp_path / "sample-plan.yaml").read_text()


def test_a_twin_that_failed_once_it_was_begun_takes_the_place_of_the_last(tmp_path: Path) -> None:
    class Breaks(Memory):
        def draw(self, *args: Any, **named: Any) -> dict[str, Any]:
            (tmp_path / "twin").mkdir()
            raise RuntimeError("a worker is lost")

    whole_run(tmp_path)
    with pytest.raises(RuntimeError):
        run(sampling(tmp_path, Breaks()), ("sample",), ignore)
    assert RunFolder(tmp_path).step("sample") is None
    assert list((tmp_path / "twin").iterdir()) == []
    assert not (tmp_path / ".before").exists()


def test_a_refused_scoring_leaves_the_run_folder_as_it_was(tmp_path: Path) -> None:
    whole_run(tmp_path)
    before = files(tmp_path)
    with pytest.raises(OtherPlanError):
        run(sampling(tmp_path, Memory(), sample={"subjects": 5}), ("evaluate",), ignore)
    assert files(tmp_path) == before


def test_learning_again_takes_back_the_plans_of_later_steps_and_a_skipped_one_does_not(
    tmp_path: Path,
) -> None:
    whole_run(tmp_path)
    shop = Memory()
    run(sampling(tmp_path, shop, sample={"where": ["months=12..24"]}), ("sample",), ignore)
    assert (tmp_path / "sample-plan.yaml").exists()
    run(sampling(tmp_path, shop, run={"resume": "if-possible"}), ("fit",), ignore)  # is complete
    assert (tmp_path / "sample-plan.yaml").exists()
    RunFolder(tmp_path).forget(STEPS[1:])
    assert not (tmp_path / "sample-plan.yaml").exists()


def test_a_kept_plan_does_not_say_that_a_call_was_resumed_or_quiet() -> None:
    plan = plan_from({"seed": 3, "run": {"resume": "always", "quiet": True}})
    kept = plan_from(yaml.safe_load(plan.kept()))
    assert (kept.run.resume, kept.run.quiet, kept.seed) == ("never", False, 3)


def test_learning_alone_needs_as_many_subjects_as_its_generator(tmp_path: Path) -> None:
    made = job(tmp_path, Memory())
    facts = {"subjects_train": 1, "subjects_holdout": 30, "rows_kept": 31, "identifiers": {}}
    made.folder.complete("ingest", made.plan.fingerprint("ingest"), 0.0, facts)
    with pytest.raises(TooFewSubjectsError, match="needs 2 subjects"):
        run(made, ("fit",), ignore)


@pytest.mark.parametrize(("limit", "code"), [(0.5, 0), (0.9999, 3)])
def test_a_missed_gate_gives_exit_code_3(tmp_path: Path, limit: float, code: int) -> None:
    gates = [{"metric": "pairs", "at_least": limit}]
    outcome = run(job(tmp_path / "run", Memory(), evaluate={"gates": gates}), STEPS, ignore)
    assert outcome.exit_code == code
    assert len(outcome.missed) == (code == 3)


def test_plans_that_cannot_work_are_refused_before_anything_starts() -> None:
    with pytest.raises(NotForShapeError, match="autoregressive"):
        check(plan_from({"generator": {"name": "markov"}}), FLAT)
    with pytest.raises(UnknownGateError, match="paris"):
        check(plan_from({"evaluate": {"gates": [{"metric": "paris", "at_least": 1.0}]}}), FLAT)


@pytest.mark.parametrize("setting", ["temperature", "top_p"])
def test_a_temperature_is_refused_where_a_generator_has_none(setting: str) -> None:
    asked = {"generator": {"name": "independent"}, "sample": {setting: 0.5}}
    with pytest.raises(CannotTemperError) as error:
        check(plan_from(asked), FLAT)
    assert error.value.facts == {"generator": "independent", "settings": [setting]}
    assert error.value.hint.endswith("--generator.name transformer")
    check(plan_from({**asked, "generator": {"name": "transformer"}}), EVENTS)


def test_one_subject_to_learn_from_is_refused_after_ingest(tmp_path: Path) -> None:
    class Lonely(Memory):
        def ingest(self, plan: Plan, schema: Any) -> dict[str, Any]:
            return {**super().ingest(plan, schema), "subjects_train": 1, "subjects_holdout": 1}

    with pytest.raises(TooFewSubjectsError, match="needs 2 subjects"):
        run(job(tmp_path / "run", Lonely()), STEPS, ignore)
    assert RunFolder(tmp_path / "run").step("ingest") is None


@pytest.mark.parametrize("name", GENERATORS.names())
def test_one_subject_less_than_a_generator_needs_is_refused_and_says_how_many(
    tmp_path: Path, name: str
) -> None:
    least = max(GENERATORS.get(name).min_subjects, 2)

    class Small(Memory):
        train = least - 1

        def ingest(self, plan: Plan, schema: Any) -> dict[str, Any]:
            facts = super().ingest(plan, schema)
            return {**facts, "subjects_train": self.train, "subjects_holdout": 3}

    with pytest.raises(TooFewSubjectsError, match=f"\\] {name} needs {least} subjects") as error:
        job(tmp_path, Small(), generator={"name": name}).ingest()
    assert error.value.facts["subjects"] == least - 1
    assert error.value.facts["held_out"] == 3
    Small.train = least
    assert job(tmp_path, Small(), generator={"name": name}).ingest()["subjects_train"] == least


def test_the_networks_need_twenty_subjects_and_counts_two() -> None:
    needs = {name: GENERATORS.get(name).min_subjects for name in GENERATORS.names()}
    assert {n for n, least in needs.items() if least == 20} == {
        "autoregressive", "gan", "transform", "transformer", "vae",
    }  # fmt: skip
    assert needs["markov"] == 2


def test_a_condition_holds_in_the_twin_which_is_scored_against_records_that_hold_it(
    tmp_path: Path,
) -> None:
    shop = Memory()
    outcome = run(job(tmp_path, shop, sample={"where": ["months=12..24"]}), STEPS, ignore)
    assert shop.tables["twin"].columns["months"].min() >= 12
    assert shop.tables["twin"].columns["months"].max() <= 24
    train = shop.tables["train"].columns["months"]
    held = int(((train >= 12) & (train <= 24)).sum())
    assert outcome.evaluation.sizes["train"] == {"rows": held, "subjects": held}


def test_a_condition_on_no_field_is_refused_before_anything_starts(tmp_path: Path) -> None:
    this = job(tmp_path, Memory(), sample={"where": ["month=3"]})
    with pytest.raises(BadConditionError) as error:
        check(this.plan, FLAT)
    assert "months" in error.value.hint


# ---- without a source ---------------------------------------------------------------------------

COLD = {
    "records": {"family": "cdr"},
    "generator": {"name": "simulation", "params": {"days": 2, "block_size": 64, "cells": 10}},
    "sample": {"subjects": 40},
}


def test_without_a_source_nothing_is_ingested_and_evaluated(tmp_path: Path) -> None:
    class Nothing(Memory):
        def engine(self, part: str) -> Any:
            return NoRecords()

    plan = plan_from(COLD)
    steps = cold_steps(plan, STEPS)
    assert steps == ("fit", "sample")
    schema = plan.schema_of()
    assert schema is not None
    check(plan, schema)
    folder, shop = RunFolder(tmp_path / "run"), Nothing()
    folder.open(plan.to_yaml())
    outcome = run(Job(plan, schema, folder, shop, silent), steps, ignore)
    assert shop.calls == ["draw twin"]
    assert outcome.evaluation is None
    assert load_saved(tmp_path / "run" / "models" / "twin").identifiers["#key"]["places"][0] == "=9"


def cold(share: float) -> dict[str, Any]:
    """COLD with a share of its 40 subjects in rings of four."""
    ring = {"kind": "fraud_ring", "subjects": share, "ring_size": 4}
    params = {**COLD["generator"]["params"], "scenarios": [ring]}
    return {**COLD, "generator": {"name": "simulation", "params": params}}


def test_a_scenario_that_takes_nobody_is_refused_before_anything_starts() -> None:
    plan = plan_from(cold(0.01))  # 0.4 of a subject
    with pytest.raises(SynthError, match="takes none of 40 subjects") as error:
        check(plan, plan.schema_of())
    assert error.value.code == "SYN-762"
    check(plan_from(cold(0.05)), plan.schema_of())
    parts = [{"where": ["region=north"], "share": 0.5}]  # numbered part by part: not foretold
    check_reach(plan_from({**cold(0.01), "sample": {"subjects": 40, "quotas": parts}}), 40)


def test_a_ring_that_is_not_whole_is_said_in_the_step_on_the_screen_and_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Nothing(Memory):
        def engine(self, part: str) -> Any:
            return NoRecords()

    plan = plan_from(cold(0.05))
    folder = RunFolder(tmp_path / "run")
    folder.open(plan.to_yaml())
    this = Job(plan, plan.schema_of(), folder, Nothing(), silent)
    run(this, ("fit", "sample"), ignore)
    notes = folder.step("sample")["facts"]["twin"]["notes"]
    assert notes == [
        "fraud_ring takes 2 of 40 subjects, only one of 2 in place of 4; "
        "the next whole ring needs 70 subjects."  # 3.5 is rounded up
    ]
    assert notes[0] in facts(this)["not_tested"]
    tell_notes(notes)
    assert notes[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"generator": {"name": "independent"}, "records": {}}, NoSourceError),
        ({"sample": {}}, ColdStartError),
        ({"records": {}}, ColdStartError),
    ],
)
def test_without_a_source_a_plan_must_say_what_to_make(
    change: dict[str, Any], error: type[SynthError]
) -> None:
    with pytest.raises(error):
        cold_steps(plan_from({**COLD, **change}), STEPS)


def test_steps_that_need_records_are_refused_without_a_source() -> None:
    with pytest.raises(NoSourceError):
        cold_steps(plan_from(COLD), ("ingest",))


def test_a_family_that_a_generator_has_no_rules_for_is_refused() -> None:
    with pytest.raises(NotForFamilyError, match="simulation"):
        check(plan_from({"generator": {"name": "simulation"}}), FLAT)


def test_calls_without_a_key_and_a_time_are_refused() -> None:
    columns = {"event_at": None, "event_type": None}
    plan = plan_from({**COLD, "records": {"family": "cdr", "columns": columns}})
    schema = plan.schema_of()
    assert schema is not None
    with pytest.raises(NotForShapeError, match="cdr"):
        check(plan, schema)
