"""A straight line through the columns before one: what few rows tell of a column at its ends.

Trees with many rows in a leaf flatten how a column hangs on those before it, the more the fewer
rows there are. A forest that is grown on what a ridge regression (Hoerl and Kennard, Technometrics
1970) leaves over keeps the slope, and a draw is the line's value with a leaf's rest on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

PENALTY = 10.0  # in rows: so many rows without any slope are added
SPIKE = 0.2  # share of the rows that hold one value, from which a column has no line

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """The line of one column; with no weights it is 0 throughout."""

    weights: Floats  # (columns before,)
    intercept: float
    low: float  # of the column's values
    high: float

    @classmethod
    def fit(cls, given: Floats, target: Floats, used: NDArray[np.bool_]) -> Self:
        """Fit the line of one column.

        Args:
            given: The columns before it, shape (rows, columns).
            target: The column, shape (rows,).
            used: Which of the columns before are numbers, shape (columns,).
        """
        none = cls(np.zeros(given.shape[1]), 0.0, float(target.min()), float(target.max()))
        _, counts = np.unique(target, return_counts=True)
        if not used.any() or counts.max() > max(SPIKE * len(target), 1):
            return none
        mean, scale = given.mean(axis=0), given.std(axis=0)
        kept = used & (scale > 1e-9)
        z = (given[:, kept] - mean[kept]) / scale[kept]
        gram = z.T @ z + PENALTY * np.eye(z.shape[1])
        weights = np.zeros(given.shape[1])
        weights[kept] = np.linalg.solve(gram, z.T @ (target - target.mean())) / scale[kept]
        return cls(weights, float(target.mean() - weights @ mean), none.low, none.high)

    def at(self, given: Floats) -> Floats:
        """The line's values, shape (rows,)."""
        return given @ self.weights + self.intercept

    def onto(self, given: Floats, rest: Floats) -> Floats:
        """Values with a rest on the line, in the range of the column; shape (rows,)."""
        return np.clip(self.at(given) + rest, self.low, self.high)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The line that `state` came from."""
        return cls(**state)
