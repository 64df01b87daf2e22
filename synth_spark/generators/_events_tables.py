"""Count tables of the `markov` generator and the walk that reads them.

The same small functions give the contexts in counting and in drawing, so the two cannot differ.
A unit's state while walking: its time, how often each category value came, the last values.
"""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

import numpy as np
from numba import njit

GAPS, SELF, SHARE, PACE, BLOCKS, PARTS, LAST, CLOCKS = 6, 5, 5, 7, 12, 4, 4, 4
NUM_LEVELS = 5  # of another number: missing or before the first, then quarters
TRIES = 24
OVER = 3  # gaps that lead out of the unit before it ends early
_SHARE_EDGES = np.array([0.08, 0.22, 0.42, 0.7])


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def level(edges, x):  # type: ignore[no-untyped-def]
    """How many edges lie at or below x."""
    k = 0
    for e in edges:
        if x >= e:
            k += 1
    return k


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def part_of_week(anchor, day):  # type: ignore[no-untyped-def]
    """0 Monday to Thursday, 1 Friday, 2 Saturday, 3 Sunday."""
    weekday = (anchor + day + 3) % 7
    return 0 if weekday < 4 else weekday - 3


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def pace_of(owed, left_s, edges):  # type: ignore[no-untyped-def]
    """Level of the events owed per hour that is left."""
    return level(edges, owed / (left_s / 3_600.0 + 0.5))


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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def count(  # type: ignore[no-untyped-def]
    offsets,
    anchors,
    clocks,
    ends,
    t,
    token,
    hour,
    slot,
    cats,
    nums,
    shares,
    selfs,
    means,
    starts,
    cat_parent,
    num_cat,
    num_num,
    num_level,
    pace_edges,
    last_edges,
    gap_edges,
    time,
    hours,
    first_hours,
    slots,
    stays,
    moves,
    lifts,
    numbers,
    num_start,
):
    """Add one part's events to the tables (arrays changed in place)."""
    columns, numeric = cats.shape[1], nums.shape[1]
    end_jump = hours.shape[1] - 1
    short = time.shape[-1] - 1
    for u in range(len(offsets) - 1):
        a, b = offsets[u], offsets[u + 1]
        for i in range(a, b):
            day = int(t[i] // 86_400.0)
            if i == a:
                first_hours[clocks[u], part_of_week(anchors[u], day), hour[i]] += 1
            else:
                now = t[i - 1]
                today = int(now // 86_400.0)
                block = int((now - today * 86_400.0) // 7_200.0)
                gap = now - t[i - 2] if i - 1 > a else -1.0
                pace = pace_of(b - i, max(ends[u] - now, 0.0), pace_edges)
                part = part_of_week(anchors[u], today)
                last = level(last_edges, gap) if gap >= 0 else LAST - 1
                time[clocks[u], pace, block, last, part, min(token[i], short)] += 1
                if hour[i] >= 0:
                    hours[clocks[u], min(day - today, end_jump), block, hour[i]] += 1
            if hour[i] >= 0:
                slots[hour[i], slot[i]] += 1
            for c in range(columns):
                v = cats[i, c]
                if cat_parent[c] >= 0:
                    lifts[starts[c] + v, cats[i, cat_parent[c]]] += 1
                if i == a:
                    continue
                w = cats[i - 1, c]
                g = level(gap_edges, t[i] - t[i - 1])
                s = level(_SHARE_EDGES, shares[u, starts[c] + w])
                f = level(selfs_edges(), selfs[u, c])
                same = 1 if c > 0 and cats[i, 0] == cats[i - 1, 0] else 0
                stays[c, g, f, s, same, 1 if v == w else 0] += 1
                if v != w:
                    moves[starts[c] + w, same, v] += 1
            for j in range(numeric):
                x = cats[i, num_cat[j]] if num_cat[j] >= 0 else 0
                p = number_context(num_num[j], nums, i, i == a, j, num_level, num_start)
                numbers[num_start[j] + nums[i, j], x, means[u, j], p] += 1


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def selfs_edges():  # type: ignore[no-untyped-def]
    """Edges of the levels of a unit's share of repeats."""
    return (0.2, 0.4, 0.6, 0.8)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def number_context(parent, nums, i, first, j, num_level, num_start):  # type: ignore[no-untyped-def]
    """Level of the number that tells about a number: one of the same event, or its own last."""
    if parent == -2:
        return 0
    if parent >= 0:
        return num_level[num_start[parent] + nums[i, parent]]
    return 0 if first else num_level[num_start[j] + nums[i - 1, j]]


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def uniform(state):  # type: ignore[no-untyped-def]
    """SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the next number in [0, 1); moves `state`."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)) * 1.1102230246251565e-16


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def pick(cdf, u):  # type: ignore[no-untyped-def]
    """First entry of a cumulative row above u (a row ends in 1)."""
    lo, hi = 0, len(cdf) - 1
    while lo < hi:
        mid = (lo + hi) >> 1
        if cdf[mid] > u:
            hi = mid
        else:
            lo = mid + 1
    return lo


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def next_time(  # type: ignore[no-untyped-def]
    now,
    owed,
    gap,
    anchor,
    style,
    end,
    horizon,
    tick,
    cut,
    gap_sub,
    jump_lo,
    jump_hi,
    time,
    hours,
    slots,
    pace_edges,
    last_edges,
    state,
):
    """Time of the next event in seconds, not before `now`, below the horizon; -1: the unit ends.

    A unit whose gaps lead out of it again and again (a regular clock at its end) ends early.
    """
    past = 0
    today = int(now // 86_400.0)
    block = int((now - today * 86_400.0) // 7_200.0)
    pace = pace_of(owed, max(end - now, 0.0), pace_edges)
    last = level(last_edges, gap) if gap >= 0 else LAST - 1
    cdf = time[style, pace, block, last, part_of_week(anchor, today)]
    gaps, end_jump = gap_sub.shape[0], hours.shape[1] - 1
    for _ in range(TRIES):
        token = pick(cdf, uniform(state))
        if token < gaps:
            place = uniform(state) * (gap_sub.shape[1] - 1)
            k = int(place)
            s = gap_sub[token, k] + (place - k) * (gap_sub[token, k + 1] - gap_sub[token, k])
            then = now + np.floor(s / tick + 0.5) * tick
            if then < horizon:
                return then
            past += 1
            if past == OVER:
                return -1.0
            continue
        token -= gaps
        if token >= len(jump_lo):
            continue
        lo, hi = jump_lo[token], jump_hi[token]
        day = today + lo + int(uniform(state) * (hi - lo + 1))
        if day * 86_400.0 >= horizon:
            continue
        earliest = now + cut if day == today else 0.0
        hour = pick(hours[style, min(day - today, end_jump), block], uniform(state))
        slot = pick(slots[hour], uniform(state))
        start = day * 86_400.0 + hour * 3_600.0 + slot * 300.0
        if start + 300.0 <= earliest:
            continue
        start = max(start, earliest)
        then = start + uniform(state) * (
            day * 86_400.0 + hour * 3_600.0 + (slot + 1) * 300.0 - start
        )
        return np.floor(then / tick) * tick if np.floor(then / tick) * tick >= now else now
    left = max(horizon - now, 0.0) / (owed + 1.0)
    return min(now + np.floor(uniform(state) * left / tick) * tick, max(horizon - tick, now))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def next_category(  # type: ignore[no-untyped-def]
    c,
    i,
    n,
    gap,
    event,
    before,
    counts,
    shares,
    selfs,
    starts,
    width,
    cat_parent,
    lifts,
    stays,
    moves,
    gap_edges,
    weight,
    state,
):
    """Token of category c of event i: stay with the last value, or what is still owed to each."""
    a = starts[c]
    parent = event[cat_parent[c]] if cat_parent[c] >= 0 else 0
    same = 1 if c > 0 and event[0] == before[0] else 0
    if i > 0:
        w = before[c]
        stay = stays[
            c,
            level(gap_edges, gap),
            level(selfs_edges(), selfs[c]),
            level(_SHARE_EDGES, shares[a + w]),
            same,
        ]
        if cat_parent[c] >= 0:  # a value that goes badly with its parent is left sooner
            stay *= min(lifts[a + w, parent], 1.0)
        if shares[a + w] > 0 and uniform(state) < stay:
            return w
    total = 0.0
    for v in range(width):
        share = shares[a + v]
        p = 0.0
        if share > 0 and not (i > 0 and v == before[c]):
            p = max(share * n - counts[a + v], 0.02)
            if c > 0 and i > 0:
                p *= moves[a + before[c], same, v]
            if cat_parent[c] >= 0:
                p *= lifts[a + v, parent]
        weight[v] = p
        total += p
    if total <= 1e-12:
        if i > 0 and shares[a + before[c]] > 0:
            return before[c]
        total = 0.0
        for v in range(width):
            weight[v] = shares[a + v]
            total += weight[v]
    goal = uniform(state) * total
    best = 0
    for v in range(width):
        if weight[v] > 0:
            best = v
            goal -= weight[v]
            if goal < 0:
                break
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk(  # type: ignore[no-untyped-def]
    key,
    offsets,
    anchors,
    clocks,
    first_day,
    ends,
    shares,
    selfs,
    means,
    starts,
    widths,
    cat_parent,
    num_cat,
    num_num,
    num_level,
    pace_edges,
    last_edges,
    gap_edges,
    horizon,
    tick,
    cut,
    gap_sub,
    jump_lo,
    jump_hi,
    time,
    hours,
    first_hours,
    slots,
    stays,
    moves,
    lifts,
    numbers,
    num_start,
    t,
    cats,
    nums,
    lengths,
):
    """Fill units with events, end to end (t, cats, nums, lengths in place); gives their number."""
    columns, numeric = cats.shape[1], nums.shape[1]
    counts = np.zeros(shares.shape[1])
    weight = np.zeros(max(shares.shape[1], 1))
    state = np.zeros(1, np.uint64)
    at = 0
    for u in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(u) * np.uint64(0xD1342543DE82EF95)
        n = offsets[u + 1] - offsets[u]
        counts[:] = 0.0
        gap = -1.0
        for i in range(n):
            r = at
            if i == 0:
                day = first_day[u]
                hour = pick(first_hours[clocks[u], part_of_week(anchors[u], day)], uniform(state))
                slot = pick(slots[hour], uniform(state))
                s = day * 86_400.0 + hour * 3_600.0 + (slot + uniform(state)) * 300.0
                t[r] = np.floor(s / tick) * tick
                cats_before = cats[r]
            else:
                then = next_time(
                    t[r - 1],
                    n - i,
                    gap,
                    anchors[u],
                    clocks[u],
                    ends[u],
                    horizon,
                    tick,
                    cut,
                    gap_sub,
                    jump_lo,
                    jump_hi,
                    time,
                    hours,
                    slots,
                    pace_edges,
                    last_edges,
                    state,
                )
                if then < 0:
                    break
                t[r] = then
                gap = t[r] - t[r - 1]
                cats_before = cats[r - 1]
            for c in range(columns):
                v = next_category(
                    c,
                    i,
                    n,
                    gap,
                    cats[r],
                    cats_before,
                    counts,
                    shares[u],
                    selfs[u],
                    starts,
                    widths[c],
                    cat_parent,
                    lifts,
                    stays,
                    moves,
                    gap_edges,
                    weight,
                    state,
                )
                cats[r, c] = v
                counts[starts[c] + v] += 1
            for j in range(numeric):
                x = cats[r, num_cat[j]] if num_cat[j] >= 0 else 0
                p = number_context(num_num[j], nums, r, i == 0, j, num_level, num_start)
                cdf = numbers[x, means[u, j], p, num_start[j] : num_start[j + 1]]
                nums[r, j] = pick(cdf, uniform(state))
            at += 1
            lengths[u] += 1
    return at
