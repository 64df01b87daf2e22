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
    size = x.std(axis=0) + 1e-12
    centred, goal = (x - x.mean(axis=0)) / size, total[some] - total[some].mean()
    gram, told = centred.T @ centred, centred.T @ goal
    if not _is_little(goal, centred, _solved(gram, told)):
        return None  # not even all columns together make it up
    chosen: list[int] = []
    fitted, left = np.zeros(0), goal
    while len(chosen) < min(_MOST_PARTS, len(names)):
        telling = np.abs(centred.T @ left)
        telling[chosen] = -1
        chosen.append(int(telling.argmax()))
        fitted = _solved(gram[np.ix_(chosen, chosen)], told[chosen])
        left = goal - centred[:, chosen] @ fitted
        if _is_little(goal, centred[:, chosen], fitted):
            break
    else:
        return None
    if len(chosen) < _FEWEST_PARTS:
        return None
    fitted = np.linalg.lstsq(x[:, chosen] - x[:, chosen].mean(axis=0), goal, rcond=None)[0]
    weights = np.array([short(float(w)) for w in fitted])
    base = short(float(np.median(total[some] - x[:, chosen] @ weights)))
    parts = [(names[i], float(w)) for i, w in zip(chosen, weights, strict=True) if w]
    if len(parts) < _FEWEST_PARTS - 1:  # what went before the rest and has no weight is no part
        return None
    parents, kept = zip(*parts, strict=True)
    return Relation(name, "total", parents, weights=kept, base=base)


def _solved(gram: Array, told: Array) -> Array:
    return np.asarray(np.linalg.lstsq(gram, told, rcond=1e-12)[0])


def _is_little(goal: Array, x: Array, weights: Array) -> bool:
    """Whether next to nothing of the goal is left."""
    return bool(np.abs(goal - x @ weights).mean() < _LEFT * np.abs(goal).mean())


def short(value: float) -> float:
    """The shortest decimal that is as good as the same."""
    for digits in range(_DECIMALS + 1):
        near = round(value, digits)
        if abs(value - near) <= _NEAR * min(max(abs(value), 1e-3), 1.0):
            return near
    return value
