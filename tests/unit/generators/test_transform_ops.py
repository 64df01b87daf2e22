"""The operations of transform, each as a function of arrays."""

from __future__ import annotations

import numpy as np

from synth_spark.core.seeds import generator
from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._transform_groups import mdav
from synth_spark.generators._transform_segments import moved_times
from synth_spark.generators._transform_strata import Levels, Strata

RNG = generator(3, "test")


def test_a_time_moves_by_no_more_than_the_minutes_and_stays_in_its_day() -> None:
    second = np.array([0.0, 30.0, 43_200.0, 86_340.0] * 200)
    moved = ops.jitter_seconds(second, 10, 60.0, generator(1, "t"))
    assert (np.abs(moved - second) <= 600 + 60).all()
    assert moved.min() >= 0
    assert moved.max() <= 86_340
    assert (moved % 60 == 0).all()
    assert len(np.unique(moved)) > 20


def test_a_missing_time_stays_missing() -> None:
    assert np.isnan(ops.jitter_seconds(np.array([np.nan]), 10, 1.0, generator(1, "t"))).all()


def test_a_place_moves_within_a_disc_even_at_the_date_line_and_near_a_pole() -> None:
    start = np.array([[0.0, 179.9999], [89.9, 10.0], [47.0, -122.0]] * 400)
    moved = ops.jitter_places(start, 500.0, 7, generator(1, "p"))
    far = ops.distance_m(start, moved)
    assert far.max() < 501
    # even over a disc: the mean distance is two thirds; 4 standard errors of 1,200 draws
    assert abs(far.mean() - 333.3) < 4 * 118 / np.sqrt(1_200)
    assert np.abs(moved[:, 1]).max() <= 180


def test_distance_of_one_degree_on_the_equator_is_111_km() -> None:
    one = ops.distance_m(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]))
    assert abs(one[0] - 111_195) < 1


def test_rank_swap_takes_a_near_rank_of_the_same_stratum() -> None:
    held = np.concatenate([np.arange(100), 500 + np.arange(50)]).astype(np.int32)
    starts, stratum = np.array([0, 100, 150]), np.repeat([0, 1], [100, 50])
    out = ops.rank_swap(held, stratum, held, starts, 0.1, generator(2, "r"))
    gap = np.abs(out - held)
    assert gap[:100].max() <= 11  # a tenth of 100 ranks, and one for where in its rank it stands
    assert gap[100:].max() <= 6
    assert (gap > 0).mean() > 0.8


def test_strata_of_categories_hold_enough_records() -> None:
    columns = np.array([[0] * 6 + [1] * 6, [0, 1] * 6, [0] * 11 + [1]], np.int32)
    stratum, used = ops.category_strata(columns, 3)
    assert sorted(used) == [0, 1]  # the third would leave a stratum of one
    assert np.bincount(stratum).min() == 3


def test_noise_keeps_the_shares() -> None:
    shares = np.array([0.5, 0.2, 0.0, 0.3])
    tokens = np.repeat([0, 1, 3], [50_000, 20_000, 30_000]).astype(np.int32)
    out = ops.noisy(tokens, shares, 0.5, generator(4, "n"))
    # 5 standard errors of a share of a half in 100,000 draws: fails once in two million
    assert np.abs(np.bincount(out, minlength=4) / 1e5 - shares).max() < 5 * 0.5 / np.sqrt(1e5)
    assert (out != tokens).mean() > 0.1
    assert not (out == 2).any()


def test_no_noise_changes_nothing() -> None:
    tokens = np.array([0, 1, 1, 2], np.int32)
    shares = np.array([0.25, 0.5, 0.25])
    np.testing.assert_array_equal(ops.noisy(tokens, shares, 0.0, RNG), tokens)
    np.testing.assert_array_equal(ops.redrawn(tokens, shares, 0.0, RNG), tokens)


def test_labels_are_drawn_anew_with_the_chance_given() -> None:
    out = ops.redrawn(np.zeros(40_000, np.int32), np.array([0.0, 1.0]), 0.25, generator(5, "l"))
    assert abs(out.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 40_000)


def test_a_copula_gives_back_shares_and_correlation() -> None:
    shares = [np.full(40, 1 / 40), np.array([0.7, 0.2, 0.1])]
    root = np.linalg.cholesky(np.array([[1.0, 0.8], [0.8, 1.0]]))
    drawn = ops.copula(40_000, root, shares, generator(6, "c"))
    assert np.abs(np.bincount(drawn[1]) / 4e4 - shares[1]).max() < 5 * 0.5 / 200
    smooth = ops.copula(40_000, root, [shares[0], shares[0]], generator(6, "c"))
    found = ops.correlation_of_scores(smooth, [shares[0], shares[0]])
    assert abs(found[0, 1] - 0.8) < 0.02


def test_a_correlation_that_cannot_be_becomes_one_that_can() -> None:
    wild = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    tame = ops.nearest_correlation(wild)
    assert np.linalg.eigvalsh(tame).min() > 0
    np.testing.assert_allclose(np.diag(tame), 1.0)


def test_groups_of_mdav_hold_k_to_2k_minus_1_and_near_records() -> None:
    near = np.concatenate([np.zeros(4), np.full(5, 10.0), np.full(4, 20.0)])
    group = mdav((near + np.arange(13) * 0.01)[:, None], 4)
    assert sorted(np.bincount(group)) == [4, 4, 5]
    assert all(len(set(group[near == v])) == 1 for v in (0.0, 10.0, 20.0))


def test_fewer_than_two_groups_are_one() -> None:
    assert mdav(np.arange(7.0)[:, None], 4).tolist() == [0] * 7


def test_a_group_becomes_its_middle_and_its_most_frequent_label() -> None:
    tokens = np.array([[1, 2, 6, 10, 20], [0, 3, 3, 1, 1]], np.int32)
    out = ops.centred(tokens, np.array([True, False]), np.array([0, 0, 0, 1, 1]))
    assert out.tolist() == [[3, 3, 3, 15, 15], [3, 3, 3, 1, 1]]


def test_strata_hold_at_least_the_leaf_and_tell_columns_apart() -> None:
    rng = generator(7, "s")
    x = rng.integers(0, 8, 4_000).astype(np.int32)
    y = (2 * x + rng.integers(0, 3, 4_000)).astype(np.int32)
    donors = np.stack([x, y])
    levels = Levels.of(donors, [8, 17], np.array([True, True]))
    strata = Strata.grow(donors, levels, 1, leaf=25, trees=1, seed=0)
    assert strata.smallest >= 25
    out = y.copy()
    strata.redraw(levels.codes(donors), np.ones(4_000, np.bool_), rng, out)
    assert set((out - 2 * x).tolist()) == {0, 1, 2}  # y given x, as it was
    assert (out != y).mean() > 0.5


def test_moved_times_keep_their_order_and_their_segment() -> None:
    rng = generator(8, "m")
    lengths = rng.integers(1, 30, 200)
    t = np.concatenate([np.sort(rng.random(n) * 86_399) for n in lengths])
    moved = moved_times(t, lengths, 86_400, 600.0, 0.2, 1.0, rng)
    owner = np.repeat(np.arange(200), lengths)
    assert (np.diff(moved)[np.diff(owner) == 0] >= 0).all()
    assert moved.min() >= 0
    assert moved.max() <= 86_399
    assert (np.abs(moved - t) > 1).mean() > 0.9


def test_without_amounts_times_stay() -> None:
    t, lengths = np.array([5.0, 9.0, 1.0]), np.array([2, 1])
    np.testing.assert_allclose(moved_times(t, lengths, 86_400, 0.0, 0.0, 1.0, RNG), t)
