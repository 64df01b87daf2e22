"""Tables of which number or place goes with which value of an earlier column, by neighbours.

An income that lies in the band of its level, lines that grow with the characters of a mail, sites
that lie in their region: a network of some thousand rows learns such a strip slowly and leaves too
much beside it. The pairs of tokens are counted, and each count speaks for the tokens near by too (a
kernel estimate of the conditional density; Rosenblatt, "Conditional probability density and
regression estimators", Multivariate Analysis II, 1969). How near is what other rows are likeliest
under. A label that hangs on a place is told by the places near by in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.generators._flat_tokens import Coder, Drawn

_WIDTHS = (0.01, 0.03, 0.08)  # of the kernel, in shares of the rows that lie between
_LEAST_NATS = 0.1  # a row that a table has to tell of other rows
_MOST_TABLES = 3  # of a number
_TRIED = 8  # columns that tell most by their groups
_GROUPS = 8
_ROWS = 10_000  # of the sample that tables are chosen on, fewer of wide ones; all are counted
_CELLS = 400_000
_LEAST_ROWS = 200
_MOST_TOKENS = 400
_OPEN = 0.02  # of every token's rows stay with the column's own shares

Tokens = NDArray[np.int32]
Whole = NDArray[np.integer[Any]]
Reals = NDArray[np.float64]
Tables = tuple[tuple[int, NDArray[np.float32]], ...]


def near(coder: Coder, tokens: Tokens, column: int) -> Tables:
    """Earlier columns that tell most of a column, and what their tokens add to the logits.

    Args:
        coder: Of the table.
        tokens: Of a sample of its rows, (rows, token columns).
        column: A number, a place, or a label, of which only places tell.

    Returns:
        Positions of earlier columns, each with a table (its vocabulary, own vocabulary).
    """
    some = tokens[: min(_ROWS, _CELLS // len(coder.drawn))]
    if not _fits(coder.drawn[column]) or len(some) < _LEAST_ROWS:
        return ()
    own = _Axis.of(coder.drawn[column], some[:, column])
    every = coder.drawn[column].field.kind != "category"
    asked = [g for g in range(column) if every or coder.drawn[g].field.kind == "place"]
    axes = {g: _Axis.of(coder.drawn[g], some[:, g]) for g in asked if _fits(coder.drawn[g])}
    told = {g: _grouped_nats(some[:, g], some[:, column], left, own) for g, left in axes.items()}
    tried = sorted(axes, key=lambda g: (-told[g], g))[:_TRIED]
    half = np.arange(len(some)) % 2 == 0
    parts = [_Rows(some[half], column, own), _Rows(some[~half], column, own)]
    whole: _Rows | None = None
    found: list[tuple[int, NDArray[np.float32]]] = []
    while len(found) < (_MOST_TABLES if every else 1):
        best, chosen = _LEAST_NATS, None
        for g in tried:
            if g in dict(found):
                continue
            left, pairs = axes[g], [rows.pairs(g, axes[g]) for rows in parts]
            for width in _WIDTHS:
                tables = [_table(*both, left, own, width) for both in pairs]
                gains = [r.gain(g, t) for r, t in zip(parts, tables[::-1], strict=True)]
                if np.mean(gains) > best:
                    best, chosen = float(np.mean(gains)), (g, left, width, tables)
        if chosen is None:
            break
        g, left, width, tables = chosen
        whole = whole or _Rows(tokens, column, own)
        table = _table(*whole.pairs(g, left), left, own, width)
        found.append((g, table.astype(np.float32)))
        for rows, one in ((parts[0], tables[1]), (parts[1], tables[0]), (whole, table)):
            rows.lean(g, one)
    return tuple(found)


class _Rows:
    """Some rows, and what is thought of their number: shape (rows, tokens)."""

    def __init__(self, tokens: Tokens, column: int, own: _Axis) -> None:
        self.tokens, self.column = tokens, column
        self.given = np.tile(own.shares, (len(tokens), 1))

    def pairs(self, other: int, left: _Axis) -> tuple[Reals, Reals]:
        """Rows of each pair of tokens, and as many as there would be by what is thought."""
        size = len(left.shares), self.given.shape[1]
        place = self.tokens[:, other]
        order = np.argsort(place, kind="stable")
        there, start = np.unique(place[order], return_index=True)
        expected = np.zeros(size)
        expected[there] = np.add.reduceat(self.given[order], start, axis=0)
        counts = counts_of(place, self.tokens[:, self.column], size)
        return counts.astype(np.float64), expected

    def gain(self, other: int, table: Reals) -> float:
        """Mean nats of a row that a table tells beyond what is thought."""
        lift = table[self.tokens[:, other]]
        rows = np.arange(len(lift)), self.tokens[:, self.column]
        return float(np.mean(lift[rows] - np.log((self.given * np.exp(lift)).sum(axis=1))))

    def lean(self, other: int, table: Reals) -> None:
        """Take a table into account."""
        self.given *= np.exp(table[self.tokens[:, other]])
        self.given /= self.given.sum(axis=1, keepdims=True)


def _fits(drawn: Drawn) -> bool:
    return (
        drawn.relation is None
        and not drawn.open_plain
        and drawn.field.part != "id"
        and 2 <= drawn.vocabulary <= _MOST_TOKENS
    )


class _Axis:
    """Where the tokens of a column lie among its rows, and which have no neighbours."""

    def __init__(
        self, shares: Reals, alone: NDArray[np.bool_], degrees: Reals | None = None
    ) -> None:
        """`degrees` are those of places, (tokens, 2): latitude and longitude."""
        self.shares, self.alone = shares, alone
        self.place = np.cumsum(shares) - shares / 2
        if degrees is None:
            self.apart = np.abs(self.place[:, None] - self.place[None, :])
        else:
            self.apart = _between(degrees, np.where(alone, 0, shares))
        groups = self.place if degrees is None else _split(degrees, shares)
        self.group = np.minimum((groups * _GROUPS).astype(np.int32), _GROUPS - 1)

    @classmethod
    def of(cls, drawn: Drawn, tokens: Tokens) -> _Axis:
        rows = np.bincount(tokens, minlength=drawn.vocabulary) + 0.5
        alone = np.full(drawn.vocabulary, drawn.field.kind == "category")
        missing = getattr(drawn.codec, "missing_token", -1)
        if missing >= 0:
            alone[missing] = True
        degrees = drawn.codec.centre if drawn.field.kind == "place" else None
        if degrees is not None and missing >= 0:
            degrees = np.vstack([degrees, np.zeros((1, 2))])
        return cls(rows / rows.sum(), alone, degrees)

    def kernel(self, width: float) -> Reals:
        """What each token has to say of each other, (tokens, tokens), 1 of itself."""
        out = np.exp(-0.5 * (self.apart / width) ** 2)
        out[self.alone, :] = 0.0
        out[:, self.alone] = 0.0
        np.fill_diagonal(out, 1.0)
        return np.asarray(out)


def counts_of(left: Whole, right: Whole, size: tuple[int, int]) -> NDArray[np.int64]:
    """Rows of each pair of tokens; of shape `size`."""
    pair = left.astype(np.int64) * size[1] + right
    return np.bincount(pair, minlength=size[0] * size[1]).reshape(size)


def mutual_nats(counts: NDArray[np.int64]) -> float:
    """Mutual information of what is counted in pairs, in nats a row."""
    joint = counts / max(int(counts.sum()), 1)
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / product[some])).sum())


def _table(counts: Reals, expected: Reals, left: _Axis, right: _Axis, width: float) -> Reals:
    """Log of how much likelier each token is beside each other than is thought; as `counts`."""
    spread = right.kernel(width) * right.shares[None, :]  # a row speaks for tokens near its own
    spread /= spread.sum(axis=1, keepdims=True)
    about = left.kernel(width)
    rows, thought = about @ counts @ spread, about @ expected @ spread
    calm = (1.0 + _OPEN * rows.sum(axis=1, keepdims=True)) * right.shares
    return np.asarray(np.log((rows + calm) / (thought + calm)))


def _grouped_nats(left: Tokens, right: Tokens, axis: _Axis, own: _Axis) -> float:
    """Mutual information of a column's tokens and groups of a number's, less what chance gives."""
    size = len(axis.shares)
    by_chance = (size - 1) * (_GROUPS - 1) / (2 * max(len(left), 1))
    return mutual_nats(counts_of(left, own.group[right], (size, _GROUPS))) - by_chance


def _between(degrees: Reals, shares: Reals) -> Reals:
    """Share of the rows that lie nearer to a place than another does, (places, places)."""
    flat = degrees * np.array([1.0, np.cos(np.radians(np.mean(degrees[:, 0])))])
    away = ((flat[:, None] - flat[None]) ** 2).sum(axis=2)
    order = np.argsort(away, axis=1, kind="stable")
    nearer = np.empty_like(away)
    np.put_along_axis(nearer, order, np.cumsum(shares[order], axis=1) - shares[order] / 2, axis=1)
    nearer -= np.diag(nearer)[:, None]
    return np.asarray((nearer + nearer.T) / 2)


def _split(degrees: Reals, shares: Reals) -> Reals:
    """Places in an order in which neighbours mostly stay together, as a share of rows before."""
    south = _before(degrees[:, 0], shares) < 0.5
    east = np.where(south, _before(degrees[:, 1], shares * south), 0)
    east += np.where(south, 0, _before(degrees[:, 1], shares * ~south))
    return np.asarray(np.where(south, 0, 0.5) + east / 2)


def _before(at: Reals, shares: Reals) -> Reals:
    """Share of the rows below each, half of its own included."""
    order = np.argsort(at, kind="stable")
    out = np.empty_like(shares)
    out[order] = np.cumsum(shares[order]) - shares[order] / 2
    return np.asarray(out / max(shares.sum(), 1e-12))
