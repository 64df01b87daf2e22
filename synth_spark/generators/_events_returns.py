"""How values beyond a subject's ranks come: new ones, and returns to those that came before.

The chance that an other value is new depends on how many there were; a return leads so many other
events back as real ones do.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import RANKS

NEWS = 4  # levels of the share of new values among the other events so far
LEVELS = 20  # of the number of other events so far: powers of the square root of 2
FULL = 16  # events that a return looks back further for a value that may have more
LEAST_PAIRS = 100  # of other values in a row, from which it tells something that all differ


def never_twice(
    codes: NDArray[np.int64], ranks: NDArray[np.int64], owners: NDArray[np.int64]
) -> bool:
    """Whether no value beyond the ranks follows itself, where many follow another such."""
    other = (ranks >= RANKS) & (codes >= 0)
    both = other[1:] & other[:-1] & (owners[1:] == owners[:-1])
    return bool(both.sum() >= LEAST_PAIRS and (codes[1:] != codes[:-1])[both].all())


def fresh_and_back(
    codes: NDArray[np.int64], ranks: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance that an other event brings a new value, by how many others and new ones there were.

    And how many other events back the returns lead.
    """
    new, all_, back = _news(np.where(codes >= 0, ranks, -1), offsets)
    share = (new.sum() + 1.0) / (all_.sum() + 1.0)
    for axis in (1, ()):
        seen, events = (x.sum(axis=axis, keepdims=True) for x in (new, all_))
        share = (seen + 10 * share) / (events + 10)
    return np.asarray(share), (back + 1e-3) / max(float((back + 1e-3).sum()), 1e-12)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _level(count):  # type: ignore[no-untyped-def]
    return min(int(2 * np.log2(1.0 + count)), LEVELS - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _news_level(new, count):  # type: ignore[no-untyped-def]
    share = new / max(count, 1)
    if share < 0.5:
        return 0 if share < 0.25 else 1
    return 2 if share < 0.8 else 3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _news(ranks, offsets):  # type: ignore[no-untyped-def]
    new, total, back = np.zeros((LEVELS, NEWS)), np.zeros((LEVELS, NEWS)), np.zeros(LEVELS)
    for i in range(len(offsets) - 1):
        most = 0
        for r in range(offsets[i], offsets[i + 1]):
            most = max(most, ranks[r] + 1)
        seen = np.full(most, -1, np.int64)
        count, made = 0, 0
        for r in range(offsets[i], offsets[i + 1]):
            if ranks[r] >= RANKS:
                k, n = _level(count), _news_level(made, count)
                total[k, n] += 1
                if seen[ranks[r]] < 0:
                    new[k, n] += 1
                    made += 1
                else:
                    back[_level(count - seen[ranks[r]] - 1)] += 1
                seen[ranks[r]] = count
                count += 1
    return new, total, back


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _lag(back, count, u, v):  # type: ignore[no-untyped-def]
    """How many other events back, from 0, a return leads: of `count` that there were."""
    total = 0.0
    for k in range(_level(count - 1) + 1):
        total += back[k]
    goal, found = u * total, 0
    for k in range(_level(count - 1) + 1):
        found = k
        goal -= back[k]
        if goal < 0:
            break
    lo = int(
        np.ceil(2.0 ** (found / 2.0) - 1.0)
    )  # the lags of a level are those between its powers
    hi = max(int(np.ceil(2.0 ** ((found + 1) / 2.0) - 1.0)), lo + 1)
    return min(lo + int(v * (hi - lo)), count - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def returns(tokens, offsets, fresh, back, alone, u):  # type: ignore[no-untyped-def]
    out = np.full(len(tokens), -1, np.int64)
    for i in range(len(offsets) - 1):
        a, b = offsets[i], offsets[i + 1]
        past, events = np.empty(b - a, np.int64), np.zeros(b - a, np.int64)
        count, made, most = 0, 0, 0
        for r in range(a, b):
            most += tokens[r] == RANKS - 1
        most = most if most > 0 else b - a
        for r in range(a, b):
            if tokens[r] == RANKS:
                found = made
                if count > 0 and u[r, 0] >= fresh[_level(count), _news_level(made, count)]:
                    lag = _lag(back, count, u[r, 1], u[r, 2])
                    for k in range(FULL):  # past those that have all that they may
                        value = past[(count - 1 - lag - k) % count]
                        twice = alone and tokens[r - 1] == RANKS and value == out[r - 1]
                        if events[value] < most and not twice:
                            found = value
                            break
                out[r] = past[count] = found
                made += found == made
                events[found] += 1
                count += 1
    return out
