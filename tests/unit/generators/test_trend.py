"""Claims about the lines that a subject's profile is drawn on."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from synth_spark.generators._forest import Forest
from synth_spark.generators._trend import Trend

GROWN = partial(Forest.fit, leaf=15, seed=1, name="rest")


def table(rows: int = 100) -> np.ndarray:
    """Three columns; the last follows from the second, with noise of a fifth."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    x[:, 2] = 2 * x[:, 1] + 0.4 * rng.normal(size=rows)
    return x


def test_a_draw_on_a_line_keeps_the_correlation_that_leaves_flatten() -> None:
    """Real .98; leaves of 15 of 63 rows alone give .6 to .9 (300 draws, standard error .01)."""
    x = table()
    trend = Trend.fit(x[:, :2], x[:, 2], np.ones(2, bool), GROWN)
    plain = Forest.fit(x[:, :2], x[:, 2], leaf=15, seed=1, name="plain")
    rng = np.random.default_rng(1)
    given = rng.normal(size=(300, 2))
    u = rng.random((300, 4))
    by_leaf = plain.draw(given, u)
    on_line = trend.onto(given, by_leaf, u)
    inside = np.abs(given[:, 1]) < 1.5  # beyond, the range of the column cuts
    real = np.corrcoef(x[:, 1], x[:, 2])[0, 1]
    assert abs(np.corrcoef(given[inside, 1], on_line[inside])[0, 1] - real) < 0.04
    assert np.corrcoef(given[inside, 1], by_leaf[inside])[0, 1] < real - 0.05


def test_what_is_drawn_stays_in_the_range_of_the_column() -> None:
    x = table()
    trend = Trend.fit(x[:, :2], x[:, 2], np.ones(2, bool), GROWN)
    far = trend.onto(np.full((4, 2), 50.0), np.zeros(4), np.full((4, 4), 0.5))
    np.testing.assert_array_equal(far, x[:, 2].max())


@pytest.mark.parametrize("at", [-6.0, 0.0, 6.0])
def test_a_spike_keeps_its_share_and_the_rest_its_mean_and_line(at: float) -> None:
    """40 of 200 rows at one value: 2,000 draws, of which a share of .2 has an error of .009.

    A spike of .2 in 126 rows of a tree has an error of .03; the mean of the others one of .05.
    """
    x = table(200)
    x[::5, 2] = at
    plain = Forest.fit(x[:, :2], x[:, 2], leaf=15, seed=1, name="plain")
    trend = Trend.fit(x[:, :2], x[:, 2], np.ones(2, bool), GROWN)
    rng = np.random.default_rng(1)
    given, u = rng.normal(size=(2_000, 2)), rng.random((2_000, 4))
    drawn = trend.onto(given, plain.draw(given, u), u)
    assert abs((drawn == at).mean() - 0.2) < 0.08
    some = (drawn != at) & (np.abs(given[:, 1]) < 1.5)
    line = 2 * given[some, 1]
    assert abs((drawn[some] - line).mean()) < 0.15
    assert abs((drawn[some] - line).std() - 0.4) < 0.1


def test_a_column_of_spikes_or_of_few_rows_has_no_line() -> None:
    x = table()
    few = x[:15]
    x[:, 2] = np.arange(100) % 10
    for rows in (x, few):
        trend = Trend.fit(rows[:, :2], rows[:, 2], np.ones(2, bool), GROWN)
        plain = np.array([0.0, 1.0, -1.0])
        np.testing.assert_array_equal(trend.onto(rows[:3, :2], plain, np.zeros((3, 4))), plain)


def test_a_column_behind_constants_has_no_line() -> None:
    x = np.column_stack([np.ones(50), np.linspace(0, 1, 50)])
    trend = Trend.fit(x[:, :1], x[:, 1], np.ones(1, bool), GROWN)
    assert trend.rest is None


def test_a_line_comes_back_from_its_state() -> None:
    x = table()
    trend = Trend.fit(x[:, :2], x[:, 2], np.array([True, False]), GROWN)
    again = Trend.from_state(trend.state())
    u, plain = np.random.default_rng(0).random((100, 4)), np.ones(100)
    np.testing.assert_array_equal(again.onto(x[:, :2], plain, u), trend.onto(x[:, :2], plain, u))
    assert trend.weights[1] == 0  # a column that is no number


def test_a_line_that_tells_nothing_of_other_rows_is_not_drawn() -> None:
    """Thirty columns of noise fit the 100 rows of another; they would not fit the next."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 31))
    assert Trend.fit(x[:, :30], x[:, 30], np.ones(30, bool), GROWN).rest is None
