"""Uniforms that are spread evenly over what is drawn together.

A twin of few subjects would scatter around its model as much as so few real subjects do. So the
rows of a group are sorted by what their leaves hold, and row after row takes the next point of a
sequence of low discrepancy, all moved by one random step: every row's uniform is still uniform,
but rows alike get values from all parts of their range. After: L'Ecuyer, Lecot and Tuffin, "A
randomized quasi-Monte Carlo simulation method for Markov chains", Operations Research 2008.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

GROUP = 64  # subjects whose draws are spread together
LOW_BITS = 2.0**20  # the bits of a uniform below these order what is alike


def groups(subjects: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each subject of a block, by its number in it; shape as `subjects`."""
    return subjects // GROUP


def even(
    known: NDArray[np.float64], group: NDArray[np.int64], uniforms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Uniforms spread evenly within each group.

    Args:
        known: What rows are sorted by, shape (rows,).
        group: Of each row, shape (rows,).
        uniforms: Independent ones, shape (rows,); ties, and each group's step, hang on them.

    Returns:
        Shape (rows,), in [0, 1).
    """
    ties = uniforms * LOW_BITS % 1.0
    return np.asarray(_spread(np.lexsort((ties, known, group)), group, uniforms))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _spread(order, group, uniforms):  # type: ignore[no-untyped-def]
    """Van der Corput's sequence along `order`, moved in each group by its first row's uniform."""
    out = np.empty(len(order))
    rank, own, step = 0, -1, 0.0
    for i in order:
        if rank == 0 or group[i] != own:
            rank, own, step = 0, group[i], uniforms[i]
        point, part, left = step, 0.5, rank
        while left:
            point += part * (left & 1)
            part *= 0.5
            left >>= 1
        out[i] = point % 1.0
        rank += 1
    return out
