"""Claims about the ways between places, and how far apart places with many ways are."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_ways import (
    BINS,
    CALM,
    DIRECT,
    apart_by_ways,
    bin_of,
    steps_of,
    ways_level,
    ways_of,
)


def test_ways_are_counted_in_both_directions_as_a_plain_count_does() -> None:
    number = np.array([0, 1, 0, 2, 2, -1, 1, 0])  # a missing place is passed over
    steps = steps_of(number, 0, len(number), 3)
    other, ways = np.empty(3, np.int64), np.empty(3, np.int64)
    found = {}
    for k in range(3):
        n = ways_of(steps, k, 3, other, ways)
        found[k] = dict(zip(other[:n].tolist(), ways[:n].tolist(), strict=True))
    assert found == {0: {1: 3, 2: 1}, 1: {0: 3, 2: 1}, 2: {0: 1, 1: 1}}


def test_levels_of_ways_rise() -> None:
    levels = [ways_level(w) for w in range(30)]
    assert levels == sorted(levels)
    assert levels[-1] == DIRECT - 1


def test_places_with_many_ways_are_bounded_by_those_that_were_seen() -> None:
    """30 subjects go twelve times to a place 1 km east, twice to one 100 km east."""
    one = np.array([0, 1] * 6 + [0, 2, 0])
    places = np.column_stack([np.zeros(15), np.array([0.0, 1.0, 100.0])[one] / 111.195])
    number, offsets = np.tile(one, 30), np.arange(31) * 15
    bound, _ = apart_by_ways(number, offsets, np.tile(places, (30, 1)))
    assert bound[ways_level(1)] == BINS
    assert bound[ways_level(2)] == bin_of(100.0)
    assert bound[ways_level(12)] == bin_of(1.0)
    assert (np.diff(bound) <= 0).all()


def test_nothing_is_bounded_by_few_pairs() -> None:
    number, places = np.array([0, 1, 0]), np.zeros((3, 2))
    assert (apart_by_ways(number, np.array([0, 3]), places)[0] == BINS).all()


def test_many_ways_are_as_much_likelier_at_a_distance_as_counted_pairs_say() -> None:
    """30 subjects go twelve times to a place 1 km east, twice to one 100 km east: 60 pairs."""
    one = np.array([0, 1] * 6 + [0, 2, 0])
    places = np.column_stack([np.zeros(15), np.array([0.0, 1.0, 100.0])[one] / 111.195])
    _, likely = apart_by_ways(np.tile(one, 30), np.arange(31) * 15, np.tile(places, (30, 1)))
    near, far = (30 + 1) / (60 + BINS), (30 + 1) / (60 + BINS)  # one pair more at each distance
    wanted = (30 + CALM * near) / (30 + CALM) / near, CALM * far / (30 + CALM) / far
    level = ways_level(12)
    np.testing.assert_allclose(likely[level, [bin_of(1.0), bin_of(100.0)]], wanted)
    np.testing.assert_allclose(likely[ways_level(6)], 1.0)  # no pair has so many: nothing is told
