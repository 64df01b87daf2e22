"""Claims about where a subject's ranks lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from synth_spark.columns.place import Place
from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators import _events_places_kernels as kernels
from synth_spark.generators.markov import GENERATOR, MarkovModel, MarkovParams

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="lat", kind="place", partner="lon"),
        Column(name="lon", kind="place"),
    ),
)


def towns(subjects: int = 120, seed: int = 4) -> Records:
    """Phones of two towns 100 km apart; each goes between home and masts 1 to 3 km away."""
    rng = np.random.default_rng(seed)
    each = 12
    owners = np.repeat(np.arange(subjects), each)
    step = rng.integers(1, 4, subjects * each)  # km east of home
    step[np.arange(subjects * each) % 2 == 0] = 0
    hours = np.tile(np.arange(each) * 1.5 + 2, subjects)
    columns = {
        "at": np.datetime64("2024-03-04", "us") + (hours * 3.6e9).astype("timedelta64[us]"),
        "lat": np.round(45 + (owners % 2) * 0.9, 5),
        "lon": np.round(5 + step / 78.6, 5),  # one km is 1 / 78.6 degrees at 45 north
    }
    return Records(columns, np.arange(subjects + 1) * each)


@pytest.fixture(scope="module")
def twin() -> Records:
    model: MarkovModel = learn(
        GENERATOR.learn(SCHEMA, MarkovParams(leaf=15, trees=5), 1), Local(towns(), parts=2)
    )
    again = MarkovModel.from_state(model.state())
    return again.sample(0, 400, 1)


def test_a_subject_stays_in_its_town_and_near_its_home(twin: Records) -> None:
    place = np.column_stack([twin.columns["lat"], twin.columns["lon"]])
    inner = np.diff(twin.owners) == 0
    km = np.array([kernels.apart_km(*a, *b) for a, b in pairwise(place)])
    assert (km[inner] < 4).mean() > 0.99


def test_masts_come_back_to_the_point(twin: Records) -> None:
    real = towns()
    known = set(zip(real.columns["lat"].tolist(), real.columns["lon"].tolist(), strict=True))
    drawn = set(zip(twin.columns["lat"].tolist(), twin.columns["lon"].tolist(), strict=True))
    assert drawn <= known
    assert len(drawn) == len(known)


def test_first_visits_are_told_with_the_place_before_and_the_ways_home() -> None:
    number = np.array([1, 0, 1, 2, 2, 0, -1, 3])
    rows, before, direct = kernels.first_visits(number, np.array([0, 8]))
    assert rows.tolist() == [0, 3, 7]
    assert before.tolist() == [1, 2, 5]  # before the first event: home, first seen in row 1
    assert direct.tolist() == [2, 1, 1]  # 1-0 and 0-1; 2-0; 0-3, over the missing place


def test_distances_are_those_on_the_globe_and_their_levels_rise_with_them() -> None:
    assert kernels.apart_km(0.0, 0.0, 1.0, 0.0) == pytest.approx(111.195)
    assert kernels.apart_km(60.0, 0.0, 60.0, 1.0) == pytest.approx(55.6, abs=0.1)
    levels = [kernels.bin_of(km) for km in (0.0, 0.3, 1.0, 9.0, 1e3, 1e6)]
    assert levels == sorted(set(levels))
    assert levels[0] == 0
    assert levels[-1] == kernels.BINS - 1


def test_a_wide_cell_is_entered_at_the_drawn_distance() -> None:
    state = np.array([7], np.uint64)
    centre, reach = np.array([45.0, 5.0]), np.array([0.4, 0.4 / np.cos(np.radians(45))])
    last, level = np.array([45.1, 5.1]), kernels.bin_of(5.0)
    for _ in range(50):
        at = kernels._towards(centre, reach, last, level, -1.0, state)
        where = Place(np.zeros(1, np.int64), centre[None], reach[None], 6, -1).decode(
            np.zeros(1, np.int32), np.array([at])
        )[0]
        assert abs(kernels.bin_of(kernels.apart_km(*last, *where)) - level) <= 1


def settled(size: int, *, own: int = 0, residents: int = 600) -> np.ndarray:
    """The second place of each of so many residents of label 0, where all labels are one spot.

    Args:
        size: Labels; their popularity falls with their number.
        own: What real residents of label 0 have, -1: nothing is known of them.
        residents: Drawn subjects.
    """
    bins, none = kernels.BINS, (np.zeros(0, np.int64), np.zeros(0))
    popular = np.arange(1, size + 1) ** -0.8
    popular /= popular.sum()
    centre, reach = np.tile([45.0, 7.0], (size, 1)), np.zeros((size, 2))
    far = np.cumsum(np.full((8, 6, bins * bins), 1.0 / bins**2), axis=-1)
    start = np.zeros(size * 8 + 1, np.int64)
    labels, counts = none
    if own >= 0:
        start[2:] = 1  # of home 0, at one visit
        labels, counts = np.array([own]), np.array([20.0])
    number, none_of = np.tile([0, 1], residents), np.zeros(size, bool)
    label, _ = kernels.settle(
        number, np.arange(residents + 1) * 2, np.int64(5), np.append(1.0, np.zeros(size - 1)),
        popular, np.tile(popular, (8, 1)), start, labels, counts, far,
        np.zeros(size + 1, np.int64), *none, np.full(8, bins), np.ones((8, bins)), centre, reach,
            none_of, none_of, np.zeros((0, 0, 0)), 0,
    )  # fmt: skip
    return label[1::2]


def test_labels_are_as_frequent_where_all_are_looked_at_as_where_some_are() -> None:
    """Share of the 20 most popular beside the home; five deviations of 600 draws are .09."""
    shares = [(settled(size, own=-1) < 20).mean() for size in (4_096, 4_097)]
    popular = np.arange(1, 4_097) ** -0.8
    wanted = popular[1:20].sum() / popular[1:].sum()  # the home is a subject's only once
    assert abs(np.array(shares) - wanted).max() < 0.09


def test_a_place_that_those_of_a_home_have_is_theirs_by_how_many_they_are() -> None:
    """20 real residents: 20 of 25 draws, plus what popularity gives it (next to nothing)."""
    assert abs((settled(400, own=300) == 300).mean() - 0.8) < 0.09


def test_a_place_of_too_few_residents_of_a_home_speaks_for_nobody() -> None:
    """Towns of one home cell: everybody goes to 3 masts, one alone to a fourth."""
    records = towns()
    model = learn(GENERATOR.learn(SCHEMA, MarkovParams(leaf=15, trees=5), 1), Local(records))
    strict = learn(
        GENERATOR.learn(SCHEMA, MarkovParams(leaf=15, trees=5, min_subjects=61), 1), Local(records)
    )
    held, none = (m.base.identities[0] for m in (model, strict))
    assert held.own_count.sum() > 0
    assert none.own_count.sum() == 0  # 60 live in each town
    assert len(held.identity.pair_share) == 0  # nor are pairs of single subjects kept
