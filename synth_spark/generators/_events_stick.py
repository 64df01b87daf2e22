"""Breaks the events of units into counts of a category's slots, so that shares are whole events."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_facts import Floats


class Stick:
    """What is left of each unit while its slots are filled one by one."""

    def __init__(self, rows: int) -> None:
        self.n = np.zeros(rows)
        self.left, self.owed, self.top = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.slots_left = 0

    def begin(self, distinct: Floats, slots: int) -> Floats:
        """Start a category: all events left, `distinct` of so many slots to be filled."""
        self.left, self.top, self.slots_left = self.n.copy(), np.zeros_like(self.n), slots
        self.owed = np.clip(np.rint(distinct), np.minimum(self.n, 1), np.minimum(self.n, slots))
        return self.owed.copy()

    def skip(self) -> Floats:
        """A slot that must stay empty."""
        return np.zeros_like(self.left)

    def take_all(self) -> Floats:
        """The last slot that may be filled: all that is left."""
        return self.take(np.ones_like(self.left), np.zeros_like(self.left), last=False)

    def take(self, share: Floats, u: Floats, last: bool) -> Floats:
        """The next slot's part of what is left; the count is whole."""
        want = np.floor(share * self.left + u)
        low = np.where(self.owed >= self.slots_left, 1, 0)
        high = np.where(self.owed > 0, self.left - np.maximum(self.owed - 1, 0), 0)
        # With one slot to fill, this slot holds all that is left, or nothing.
        want = np.where(self.owed == 1, np.where(share >= 0.5, self.left, 0), want)
        count = np.minimum(np.clip(want, low, np.maximum(high, low)), self.left)
        part = count / np.maximum(self.left, 1)
        self.left = self.left - count
        self.owed = self.owed - (count > 0)
        self.top = np.maximum(self.top, count)
        self.slots_left -= 1
        if last:
            self.top = np.maximum(self.top, self.left)
        return np.asarray(part)
