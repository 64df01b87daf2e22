"""A price list: a number as the sum of what each category adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values

_MOST_LEVELS = 40  # of one category
_MOST_COLUMNS = 200  # of the design matrix


@dataclass(frozen=True, slots=True)
class Linear:
    """base + the addend of each category's label; labels not listed add nothing."""

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]  # per name
    addends: tuple[tuple[float, ...], ...]  # per name and label
    base: float

    def center(self, values: Mapping[str, Values]) -> NDArray[np.float64]:
        """The sum, shape (rows,)."""
        total: NDArray[np.float64] | float = self.base
        for name, labels, addends in zip(self.names, self.labels, self.addends, strict=True):
            column = values[name]
            assert isinstance(column, Coded)
            table = np.array([*addends, 0.0])
            total = total + table[column.recode(labels, -1)]
        return np.asarray(total, np.float64)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Linear:
        """The tree that `dataclasses.asdict` made."""
        nested = {k: tuple(tuple(v) for v in state[k]) for k in ("labels", "addends")}
        return cls(names=tuple(state["names"]), base=state["base"], **nested)


def fit_linear(values: Mapping[str, Values], y: str, rows: NDArray[np.bool_]) -> Linear | None:
    """Ridge least squares of y on all small categories; None where there are none."""
    target = np.asarray(values[y], np.float64)[rows]
    names, labels, blocks = [], [], []
    for name in sorted(values):
        column = values[name]
        if not isinstance(column, Coded) or len(target) < 50:
            continue
        counts = np.bincount(column.codes[rows] + 1, minlength=len(column.labels) + 1)[1:]
        kept = tuple(label for label, n in zip(column.labels, counts, strict=True) if n >= 5)
        if not 2 <= len(kept) <= _MOST_LEVELS:
            continue
        codes = column.recode(kept, -1)[rows]
        names.append(name)
        labels.append(kept)
        blocks.append((codes[:, None] == np.arange(len(kept))).astype(np.float64))
    if not blocks or sum(b.shape[1] for b in blocks) > _MOST_COLUMNS:
        return None
    design = np.hstack(blocks)
    mean, base = design.mean(axis=0), float(target.mean())
    centred = design - mean
    gram = centred.T @ centred + 1e-3 * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (target - base))
    cuts = np.cumsum([b.shape[1] for b in blocks])[:-1]
    addends = tuple(tuple(float(w) for w in part) for part in np.split(weights, cuts))
    return Linear(tuple(names), tuple(labels), addends, base - float(mean @ weights))
