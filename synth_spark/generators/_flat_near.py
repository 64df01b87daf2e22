"""Tables of which number goes with which value of an earlier column, by neighbours.

An income that lies in the band of its level, lines that grow with the characters of a mail: a
network of some thousand rows learns such a strip slowly and leaves too much beside it. The pairs
of tokens are counted, and each count speaks for the tokens near by too (a kernel estimate of the
conditional density; Rosenblatt, "Conditional probability density and regression estimators",
Multivariate Analysis II, 1969). How near is what other rows are likeliest under.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.generators._flat_tokens import Coder, Drawn

_WIDTHS = (0.01, 0.02, 0.04, 0.08)  # of the kernel, in shares of the rows that lie between
_LEAST_NATS = 0.3  # a row that the table has to tell of other rows
_ROWS = 20_000
_LEAST_ROWS = 200
_MOST_TOKENS = 400
_OPEN = 0.02  # of every token's rows stay with the column's own shares
_TRIED = 3  # columns that tell most by their groups
_GROUPS = 8

Tokens = NDArray[np.int32]
Reals = NDArray[np.float64]


def near(coder: Coder, tokens: Tokens, column: int) -> tuple[int, NDArray[np.float32]] | None:
    """The earlier column that tells most of a number, and what its tokens add to the logits.

    Args:
        coder: Of the table.
        tokens: Of a sample of its rows, (rows, token columns).
        column: The number.

    Returns:
        Position of the earlier column and a table (its vocabulary, own vocabulary); None: no one.
    """
    drawn, own = coder.drawn[column], coder.drawn[column].vocabulary
    some = tokens[:_ROWS]
    if not _fits(drawn) or len(some) < _LEAST_ROWS:
        return None
    right = _Axis.of(drawn, some[:, column])
    told = {
        g: _grouped_nats(some[:, g], some[:, column], coder.drawn[g].vocabulary, right)
        for g in range(column)
        if _fits(coder.drawn[g])
    }
    best, found = _LEAST_NATS, None
    fit = np.arange(len(some)) % 2 == 0
    for g in sorted(told, key=lambda g: (-told[g], g))[:_TRIED]:
        left = _Axis.of(coder.drawn[g], some[:, g])
        size = (coder.drawn[g].vocabulary, own)
        halves = [_counts(some[half, g], some[half, column], size) for half in (fit, ~fit)]
        for width in _WIDTHS:
            nats = float(np.mean([
                _told(_table(a, left, right, width), b)
                for a, b in (halves, halves[::-1])
            ]))  # fmt: skip
            if nats > best:
                best, found = nats, (g, left, width, halves[0] + halves[1])
    if found is None:
        return None
    g, left, width, counts = found
    return g, _table(counts, left, right, width).astype(np.float32)


def _fits(drawn: Drawn) -> bool:
    return (
        drawn.relation is None
        and not drawn.open_plain
        and drawn.field.part != "id"
        and 2 <= drawn.vocabulary <= _MOST_TOKENS
    )


class _Axis:
    """Where the tokens of a column lie among its rows, and which have no neighbours."""

    def __init__(self, shares: Reals, alone: NDArray[np.bool_]) -> None:
        self.shares = shares
        self.place = np.cumsum(shares) - shares / 2
        self.alone = alone

    @classmethod
    def of(cls, drawn: Drawn, tokens: Tokens) -> _Axis:
        rows = np.bincount(tokens, minlength=drawn.vocabulary) + 0.5
        alone = np.full(drawn.vocabulary, drawn.field.kind != "number")
        missing = getattr(drawn.codec, "missing_token", -1)
        if missing >= 0:
            alone[missing] = True
        return cls(rows / rows.sum(), alone)

    def kernel(self, width: float) -> Reals:
        """What each token has to say of each other, (tokens, tokens), 1 of itself."""
        apart = (self.place[:, None] - self.place[None, :]) / width
        out = np.exp(-0.5 * apart**2)
        out[self.alone, :] = 0.0
        out[:, self.alone] = 0.0
        np.fill_diagonal(out, 1.0)
        return np.asarray(out)


def _counts(left: Tokens, right: Tokens, size: tuple[int, int]) -> Reals:
    pair = left.astype(np.int64) * size[1] + right
    return np.bincount(pair, minlength=size[0] * size[1]).reshape(size).astype(np.float64)


def _table(counts: Reals, left: _Axis, right: _Axis, width: float) -> Reals:
    """Log of how much likelier each token is beside each other than on its own; as `counts`."""
    spread = right.kernel(width) * right.shares[None, :]  # a row speaks for tokens near its own
    spread /= spread.sum(axis=1, keepdims=True)
    rows = left.kernel(width) @ counts @ spread
    total = rows.sum(axis=1, keepdims=True)
    calm = 1.0 + _OPEN * total
    given = (rows + calm * right.shares) / (total + calm)
    return np.asarray(np.log(given / right.shares))


def _told(table: Reals, counts: Reals) -> float:
    """Mean nats that a table tells of the rows of other counts."""
    return float((table * counts).sum() / max(counts.sum(), 1.0))


def _grouped_nats(left: Tokens, right: Tokens, size: int, axis: _Axis) -> float:
    """Mutual information of a column's tokens and groups of a number's, roughly."""
    group = np.minimum((axis.place * _GROUPS).astype(np.int32), _GROUPS - 1)[right]
    joint = _counts(left, group, (size, _GROUPS)) / max(len(left), 1)
    expected = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    some = joint > 0
    over = (size - 1) * (_GROUPS - 1) / (2 * max(len(left), 1))  # chance's own
    return float((joint[some] * np.log(joint[some] / expected[some])).sum()) - over
