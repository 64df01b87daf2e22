"""Running statistics of a unit's events: what the network sees, in training and in sampling.

One state row a unit, in a flat float array whose layout `Layout` names. `before` writes what is
known before an event's time is drawn, `after` what its time adds (with features of each value of
the main category: how recent, how often), `update` takes the event in. Training walks real events
through the same three functions, so the two uses cannot differ.

Features that are one of many (the last three values of a category, the weekday, the hour) stand
behind the others: training writes them out, sampling looks their weights up.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from synth_spark.generators._events_layout import (
    AFTER_DENSE,
    BEFORE,
    FIXED,
    LAST,
    POINTER,
    ROOM,
    SECOND,
)
from synth_spark.generators._events_recall import RING, level, remember, remembered

_T, _I, _GAPS, _TODAY, _DAYS, _DAY, _NIGHT, _HOURS, _COUNT = 0, 1, 2, 5, 6, 7, 8, 9, 11
LEAST_OWED, MOST_OWED = -2.0, 6.0  # events of a value that are told apart


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def reset(s, p, room):  # type: ignore[no-untyped-def]
    """Empty a state row, for a unit that has `room` seconds."""
    s[:] = 0.0
    s[ROOM] = room
    s[_T] = -1.0
    s[_DAY] = -1.0
    c = int(p[2])
    for k in range(3 * c):
        s[FIXED + k] = -1.0
    values = 0
    for j in range(c):
        values += int(p[4 + j])
    at = FIXED + 3 * c + values
    s[at:] = -1.0
    m = int(p[3])
    total = at + 3 * (int(p[4]) if c > 0 else 0) + 2 * m + RING
    s[total : total + 2 * m] = 0.0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _turn(share, out):  # type: ignore[no-untyped-def]
    """Sine and cosine of the time of day, of its double and its triple: out[0 : 6]."""
    s, c = np.sin(share * 2 * np.pi), np.cos(share * 2 * np.pi)
    out[0], out[1] = s, c
    out[2], out[3] = 2 * s * c, c * c - s * s
    out[4], out[5] = out[2] * c + out[3] * s, out[3] * c - out[2] * s


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _still(s, count, owed, told, out):  # type: ignore[no-untyped-def]
    """What the events to come must be for all to have the told nights and hours: out[31 : 34]."""
    dark = told[2] * count - s[_NIGHT]
    out[31] = min(max(dark / owed, -0.5), 1.5)
    out[32] = np.log1p(max(dark, 0.0))
    out[33] = min(max((told[3] * count - s[_HOURS]) / owed, 0.0), 24.0) / 6 - 2


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _last_numbers(tokens, p, out):  # type: ignore[no-untyped-def]
    """Of each number whether the last was missing, and where it was in its range."""
    c, m = int(p[2]), int(p[3])
    for j in range(m):
        token = tokens[j]
        gone = token == p[4 + c + m + j]
        out[2 * j] = 1.0 if token >= 0 and gone else 0.0
        out[2 * j + 1] = 0.0 if token < 0 or gone else 2 * token / max(p[4 + c + j], 1.0) - 1


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _owed(s, counts, last, main, share, out):  # type: ignore[no-untyped-def]
    """What the last value of the main category still gets, and how many values do: out[34 : 37]."""
    if last >= 0:
        owed = share[last] * s[_COUNT] - s[counts + last]
        out[34] = min(max(owed, LEAST_OWED), MOST_OWED) / 4
        out[35] = 1.0 if owed < 0.5 else 0.0
    some = 0.0
    for v in range(main):
        some += share[v] > 0 and share[v] * s[_COUNT] - s[counts + v] >= 0.5
    out[36] = np.log1p(some)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def before(s, p, weekday, shown, told, share, out):  # type: ignore[no-untyped-def]
    """Features before the time: out[0 : layout.dense].

    `shown` is the count that the net sees; of `told` it sees the time of the last event, the share
    of nights and the mean hour (at 1, 2 and 3), and of the count at any pace (at 5) what is owed to
    values of the main category by their `share`. The time of the first event (at 4), as that of a
    pause's end to come, and the numbers' means (behind it) go into the state.
    """
    room, most, c, i = s[ROOM], p[1], int(p[2]), s[_I]
    first = i == 0
    now = 0.0 if first else s[_T]
    day = np.floor(now / 86_400.0)
    out[:BEFORE] = 0.0
    if not first:
        _turn(now / 86_400.0 - day, out)
        out[8 + (weekday + int(day)) % 7] = 1.0
    left = max(room - now, 0.0) / 86_400.0
    owed = shown - i
    out[6] = now / room
    out[7] = 1.0 if first else 0.0
    out[15] = np.log1p(max(owed, 0.0)) * (1.0 if owed > 0 else 0.0)
    out[16] = min(max(owed / max(shown, 1.0), -1.0), 1.0)
    out[17] = np.log1p(i)
    out[18] = 1.0 if i >= most - 1 else 0.0
    out[19] = np.log((max(owed, 0.0) + 0.5) / (left + 0.05)) * 0.5
    out[20] = np.sqrt(left)
    out[21] = np.log1p(s[_TODAY])
    out[22] = s[_DAYS] * 0.3
    for k in range(3):
        out[23 + k] = s[_GAPS + k]
    # A unit's drawn share of nights and mean hour are kept to where it is seen how far they are.
    out[26] = s[_NIGHT] / max(i, 1.0) * 4
    out[27] = 0.0 if first else s[_HOURS] / i / 6 - 2
    _still(s, max(shown, i), max(owed, 0.5), told, out)
    away = (told[1] - now) / 86_400.0
    out[28] = np.sqrt(max(away, 0.0))
    out[29] = 1.0 if away <= 0 and not first else 0.0
    out[30] = np.log((max(owed, 0.0) + 0.5) / (max(away, 0.0) + 0.02)) * 0.5
    values = 0
    for j in range(c):
        values += int(p[4 + j])
    counts, at, part = FIXED + 3 * c, BEFORE, 1.0 / max(i, 1.0)
    for v in range(values):
        out[at + v] = s[counts + v] * part
    at, place = at + values, counts + values
    main = int(p[4]) if c > 0 else 0
    s[_COUNT] = told[5]
    _owed(s, counts, int(s[FIXED]) if c > 0 else -1, main, share, out)
    for v in range(main):
        seen = s[place + v]
        if seen >= 0:
            dt, steps = now - seen, i - s[place + main + v]
            slow = np.exp(-dt / 21_600.0)
            out[at + v] = ((slow**3) ** 3) ** 4  # of ten minutes: its 36th power
            out[at + main + v] = slow
            out[at + 2 * main + v] = np.exp(-steps / 4.0)
        else:
            out[at + v] = out[at + main + v] = out[at + 2 * main + v] = 0.0
    _last_numbers(s[place + 3 * main :], p, out[at + 3 * main :])
    if first:
        s[place + 3 * main + int(p[3])] = told[4] % 86_400.0
    level(s, p, place + 3 * main, max(shown, i), told[6:])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def last_values(s, p, rows):  # type: ignore[no-untyped-def]
    """Which of the features behind the dense ones are 1: their places in rows; gives how many."""
    start, found = 0, 0
    for j in range(int(p[2])):
        width = int(p[4 + j])
        for k in range(LAST):
            last = int(s[FIXED + 3 * j + k])
            if last >= 0:
                rows[found] = start + k * width + last
                found += 1
        start += LAST * width
    return found


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def after(s, p, weekday, t, share, out, pointer):  # type: ignore[no-untyped-def]
    """Features once the time `t` is known: out[0 : AFTER_DENSE], pointer[main, layout.pointer].

    Gives the weekday and the hour of the event.
    """
    c = int(p[2])
    day = np.floor(t / 86_400.0)
    clock = t / 86_400.0 - day
    _turn(clock, out)
    i = s[_I]
    gap = t - s[_T] if i > 0 else 0.0
    out[6] = np.log1p(gap) * 0.2 if i > 0 else 0.0
    out[7] = 1.0 if i > 0 and gap < p[0] else 0.0
    out[8] = 1.0 if day != s[_DAY] else 0.0
    out[9] = t / s[ROOM]
    out[10] = 1.0 if i == 0 else 0.0
    main, values = int(p[4]) if c > 0 else 0, 0
    for j in range(c):
        values += int(p[4 + j])
    last = FIXED + 3 * c + values
    counts = FIXED + 3 * c
    second = min(int(p[5]), SECOND) if c > 1 else 0
    total = max(i, 1.0)
    for v in range(main):
        q = pointer[v]
        q[:] = 0.0
        q[8] = share[v]
        q[9] = 1.0 if share[v] > 0 else 0.0
        n = s[counts + v]
        owed = share[v] * s[_COUNT] - n
        q[10] = min(max(owed, LEAST_OWED), MOST_OWED) / 4
        q[11] = 1.0 if owed < 0.5 else 0.0
        if n > 0:
            steps, dt = i - s[last + main + v], t - s[last + v]
            q[0] = n / total
            q[1] = 1.0
            q[2] = 1.0 if n > 1 else 0.0
            few, slow = np.exp(-steps / 6.0), np.exp(-dt / 43_200.0)
            hour = (slow**3) ** 4
            q[3], q[4] = few**4, few
            q[5], q[6], q[7] = (hour**3) ** 4, hour, slow  # five minutes, an hour, half a day
            kind = int(s[last + 2 * main + v])
            if 0 <= kind < second:
                q[POINTER + kind] = 1.0
    return (weekday + int(day)) % 7, min(int(clock * 24), 23)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def update(s, p, t, cats, nums):  # type: ignore[no-untyped-def]
    """Take an event in."""
    c = int(p[2])
    i = s[_I]
    day = np.floor(t / 86_400.0)
    pause = i == 0 or t - s[_T] >= p[0]
    if i > 0:
        s[_GAPS + 2], s[_GAPS + 1] = s[_GAPS + 1], s[_GAPS]
        s[_GAPS] = np.log1p(t - s[_T]) * 0.2
    if day != s[_DAY]:
        s[_DAYS] += 1
        s[_TODAY] = 0
    s[_TODAY] += 1
    hour = t / 3_600.0 - day * 24
    s[_HOURS] += hour
    if hour < 6:
        s[_NIGHT] += 1
    s[_T], s[_DAY], s[_I] = t, day, i + 1
    at = FIXED + 3 * c
    for j in range(c):
        k = FIXED + 3 * j
        s[k + 2], s[k + 1], s[k] = s[k + 1], s[k], cats[j]
        s[at + cats[j]] += 1
        at += int(p[4 + j])
    main, category = 0, 0
    if c > 0:
        main, category = int(p[4]), cats[0]
        s[at + cats[0]] = t
        s[at + main + cats[0]] = i + 1
        s[at + 2 * main + cats[0]] = cats[1] if c > 1 else -1
        at += 3 * main
    remember(s, p, at, main, category, nums, t - day * 86_400.0, pause, i == 0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def unroll(  # type: ignore[no-untyped-def]
    end, weekday, room, shown, t, cats, nums, share, p, size, x, z, q, ring, centers
):
    """Features of real rows: units end to end, each closed by a row with `end` set.

    Writes x (rows, before), z (rows, AFTER), q (rows, main, pointer), ring (rows, RING; slots of
    the day) and centers (rows, numbers, CENTERS) and gives each row's time before, -1 at a unit's
    first.
    """
    main, m = int(p[4]) if int(p[2]) > 0 else 0, int(p[3])
    numbers = size - RING - (4 + main) * m
    s = np.empty(size)
    reset(s, p, 1.0)
    previous = np.empty(len(t))
    rows = np.empty(LAST * int(p[2]), np.int64)
    dense = x.shape[1]
    for j in range(int(p[2])):
        dense -= LAST * int(p[4 + j])
    for r in range(len(t)):
        s[ROOM] = room[r]
        previous[r] = s[_T]
        before(s, p, weekday[r], shown[r, 0], shown[r], share[r], x[r])
        x[r, dense:] = 0
        for k in range(last_values(s, p, rows)):
            x[r, dense + rows[k]] = 1
        z[r] = 0
        for k in range(RING):
            ring[r, k] = np.floor(s[numbers + m + k] / 300.0)
        if end[r]:
            q[r] = 0
            centers[r] = -1
            reset(s, p, 1.0)
            continue
        day, hour = after(s, p, weekday[r], t[r], share[r], z[r], q[r])
        z[r, AFTER_DENSE + day] = 1
        z[r, AFTER_DENSE + 7 + hour] = 1
        remembered(s, numbers, m, main, cats[r, 0] if main > 0 else 0, centers[r])
        update(s, p, t[r], cats[r], nums[r])
    return previous
