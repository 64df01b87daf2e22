"""A straight line through the columns before one: what few rows tell of a column at its ends.

Trees with many rows in a leaf flatten how a column hangs on those before it, the more the fewer
rows there are. A forest that is grown on what a ridge regression (Hoerl and Kennard, Technometrics
1970) leaves over keeps the slope: a draw is the line's value with a leaf's rest on it. Values that
many rows share (no nights at all) are left to the column's plain forest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._forest import Forest, spikes

PENALTY = 10.0  # in rows: so many rows without any slope are added
OTHERS = [2, 3, 0, 1]  # uniforms of the rest: those of the plain draw told whether it is a spike
LEAST_TOLD = 0.2  # of a column's variance, below which the line is left to the trees
LEAST_ROWS = 20  # without those at spikes, below which a column has no line

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """The line of one column, and the forest of what it leaves over; without it there is none."""

    weights: Floats  # (columns before,)
    intercept: float
    low: float  # of the column's values that are no spikes
    high: float
    rest: Forest | None
    spikes: NDArray[np.float32]  # values that the line does not tell of

    @classmethod
    def fit(
        cls,
        given: Floats,
        target: Floats,
        used: NDArray[np.bool_],
        grown: Callable[[Floats, Floats], Forest],
    ) -> Self:
        """Fit the line of one column.

        Args:
            given: The columns before it, shape (rows, columns).
            target: The column, shape (rows,).
            used: Which of the columns before are numbers, shape (columns,).
            grown: A forest on what is given and left over.
        """
        shared = spikes(target)
        rows = ~np.isin(target.astype(np.float32), shared)
        z, y = given[rows], target[rows]
        none = cls(np.zeros(given.shape[1]), 0.0, 0.0, 0.0, None, shared)
        kept = used & (z.std(axis=0) > 1e-9) if len(z) else np.zeros(len(used), bool)
        if len(z) < LEAST_ROWS or not kept.any():
            return none
        mean, scale = z[:, kept].mean(axis=0), z[:, kept].std(axis=0)
        flat = (z[:, kept] - mean) / scale
        gram = flat.T @ flat + PENALTY * np.eye(flat.shape[1])
        weights = np.zeros(given.shape[1])
        weights[kept] = np.linalg.solve(gram, flat.T @ (y - y.mean())) / scale
        intercept = float(y.mean() - weights[kept] @ mean)
        away = y - (z @ weights + intercept)
        if _told(flat, gram, away, y) < LEAST_TOLD:
            return none
        rest = grown(z, away)
        return cls(weights, intercept, float(y.min()), float(y.max()), rest, shared)

    def onto(
        self,
        given: Floats,
        plain: Floats,
        uniforms: Floats,
        together: NDArray[np.int64] | None = None,
        *,
        loose: bool = False,
    ) -> Floats:
        """Values on the line, in the range of those that are no spikes; shape (rows,).

        Args:
            given: The columns before it, shape (rows, columns).
            plain: What the column's own forest drew: it stays where it is a spike.
            uniforms: Shape (rows, 4), in [0, 1), of that draw too.
            together: Of each row the group that is drawn evenly, see `_even.py`.
            loose: Leave values beyond that range where they are.
        """
        if self.rest is None:
            return plain
        on = (
            given @ self.weights
            + self.intercept
            + self.rest.draw(given, uniforms[:, OTHERS], together)
        )
        spike = np.isin(plain.astype(np.float32), self.spikes)
        return np.where(spike, plain, on if loose else np.clip(on, self.low, self.high))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        rest = None if self.rest is None else self.rest.state()
        return {**{name: getattr(self, name) for name in self.__slots__}, "rest": rest}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The line that `state` came from."""
        rest = None if state["rest"] is None else Forest.from_state(state["rest"])
        return cls(**{**state, "rest": rest})


def _told(flat: Floats, gram: Floats, away: Floats, y: Floats) -> float:
    """Share of the variance that a line tells of rows that it was not fitted on, one at a time.

    By each row's leverage (Allen, The relationship between variable selection and data
    augmentation and a method for prediction, Technometrics 1974), the mean's own included.
    """
    leverage = np.einsum("ij,ji->i", flat, np.linalg.solve(gram, flat.T)) + 1 / len(y)
    error = away / np.maximum(1 - leverage, 1e-3)
    return float(1 - (error**2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12))
