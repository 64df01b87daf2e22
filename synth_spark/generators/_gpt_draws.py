"""Compiled draws of the decoder: tokens by their logits, under a temperature, a nucleus and masks.

As `_events_draws.py`, and besides: logits are divided by the temperature; of the tokens, heaviest
first, only those are drawn that make up `top_p` of the mass (Holtzman et al., "The curious case of
neural text degeneration", ICLR 2020, section 3.1); events stand in the allowed hours and weekdays
only, values of a column among the allowed ones only. Where nothing is left, the unit ends.
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
    exp32,
    moment_in,
    plus,
    softmax_pick,
    uniform,
)
from synth_spark.generators._events_layout import ROOM

NEAR = np.float32(-1e8)  # logits below it are never drawn
GRID = 32  # places in a bin of gaps that are tried for an allowed moment


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def choose(row, taste, u):  # type: ignore[no-untyped-def]
    """An entry by its logit; -1 if all are FAR. `taste`: 1 / temperature, and top_p."""
    heat, top_p = taste[0], taste[1]
    if heat != 1:
        for k in range(len(row)):
            if row[k] > NEAR:
                row[k] *= heat
    if top_p >= 1:
        return softmax_pick(row, u)
    top = row.max()
    if top < NEAR:
        return -1
    total = np.float32(0.0)
    for k in range(len(row)):
        row[k] = exp32(row[k] - top) if row[k] > NEAR else np.float32(0.0)
        total += row[k]
    order = np.argsort(-row)
    within, last = np.float32(0.0), 0
    for i in range(len(row)):
        within += row[order[i]]
        last = i
        if within >= top_p * total:
            break
    goal = np.float32(u) * within
    for i in range(last):
        goal -= row[order[i]]
        if goal < 0:
            return order[i]
    return order[last]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def moment_ok(t, weekday, hours, days):  # type: ignore[no-untyped-def]
    """Whether a moment of a unit that begins on `weekday` is allowed."""
    day = int(t // DAY)
    return hours[min(int((t - day * DAY) // HOUR), 23)] and days[(weekday + day) % 7]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _gap_ok(now, low, high, weekday, hours, days):  # type: ignore[no-untyped-def]
    """Whether some hour between two gaps from now is allowed."""
    for h in range(int((now + low) // HOUR), int((now + high) // HOUR) + 1):
        if hours[h % 24] and days[(weekday + h // 24) % 7]:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _landed(now, sub, k, tick, weekday, hours, days, u):  # type: ignore[no-untyped-def]
    """An allowed moment in a bin of gaps, evenly among the GRID tried; -1: none was."""
    good = np.empty(GRID)
    found = 0
    for i in range(GRID):
        then = after_gap(now, sub, k, tick, (i + 0.5) / GRID)
        if moment_ok(then, weekday, hours, days):
            good[found] = then
            found += 1
    if found:
        return good[min(int(u * found), found - 1)]
    for h in range(int((now + sub[k, 0]) // HOUR), int((now + sub[k, -1]) // HOUR) + 1):
        then = np.ceil(max(h * HOUR, now + sub[k, 0]) / tick) * tick
        if moment_ok(then, weekday, hours, days):
            return then
    return -1.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _jump_ok(today, low, high, last, earliest, weekday, hours, days):  # type: ignore[no-untyped-def]
    """Whether a jump of so many days reaches an allowed hour of an allowed day."""
    for d in range(low, min(high, last - today) + 1):
        if days[(weekday + today + d) % 7]:
            for h in range(24):
                if hours[h] and (d > 0 or (h + 1) * HOUR > earliest):
                    return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_time(  # type: ignore[no-untyped-def]
    unit, s, owed, weekday, states, logits, bias, gate, cut, tick, gap_lo, gap_sub,
    jump_lo, jump_hi, hours, days, clocked, taste, t, token, far,
):  # fmt: skip
    """Time tokens; the time itself where it is a gap. The rows that jump go to `far`."""
    gaps, jumps = len(gap_lo), len(jump_lo)
    end = gaps + jumps
    row = np.empty(end + 1, np.float32)
    found = 0
    for a in range(len(unit)):
        u = unit[a]
        state, now, room = states[u], s[a, 0], s[a, ROOM]
        first = now < 0
        today = 0 if first else int(now // DAY)
        last = int(np.ceil(room / DAY)) - 1
        plus(logits[a], bias, row)
        if first:
            row[:gaps] = FAR
        else:
            for k in range(gaps):
                if now + gap_lo[k] >= room or (
                    clocked
                    and not _gap_ok(now, gap_sub[k, 0], gap_sub[k, -1], weekday[u], hours, days)
                ):
                    row[k] = FAR
        earliest = -1.0 if first else now - today * DAY + cut
        for k in range(jumps):
            if today + jump_lo[k] > last or (
                clocked
                and not _jump_ok(
                    today, jump_lo[k], jump_hi[k], last, earliest, weekday[u], hours, days
                )
            ):
                row[gaps + k] = FAR
        if not first and earliest >= DAY:
            row[gaps] = FAR
        if first or owed[a] >= gate:
            row[end] = FAR
        k = choose(row, taste, uniform(state))
        if k < 0:
            k = end
        t[a] = max(now, 0.0)
        if k < gaps:
            if clocked:
                then = _landed(now, gap_sub, k, tick, weekday[u], hours, days, uniform(state))
            else:
                then = after_gap(now, gap_sub, k, tick, uniform(state))
            if now <= then < room:
                t[a] = then
            else:  # the next event lies beyond the unit
                k = end
        elif k < end:
            far[found] = a
            found += 1
        token[a] = k
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_hour(far, unit, s, states, logits, bias, jump, cut, hours, taste, hour):  # type: ignore[no-untyped-def]
    """Hours of the rows `far`, on the same day only beyond the shortest jump."""
    row = np.empty(24, np.float32)
    for i in range(len(far)):
        a = far[i]
        now = s[a, 0]
        earliest = now % DAY + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        for k in range(24):
            if (k + 1) * HOUR <= earliest or not hours[k]:
                row[k] = FAR
        hour[a] = max(choose(row, taste, uniform(states[unit[a]])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_slot(  # type: ignore[no-untyped-def]
    far, unit, s, weekday, states, logits, bias, jump, hour, cut, tick, jump_lo, jump_hi, days,
    taste, t, slot,
):  # fmt: skip
    """Five minutes of the rows `far`, then their time, on an allowed day of the jump."""
    row = np.empty(12, np.float32)
    for i in range(len(far)):
        a, u = far[i], unit[far[i]]
        now, state = s[a, 0], states[u]
        today = 0 if now < 0 else int(now // DAY)
        earliest = now + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        for k in range(12):
            if today * DAY + hour[a] * HOUR + (k + 1) * SLOT <= earliest:
                row[k] = FAR
        slot[a] = max(choose(row, taste, uniform(state)), 0)
        low = today + jump_lo[jump[i]]
        high = min(today + jump_hi[jump[i]], int(np.ceil(s[a, ROOM] / DAY)) - 1)
        allowed = 0
        for d in range(low, high + 1):
            allowed += days[(weekday[u] + d) % 7]
        goal, day = int(uniform(state) * allowed), low
        for d in range(low, high + 1):
            if days[(weekday[u] + d) % 7]:
                if goal == 0:
                    day = d
                    break
                goal -= 1
        t[a] = max(moment_in(day, hour[a], slot[a], earliest, tick, uniform(state)), now)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_category(  # type: ignore[no-untyped-def]
    unit, states, logits, bias, pointer, fold, slot, share, met, okay, tokens, j, taste
):
    """Category j of the units: allowed values with a share that met the earlier tokens.

    Logits past the values are weights of the features of each value's statistics (`pointer`).
    """
    width = len(fold)
    groups, features = pointer.shape[1], logits.shape[1] - width
    row, weight = np.empty(width, np.float32), np.empty(features, np.float32)
    drawn_to = np.zeros(groups, np.float32)
    for a in range(len(unit)):
        u = unit[a]
        plus(logits[a, :width], bias, row)
        if features:
            plus(logits[a, width:], bias[width:], weight)
            for g in range(groups):
                drawn_to[g] = 0.0
                for f in range(features):
                    drawn_to[g] += weight[f] * pointer[a, g, f]
            for k in range(width):
                row[k] += drawn_to[fold[k]]
        kept = _kept(row, share[u], slot, met, okay, tokens[a], j, 0)
        if not kept:
            kept = _kept(row, share[u], slot, met, okay, tokens[a], j, 1)
        if not kept:
            _kept(row, share[u], slot, met, okay, tokens[a], j, 2)
        tokens[a, j] = max(choose(row, taste, uniform(states[u])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _kept(row, share, slot, met, okay, tokens, j, ease):  # type: ignore[no-untyped-def]
    """Mark what cannot be drawn, if anything can; with `ease` 1 pairs, with 2 shares are let go."""
    some = False
    for k in range(len(row)):
        some = some or _open(k, share, slot, met, okay, tokens, j, ease)
        if some:
            break
    if some:
        for k in range(len(row)):
            if not _open(k, share, slot, met, okay, tokens, j, ease):
                row[k] = FAR
    return some


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _open(k, share, slot, met, okay, tokens, j, ease):  # type: ignore[no-untyped-def]
    if not okay[k] or (ease < 2 and share[slot[k]] <= 0):
        return False
    if ease < 1:
        for e in range(j):
            if not met[e, tokens[e], k]:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_number(unit, states, logits, bias, met, every, okay, tokens, j, taste):  # type: ignore[no-untyped-def]
    """The number of head j: allowed tokens of kinds that met the event's categories.

    `every` says which category values met all kinds.
    """
    width = logits.shape[1]
    row, allowed = np.empty(width, np.float32), np.empty(width, np.bool_)
    for a in range(len(unit)):
        plus(logits[a], bias, row)
        allowed[:] = okay
        for c in range(len(met)):
            v = tokens[a, c]
            if not every[c, v]:
                for k in range(width):
                    allowed[k] = allowed[k] and met[c, v, k]
        some = allowed.any()
        for k in range(width):
            if not (allowed[k] if some else okay[k]):
                row[k] = FAR
        tokens[a, j] = max(choose(row, taste, uniform(states[unit[a]])), 0)
