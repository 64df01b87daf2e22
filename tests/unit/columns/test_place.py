"""Claims about the column kind "place"."""

from __future__ import annotations

import numpy as np

from synth_spark.columns import _sites
from synth_spark.columns.place import CODEC, EXAMPLE, FINEST, Place, cells_of, parents_of


def learned(values: np.ndarray, owners: np.ndarray, least: int) -> Place:
    return Place.finish(Place.summarise(values, owners), min_subjects=least)


def test_decoding_gives_back_the_cell() -> None:
    settings, values, owners = EXAMPLE
    codec = CODEC.finish(CODEC.summarise(values, owners), **settings)
    tokens = codec.encode(values)
    for inside in (0.0, 0.3, 0.9):
        again = codec.decode(tokens, np.full(len(tokens), inside))
        np.testing.assert_array_equal(codec.encode(again), tokens)


def test_two_parts_learn_what_one_learns() -> None:
    settings, values, owners = EXAMPLE
    parts = [CODEC.summarise(values[s], owners[s]) for s in (slice(0, 3), slice(3, None))]
    both = CODEC.finish(CODEC.merge(*parts), **settings)
    one = CODEC.finish(CODEC.summarise(values, owners), **settings)
    np.testing.assert_array_equal(both.cells, one.cells)


def test_tracks_that_never_meet_are_told_by_the_coarse_cells_that_they_share() -> None:
    """600 tracks of 8 points far apart over an ocean: nobody is twice in a fine cell."""
    rng = np.random.default_rng(1)
    start = rng.uniform([10, -60], [30, -30], (600, 2))
    tracks = start[:, None] + np.cumsum(rng.normal(0.3, 0.2, (600, 8, 2)), axis=1)
    points, owners = tracks.reshape(-1, 2), np.repeat(np.arange(600), 8)
    codec = learned(points, owners, 5)
    away = np.abs(codec.decode(codec.encode(points), rng.random(len(points))) - points)
    assert np.median(away) < 0.6  # degrees; 1.3 is the reach of the coarsest cells
    parts = [Place.summarise(points[s], owners[s]) for s in (slice(0, 2_400), slice(2_400, None))]
    both = Place.finish(Place.merge(*parts), min_subjects=5)
    np.testing.assert_array_equal(both.cells, codec.cells)
    held = np.unique(np.column_stack([codec.encode(points), owners]), axis=0)[:, 0]
    told = np.bincount(held, minlength=len(codec.cells))
    inner = told[: len(codec.cells)] < 5
    assert inner.mean() < 0.02  # what is left over may be thinner than what was told


def test_a_crowd_has_a_fine_cell_and_a_lonely_place_has_none_of_its_own() -> None:
    rng = np.random.default_rng(0)
    crowd = np.tile([[48.85, 2.35]], (40, 1)) + rng.normal(0, 1e-5, (40, 2))
    lonely = np.array([[48.90, 2.10]])
    codec = learned(np.vstack([crowd, lonely]), np.arange(41), 5)
    np.testing.assert_array_equal(codec.cells[:1], cells_of(crowd[:1], FINEST))
    assert cells_of(lonely, FINEST)[0] not in codec.cells


def test_a_missing_place_comes_back_missing() -> None:
    values = np.array([[48.85, 2.35], [np.nan, np.nan]])
    codec = learned(values, np.array([0, 1]), 1)
    drawn = codec.decode(codec.encode(values), np.zeros(2))
    assert np.isfinite(drawn[0]).all()
    assert np.isnan(drawn[1]).all()


def test_the_decimals_of_the_source_are_kept() -> None:
    values = np.array([[48.85, 2.35], [48.86, 2.36], [48.85, 2.35]])
    codec = learned(values, np.arange(3), 1)
    drawn = codec.decode(np.zeros(20, np.int32), np.linspace(0, 0.99, 20))
    np.testing.assert_allclose(drawn, np.round(drawn, 2), atol=1e-12)


def test_a_parent_is_coarser_and_its_own_parent_is_itself() -> None:
    cells = cells_of(np.array([[10.0, 10.0]]), FINEST)
    up = parents_of(cells, 5)
    np.testing.assert_array_equal(parents_of(up, 5), up)
    assert up[0] != cells[0]


def test_a_mast_that_enough_subjects_share_is_told_to_the_point_and_a_street_is_not() -> None:
    mast = np.tile([[48.8512, 2.3517]], (6, 1))
    street = np.array([[48.75, 2.25]]) + np.linspace(0, 2e-5, 6)[:, None]
    codec = learned(np.vstack([mast, street]), np.tile(np.arange(6), 2), 5)
    inside = np.linspace(0, 0.99, 6)
    np.testing.assert_array_equal(codec.decode(codec.encode(mast), inside), mast)
    drawn = codec.decode(codec.encode(street), inside)
    assert len(np.unique(drawn, axis=0)) > 3


def test_a_mast_of_few_subjects_is_not_told_to_the_point() -> None:
    mast = np.tile([[48.8512, 2.3517]], (4, 1))
    codec = learned(mast, np.arange(4), 5)
    assert (codec.reach > 0).all()


def test_masts_of_two_parts_are_those_of_all_and_a_gps_track_has_none() -> None:
    mast = np.tile([[48.8512, 2.3517]], (6, 1))
    parts = [Place.summarise(mast[:3], np.arange(3)), Place.summarise(mast[3:], np.arange(3))]
    both = Place.finish(Place.merge(*parts), min_subjects=5)
    np.testing.assert_array_equal(both.centre, mast[:1])
    track = _sites.counted(
        np.random.default_rng(1).random((_sites.MOST_SITES + 1, 2)) * 50,
        np.zeros(_sites.MOST_SITES + 1, np.int64),
        np.zeros(_sites.MOST_SITES + 1, np.int64),
    )
    assert track["free"]
    assert _sites.found(track, 1, {}) == {}
    assert _sites.added(track, parts[0]["sites"])["free"]


def test_two_masts_of_one_cell_are_both_told_to_the_point() -> None:
    masts = np.array([[48.8512, 2.3517], [48.8513, 2.3519]])
    assert len(np.unique(cells_of(masts, FINEST))) == 1
    values = np.repeat(masts, (20, 10), axis=0)
    codec = learned(values, np.arange(30), 5)
    assert codec.vocabulary == 2
    np.testing.assert_array_equal(codec.encode(values), np.repeat([0, 1], (20, 10)))
    np.testing.assert_array_equal(codec.decode(codec.encode(values), np.full(30, 0.7)), values)
    near = codec.encode(np.array([[48.85129, 2.35189]]))
    assert near.tolist() == [1]  # not told itself: the nearest one of the cell


def test_a_mast_in_a_street_is_told_and_the_street_is_around_it() -> None:
    mast = np.tile([[48.8512, 2.3517]], (20, 1))
    street = np.array([[48.8511, 2.3516]]) - np.linspace(0, 2e-4, 20)[:, None]
    assert len(np.unique(cells_of(np.vstack([mast, street]), FINEST))) == 1
    codec = learned(np.vstack([mast, street]), np.arange(40), 5)
    assert (codec.reach > 0).all(axis=1).tolist().count(True) == 1
    tokens = codec.encode(np.vstack([mast, street]))
    assert len(set(tokens[:20])) == len(set(tokens[20:])) == 1 != len(set(tokens))
    drawn = codec.decode(tokens, np.linspace(0, 0.99, 40))
    np.testing.assert_array_equal(drawn[:20], mast)
    assert len(np.unique(drawn[20:], axis=0)) == 20


def test_the_only_one_beside_a_mast_has_no_cell_of_their_own() -> None:
    mast = np.tile([[48.8512, 2.3517]], (20, 1))
    home = np.array([[48.8511, 2.3516]]) - np.linspace(0, 2e-4, 20)[:, None]
    owners = np.append(np.arange(20), np.full(20, 20))
    codec = learned(np.vstack([mast, home]), owners, 5)
    assert (codec.vocabulary, codec.reach.max()) == (1, 0)
    np.testing.assert_array_equal(codec.decode(codec.encode(home), np.full(20, 0.5)), mast)
