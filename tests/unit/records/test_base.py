from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import FAMILIES
from synth_spark.records.base import Rule, first_broken, missing, present, within


def test_the_first_broken_rule_is_named_and_a_missing_number_breaks_no_bound() -> None:
    rules = (present("id"), within("x", 0.0, 10.0, "s"))
    rows = {
        "id": np.array(["a", None, "c", "d", None], dtype=object),
        "x": np.array([5.0, 5.0, 11.0, np.nan, -1.0]),
    }
    assert first_broken(rules, rows).tolist() == [-1, 0, 1, -1, 0]


def test_a_bound_is_inclusive_and_its_sentence_says_it() -> None:
    rule = within("x", 0.0, 10.0, "s")
    assert rule.sentence == "x is between 0.0 and 10.0 s"
    assert rule.holds({"x": np.array([0.0, 10.0, 10.1])}).tolist() == [True, True, False]


def test_a_rule_is_skipped_where_its_column_is_absent() -> None:
    rule = Rule(sentence="never", columns=("y",), holds=lambda rows: rows["y"] > 0)
    assert first_broken((rule,), {"x": np.array([1.0])}).tolist() == [-1]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan]),
        np.array(["2026-01-01", "NaT"], dtype="datetime64[us]"),
        np.array(["a", None], dtype=object),
        np.array(["a", np.nan], dtype=object),
    ],
)
def test_nan_nat_and_none_are_missing(values: np.ndarray) -> None:
    assert missing(values).tolist() == [False, True]


def test_any_table_of_events_gets_the_rules_of_its_own_key_time_numbers_and_places() -> None:
    schema = Schema(
        family="events",
        shape="events",
        key=Column(name="who", kind="identifier", per="subject"),
        time="when",
        columns=(
            Column(name="when", kind="time"),
            Column(name="n", kind="number"),
            Column(name="lat", kind="place", partner="lon"),
            Column(name="lon", kind="place"),
        ),
    )
    rules = FAMILIES.get("events").rules_for(schema)
    rows = {
        "who": np.array([None, "a", "a", "a", "a", "a"], dtype=object),
        "when": np.array(["2026"] * 1 + ["NaT"] + ["2026"] * 4, dtype="datetime64[us]"),
        "n": np.array([1.0, 1.0, np.inf, 1.0, 1.0, np.nan]),
        "lat": np.array([0.0, 0.0, 0.0, 90.5, 0.0, np.nan]),
        "lon": np.array([0.0, 0.0, 0.0, 0.0, -181.0, np.nan]),
    }
    broken = [rules[i].columns[0] if i >= 0 else "" for i in first_broken(rules, rows)]
    assert broken == ["who", "when", "n", "lat", "lon", ""]
