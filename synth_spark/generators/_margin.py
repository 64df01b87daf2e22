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
    low: float  # of the records' values
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
        apart = np.append(True, np.diff(at) > 0)
        return cls(at[apart], (to - at)[apart], float(y.min()), float(y.max()), spikes)

    def onto(self, drawn: Floats) -> Floats:
        """The moved values, shape as `drawn`."""
        if not len(self.at):
            return drawn
        moved = np.clip(drawn + np.interp(drawn, self.at, self.by), self.low, self.high)
        return np.where(np.isin(drawn.astype(np.float32), self.spikes), drawn, moved)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The margin that `state` came from."""
        return cls(**state)
