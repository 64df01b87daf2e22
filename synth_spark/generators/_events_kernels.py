"""Small compiled pieces that the walks share: random numbers, draws, and times that cannot go back.

Every unit has a SplitMix64 stream of its own, so what is drawn for it does not depend on how many
other units are still going on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DAY, HOUR, SLOT = 86_400.0, 3_600.0, 300.0  # s
STRIDE = np.uint64(0xD1342543DE82EF95)  # between the first states of neighbouring streams
FAR = np.float32(-1e9)  # a logit that is never drawn
_FAR_FROM = np.float32(-1e8)
_LEAST = np.float32(-60.0)
_MOST = np.float32(60.0)
_ONE = np.float32(1.0)
_64TH = np.float32(1.0 / 64.0)
_C2, _C3, _C4, _C5 = (np.float32(1.0 / k) for k in (2, 6, 24, 120))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def uniform(state):  # type: ignore[no-untyped-def]
    """SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the next number in [0, 1); moves `state`."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)) * 1.1102230246251565e-16


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def exp32(x):  # type: ignore[no-untyped-def]
    """Exp of a float32 in [-60, 60], within 2e-4 of its value up to 20; made of products only.

    The 64th power of a short series, so that a loop over it becomes vector code on any processor.
    """
    y = min(max(x, _LEAST), _MOST) * _64TH
    p = _ONE + y * (_ONE + y * (_C2 + y * (_C3 + y * (_C4 + y * _C5))))
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def silu(x):  # type: ignore[no-untyped-def]
    """X / (1 + exp(-x)) of a float32."""
    return x / (_ONE + exp32(-x))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def plus(x, y, out):  # type: ignore[no-untyped-def]
    """The sum of x and y, as far as `out` goes."""
    for k in range(len(out)):
        out[k] = x[k] + y[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def softmax_pick(logits, u):  # type: ignore[no-untyped-def]
    """An entry with probability in proportion to exp(logit); -1 if all are FAR.

    The logits, float32, are overwritten with the weights.
    """
    top = logits[0]
    for k in range(1, len(logits)):
        top = max(top, logits[k])
    if top < _FAR_FROM:
        return -1
    total = np.float32(0.0)
    for k in range(len(logits)):
        weight = exp32(logits[k] - top)
        weight = weight if logits[k] > _FAR_FROM else np.float32(0.0)
        logits[k] = weight
        total += weight
    goal, best = np.float32(u) * total, 0
    for k in range(len(logits)):
        if logits[k] > 0:
            best = k
            goal -= logits[k]
            if goal < 0:
                break
    return best


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def gap_of(sub, token, u):  # type: ignore[no-untyped-def]
    """Seconds of a gap token, `u` in [0, 1) placing it between the bin's sub-quantiles."""
    place = u * (sub.shape[1] - 1)
    k = int(place)
    return sub[token, k] + (place - k) * (sub[token, k + 1] - sub[token, k])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def after_gap(now, sub, token, tick, u):  # type: ignore[no-untyped-def]
    """The time a gap behind `now`, a whole number of ticks behind it."""
    return now + np.floor(gap_of(sub, token, u) / tick + 0.5) * tick


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def moment_in(day, hour, slot, earliest, tick, u):  # type: ignore[no-untyped-def]
    """A whole tick in the slot of a day, from `earliest` on where that lies in the slot."""
    start = day * DAY + hour * HOUR + slot * SLOT
    end = start + SLOT
    start = max(start, earliest)
    return np.floor((start + u * max(end - start, 0.0)) / tick) * tick
