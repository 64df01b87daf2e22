"""What comes where a category has the value of the event before again."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_coder import RANKS, EventColumn, Units
from synth_spark.generators._events_twice import may_stay, twice_of

CELL = EventColumn("cell", "ranked", RANKS + 2, -1, None)
ENTRY = EventColumn("entry", "plain", 3, -1, None)  # attach, handover, update


def units(events: int = 1_200) -> Units:
    """Two units in which a cell that comes again is attached to anew, and no other is."""
    rng = np.random.default_rng(1)
    cell = rng.integers(0, 3, events)
    first = np.zeros(events, bool)
    first[[0, events // 2]] = True
    again = np.append(False, cell[1:] == cell[:-1]) & ~first
    entry = np.where(again, 0, rng.integers(1, 3, events))
    none = np.zeros((events, 0))
    return Units(
        np.arange(2), np.zeros(2, np.int64), np.array([0, events // 2, events]),
        np.arange(events, dtype=float), np.column_stack([cell, entry]).astype(np.int32),
        none.astype(np.int32), none,
    )  # fmt: skip


def test_only_what_came_with_a_repeat_comes_with_one() -> None:
    nothing, entry = twice_of((CELL, ENTRY), units())
    assert nothing.shape == (0, RANKS + 2, RANKS + 2)
    assert entry[0, 0].tolist() == [True, False, False]
    assert entry[0, 2].tolist() == [True, False, False]
    assert entry[0, RANKS].all()  # two others are seldom the same


def test_few_repeats_forbid_nothing() -> None:
    assert all(came.all() for came in twice_of((CELL, ENTRY), units(60)))


def test_a_unit_without_what_comes_with_a_repeat_has_none() -> None:
    twice = twice_of((CELL, ENTRY), units())
    shares = np.zeros((2, RANKS + 2 + 3), np.float32)
    shares[:, :3] = 1 / 3
    shares[0, -3:], shares[1, -3:] = (0.2, 0.4, 0.4), (0, 0.5, 0.5)  # the second never attaches
    cell, entry = may_stay(twice, shares)
    assert cell[0].all()
    assert not cell[1, :3].any()
    assert entry.all()
