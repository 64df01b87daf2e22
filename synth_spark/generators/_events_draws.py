"""Compiled draws of the event network: masked softmax draws and one step of many units at once.

Every unit has a SplitMix64 stream of its own, so what is drawn for it does not depend on how many
other units are still going on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_tables import uniform


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def softmax_pick(logits, allowed, u):  # type: ignore[no-untyped-def]
    """An allowed entry with probability in proportion to exp(logit); -1 if none is allowed."""
    top = -np.inf
    for k in range(len(logits)):
        if allowed[k] and logits[k] > top:
            top = logits[k]
    if top == -np.inf:
        return -1
    total = 0.0
    for k in range(len(logits)):
        if allowed[k]:
            total += np.exp(logits[k] - top)
    goal, best = u * total, -1
    for k in range(len(logits)):
        if allowed[k]:
            best = k
            goal -= np.exp(logits[k] - top)
            if goal < 0:
                break
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_time(  # type: ignore[no-untyped-def]
    on,
    s,
    states,
    logits,
    owed,
    gate,
    cut,
    horizon,
    horizon_days,
    tick,
    gap_lo,
    gap_sub,
    jump_lo,
    t,
    token,
):
    """Time tokens; the time itself where it is a gap. The first event is never the end."""
    gaps, jumps = len(gap_lo), len(jump_lo)
    allowed = np.ones(gaps + jumps + 1, np.bool_)
    for a in range(len(on)):
        u = on[a]
        now = s[u, 0]
        first = now < 0
        today = 0 if first else int(now // 86_400.0)
        for k in range(gaps):
            allowed[k] = not first and now + gap_lo[k] < horizon
        for k in range(jumps):
            d = jump_lo[k]
            allowed[gaps + k] = today + d < horizon_days and (
                d > 0 or first or now - today * 86_400.0 + cut < 86_400.0
            )
        allowed[gaps + jumps] = not first and owed[a] < gate
        k = softmax_pick(logits[a], allowed, uniform(states[u]))
        if k < 0:
            k = gaps + jumps
        token[a] = k
        if k < gaps:
            place = uniform(states[u]) * (gap_sub.shape[1] - 1)
            i = int(place)
            gap = gap_sub[k, i] + (place - i) * (gap_sub[k, i + 1] - gap_sub[k, i])
            then = now + np.floor(gap / tick + 0.5) * tick
            t[a] = then
            if then >= horizon:  # the next event lies beyond the unit
                token[a] = gaps + jumps


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_hour(on, s, states, logits, jump, cut, hour):  # type: ignore[no-untyped-def]
    """Hours of the units `on`, on the same day only beyond the shortest jump."""
    allowed = np.ones(24, np.bool_)
    for a in range(len(on)):
        now = s[on[a], 0]
        earliest = now % 86_400.0 + cut if jump[a] == 0 and now >= 0 else -1.0
        for k in range(24):
            allowed[k] = (k + 1) * 3_600.0 > earliest
        hour[a] = max(softmax_pick(logits[a], allowed, uniform(states[on[a]])), 0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_slot(  # type: ignore[no-untyped-def]
    on, s, states, logits, jump, hour, cut, horizon_days, tick, jump_lo, jump_hi, t
):
    """Five minutes of the units `on`, then their time."""
    allowed = np.ones(12, np.bool_)
    for a in range(len(on)):
        now, state = s[on[a], 0], states[on[a]]
        today = 0 if now < 0 else int(now // 86_400.0)
        same = jump[a] == 0 and now >= 0
        earliest = now % 86_400.0 + cut if same else 0.0
        for k in range(12):
            allowed[k] = hour[a] * 3_600.0 + (k + 1) * 300.0 > earliest
        slot = max(softmax_pick(logits[a], allowed, uniform(state)), 0)
        lo = jump_lo[jump[a]]
        day = today + lo + int(uniform(state) * (jump_hi[jump[a]] - lo + 1))
        day = min(day, horizon_days - 1)
        start = max(hour[a] * 3_600.0 + slot * 300.0, earliest)
        end = hour[a] * 3_600.0 + (slot + 1) * 300.0
        then = day * 86_400.0 + start + uniform(state) * max(end - start, 0.0)
        then = np.floor(then / tick) * tick
        t[a] = max(then, now) if now >= 0 else then


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_category(on, states, logits, share, met, earlier, value):  # type: ignore[no-untyped-def]
    """A category of the units `on`: only values with a share, and that met the earlier tokens."""
    width = logits.shape[1]
    allowed = np.ones(width, np.bool_)
    for a in range(len(on)):
        u = on[a]
        some = False
        for k in range(width):
            allowed[k] = share[u, k] > 0
            for e in range(earlier.shape[1]):
                allowed[k] = allowed[k] and met[e, earlier[a, e], k]
            some = some or allowed[k]
        if not some:
            for k in range(width):
                allowed[k] = share[u, k] > 0
        value[a] = max(softmax_pick(logits[a], allowed, uniform(states[u])), 0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_number(on, states, logits, met, cats, value):  # type: ignore[no-untyped-def]
    """A number's token of the units `on`: only kinds of value that met the event's categories."""
    width = logits.shape[1]
    allowed = np.ones(width, np.bool_)
    for a in range(len(on)):
        some = False
        for k in range(width):
            allowed[k] = True
            for c in range(cats.shape[1]):
                allowed[k] = allowed[k] and met[c, cats[a, c], k]
            some = some or allowed[k]
        if not some:
            allowed[:] = True
        value[a] = softmax_pick(logits[a], allowed, uniform(states[on[a]]))
