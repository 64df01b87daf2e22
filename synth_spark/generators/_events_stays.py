"""How often a value comes twice running, by the time between: counted, and set after training.

What a subject does again right away (calls to one number, pages of one host, sessions at one cell)
and what it does again after hours are two things. A network that blurs them a little leaves bursts
of one value broken, and repeats after a night where real subjects have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import RANKS, EventColumn

if TYPE_CHECKING:
    from synth_spark.generators._events_coder import Units

EDGES_S = np.array([10.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0, 64_800.0])
LEVELS = len(EDGES_S) + 1  # of the time between
BURST = 3  # the last level within a burst: below half an hour
LEAST = 50  # pairs of events, real or drawn, below which nothing is said
NEVER = 200  # real pairs of which none is of one value: none is drawn
STEP, DOUBT = 0.7, 0.5  # part of the way that a bias moves; pairs that say nothing
FAR = -30.0  # a bias that leaves nothing
Floats = NDArray[np.float64]


def groups_of(column: EventColumn) -> NDArray[np.int64]:
    """The group of each token, whose repeats are counted together, shape (tokens,).

    Of ranks the first, the second, the others, and values beyond; of labels all.
    """
    token = np.arange(column.tokens)
    if column.how != "ranked":
        return np.zeros(column.tokens, np.int64)
    return np.asarray(np.select([token < 2, token < RANKS], [token, 2], 3), dtype=np.int64)


def stays_of(columns: tuple[EventColumn, ...], units: Units) -> tuple[NDArray[np.int64], ...]:
    """Pairs of neighbours and those of one value, (tokens, LEVELS, 2) of each category."""
    return tuple(
        counted(units.cats[:, j], units.t, units.offsets, groups_of(column))
        for j, column in enumerate(columns)
    )


def counted(
    tokens: NDArray[np.int32], t: Floats, offsets: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pairs of neighbours and those of one value, of the group of each token, by the time between.

    Args:
        tokens: Of one category, shape (events,).
        t: Seconds, shape (events,).
        offsets: Events of each unit, shape (units + 1,).
        group: Of each token, from 0.

    Returns:
        Shape (tokens, LEVELS, 2); rows of one group are alike.
    """
    inner = np.ones(max(len(tokens) - 1, 0), bool)
    edges = offsets[1:-1]
    inner[edges[(edges > 0) & (edges < len(tokens))] - 1] = False
    before, after = tokens[:-1][inner], tokens[1:][inner]
    level = np.searchsorted(EDGES_S, np.diff(t)[inner], side="right")
    size = (int(group.max(initial=0)) + 1) * LEVELS
    cell = group[before] * LEVELS + level
    pairs, same = (np.bincount(c, minlength=size) for c in (cell, cell[before == after]))
    return np.asarray(np.stack([pairs, same], axis=-1).reshape(-1, LEVELS, 2)[group])


def moved_stays(
    bias: Floats, real: NDArray[np.int64], made: NDArray[np.int64]
) -> tuple[float, Floats]:
    """How many drawn pairs are off beyond chance, and biases that bring them nearer.

    Args:
        bias: Added to the value before's logit, shape (tokens, LEVELS).
        real: From `counted`, of the sample.
        made: The same of drawn units.
    """
    pairs, drawn = real[..., 0], made[..., 0]
    want = (real[..., 1] + DOUBT) / (pairs + 2 * DOUBT)
    got = (made[..., 1] + DOUBT) / (drawn + 2 * DOUBT)
    each = 1 / np.maximum(pairs, 1) + 1 / np.maximum(drawn, 1)
    error = 2 * np.sqrt(want * (1 - want) * each)
    off = (np.abs(got - want) > error) & (pairs >= LEAST) & (drawn >= LEAST)
    step = np.log(want / (1 - want)) - np.log(got / (1 - got))
    out = bias + np.where(off, STEP * np.clip(step, -1.0, 1.0), 0.0)
    never = (pairs >= NEVER) & (real[..., 1] == 0)
    out = np.where(never, FAR, out)
    far = np.where(off, np.abs(got - want) - error, 0.0) * drawn
    _, one = np.unique(real.reshape(len(real), -1), axis=0, return_index=True)  # one of a group
    return float(far[one].sum()), out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def level_of(gap_s):  # type: ignore[no-untyped-def]
    """Of a time between two events."""
    return np.searchsorted(EDGES_S, gap_s, side="right")
