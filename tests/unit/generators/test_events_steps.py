"""Claims about the chain of markov's main category, and the table that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.category import Category
from synth_spark.core.batch import Coded
from synth_spark.generators._events_coder import EventColumn, Units
from synth_spark.generators._events_plan import _times
from synth_spark.generators._events_steps import Steps, kept_back, lift, moment, suited, wanted
from synth_spark.generators._events_steps_table import markdown, transitions
from synth_spark.generators._events_walk import pick_hour


def units(values: np.ndarray, hours: np.ndarray) -> Units:
    """Units of one Monday each, from values and hours of shape (units, events)."""
    n, each = values.shape
    none = np.zeros((n * each, 0))
    return Units(
        np.arange(n), np.full(n, 4), np.arange(n + 1) * each, hours.ravel() * 3_600.0,
        values.reshape(-1, 1).astype(np.int32), none.astype(np.int32), none,
    )  # fmt: skip


def shares(values: np.ndarray, size: int) -> np.ndarray:
    return np.array([np.bincount(row, minlength=size) / len(row) for row in values])


def test_a_value_that_comes_by_day_is_lifted_by_day_alone() -> None:
    rng = np.random.default_rng(5)
    day = rng.integers(0, 2, (400, 8))  # 0 by night; 1 or 2 by day
    values = np.where(day == 1, rng.integers(1, 3, day.shape), 0)
    hours = np.where(day == 1, 12.5, 2.5) + 24.0 * (np.arange(8) // 2)
    made = Steps.learn(units(values, hours), shares(values, 3), 3, told=1.0, weight=15.0)
    assert made.when[0, 6, 1] > made.when[0, 6, 0]
    assert made.when[0, 1, 0] > made.when[0, 1, 1]
    assert made.states == 3


def test_order_two_speaks_where_pairs_are_many_and_is_silent_where_they_are_few() -> None:
    values = np.array([[0, 1, 2, 0, 1, 2, 0, 1, 2], [2, 1, 0, 2, 1, 0, 2, 1, 0]])
    hours = np.tile(np.arange(9.0), (2, 1))
    many = np.tile(values, (100, 1))
    big = Steps.learn(
        units(many, np.tile(hours, (100, 1))), shares(many, 3), 3, told=0.0, weight=15.0
    )
    few = Steps.learn(units(values, hours), shares(values, 3), 3, told=0.0, weight=15.0)
    assert big.second[0, 1, 2] / big.second[0, 1, 0] > 10  # behind 0 and 1 comes 2
    assert few.second[0, 1, 2] / few.second[0, 1, 0] < 3
    assert big.states == 1  # the value left tells nothing of the gap


def test_an_hour_suits_a_value_as_often_as_it_comes_then_over_all_hours() -> None:
    """100 units with 0 at 2 and 3 h, 1 at 12 h; then 0 at 12 h of a Saturday."""
    values, hours = np.array([[0, 0, 1, 0]]), np.array([[2.0, 3.0, 12.0, 5 * 24 + 12.0]])
    many = units(np.tile(values, (100, 1)), np.tile(hours, (100, 1)))
    found = suited(many, np.array([0]), 3, weight=0.0)
    assert found[0, 2, 0] == pytest.approx(1 / 0.75)
    assert found[0, 12, :2] == pytest.approx([0, 1 / 0.25])
    assert found[1, 12, :2] == pytest.approx([1 / 0.75, 0])
    assert (found[..., 2] == 1).all()  # never came
    near = suited(many, np.array([0]), 3, weight=100.0)
    assert near[0, 12, 1] == pytest.approx((100 + 100 * 0.25) / (200 * 0.25))
    assert near[0, 20, :2] == pytest.approx([1, 1])  # nothing ever happens then


def test_a_lift_is_the_product_of_its_tables() -> None:
    first, second, when = np.full((3, 2), 3.0), np.full((2, 2, 2), 5.0), np.full((2, 12, 2), 2.0)
    first[-1] = 7.0  # of a unit's first event
    assert lift(first, second, when, 0, 0, -1, -1, 0) == 14.0
    assert lift(first, second, when, 0, 0, -1, 1, 0) == 6.0
    assert lift(first, second, when, 0, 0, 1, 1, 0) == 30.0


def test_a_moment_is_of_a_working_day_or_a_weekend() -> None:
    assert moment(4, 3_600.0 * 13) == (0, 6)
    assert moment(4, 86_400.0 * 5) == (1, 0)


def test_how_units_end_is_told_against_the_shares_of_their_values() -> None:
    """100 units of 0 1 2 0: 0 is half of the events and all of the last ones."""
    values = np.tile([[0, 1, 2, 0]], (100, 1))
    many = units(values, np.tile(np.arange(4.0), (100, 1)))
    made = Steps.learn(many, shares(values, 3), 3, told=0.0, weight=20.0)
    assert made.final == pytest.approx([(100 + 10) / (50 + 10), 5 / (25 + 5), 5 / (25 + 5)])


def test_the_value_that_units_begin_with_is_lifted_there_alone() -> None:
    """100 units of 0 1 2 1 2 0 in an order of their own, but for the 0 in front."""
    rng = np.random.default_rng(3)
    rest = np.array([rng.permutation([1, 2, 1, 2, 0]) for _ in range(400)])
    values = np.column_stack([np.zeros(400, np.int64), rest])
    hours = np.tile(np.arange(6.0) * 0.01 + 12, (400, 1))
    made = Steps.learn(units(values, hours), shares(values, 3), 3, told=0.0, weight=15.0)
    assert made.first[-1, 0] > 5 * made.first[-1, 1]
    assert made.first[-1, 1] == pytest.approx(made.first[-1, 2], rel=0.2)
    assert made.first[1, 0] < 1.5 * made.first[1, 2]


def test_the_last_value_is_drawn_by_its_share_and_how_units_end() -> None:
    share, final = np.array([0.5, 0.25, 0.25, 0.0]), np.array([2.0, 0.4, 1.6, 9.0])
    u = (np.arange(1_500) + 0.5) / 1_500  # weights 1, .1, .4 and none
    drawn = [kept_back(share, final, x) for x in u]
    assert np.bincount(drawn, minlength=4).tolist() == [1_000, 100, 400, 0]
    assert kept_back(np.zeros(4), final, 0.5) == -1


def test_the_event_that_is_kept_back_is_not_owed_before_the_last() -> None:
    assert wanted(3.0, 1, 1, 5, 0) == 2.0
    assert wanted(3.0, 0, 1, 5, 0) == 3.0  # another value
    assert wanted(1.0, 1, 1, 0, 2) == 1.0  # the last event itself
    assert wanted(2.0, 1, 1, 1, 0) == 1.0  # may follow itself
    assert wanted(2.0, 1, 1, 1, 2) < 0.001  # may not: it would be in its own way


def test_the_table_tells_what_follows_and_after_how_long() -> None:
    names = Coded.of(["home", "home", "work", "gym"])
    codec = Category.finish(Category.summarise(names, np.arange(4)), min_subjects=1)
    column = EventColumn("place", "plain", 3, -1, codec)
    chain = np.zeros((3, 3))
    at = {label: codec.labels.index(label) for label in ("home", "work", "gym")}
    chain[at["home"], at["work"]], chain[at["home"], at["gym"]] = 30, 10
    chain[at["work"], at["home"]] = 60
    dwell = np.zeros((3, 48))
    dwell[at["home"], 20] = 40
    dwell[at["work"], 10] = 60
    work, home = transitions(column, chain, dwell, 15.0)
    assert (work["value"], home["value"]) == ("work", "home")
    assert home["next"] == {"work": 0.75, "gym": 0.25}
    assert home["gap_s"][0] == pytest.approx(2**10.25, abs=1)
    assert work["share"] == 0.6
    assert work["order"] == pytest.approx(1 + 30 / 45, abs=0.01)  # 30 pairs lead to it
    text = markdown("place", [work, home])
    assert "| home | 40.0% |" in text
    assert "work 75%, gym 25%" in text


def test_where_events_are_few_the_pace_and_the_value_left_speak_by_themselves() -> None:
    """By hand: 3:1 for the pace, 3:1 for the value left and 5:3 in all make .9 : .167 of both."""
    counts = np.zeros((1, 2, 1, 1, 1, 2, 2))
    counts[0, 0, 0, 0, 0, 0] = 4_000, 4_000
    counts[0, 1, 0, 0, 0, 0] = counts[0, 0, 0, 0, 0, 1] = 3_000, 1_000
    share = _times(counts, 15.0)
    assert share[0, 1, 0, 0, 0, 1, 0] == pytest.approx(0.9 / (0.9 + 0.25**2 / 0.375), abs=0.01)
    assert share[0, 0, 0, 0, 0, 0, 0] == pytest.approx(0.5, abs=0.01)


def test_an_hour_is_picked_with_the_odds_of_the_night_tilted() -> None:
    """By hand: nights .2 of the row, odds 1/4; doubled they are 1/2, a part of 1/3."""
    row = np.zeros(24)
    row[[3, 12, 18]] = 0.2, 0.6, 0.2
    hours = [pick_hour(np.cumsum(row), 2.0, u) for u in (np.arange(3_000) + 0.5) / 3_000]
    found = np.bincount(hours, minlength=24) / 3_000
    assert found[[3, 12, 18]] == pytest.approx([1 / 3, 0.5, 1 / 6], abs=1e-3)
    assert pick_hour(np.cumsum(row), 1.0, 0.19) == 3
