"""What a unit did before, as candidates for what it does next: times of day, and numbers.

The network scores every hour, every five minutes and every token of a number by how near it is to
what the unit had: it often comes again at the same time of day (a train, a commute, a job of the
night), and at the same place a price or a speed is often the same as before.

A state row keeps the seconds of the day at which the unit's latest `RING` pauses ended, each
number's token at the last event, that of its level, the sum and the count of its values, and its
token at the last event with each value of the main category.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_again import DOUBT
from synth_spark.generators._events_kernels import DAY, HOUR, SLOT

RING = 8  # ends of pauses that are remembered
PRIOR = 0.05  # of a unit's events, for which its drawn mean stands


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def remembered(s, at, m, main, category, out):  # type: ignore[no-untyped-def]
    """Tokens that each number's are compared with, -1: none yet; out[m, CENTERS].

    They are that of the last event, that of the last event with this value of the main category,
    and that of its level, which lies between two of them as a rule.

    Args:
        s: The state row.
        at: Where the tokens of the last event stand in it.
        m: How many numbers.
        main: Values of the main category.
        category: The event's own.
        out: What is filled.
    """
    level = at + m + RING
    same = level + 3 * m + category * m
    for j in range(m):
        out[j, 0] = s[at + j]
        out[j, 1] = s[same + j] if main > 0 else -1
        out[j, 2] = s[level + j]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def level(s, p, at, count, mean):  # type: ignore[no-untyped-def]
    """Put each number's level into the state, in tokens and parts of one.

    It is the mean of what has come, and of the drawn mean as if it had come `PRIOR` times the
    unit's count, or as often as its own mean takes to tell units apart (`Contexts.calm`): of few
    events the real mean says too much, many drift without it.

    Args:
        s: The state row.
        p: See `Layout.packed`.
        at: Where the tokens of the last event stand in it.
        count: Events of the unit.
        mean: As drawn, of the logarithms, shape (numbers,).
    """
    c, m = int(p[2]), int(p[3])
    to = at + m + RING
    typical = 4 + c + 2 * m
    for j in range(m):
        prior = max(PRIOR * max(count, 1.0), p[len(p) - m + j])
        size, n = int(p[4 + c + j]), s[to + 2 * m + j]
        goal = (s[to + m + j] + prior * mean[j]) / (n + prior)
        low, high = 0, size - (2 if p[4 + c + m + j] == size - 1 else 1)
        while low < high:  # the first token that lies above, or the last
            mid = (low + high) // 2
            if p[typical + mid] < goal:
                low = mid + 1
            else:
                high = mid
        s[to + j] = low
        if low > 0 and p[typical + low] > p[typical + low - 1]:
            part = (p[typical + low] - goal) / (p[typical + low] - p[typical + low - 1])
            s[to + j] -= min(max(part, 0.0), 1.0)
        typical += size


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def remember(s, p, at, main, category, tokens, clock, pause, first):  # type: ignore[no-untyped-def]
    """Take an event in: the seconds of its day if a pause ended, and its numbers' tokens.

    Before the `first` event stands the time that it was to have.
    """
    m = len(tokens)
    ring, total, same = at + m, at + 2 * m + RING, at + 4 * m + RING + category * m
    c = int(p[2])
    typical = 4 + c + 2 * m
    if pause:
        for k in range(0 if first else RING - 1, 0, -1):
            s[ring + k] = s[ring + k - 1]
        s[ring] = clock
    for j in range(m):
        s[at + j] = tokens[j]
        if tokens[j] != p[4 + c + m + j]:  # not missing
            s[total + j] += p[typical + tokens[j]]
            s[total + m + j] += 1.0
        typical += int(p[4 + c + j])
        if main > 0:
            s[same + j] = tokens[j]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def ended(ring):  # type: ignore[no-untyped-def]
    """How many pauses' ends are known: the latest stand first."""
    known = 0
    while known < len(ring) and ring[known] >= 0:
        known += 1
    return known


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def by_hour(ring, out):  # type: ignore[no-untyped-def]
    """Features of each hour: the last pause ended in it; share of the pauses that did; beside it.

    Args:
        ring: Seconds of the day, -1: none yet; shape (RING,).
        out: What is filled, shape (24, HOURS).
    """
    out[:] = 0.0
    known = ended(ring)
    for k in range(known):
        hour = min(int(ring[k] // HOUR), 23)
        if k == 0:
            out[hour, 0] = 1.0
        out[hour, 1] += 1.0 / known
        out[(hour + 1) % 24, 2] += 1.0 / known
        out[(hour + 23) % 24, 2] += 1.0 / known


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def by_slot(ring, hour, out):  # type: ignore[no-untyped-def]
    """Features of each five minutes of an hour, as those of an hour.

    The last one is the share of pauses that ended in these minutes of any hour.

    Args:
        ring: Seconds of the day, -1: none yet; shape (RING,).
        hour: The hour.
        out: What is filled, shape (12, SLOTS).
    """
    out[:] = 0.0
    known = ended(ring)
    for k in range(known):
        slot = min(int(ring[k] // SLOT), 287)
        for at in range(12):
            away = abs(slot - hour * 12 - at)
            if away == 0:
                out[at, 1] += 1.0 / known
                if k == 0:
                    out[at, 0] = 1.0
            elif away == 1:
                out[at, 2] += 1.0 / known
        out[slot % 12, 3] += 1.0 / known


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_features(row, features, weight):  # type: ignore[no-untyped-def]
    """Add to each logit the product of its features and their weights."""
    for k in range(len(row)):
        for f in range(len(weight)):
            row[k] += features[k, f] * weight[f]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_near(row, centers, near, weight):  # type: ignore[no-untyped-def]
    """Add to the logits of a number's tokens how near they are to the centres.

    Args:
        row: Logits, shape (tokens,), in place.
        centers: Tokens, -1: none; shape (CENTERS,). Between two their rows are mixed by parts, and
            of squared distances that is the one to the value between, up to a constant.
        near: See `models/recall.py`.
        weight: Shape (CENTERS * NEAR,).
    """
    for c in range(len(centers)):
        if centers[c] >= 0:
            token = int(centers[c])
            part = np.float32(centers[c] - token)
            for f in range(near.shape[1]):
                w, low = weight[c * near.shape[1] + f], near[token, f]
                if part > 0:
                    high, over = near[token + 1, f], w * part
                    w -= over
                    for k in range(len(row)):
                        row[k] += w * low[k] + over * high[k]
                else:
                    for k in range(len(row)):
                        row[k] += w * low[k]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def same_time(ring, slot):  # type: ignore[no-untyped-def]
    """Seconds of the day at which the latest pause ended that did in this slot of the day; or -1.

    Args:
        ring: Seconds of the day, -1: none yet; shape (RING,).
        slot: Of the day.
    """
    for k in range(len(ring)):
        if ring[k] >= 0 and int(ring[k] // SLOT) == slot:
            return ring[k]
    return -1.0


def again_at(
    t: NDArray[np.float64], previous: NDArray[np.float64], cut_s: float, tick_s: float
) -> float:
    """How often a pause ends as one before did to the second, beyond what chance would do.

    Args:
        t: Seconds since the unit's start, units end to end; shape (events,).
        previous: The same of the event before, -1 at a unit's first; shape (events,).
        cut_s: Shortest pause.
        tick_s: Precision of the times.

    Returns:
        A share of the pauses that end within the same five minutes of the day as one of the unit's
        `RING` before, 0 to 1.
    """
    cases, same = _again_at(t, previous, cut_s)
    chance = min(tick_s / SLOT, 1.0)
    share = (same / max(cases, 1) - chance) / max(1 - chance, 1e-9)
    return float(max(share, 0.0) * cases / (cases + DOUBT))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _again_at(t, previous, cut):  # type: ignore[no-untyped-def]
    ring, cases, same = np.full(RING, -1.0), 0, 0
    for i in range(len(t)):
        if previous[i] < 0:
            ring[:] = -1.0
        if previous[i] < 0 or t[i] - previous[i] >= cut:
            clock = t[i] % DAY
            before = same_time(ring, int(clock // SLOT))
            if before >= 0:
                cases += 1
                same += abs(before - clock) < 1e-6
            for k in range(RING - 1, 0, -1):
                ring[k] = ring[k - 1]
            ring[0] = clock
    return cases, same
