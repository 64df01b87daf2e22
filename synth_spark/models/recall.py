"""Sizes of what the network of events recalls, and how near tokens of a number are.

Without torch: the walk that draws reads the same table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HOURS, SLOTS = 3, 4  # features of an hour, and of five minutes in it
CENTERS, NEAR = 3, 3  # tokens that a number's tokens are compared with, and in how many ways
_WIDE = (2.0, 8.0)  # tokens within which a token is near


def nearness(size: int, missing: int) -> NDArray[np.float32]:
    """How near the tokens of a number are to one of them: the same, within two, within eight.

    Args:
        size: Of the vocabulary.
        missing: Its token that is no number, which only itself is near to; -1: none.

    Returns:
        Shape (size + 1, NEAR, size); the last row, of no token at all, is zero.
    """
    away = np.abs(np.arange(size)[:, None] - np.arange(size)[None])
    out = np.zeros((size + 1, NEAR, size), np.float32)
    out[:size, 0] = away == 0
    for k, wide in enumerate(_WIDE):
        out[:size, 1 + k] = np.exp(-away / wide)
    if missing >= 0:
        out[missing, 1:] = 0
        out[:, 1:, missing] = 0
    return out
