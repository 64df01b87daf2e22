"""Serial numbers of a flat table beside the column that they run with, such as time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records, Values

Curve = tuple[tuple[float, float], ...]  # (value of the other column, mean of the serial number)
MOST_POINTS = 512
HOLDERS = 20  # rows a point
CLOSE = 0.15  # of the numbers' spread, that is left beside a column that they run with


def follows(name: str, others: list[str], sample: Records) -> tuple[str, Curve]:
    """The column that a serial number stays closest to, and its mean along it; "" if none.

    Args:
        name: The serial number.
        others: Columns of times and numbers.
        sample: Rows of the table.
    """
    ids = np.asarray(sample.columns[name], np.float64)
    known = np.isfinite(ids)
    if known.sum() < 2 * HOLDERS:
        return "", ()
    best: tuple[float, str, Curve] = (CLOSE * _width(ids[known]), "", ())
    for other in others:
        x = _number(sample.columns[other])
        if not np.isfinite(x).all():
            continue
        curve = _curve(x[known], ids[known])
        left = _width(ids[known] - expected(curve, x[known]))
        if left < best[0]:
            best = left, other, curve
    return best[1:]


def expected(curve: Curve, values: Values) -> NDArray[np.float64]:
    """The mean of the serial number at these values, NaN where one is missing; shape (rows,)."""
    x, y = np.array(curve).T
    out: NDArray[np.float64] = np.interp(_number(values), x, y)
    return out


def _curve(x: NDArray[np.float64], ids: NDArray[np.float64]) -> Curve:
    """Means of neighbours, at most `MOST_POINTS` and of `HOLDERS` rows at least."""
    size = max(HOLDERS, -(-len(x) // MOST_POINTS))
    _, value, rows = np.unique(x, return_inverse=True, return_counts=True)
    point, points, here, left = np.zeros(len(rows), np.int64), 0, 0, len(x)
    for k, n in enumerate(rows.tolist()):
        if here >= size and left >= size:
            points, here = points + 1, 0
        point[k] = points
        here, left = here + n, left - n
    group = point[value.ravel()]
    rows = np.bincount(group)
    mean = np.bincount(group, x) / rows, np.bincount(group, ids) / rows
    return tuple((float(a), float(b)) for a, b in zip(*mean, strict=True))


def _number(values: Any) -> NDArray[np.float64]:
    """Times as seconds; NaN where missing."""
    x = np.asarray(values)
    if x.dtype.kind != "M":
        return x.astype(np.float64)
    seconds = x.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(x), np.nan, seconds)


def _width(x: NDArray[np.float64]) -> float:
    low, high = np.quantile(x[np.isfinite(x)], [0.05, 0.95])
    return float(high - low)
