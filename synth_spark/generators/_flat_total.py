"""A total of three parts or more: a bill from its items, a balance from what came and went.

Parts are found one at a time, by orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad,
Asilomar 1993); weights near a short decimal become it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._flat_relation import Array, Relation

_MOST_COLUMNS = 40  # that a total may be made of
_FEWEST_PARTS, _MOST_PARTS = 3, 10
_PRESENT = 0.999  # share of the rows in which a part is there whenever the total is
_LEFT = 0.01  # of the total's spread: more than that is no total
_DECIMALS = 4  # of a weight
_NEAR = 1e-3  # of a weight, or of one where it is smaller


def may_be_part(part: Array, whole: Array) -> bool:
    """Whether neither is below zero and the part never exceeds the whole; shape (rows,) each."""
    both = np.isfinite(part) & np.isfinite(whole)
    a, b = part[both], whole[both]
    return bool((a >= 0).all() and (a <= b * (1 + 1e-9)).all())


def fit_total(
    name: str, total: Array, numbers: Mapping[str, Array], rows: NDArray[np.bool_]
) -> Relation | None:
    """A total of some of the numbers, if what they leave is next to nothing.

    Args:
        name: Of the total.
        total: Its values, (rows,), NaN where missing.
        numbers: What may be its parts, the likelier ones first, (rows,) each.
        rows: On which it is looked for, (rows,).
    """
    known = np.isfinite(total)
    there = {n: np.isfinite(x) for n, x in list(numbers.items())[:_MOST_COLUMNS]}
    names = [n for n, x in there.items() if (x >= known).mean() > _PRESENT]
    some = rows & known & np.logical_and.reduce([there[n] for n in names], axis=0)
    if some.sum() < 50 or len(names) < _FEWEST_PARTS:
        return None
    x = np.column_stack([numbers[n][some] for n in names])
    centred, goal = x - x.mean(axis=0), total[some] - total[some].mean()
    size = np.linalg.norm(centred, axis=0) + 1e-12
    left, chosen = goal, list[int]()
    for _ in range(min(_MOST_PARTS, len(names))):
        told = np.abs(centred.T @ left) / size
        told[chosen] = -1
        chosen.append(int(told.argmax()))
        fitted = np.linalg.lstsq(centred[:, chosen], goal, rcond=None)[0]
        left = goal - centred[:, chosen] @ fitted
        if np.abs(left).mean() < _LEFT * np.abs(goal).mean():
            break
    else:
        return None
    if len(chosen) < _FEWEST_PARTS:
        return None
    weights = np.array([_short(float(w)) for w in fitted])
    base = _short(float(np.median(total[some] - x[:, chosen] @ weights)))
    parents = tuple(names[i] for i in chosen)
    return Relation(name, "total", parents, weights=tuple(map(float, weights)), base=base)


def _short(value: float) -> float:
    """The shortest decimal that is as good as the same."""
    for digits in range(_DECIMALS + 1):
        short = round(value, digits)
        if abs(value - short) <= _NEAR * min(max(abs(value), 1e-3), 1.0):
            return short
    return value
