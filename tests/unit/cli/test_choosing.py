"""Which generator `auto` takes, and that it says why."""

from __future__ import annotations

import pytest

from synth_spark.choosing import choose
from synth_spark.config import plan_from
from synth_spark.errors import PlanError
from tests.contract.cases import EVENTS, FLAT


@pytest.mark.parametrize(
    ("schema", "rows", "subjects", "can_train", "name", "word"),
    [
        (FLAT, 5_000, 5_000, True, "autoregressive", "5,000 rows"),
        (FLAT, 12, 12, True, "independent", "too few"),
        (EVENTS, 9_000, 300, True, "autoregressive", "9,000 events of 300 subjects"),
        (EVENTS, 9_000, 300, False, "markov", "torch"),
        (EVENTS, 9_000, 7, True, "markov", "too few subjects"),
        (EVENTS, 2_000_000_000, 9_000_000, True, "markov", "two passes"),
    ],
)
def test_it_goes_by_shape_and_size(schema, rows, subjects, can_train, name, word) -> None:
    found = choose(schema, rows, subjects, can_train=can_train)
    assert found.name == name
    assert word in found.why


def test_settings_of_a_generator_need_its_name() -> None:
    with pytest.raises(PlanError):
        plan_from({"generator": {"params": {"max_epochs": 2}}})
