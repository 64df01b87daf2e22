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
    return np.asarray(_mdav(np.ascontiguousarray(points, np.float64), max(k, 1)))


def grouped_starts(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in the order of their groups, and where each group begins, shape (groups + 1,)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max(initial=-1)) + 2))
    return order, starts.astype(np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _mdav(points, k):  # type: ignore[no-untyped-def]
    rows, columns = points.shape
    group = np.full(rows, -1, np.int64)
    left = np.arange(rows)
    sums = np.zeros(columns)
    for i in range(rows):
        sums += points[i]
    made = 0
    while len(left) >= 2 * k:
        centre = sums / len(left)
        for _ in range(2):
            if len(left) < 2 * k:
                break
            centre = points[_farthest(points, left, centre)].copy()
            near = np.empty(len(left))
            for i in range(len(left)):
                near[i] = _square(points[left[i]], centre)
            chosen = np.argsort(near, kind="mergesort")[:k]
            for i in chosen:
                group[left[i]] = made
                sums -= points[left[i]]
            made += 1
            left = left[group[left] < 0]
    for i in left:
        group[i] = made
    return group


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _square(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(len(a)):
        total += (a[j] - b[j]) * (a[j] - b[j])
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _farthest(points, left, centre):  # type: ignore[no-untyped-def]
    best, at = -1.0, left[0]
    for i in left:
        d = _square(points[i], centre)
        if d > best:
            best, at = d, i
    return at
