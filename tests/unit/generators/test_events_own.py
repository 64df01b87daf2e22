"""Claims about the shares of a subject's ranks over all its units."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_own import falling


def pooled(row: np.ndarray) -> np.ndarray:
    """Pool adjacent violators, one block after the other."""
    blocks: list[list[float]] = []
    for value in row:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append([(a * n + b * m) / (n + m), n + m])
    return np.concatenate([np.full(int(n), value) for value, n in blocks])


def test_shares_of_ranks_fall_as_pooling_adjacent_violators_makes_them() -> None:
    drawn = np.random.default_rng(0).random((200, 10))
    drawn[0] = 0.0
    drawn[1, 1:] = 0.5
    made = falling(drawn)
    np.testing.assert_allclose(made, [pooled(row) for row in drawn], atol=1e-12)
    np.testing.assert_allclose(made.sum(axis=1), drawn.sum(axis=1))
