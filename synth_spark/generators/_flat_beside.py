"""Tables of which token goes with which, where both columns have many.

Of hundreds of operators and hundreds of types a network of some thousand rows learns which are
usual together, and spreads the rest over all: a third of its pairs were never seen where a
thirtieth should be. The pairs' counts say it better. They enter the logits as they stand, absolute
discounting with the labels' own shares behind (Ney, Essen and Kneser, "On structuring probabilistic
dependences in stochastic language modelling", Computer Speech and Language 8, 1994, section 2), and
the network learns what they leave. So do labels beside an earlier number on whose single values
they hang more than on its groups. Pairs of single values of two numbers would take a twin nearer to
its records than to new ones; a number enters beside another by neighbours (`_flat_near.py`), as
does a place beside anything and what hangs on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._flat_near import Tables, counts_of, near

if TYPE_CHECKING:
    from synth_spark.generators._flat_tokens import Coder

_LEAST_TOKENS = 30  # of either column; below, the network's own tables do it
_MOST_CELLS = 1_000_000
_LEAST_NATS = 0.05  # a row that pairs of labels have to tell beyond the shares
_LEAST_NATS_OF_NUMBERS = 0.2  # a row that pairs with a number have to tell beyond their groups
_GROUPS = 16  # of neighbours

Tokens = NDArray[np.int32]
Reals = NDArray[np.float64]


def beside(coder: Coder, tokens: Tokens) -> tuple[Tables, ...]:
    """Per drawn column earlier ones that tell most of it, and what their tokens add to logits.

    Args:
        coder: Of the table.
        tokens: Of a sample of its rows, (rows, token columns).

    Returns:
        Positions of earlier columns, each with a table (its vocabulary, own vocabulary); a label
        has one at most.
    """
    vocabulary = [d.vocabulary for d in coder.drawn]
    number = [d.field.kind == "number" for d in coder.drawn]
    plain = [d.relation is None and d.field.part != "id" for d in coder.drawn]
    many = [
        plain[c] and len(np.unique(tokens[:, c])) >= _LEAST_TOKENS for c in range(len(coder.drawn))
    ]
    place = [d.field.kind == "place" for d in coder.drawn]
    out: list[Tables] = []
    for c in range(len(coder.drawn)):
        told, found = near(coder, tokens, c)
        best = 0.0
        for g in range(c) if plain[c] and not number[c] else ():
            if not many[g] or not (many[c] or place[g]):
                continue
            if vocabulary[g] * vocabulary[c] > _MOST_CELLS:
                continue
            left, right = tokens[:, g], tokens[:, c]
            table, nats = discounted(_counts(left, right, vocabulary[g], vocabulary[c]))
            least = _LEAST_NATS
            if number[g]:
                least = _LEAST_NATS_OF_NUMBERS + discounted(_counts(_grouped(left), right))[1]
            if nats - least > max(best, told):
                best, found = nats - least, ((g, table),)
        out.append(found)
    return tuple(out)


def _counts(left: Tokens, right: Tokens, rows: int = 0, columns: int = 0) -> NDArray[np.int64]:
    """Rows of each pair of tokens."""
    size = rows or int(left.max(initial=0)) + 1, columns or int(right.max(initial=0)) + 1
    return counts_of(left, right, size)


def _grouped(tokens: Tokens) -> Tokens:
    """Neighbours together, as many rows a group."""
    rows = np.bincount(tokens)
    middle = np.cumsum(rows) - rows / 2
    group = np.minimum(middle * _GROUPS // max(len(tokens), 1), _GROUPS - 1)
    return np.asarray(group.astype(np.int32)[tokens])


def discounted(counts: NDArray[np.int64]) -> tuple[NDArray[np.float32], float]:
    """Log of how much likelier each token is beside each other than on its own, and what it tells.

    Args:
        counts: Rows of each pair, (other tokens, tokens).

    Returns:
        The table, shape as `counts`, 0 for another token without rows; and the mean nats that a
        row's other token tells of it, each row left out of the counts that speak for it.
    """
    total, own = counts.sum(), counts.sum(axis=0)
    share = (own + 0.5) / (total + 0.5 * len(own))
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = float(max(once, 0.5) / max(once + 2 * twice, 1))
    rows = counts.sum(axis=1, keepdims=True)
    kept = np.where(counts > 1, counts - discount, 0)  # a pair of one row speaks for no other
    given = kept + (rows - kept.sum(axis=1, keepdims=True)) * share
    table = np.where(rows > 0, np.log(np.maximum(given, 1e-12) / np.maximum(rows, 1) / share), 0)
    left = np.where(counts > 2, counts - 1 - discount, 0)
    rest = rows - 1 - kept.sum(axis=1, keepdims=True) + kept - left
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.log(np.maximum(left + rest * share, 1e-12) / np.maximum(rows - 1, 1) / share)
    told = np.where(rows > 1, told, 0)
    return table.astype(np.float32), float((counts * told).sum() / max(total, 1))
