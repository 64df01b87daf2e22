"""Breaks the events of units into counts of a category's slots, so that shares are whole events.

Where the slots are ranks (own 1st, 2nd, ...), a unit has no more events of a rank than of the one
before: else its own 1st would be another than the one that the events are drawn for. Missing values
and the values beyond the ranks then come first, and the ranks share what is left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from synth_spark.generators._events_facts import Floats

Kind = Literal["plain", "missing", "other", "rank"]


class Stick:
    """What is left of each unit while its slots are filled one by one."""

    def __init__(self, rows: int) -> None:
        self.n = np.zeros(rows)
        self.left, self.owed, self.top = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.slots_left, self.ranks, self.cap = 0, 0, np.zeros(rows)

    def begin(self, distinct: Floats, slots: int, ranks: int = 0, apart: bool = False) -> Floats:
        """Start a category: all events left, `distinct` of so many slots to be filled.

        Args:
            distinct: How many slots each unit fills.
            slots: How many there are.
            ranks: So many of them, the last, are ranks; others are filled once all of these are.
            apart: No value comes twice running: none has more than half of the events.
        """
        self.left, self.top, self.slots_left = self.n.copy(), np.zeros_like(self.n), slots
        self.ranks = ranks
        self.cap = np.ceil(self.n / 2) if apart else self.n.copy()
        self.owed = np.clip(np.rint(distinct), np.minimum(self.n, 1), np.minimum(self.n, slots))
        return self.owed.copy()

    def skip(self) -> Floats:
        """A slot that must stay empty."""
        return np.zeros_like(self.left)

    def take_all(self) -> Floats:
        """The last slot that may be filled: all that is left."""
        return self.take(np.ones_like(self.left), np.zeros_like(self.left), last=False)

    def take(self, share: Floats, u: Floats, last: bool, kind: Kind = "plain") -> Floats:
        """The next slot's part of what is left; the count is whole.

        A rank has no more than the one before, and enough for those behind to have no more. Where
        one rank may not hold all, there are two.
        """
        if kind == "rank":
            self.owed = np.where((self.owed == 1) & (self.left > self.cap), 2, self.owed)
        want = np.floor(share * self.left + u)
        low = np.where(self.owed >= self.slots_left, 1, 0)
        high = np.where(self.owed > 0, self.left - np.maximum(self.owed - 1, 0), 0)
        if kind == "other":  # of a unit with all the ranks, and of no other
            low = np.where(self.owed > self.ranks, 1, 0)
            high = np.where(self.owed > self.ranks, high, 0)
        elif kind == "rank":
            even = np.ceil(self.left / np.maximum(self.owed, 1))
            low = np.maximum(low, np.where(self.owed > 0, even, 0))
            high = np.minimum(high, self.cap)
        # With one slot to fill, this slot holds all that is left, or nothing.
        want = np.where(self.owed == 1, np.where(share >= 0.5, self.left, 0), want)
        count = np.minimum(np.clip(want, low, np.maximum(high, low)), self.left)
        self.cap = count if kind == "rank" else self.cap
        part = count / np.maximum(self.left, 1)
        self.left = self.left - count
        self.owed = self.owed - (count > 0)
        self.top = np.maximum(self.top, count)
        self.slots_left -= 1
        if last:
            self.top = np.maximum(self.top, self.left)
        return np.asarray(part)
