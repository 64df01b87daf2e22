"""Draws of `markov`: units filled with events from the count tables, one unit after the other.

A unit's state while walking: its time, how often each category value came, the last values.
"""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_clock import PAUSE_S
from synth_spark.generators._events_kernels import (
    DAY,
    HOUR,
    SLOT,
    STRIDE,
    after_gap,
    moment_in,
    pick,
    uniform,
)
from synth_spark.generators._events_steps import kept_back, lift, moment, wanted
from synth_spark.generators._events_tables import (
    MOST_TILT,
    SHARE_EDGES,
    alike,
    last_of,
    level,
    night_odds,
    number_context,
    pace_of,
    part_of_week,
    selfs_edges,
    suits_at,
    to_stay_with,
)

TRIES = 24
NIGHT = 6  # hours from midnight
MOST_LEAN = 3.0  # of the tilt in what is taken: more would leave nothing in so many tries
EVENING = 10  # block of two hours in which it begins
OVER = 3  # gaps that lead out of the unit before it ends early


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def pick_hour(cdf, tilt, u):  # type: ignore[no-untyped-def]
    """An hour by a cumulative row, the odds of the night (0 to 6 h) `tilt` times as large."""
    night = cdf[NIGHT - 1]
    tilted = night * tilt / (1.0 - night + night * tilt)
    if u < tilted:
        return pick(cdf, u / tilted * night)
    return pick(cdf, night + (u - tilted) / (1.0 - tilted) * (1.0 - night))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def next_time(  # type: ignore[no-untyped-def]
    now, owed, gap, run, anchor, style, tilt, left_state, end, horizon, tick, cut, gap_sub, jump_lo,
    jump_hi, time, hours, slots, pace_edges, last_edges, state,
):  # fmt: skip
    """Time of the next event in seconds, not before `now`, below the horizon; -1: the unit ends.

    From the evening on what is drawn is taken by how likely nights are in this unit.

    A unit whose gaps lead out of it again and again (a regular clock at its end) ends early.
    """
    past = 0
    today = int(now // 86_400.0)
    block = int((now - today * 86_400.0) // 7_200.0)
    dark = block < NIGHT // 2 or (block >= EVENING and (today + 1) * DAY < horizon)
    lean = min(tilt, MOST_LEAN)
    taken = 1.0 / max(lean, 1.0)
    pace = pace_of(owed, max(end - now, 0.0), pace_edges)
    last = last_of(gap, run, last_edges)
    cdf = time[style, pace, block, last, part_of_week(anchor, today), left_state]
    gaps, end_jump = gap_sub.shape[0], hours.shape[1] - 1
    for _ in range(TRIES):
        token = pick(cdf, uniform(state))
        if token < gaps:
            then = after_gap(now, gap_sub, token, tick, uniform(state))
            if dark and uniform(state) > taken * (lean if then % DAY < NIGHT * HOUR else 1.0):
                continue
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
        if day * DAY >= horizon:
            continue
        earliest = now + cut if day == today else 0.0
        row = hours[style, min(day - today, end_jump), block, left_state]
        if dark and uniform(state) > taken * (1.0 + row[NIGHT - 1] * (lean - 1.0)):
            continue
        hour = pick_hour(row, tilt, uniform(state))
        slot = pick(slots[hour], uniform(state))
        if day * DAY + hour * HOUR + (slot + 1) * SLOT <= earliest:
            continue
        return max(moment_in(day, hour, slot, earliest, tick, uniform(state)), now)
    left = max(horizon - now, 0.0) / (owed + 1.0)
    return min(now + np.floor(uniform(state) * left / tick) * tick, max(horizon - tick, now))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def next_category(  # type: ignore[no-untyped-def]
    c, i, n, kept, gap, event, before, second_last, weekend, block, counts, shares, selfs, starts,
    width, in_runs, alone, cat_parent, lifts, stays, moves, gap_edges, first, second, when, suits,
    anchor, t, weight, state,
):  # fmt: skip
    """Token of category c of event i: stay with the last value, or what is still owed to each."""
    a = starts[c]
    parent = event[cat_parent[c]] if cat_parent[c] >= 0 else 0
    g = level(gap_edges, gap)
    same = alike(c, in_runs[c], g, event, before)
    w = to_stay_with(before[c], in_runs[c])
    if c == 0 and i > 0 and i == n - 1 and kept >= 0 and kept != w and w < alone[c]:
        return kept
    if i > 0 and not (w < alone[c] and w == before[c]):
        stay = stays[
            c,
            g,
            level(selfs_edges(), selfs[c]),
            level(SHARE_EDGES, shares[a + w]),
            same,
            suits_at(suits, anchor, t, a + w),
        ]
        if cat_parent[c] >= 0:  # a value that goes badly with its parent is left sooner
            stay *= min(lifts[a + w, parent], 1.0)
        if shares[a + w] > 0 and uniform(state) < stay:
            return w
    total = 0.0
    for v in range(width):
        share = shares[a + v]
        p = 0.0
        if share > 0 and not (i > 0 and v == w):
            p = wanted(share * n - counts[a + v], v, kept, n - 1 - i, alone[c])
            if i > 0 and in_runs[c]:
                p = moves[a + w, same, v]
            elif i > 0 and c > 0:
                p *= moves[a + w, same, v]
            elif c == 0:
                last = w if i > 0 else -1
                p *= lift(first, second, when, weekend, block, second_last, last, v)
            if cat_parent[c] >= 0:
                p *= lifts[a + v, parent]
        weight[v] = p
        total += p
    if total <= 1e-12:
        if i > 0 and shares[a + w] > 0:
            return w
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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def walk(  # type: ignore[no-untyped-def]
    key, offsets, anchors, clocks, nights, usual, firsts, ends, begins, shares, selfs, means,
    starts, widths, in_runs, alone, cat_parent, num_cat, num_num, num_level, pace_edges,
    last_edges, gap_edges, rooms, tick, cut, gap_sub, jump_lo, jump_hi, state_of, first, second,
    when, final, suits, time, hours, first_hours, slots, stays, moves, lifts, numbers, num_start,
    t, cats, nums, lengths,
):  # fmt: skip
    """Fill units with events, end to end (t, cats, nums, lengths in place); gives their number."""
    columns, numeric = cats.shape[1], nums.shape[1]
    counts = np.zeros(shares.shape[1])
    weight = np.zeros(max(shares.shape[1], 1))
    state = np.zeros(1, np.uint64)
    at = 0
    for u in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(u) * STRIDE
        n = offsets[u + 1] - offsets[u]
        counts[:] = 0.0
        share, repeats = shares[u], selfs[u]
        gap, run = -1.0, 0
        owed_nights = nights[u] * n
        kept = kept_back(share, final, uniform(state)) if columns and not in_runs[0] else -1
        for i in range(n):
            r = at
            part = min(max(owed_nights, 0.0) / (n - i), 1.0)
            tilt = min(max(night_odds(part) / usual[u], 1.0 / MOST_TILT), MOST_TILT)
            if i == 0:
                day = int(firsts[u] // DAY)
                hour = min(int((firsts[u] - day * DAY) // HOUR), 23)
                if not begins[hour]:
                    row = first_hours[clocks[u], part_of_week(anchors[u], day)]
                    hour = pick_hour(row, tilt, uniform(state))
                slot = pick(slots[hour], uniform(state))
                t[r] = moment_in(day, hour, slot, 0.0, tick, uniform(state))
                cats_before = cats[r]
            else:
                left = state_of[cats[r - 1, 0]] if columns else 0
                then = next_time(
                    t[r - 1], n - i, gap, run, anchors[u], clocks[u], tilt, left, ends[u], rooms[u],
                    tick, cut, gap_sub, jump_lo, jump_hi, time, hours, slots, pace_edges,
                    last_edges, state,
                )  # fmt: skip
                if then < 0:
                    break
                t[r] = then
                gap = t[r] - t[r - 1]
                run = 0 if gap >= PAUSE_S else run + 1
                cats_before = cats[r - 1]
            if t[r] % DAY < NIGHT * HOUR:
                owed_nights -= 1.0
            weekend, block = moment(anchors[u], t[r])
            for c in range(columns):
                second_last = cats[r - 2, c] if i > 1 else -1
                v = next_category(
                    c, i, n, kept if c == 0 else -1, gap, cats[r], cats_before, second_last,
                    weekend, block, counts, share, repeats, starts, widths[c], in_runs, alone,
                    cat_parent, lifts, stays, moves, gap_edges, first, second, when, suits,
                    anchors[u], t[r], weight, state,
                )  # fmt: skip
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
