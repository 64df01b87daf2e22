"""Rows of which some cells are known: the others drawn, and how likely whole rows are.

As in `_flat_given.py` each row is drawn as a few particles that are forced to the known cells and
weighed with the chance that the network gave them. Here every row may know other cells, so early
columns lean by tables of pairs: how much likelier a token is beside what is known than by itself,
counted on rows that the model drew. What is known is a later column's value, or the value that a
known total, product or multiple leaves for the column when its other parts are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import known_values
from synth_spark.core.batch import Coded, Records, Values, known_first, missing
from synth_spark.core.given import Among
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_conditions import DAY_S, seconds_of
from synth_spark.generators._flat_fields import Field, split
from synth_spark.generators._flat_given import joined_values, regrouped
from synth_spark.generators._flat_kernels import pick
from synth_spark.generators._flat_model import Drawing, Pass
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_tokens import Drawn

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

POOL_ROWS = 32_768  # rows of the model's own that pairs are counted on
PARTICLES = 24  # a row
_AT_ONCE = 12_288  # particles in memory
_PAIRS = 2  # that lean a column in a row
_IMPOSSIBLE = 20.0  # nats
_CALM = 5.0  # rows' worth of doubt in a pair
_FARTHEST = 6.0  # nats that a token may be leaned
_PARTS = 40  # that a computed field is cut into where it tells about its parts
_MOST_TOKENS = 600  # a column with more leans nothing

Reals = NDArray[np.float64]
Scores = NDArray[np.float32]


@dataclass(slots=True)
class Completer:
    """Fills the cells of a flat table that are missing."""

    model: FlatModel
    _pool: Drawing | None = None
    _pairs: dict[tuple[int, str], Scores] = field(default_factory=dict)

    def complete(
        self, records: Records, seed: int, block: int = 0, among: Mapping[str, Among] | None = None
    ) -> Records:
        """The same rows with every missing cell drawn given the row's others.

        Args:
            records: Rows with all columns of the schema; a missing cell is one to be drawn.
            seed: Of the drawing.
            block: The number of these rows among others that are completed with the same seed.
            among: By category, the labels that each row's missing cell may take.

        Returns:
            Rows in the same order; known cells are as they were.
        """
        rng = generator(seed, "flat complete", block)
        coder = self.model.coder
        room = max(_AT_ONCE // PARTICLES, 1)
        parts = []
        for start in range(0, records.rows, room):
            some = records.take(np.arange(start, min(start + room, records.rows)))
            open_tokens = self._open(among or {}, slice(start, start + room))
            known = split(coder.schema, coder.fields, some)
            known |= {f"@{f.column}": _seconds(some.columns[f.column]) for f in self._gaps}
            parts.append(self._rows(known, open_tokens, some.rows, rng))
        values = {n: joined_values([p[n] for p in parts]) for n in parts[0]}
        drawn = self.model.records(values, records.rows)
        columns = {n: known_first(records.columns[n], v) for n, v in drawn.columns.items()}
        return Records.flat(columns)

    def unknown(self, records: Records) -> dict[str, NDArray[np.bool_]]:
        """By column, the rows whose cell the model could never draw; each of shape (rows,)."""
        coder = self.model.coder
        out: dict[str, NDArray[np.bool_]] = {}
        values = split(coder.schema, coder.fields, records)
        bounds = {r.child: r.bounds for r in coder.computed}
        bounds |= {d.field.name: d.relation.bounds for d in coder.drawn if d.relation is not None}
        codecs = {d.field.name: d.codec for d in coder.drawn if d.field.kind != "place"}
        for field in coder.fields:
            name = field.name
            if name in bounds:
                low, high = bounds[name]
                x = np.asarray(values[name], np.float64)
                noise = 1e-9 * np.maximum(np.abs(x), 1.0)
                wrong = (x < low - noise) | (x > high + noise)
            elif name in codecs and field.part != "gap":
                wrong = ~known_values(codecs[name], values[name])
            else:
                continue
            out[field.column] = wrong | out.get(field.column, False)
        return out

    def _open(self, among: Mapping[str, Among], rows: slice) -> dict[int, Scores]:
        """For drawn categories the tokens that each row may take, (rows, vocabulary)."""
        out = {}
        for c, column in enumerate(self.model.coder.drawn):
            if column.field.name not in among:
                continue
            asked, labels = among[column.field.name], column.codec.labels
            table = np.zeros((len(asked.sets) + 1, column.vocabulary), np.float32)
            table[-1] = 1  # position -1, any label, reads the last
            for i, wanted in enumerate(asked.sets):
                table[i, [t for t, label in enumerate(labels) if label in wanted]] = 1
                if None in wanted and column.codec.missing_token >= 0:
                    table[i, column.codec.missing_token] = 1
            out[c] = table[asked.which[rows]]
        return out

    def _rows(
        self,
        known: dict[str, Values],
        open_tokens: dict[int, Scores],
        rows: int,
        rng: np.random.Generator,
    ) -> dict[str, Values]:
        coder = self.model.coder
        known = {n: v[np.repeat(np.arange(rows), PARTICLES)] for n, v in known.items()}
        self._worked_back(known)
        log_weight = self._gone_back(known, rng)
        drawing = Drawing(self.model, rows * PARTICLES, rng)
        told = [~missing(known[d.field.name]) for d in coder.drawn]
        sums = [r for r in coder.computed if not missing(known[r.child]).all()]
        bound = {n for r in sums for n in r.parents}
        bound |= {f.name for f in self._gaps if not missing(known[f"@{f.column}"]).all()}
        last = max(
            (
                c
                for c, (t, d) in enumerate(zip(told, coder.drawn, strict=True))
                if t.any() or c in open_tokens or d.field.name in bound
            ),
            default=-1,
        )
        for c in range(last + 1):
            log_weight += self._column(drawing, c, known, told, open_tokens.get(c))
        which = regrouped(log_weight.reshape(rows, -1), rng).reshape(rows, -1)
        drawing = drawing.taken(which[np.arange(rows), rng.integers(PARTICLES, size=rows)])
        for c in range(last + 1, drawing.count):
            drawing.draw(c)
        drawing.compute()
        return drawing.values

    def _column(
        self,
        drawing: Drawing,
        c: int,
        known: dict[str, Values],
        told: list[NDArray[np.bool_]],
        open_tokens: Scores | None,
    ) -> Reals:
        """Draw or force one column; what that adds to the log weights."""
        column, rng, rows = drawing.model.coder.drawn[c], drawing.rng, drawing.rows
        name, held = column.field.name, told[c]
        implied = self._implied(c, drawing, known)
        if implied is not None:
            known = {**known, name: known_first(known[name], implied)}
            held = held | np.isfinite(implied)
        weights = drawing.weights(c)
        total = weights.sum(axis=1, dtype=np.float64)
        lean = self._lean(c, known, told)
        if lean is not None:
            weights *= np.exp(lean)
        if open_tokens is not None:
            weights *= np.where(held[:, None], 1, np.repeat(open_tokens, PARTICLES, axis=0))
        leaned = weights.sum(axis=1, dtype=np.float64)
        pick(weights, rng.random(rows), drawing.tokens[c])
        forced = column.tokens({**drawing.values, name: known[name]})
        drawing.tokens[c] = np.where(held, forced, drawing.tokens[c])
        value = column.values(drawing.tokens[c], rng.random(rows), drawing.values)
        if not isinstance(value, Coded):
            value = known_first(known[name], value)
        drawing.put(c, value)
        own = weights[np.arange(rows), drawing.tokens[c]].astype(np.float64)
        moved = np.zeros(rows) if lean is None else lean[np.arange(rows), drawing.tokens[c]]
        with np.errstate(divide="ignore"):
            chance = (
                np.log(own)
                - moved
                - np.log(total)
                - log_width(column, drawing.tokens[c], drawing.values)
            )
            if implied is not None:
                chance -= _IMPOSSIBLE * self._stray(c, implied)
            return np.asarray(np.where(held, chance, np.log(leaned / total) - moved))

    def _lean(
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

        "=NAME" stands for what a relation leaves for it, "~NAME" for what is computed from it.
        """
        coder = self.model.coder
        name = coder.drawn[c].field.name
        related = [d.relation for d in coder.drawn if d.relation is not None]
        bound = [f"={r.child}" for r in (*related, *coder.computed) if _left(r, name) is not None]
        bound += [f"~{r.child}" for r in coder.computed if name in r.parents]
        return [*bound, *(d.field.name for d in coder.drawn[c + 1 :])]

    def _token(self, c: int, teller: str, known: Mapping[str, Values]) -> NDArray[np.int64]:
        """Token of what a teller says in each row, -1 where it is not known; shape (rows,)."""
        coder = self.model.coder
        if teller[0] == "=":
            every = [*coder.computed, *(d.relation for d in coder.drawn if d.relation is not None)]
            relation = next(r for r in every if r.child == teller[1:])
            left = _left(relation, coder.drawn[c].field.name)
            assert left is not None
            value = left(known)
            codec = coder.drawn[c].codec
            return np.where(np.isfinite(value), codec.encode(value), -1)
        if teller[0] == "~":  # what is computed from it, in as many parts of the pool's rows
            whole = np.asarray(self._pooled().values[teller[1:]], np.float64)
            cuts = np.nanquantile(whole, np.arange(1, _PARTS) / _PARTS)
            value = np.asarray(known[teller[1:]], np.float64)
            return np.where(np.isfinite(value), np.searchsorted(cuts, value, "right"), -1)
        column = next(d for d in coder.drawn if d.field.name == teller)
        codec = column.codec if column.plain is None else column.plain
        if codec.vocabulary > _MOST_TOKENS:
            return np.full(len(known[teller]), -1)
        return np.where(missing(known[teller]), -1, codec.encode(known[teller]))

    def _pair(self, c: int, teller: str) -> Scores:
        """Log lift of column c's tokens beside each token of a teller, (teller's, tokens)."""
        if (c, teller) not in self._pairs:
            pool, size = self._pooled(), self.model.coder.drawn[c].vocabulary
            token = self._token(c, teller, pool.values)
            some = token >= 0
            rows = max(int(token.max(initial=0)) + 1, _MOST_TOKENS + 1)
            both = np.bincount(token[some] * size + pool.tokens[c][some], minlength=rows * size)
            both = both.reshape(rows, size).astype(np.float64)
            alone = both.sum(1, keepdims=True) * both.sum(0, keepdims=True) / max(both.sum(), 1)
            self._pairs[c, teller] = np.log((both + _CALM) / (alone + _CALM)).astype(np.float32)
        return self._pairs[c, teller]

    def _pooled(self) -> Drawing:
        if self._pool is None:
            self._pool = Drawing(self.model, POOL_ROWS, generator(0, "flat complete/pool"))
            for c in range(self._pool.count):
                self._pool.draw(c)
            self._pool.compute()
        return self._pool

    def _worked_back(self, known: dict[str, Values]) -> None:
        """Missing parts of what is computed: where all others are known, what they leave."""
        for relation in self.model.coder.computed:
            for parent in relation.parents:
                left = _left(relation, parent)
                if left is not None:
                    known[parent] = known_first(known[parent], self._finite(parent, left(known)))

    def _implied(self, c: int, drawing: Drawing, known: Mapping[str, Values]) -> Reals | None:
        """What known computed fields and known times leave for a number; NaN where nothing."""
        field, coder = drawing.model.coder.drawn[c].field, drawing.model.coder
        if field.part == "gap":
            later = np.asarray(known[f"@{field.column}"])
            return np.asarray(later - seconds_of(drawing.values, field.after))
        merged = {**known, **drawing.values}
        out: Values | None = None
        for relation in coder.computed:
            left = _left(relation, field.name)
            if left is not None and not missing(known[relation.child]).all():
                value = self._finite(field.name, left(merged))
                out = value if out is None else known_first(out, value)
        return None if out is None else np.asarray(out)

    def _finite(self, name: str, value: Reals) -> Reals:
        """Values on the lattice of a field, NaN where there is none; shape as `value`."""
        column = next((d for d in self.model.coder.drawn if d.field.name == name), None)
        scale = 0
        if column is not None:
            grid = column.codec.lattice if column.relation is None else column.relation.grid
            scale = grid[0]
        value = np.where(np.isfinite(value), value, np.nan)
        return np.rint(value * scale) / scale if scale else value

    def _stray(self, c: int, value: Reals) -> NDArray[np.bool_]:
        """Where a worked-out value lies beyond all values of its column; shape (rows,)."""
        column = self.model.coder.drawn[c]
        if column.relation is not None:
            return np.zeros(len(value), bool)  # `log_width` looks at residuals
        low, high = _ends(column.codec, np.arange(column.codec.vocabulary, dtype=np.int32))
        slack = 1e-6 + 1e-9 * np.abs(value)
        with np.errstate(invalid="ignore"):
            return np.asarray((value < np.nanmin(low) - slack) | (value > np.nanmax(high) + slack))

    def _gone_back(self, known: dict[str, Values], rng: np.random.Generator) -> Reals:
        """Missing earlier times of known later ones: the later less a gap of the model's own.

        What that adds to the log weights: each gap's share is undone, as the network gives its own.
        """
        rows = len(next(iter(known.values())))
        log_weight = np.zeros(rows)
        for field in self._gaps:
            later, day = np.asarray(known[f"@{field.column}"]), f"{field.after}#day"
            need = np.flatnonzero(np.isfinite(later) & missing(known[day]))
            pool = np.asarray(self._pooled().values[field.name], np.float64) if len(need) else later
            pool = pool[np.isfinite(pool)]
            if not len(need) or not len(pool):
                continue
            c = next(i for i, d in enumerate(self.model.coder.drawn) if d.field is field)
            column = self.model.coder.drawn[c]
            gap = pool[rng.integers(len(pool), size=len(need))]
            share = np.bincount(column.codec.encode(pool), minlength=column.vocabulary) / len(pool)
            log_weight[need] -= np.log(share[column.codec.encode(gap)])
            earlier = later[need] - gap
            parts = {day: np.floor(earlier / DAY_S)}
            parts[f"{field.after}#second"] = earlier - parts[day] * DAY_S
            for name, value in parts.items():
                if name in known:
                    whole = np.array(known[name], np.float64)
                    whole[need] = value
                    known[name] = whole
        return log_weight

    @property
    def _gaps(self) -> tuple[Field, ...]:
        """The fields of times that are drawn as what lies between them and an earlier one."""
        return tuple(f for f in self.model.coder.fields if f.part == "gap")


def _left(relation: Relation, parent: str) -> Callable[[Mapping[str, Values]], Reals] | None:
    """What a relation leaves for one of its parents, as a function of the other fields."""
    if parent not in relation.parents or relation.linear is not None:
        return None
    others = [p for p in relation.parents if p != parent]
    at = relation.parents.index(parent)

    def value(known: Mapping[str, Values]) -> Reals:
        with np.errstate(all="ignore"):
            return plain(known)

    def plain(known: Mapping[str, Values]) -> Reals:
        y = np.asarray(known[relation.child], np.float64)
        x = [np.asarray(known[p], np.float64) for p in others]
        if relation.form == "total":
            weights = [w for i, w in enumerate(relation.weights) if i != at]
            rest = sum((w * v for w, v in zip(weights, x, strict=True)), np.zeros(len(y)))
            return np.asarray((y - relation.base - rest) / relation.weights[at])
        y = y / relation.factor
        return {
            "scale": lambda: y,
            "product": lambda: y / x[0],
            "ratio": lambda: x[0] / y if at else y * x[0],
            "sum": lambda: y - x[0],
            "difference": lambda: x[0] - y if at else y + x[0],
        }[relation.form]()

    return value if len(set(relation.parents)) == len(relation.parents) else None


def log_width(column: Drawn, token: NDArray[np.int32], values: Mapping[str, Values]) -> Reals:
    """Log of the width of each row's residual token in units of its column; (rows,).

    A known value is one of many in its token: the wider the token, the less likely the value. Far
    outside the token, where there is no other, it is all but impossible. Of a column without a
    residual the width says nothing about the row, and 0 is given.
    """
    if column.relation is None:
        return np.zeros(len(token))
    low, high = _ends(column.codec, token)
    size = column.relation.size(values)
    scale, step, _ = column.relation.grid
    least = max(step, 1) / scale if scale else 1e-9
    r = column.relation.residual(values)
    with np.errstate(invalid="ignore"):
        outside = np.maximum(np.maximum(low - r, r - high), 0) * size > least
        width = np.log(np.maximum((high - low) * size, least))
    known = np.isfinite(r) & np.isfinite(low)
    return np.where(known, width + np.where(outside, _IMPOSSIBLE, 0.0), 0.0)


def _ends(codec: Any, token: NDArray[np.int32]) -> tuple[Reals, Reals]:
    """The least and the largest value of tokens; each of shape (rows,)."""
    own = int(codec.vocabulary)
    ends = np.tile(np.array([0.0, 1.0]), own)
    curve = codec.decode(np.repeat(np.arange(own, dtype=np.int32), 2), ends)
    low, high = curve.reshape(own, 2)[np.minimum(token, own - 1)].T
    return low, high


def _seconds(times: Values) -> Reals:
    """Times as seconds since 1970, NaN where missing; shape (rows,)."""
    array = np.asarray(times)
    us = array.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(array), np.nan, us / 1e6)


def log_probability(model: FlatModel, records: Records) -> Reals:
    """Nats of whole rows: the log of the chance that the model gives their tokens; (rows,).

    Numbers count as the bin (or single value) that they lie in. A number that follows others counts
    as its residual, by density in units of the column; one that lies far off its relation is all
    but impossible.
    """
    coder = model.coder
    values = split(coder.schema, coder.fields, records)
    tokens = np.ascontiguousarray(coder.encode_values(values).T)
    net, trees = Pass(model.tables, tokens), {t.column: t for t in model.trees}
    out = np.zeros(records.rows)
    for c in range(len(coder.drawn)):
        logits = net.logits(c)
        if c in trees:
            trees[c].add(tokens, logits)
        logits -= logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits).sum(axis=1, dtype=np.float64))
        out += logits[np.arange(records.rows), tokens[c]] - total
        out -= log_width(coder.drawn[c], tokens[c], values)
    return out
