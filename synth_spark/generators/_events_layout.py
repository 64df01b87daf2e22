"""Where each running statistic of a unit stands: by the sizes of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_recall import RING

BEFORE = 37  # features before the time that do not depend on the columns
OWED = 16  # place of the share still owed among them
AFTER_DENSE = 11  # features of the time besides the weekday and the hour
AFTER = AFTER_DENSE + 7 + 24
POINTER = 12  # features of a value of the main category, before the second category's part
SECOND = 6  # values of the second category that are remembered for a main value
LAST = 3  # events back of which the categories are seen
ROOM = 10  # where a state row has the seconds of the unit
FIXED = 12  # places of a state row before those of the columns
LAST_STRIDE = 3  # between the last values of two categories there


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the columns and of the arrays that follow from them."""

    widths: NDArray[np.int64]  # (categories,)
    numbers: NDArray[np.int64]  # (numbers,), vocabulary
    missing: NDArray[np.int64]  # (numbers,), token or -1
    ranks: NDArray[np.int64]  # (categories,), 1: ranks of the unit, in the order of their events;
    # 2: of a subject with many units; 0: labels
    alone: NDArray[np.int64]  # (categories,), of the first so many values none comes twice running
    cut_s: float
    most_events: int
    typical: NDArray[np.float64]  # logarithm of a value of each token, number after number
    spread: NDArray[np.float64]  # (numbers,), deviation of these within a unit
    calm: NDArray[np.float64]  # (numbers,), events that a unit's level is worth, `Contexts`

    @property
    def values(self) -> int:
        return int(self.widths.sum())

    @property
    def main(self) -> int:
        """Values of the main category, 0 if there is none."""
        return int(self.widths[0]) if len(self.widths) else 0

    @property
    def second(self) -> int:
        return min(int(self.widths[1]), SECOND) if len(self.widths) > 1 else 0

    @property
    def dense(self) -> int:
        """Features before the time that are not one of many."""
        return BEFORE + self.values + 3 * self.main + 2 * len(self.numbers)

    @property
    def before(self) -> int:
        """Features before the time, without the attributes."""
        return self.dense + LAST * self.values

    @property
    def pointer(self) -> int:
        return POINTER + self.second

    @property
    def state_size(self) -> int:
        return self.numbers_at + RING + (4 + self.main) * len(self.numbers)

    @property
    def counts_at(self) -> int:
        """Where the counts of the values stand in a state row."""
        return FIXED + 3 * len(self.widths)

    @property
    def numbers_at(self) -> int:
        """Where the tokens of the last event's numbers stand in a state row."""
        return self.counts_at + self.values + 3 * self.main

    @property
    def ring_at(self) -> int:
        """Where the ends of the latest pauses stand in a state row."""
        return self.numbers_at + len(self.numbers)

    @property
    def near(self) -> tuple[tuple[Any, ...], ...]:
        """What `models/recall.py` asks of each number: size, missing token, values, spread."""
        ends = np.cumsum(np.maximum(self.numbers, 1))
        return tuple(
            (
                int(size),
                int(self.missing[j]),
                self.typical[: ends[j]][-size:],
                float(self.spread[j]),
            )
            for j, size in enumerate(np.maximum(self.numbers, 1))
        )

    def last_at(self, j: int) -> int:
        """Where the last value of category j stands in a state row."""
        return FIXED + LAST_STRIDE * j

    def packed(self) -> NDArray[np.float64]:
        """The layout as one array that the compiled functions read."""
        sizes = len(self.widths), len(self.numbers)
        head = np.array([self.cut_s, self.most_events, *sizes], np.float64)
        parts = [head, self.widths, self.numbers, self.missing, self.typical, self.calm]
        return np.concatenate(parts).astype(np.float64)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The layout that `state` came from."""
        return cls(**state)
