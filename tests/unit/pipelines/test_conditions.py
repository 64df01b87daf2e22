"""Conditions of a plan as whole numbers of subjects."""

from __future__ import annotations

import pytest

from synth_spark.config import plan_from
from synth_spark.core.conditions import CannotConditionError
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError
from synth_spark.pipelines.conditions import check_conditions, shares_of
from tests.contract.cases import EVENTS, FLAT


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
