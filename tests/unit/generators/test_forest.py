"""Claims about the forests of conditional trees."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.generators._forest import Forest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
Y = 3 * X[:, 1] + RNG.normal(0, 0.3, 600)


@pytest.fixture(autouse=True)
def _fresh_draws() -> None:
    """Every test draws from the start, in whatever order the tests run."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def fitted(**more: object) -> Forest:
    return Forest.fit(X, Y, leaf=20, seed=1, name="y", trees=10, **more)


def test_draws_follow_the_column_that_matters() -> None:
    drawn = fitted().draw(X, RNG.random((600, 4)))
    assert np.corrcoef(drawn, X[:, 1])[0, 1] > 0.9
    assert abs(drawn.mean() - Y.mean()) < 0.3  # 2.4 standard errors of a mean of 600


def test_columns_that_tell_nothing_do_not_split_and_those_that_do_are_found() -> None:
    """Of 20 trees on noise a split in at most 4: chance makes one in 25 (5 or more: .1 %)."""
    rng = np.random.default_rng(11)
    noise = Forest.fit(X, rng.normal(size=600), leaf=20, seed=2, name="noise")
    assert (np.diff(noise.roots) > 1).sum() <= 4
    assert (np.diff(fitted().roots) > 1).all()


def test_a_near_column_is_kept_within_the_leaves_too_and_the_mean_stays() -> None:
    rng = np.random.default_rng(7)
    count = np.ceil(np.exp(rng.normal(2, 1, 2_000)))
    noise = rng.normal(size=(2_000, 2))
    value = 0.3 * np.log(count) + 0.5 * noise[:, 0] + 0.3 * rng.normal(size=2_000)
    given, tells = np.column_stack([noise, count]), np.corrcoef(np.log(count), value)[0, 1]
    lost = {}
    for near in (-1, 2):
        forest = Forest.fit(given, value, leaf=40, seed=0, name="near", near=near)
        drawn = forest.draw(given, rng.random((2_000, 4)))
        lost[near] = tells - np.corrcoef(np.log(count), drawn)[0, 1]
        # of the mean's own error (.63 / sqrt(2000) = .014) three: wrong in 1 of 400 runs
        assert abs(drawn.mean() - value.mean()) < 0.042
    assert lost[-1] > 0.06  # what leaves flatten
    assert abs(lost[2]) < 0.04


def test_labels_without_an_order_are_cut_apart_however_they_are_numbered() -> None:
    """Of 12 labels, every third has large values: by their numbers leaves of 60 mix them."""
    rng = np.random.default_rng(8)
    label = rng.integers(0, 12, 600).astype(float)
    value = 3.0 * (label % 3 == 0) + rng.normal(0, 0.3, 600)
    forest = Forest.fit(label[:, None], value, leaf=60, seed=0, name="l", nominal=(0,))
    drawn = forest.draw(label[:, None], rng.random((600, 4)))
    assert ((drawn > 1.5) == (label % 3 == 0)).mean() > 0.99
    again = Forest.from_state(forest.state()).draw(label[:, None], np.full((600, 4), 0.5))
    assert ((again > 1.5) == (label % 3 == 0)).mean() > 0.99


def test_small_leaves_are_drawn_from_evenly_around_a_near_column() -> None:
    """Of 320,000 draws a share's error is .0006; leaves of five rows for eight values add .01.

    A window wider than a leaf put .15 too much on the lowest row.
    """
    rng = np.random.default_rng(3)
    count = np.arange(8.0)[:, None]
    alone = Forest.fit(
        count, np.arange(8.0), leaf=8, seed=0, name="x", exact=True, near=0, trees=200
    )
    asked = np.tile(count, (40_000, 1))
    drawn = alone.draw(asked, rng.random((len(asked), 4)))
    held = np.bincount(alone.values.astype(int), minlength=8) / len(alone.values)
    np.testing.assert_allclose(np.bincount(drawn.astype(int)) / len(drawn), held, atol=0.02)


def test_every_leaf_holds_enough_rows() -> None:
    forest = fitted()
    leaves = np.flatnonzero(forest.feature < 0)
    assert forest.count[leaves].min() >= 20
    for node in leaves:  # and none of them twice: the values of Y are all different
        held = forest.values[forest.start[node] : forest.start[node] + forest.count[node]]
        assert len(np.unique(held)) == len(held)


def test_a_draw_lies_between_values_of_the_column_and_is_rarely_one_of_them() -> None:
    drawn = fitted().draw(X, RNG.random((600, 4)))
    assert drawn.min() >= np.float32(Y.min()) - 1e-6
    assert drawn.max() <= np.float32(Y.max()) + 1e-6
    assert np.isin(drawn.astype(np.float32), Y.astype(np.float32)).mean() < 0.05


@pytest.mark.parametrize("near", [-1, 1])
def test_a_draw_lies_between_what_it_may_be_where_the_leaf_has_some(near: int) -> None:
    forest = fitted(near=near, exact=True)
    u = RNG.random((600, 4))
    low, high = np.full(600, -1.0), np.full(600, 0.5)
    drawn = forest.draw(X, u, between=(low, high))
    leaves = forest._leaves(forest._known(X), u)
    held = np.zeros(600, bool)
    for i, node in enumerate(leaves):  # the slow way
        leaf = forest.values[forest.start[node] : forest.start[node] + forest.count[node]]
        inside = (leaf >= low[i]) & (leaf <= high[i])
        held[i] = inside.any()
        assert drawn[i] in leaf
    assert 100 < held.sum() < 500
    assert ((drawn[held] >= -1) & (drawn[held] <= 0.5)).all()
    free = forest.draw(X, u)
    assert (drawn[~held] == free[~held]).all()


def test_integers_and_spikes_stay_as_they_are() -> None:
    counts = RNG.integers(0, 50, 600).astype(float)
    forest = Forest.fit(X, counts, leaf=20, seed=1, name="n", exact=True, trees=5)
    assert np.isin(forest.draw(X, RNG.random((600, 4))), counts).all()
    spiky = np.where(RNG.random(600) < 0.3, 0.0, RNG.random(600) + 1)
    drawn = Forest.fit(X, spiky, leaf=20, seed=1, name="s", trees=5).draw(X, RNG.random((600, 4)))
    assert not ((drawn > 0) & (drawn < 1)).any()  # nothing between the spike and the rest
    assert abs((drawn == 0).mean() - (spiky == 0).mean()) < 0.08


def test_without_columns_before_it_the_values_own_distribution_is_drawn() -> None:
    forest = Forest.fit(X[:, :0], Y, leaf=20, seed=1, name="alone", trees=5)
    drawn = forest.draw(X[:, :0], RNG.random((600, 4)))
    assert abs(np.median(drawn) - np.median(Y)) < 0.5


def test_a_forest_travels_as_a_state() -> None:
    forest, u = fitted(), RNG.random((600, 4))
    again = Forest.from_state(forest.state())
    np.testing.assert_array_equal(again.draw(X, u), forest.draw(X, u))
