"""Compiled draws of the event network: the next token of many units, by their logits.

A unit that is at its end keeps its place in the arrays until the step is over, with the time of
its last event; what is drawn for it is thrown away.
"""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_kernels import (
    DAY,
    FAR,
    HOUR,
    SLOT,
    after_gap,
    moment_in,
    plus,
    softmax_pick,
    uniform,
)
from synth_spark.generators._events_statistics import ROOM


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_time(  # type: ignore[no-untyped-def]
    unit, s, owed, states, logits, bias, gate, cut, tick,
    gap_lo, gap_sub, jump_lo, t, token, far,
):  # fmt: skip
    """Time tokens; the time itself where it is a gap. The first event is never the end.

    The rows that jump go to `far`; gives how many.
    """
    gaps, jumps = len(gap_lo), len(jump_lo)
    end = gaps + jumps
    row = np.empty(end + 1, np.float32)
    found = 0
    for a in range(len(unit)):
        state, now, room = states[unit[a]], s[a, 0], s[a, ROOM]
        first = now < 0
        today = 0 if first else int(now // DAY)
        plus(logits[a], bias, row)
        if first:
            row[:gaps] = FAR
        elif now + cut >= room:
            for k in range(gaps):
                if now + gap_lo[k] >= room:
                    row[k] = FAR
        for k in range(jumps):
            if (today + jump_lo[k]) * DAY >= room:
                row[gaps + k] = FAR
        if not first and now - today * DAY + cut >= DAY:
            row[gaps] = FAR
        if first or owed[a] >= gate:
            row[end] = FAR
        k = softmax_pick(row, uniform(state))
        if k < 0:
            k = end
        t[a] = max(now, 0.0)
        if k < gaps:
            then = after_gap(now, gap_sub, k, tick, uniform(state))
            if then < room:
                t[a] = then
            else:  # the next event lies beyond the unit
                k = end
        elif k < end:
            far[found] = a
            found += 1
        token[a] = k
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_hour(far, unit, s, states, logits, bias, jump, cut, hour):  # type: ignore[no-untyped-def]
    """Hours of the rows `far`, on the same day only beyond the shortest jump."""
    row = np.empty(24, np.float32)
    for i in range(len(far)):
        a = far[i]
        now = s[a, 0]
        earliest = now % DAY + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        for k in range(24):
            if (k + 1) * HOUR <= earliest:
                row[k] = FAR
        hour[i] = max(softmax_pick(row, uniform(states[unit[a]])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_slot(  # type: ignore[no-untyped-def]
    far, unit, s, states, logits, bias, jump, hour, cut, tick, jump_lo, jump_hi, t
):
    """Five minutes of the rows `far`, then their time."""
    row = np.empty(12, np.float32)
    for i in range(len(far)):
        a, state = far[i], states[unit[far[i]]]
        now = s[a, 0]
        today = 0 if now < 0 else int(now // DAY)
        earliest = now + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        for k in range(12):
            if today * DAY + hour[i] * HOUR + (k + 1) * SLOT <= earliest:
                row[k] = FAR
        slot = max(softmax_pick(row, uniform(state)), 0)
        lo = jump_lo[jump[i]]
        day = today + lo + int(uniform(state) * (jump_hi[jump[i]] - lo + 1))
        day = min(day, int(s[a, ROOM] // DAY) - 1)
        t[a] = max(moment_in(day, hour[i], slot, earliest, tick, uniform(state)), now)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_category(  # type: ignore[no-untyped-def]
    unit, states, logits, bias, pointer, share, met, tokens, j
):
    """Category j of the units: only values with a share, and that met the earlier tokens.

    Logits past the values are weights of the features of each value (`pointer`).
    """
    width = met.shape[2]
    features = logits.shape[1] - width
    row, weight = np.empty(width, np.float32), np.empty(features, np.float32)
    for a in range(len(unit)):
        u = unit[a]
        plus(logits[a, :width], bias, row)
        if features:
            plus(logits[a, width:], bias[width:], weight)
            for k in range(width):
                for f in range(features):
                    row[k] += weight[f] * pointer[a, k, f]
        some = False
        for k in range(width):
            allowed = share[u, k] > 0
            for e in range(j):
                allowed = allowed and met[e, tokens[a, e], k]
            some = some or allowed
            if not allowed:
                row[k] = FAR
        if not some:
            for k in range(width):
                row[k] = logits[a, k] + bias[k] if share[u, k] > 0 else FAR
        tokens[a, j] = max(softmax_pick(row, uniform(states[u])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_number(unit, states, logits, bias, met, every, tokens, j):  # type: ignore[no-untyped-def]
    """The number of head j: only kinds of value that met the event's categories.

    `every` says which category values met all kinds.
    """
    width = logits.shape[1]
    row, allowed = np.empty(width, np.float32), np.empty(width, np.bool_)
    for a in range(len(unit)):
        plus(logits[a], bias, row)
        allowed[:] = True
        for c in range(len(met)):
            v = tokens[a, c]
            if not every[c, v]:
                for k in range(width):
                    allowed[k] = allowed[k] and met[c, v, k]
        if allowed.any():
            for k in range(width):
                if not allowed[k]:
                    row[k] = FAR
        tokens[a, j] = softmax_pick(row, uniform(states[unit[a]]))
