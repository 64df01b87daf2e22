"""Compiled draws of the event network: the next token of many units, by their logits.

A unit that is at its end keeps its place in the arrays until the step is over, with the time of
its last event; what is drawn for it is thrown away.
"""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_coder import RANKS
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
from synth_spark.generators._events_layout import LAST_STRIDE, ROOM
from synth_spark.generators._events_recall import (
    RING,
    add_features,
    add_near,
    by_hour,
    by_slot,
    remembered,
    same_time,
)
from synth_spark.generators._events_stays import BURST, level_of
from synth_spark.models.recall import CENTERS, HOURS, NEAR, SLOTS

LEAN = np.log(3.0)  # of the logit of a value that is due, at most
ONCE = 1.5  # drawn events of a rare label below which it comes once
MORE = 1.2  # times its drawn count, the most events of a rank


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def is_open(t, weekday, open_hours):  # type: ignore[no-untyped-def]
    """Whether a time lies in an open hour; `weekday` is that of the unit's first day."""
    day = int(t // DAY)
    return open_hours[(weekday + day) % 7, int((t - day * DAY) // HOUR)]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def open_place(now, k, weekday, tick, gap_sub, open_hours, u):  # type: ignore[no-untyped-def]
    """A place inside gap token k, from u on, that leads to an open hour; -1: none of 16 does."""
    for i in range(16):
        place = (u + i / 16.0) % 1.0
        if is_open(after_gap(now, gap_sub, k, tick, place), weekday, open_hours):
            return place
    return -1.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def close(  # type: ignore[no-untyped-def]
    row, now, first, weekday, room, cut, tick, gap_sub, jump_lo, jump_hi, open_hours
):
    """FAR for the time tokens that lead to no open hour."""
    gaps = len(gap_sub)
    if not first:
        for k in range(gaps):
            if row[k] > FAR and open_place(now, k, weekday, tick, gap_sub, open_hours, 0.0) < 0:
                row[k] = FAR
    today = 0 if first else int(now // DAY)
    for k in range(len(jump_lo)):
        some = False
        for day in range(today + jump_lo[k], today + jump_hi[k] + 1):
            if day * DAY < room:
                earliest = now + cut if day == today and not first else -1.0
                for hour in range(24):
                    if day * DAY + (hour + 1) * HOUR > earliest:
                        some = some or open_hours[(weekday + day) % 7, hour]
        if not some:
            row[gaps + k] = FAR


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _leave_out(row, never, first):  # type: ignore[no-untyped-def]
    """FAR for the tokens that never lead on; a first event does not go on from another."""
    for k in range(0 if first else len(never)):
        if never[k]:
            row[k] = FAR


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_time(  # type: ignore[no-untyped-def]
    unit, s, owed, states, logits, bias, gate, cut, tick,
    gap_lo, gap_sub, jump_lo, jump_hi, weekday, open_hours, begin, latest,
    hurry, never, t, token, far,
):  # fmt: skip
    """Time tokens; the time itself where it is a gap. The first event is never the end.

    The first event comes on the day that was drawn for it (of `begin`, seconds of each unit) where
    all hours are open; none is drawn for `latest` or after that, where all are.
    The logits of short gaps move by `hurry`. Tokens that `never` lead from one event to the next
    do not; where no other is left, the unit ends.
    The rows that jump go to `far`; gives how many. `open_hours`, (7, 24), are the hours of the week
    that times may lie in; with no rows all are.
    """
    gaps, jumps = len(gap_lo), len(jump_lo)
    end = gaps + jumps
    row = np.empty(end + 1, np.float32)
    found = 0
    for a in range(len(unit)):
        state, now = states[unit[a]], s[a, 0]
        first = now < 0
        room = s[a, ROOM]
        if not (first or len(open_hours) or now >= latest[unit[a]]):
            room = min(room, latest[unit[a]])
        today = 0 if first else int(now // DAY)
        plus(logits[a], bias, row)
        row[:gaps] += hurry[unit[a]]
        if first:
            row[:gaps] = FAR
        elif now + cut >= room:
            for k in range(gaps):
                if now + gap_lo[k] >= room:
                    row[k] = FAR
        for k in range(jumps):
            if (today + jump_lo[k]) * DAY >= room:
                row[gaps + k] = FAR
            elif first and not len(open_hours):
                day = int(min(max(begin[unit[a]], 0.0), room - 1) // DAY)
                if day < jump_lo[k] or day > jump_hi[k]:
                    row[gaps + k] = FAR
        if not first and now - today * DAY + cut >= DAY:
            row[gaps] = FAR
        _leave_out(row, never, first)
        if len(open_hours):
            close(
                row, now, first, weekday[unit[a]], room, cut, tick, gap_sub, jump_lo, jump_hi,
                open_hours,
            )  # fmt: skip
        if first or owed[a] >= gate:
            row[end] = FAR
        k = softmax_pick(row, uniform(state))
        if k < 0:
            k = end
        t[a] = max(now, 0.0)
        if k < gaps:
            u = uniform(state)
            if len(open_hours):
                u = open_place(now, k, weekday[unit[a]], tick, gap_sub, open_hours, u)
                if u < 0:  # the places that `close` looked at
                    u = open_place(now, k, weekday[unit[a]], tick, gap_sub, open_hours, 0.0)
            then = after_gap(now, gap_sub, k, tick, u)
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
def draw_hour(  # type: ignore[no-untyped-def]
    far, unit, s, states, logits, bias, jump, cut, jump_lo, jump_hi, weekday, open_hours, at, hour
):
    """Hours of the rows `far`, on the same day only beyond the shortest jump.

    Logits past the hours are weights of what the unit did before, whose ends of pauses stand from
    `at` on in the states `s`.
    """
    row, weight = np.empty(24, np.float32), np.empty(HOURS, np.float32)
    features = np.empty((24, HOURS), np.float32)
    for i in range(len(far)):
        a = far[i]
        now = s[a, 0]
        earliest = now % DAY + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        plus(logits[i, 24:], bias[24:], weight)
        by_hour(s[a, at : at + RING], features)
        add_features(row, features, weight)
        for k in range(24):
            if (k + 1) * HOUR <= earliest:
                row[k] = FAR
        if len(open_hours):
            today = 0 if now < 0 else int(now // DAY)
            last = int(s[a, ROOM] // DAY) - 1
            for k in range(24):
                some = False
                for day in range(today + jump_lo[jump[i]], today + jump_hi[jump[i]] + 1):
                    some = some or (day <= last and open_hours[(weekday[unit[a]] + day) % 7, k])
                if not some:
                    row[k] = FAR
        hour[i] = max(softmax_pick(row, uniform(states[unit[a]])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_slot(  # type: ignore[no-untyped-def]
    far, unit, s, states, logits, bias, jump, hour, cut, tick, jump_lo, jump_hi, weekday,
    open_hours, latest, at, again, t,
):  # fmt: skip
    """Five minutes of the rows `far`, then their time.

    As in `draw_hour`; a pause that ends in five minutes of the day in which one did before ends at
    the same second in a share `again` of the cases.
    """
    row, weight = np.empty(12, np.float32), np.empty(SLOTS, np.float32)
    features = np.empty((12, SLOTS), np.float32)
    for i in range(len(far)):
        a, state = far[i], states[unit[far[i]]]
        now = s[a, 0]
        today = 0 if now < 0 else int(now // DAY)
        earliest = now + cut if jump[i] == 0 and now >= 0 else -1.0
        plus(logits[i], bias, row)
        plus(logits[i, 12:], bias[12:], weight)
        by_slot(s[a, at : at + RING], hour[i], features)
        add_features(row, features, weight)
        for k in range(12):
            if today * DAY + hour[i] * HOUR + (k + 1) * SLOT <= earliest:
                row[k] = FAR
        slot = max(softmax_pick(row, uniform(state)), 0)
        lo = jump_lo[jump[i]]
        day = today + lo + int(uniform(state) * (jump_hi[jump[i]] - lo + 1))
        last = int(s[a, ROOM] // DAY) - 1
        if now >= 0 and not len(open_hours) and now < latest[unit[a]]:
            last = max(min(last, int(latest[unit[a]] // DAY) - 1), today + lo)
        day = min(day, last)
        if len(open_hours):  # the next day of the jump, round and round, with this hour open
            first, width = today + lo, min(jump_hi[jump[i]] - lo, last - today - lo) + 1
            for k in range(width):
                other = first + (day - first + k) % width
                if open_hours[(weekday[unit[a]] + other) % 7, hour[i]]:
                    day = other
                    break
        if again > 0 and uniform(state) < again:
            clock = same_time(s[a, at : at + RING], hour[i] * 12 + slot)
            if clock >= 0 and day * DAY + clock >= earliest:
                t[a] = max(day * DAY + clock, now)
                continue
        t[a] = max(moment_in(day, hour[i], slot, earliest, tick, uniform(state)), now)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _lean(row, share, counts, count, done, waits, last):  # type: ignore[no-untyped-def]
    """Raise the logits of those that `waits` and have not come, so that they do in time.

    The chance that the `last` value stays is kept, -1: of none; what comes in a burst is of one.
    """
    left = max(count - done, 1.0)
    most, total, waiting = row.max(), 0.0, False
    for k in range(len(row)):
        waiting = waiting or (waits[k] and share[k] > 0 and counts[k] == 0 and row[k] > FAR)
    if not waiting:
        return
    for k in range(len(row)):
        total += np.exp(row[k] - most)
    rest = 0.0
    for k in range(len(row)):
        if waits[k] and share[k] > 0 and counts[k] == 0 and row[k] > FAR:
            due = min(share[k] * count / left, 0.5)
            chance = np.exp(row[k] - most) / total
            if chance < due:
                row[k] += min(np.log(due / max(chance, 1e-9)), np.log(count / left), LEAN)
        if k != last:
            rest += np.exp(row[k] - most)
    if last >= 0 and row[last] > FAR and rest > 0:
        stays = np.exp(row[last] - most) / total
        if stays < 1:
            row[last] = most + np.log(stays / (1 - stays) * rest)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_category(  # type: ignore[no-untyped-def]
    unit, states, logits, bias, pointer, share, met, tokens, j, count, s, at, kind, before, alone,
    seldom, due, stay, t, twice, may, whole,
):  # fmt: skip
    """Category j of the units: only values with a share, and that met the earlier tokens.

    A rule that no value keeps gives way: the counts of ranks first, then `alone`, then what met.

    Logits past the values are weights of the features of each value (`pointer`). The last value
    stands at `before` in the states `s`; of the first `alone` values none comes twice running.
    The counts of the values stand from `at` on. Where they are ranks of the unit (`kind` 1), none,
    nor what is missing, goes far beyond its share of `count`, and no rank runs ahead of the one
    before, of which comes what has come and its share of what is left. Of others (0: labels, 2:
    ranks of a subject of many units) one that is `due` and has not come yet is likelier the fewer
    events are left; a rare label (`seldom`) that is drawn to come once does not come again. The
    last value's logit moves by `stay`, by how long ago it was at time `t`. Where an earlier
    category has its last value `twice` running, only what came with that comes; a value that the
    unit has nothing to come with does not come again (`may`). Of a `whole` category each value
    comes in one run, as long as its share.
    """
    width = met.shape[2]
    features = logits.shape[1] - width
    row, weight = np.empty(width, np.float32), np.empty(features, np.float32)
    broken = np.empty(width, np.int64)
    for a in range(len(unit)):
        u = unit[a]
        plus(logits[a, :width], bias, row)
        if features:
            plus(logits[a, width:], bias[width:], weight)
            for k in range(width):
                for f in range(features):
                    row[k] += weight[f] * pointer[a, k, f]
        least, last, burst = 4, int(s[a, before]), False
        if last >= 0:
            level = level_of(t[a] - s[a, 0])
            row[last] += stay[last, level]
            burst = kind == 2 and level <= BURST
        for k in range(width):
            broken[k] = 0  # the gravest rule that the value breaks: of 1 count, 2 alone, 3 met
            if kind == 1 and k != RANKS:
                most = share[u, k] * count[u] * MORE + 0.5
                if 0 < k < RANKS and share[u, k - 1] >= share[u, k]:
                    left = max(count[u] - s[a, 1] - 1.0, 0.0)
                    most = min(most, s[a, at + k - 1] + left * share[u, k - 1] + 1e-6)
                broken[k] = 1 if s[a, at + k] + 1.0 > most else 0
            elif kind == 0 and seldom[k] and s[a, at + k] > 0 and share[u, k] * count[u] < ONCE:
                broken[k] = 1
            if k == last and (k < alone or not may[u, k]):
                broken[k] = 2
            if whole and last >= 0 and s[a, at + last] > 0:
                over = s[a, at + last] >= share[u, last] * count[u] - 0.5
                if k == last and over:
                    broken[k] = max(broken[k], 1)  # gives way where no other is left
                elif k != last and (not over or s[a, at + k] > 0):
                    broken[k] = 2  # what never met is graver
            for e in range(j):
                again = tokens[a, e] == s[a, before - LAST_STRIDE * (j - e)]
                if not met[e, tokens[a, e], k] or (again and not twice[e, tokens[a, e], k]):
                    broken[k] = 3
            if share[u, k] <= 0:
                broken[k] = 4  # the unit has none of it
            least = min(least, broken[k])
        for k in range(width):
            if broken[k] > least or broken[k] == 4:
                row[k] = FAR
        if kind != 1:
            counts = s[a, at : at + width]
            _lean(row, share[u], counts, count[u], s[a, 1], due, last if burst else -1)
        tokens[a, j] = max(softmax_pick(row, uniform(states[u])), 0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def draw_number(  # type: ignore[no-untyped-def]
    unit, states, logits, bias, met, every, s, at, main, k, m, near, tokens, j
):
    """Number k of m, head j: only kinds of value that met the event's categories.

    `every` says which category values met all kinds. Logits past the tokens are weights of what
    the unit had before, which stands from `at` on in the states `s`.
    """
    width = near.shape[2]
    row, allowed = np.empty(width, np.float32), np.empty(width, np.bool_)
    weight = np.empty(CENTERS * NEAR, np.float32)
    centers = np.empty((m, CENTERS), np.float32)
    for a in range(len(unit)):
        plus(logits[a], bias, row)
        plus(logits[a, width:], bias[width:], weight)
        remembered(s[a], at, m, main, tokens[a, 0], centers)
        add_near(row, centers[k], near, weight)
        allowed[:] = True
        for c in range(len(met)):
            v = tokens[a, c]
            if not every[c, v]:
                for w in range(width):
                    allowed[w] = allowed[w] and met[c, v, w]
        if allowed.any():
            for v in range(width):
                if not allowed[v]:
                    row[v] = FAR
        tokens[a, j] = softmax_pick(row, uniform(states[unit[a]]))
