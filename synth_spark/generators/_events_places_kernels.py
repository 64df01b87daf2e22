"""Compiled pieces of `_events_places.py`: first visits, and the draw of places."""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_kernels import STRIDE, pick, uniform
from synth_spark.generators._events_ways import (
    BINS,
    FIRST_KM,
    KM_A_DEGREE,
    apart_km,
    away_level,
    bin_of,
    steps_of,
    ways_home,
    ways_level,
    ways_of,
)

_WIDE = 0.003  # degrees: the reach of a cell from which places in it are told apart
_TRIES = 6  # places looked at in a wide cell, draws of a distance
_OTHERS = 8  # places with ways to a new one that bound where it lies
_SLOW = 4_096  # labels above which candidates are drawn by popularity instead of looked at in turn


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _first_visits(number, offsets):  # type: ignore[no-untyped-def]
    rows = np.empty(len(number), np.int64)
    before, direct = np.empty_like(rows), np.empty_like(rows)
    home = homes(number, offsets)
    found = 0
    for i in range(len(offsets) - 1):
        a, b = offsets[i], offsets[i + 1]
        most = 0
        for r in range(a, b):
            most = max(most, number[r] + 1)
        seen = np.zeros(most, np.bool_)
        ways = np.zeros(most, np.int64)
        ways_home(number, a, b, ways)
        last = home[i]
        for r in range(a, b):
            k = number[r]
            if k < 0:
                continue
            if k > 0 and not seen[k]:
                rows[found], before[found] = r, last
                direct[found] = ways_level(ways[k])
                found += 1
            seen[k] = True
            last = r
    return rows[:found], before[:found], direct[:found]


def first_visits(number: NDArray[np.int64], offsets: NDArray[np.int64]) -> Any:
    """Rows in which a place other than the home comes first, of subjects that have a home.

    Args:
        number: A subject's own number of each row's place, 0: home, -1: missing; shape (rows,).
        offsets: Rows of each subject, shape (subjects + 1,).

    Returns:
        The rows, the row of the place before each (the home where there is none), and the level of
        the direct ways between the place and the home.
    """
    return _first_visits(np.asarray(number, np.int64), offsets)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def homes(number, offsets):  # type: ignore[no-untyped-def]
    """The first row of each subject that is at home; -1 where there is none."""
    out = np.full(len(offsets) - 1, -1, np.int64)
    for i in range(len(out)):
        for r in range(offsets[i], offsets[i + 1]):
            if number[r] == 0:
                out[i] = r
                break
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _weights(  # type: ignore[no-untyped-def]
    out, home, before, popular, pair_start, pair_label, pair_share, step_start, step_label,
    step_count,
):  # fmt: skip
    """How likely each label is wherever it lies: steps and company, then popularity."""
    size = len(out)
    steps, company = 0.0, 0.0
    for p in range(step_start[before], step_start[before + 1]):
        steps += step_count[p]
    for p in range(pair_start[home], pair_start[home + 1]):
        company += pair_share[p]
    for k in range(size):
        out[k] = 0.1 * popular[k]
    for p in range(step_start[before], step_start[before + 1]):
        if step_label[p] < size:
            out[step_label[p]] += step_count[p] / (steps + 5.0)
    for p in range(pair_start[home], pair_start[home + 1]):
        if pair_label[p] < size:
            out[pair_label[p]] += pair_share[p] / (company + 5.0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _inside(centre, reach, u):  # type: ignore[no-untyped-def]
    """Latitude and longitude in a cell, as `Place.decode` puts them."""
    turn, radius = u * 1_000.0 * np.pi, np.sqrt(u)
    return centre[0] + np.sin(turn) * radius * reach[0], centre[1] + np.cos(turn) * radius * reach[
        1
    ]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _towards(centre, reach, last, level, otherwise, state):  # type: ignore[no-untyped-def]
    """Where in a cell a random point at a distance's level from `last` is, else `otherwise`.

    The inverse of `_inside`: of the spiral's turns the one nearest to the point.
    """
    u, turn = uniform(state), uniform(state) * 2 * np.pi
    km = FIRST_KM * u if level == 0 else FIRST_KM * 10.0 ** ((level - 1 + u) / 8)
    x = last[0] + np.cos(turn) * km / KM_A_DEGREE
    y = last[1] + np.sin(turn) * km / KM_A_DEGREE / max(np.cos(np.radians(last[0])), 0.01)
    x, y = (x - centre[0]) / reach[0], (y - centre[1]) / reach[1]
    if x * x + y * y > 1:
        return otherwise
    goal, angle = (x * x + y * y) * 1_000.0 * np.pi, np.arctan2(x, y)
    full = np.floor((goal - angle) / (2 * np.pi) + 0.5)
    return min(max((angle + full * 2 * np.pi) / (1_000.0 * np.pi), 0.0), 1.0 - 1e-9)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _nearest(other, bound, near, m, limit):  # type: ignore[no-untyped-def]
    """Take place m in among the first of `other`, those with the least bounds; gives how many."""
    at = near
    if near == _OTHERS:
        at = 0
        for e in range(near):
            at = e if bound[e] > bound[at] else at
        if bound[at] <= limit:
            return near
    other[at], bound[at] = m, limit
    return min(near + 1, _OTHERS)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def settle(  # type: ignore[no-untyped-def]
    number, offsets, key, first, popular, pair_start, pair_label, pair_share, steps, step_start,
    step_label, step_count, apart, centre, reach,
):  # fmt: skip
    """Label of each row and its place inside the label's cell."""
    size = len(popular)
    label, inside = np.zeros(len(number), np.int64), np.zeros(len(number))
    state = np.zeros(1, np.uint64)
    weight = np.empty(size)
    upper = np.cumsum(popular)
    for i in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(i) * STRIDE
        a, b = offsets[i], offsets[i + 1]
        most = 1
        for r in range(a, b):
            most = max(most, number[r] + 1)
        ways = np.zeros(most, np.int64)
        ways_home(number, a, b, ways)
        way = steps_of(number, a, b, most)
        other, often = np.empty(most, np.int64), np.empty(most, np.int64)
        own = np.full(most, -1, np.int64)
        where = np.zeros((most, 3))
        home = min(np.searchsorted(first, uniform(state) * first[-1], side="right"), size - 1)
        own[0] = home
        where[0, 2] = uniform(state)
        where[0, 0], where[0, 1] = _inside(centre[home], reach[home], where[0, 2])
        used = np.zeros(size, np.bool_)
        used[home] = True
        last = 0
        for r in range(a, b):
            k = number[r]
            if k < 0:
                continue
            if own[k] < 0:
                far = bin_of(apart_km(where[0, 0], where[0, 1], where[last, 0], where[last, 1]))
                cdf = steps[ways_level(ways[k]), away_level(far)]
                bound, bound_last, near = apart[ways_level(ways[k])], BINS, 0
                for e in range(ways_of(way, k, most, other, often)):
                    m, limit = other[e], apart[ways_level(often[e])]
                    if m == last:
                        bound_last = limit
                    elif m != 0 and own[m] >= 0 and limit < BINS:
                        near = _nearest(other, often, near, m, limit)
                from_home, from_last = BINS + 1, BINS + 1
                for _ in range(_TRIES):  # else as near as such places are
                    if from_home > bound or from_last > bound_last:
                        goal = pick(cdf, uniform(state))
                        from_home, from_last = goal // BINS, goal % BINS
                from_home, from_last = min(from_home, bound), min(from_last, bound_last)
                _weights(
                    weight, home, own[last], popular, pair_start, pair_label, pair_share,
                    step_start, step_label, step_count,
                )  # fmt: skip
                best, u = _drawn(
                    weight, used, where, last, from_home, from_last, other[:near], often[:near],
                    centre, reach, upper, state,
                )  # fmt: skip
                own[k], where[k, 2] = best, u
                where[k, 0], where[k, 1] = _inside(centre[best], reach[best], u)
                used[best] = True
            label[r], inside[r] = own[k], where[k, 2]
            last = k
    return label, inside


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _drawn(  # type: ignore[no-untyped-def]
    weight, used, where, before, from_home, from_last, others, bounds, centre, reach, upper, state,
):  # fmt: skip
    """A label at the drawn distances, or as near to them as any is, and a place inside its cell.

    It lies within `bounds` of `others`, places with which it has ways; or by as little outside.
    A wide cell is looked at by a few places inside, at the drawn distance from the last place
    where the cell reaches so far. A label of one position or of a fine cell
    is a subject's only once.
    """
    home, last = where[0], where[before]
    size = len(weight)
    slow = size > _SLOW
    looked = _SLOW if slow else size
    candidate = np.empty(looked, np.int64)
    chance, within = np.empty(looked), np.empty(looked)
    least = 1_000
    total = 0.0
    for c in range(looked):
        k = c
        if slow:
            k = min(np.searchsorted(upper, uniform(state) * upper[-1], side="right"), size - 1)
        candidate[c], chance[c] = k, -1.0
        if used[k] and reach[k, 0] < _WIDE:
            continue
        wide = reach[k, 0] >= _WIDE
        within[c], miss = 0.0, 1_000
        for _ in range(_TRIES if wide else 1):
            at = uniform(state) if reach[k, 0] > 0 else 0.0
            if wide:
                at = _towards(centre[k], reach[k], last, from_last, at, state)
            x, y = _inside(centre[k], reach[k], at)
            off = abs(bin_of(apart_km(x, y, home[0], home[1])) - from_home)
            off += abs(bin_of(apart_km(x, y, last[0], last[1])) - from_last)
            for e in range(len(others)):
                to = where[others[e]]
                off += max(bin_of(apart_km(x, y, to[0], to[1])) - bounds[e], 0)
            if off < miss:
                within[c], miss = at, off
        if miss < least:  # what was found before lies farther from the goal
            for e in range(c):
                chance[e] = -1.0
            least, total = miss, 0.0
        if miss == least:
            chance[c] = weight[k] + 1e-12
            total += chance[c]
    if total <= 0:
        k = min(np.searchsorted(upper, uniform(state) * upper[-1], side="right"), size - 1)
        return k, uniform(state)
    goal, best = uniform(state) * total, 0
    for c in range(looked):
        if chance[c] > 0:
            best = c
            goal -= chance[c]
            if goal < 0:
                break
    return candidate[best], within[best]
