"""Drawn values of a column, moved until they are spread as the records' values are.

Columns are drawn one given those before it, by trees of few rows where there are few subjects. What
a tree blurs in one column it passes on to the next, and the later columns drift. So some subjects
are drawn when a model is learned, and of each column it is kept how far each of its quantiles lies
from the same quantile of the records (quantile mapping: Panofsky and Brier, Some applications of
statistics to meteorology, 1968); a later column is drawn given the moved ones. Values that many
rows share stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

KNOTS = 24  # quantiles, at most
ROWS = 5  # of the records between two of them, at least

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Margin:
    """How far the values of one column are moved; without knots they are not."""

    at: Floats  # (knots,), drawn values in order
    by: Floats  # (knots,), what is added there; in between a line
    low: float  # mean of the records' least values, and of their greatest: no value goes beyond
    high: float
    spikes: NDArray[np.float32]  # values that are not moved

    @classmethod
    def none(cls) -> Self:
        """Nothing is moved."""
        return cls(np.zeros(0), np.zeros(0), 0.0, 0.0, np.zeros(0, np.float32))

    @classmethod
    def learn(cls, drawn: Floats, real: Floats, spikes: NDArray[np.float32]) -> Self:
        """Compare drawn values of a column with the records', any number of each."""
        x, y = (v[~np.isin(v.astype(np.float32), spikes)] for v in (drawn, real))
        knots = min(len(y) // ROWS, KNOTS)
        if knots < 2 or len(x) < knots:
            return cls.none()
        at, to = (np.quantile(v, (np.arange(knots) + 0.5) / knots) for v in (x, y))
        at, where = np.unique(at, return_inverse=True)  # equal ones: the mean of what they become
        to = np.bincount(where, to) / np.bincount(where)
        least, most = (float(part.mean()) for part in (np.sort(y)[:ROWS], np.sort(y)[-ROWS:]))
        return cls(at, to - at, min(least, float(to[0])), max(most, float(to[-1])), spikes)

    def onto(self, drawn: Floats) -> Floats:
        """The moved values, shape as `drawn`; those beyond all knots come ever nearer the bounds.

        So no bound is drawn itself, however far the values reach.
        """
        if not len(self.at):
            return drawn
        moved = drawn + np.interp(drawn, self.at, self.by)
        for end, bound in ((0, self.low), (-1, self.high)):
            knot = self.at[end] + self.by[end]
            room, way = abs(bound - knot), -1.0 if end == 0 else 1.0
            beyond = np.maximum((moved - knot) * way, 0.0)
            bent = room * -np.expm1(-beyond / room) if room > 0 else np.zeros_like(beyond)
            moved = np.where(beyond > 0, knot + way * bent, moved)
        return np.where(np.isin(drawn.astype(np.float32), self.spikes), drawn, moved)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The margin that `state` came from."""
        return cls(**state)
