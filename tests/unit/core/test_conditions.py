"""Conditions as text, and what holds them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import BadConditionError, Condition, held_rows
from tests.contract.cases import EVENTS, FLAT


def clause(text: str, schema=FLAT):
    return Condition.parse([text], schema).clauses[0]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("months=12", 12, 12),
        ("months=1..12", 1, 12),
        ("months=..12", -math.inf, 12),
        ("months=12..", 12, math.inf),
        (" bill = -1.5 .. 2.5 ", -1.5, 2.5),
        ("joined=1970-01-02", 86_400, 2 * 86_400 - 1e-6),
        ("joined=1970-01-01..1970-01-02", 0, 2 * 86_400 - 1e-6),
        ("joined=1970-01-01T00:01..", 60, math.inf),
    ],
)
def test_ranges_hold_both_ends_and_a_day_is_a_whole_day(text: str, low: float, high: float) -> None:
    found = clause(text)
    assert (found.low, found.high) == (low, pytest.approx(high))


def test_labels_may_hold_spaces_and_several_are_parted_by_bars() -> None:
    assert clause("plan=basic plus| max ").labels == ("basic plus", "max")


def test_nothing_behind_the_sign_asks_for_missing_values() -> None:
    assert clause("bill=").missing


@pytest.mark.parametrize(
    "text",
    [
        "plan", "=x", "month=3", "months=a", "months=5..1", "months=nan", "joined=soon",
        "hour=3", "who=7",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadConditionError):
        clause(text)


@pytest.mark.parametrize("text", ["hour=24", "hour=-1", "hour=20..3", "weekday=noday", "hour="])
def test_clocks_have_hours_and_days(text: str) -> None:
    with pytest.raises(BadConditionError):
        clause(text, EVENTS)


def test_the_nearest_field_is_named() -> None:
    with pytest.raises(BadConditionError) as error:
        clause("mnths=3")
    assert "'months'" in error.value.hint


def test_a_field_stands_in_one_clause_only() -> None:
    with pytest.raises(BadConditionError) as error:
        Condition.parse(["months=1", "months=2"], FLAT)
    assert error.value.facts["field"] == "months"


def test_rows_that_hold_are_kept_and_subjects_without_any_are_left_out() -> None:
    records = Records(
        {
            "at": np.array(
                ["2024-03-04T08:00", "2024-03-04T19:30", "2024-03-05T03:00", "2024-03-09T18:00"],
                "datetime64[us]",
            ),
            "what": Coded.of(["call", "text", None, "call"]),
            "seconds": np.array([60.0, np.nan, 10.0, 30.0]),
        },
        np.array([0, 2, 3, 4]),
    )

    def rows(*texts: str) -> list[int]:
        held = held_rows(Condition.parse(texts, EVENTS), EVENTS, records)
        return [held.rows, held.subjects]

    assert rows("hour=18..20") == [2, 2]  # 19:30 of the first, 18:00 of the third
    assert rows("weekday=sat") == [1, 1]  # 9 March 2024
    assert rows("what=call") == [2, 2]
    assert rows("what=") == [1, 1]
    assert rows("seconds=") == [1, 1]
    assert rows("what=call", "seconds=..40") == [1, 1]
