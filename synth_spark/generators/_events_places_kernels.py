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
    DIRECT,
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

WIDE = 0.003  # degrees: the reach of a cell from which places in it are told apart
_TRIES = 6  # places looked at in a wide cell, draws of a distance
_GOALS = 24  # places that are drawn for a new one, of which its ways to others choose
_KNOWN = 3  # visits from which it may be drawn right from the places of those of the home
_FEW = 5.0  # subjects of a home, or steps, that weigh as much as what all do
_FAR_OFF = 2 * BINS + 4
_OFF = 0.05 ** np.arange(_FAR_OFF)  # weight of a label, by levels its distances are off those drawn
_BEYOND = 0.1  # of a place for each level beyond what bounds those with so many ways
_OTHERS = 8  # places with ways to a new one that tell where it lies
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
    out, at, before, common, own_start, own_label, own_count, step_start, step_label, step_count
):
    """How likely each label is wherever it lies: steps, and what subjects of the home have."""
    size = len(out)
    steps, own = 0.0, 0.0
    for p in range(step_start[before], step_start[before + 1]):
        steps += step_count[p]
    for p in range(own_start[at], own_start[at + 1]):
        own += own_count[p]
    for k in range(size):
        out[k] = common[k] * _FEW / (own + _FEW)
    for p in range(own_start[at], own_start[at + 1]):
        if own_label[p] < size:
            out[own_label[p]] += own_count[p] / (own + _FEW)
    for p in range(step_start[before], step_start[before + 1]):
        if step_label[p] < size:
            out[step_label[p]] += step_count[p] / (steps + _FEW)


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
def _own(start, label, count, at, used, said, reach, state):  # type: ignore[no-untyped-def]
    """A label that subjects of the same home have, or -1, the oftener the fewer there are."""
    total, every, told = 0.0, _FEW, 0.0
    for p in range(start[at], start[at + 1]):
        every += count[p]
        if label[p] < len(used) and not used[label[p]] and reach[label[p], 0] < WIDE:
            total += count[p]
            told += count[p] * said[label[p]]
    goal = uniform(state) * every
    if goal < total:
        goal *= told / total
        for p in range(start[at], start[at + 1]):
            if label[p] < len(used) and not used[label[p]] and reach[label[p], 0] < WIDE:
                goal -= count[p] * said[label[p]]
                if goal < 0:
                    return label[p]
    return -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _often(other, ways, near, m, often):  # type: ignore[no-untyped-def]
    """Take place m in among the first of `other`, those with the most ways; gives how many."""
    at = near
    if near == _OTHERS:
        at = 0
        for e in range(near):
            at = e if ways[e] < ways[at] else at
        if ways[at] >= often:
            return near
    other[at], ways[at] = m, often
    return min(near + 1, _OTHERS)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _known(way, k, most, last, own, other, often):  # type: ignore[no-untyped-def]
    """Level of the ways to the last place; how many others, the first of `other`, have ways too."""
    last_ways, near = 0, 0
    for e in range(ways_of(way, k, most, other, often)):
        m = other[e]
        if m == last:
            last_ways = ways_level(often[e])
        elif m != 0 and own[m] >= 0:
            near = _often(other, often, near, m, often[e])
    for e in range(near):
        often[e] = ways_level(often[e])
    return last_ways, near


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _distances(goal, cdf, bound, bound_last, state):  # type: ignore[no-untyped-def]
    """Draw the levels of the distances from home and from the last place, within their bounds."""
    from_home, from_last = BINS + 1, BINS + 1
    for _ in range(_TRIES):  # else as near as such places are
        if from_home > bound or from_last > bound_last:
            drawn = pick(cdf, uniform(state))
            from_home, from_last = drawn // BINS, drawn % BINS
    goal[0], goal[1] = min(from_home, bound), min(from_last, bound_last)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _aims(  # type: ignore[no-untyped-def]
    goal, cdf, bound, bound_last, often, own_start, own_label, own_count, at, used, said, reach,
    state,
):  # fmt: skip
    """Draw the distances of each goal, and a label where the place is `often` there; -1: none."""
    for g in range(len(goal)):
        goal[g, 2] = -1
        if often:
            goal[g, 2] = _own(own_start, own_label, own_count, at, used, said, reach, state)
        _distances(goal[g], cdf, bound, bound_last, state)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def settle(  # type: ignore[no-untyped-def]
    number, offsets, key, first, popular, common, own_start, own_label, own_count, steps,
    step_start, step_label, step_count, apart, likely, centre, reach, nowhere, again, tilt, before,
):  # fmt: skip
    """Label of each row and its place inside the label's cell.

    Labels that are `nowhere` have an unknown place, those of `again` are a subject's more than
    once. `tilt` (subjects, ranks and other, labels), if
    there is any, is how much likelier each label is by what else the subject has. `before` is the
    number of the first subject.
    """
    size, told = len(popular), tilt.shape[1]
    said = np.ones(size)
    label, inside = np.zeros(len(number), np.int64), np.zeros(len(number))
    state = np.zeros(1, np.uint64)
    weight, goal = np.empty(size), np.empty((_GOALS, 3), np.int64)
    upper_home, upper = np.cumsum(first), np.cumsum(popular)
    for i in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(before + i) * STRIDE
        a, b = offsets[i], offsets[i + 1]
        most = 1
        for r in range(a, b):
            most = max(most, number[r] + 1)
        ways, visits = np.zeros(most, np.int64), np.zeros(most, np.int64)
        ways_home(number, a, b, ways)
        for r in range(a, b):
            if number[r] >= 0:
                visits[number[r]] += 1
        way = steps_of(number, a, b, most)
        other, often = np.empty(most, np.int64), np.empty(most, np.int64)
        own = np.full(most, -1, np.int64)
        where = np.zeros((most, 3))
        if told:
            upper_home = np.cumsum(first * tilt[i, 0])
        goal_home = uniform(state) * upper_home[-1]
        home = min(np.searchsorted(upper_home, goal_home, side="right"), size - 1)
        own[0] = home
        where[0, 2] = uniform(state)
        where[0, 0], where[0, 1] = _inside(centre[home], reach[home], where[0, 2])
        used, last = np.zeros(size, np.bool_), 0
        used[home] = not again[home]
        for r in range(a, b):
            k = number[r]
            if k < 0:
                continue
            if own[k] < 0:
                far = bin_of(apart_km(where[0, 0], where[0, 1], where[last, 0], where[last, 1]))
                cdf = steps[ways_level(ways[k]), away_level(far)]
                home_ways = ways_level(ways[k])
                last_ways, near = _known(way, k, most, last, own, other, often)
                if told:
                    said[:] = tilt[i, min(k, told - 1)]
                at = home * DIRECT + ways_level(visits[k])
                bound, bound_last = apart[home_ways], apart[last_ways] if last != 0 else BINS
                _aims(
                    goal, cdf, bound, bound_last, visits[k] >= _KNOWN, own_start, own_label,
                    own_count, at, used, said, reach, state,
                )  # fmt: skip
                _weights(
                    weight, at, own[last], common[ways_level(visits[k])], own_start, own_label,
                    own_count, step_start, step_label, step_count,
                )  # fmt: skip
                if told:
                    weight *= said
                best, u = _drawn(
                    weight, used, where, last, home_ways, last_ways, goal, other[:near],
                    often[:near], apart, likely, centre, reach, nowhere, upper, state,
                )  # fmt: skip
                own[k], where[k, 2] = best, u
                where[k, 0], where[k, 1] = _inside(centre[best], reach[best], u)
                used[best] = not again[best]
            label[r], inside[r] = own[k], where[k, 2]
            last = k
    return label, inside


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _drawn(  # type: ignore[no-untyped-def]
    weight, used, where, before, home_ways, last_ways, goal, others, level, apart, likely, centre,
    reach, nowhere, upper, state,
):  # fmt: skip
    """A label and a place inside its cell, for a subject's new place.

    For each `goal` there is one: its label, or one near the two distances, from home and from the
    last place. One of them is taken by how likely its distances to `others` are, the places with
    which it has ways of a `level`; for a goal that is a label, those to the home and the last place
    too. A label of one position or of a fine cell is a subject's only once.
    """
    home, last = where[0], where[before]
    size = len(weight)
    candidate, worth, within, bins = _candidates(
        size, goal, home, last, centre, reach, upper, state
    )
    chance = np.empty(len(candidate))
    kept, place, total = -1, 0.0, 0.0
    for g in range(len(goal)):
        k, at, fits = goal[g, 2], 0.0, 1.0
        if k >= 0:
            at = uniform(state) if reach[k, 0] > 0 else 0.0
        else:
            c, t = _near(
                weight, used, goal[g], candidate, worth, bins, chance, reach, nowhere, state
            )
            if c < 0:
                continue
            k, at = candidate[c], within[c, t]
        x, y = _inside(centre[k], reach[k], at)
        if goal[g, 2] >= 0:
            fits = likely[home_ways, bin_of(apart_km(x, y, home[0], home[1]))]
            if before > 0:
                fits *= likely[last_ways, bin_of(apart_km(x, y, last[0], last[1]))]
        for e in range(len(others)):
            to = where[others[e]]
            far = bin_of(apart_km(x, y, to[0], to[1]))
            fits *= likely[level[e], far] * _BEYOND ** max(far - apart[level[e]], 0)
        total += fits
        if kept < 0 or uniform(state) * total < fits:
            kept, place = k, at
    if kept < 0:
        kept = min(np.searchsorted(upper, uniform(state) * upper[-1], side="right"), size - 1)
        place = uniform(state)
    return kept, place


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _candidates(size, goal, home, last, centre, reach, upper, state):  # type: ignore[no-untyped-def]
    """Labels, what each is worth, places in them, and the levels of these places' distances.

    Of too many labels some are drawn by popularity, each worth the less the more popular it is. A
    wide cell is looked at by a few places inside, at drawn distances from the last place where the
    cell reaches so far; of others there is one. Distances are those from home and from the last
    place. Shapes (looked,) twice, (looked, tries), (looked, tries, 2).
    """
    slow = size > _SLOW
    looked = _SLOW if slow else size
    candidate, worth = np.empty(looked, np.int64), np.ones(looked)
    within = np.zeros((looked, _TRIES))
    bins = np.empty((looked, _TRIES, 2), np.int64)
    for c in range(looked):
        k = c
        if slow:
            k = min(np.searchsorted(upper, uniform(state) * upper[-1], side="right"), size - 1)
            worth[c] = 1.0 / max(upper[k] - (upper[k - 1] if k else 0.0), 1e-12)
        candidate[c] = k
        wide = reach[k, 0] >= WIDE
        for t in range(_TRIES if wide else 1):
            at = uniform(state) if reach[k, 0] > 0 else 0.0
            if wide:
                some = goal[t * len(goal) // _TRIES, 1]
                at = _towards(centre[k], reach[k], last, some, at, state)
            x, y = _inside(centre[k], reach[k], at)
            within[c, t] = at
            bins[c, t, 0] = bin_of(apart_km(x, y, home[0], home[1]))
            bins[c, t, 1] = bin_of(apart_km(x, y, last[0], last[1]))
    return candidate, worth, within, bins


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _near(  # type: ignore[no-untyped-def]
    weight, used, goal, candidate, worth, bins, chance, reach, nowhere, state
):  # fmt: skip
    """Which candidate, by its weight and by how near it is to the goal's distances; and its place.

    One that is nowhere is as near as others are on average. Writes `chance`. Gives -1 where there
    is none.
    """
    total, found, place, every, hidden = 0.0, -1, 0, 0.0, 0.0
    for c in range(len(candidate)):
        k, chance[c], miss = candidate[c], 0.0, 4 * BINS
        if used[k]:
            continue
        likely = (weight[k] + 1e-12) * worth[c]
        if nowhere[k]:
            chance[c] = likely
            hidden += likely
            continue
        every += likely
        if reach[k, 0] >= WIDE:
            for t in range(_TRIES):
                off = abs(bins[c, t, 0] - goal[0]) + abs(bins[c, t, 1] - goal[1])
                miss = min(miss, off)
        else:
            miss = abs(bins[c, 0, 0] - goal[0]) + abs(bins[c, 0, 1] - goal[1])
        if miss < _FAR_OFF:
            chance[c] = likely * _OFF[miss]
            total += chance[c]
    if hidden > 0:
        near = total / every if every > 0 else 1.0
        total += hidden * near
        for c in range(len(candidate)):
            if nowhere[candidate[c]]:
                chance[c] *= near
    rest = uniform(state) * total
    for c in range(len(candidate)):
        if chance[c] > 0:
            found = c
            rest -= chance[c]
            if rest < 0:
                break
    if found >= 0 and reach[candidate[found], 0] >= WIDE:
        miss = 4 * BINS
        for t in range(_TRIES):
            off = abs(bins[found, t, 0] - goal[0]) + abs(bins[found, t, 1] - goal[1])
            if off < miss:
                place, miss = t, off
    return found, place
