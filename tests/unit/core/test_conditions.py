"""Conditions as text, and what holds them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from synth_spark.config import plan_from
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import BadConditionError, Condition, held_rows
from synth_spark.core.schema import Column
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


def texts(text: str, schema=EVENTS) -> list[str]:
    return [c.text() for c in Condition.parse([text], schema).clauses]


def test_the_issues_own_prompt_is_four_clauses_and_its_family_none() -> None:
    columns = (*EVENTS.columns, *(Column(name=n, kind="category") for n in ("plan", "fault")))
    calls = replace(EVENTS, family="cdr", columns=columns)
    asked = "family=cdr region=rural plan=prepaid hour=18..20 fault=outage"
    told = ["region=rural", "plan=prepaid", "hour=18..20", "fault=outage"]
    assert texts(asked, calls) == told
    assert Condition.parse(asked.split(), calls) == Condition.parse([asked], calls)
    assert Condition.parse(["family=cdr"], calls).clauses == ()


@pytest.mark.parametrize("asked", ["family=location", "family=", "region=north family=cdr|x"])
def test_another_family_than_the_records_is_refused(asked: str) -> None:
    with pytest.raises(BadConditionError, match="of events") as error:
        Condition.parse([asked], EVENTS)
    assert error.value.facts["family"] == "events"


def test_a_column_called_family_is_a_column() -> None:
    own = replace(FLAT, columns=(Column(name="family", kind="category"),))
    assert texts("family=smith", own) == ["family=smith"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("plan=basic x=3", ("basic x=3",)),  # x is no field
        ("plan=basic plus| max ", ("basic plus", "max")),
        ("plan=a hour=3", ("a hour=3",)),  # profiles have no clock
        ("plan=a monthsmore=3", ("a monthsmore=3",)),
        ('plan="a months=3"', ("a months=3",)),
        ('plan=b|"a months=3"', ("b", "a months=3")),
        ('plan="a|b"|c', ("a|b", "c")),
        ('plan=" a"', (" a",)),
        ('plan=""a""', ('"a"',)),
        ('plan=12" pipe', ('12" pipe',)),
        ('plan=""', ("",)),
    ],
)
def test_what_is_no_field_or_stands_in_quotation_marks_belongs_to_the_label(
    text: str, labels: tuple[str, ...]
) -> None:
    (found,) = Condition.parse([text], FLAT).clauses
    assert found.labels == labels
    assert Condition.parse([found.text()], FLAT).clauses == (found,)  # said so that it reads alike


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plan=basic months=1..12", ["plan=basic", "months=1..12"]),
        ("plan=basic plus months = 3  bill=", ["plan=basic plus", "months=3", "bill="]),
        ("bill= plan=a|b", ["bill=", "plan=a|b"]),
        ('plan="a months=3" months=4', ['plan="a months=3"', "months=4"]),
        ('plan="a" months=4', ["plan=a", "months=4"]),
    ],
)
def test_a_text_is_cut_before_each_field(text: str, found: list[str]) -> None:
    assert texts(text, FLAT) == found


def test_a_field_whose_name_ends_like_another_is_not_cut() -> None:
    columns = tuple(Column(name=n, kind="number") for n in ("charges", "total charges"))
    bills = replace(FLAT, columns=columns)
    assert texts("total charges=5", bills) == ["total charges=5"]
    assert texts("charges=1 total charges=5", bills) == ["charges=1", "total charges=5"]


def test_a_field_that_stands_twice_in_one_text_is_refused() -> None:
    with pytest.raises(BadConditionError, match="twice"):
        texts("months=1 months=2", FLAT)


def test_a_plan_takes_one_text_or_a_list() -> None:
    one = plan_from({"sample": {"where": "plan=a months=3"}}).sample.where
    told = plan_from({}, ["--sample.where", "plan=a months=3"]).sample.where
    listed = plan_from({"sample": {"where": ["plan=a", "months=3"]}}).sample.where
    assert Condition.parse(one, FLAT) == Condition.parse(listed, FLAT)
    assert told == one == ("plan=a months=3",)
    quota = {"where": "plan=a months=3", "share": 0.5}
    assert plan_from({"sample": {"quotas": [quota]}}).sample.quotas[0].where == one


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
