"""Whom scenarios reach: counted before anything is drawn, and said where it is less than asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth_spark.config.scenarios import Scenario, scenarios_from
from synth_spark.core.ports import Foretells
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._sim_quota import exact, members
from synth_spark.generators._sim_reach import check_reach, few_events, reached, shortfalls
from synth_spark.generators._sim_scenarios import ScenarioFitError

RING: dict[str, Any] = {"kind": "fraud_ring", "subjects": 0.001, "ring_size": 8}
MIXED = scenarios_from(
    [
        {"kind": "outage", "starts_h": 1, "lasts_h": 1},
        {**RING, "subjects": 0.013, "ring_size": 3},
        {"kind": "robo_calls", "subjects": 0.007},
        {"kind": "rare", "events": 0.01},
        {"kind": "stadium", "starts_h": 1, "lasts_h": 1, "subjects": 0.02},
    ]
)


@pytest.mark.parametrize("subjects", [1, 77, 499, 500, 1_234, 20_000])
def test_the_counts_are_those_of_the_draw(subjects: int) -> None:
    rates = [exact(getattr(s, "subjects", None) or 0.0) for s in MIXED]
    which, _ = members(np.arange(subjects), rates)
    drawn = [int((which == k).sum()) for k in (1, 2, 4)]
    assert [r.subjects for r in reached(MIXED, subjects)] == drawn


@pytest.mark.parametrize("subjects", [100, 2_000])
def test_with_as_many_subjects_as_are_needed_the_next_ring_is_whole(subjects: int) -> None:
    before = reached(MIXED, subjects)[0]
    assert reached(MIXED, before.needed)[0].rings == before.rings + 1
    assert reached(MIXED, before.needed - 1)[0].rings == before.rings


def told(*entries: dict[str, Any]) -> tuple[Scenario, ...]:
    return scenarios_from(entries)


def test_a_scenario_that_takes_nobody_is_refused_with_what_it_needs() -> None:
    with pytest.raises(ScenarioFitError, match="fraud_ring takes none of 300 subjects") as error:
        check_reach(told(RING), 300)
    assert error.value.code == "SYN-762"
    assert error.value.facts["needed_for_one"] == 500  # 0.5 of one is rounded up
    assert error.value.facts["needed"] == 7_500  # 7.5 is rounded up to a ring of eight
    assert "7,500" in str(error.value)
    check_reach(told(RING), 500)
    with pytest.raises(ScenarioFitError):
        check_reach(told(RING), 499)


def test_a_ring_that_is_smaller_than_asked_is_said_with_its_numbers() -> None:
    assert shortfalls(told(RING), 2_000) == (
        "fraud_ring takes 2 of 2,000 subjects, only one of 2 in place of 8; "
        "the next whole ring needs 7,500 subjects.",
    )
    assert shortfalls(told(RING), 10_000) == (
        "fraud_ring takes 10 of 10,000 subjects, 1 whole and one of 2 in place of 8; "
        "the next whole ring needs 15,500 subjects.",
    )
    assert shortfalls(told(RING), 8_000) == ()
    assert shortfalls(told({"kind": "robo_calls"}), 10_000) == ()


def test_a_share_of_less_than_one_event_is_said() -> None:
    rare = told({"kind": "rare", "events": 0.0001})
    assert "less than one of 5,000" in few_events(rare, 5_000)[0]
    assert few_events(rare, 10_000) == ()


def test_the_simulation_foretells_and_no_other_generator_does() -> None:
    known = [n for n in GENERATORS.names() if isinstance(GENERATORS.get(n), Foretells)]
    assert known == ["simulation"]
