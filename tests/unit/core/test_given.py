"""A table of conditions: which columns count, and what a row asks for."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import BadConditionError, Clause
from synth_spark.core.given import (
    BadGivenError,
    asked_columns,
    condition_of,
    held_exactly,
    row_text,
)
from synth_spark.core.schema import Column, Schema

EVENTS = Schema(
    family="events",
    shape="events",
    key=Column(name="who", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time"),
        Column(name="lat", kind="place", partner="lon"),
        Column(name="lon", kind="place"),
        Column(name="plan", kind="category", per="subject"),
        Column(name="spent", kind="number"),
        Column(name="born", kind="time", source_type="date", per="subject"),
        Column(name="seen", kind="time", per="subject"),
        Column(name="line", kind="text"),
    ),
)


def test_columns_are_known_by_their_name_in_the_source_or_in_the_plan() -> None:
    asked = asked_columns(["Tariff", "spent", "hour"], EVENTS, {"plan": "Tariff", "spent": "x"})
    assert asked.fields == ("plan", "spent", "hour")  # in the order of the records, clock last
    assert asked.names == {"plan": "Tariff", "spent": "spent", "hour": "hour"}


def test_ids_and_log_lines_are_left_out_and_said() -> None:
    asked = asked_columns(["who", "line", "plan"], EVENTS, {})
    assert (asked.fields, asked.left_out) == (("plan",), ("who", "line"))
    assert "who, line left out" in asked.sentence()


def test_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadConditionError) as caught:
        asked_columns(["plam"], EVENTS, {})
    assert caught.value.facts["field"] == "plam"
    assert "'plan'" in caught.value.hint


@pytest.mark.parametrize(
    ("there", "fact"),
    [
        (["plan", "Tariff"], {"columns": ["plan", "Tariff"]}),
        (["lat", "plan"], {"column": "lat"}),
        (["lon"], {"column": "lon"}),
        (["who"], {}),
    ],
)
def test_what_no_subject_could_hold_is_refused(there: list[str], fact: dict[str, object]) -> None:
    with pytest.raises(BadGivenError) as caught:
        asked_columns(there, EVENTS, {"plan": "Tariff"})
    assert caught.value.facts == fact


def test_a_row_asks_for_its_cells_and_for_nothing_where_they_are_missing() -> None:
    asked = asked_columns(["plan", "spent", "hour", "weekday"], EVENTS, {})
    row = {"plan": "a|b", "spent": float("nan"), "hour": 18.0, "weekday": "Saturday"}
    assert condition_of(asked, row, [Clause(field="x", missing=True)]).clauses == (
        Clause(field="x", missing=True),
        Clause(field="plan", labels=("a|b",)),  # one label, whatever it holds
        Clause(field="hour", low=18, high=18),
        Clause(field="weekday", labels=("sat",)),
    )


def test_a_date_is_its_day_and_a_time_its_second_and_both_come_back_exactly() -> None:
    asked = asked_columns(["born", "seen", "spent"], EVENTS, {})
    row = {"born": 86_400.0 * 3, "seen": 86_400.0 * 3 + 5.25, "spent": 0.1}
    condition = condition_of(asked, row)
    born, seen = condition.of("born"), condition.of("seen")
    assert born is not None
    assert seen is not None
    assert born.holds(86_400.0 * 4 - 1)
    assert not born.holds(86_400.0 * 4)
    assert not seen.holds(86_400.0 * 3 + 6.25)
    assert row_text(asked, condition) == (
        "spent=0.1 born=1970-01-04 00:00:00 seen=1970-01-04 00:00:05"
    )
    drawn = {
        "born": np.array(["1970-01-04T07:00:00"], "datetime64[us]"),
        "seen": np.array(["1970-01-04T00:00:05.9"], "datetime64[us]"),
        "spent": np.array([0.1000000001]),
        "plan": Coded.of(["a"]),
    }
    held = held_exactly(asked, condition, Records.flat(drawn)).columns  # type: ignore[arg-type]
    assert held["born"][0] == np.datetime64("1970-01-04T00:00:00", "us")
    assert held["seen"][0] == np.datetime64("1970-01-04T00:00:05.250", "us")
    assert held["spent"][0] == 0.1


def test_serial_numbers_are_left_out_as_ids_are() -> None:
    columns = (Column(name="ticket", kind="number", unique=True), Column(name="n", kind="number"))
    asked = asked_columns(
        ["ticket", "n"], Schema(family="table", shape="flat", columns=columns), {}
    )
    assert (asked.fields, asked.left_out) == (("n",), ("ticket",))
