"""The two loops of the sampler that NumPy cannot do in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def add_rows(
    tokens: NDArray[np.int32],
    slots: NDArray[np.int32],
    starts: NDArray[np.int32],
    table: NDArray[np.float32],
    bias: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """out[r] = bias + the sum over p of table[starts[p] + tokens[slots[p], r]].

    Args:
        tokens: (token columns, rows).
        slots: (p,) token columns.
        starts: (p,) first table row of each.
        table: (table rows, width).
        bias: (width,).
        out: (rows, width), overwritten.
    """
    rows, width = out.shape
    for r in range(rows):
        for k in range(width):
            out[r, k] = bias[k]
        for p in range(len(slots)):
            row = starts[p] + tokens[slots[p], r]
            for k in range(width):
                out[r, k] += table[row, k]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def pick(weights: NDArray[np.float32], u: NDArray[np.float64], out: NDArray[np.int32]) -> None:
    """Draw one column a row in proportion to its weights, by inversion.

    Args:
        weights: (rows, k), not negative.
        u: (rows,) in [0, 1).
        out: (rows,), overwritten with the column.
    """
    rows, k = weights.shape
    for r in range(rows):
        total = np.float32(0.0)
        for j in range(k):
            total += weights[r, j]
        left = np.float32(u[r]) * total
        chosen, last = -1, 0
        for j in range(k):
            w = weights[r, j]
            if w > 0:
                last = j
                left -= w
                if left < 0:
                    chosen = j
                    break
        out[r] = chosen if chosen >= 0 else last


def warm() -> Any:
    """Compile both (or read them from the cache)."""
    one = np.zeros((1, 1), np.float32)
    add_rows(
        np.zeros((1, 1), np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32), one, one[0], one
    )
    pick(one + 1, np.zeros(1), np.zeros(1, np.int32))
