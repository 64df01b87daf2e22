"""How the main category of `markov` moves on: an order that follows support, and the hour.

The walk draws the next value by what is still owed to each. These lifts say how much likelier
than that each value is after the last one (order 1), after the last two (order 2) and in each
part of the day, of working days and of weekends. The value of a unit's last event (a night at home)
is drawn first and kept back, or what is owed would be used up before it. A lift is counts seen
over counts expected, both with `weight` more: in a state of n events order 2 speaks with weight n
/ (n + weight) and hands the rest to order 1, which in the same way hands its rest to order 0,
what is owed. They are fitted in turns by iterative scaling (Darroch and Ratcliff, Generalized
iterative scaling for log-linear models, Annals of Mathematical Statistics 1972) on the sample of
subjects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import Units
from synth_spark.generators._events_facts import Floats

BLOCKS = 12  # of two hours
STATES = 5  # of the value that an event leaves: the heaviest four, the rest
SWEEPS = 6  # each table is fitted in every third
MOST = 30.0  # of a lift, and its inverse the least
OWED = 0.02  # least weight of a value that a unit has
TELLING = 0.02  # nats that the value left must tell of the gap for the times to look at it


@dataclass(frozen=True, slots=True)
class Steps:
    """Lifts of the main category's values, and the states that times look at."""

    state_of: NDArray[np.int64]  # (values,), state of the value left; all 0 where it tells nothing
    first: Floats  # (values + 1, values): last, next; the last row: a unit's first event
    second: Floats  # (values, values, values): last but one, last, next
    when: Floats  # (2, BLOCKS, values): working day or weekend; block of the day
    final: Floats  # (values,): a unit's last event, against the value's share of its events
    # (2, 24, values of all categories): how much likelier a value is on a working day, a weekend,
    # at an hour; by it the walk stays with a value or leaves it
    suits: Floats = field(default_factory=lambda: np.ones((2, 24, 1)))

    @classmethod
    def learn(
        cls, units: Units, shares: Floats, width: int, *, told: float, weight: float,
        alone: int = 0, size: int = 1,
    ) -> Self:  # fmt: skip
        """Fit on the units of a sample.

        Args:
            units: The sample's units.
            shares: Drawn share of each main value in each unit, shape (units, width).
            width: Values of the main category; 0: there is none, or it is one of runs.
            told: Nats that the value left tells of the gap behind it.
            weight: In events; see the module.
            alone: Of the first so many values none comes twice running.
            size: Values that the tables have room for, where `width` is 0.
        """
        size = width or size
        made = cls(
            np.zeros(size, np.int64), np.ones((size + 1, size)), np.ones((size, size, size)),
            np.ones((2, BLOCKS, size)), np.ones(size),
        )  # fmt: skip
        if not width or not len(units.t):
            return made
        made.final[:] = _final(units, shares, weight)
        values = units.cats[:, 0].astype(np.int64)
        if told > TELLING:
            order = np.argsort(-np.bincount(values, minlength=width), kind="stable")
            made.state_of[order] = np.minimum(np.arange(width), STATES - 1)
        for sweep in range(SWEEPS):
            table = (made.when, made.first, made.second)[sweep % 3]
            seen, expected = np.zeros((2, *table.shape))
            _expect(
                units.offsets, units.anchor, units.t, values, shares, alone, made.first,
                made.second, made.when, sweep % 3, seen.reshape(-1), expected.reshape(-1),
            )  # fmt: skip
            table *= (seen + weight) / (expected + weight)
            np.clip(table, 1 / MOST, MOST, out=table)
        return made

    @property
    def states(self) -> int:
        """How many states the times tell apart."""
        return int(self.state_of.max()) + 1

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The steps that `state` came from."""
        return cls(**state)


def _final(units: Units, shares: Floats, weight: float) -> Floats:
    """How much likelier each value is as a unit's last event than by its share there."""
    some = units.lengths > 0
    ends = units.cats[units.offsets[1:][some] - 1, 0]
    expected = shares[some].sum(axis=0)
    more = weight * expected / expected.sum()
    seen = np.bincount(ends, minlength=len(expected)) + more
    return np.asarray(np.clip(seen / np.maximum(expected + more, 1e-9), 1 / MOST, MOST))


def suited(units: Units, starts: NDArray[np.int64], values: int, weight: float) -> Floats:
    """How much likelier each value is on a working day or a weekend at each hour.

    Args:
        units: The sample's units.
        starts: Where the values of each category begin.
        values: Of all categories together.
        weight: In events, of a value's share of all events.

    Returns:
        Ratios, shape (2, 24, values); 1 for a value that never came.
    """
    day = np.floor(units.t / 86_400).astype(np.int64)
    hour = np.minimum((units.t - day * 86_400.0) // 3_600, 23).astype(np.int64)
    rest = (np.repeat(units.anchor, units.lengths) + day + 3) % 7 > 4
    cell = rest * 24 + hour
    counts = np.zeros((48, max(values, 1)))
    for column, start in zip(units.cats.T, starts, strict=True):
        np.add.at(counts, (cell, start + column), 1.0)
    rows = np.bincount(cell, minlength=48)[:, None]
    share = counts.sum(axis=0) / max(len(cell), 1)
    found = (counts + weight * share) / np.maximum((rows + weight) * share, 1e-12)
    return np.ascontiguousarray(np.where(share > 0, found, 1.0).reshape(2, 24, -1))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def moment(anchor, t):  # type: ignore[no-untyped-def]
    """Working day (0) or weekend (1), and block of the day."""
    day = int(t // 86_400.0)
    kind = 1 if (anchor + day + 3) % 7 > 4 else 0
    return kind, min(int((t - day * 86_400.0) // 7_200.0), BLOCKS - 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def lift(first, second, when, weekend, block, before, last, v):  # type: ignore[no-untyped-def]
    """How much likelier value v is than what is owed says; -1 for a value before the first."""
    out = when[weekend, block, v] * first[last if last >= 0 else len(first) - 1, v]
    if before >= 0:
        out *= second[before, last, v]
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def kept_back(shares, final, u):  # type: ignore[no-untyped-def]
    """Value of a unit's last event, by its share and by how units end; -1: it has no shares."""
    total = 0.0
    for v in range(len(final)):
        total += shares[v] * final[v]
    goal, best = u * total, -1
    for v in range(len(final)):
        if shares[v] > 0:
            best = v
            goal -= shares[v] * final[v]
            if goal < 0:
                break
    return best


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def wanted(owed, v, kept, after, alone):  # type: ignore[no-untyped-def]
    """Weight of value v that is still owed so many events, of which the last keeps one of `kept`.

    With `after` events behind this one; of the first `alone` values none comes twice running.
    """
    if v == kept and after > 0:
        if after == 1 and v < alone:
            return OWED * OWED
        owed -= 1.0
    return max(owed, OWED)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _expect(  # type: ignore[no-untyped-def]
    offsets, anchors, t, values, shares, alone, first, second, when, which, seen, expected
):  # fmt: skip
    """Counts of one table (0 when, 1 first, 2 second), seen and expected by the walk's weights."""
    size = shares.shape[1]
    owed, weight = np.empty(size), np.empty(size)
    for u in range(len(offsets) - 1):
        a, b = offsets[u], offsets[u + 1]
        for v in range(size):
            owed[v] = shares[u, v] * (b - a)
        for i in range(a, b):
            last = values[i - 1] if i > a else -1
            before = values[i - 2] if i > a + 1 else -1
            weekend, block = moment(anchors[u], t[i])
            now = values[i]
            total = 0.0
            for v in range(size):
                weight[v] = 0.0
                if shares[u, v] > 0 and v != last:
                    weight[v] = wanted(owed[v], v, values[b - 1], b - 1 - i, alone)
                    weight[v] *= lift(first, second, when, weekend, block, before, last, v)
                total += weight[v]
            owed[now] -= 1.0
            at = (weekend * BLOCKS + block) * size
            if which == 1:
                at = (last if last >= 0 else size) * size
            elif which == 2:
                at = (before * size + last) * size
            if now == last or total <= 0 or (which == 2 and before < 0):
                continue
            seen[at + now] += 1.0
            for v in range(size):
                expected[at + v] += weight[v] / total
