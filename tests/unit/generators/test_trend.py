"""Claims about the lines that a subject's profile is drawn on."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._forest import Forest
from synth_spark.generators._trend import Trend


def table(rows: int = 100) -> np.ndarray:
    """Three columns; the last follows from the second, with noise of a fifth."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    x[:, 2] = 2 * x[:, 1] + 0.4 * rng.normal(size=rows)
    return x


def test_a_draw_on_a_line_keeps_the_correlation_that_leaves_flatten() -> None:
    """Real .98; leaves of 15 of 63 rows alone give .6 to .9 (300 draws, standard error .01)."""
    x = table()
    used = np.ones(2, bool)
    trend = Trend.fit(x[:, :2], x[:, 2], used)
    rest = Forest.fit(x[:, :2], x[:, 2] - trend.at(x[:, :2]), leaf=15, seed=1, name="rest")
    plain = Forest.fit(x[:, :2], x[:, 2], leaf=15, seed=1, name="plain")
    rng = np.random.default_rng(1)
    given = rng.normal(size=(300, 2))
    u = rng.random((300, 4))
    on_line = trend.onto(given, rest.draw(given, u))
    by_leaf = plain.draw(given, u)
    inside = np.abs(given[:, 1]) < 1.5  # beyond, the range of the column cuts
    real = np.corrcoef(x[:, 1], x[:, 2])[0, 1]
    assert abs(np.corrcoef(given[inside, 1], on_line[inside])[0, 1] - real) < 0.04
    assert np.corrcoef(given[inside, 1], by_leaf[inside])[0, 1] < real - 0.05


def test_what_is_drawn_stays_in_the_range_of_the_column() -> None:
    x = table()
    trend = Trend.fit(x[:, :2], x[:, 2], np.ones(2, bool))
    far = trend.onto(np.full((4, 2), 50.0), np.zeros(4))
    np.testing.assert_array_equal(far, x[:, 2].max())


def test_a_column_with_a_spike_has_no_line() -> None:
    x = table()
    x[:40, 2] = 0.0
    trend = Trend.fit(x[:, :2], x[:, 2], np.ones(2, bool))
    assert not trend.weights.any()
    np.testing.assert_array_equal(trend.onto(x[:3, :2], np.array([0.0, 1.0, -1.0])), [0, 1, -1])


def test_columns_that_do_not_vary_leave_the_mean() -> None:
    x = np.column_stack([np.ones(50), np.linspace(0, 1, 50)])
    trend = Trend.fit(x[:, :1], x[:, 1], np.ones(1, bool))
    rest = x[:, 1] - trend.at(x[:, :1])
    np.testing.assert_allclose(trend.onto(x[:, :1], rest), x[:, 1])


def test_a_line_comes_back_from_its_state() -> None:
    x = table()
    trend = Trend.fit(x[:, :2], x[:, 2], np.array([True, False]))
    again = Trend.from_state(trend.state())
    np.testing.assert_array_equal(again.at(x[:, :2]), trend.at(x[:, :2]))
    assert trend.weights[1] == 0  # a column that is no number
