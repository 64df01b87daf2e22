"""Conditions of a plan as whole numbers of subjects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from synth_spark.config import plan_from
from synth_spark.core.conditions import CannotConditionError, Condition
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.progress import silent
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError
from synth_spark.generators._events_conditions import coded_objection
from synth_spark.generators._events_decode import learn_base
from synth_spark.generators._events_episodes import Histories
from synth_spark.generators._gpt_prompts import undrawn
from synth_spark.pipelines.conditions import check_conditions, shares_of
from synth_spark.pipelines.folder import RunFolder
from synth_spark.pipelines.run import Job
from tests.contract.cases import EVENTS, FLAT, event_records


def sizes(subjects: int, **sample: object) -> list[tuple[str, int]]:
    plan = plan_from({"sample": sample})
    return [(s.condition.text(), s.subjects) for s in shares_of(plan.sample, FLAT, subjects)]


def test_without_conditions_all_are_free() -> None:
    assert sizes(10) == [("", 10)]


def test_quotas_are_exact_and_add_to_what_holds_for_all() -> None:
    quotas = [{"where": ["plan=max"], "share": 0.5}, {"where": ["plan=plus"], "subjects": 3}]
    assert sizes(11, where=["months=1..9"], quotas=quotas) == [
        ("months=1..9 plan=max", 6),  # 5.5 by largest remainder
        ("months=1..9 plan=plus", 3),
        ("months=1..9", 2),
    ]


def test_shares_that_make_a_whole_leave_nobody_over() -> None:
    thirds = [{"where": [f"plan={p}"], "share": 1 / 3} for p in ("basic", "plus", "max")]
    assert [n for _, n in sizes(100, quotas=thirds)] == [34, 33, 33]


def test_what_one_quota_leaves_is_free_and_two_halves_leave_nothing() -> None:
    """So half of a label asked for gives more than half of it: its share of the rest comes too."""
    half, other = ({"where": [f"plan={p}"], "share": 0.5} for p in ("max", "plus"))
    assert sizes(10, quotas=[half]) == [("plan=max", 5), ("", 5)]
    assert sizes(10, quotas=[half, other]) == [("plan=max", 5), ("plan=plus", 5)]


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(PlanError):
        sizes(10, quotas=[{"where": ["plan=max"], "subjects": 11}])


@pytest.mark.parametrize("quota", [{}, {"share": 0.1, "subjects": 5}])
def test_a_quota_has_one_size(quota: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        plan_from({"sample": {"quotas": [{"where": ["plan=max"], **quota}]}})


def test_a_generator_that_cannot_says_why_before_anything_starts() -> None:
    plan = plan_from({"sample": {"where": ["hour=3"]}})
    with pytest.raises(CannotConditionError, match="cut out"):
        check_conditions(GENERATORS.get("transform"), "transform", plan.sample, EVENTS)


# ---- what is known once the columns are coded ---------------------------------------------------


def fitted(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, **sample: object) -> None:
    """Fit by a generator whose dear parts, its trees and its training, fail if they are begun."""

    def begun(*args: object, **settings: object) -> None:
        raise RuntimeError("the dear part began")

    class Shop:
        def engine(self, part: str) -> Local:
            return Local(event_records(), train=begun)

    monkeypatch.setattr(Histories, "learn", begun)
    plan = plan_from({"generator": {"name": name}, "sample": sample})
    check_conditions(GENERATORS.get(name), name, plan.sample, EVENTS)
    folder = RunFolder(tmp_path)
    folder.open(plan.to_yaml())
    counts = {"subjects_train": 99, "subjects_holdout": 1, "rows_kept": 999}
    facts = {"identifiers": {}, **counts}
    folder.complete("ingest", plan.fingerprint("ingest"), 0.0, facts)
    Job(plan, EVENTS, folder, Shop(), silent).fit()


ASKED = [
    {"where": ["cell=cell07|cell08"]},
    {"quotas": [{"where": ["cell=cell07"], "share": 0.5}], "where": ["what=call"]},
]


@pytest.mark.parametrize("sample", ASKED, ids=["where", "quota"])
@pytest.mark.parametrize("name", ["markov", "autoregressive", "gan"])
def test_a_label_that_stands_behind_ranks_is_refused_before_any_tree_or_training(
    tmp_path: Path, name: str, sample: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotConditionError, match="among the subject's own") as error:
        fitted(tmp_path, name, monkeypatch, **sample)
    assert error.value.facts["field"] == "cell"
    assert error.value.facts["generator"] == name


@pytest.mark.parametrize("name", ["markov", "autoregressive", "gan", "transformer"])
def test_what_can_be_drawn_under_is_not_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["what=call", "region=north", "hour=8..20", "seconds=1..60"]
    asked += ["cell=cell07"] if name == "transformer" else []
    with pytest.raises(RuntimeError, match="dear part"):
        fitted(tmp_path, name, monkeypatch, where=asked)


def test_a_number_that_follows_from_the_next_events_time_is_refused_too() -> None:
    base, _ = learn(learn_base(EVENTS, min_subjects=1, bins=8, leaf=20, trees=1, seed=0),
                    Local(event_records()))  # fmt: skip
    clauses = Condition.parse(["seconds=1..60", "hour=3"], EVENTS).clauses
    followed = replace(base.coder, nums=(), dwells=base.coder.nums)
    for objects in (coded_objection, undrawn):
        assert [objects(base.coder, c) for c in clauses] == ["", ""]
        assert "seconds is not drawn" in objects(followed, clauses[0])
        assert not objects(followed, clauses[1])
