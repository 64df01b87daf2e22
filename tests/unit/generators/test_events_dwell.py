"""Claims about numbers that last until the next event."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_dwell import Dwell, Kinds, gaps_of

HOUR = 3_600.0
ONE = np.zeros(600, np.int64)  # events of one kind


def visits(subjects: int = 60, each: int = 10, seed: int = 2) -> tuple[np.ndarray, ...]:
    """Times and offsets of subjects with gaps from seconds to hours, all on one Monday."""
    rng = np.random.default_rng(seed)
    gaps = np.round(np.exp(rng.normal(6, 1, (subjects, each)))).clip(1, 8_000)
    start = 4 * 86_400 + 100.0  # 1970-01-05, a Monday
    return (start + np.cumsum(gaps, axis=1)).ravel(), np.arange(subjects + 1) * each


def test_the_last_gap_runs_to_the_end_of_the_day_or_of_the_week() -> None:
    monday, sunday = 4 * 86_400.0, 10 * 86_400.0
    stamps = np.array([monday, monday + 5 * HOUR, sunday + 23 * HOUR])
    offsets = np.array([0, 2, 3])
    gaps, last = gaps_of(stamps, offsets)
    assert gaps.tolist() == [5 * HOUR, 19 * HOUR, HOUR]
    assert last.tolist() == [False, True, True]
    week, _ = gaps_of(stamps, offsets, days=7)
    assert week.tolist() == [5 * HOUR, 6 * 24 * HOUR + 19 * HOUR, HOUR]


def test_stays_that_fill_their_gaps_fill_drawn_gaps_too() -> None:
    stamps, offsets = visits()
    gaps, last = gaps_of(stamps, offsets)
    codec = Dwell.learn(np.where(last, 600.0, gaps), stamps, offsets, ONE, 1)
    assert codec is not None
    drawn, other = visits(seed=9)
    value = codec.decode(drawn, other, ONE, np.random.default_rng(0))
    new, end = gaps_of(drawn, other)
    np.testing.assert_array_equal(value[~end], new[~end])
    assert (value[end] == 600.0).mean() > 0.9  # the rest is drawn by other lengths of the gap


def test_a_stay_is_never_longer_than_its_gap_and_is_cut_where_real_ones_are() -> None:
    stamps, offsets = visits()
    gaps, last = gaps_of(stamps, offsets)
    codec = Dwell.learn(np.minimum(gaps, 900.0), stamps, offsets, ONE, 1)
    assert codec is not None
    again = Dwell.from_state(codec.state())
    value = again.decode(stamps, offsets, ONE, np.random.default_rng(0))
    assert (value <= gaps).all()
    long = (gaps > 1_800) & ~last
    assert (value[long] == 900.0).mean() > 0.9


def test_what_does_not_mirror_the_gaps_is_an_ordinary_number() -> None:
    stamps, offsets = visits()
    gaps, _ = gaps_of(stamps, offsets)
    rng = np.random.default_rng(1)
    assert Dwell.learn(rng.permutation(gaps), stamps, offsets, ONE, 1) is None
    assert Dwell.learn(gaps * 0 + 1.0, stamps, offsets, ONE, 1) is None
    gone = gaps.copy()
    gone[::2] = np.nan
    assert Dwell.learn(gone, stamps, offsets, ONE, 1) is None


def test_stays_at_home_fill_their_gaps_and_stays_elsewhere_are_cut_as_real_ones_are() -> None:
    stamps, offsets = visits()
    gaps, last = gaps_of(stamps, offsets)
    kinds = np.random.default_rng(3).integers(0, 2, len(gaps))
    cut = (kinds == 1) & (last | (np.random.default_rng(4).random(len(gaps)) < 0.2))
    codec = Dwell.learn(np.where(cut, np.minimum(gaps, 60.0), gaps), stamps, offsets, kinds, 2)
    assert codec is not None
    drawn, other = visits(seed=9)
    new, end = gaps_of(drawn, other)
    value = codec.decode(drawn, other, kinds, np.random.default_rng(0))
    whole = value == new
    assert whole[(kinds == 0) & (new > 60)].mean() > 0.95  # 1 in the records; levels are smoothed
    assert abs(whole[(kinds == 1) & ~end & (new > 60)].mean() - 0.8) < 0.08  # 4.8 deviations
    assert whole[(kinds == 1) & end].mean() < 0.25


def test_a_kind_that_the_sample_lacks_or_few_subjects_hold_is_as_all_are() -> None:
    stamps, offsets = visits()
    gaps, _ = gaps_of(stamps, offsets)
    kinds = np.where(np.arange(len(gaps)) < 40, 1, 0)  # of four subjects
    value = np.where(kinds == 1, np.minimum(gaps, 60.0), gaps)
    codec = Dwell.learn(value, stamps, offsets, kinds, 3, min_subjects=5)
    assert codec is not None
    np.testing.assert_allclose(codec.shares[:, 1], codec.shares[:, 2])
    drawn, other = visits(seed=9)
    lacking = codec.decode(drawn, other, np.full(600, 2), np.random.default_rng(0))
    assert (lacking <= gaps_of(drawn, other)[0]).all()


def test_without_kinds_all_events_are_of_one() -> None:
    cats, offsets = np.array([[3], [0], [15]], np.int32), np.array([0, 3])
    assert Kinds(main=16).of(cats, offsets).tolist() == [3, 0, 15]
    assert Kinds().of(cats, offsets).tolist() == [0, 0, 0]
    assert Kinds(1, 0, 16).of(cats, offsets).tolist() == [0, 15, 16]  # behind the last is nothing


def test_a_value_ends_early_where_the_next_event_says_so() -> None:
    stamps, offsets = visits(subjects=600)
    gaps, last = gaps_of(stamps, offsets)
    anew = np.random.default_rng(3).random(len(gaps)) < 0.2  # attached: the phone was off before
    off = np.append(anew[1:], False) & ~last
    value = np.where(last, np.nan, np.where(off, np.ceil(gaps / 3), gaps))
    cats = np.column_stack([np.random.default_rng(4).integers(0, 3, len(gaps)), anew]).astype("i4")
    told = Kinds.learn(value, stamps, offsets, cats, [3, 2])
    assert (told.main, told.ahead, told.labels) == (3, 1, 2)
    codec = Dwell.learn(value, stamps, offsets, told.of(cats, offsets), told.many, told=told)
    assert codec is not None
    drawn, other = visits(subjects=600, seed=9)
    kinds = codec.told.of(cats, other)
    again = Dwell.from_state(codec.state()).decode(drawn, other, kinds, np.random.default_rng(0))
    new, end = gaps_of(drawn, other)
    assert np.isnan(again[end]).mean() > 0.9  # smoothed from 1
    assert np.isnan(again[~end]).mean() < 0.01
    early = again < new
    no = Kinds.learn(value, stamps, offsets, cats, [3, 2], [False, True])  # ids in runs
    assert no.ahead == -1
    assert early[off & ~end].mean() > 0.9
    assert early[~off & ~end].mean() < 0.05
