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

from synth_spark.generators._flat_places import flat_map, parts

if TYPE_CHECKING:
    from synth_spark.columns.place import Place
    from synth_spark.generators._flat_tokens import Coder, Drawn

_WIDTHS = (0.01, 0.03, 0.08)  # of the kernel, in shares of the rows that lie between
_LEAST_NATS = 0.1  # a row that a table has to tell of other rows
_MOST_TABLES = 3  # of a number or a place
_MOST_PAIRS = 4_000_000  # of tokens, that a table has
_TRIED = 8  # columns that tell most by their groups
_GROUPS = 8
_ROWS = 10_000  # of the sample that tables are chosen on, fewer of wide ones; all are counted
_CELLS = 400_000
_LEAST_ROWS = 200
_MOST_TOKENS = 400
_MOST_PLACES = 20_000  # which are parts of the map where there are more than `_MOST_TOKENS`
MOST_PLAIN = 200  # more labels or places leave a network through learned vectors, with one table
_OPEN = 0.02  # of every token's rows stay with the column's own shares

Tokens = NDArray[np.int32]
Whole = NDArray[np.integer[Any]]
Reals = NDArray[np.float64]
Tables = tuple[tuple[int, NDArray[np.float32]], ...]


def near(coder: Coder, tokens: Tokens, column: int) -> tuple[float, Tables]:
    """Earlier columns that tell most of a column, and what their tokens add to the logits.

    Args:
        coder: Of the table.
        tokens: Of a sample of its rows, (rows, token columns).
        column: A number, a place, or a label, of which only places tell.

    Returns:
        The nats that they tell of a row; positions of earlier columns, each with a table (its
        vocabulary, own vocabulary).
    """
    some = tokens[: min(_ROWS, _CELLS // len(coder.drawn))]
    if not _fits(coder.drawn[column]) or len(some) < _LEAST_ROWS:
        return 0.0, ()
    own = _Axis.of(coder.drawn[column], some[:, column])
    every = coder.drawn[column].field.kind != "category"
    cells = coder.drawn[column].vocabulary
    asked = [
        g
        for g in range(column)
        if (every or coder.drawn[g].field.kind == "place")
        and coder.drawn[g].vocabulary * cells <= _MOST_PAIRS
    ]
    axes = {g: _Axis.of(coder.drawn[g], some[:, g]) for g in asked if _fits(coder.drawn[g])}
    told = {g: _grouped_nats(some[:, g], some[:, column], left, own) for g, left in axes.items()}
    tried = sorted(axes, key=lambda g: (-told[g], g))[:_TRIED]
    ranked = coder.drawn[column].field.kind == "place" and cells > MOST_PLAIN
    most = _MOST_TABLES if every and not ranked else 1
    half = np.arange(len(some)) % 2 == 0
    halves = [_Rows(some[half], column, own), _Rows(some[~half], column, own)]
    whole: _Rows | None = None
    nats = 0.0
    found: list[tuple[int, NDArray[np.float32]]] = []
    while len(found) < most:
        best, chosen = _LEAST_NATS, None
        for g in tried:
            if g in dict(found):
                continue
            left, pairs = axes[g], [rows.pairs(g, axes[g]) for rows in halves]
            for width in _WIDTHS:
                tables = [_table(*both, left, own, width) for both in pairs]
                gains = [r.gain(g, left, t) for r, t in zip(halves, tables[::-1], strict=True)]
                if np.mean(gains) > best:
                    best, chosen = float(np.mean(gains)), (g, left, width, tables)
        if chosen is None:
            break
        g, left, width, tables = chosen
        nats += best
        whole = whole or _Rows(tokens, column, own)
        table = _table(*whole.pairs(g, left), left, own, width)
        found.append((g, table.astype(np.float32)[left.unit][:, own.unit]))
        for rows, one in ((halves[0], tables[1]), (halves[1], tables[0]), (whole, table)):
            rows.lean(g, left, one)
    return nats, tuple(found)


class _Rows:
    """Some rows, and what is thought of their column: shape (rows, units)."""

    def __init__(self, tokens: Tokens, column: int, own: _Axis) -> None:
        self.tokens, self.own = tokens, own.unit[tokens[:, column]]
        self.labels = bool(own.alone.all())
        self.given = np.tile(own.shares, (len(tokens), 1))

    def pairs(self, other: int, left: _Axis) -> tuple[Reals, Reals]:
        """Rows of each pair of units, and as many as there would be by what is thought."""
        size = len(left.shares), self.given.shape[1]
        place = left.unit[self.tokens[:, other]]
        order = np.argsort(place, kind="stable")
        there, start = np.unique(place[order], return_index=True)
        expected = np.zeros(size)
        expected[there] = np.add.reduceat(self.given[order], start, axis=0)
        counts = counts_of(place, self.own, size).astype(np.float64)
        if self.labels:  # nothing near by softens what one row says: it goes with the shares
            once = np.where(counts == 1, 1.0, 0.0)
            share = expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
            counts += once.sum(axis=1, keepdims=True) * share - once
        return counts, expected

    def gain(self, other: int, left: _Axis, table: Reals) -> float:
        """Mean nats of a row that a table tells beyond what is thought."""
        lift = table[left.unit[self.tokens[:, other]]]
        rows = np.arange(len(lift)), self.own
        return float(np.mean(lift[rows] - np.log((self.given * np.exp(lift)).sum(axis=1))))

    def lean(self, other: int, left: _Axis, table: Reals) -> None:
        """Take a table into account."""
        self.given *= np.exp(table[left.unit[self.tokens[:, other]]])
        self.given /= self.given.sum(axis=1, keepdims=True)


def _fits(drawn: Drawn) -> bool:
    return (
        drawn.relation is None
        and not drawn.open_plain
        and drawn.field.part != "id"
        and 2 <= drawn.vocabulary <= (_MOST_PLACES if drawn.field.kind == "place" else _MOST_TOKENS)
    )


class _Axis:
    """Where the units of a column lie among its rows, and which have no neighbours.

    A unit is a token; of many places it is a part of the map.
    """

    def __init__(
        self,
        shares: Reals,
        alone: NDArray[np.bool_],
        degrees: Reals | None = None,
        unit: NDArray[np.int64] | None = None,
    ) -> None:
        """`degrees` are those of places, (units, 2); `unit` is that of each token."""
        self.shares, self.alone = shares, alone
        self.unit = np.arange(len(shares)) if unit is None else unit
        self.place = np.cumsum(shares) - shares / 2
        self.group = np.minimum((self.place * _GROUPS).astype(np.int32), _GROUPS - 1)
        self.apart = np.abs(self.place[:, None] - self.place[None, :])
        if degrees is not None:
            there = np.flatnonzero(~alone)
            self.apart[np.ix_(there, there)] = _between(degrees[there], shares[there])
            self.group[there] = _group(degrees[there])

    @classmethod
    def of(cls, drawn: Drawn, tokens: Tokens) -> _Axis:
        missing = getattr(drawn.codec, "missing_token", -1)
        if drawn.field.kind == "place":
            return cls._of_places(drawn.codec, tokens)
        rows = np.bincount(tokens, minlength=drawn.vocabulary) + 0.5
        alone = np.full(drawn.vocabulary, drawn.field.kind != "number")
        if missing >= 0:
            alone[missing] = True
        return cls(rows / rows.sum(), alone)

    @classmethod
    def _of_places(cls, codec: Place, tokens: Tokens) -> _Axis:
        count, unit = len(codec.centre), np.arange(codec.vocabulary)
        if count > _MOST_TOKENS:
            *_, part = parts(codec.centre, _MOST_TOKENS)
            unit[count:] = part.max() + 1
            unit[:count] = part
        units = int(unit[-1]) + 1
        rows = np.bincount(unit[tokens], minlength=units) + 0.5
        cells = np.bincount(unit[:count], minlength=units)
        degrees = np.column_stack(
            [np.bincount(unit[:count], way, units) for way in codec.centre.T]
        ) / np.maximum(cells, 1)[:, None]  # fmt: skip
        return cls(rows / rows.sum(), cells == 0, degrees, unit)

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
    """Mutual information of two columns, one in groups, less what chance gives."""
    size = len(axis.shares)
    by_chance = (size - 1) * (_GROUPS - 1) / (2 * max(len(left), 1))
    group = own.group[own.unit[right]]
    return mutual_nats(counts_of(axis.unit[left], group, (size, _GROUPS))) - by_chance


def _group(degrees: Reals) -> NDArray[np.int32]:
    """Which of `_GROUPS` parts of the map each place is in."""
    *_, last = (np.zeros(len(degrees), np.int64), *parts(degrees, _GROUPS))
    return last.astype(np.int32)


def _between(degrees: Reals, shares: Reals) -> Reals:
    """Share of the rows that lie nearer to a place than another does, (places, places)."""
    ways = flat_map(degrees)
    away = ((ways[:, None] - ways[None]) ** 2).sum(axis=2)
    order = np.argsort(away, axis=1, kind="stable")
    nearer = np.empty_like(away)
    np.put_along_axis(nearer, order, np.cumsum(shares[order], axis=1) - shares[order] / 2, axis=1)
    nearer -= np.diag(nearer)[:, None]
    return np.asarray((nearer + nearer.T) / 2)
