"""Sizes of what the network of events recalls, and how near tokens of a number are.

Without torch: the walk that draws reads the same table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HOURS, SLOTS = 3, 4  # features of an hour, and of five minutes in it
CENTERS, NEAR = 3, 5  # tokens that a number's tokens are compared with, and in how many ways
LEVEL = 2  # which of the centres is the level, and lies between two tokens
_WIDE = (2.0, 8.0)  # tokens within which a token is near
_FAR = 6.0  # spreads; nothing is farther


def nearness(
    size: int, missing: int, typical: NDArray[np.float64], spread: float
) -> NDArray[np.float32]:
    """How near the tokens of a number are to one of them.

    The same, within two, within eight; and, as in the logarithm of a normal density, by the square
    of the distance of their values, once of the logarithms and once of the values themselves: what
    scatters about a level keeps its shape at every level.

    Args:
        size: Of the vocabulary.
        missing: Its token that is no number, which only itself is near to; -1: none.
        typical: `signed_log` of a value of each token, shape (size,).
        spread: Deviation of these within a unit; at least half a step from token to token.

    Returns:
        Shape (size + 1, NEAR, size); the last row, of no token at all, is zero.
    """
    away = np.abs(np.arange(size)[:, None] - np.arange(size)[None])
    out = np.zeros((size + 1, NEAR, size), np.float32)
    out[:size, 0] = away == 0
    for k, wide in enumerate(_WIDE):
        out[:size, 1 + k] = np.exp(-away / wide)
    steps = np.diff(np.unique(typical))
    spread = max(spread, 0.5 * float(np.median(steps)) if len(steps) else 1.0)
    plain = np.sign(typical) * np.expm1(np.abs(typical))
    middle = float(np.median(np.abs(plain))) if size else 0.0
    for k, (values, wide) in enumerate(((typical, spread), (plain, spread * (1 + middle)))):
        apart = np.abs(values[:, None] - values[None]) / wide
        out[:size, 3 + k] = -0.5 * np.minimum(apart, _FAR) ** 2
    if missing >= 0:
        out[missing, 1:] = 0
        out[:, 1:, missing] = 0
    return out
