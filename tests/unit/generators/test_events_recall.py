"""Claims about what a unit did before, as candidates for what it does next."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.generators._events_again import kept, repeats
from synth_spark.generators._events_draws import draw_category, draw_slot
from synth_spark.generators._events_recall import (
    RING,
    add_near,
    again_at,
    by_hour,
    by_slot,
    same_time,
)
from synth_spark.models.recall import CENTERS, HOURS, NEAR, SLOTS, nearness

RINGS = (
    [-1.0] * RING,
    [30_000.0] + [-1.0] * (RING - 1),  # 8:20
    [30_000.0, 30_300.0, 86_399.0, 0.0, 3_599.0, 3_600.0, 33_000.0, 30_000.0],
)


def test_an_hour_is_told_how_many_pauses_ended_in_it_and_beside_it() -> None:
    out = np.empty((24, HOURS), np.float32)
    by_hour(np.array(RINGS[2]), out)
    want = np.zeros((24, HOURS))
    want[8, 0] = 1
    for hour, count in {8: 3, 23: 1, 0: 2, 1: 1, 9: 1}.items():
        want[hour, 1] = count / 8
        want[(hour + 1) % 24, 2] += count / 8
        want[(hour - 1) % 24, 2] += count / 8
    np.testing.assert_allclose(out, want, atol=1e-6)


def test_five_minutes_are_told_the_same_and_of_any_hour() -> None:
    out = np.empty((12, SLOTS), np.float32)
    by_slot(np.array(RINGS[2]), 8, out)  # slots of the day 100, 101, 287, 0, 11, 12, 110, 100
    want = np.zeros((12, SLOTS))
    want[4, 0] = 1
    want[4, 1], want[5, 1] = 2 / 8, 1 / 8
    for slot in (100, 101, 100):
        for beside in (slot - 97, slot - 95):
            want[beside, 2] += 1 / 8
    for slot in (100, 101, 287, 0, 11, 12, 110, 100):
        want[slot % 12, 3] += 1 / 8
    np.testing.assert_allclose(out, want, atol=1e-6)


def test_training_and_drawing_are_told_the_same() -> None:
    torch = pytest.importorskip("torch")
    from synth_spark.models import event_net

    rings = np.array(RINGS)
    slots = torch.from_numpy(np.floor(rings / 300).astype(np.int64))
    hours, minutes = np.empty((24, HOURS), np.float32), np.empty((12, SLOTS), np.float32)
    for hour in range(24):
        told = event_net.by_slot(slots, torch.full((len(rings),), hour)).numpy()
        for ring, want in zip(rings, told, strict=True):
            by_slot(ring, hour, minutes)
            np.testing.assert_allclose(minutes, want, atol=1e-6)
    for ring, want in zip(rings, event_net.by_hour(slots).numpy(), strict=True):
        by_hour(ring, hours)
        np.testing.assert_allclose(hours, want, atol=1e-6)


def test_what_is_missing_is_near_to_itself_only() -> None:
    near = nearness(4, 3, np.array([0.0, 1.0, 2.0, 0.0]), 1.0)
    assert near[3, :, 3].tolist() == [1, 0, 0, 0, 0]
    assert near[3, :, :3].sum() == near[:3, :, 3].sum() == near[4].sum() == 0
    np.testing.assert_allclose(near[1, :3, 0], [0, np.exp(-1 / 2), np.exp(-1 / 8)], rtol=1e-6)


def test_between_two_tokens_what_scatters_about_a_level_is_a_normal_density_at_it() -> None:
    """The weight of one on the square of the distance gives the density that has the spread."""
    torch = pytest.importorskip("torch")
    from synth_spark.models.event_net import EventNet, NetShape

    typical, spread, level = np.linspace(2.0, 4.0, 21), 0.3, 7.4  # 2.74, in tokens of .1
    near = nearness(21, -1, typical, spread)
    weight = np.zeros(CENTERS * NEAR, np.float32)
    weight[2 * NEAR + 3] = 1.0
    row = np.zeros(21, np.float32)
    add_near(row, np.array([-1, -1, level], np.float32), near, weight)
    want = np.exp(-0.5 * ((typical - (2.0 + level / 10)) / spread) ** 2)
    got = np.exp(row - row.max())
    np.testing.assert_allclose(got / got.sum(), want / want.sum(), atol=2e-4)

    shape = NetShape(inputs=3, after=2, pointer=1, times=4, jumps=1, cats=(), nums=(21,),
                     near=((21, -1, typical, spread),), dropout=0.0)  # fmt: skip
    net = EventNet(shape)
    with torch.inference_mode():
        net.num_recall[0].bias.copy_(torch.from_numpy(weight))
        slice_, known = torch.zeros(1, shape.head), torch.zeros(1, 2)
        plain = net.number(0, slice_, known, [])
        told = net.number(0, slice_, known, [], torch.tensor([[-1.0, -1.0, level]]))
    np.testing.assert_allclose((told - plain)[0].numpy(), row, atol=1e-5)


def test_pauses_that_end_at_the_same_second_are_counted_beyond_chance() -> None:
    days = np.arange(7) * 86_400.0
    same = days + 30_000.0
    other = days + 30_000.0 + np.array([0, 60, 0, 120, 0, 180, 0.0])
    for t, count in ((same, 6), (other, 0)):  # the one before was never at the same second
        previous = np.append(-1.0, t[:-1])
        want = max((count / 6 - 1 / 300) / (1 - 1 / 300), 0) * 6 / (6 + 20)
        assert again_at(t, previous, 1_800.0, 1.0) == pytest.approx(want)
    assert again_at(same, np.append(-1.0, same[:-1]), 1_800.0, 300.0) == 0  # on the grid anyway
    assert same_time(np.array(RINGS[2]), 100) == 30_000.0
    assert same_time(np.array(RINGS[2]), 50) == -1.0


def test_a_pause_ends_at_the_second_of_the_one_before_it_in_its_slot() -> None:
    state = np.array([[86_400.0, *[0.0] * 9, 7 * 86_400.0, *RINGS[1]]])
    logits = np.full((1, 12 + SLOTS), -50.0, np.float32)
    logits[0, 4] = 50.0  # 8:20 to 8:25
    logits[0, 12:] = 0.0
    seen = {}
    for again in (0.0, 1.0):
        t, random = np.zeros(1), np.array([[7]], np.uint64)
        draw_slot(
            np.array([0]), np.array([0]), state, random, logits, np.zeros(12 + SLOTS, np.float32),
            np.array([1]), np.array([8]), 1_800.0, 1.0, np.arange(8), np.arange(8),
            np.zeros(1, np.int64), np.zeros((0, 24), bool), np.full(1, 1e9), 11, again, t,
        )  # fmt: skip
        seen[again] = t[0] - 2 * 86_400.0
    assert seen[1.0] == 30_000.0
    assert 30_000.0 <= seen[0.0] < 30_300.0
    assert seen[0.0] != 30_000.0  # one in 300 would be


def test_how_often_a_number_stays_is_learned_beyond_chance() -> None:
    """One unit stays at 1.5 for good; in the other the token is one, its values never are."""
    offsets = np.array([0, 50, 100])
    values = np.concatenate([np.full(50, 1.5), 2 + np.arange(50) / 100])[:, None]
    tokens, category = np.zeros((100, 1), np.int32), np.zeros(100, np.int32)
    chance = (0.5**2) + 50 * 0.01**2  # two of the hundred are the same
    got = repeats(offsets, category, tokens, values)
    assert got[0, 0] == pytest.approx((49 / 98 - chance) / (1 - chance) * 98 / (98 + 20))
    assert got[0, 1] == 0  # with one category the last event is the one before


def test_a_number_comes_again_with_its_category() -> None:
    category = np.tile(np.array([0, 1], np.int32), 200)
    tokens = category.copy()
    values = np.where(category == 0, 1.25, 2.75)[:, None] + np.repeat([0, 0.01], 200)[:, None]
    offsets = np.array([0, 200, 400])
    share = repeats(offsets, category, tokens[:, None], values)[0]
    assert share[0] == 0
    assert share[1] > 0.9
    rng = np.random.default_rng(0)
    inside = kept(offsets, category, tokens, np.array([0.0, 1.0]), rng.random(400), rng)
    for unit in (slice(0, 200), slice(200, 400)):
        for value in (0, 1):
            assert len(set(inside[unit][category[unit] == value])) == 1
    assert len(set(inside)) == 4


def _picks(seldom: bool, done: float, here: float, due: bool = True, rows: int = 4_000) -> float:
    """How often a label of one event of forty is drawn, with `done` events and `here` of it."""
    state = np.zeros((rows, 8))
    state[:, 1], state[:, 4] = done, here
    logits = np.tile(np.log(np.array([0.9, 0.1], np.float32)), (rows, 1))
    tokens = np.zeros((rows, 1), np.int32)
    share = np.tile(np.array([39 / 40, 1 / 40], np.float32), (rows, 1))
    draw_category(
        np.arange(rows), np.arange(rows, dtype=np.uint64)[:, None] * np.uint64(977),
        logits, np.zeros(2, np.float32), np.zeros((rows, 2, 0), np.float32), share,
        np.ones((0, 0, 2), bool), tokens, 0, np.full(rows, 40.0), state, 3, 0, 2, 0,
        np.array([False, seldom]), np.array([False, due]), np.zeros((2, 8)), np.zeros(rows),
        np.ones((0, 0, 2), bool), np.ones((rows, 2), bool), False,
    )  # fmt: skip
    return float((tokens[:, 0] == 1).mean())


def test_a_rare_label_that_is_drawn_to_come_once_comes_once_and_in_time() -> None:
    # Deviation of 4,000 draws at .1 is .005; four of them are passed once in 16,000 runs.
    assert _picks(False, 20.0, 1.0) == pytest.approx(0.1, abs=0.02)
    assert _picks(True, 20.0, 1.0) == 0.0
    assert _picks(True, 20.0, 0.0) == pytest.approx(0.1, abs=0.02)  # more than is due
    due = 0.1 * 3 / (0.9 + 0.1 * 3)  # of the last three a third; at most three times the odds
    assert _picks(True, 37.0, 0.0) == pytest.approx(due, abs=0.03)
    assert _picks(False, 37.0, 0.0) == pytest.approx(due, abs=0.03)  # any label that a unit has
    assert _picks(False, 37.0, 0.0, due=False) == pytest.approx(0.1, abs=0.02)
