"""How values beyond a subject's ranks come: new ones, and returns to those that came before.

Another event of the same value right behind is a chance of its own, by the time between the two and
by whether something else lies between: calls to one number come together. What is left are visits:
the chance that one is new depends on how many there were, and a return leads so many visits back as
real ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import RANKS

NEWS = 4  # levels of the share of new values among the other events so far
LEVELS = 20  # of the number of visits so far: powers of the square root of 2
GAPS = 24  # of the seconds since the other event before: powers of 2
WEIGHT = 10.0  # in events, of the coarser share
FULL = 16  # events that a return looks back further for a value that may have more
LEAST_PAIRS = 100  # of other values in a row, from which it tells something that all differ


def never_twice(
    codes: NDArray[np.int64], ranks: NDArray[np.int64], owners: NDArray[np.int64]
) -> bool:
    """Whether no value beyond the ranks follows itself, where many follow another such."""
    other = (ranks >= RANKS) & (codes >= 0)
    both = other[1:] & other[:-1] & (owners[1:] == owners[:-1])
    return bool(both.sum() >= LEAST_PAIRS and (codes[1:] != codes[:-1])[both].all())


@dataclass(frozen=True, slots=True)
class Returns:
    """How other values come and come back."""

    fresh: NDArray[np.float64]  # (LEVELS, NEWS), chance that a visit is of a new value
    back: NDArray[np.float64]  # (LEVELS,), share of the returns by how many visits back
    same: NDArray[np.float64]  # (2, GAPS), chance that an other event is of the value of the one
    # before; the first row: with events in between that are none

    @classmethod
    def learn(
        cls,
        codes: NDArray[np.int64],
        ranks: NDArray[np.int64],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
    ) -> Self:
        """Count visits and returns.

        Args:
            codes: Values, -1 where missing, shape (rows,).
            ranks: A subject's own rank of each value, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            seconds: Time of each event, shape (rows,).
        """
        new, all_, back, again, pairs = _news(np.where(codes >= 0, ranks, -1), offsets, seconds)
        share = (new.sum() + 1.0) / (all_.sum() + 1.0)
        for axis in (1, ()):
            seen, events = (x.sum(axis=axis, keepdims=True) for x in (new, all_))
            share = (seen + WEIGHT * share) / (events + WEIGHT)
        level = (again.sum(axis=1, keepdims=True) + 1e-3) / (pairs.sum(axis=1, keepdims=True) + 1.0)
        same = (again + WEIGHT * level) / (pairs + WEIGHT)
        return cls(np.asarray(share), (back + 1e-3) / max(float((back + 1e-3).sum()), 1e-12), same)

    def drawn(
        self,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
        alone: bool,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """A number from 0 for each other event: which of the subject's other values; else -1.

        None has more events than the subject's last rank, or it would be among the ranks.

        Args:
            tokens: Ranks, RANKS for an other value, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            seconds: Time of each event, shape (rows,).
            alone: Whether none comes twice running.
            rng: The block's random numbers.
        """
        u = rng.random((len(tokens), 4))
        drawn = _returns(tokens, offsets, seconds, self.fresh, self.back, self.same, alone, u)
        return np.asarray(drawn)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {"fresh": self.fresh, "back": self.back, "same": self.same}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The returns that `state` came from."""
        return cls(**state)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _level(count):  # type: ignore[no-untyped-def]
    return min(int(2 * np.log2(1.0 + count)), LEVELS - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _news_level(new, count):  # type: ignore[no-untyped-def]
    share = new / max(count, 1)
    if share < 0.5:
        return 0 if share < 0.25 else 1
    return 2 if share < 0.8 else 3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _gap_level(seconds):  # type: ignore[no-untyped-def]
    return min(int(np.log2(1.0 + max(seconds, 0.0))), GAPS - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _news(ranks, offsets, seconds):  # type: ignore[no-untyped-def]
    new, total, back = np.zeros((LEVELS, NEWS)), np.zeros((LEVELS, NEWS)), np.zeros(LEVELS)
    same, pairs = np.zeros((2, GAPS)), np.zeros((2, GAPS))
    for i in range(len(offsets) - 1):
        most = 0
        for r in range(offsets[i], offsets[i + 1]):
            most = max(most, ranks[r] + 1)
        seen = np.full(most, -1, np.int64)
        visits, made, last = 0, 0, -1
        for r in range(offsets[i], offsets[i + 1]):
            if ranks[r] >= RANKS:
                if last >= 0:
                    beside, gap = int(last == r - 1), _gap_level(seconds[r] - seconds[last])
                    pairs[beside, gap] += 1
                    same[beside, gap] += ranks[r] == ranks[last]
                if last < 0 or ranks[r] != ranks[last]:
                    k, n = _level(visits), _news_level(made, visits)
                    total[k, n] += 1
                    if seen[ranks[r]] < 0:
                        new[k, n] += 1
                        made += 1
                    else:
                        back[_level(visits - seen[ranks[r]] - 1)] += 1
                    seen[ranks[r]] = visits
                    visits += 1
                last = r
    return new, total, back, same, pairs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _lag(back, count, u, v):  # type: ignore[no-untyped-def]
    """How many visits back, from 1 (0 is the one before), a return leads: of `count` there were."""
    total = 0.0
    for k in range(1, _level(count - 1) + 1):
        total += back[k]
    goal, found = u * total, 1
    for k in range(1, _level(count - 1) + 1):
        found = k
        goal -= back[k]
        if goal < 0:
            break
    lo = int(
        np.ceil(2.0 ** (found / 2.0) - 1.0)
    )  # the lags of a level are those between its powers
    hi = max(int(np.ceil(2.0 ** ((found + 1) / 2.0) - 1.0)), lo + 1)
    return max(min(lo + int(v * (hi - lo)), count - 1), 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _returns(tokens, offsets, seconds, fresh, back, same, alone, u):  # type: ignore[no-untyped-def]
    out = np.full(len(tokens), -1, np.int64)
    for i in range(len(offsets) - 1):
        a, b = offsets[i], offsets[i + 1]
        past, events = np.empty(b - a, np.int64), np.zeros(b - a, np.int64)
        visits, made, most, last = 0, 0, 0, -1
        for r in range(a, b):
            most += tokens[r] == RANKS - 1
        most = most if most > 0 else b - a
        for r in range(a, b):
            if tokens[r] != RANKS:
                continue
            if last >= 0 and not (alone and last == r - 1) and events[out[last]] < most:
                gap = _gap_level(seconds[r] - seconds[last])
                if u[r, 3] < same[int(last == r - 1), gap]:
                    out[r] = out[last]
                    events[out[r]] += 1
                    last = r
                    continue
            found = made
            if visits > 1 and u[r, 0] >= fresh[_level(visits), _news_level(made, visits)]:
                lag = _lag(back, visits, u[r, 1], u[r, 2])
                for k in range(FULL):  # past those that have all that they may
                    value = past[(visits - 1 - lag - k) % visits]
                    if events[value] < most and value != out[last]:
                        found = value
                        break
            out[r] = past[visits] = found
            made += found == made
            events[found] += 1
            visits += 1
            last = r
    return out
