"""Tables of which label goes with which, where both columns have many.

Of hundreds of operators and hundreds of types a network of some thousand rows learns which are
usual together, and spreads the rest over all: a third of its pairs were never seen where a
thirtieth should be. The pairs' counts say it better. They enter the logits as they stand, absolute
discounting with the labels' own shares behind (Ney, Essen and Kneser, "On structuring probabilistic
dependences in stochastic language modelling", Computer Speech and Language 8, 1994, section 2), and
the network learns what they leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.generators._flat_tokens import Coder

_LEAST_LABELS = 30  # of either column; below, the network's own tables do it
_MOST_CELLS = 1_000_000
_LEAST_NATS = 0.05  # a row that the pairs have to tell beyond the shares

Tokens = NDArray[np.int32]
Reals = NDArray[np.float64]


def beside(coder: Coder, tokens: Tokens) -> tuple[tuple[int, NDArray[np.float32]] | None, ...]:
    """Per drawn column the earlier one that tells most of it, and what its labels add to logits.

    Args:
        coder: Of the table.
        tokens: Of a sample of its rows, (rows, token columns).

    Returns:
        Position of the earlier column and a table (its vocabulary, own vocabulary); None: no one.
    """
    many = [
        d.field.kind != "number" and len(np.unique(tokens[:, c])) >= _LEAST_LABELS
        for c, d in enumerate(coder.drawn)
    ]
    out: list[tuple[int, NDArray[np.float32]] | None] = []
    for c, drawn in enumerate(coder.drawn):
        best, found = _LEAST_NATS, None
        for g in range(c) if many[c] else ():
            rows, columns = coder.drawn[g].vocabulary, drawn.vocabulary
            if many[g] and rows * columns <= _MOST_CELLS:
                counts = np.bincount(
                    tokens[:, g] * columns + tokens[:, c], minlength=rows * columns
                )
                table, nats = discounted(counts.reshape(rows, columns))
                if nats > best:
                    best, found = nats, (g, table)
        out.append(found)
    return tuple(out)


def discounted(counts: NDArray[np.int64]) -> tuple[NDArray[np.float32], float]:
    """Log of how much likelier each label is beside each other than on its own, and what it tells.

    Args:
        counts: Rows of each pair, (other labels, labels).

    Returns:
        The table, shape as `counts`, 0 for another label without rows; and the mean nats that a
        row's other labels tell of it, each row left out of the counts that speak for it.
    """
    total, own = counts.sum(), counts.sum(axis=0)
    share = (own + 0.5) / (total + 0.5 * len(own))
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = float(once / max(once + 2 * twice, 1))
    rows, kinds = counts.sum(axis=1, keepdims=True), (counts > 0).sum(axis=1, keepdims=True)
    given = np.maximum(counts - discount, 0) + discount * kinds * share
    table = np.where(rows > 0, np.log(np.maximum(given, 1e-12) / np.maximum(rows, 1) / share), 0)
    left = np.maximum(counts - 1 - discount, 0) + discount * (kinds - (counts == 1)) * share
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.log(np.maximum(left, 1e-12) / np.maximum(rows - 1, 1) / share)
    told = np.where(rows > 1, told, 0)
    return table.astype(np.float32), float((counts * told).sum() / max(total, 1))
