"""Micro-aggregation by MDAV: groups of at least k records that lie close to each other.

Domingo-Ferrer and Mateo-Sanz, "Practical data-oriented microaggregation for statistical disclosure
control", IEEE TKDE 14 (2002), section 4; the fixed-size form is MDAV of Domingo-Ferrer and Torra,
Data Mining and Knowledge Discovery 11 (2005), algorithm 2.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def mdav(points: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Groups of k to 2k - 1 records; fewer than 2k records are one group.

    Take the record farthest from the mean of those left and the one farthest from it; each makes a
    group with its k - 1 nearest; repeat. Cost: rows squared times columns, over k.

    Args:
        points: Shape (rows, columns).
        k: Least records of a group.

    Returns:
        The group of each record, from 0, shape (rows,).
    """
    points, k = np.ascontiguousarray(points, np.float64), max(k, 1)
    rows, made = len(points), 0
    group, left, sums = np.full(rows, -1, np.int64), np.arange(rows), np.zeros(points.shape[1])
    for point in points:
        sums += point
    while len(left) >= 2 * k:
        centre = sums / len(left)
        for _ in range(2):
            if len(left) < 2 * k:
                break
            far = np.empty(len(left))
            _distances(points, left, centre, far)
            centre = points[left[far.argmax()]]
            _distances(points, left, centre, far)
            chosen = left[np.argsort(far, kind="stable")[:k]]
            group[chosen] = made
            for i in chosen:
                sums -= points[i]
            made += 1
            left = left[group[left] < 0]
    group[left] = made
    return group


def grouped_starts(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in the order of their groups, and where each group begins, shape (groups + 1,)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max(initial=-1)) + 2))
    return order, starts.astype(np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _distances(points, some, centre, out):  # type: ignore[no-untyped-def]
    """Squared distances of some of the points from a centre."""
    for i in range(len(some)):
        out[i] = 0.0
        for j in range(len(centre)):
            apart = points[some[i], j] - centre[j]
            out[i] += apart * apart
