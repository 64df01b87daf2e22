"""The collapse monitor: how far drawn units stand from real ones, without asking any critic.

Five parts, each 0 where both are alike and about 1 at worst: the energy distance of what is
measured of whole units (Szekely and Rizzo, "Energy statistics: A class of statistics based on
distances", Journal of Statistical Planning and Inference 2013, section 8), the total variation of
time tokens with hours, of pairs of neighbouring labels, and of numbers, and how many different
runs of four events there are: a generator that collapses repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_clock import DAY_S, HOUR_S, Clock
from synth_spark.generators._gan_units import Ragged

PARTS = ("units", "times", "labels", "numbers", "variety")
GRAM = 4  # events of a run
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def distance(real: Ragged, drawn: Ragged, clock: Clock) -> dict[str, float]:
    """The parts of the distance, by name; `overall` is their mean.

    Args:
        real: Real units.
        drawn: Drawn ones: as many, or several rounds of as many one after the other.
        clock: The time tokens.
    """
    rounds = max(len(drawn.lengths) // max(len(real.lengths), 1), 1)
    units = energy(measures(real), np.array_split(measures(drawn), rounds))

    def apart(columns: Callable[[Ragged], list[Codes]]) -> float:
        both = zip(columns(real), columns(drawn), strict=True)
        return _mean([total_variation(p, q) for p, q in both])

    parts = {
        "units": float(np.sqrt(units)),
        "times": apart(lambda u: [clock.encode(u.t, u.previous)[0].astype(np.int64), _hours(u)]),
        "labels": apart(_pairs),
        "numbers": apart(lambda u: [c.astype(np.int64) for c in u.nums.T]),
        "variety": abs(variety(real) - variety(drawn, rounds)),
    }
    return {**parts, "overall": _mean(list(parts.values()))}


def energy(real: Floats, rounds: list[Floats]) -> float:
    """The energy distance as a share of its greatest value, each column scaled as real ones are.

    Args:
        real: Facts of real units, shape (units, facts).
        rounds: The same of each round of drawn units; distances among drawn units are taken from
            each round to the next.
    """
    some = real.std(axis=0) > 1e-9
    if not some.any():
        return 0.0
    scale = 1 / real.std(axis=0)[some]
    a, parts = real[:, some] * scale, [r[:, some] * scale for r in rounds]
    across = float(np.mean([_gap(a, b) for b in parts]))
    among = float(np.mean([_gap(b, c) for b, c in zip(parts, [*parts[1:], parts[0]], strict=True)]))
    return max((2 * across - _gap(a, a) - among) / (2 * across), 0.0) if across > 0 else 0.0


def _gap(a: Floats, b: Floats) -> float:
    """Mean Euclidean distance over all pairs of rows."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return float(np.sqrt(np.maximum(square, 0)).mean())


def measures(units: Ragged) -> Floats:
    """Facts of each unit, shape (units, facts): calendar, gaps, habits, runs, numbers."""
    count, unit = len(units.lengths), units.unit
    n = np.maximum(units.lengths, 1)
    day = np.floor(units.t / DAY_S)
    hour = (units.t - day * DAY_S) / HOUR_S
    later = units.previous >= 0
    log_gap = np.where(later, np.log1p(np.maximum(units.t - units.previous, 0)), 0.0)
    weekday = (units.weekday[unit] + day.astype(np.int64)) % 7

    def share(x: NDArray[Any], among: NDArray[Any] = n) -> Floats:
        return np.asarray(np.bincount(unit, x.astype(float), count) / np.maximum(among, 1))

    def spread(x: Floats, mean: Floats) -> Floats:
        return np.sqrt(share((x - mean[unit]) ** 2))

    gap, hours = share(log_gap, n - 1), share(hour)
    first, last = np.zeros(count), np.zeros(count)
    starts = (np.cumsum(units.lengths) - units.lengths)[units.lengths > 0]
    some = units.lengths > 0
    first[some] = units.t[starts]
    last[some] = units.t[starts + units.lengths[some] - 1]
    new_day = np.diff(day, prepend=-1) != 0
    columns = [
        np.log1p(units.lengths), first / DAY_S, (last - first) / DAY_S, gap,
        np.sqrt(share(np.where(later, (log_gap - gap[unit]) ** 2, 0), n - 1)),
        share(later & (log_gap < np.log1p(60)), n - 1),
        share(later & (log_gap > np.log1p(7_200)), n - 1),
        share(new_day | ~later), hours, spread(hour, hours), share(hour < 6), share(weekday > 4),
    ]  # fmt: skip
    for j in range(units.cats.shape[1]):
        columns += _habits(units, units.cats[:, j], share)
    for j in range(units.nums.shape[1]):
        token = units.nums[:, j].astype(float)
        mean = share(token)
        columns += [mean, spread(token, mean)]
    return np.column_stack(columns)


def _habits(units: Ragged, token: NDArray[Any], share: Any) -> list[Floats]:
    """Repeats, returns, the favourite's share, how many different values, the commonest shares."""
    unit, place, n = units.unit, units.place, np.maximum(units.lengths, 1)
    width = int(token.max(initial=0)) + 1
    counts = np.bincount(unit * width + token, minlength=len(n) * width).reshape(-1, width)
    once, twice = np.zeros(len(token), bool), np.zeros(len(token), bool)
    once[1:] = (token[1:] == token[:-1]) & (place[1:] > 0)
    twice[2:] = (token[2:] == token[:-2]) & (token[2:] != token[1:-1]) & (place[2:] > 1)
    each = [share(token == v) for v in range(6)]
    return [share(once), share(twice), counts.max(1) / n, np.log1p((counts > 0).sum(1)), *each]


def total_variation(p: Codes, q: Codes) -> float:
    """Total variation of two columns of whole numbers from 0 on."""
    size = int(max(p.max(initial=0), q.max(initial=0))) + 1
    a, b = np.bincount(p, minlength=size), np.bincount(q, minlength=size)
    return float(0.5 * np.abs(a / max(a.sum(), 1) - b / max(b.sum(), 1)).sum())


def _hours(units: Ragged) -> NDArray[np.int64]:
    return np.asarray(units.t % DAY_S // HOUR_S, dtype=np.int64)


def _pairs(units: Ragged) -> list[NDArray[np.int64]]:
    """Each category's label with the one before it, as one number."""
    later = units.place[1:] > 0
    return [(c[:-1].astype(np.int64) * 64 + c[1:])[later] for c in np.minimum(units.cats, 63).T]


def variety(units: Ragged, rounds: int = 1) -> float:
    """Share of different runs of `GRAM` events' labels (hours where there are none) among all.

    Counted in each round of units by itself: a larger crowd repeats itself more.
    """
    state = np.zeros(len(units.t), np.int64)
    for column in units.cats.T if units.cats.shape[1] else [_hours(units)]:
        state = state * (int(column.max(initial=0)) + 1) + column
    state = np.unique(state, return_inverse=True)[1].astype(np.int64)
    size = int(state.max(initial=0)) + 2
    run = np.zeros(len(state), np.uint64)
    with np.errstate(over="ignore"):
        for k in range(GRAM):
            moved = np.zeros(len(state), np.uint64)
            moved[k:] = state[: len(state) - k].astype(np.uint64)
            run = run * np.uint64(size) + moved
    whole = units.place >= GRAM - 1
    group = units.unit * rounds // max(len(units.lengths), 1)
    found = [run[whole & (group == r)] for r in range(rounds)]
    return _mean([len(np.unique(f)) / len(f) for f in found if len(f)])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
