"""How units go on, by short gaps or pauses: counted, and set after training.

Bursts are as long in a week of six events as in one of sixty. A network that sees mostly the busy
ones draws too few short gaps in the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_clock import Clock

KNOTS = np.log([2, 6, 15, 40, 100, 250, 600])  # counts at which paces are set
LEAST = 50.0  # times behind an event, real or drawn, below which nothing is said of a knot
STEP, DOUBT = 0.7, 1.0  # part of the way that a bias moves; times that say nothing
Floats = NDArray[np.float64]


def no_gaps() -> Floats:
    """Nothing counted."""
    return np.zeros((len(KNOTS), 2))


def no_hurry() -> Floats:
    """Nothing moved."""
    return np.zeros(len(KNOTS))


def none_short() -> NDArray[np.int64]:
    """No token counted."""
    return np.zeros(0, np.int64)


def near_knots(n: NDArray[np.number]) -> Floats:
    """Weight of each knot at each unit's count, shape (knots, units)."""
    at = np.log(np.maximum(n, 1))
    return np.array([np.interp(at, KNOTS, row) for row in np.eye(len(KNOTS))])


def hurry_of(hurry: Floats, n: NDArray[np.number]) -> Floats:
    """What the logits of short gaps move by in each unit, shape as its counts `n`."""
    return np.asarray(np.interp(np.log(np.maximum(n, 1)), KNOTS, hurry))


def gaps_of(t: Floats, lengths: NDArray[np.int64], cut_s: float) -> Floats:
    """Times behind an event of a unit, and those that are short gaps, by the unit's count.

    Args:
        t: Seconds, shape (events,), units end to end.
        lengths: Events of each unit.
        cut_s: What is shorter is a short gap.

    Returns:
        Shape (KNOTS, 2).
    """
    unit = np.repeat(np.arange(len(lengths)), lengths)
    inner = unit[1:] == unit[:-1]
    of, short = unit[1:][inner], (np.diff(t) < cut_s)[inner]
    pairs = np.bincount(of, minlength=len(lengths)).astype(float)
    near = near_knots(lengths)
    return np.column_stack([near @ pairs, near @ np.bincount(of, short, len(lengths))])


def gap_tokens(clock: Clock, t: Floats, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each token of a short gap comes, shape (gaps,).

    Args:
        clock: Of the records.
        t: Seconds, shape (events,), units end to end.
        lengths: Events of each unit.
    """
    before = np.append(-1.0, t[:-1])[: len(t)]
    before[np.cumsum(lengths)[lengths > 0] - lengths[lengths > 0]] = -1.0
    token, _, _ = clock.encode(t, before)
    return np.bincount(token[(before >= 0) & (token < clock.gaps)], minlength=clock.gaps)


def moved_gaps(real: NDArray[np.int64], made: NDArray[np.int64]) -> tuple[float, Floats]:
    """How many drawn short gaps are of other lengths beyond chance, and what their logits move by.

    Args:
        real: From `gap_tokens`, of the sample.
        made: The same of drawn units.
    """
    pairs, drawn = max(real.sum(), 1), max(made.sum(), 1)
    want, got = real / pairs, made / drawn
    error = 2 * np.sqrt(want * (1 - want) * (1 / pairs + 1 / drawn))
    beyond = np.sign(got - want) * np.maximum(np.abs(got - want) - error, 0.0)
    doubt = LEAST / drawn
    step = np.clip(np.log((want + doubt) / (want + beyond + doubt)), -1.0, 1.0)
    return float(np.abs(beyond).sum() / 2 * drawn), STEP * step


def hurried(hurry: Floats, real: Floats, made: Floats) -> tuple[float, Floats]:
    """How many drawn times are off beyond chance, and biases that bring them nearer.

    Args:
        hurry: What the logits of short gaps move by at each knot.
        real: From `gaps_of`, of the sample.
        made: The same of drawn units.
    """
    want = (real[:, 1] + DOUBT / 2) / (real[:, 0] + DOUBT)
    got = (made[:, 1] + DOUBT / 2) / (made[:, 0] + DOUBT)
    each = 1 / np.maximum(real[:, 0], 1) + 1 / np.maximum(made[:, 0], 1)
    error = 2 * np.sqrt(want * (1 - want) * each)
    off = (np.abs(got - want) > error) & (real[:, 0] >= LEAST) & (made[:, 0] >= LEAST)
    step = np.log(want / (1 - want)) - np.log(got / (1 - got))
    far = np.where(off, np.abs(got - want) - error, 0.0) * made[:, 0]
    return float(far.sum()), hurry + np.where(off, STEP * np.clip(step, -1.0, 1.0), 0.0)
