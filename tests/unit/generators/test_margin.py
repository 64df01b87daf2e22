"""Claims about drawn columns that are moved until they are spread as the records' are."""

from __future__ import annotations

import numpy as np

from synth_spark.core.wire import dumps, loads
from synth_spark.generators._forest import spikes
from synth_spark.generators._margin import KNOTS, Margin

NONE = np.zeros(0, np.float32)


def farthest(a: np.ndarray, b: np.ndarray) -> float:
    """Kolmogorov's distance, by looking at every value."""
    both = np.concatenate([a, b])
    return float(max(abs((a <= x).mean() - (b <= x).mean()) for x in both))


def test_moved_values_are_spread_as_the_records() -> None:
    """600 of each: two samples of one distribution lie .03 to .09 apart (99 of 100)."""
    rng = np.random.default_rng(1)
    real, drawn = rng.gamma(2.0, 3.0, 600), rng.gamma(4.0, 2.0, 600)
    margin = Margin.learn(drawn, real, NONE)
    fresh = rng.gamma(4.0, 2.0, 600)
    assert farthest(fresh, real) > 0.2
    assert farthest(margin.onto(fresh), real) < 0.09


def test_the_order_of_values_stays_and_none_reaches_the_mean_of_the_five_outermost() -> None:
    rng = np.random.default_rng(2)
    real, drawn = rng.normal(0, 1, 300), rng.normal(5, 3, 300)
    margin = Margin.learn(drawn, real, NONE)
    moved = margin.onto(np.sort(rng.normal(5, 6, 1_000)))
    assert (np.diff(moved) >= 0).all()
    ordered = np.sort(real)
    assert ordered[:5].mean() <= moved.min() <= moved.max() <= ordered[-5:].mean()
    assert (moved == moved.max()).sum() < 20


def test_at_least_five_records_lie_between_two_knots() -> None:
    real = np.arange(12.0)
    margin = Margin.learn(np.arange(12.0) + 1, real, NONE)
    assert len(margin.at) == 2
    np.testing.assert_allclose(margin.onto(np.array([5.0])), [4.0])
    assert not len(Margin.learn(np.arange(12.0), np.arange(9.0), NONE).at)
    assert len(Margin.learn(np.arange(900.0), np.arange(900.0), NONE).at) == KNOTS


def test_a_value_that_many_rows_share_stays_and_the_rest_moves() -> None:
    rng = np.random.default_rng(3)
    real = np.where(rng.random(500) < 0.4, 0.0, rng.uniform(10, 20, 500))
    drawn = np.where(rng.random(500) < 0.5, 0.0, rng.uniform(12, 26, 500))
    margin = Margin.learn(drawn, real, spikes(real))
    moved = margin.onto(drawn)
    np.testing.assert_array_equal(moved == 0, drawn == 0)
    assert farthest(moved[moved > 0], real[real > 0]) < 0.06


def test_a_value_that_all_draws_share_goes_to_the_middle_of_the_records() -> None:
    real = np.random.default_rng(5).normal(3, 1, 200)
    margin = Margin.learn(np.full(50, 7.0), real, NONE)
    assert abs(margin.onto(np.full(1, 7.0))[0] - np.median(real)) < 0.1


def test_a_margin_reads_back_from_its_state() -> None:
    rng = np.random.default_rng(4)
    drawn = rng.normal(size=100)
    margin = Margin.learn(drawn, rng.normal(2, 1, 100), NONE)
    again = Margin.from_state(loads(dumps(margin.state())))
    np.testing.assert_array_equal(again.onto(drawn), margin.onto(drawn))
