"""What known cells tell about columns that are drawn before them: tables of pairs.

How much likelier a token is beside what is known than by itself, counted on rows that the model
drew. What is known is a later column's value, the value that a known total, product or multiple
leaves for the column, or what is computed from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Values, missing
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_model import Drawing
from synth_spark.generators._flat_relation import Relation

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

POOL_ROWS = 32_768  # rows of the model's own that pairs are counted on
_PAIRS = 2  # that lean a column in a row
_CALM = 5.0  # rows' worth of doubt in a pair
_FARTHEST = 6.0  # nats that a token may be leaned
_PARTS = 40  # that a computed field is cut into where it tells about its parts
_MOST_TOKENS = 600  # a column with more leans nothing

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows that the model drew."""

    tokens: NDArray[np.int32]  # (token columns, rows)
    values: dict[str, Values]  # by field, (rows,)


@dataclass(slots=True)
class Pairs:
    """The tables of one model, each counted when it is first asked for."""

    model: FlatModel
    _pool: Pool | None = None
    _tables: dict[tuple[int, str], Scores] = field(default_factory=dict)

    def lean(
        self, c: int, known: dict[str, Values], told: list[NDArray[np.bool_]]
    ) -> Scores | None:
        """Nats added to each token of a column by what is known beside it; (rows, vocabulary).

        The pairs that tell most about the column count, as far as a row knows them.
        """
        coder = self.model.coder
        if told[c].all() or coder.drawn[c].vocabulary > _MOST_TOKENS:
            return None
        tables = []
        for name in self._tellers(c):
            token = self._token(c, name, known)
            if (token >= 0).any():
                pair = self._pair(c, name)
                tables.append((float(np.abs(pair).mean()), name, token, pair))
        out = np.zeros((len(told[c]), coder.drawn[c].vocabulary), np.float32)
        left = np.full(len(out), _PAIRS)
        for _, _, token, pair in sorted(tables, key=lambda t: t[:2], reverse=True):
            use = (token >= 0) & (left > 0)
            out[use] += pair[token[use]]
            left -= use
            if not left.any():
                break
        return np.clip(out, -_FARTHEST, _FARTHEST)

    def _tellers(self, c: int) -> list[str]:
        """What may tell about a column: later fields, and relations that it is a part of.

        "=NAME" stands for what a relation leaves for it, "~NAME" for what is computed from it, and
        "&NAME&LATER" for what a relation leaves for a later field.
        """
        coder = self.model.coder
        name = coder.drawn[c].field.name
        bound = [f"={r.child}" for r in self._relations if r.left_for(name) is not None]
        bound += [f"~{r.child}" for r in coder.computed if name in r.parents]
        later = [d.field.name for d in coder.drawn[c + 1 :]]
        bound += [
            f"&{r.child}&{p}" for r in self._relations for p in later if r.left_for(p) is not None
        ]
        return [*bound, *later]

    @property
    def _relations(self) -> list[Relation]:
        coder = self.model.coder
        return [*coder.computed, *(d.relation for d in coder.drawn if d.relation is not None)]

    def _token(self, c: int, teller: str, known: Mapping[str, Values]) -> NDArray[np.int64]:
        """Token of what a teller says in each row, -1 where it is not known; shape (rows,)."""
        coder = self.model.coder
        if teller[0] == "=":
            relation = next(r for r in self._relations if r.child == teller[1:])
            asked = coder.drawn[c]
            left = relation.left_for(asked.field.name)
            assert left is not None
            value = left(known)
            merged = {**known, asked.field.name: np.where(np.isfinite(value), value, np.nan)}
            told = value if asked.relation is None else asked.relation.residual(merged)
            return np.where(np.isfinite(told), asked.tokens(merged), -1)
        if teller[0] == "~":  # what is computed from it, in as many parts of the pool's rows
            whole = np.asarray(self.pool.values[teller[1:]], np.float64)
            cuts = np.nanquantile(whole, np.arange(1, _PARTS) / _PARTS)
            value = np.asarray(known[teller[1:]], np.float64)
            return np.where(np.isfinite(value), np.searchsorted(cuts, value, "right"), -1)
        said: Values
        if teller[0] == "&":
            child, name = teller[1:].split("&", 1)
            left = next(r for r in self._relations if r.child == child).left_for(name)
            assert left is not None
            rest = left(known)
            said = np.where(np.isfinite(rest), rest, np.nan)
        else:
            name, said = teller, known[teller]
        column = next(d for d in coder.drawn if d.field.name == name)
        codec = column.codec if column.plain is None else column.plain
        if codec.vocabulary > _MOST_TOKENS:
            return np.full(len(said), -1)
        return np.where(missing(said), -1, codec.encode(said))

    def _pair(self, c: int, teller: str) -> Scores:
        """Log lift of column c's tokens beside each token of a teller, (teller's, tokens)."""
        if (c, teller) not in self._tables:
            pool, size = self.pool, self.model.coder.drawn[c].vocabulary
            token = self._token(c, teller, pool.values)
            some = token >= 0
            rows = max(int(token.max(initial=0)) + 1, _MOST_TOKENS + 1)
            both = np.bincount(token[some] * size + pool.tokens[c][some], minlength=rows * size)
            both = both.reshape(rows, size).astype(np.float64)
            alone = both.sum(1, keepdims=True) * both.sum(0, keepdims=True) / max(both.sum(), 1)
            self._tables[c, teller] = np.log((both + _CALM) / (alone + _CALM)).astype(np.float32)
        return self._tables[c, teller]

    @property
    def pool(self) -> Pool:
        """The rows that pairs are counted on."""
        if self._pool is None:
            drawing = Drawing(self.model, POOL_ROWS, generator(0, "flat complete/pool"))
            for c in range(drawing.count):
                drawing.draw(c)
            drawing.compute()
            self._pool = Pool(drawing.tokens, drawing.values)
        return self._pool
