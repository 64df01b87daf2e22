"""Claims about values that come twice running, and about what is set after training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_coder import RANKS
from synth_spark.generators._events_decode import OPENINGS, _opened, _openers
from synth_spark.generators._events_paces import (
    KNOTS,
    gap_tokens,
    gaps_of,
    hurried,
    hurry_of,
    moved_gaps,
)
from synth_spark.generators._events_returns import Returns
from synth_spark.generators._events_stays import (
    EDGES_S,
    FAR,
    LEVELS,
    counted,
    groups_of,
    moved_stays,
)


def calls(subjects: int = 200, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Thirty calls a subject to twelve numbers beyond its ranks: bursts of one, then another."""
    rng = np.random.default_rng(seed)
    gap = np.where(rng.random((subjects, 30)) < 0.5, 30.0, 50_000.0)
    stays = (gap < 60) & (rng.random(gap.shape) < 0.8)
    codes = np.empty(gap.shape, np.int64)
    for i in range(subjects):
        now = 0
        for r in range(30):
            now = now if stays[i, r] and r else int((now + rng.integers(1, 12)) % 12)
            codes[i, r] = now
    offsets = np.arange(subjects + 1) * 30
    return codes.ravel(), np.cumsum(gap, axis=1).ravel(), offsets


def again(values: np.ndarray, seconds: np.ndarray, short: bool) -> float:
    """How often a value follows itself, behind short gaps or behind long ones."""
    same = (values[1:] == values[:-1])[np.arange(1, len(values)) % 30 > 0]
    gap = np.diff(seconds)[np.arange(1, len(values)) % 30 > 0]
    return float(same[(gap < 60) == short].mean())


def test_other_values_come_in_bursts_as_real_ones_do() -> None:
    codes, seconds, offsets = calls()
    ranks = codes + RANKS  # none is among a subject's ten
    learned = Returns.learn(codes, ranks, offsets, seconds)
    learned = Returns.from_state(learned.state())
    tokens = np.full(len(codes), RANKS, np.int32)
    _, new, _ = calls(seed=2)
    drawn = learned.drawn(tokens, offsets, new, False, np.random.default_rng(0))
    # 3,000 pairs of each kind: a deviation of .007 at .8, four of them either way
    assert abs(again(drawn, new, True) - again(codes, seconds, True)) < 0.03
    assert again(codes, seconds, False) == 0
    assert again(drawn, new, False) < 0.01
    apart = learned.drawn(tokens, offsets, new, True, np.random.default_rng(0))
    assert again(apart, new, True) == 0  # where none comes twice running


def test_pairs_are_counted_by_the_group_of_the_value_before_and_the_time_between() -> None:
    ranked = SimpleNamespace(how="ranked", tokens=RANKS + 2)
    group = groups_of(ranked)  # type: ignore[arg-type]
    assert group.tolist() == [0, 1, *[2] * (RANKS - 2), 3, 3]
    tokens = np.array([0, 0, 3, 3, 5, 0, 0], np.int32)
    t = np.array([0.0, 5.0, 100.0, 20_000.0, 20_050.0, 7.0, 8.0])  # the last two: another unit
    found = counted(tokens, t, np.array([0, 5, 7]), group)
    assert found.shape == (RANKS + 2, LEVELS, 2)
    assert found[0, 0].tolist() == [2, 2]  # 5 s and 1 s, both of rank 0
    assert found[0, 2].tolist() == [1, 0]  # 95 s to rank 3
    assert found[7, np.searchsorted(EDGES_S, 19_900.0)].tolist() == [1, 1]  # all of one group alike
    assert found[..., 0][[0, 1, 2, RANKS]].sum() == 5


def test_biases_move_until_values_stay_as_often_as_real_ones() -> None:
    real, made = np.zeros((2, LEVELS, 2), np.int64), np.zeros((2, LEVELS, 2), np.int64)
    real[:, 0], made[:, 0] = (1_000, 800), (1_000, 500)  # too seldom
    real[:, 1], made[:, 1] = (1_000, 500), (1_000, 510)  # within chance
    real[:, 2], made[:, 2] = (1_000, 0), (1_000, 3)  # never
    real[:, 3], made[:, 3] = (10, 0), (1_000, 500)  # too few to tell
    far, bias = moved_stays(np.zeros((2, LEVELS)), real, made)
    odds = np.log(800.5 / 200.5) - np.log(500.5 / 500.5)
    np.testing.assert_allclose(bias[0, 0], 0.7 * min(odds, 1))
    assert bias[0, 1] == 0
    assert bias[0, 2] == FAR
    assert bias[0, 3:].tolist() == [0] * (LEVELS - 3)
    assert 200 < far < 300  # of both rows, which are one group, once


def test_short_gaps_are_told_by_the_size_of_the_unit() -> None:
    t = np.array([0.0, 10.0, 9_000.0, *np.arange(100) * 60.0])
    found = gaps_of(t, np.array([3, 100]), 1_800.0)
    np.testing.assert_allclose(found.sum(axis=0), [2 + 99, 1 + 99])
    np.testing.assert_allclose(found[4], [99, 99])  # the knot at a hundred
    near = np.interp(np.log(3), KNOTS[:2], [1, 0])
    np.testing.assert_allclose(found[0], [2 * near, near])
    real = np.tile([1_000.0, 400.0], (len(KNOTS), 1))
    made = real - [0, 200]
    made[3] = real[3]
    far, hurry = hurried(np.zeros(len(KNOTS)), real, made)
    assert hurry[3] == 0
    np.testing.assert_allclose(hurry[[0, 6]], 0.7 * 0.98, atol=5e-3)  # log odds of .4 and .2
    assert 0 < far < 200 * 6
    np.testing.assert_allclose(hurry_of(np.arange(7.0), np.array([2, 250, 10_000])), [0, 5, 6])


def test_short_gaps_are_as_long_as_real_ones() -> None:
    rng = np.random.default_rng(0)
    clock = Clock.learn(np.exp(rng.normal(4, 1, 5_000)), horizon_days=7, tick_s=1.0, cut_s=1_800.0)
    t = np.cumsum(np.tile([20.0, 200.0], 500))
    tokens = gap_tokens(clock, t, np.array([600, 0, 400]))
    assert tokens.sum() == 998  # not at the first of a unit
    assert (tokens > 0).sum() == 2
    more = gap_tokens(clock, np.cumsum(np.tile([20.0, 20.0, 200.0], 300)), np.array([900]))
    far, step = moved_gaps(tokens, more)
    short, long = np.flatnonzero(tokens)[np.argsort(clock.gap_lo[np.flatnonzero(tokens)])]
    assert step[short] < 0 < step[long]
    assert far > 50  # a sixth of 900, less what chance explains
    assert moved_gaps(tokens, tokens)[0] == 0


def test_what_all_subjects_begin_with_is_swapped_with_the_next_such() -> None:
    base = SimpleNamespace(facts={"openers": [-1, 2]})
    cats = np.array([[0, 1], [1, 2], [2, 0], [0, 0], [1, 1], [2, 2], [3, 2]], np.int32)
    found = _opened(base, cats, np.array([0, 3, 5, 5, 7]))  # type: ignore[arg-type]
    assert found[:, 0].tolist() == cats[:, 0].tolist()
    assert found[:, 1].tolist() == [2, 1, 0, 2, 1, 2, 2]  # swapped; put there; as it was


def test_a_label_that_all_begin_with_is_told_unless_most_events_have_it() -> None:
    units = OPENINGS
    attach = np.tile([1, 0, 2, 0], units)  # seldom, but first of all
    home = np.tile([3, 3, 3, 0], units)  # first of all, and nearly always
    mixed = np.tile([0, 1, 0, 2], units)
    mixed[0] = 1  # of one subject another
    coder = SimpleNamespace(cats=[SimpleNamespace(how="plain")] * 3)
    table = SimpleNamespace(
        owner=np.arange(units), lengths=np.full(units, 4), offsets=np.arange(units + 1) * 4,
        cats=np.column_stack([attach, home, mixed]),
    )  # fmt: skip
    assert _openers(coder, table) == [1, -1, -1]  # type: ignore[arg-type]
