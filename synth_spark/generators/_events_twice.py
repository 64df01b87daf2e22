"""What comes where a category has the value of the event before again.

A device that is at the cell where it was has attached anew; it has never just arrived there. What
never came with a repeat is not drawn with one, and a unit that has none of what did has no repeat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_coder import RANKS, EventColumn, Units
from synth_spark.generators._events_stays import groups_of

EXPECTED = 30.0  # events by chance of which none came: none is drawn
Twice = tuple[NDArray[np.bool_], ...]


def twice_of(columns: Sequence[EventColumn], units: Units) -> Twice:
    """Which values came with a repeat of an earlier category.

    A value is left out only if many of its events should have been there by chance, and none was.

    Args:
        columns: The categories.
        units: Of the sample.

    Returns:
        Shape (earlier, widest, values) of each category, by the value that is there again.
    """
    cats, widest = units.cats, max((c.tokens for c in columns), default=1)
    again = np.zeros(cats.shape, bool)
    again[1:] = cats[1:] == cats[:-1]
    again[units.offsets[:-1][units.lengths > 0]] = False
    out = []
    for j, column in enumerate(columns):
        share = np.bincount(cats[:, j], minlength=column.tokens) / max(len(cats), 1)
        came = np.ones((j, widest, column.tokens), bool)
        for e, earlier in enumerate(columns[:j]):
            group = groups_of(earlier)
            of = np.where(again[:, e], group[cats[:, e]], -1)
            groups = range(int(group.max(initial=0)) + 1)
            pairs = np.array([np.bincount(cats[of == g, j], minlength=len(share)) for g in groups])
            expected = share * pairs.sum(axis=1, keepdims=True)
            came[e, : earlier.tokens] = ((pairs > 0) | (expected < EXPECTED))[group]
            if earlier.how == "ranked":
                came[e, RANKS:] = True  # two others are seldom the same one
        out.append(came)
    return tuple(out)


def may_stay(twice: Twice, shares: NDArray[np.float32]) -> Twice:
    """Whether each value may come again in a unit: what has to come with it is there.

    Args:
        twice: From `twice_of`.
        shares: Of each value of all categories, shape (units, values).

    Returns:
        Shape (units, values) of each category.
    """
    widths = [came.shape[2] for came in twice]
    starts = np.cumsum([0, *widths])
    out = [np.ones((len(shares), width), bool) for width in widths]
    for j, came in enumerate(twice):
        there = shares[:, starts[j] : starts[j + 1]] > 0
        for e in range(j):
            some = np.flatnonzero(~came[e].all(axis=1)[: widths[e]])
            for value in some.tolist():
                out[e][:, value] &= (there & came[e, value]).any(axis=1)
    return tuple(out)
