"""Breaks the events of units into counts of a category's slots, so that shares are whole events.

Where the slots are ranks (own 1st, 2nd, ...), a unit has no more events of a rank than of the one
before: else its own 1st would be another than the one that the events are drawn for. Missing values
and the values beyond the ranks then come first, and the ranks share what is left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from synth_spark.generators._events_facts import Floats

ABOVE_NONE = 1e-9  # of what is left
Kind = Literal["plain", "missing", "other", "rank"]


class Stick:
    """What is left of each unit while its slots are filled one by one."""

    def __init__(self, rows: int) -> None:
        self.n = np.zeros(rows)
        self.left, self.owed, self.top = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.slots_left, self.ranks, self.cap = 0, 0, np.zeros(rows)
        self.some = np.full(rows, np.nan)  # whether the next slot is filled, where that was drawn

    def begin(self, distinct: Floats, slots: int, ranks: int = 0, apart: bool = False) -> Floats:
        """Start a category: all events left, `distinct` of so many slots to be filled.

        Args:
            distinct: How many slots each unit fills.
            slots: How many there are.
            ranks: So many of them, the last, are ranks; others are filled once all of these are.
            apart: No value comes twice running: none has more than half of the events.
        """
        self.left, self.top, self.slots_left = self.n.copy(), np.zeros_like(self.n), slots
        self.ranks, self.some = ranks, np.full_like(self.n, np.nan)
        self.cap = np.ceil(self.n / 2) if apart else self.n.copy()
        self.owed = np.clip(np.rint(distinct), np.minimum(self.n, 1), np.minimum(self.n, slots))
        return self.owed.copy()

    def skip(self) -> Floats:
        """A slot that must stay empty."""
        self.some = np.full_like(self.n, np.nan)
        return np.zeros_like(self.left)

    def take_all(self) -> Floats:
        """The last slot that may be filled: all that is left."""
        self.some = np.full_like(self.n, np.nan)
        return self.take(np.ones_like(self.left), np.zeros_like(self.left), last=False)

    def take(self, share: Floats, u: Floats, last: bool, kind: Kind = "plain") -> Floats:
        """The next slot's part of what is left; the count is whole.

        A rank has no more than the one before, and enough for those behind to have no more. Where
        one rank may not hold all, there are two.
        """
        low, high = self._bounds(kind)
        share = np.where(self.some == 0, 0.0, share)
        self.some = np.full_like(self.n, np.nan)
        want = np.floor(share * self.left + u)
        # With one slot to fill, this slot holds all that is left, or nothing: on average its share.
        whole = (share >= 0.5) | (low > 0)
        want = np.where(self.owed == 1, np.where(whole, self.left, 0), want)
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

    def used(self, drawn: Floats) -> Floats:
        """Whether the next slot is filled, 0 or 1: as drawn where it may be either."""
        self.some = np.full_like(self.n, np.nan)
        low, high = self._bounds("plain")
        self.some = np.where(low > 0, 1.0, np.where(high > 0, drawn, 0.0))
        return self.some

    def between(self) -> tuple[Floats, Floats]:
        """Parts of what is left that the next slot may take, before they are made whole."""
        low, high = self._bounds("plain")
        left = np.maximum(self.left, 1)
        least = np.where(self.some == 1, ABOVE_NONE, 0.0)
        least = np.where(self.owed >= self.slots_left, np.maximum(low - 0.5, 0) / left, least)
        return least, (np.maximum(high, low) + 0.5) / left

    def _bounds(self, kind: Kind) -> tuple[Floats, Floats]:
        """Least and most events of the next slot."""
        if kind == "rank":
            self.owed = np.where((self.owed == 1) & (self.left > self.cap), 2, self.owed)
        high = np.where(self.owed > 0, self.left - np.maximum(self.owed - 1, 0), 0)
        low = np.where(self.owed >= self.slots_left, 1, 0)
        low = np.where(self.some == 1, np.maximum(low, np.minimum(high, 1)), low)
        if kind == "other":  # of a unit with all the ranks, and of no other
            low = np.where(self.owed > self.ranks, 1, 0)
            high = np.where(self.owed > self.ranks, high, 0)
        elif kind == "rank":
            even = np.ceil(self.left / np.maximum(self.owed, 1))
            low = np.maximum(low, np.where(self.owed > 0, even, 0))
            high = np.minimum(high, self.cap)
        return low, high
