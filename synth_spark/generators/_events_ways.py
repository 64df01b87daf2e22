"""Distances between places in levels, and the ways between a subject's places.

A way is a step from one place to another or back. Two places between which a subject goes often
are near one another: `apart_by_ways` learns how far apart they are, by how often.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

BINS = 43  # of a distance: below 0.25 km, then eight a decade
AWAY = 6  # levels of the distance from home
DIRECT = 8  # levels of the number of direct ways between two places
KM_A_DEGREE = 111.195
FIRST_KM = 0.25
LEAST_PAIRS = 20  # of places with so many ways, below which nothing bounds them
WITHIN = 0.98  # share of them that lie within the bound
CALM = 5.0  # pairs whose weight the distances of all pairs have


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def apart_km(a, b, c, d):  # type: ignore[no-untyped-def]
    """Kilometres between (a, b) and (c, d), degrees of latitude and longitude."""
    half = np.sin(np.radians(c - a) / 2) ** 2
    turn = np.sin(np.radians(d - b) / 2) ** 2
    angle = half + np.cos(np.radians(a)) * np.cos(np.radians(c)) * turn
    return 2 * np.degrees(np.arcsin(np.sqrt(min(angle, 1.0)))) * KM_A_DEGREE


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def bin_of(km):  # type: ignore[no-untyped-def]
    """Level of a distance."""
    if km < FIRST_KM:
        return 0
    return min(1 + int(8 * np.log10(km / FIRST_KM)), BINS - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def away_level(level):  # type: ignore[no-untyped-def]
    """Coarse level of a distance's bin: at home, below 0.8, 2.5, 14, 80 km, beyond."""
    if level == 0:
        return 0
    if level < 5:
        return 1
    if level < 9:
        return 2
    if level < 15:
        return 3
    return 4 if level < 21 else 5


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def ways_level(ways):  # type: ignore[no-untyped-def]
    """Level of a number of ways: 0, 1, 2, 3, from 4, 6, 10, 20."""
    if ways < 4:
        return ways
    if ways < 10:
        return 4 if ways < 6 else 5
    return 6 if ways < 20 else 7


def bins_of(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.int64]:
    """Levels of the distances between places (rows, 2) in degrees, shape (rows,)."""
    return np.asarray(_bins_of(np.ascontiguousarray(a), np.ascontiguousarray(b)))


def away_of(level: NDArray[np.int64]) -> NDArray[np.int64]:
    """Coarse levels, shape as `level`."""
    return np.array([away_level(k) for k in range(BINS)], np.int64)[level]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _bins_of(a, b):  # type: ignore[no-untyped-def]
    out = np.empty(len(a), np.int64)
    for i in range(len(a)):
        out[i] = bin_of(apart_km(a[i, 0], a[i, 1], b[i, 0], b[i, 1]))
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def ways_home(number, a, b, ways):  # type: ignore[no-untyped-def]
    """Direct ways between each number and number 0 in the rows a to b, into `ways`."""
    ways[:] = 0
    last = -1
    for r in range(a, b):
        now = number[r]
        if now < 0:
            continue
        if last == 0 and now > 0:
            ways[now] += 1
        elif last > 0 and now == 0:
            ways[last] += 1
        last = now


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def steps_of(number, a, b, most):  # type: ignore[no-untyped-def]
    """Every step in the rows a to b twice, as `from * most + to` and back, sorted."""
    out = np.empty(2 * max(b - a, 1), np.int64)
    found, last = 0, -1
    for r in range(a, b):
        now = number[r]
        if now < 0:
            continue
        if last >= 0 and last != now:
            out[found], out[found + 1] = last * most + now, now * most + last
            found += 2
        last = now
    return np.sort(out[:found])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def ways_of(steps, k, most, other, ways):  # type: ignore[no-untyped-def]
    """The places to which k has ways, into `other`; how many, into `ways`; gives their number."""
    found = 0
    at = np.searchsorted(steps, k * most)
    while at < len(steps) and steps[at] < (k + 1) * most:
        end = np.searchsorted(steps, steps[at] + 1)
        other[found], ways[found] = steps[at] - k * most, end - at
        found += 1
        at = end
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _pairs(number, offsets, places):  # type: ignore[no-untyped-def]
    """Pairs of a subject's places by the level of their ways and of their distance."""
    out = np.zeros((DIRECT, BINS))
    for i in range(len(offsets) - 1):
        a, b = offsets[i], offsets[i + 1]
        most = 1
        for r in range(a, b):
            most = max(most, number[r] + 1)
        row = np.full(most, -1, np.int64)  # the first in which each place is
        for r in range(a, b):
            if number[r] >= 0 and row[number[r]] < 0:
                row[number[r]] = r
        steps = steps_of(number, a, b, most)
        at = 0
        while at < len(steps):
            end = np.searchsorted(steps, steps[at] + 1)
            k, m = steps[at] // most, steps[at] % most
            if k < m:
                p, q = places[row[k]], places[row[m]]
                out[ways_level(end - at), bin_of(apart_km(p[0], p[1], q[0], q[1]))] += 1
            at = end
    return out


def apart_by_ways(
    number: NDArray[np.int64], offsets: NDArray[np.int64], places: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How far apart a subject's places are, by how often it goes from one to the other.

    Args:
        number: A subject's own number of each row's place, -1: missing; shape (rows,).
        offsets: Rows of each subject, shape (subjects + 1,).
        places: Latitude and longitude, shape (rows, 2).

    Returns:
        The level of distance within which nearly all pairs lie, (DIRECT,), none above that of fewer
        ways (one way bounds nothing); and how much likelier so many ways are at each distance than
        overall, (DIRECT, BINS).
    """
    counts = _pairs(np.asarray(number, np.int64), offsets, np.ascontiguousarray(places))
    total = counts.sum(axis=1)
    found = (np.cumsum(counts, axis=1) < WITHIN * total[:, None]).sum(axis=1)
    bound = np.where(total >= LEAST_PAIRS, found, BINS)
    bound[:2] = BINS  # what is gone once may be anywhere
    overall = (counts.sum(axis=0) + 1.0) / (counts.sum() + BINS)
    share = (counts + CALM * overall) / (total[:, None] + CALM)
    return np.asarray(np.minimum.accumulate(bound), np.int64), np.asarray(share / overall)
