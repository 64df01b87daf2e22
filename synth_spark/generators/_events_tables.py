"""What the tables of `markov` are indexed by at an event, and how they are counted.

The same small functions give the contexts in counting and in drawing (`_events_walk.py`), so the
two cannot differ.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_clock import PAUSE_S
from synth_spark.generators._events_runs import NEW, SAME

GAPS, SELF, SHARE, PACE, BLOCKS, PARTS, LAST, CLOCKS = 6, 5, 5, 7, 12, 4, 9, 5
EARLY = 8  # events of a run between which the last gap is not told
SUITS = 5  # how the hour suits a value
DWELLS = 48  # levels of the gap behind an event: half powers of two of a second
NUM_LEVELS = 5  # of another number: missing or before the first, then quarters
NO_NIGHT = 0.001  # part of the events, added to that of a unit and to that of its rhythm
MOST_TILT = 10.0  # times the odds of a night, and its inverse
SHARE_EDGES = np.array([0.08, 0.22, 0.42, 0.7])
SUIT_EDGES = np.array([0.25, 0.6, 0.9, 1.15])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def night_odds(part):  # type: ignore[no-untyped-def]
    """Odds of a night where so large a part of the events are nights."""
    return (part + NO_NIGHT) / (1.0 - part + NO_NIGHT)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def level(edges, x):  # type: ignore[no-untyped-def]
    """How many edges lie at or below x."""
    k = 0
    for e in edges:
        if x >= e:
            k += 1
    return k


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def dwell_level(gap_s):  # type: ignore[no-untyped-def]
    """Level of the gap behind an event."""
    return min(int(2 * np.log2(1.0 + max(gap_s, 0.0))), DWELLS - 1)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def part_of_week(anchor, day):  # type: ignore[no-untyped-def]
    """0 Monday to Thursday, 1 Friday, 2 Saturday, 3 Sunday."""
    weekday = (anchor + day + 3) % 7
    return 0 if weekday < 4 else weekday - 3


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def pace_of(owed, left_s, edges):  # type: ignore[no-untyped-def]
    """Level of the events owed per hour that is left."""
    return level(edges, owed / (left_s / 3_600.0 + 0.5))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def last_of(gap, run, edges):  # type: ignore[no-untyped-def]
    """Level of an event's own gap, and of how many events of its run came before it.

    Args:
        gap: Seconds from the event before; negative: the event is a unit's first.
        run: Events since the last pause, of `PAUSE_S` or more, or the unit's start.
        edges: Of the level of the gap, two.
    """
    if gap < 0:
        return LAST - 1
    if run == 0:
        return level(edges, gap)
    if run < EARLY:
        return 3 if run == 1 else 4
    return 5 + level(edges, gap)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def pace_values(t, offsets, ends):  # type: ignore[no-untyped-def]
    """The events owed per hour left before every event but a unit's first."""
    out = np.empty(len(t))
    m = 0
    for u in range(len(offsets) - 1):
        n = offsets[u + 1] - offsets[u]
        for i in range(1, n):
            left = max(ends[u] - t[offsets[u] + i - 1], 0.0)
            out[m] = (n - i) / (left / 3_600.0 + 0.5)
            m += 1
    return out[:m]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def selfs_edges():  # type: ignore[no-untyped-def]
    """Edges of the levels of a unit's share of repeats."""
    return (0.2, 0.4, 0.6, 0.8)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def to_stay_with(last, in_runs):  # type: ignore[no-untyped-def]
    """The value that an event stays with if it does not change: after a new id, the same one."""
    return SAME if in_runs and last == NEW else last


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def alike(c, in_runs, gap_level, event, before):  # type: ignore[no-untyped-def]
    """1 where the main category has not changed; for ids in runs, where the gap is a long one."""
    if in_runs:
        return 1 if 2 * gap_level >= GAPS else 0
    return 1 if c > 0 and event[0] == before[0] else 0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def suits_at(suits, anchor, t, v):  # type: ignore[no-untyped-def]
    """Level of how much likelier value v is at this hour of a working day or a weekend."""
    day = int(t // 86_400.0)
    rest = 1 if (anchor + day + 3) % 7 > 4 else 0
    return level(SUIT_EDGES, suits[rest, min(int((t - day * 86_400.0) // 3_600.0), 23), v])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def number_context(parent, nums, i, first, j, num_level, num_start):  # type: ignore[no-untyped-def]
    """Level of the number that tells about a number: one of the same event, or its own last."""
    if parent == -2:
        return 0
    if parent >= 0:
        return num_level[num_start[parent] + nums[i, parent]]
    return 0 if first else num_level[num_start[j] + nums[i - 1, j]]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def count(  # type: ignore[no-untyped-def]
    offsets, anchors, clocks, ends, t, token, hour, slot, cats, nums, shares, selfs, means, starts,
    in_runs, cat_parent, num_cat, num_num, num_level, pace_edges, last_edges, gap_edges, state_of,
    suits, time, hours, first_hours, slots, stays, moves, lifts, numbers, chain, dwell, num_start,
):  # fmt: skip
    """Add one part's events to the tables (arrays changed in place)."""
    columns, numeric = cats.shape[1], nums.shape[1]
    end_jump = hours.shape[1] - 1
    short = time.shape[-1] - 1
    for u in range(len(offsets) - 1):
        a, b = offsets[u], offsets[u + 1]
        run = 0
        for i in range(a, b):
            day = int(t[i] // 86_400.0)
            if i == a:
                first_hours[clocks[u], part_of_week(anchors[u], day), hour[i]] += 1
            else:
                now = t[i - 1]
                today = int(now // 86_400.0)
                block = int((now - today * 86_400.0) // 7_200.0)
                gap = now - t[i - 2] if i - 1 > a else -1.0
                run = 0 if gap < 0 or gap >= PAUSE_S else run + 1
                pace = pace_of(b - i, max(ends[u] - now, 0.0), pace_edges)
                part = part_of_week(anchors[u], today)
                last = last_of(gap, run, last_edges)
                left = state_of[cats[i - 1, 0]] if columns else 0
                time[clocks[u], pace, block, last, part, left, min(token[i], short)] += 1
                if hour[i] >= 0:
                    hours[clocks[u], min(day - today, end_jump), block, left, hour[i]] += 1
                if columns:
                    chain[cats[i - 1, 0], cats[i, 0]] += 1
                    dwell[cats[i - 1, 0], dwell_level(t[i] - now)] += 1
            if hour[i] >= 0:
                slots[hour[i], slot[i]] += 1
            for c in range(columns):
                v = cats[i, c]
                if cat_parent[c] >= 0:
                    lifts[starts[c] + v, cats[i, cat_parent[c]]] += 1
                if i == a:
                    continue
                w = to_stay_with(cats[i - 1, c], in_runs[c])
                g = level(gap_edges, t[i] - t[i - 1])
                s = level(SHARE_EDGES, shares[u, starts[c] + w])
                f = level(selfs_edges(), selfs[u, c])
                same = alike(c, in_runs[c], g, cats[i], cats[i - 1])
                good = suits_at(suits, anchors[u], t[i], starts[c] + w)
                stays[c, g, f, s, same, good, 1 if v == w else 0] += 1
                if v != w:
                    moves[starts[c] + w, same, v] += 1
            for j in range(numeric):
                x = cats[i, num_cat[j]] if num_cat[j] >= 0 else 0
                p = number_context(num_num[j], nums, i, i == a, j, num_level, num_start)
                numbers[num_start[j] + nums[i, j], x, means[u, j], p] += 1
