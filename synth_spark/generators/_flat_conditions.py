"""Which part of each drawn field holds a condition, for rows whose parents are known.

Most fields are one codec: the part of each token is the same in every row. The values of a residual
or of a gap hang on other fields of the row, so the part of each token is worked out row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.columns.within import Within, impossible, same, within
from synth_spark.core.batch import Values
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.generators._flat_fields import CLOCKS, Field, from_clock, to_clock
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_tokens import Coder, Drawn

DAY_S = 86_400.0
_TRIES = 64  # places inside a row's token that are looked at
Reals = NDArray[np.float64]
Tokens = NDArray[np.int32]


class Part(Protocol):
    """What of a drawn field holds its clause."""

    def shares(self, values: Mapping[str, Values], rows: int) -> Reals:
        """Of each token, shape (vocabulary,) or (rows, vocabulary)."""

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        """Values of drawn tokens that hold the clause, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field whose values do not hang on the row."""

    drawn: Drawn
    part: Within

    def shares(self, values: Mapping[str, Values], rows: int) -> Reals:
        return self.part.share

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        out = self.drawn.values(tokens, self.part.inside(tokens, u), values)
        return np.full(len(tokens), self.part.exact) if self.part.exact is not None else out


@dataclass(frozen=True, slots=True)
class Sliding:
    """A residual, or a gap to another time: value = center + token's value * size."""

    drawn: Drawn
    clause: Clause
    low: Reals  # (own tokens,) least value of the token, of the residual or gap
    high: Reals  # (own tokens,)
    plain: Within | None  # of rows without a residual

    def shares(self, values: Mapping[str, Values], rows: int) -> Reals:
        out = np.zeros((rows, self.drawn.vocabulary))
        own, missing = len(self.low), self.drawn.codec.missing_token
        center, size, half = self._place(values)
        known = np.isfinite(center)
        with np.errstate(invalid="ignore", divide="ignore"):
            a = (self.clause.low - half - center) / size
            b = (self.clause.high + half - center) / size
            width = np.maximum(self.high - self.low, 1e-12)
            overlap = np.minimum(b[:, None], self.high) - np.maximum(a[:, None], self.low)
            part = np.where(self.high > self.low, overlap / width, overlap >= 0)
        if self.clause.missing:
            if missing >= 0:
                out[:, missing] = 1
            return out
        out[:, :own] = np.where(known[:, None], np.clip(part, 0, 1), 0)
        if missing >= 0:
            out[:, missing] = 0
        if self.plain is not None:
            out[:, own:] = np.where(known[:, None], 0, self.plain.share)
        return out

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        out = self._drawn(tokens, u, values)
        wrong = np.flatnonzero(~self.clause.holds(out))
        if len(wrong) and not self.clause.missing:
            out = np.array(out)
            out[wrong] = self._moved(tokens[wrong], u[wrong], _rows(values, wrong))
        return out - seconds_of(values, self.drawn.field.after) if self._gap else out

    def _moved(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Reals:
        """Values of rows at the places of their token that hold the clause; else the nearest."""
        rows = len(tokens)
        places = (np.arange(_TRIES) + u[:, None]) / _TRIES
        many = {n: _repeated(v) for n, v in values.items()}
        tried = self._drawn(np.repeat(tokens, _TRIES), places.ravel(), many).reshape(rows, _TRIES)
        holds = self.clause.holds(tried)
        count = holds.sum(axis=1)
        wanted = np.minimum((u * count).astype(np.int64), np.maximum(count - 1, 0))
        order = np.argsort(~holds, axis=1, kind="stable")
        found = tried[np.arange(rows), order[np.arange(rows), wanted]]
        nearest = np.clip(found, self.clause.low, self.clause.high)
        return np.asarray(np.where(count > 0, found, nearest), np.float64)

    def _drawn(self, tokens: Tokens, inside: Reals, values: Mapping[str, Values]) -> Reals:
        """The column's values, times as seconds since 1970."""
        out = np.asarray(self.drawn.values(tokens, inside, values), np.float64)
        return out + seconds_of(values, self.drawn.field.after) if self._gap else out

    @property
    def _gap(self) -> bool:
        return self.drawn.field.part == "gap"

    def _place(self, values: Mapping[str, Values]) -> tuple[Reals, Any, float]:
        """Center and size of each row, and half a step of the column's lattice."""
        if self._gap:
            return seconds_of(values, self.drawn.field.after), 1.0, 0.5e-6
        relation = self.drawn.relation
        assert relation is not None
        scale, step, _ = relation.grid
        half = 0.5 * max(step, 1) / scale if scale else 0.0
        return relation.center(values), relation.size(values), half


@dataclass(frozen=True, slots=True)
class Parts:
    """A condition as parts of the fields of one table."""

    drawn: Mapping[int, Part]  # by position among the drawn fields
    computed: tuple[tuple[int, Relation, Clause], ...]  # last position that it needs first

    @property
    def last(self) -> int:
        """The last drawn field that the condition hangs on."""
        return max([*self.drawn, *(at for at, _, _ in self.computed)])


def parts_of(coder: Coder, condition: Condition) -> Parts:
    """What each clause asks of the fields of its column.

    Raises:
        ImpossibleConditionError: A value that the model does not know (SYN-711).
    """
    drawn: dict[int, Part] = {}
    computed = []
    for clause in condition.clauses:
        for at, field in enumerate(d.field for d in coder.drawn):
            if field.column == clause.field and field.part != "second":
                drawn[at] = _part(coder, coder.drawn[at], clause)
        for relation in coder.computed:
            field = next(f for f in coder.fields if f.name == relation.child)
            if field.column == clause.field:
                computed.append((_ready(coder, relation), relation, _seen(field, clause)))
    return Parts(drawn, tuple(sorted(computed, key=lambda c: c[0])))


def _ready(coder: Coder, relation: Relation) -> int:
    """Position of the last drawn field that a computed one needs."""
    place = {d.field.name: i for i, d in enumerate(coder.drawn)}
    rules = {r.child: r for r in coder.computed}
    return max(place[n] if n in place else _ready(coder, rules[n]) for n in relation.needs)


def _part(coder: Coder, drawn: Drawn, clause: Clause) -> Part:
    if drawn.relation is None and drawn.field.part != "gap":
        has_clock = any(f.name == f"{clause.field}#second" for f in coder.fields)
        asked = _whole_days(clause) if has_clock and not clause.missing else clause
        return Fixed(drawn, within(drawn.codec, asked, _view(drawn.field)))
    codec: Number = drawn.codec
    grid = np.linspace(0, 1, 33)
    own = np.repeat(np.arange(codec.vocabulary, dtype=np.int32), len(grid))
    curve = codec.decode(own, np.tile(grid, codec.vocabulary)).reshape(-1, len(grid))
    curve = np.where(np.isnan(curve), 0.0, curve)
    plain = None
    if drawn.open_plain:
        assert drawn.plain is not None
        plain = _plain(drawn.plain, clause)
    if clause.missing and codec.missing_token < 0:
        raise impossible(clause, "it was never missing")
    return Sliding(drawn, clause, curve.min(axis=1), curve.max(axis=1), plain)


def _plain(codec: Number, clause: Clause) -> Within:
    """The part of the coarse bins; none where they do not hold the clause."""
    try:
        return within(codec, clause)
    except ImpossibleConditionError:
        size = codec.vocabulary
        return Within(np.zeros(size), np.zeros((size, 1)), np.zeros(size, np.int64))


def _whole_days(clause: Clause) -> Clause:
    """A range of times as the midnights of the days that lie in it from end to end."""
    low = np.ceil(clause.low / DAY_S) * DAY_S
    high = np.floor((clause.high + 1e-3) / DAY_S) * DAY_S - DAY_S
    if low > high:
        raise impossible(clause, "a range that holds a whole day at least")
    return Clause(field=clause.field, low=float(low), high=float(high))


def _view(field: Field) -> Any:
    """The column's value from the field's; times as seconds since 1970."""
    if field.part == "day":
        return lambda day: day * DAY_S
    if field.part in CLOCKS:
        return lambda value: to_clock(value, field.part)
    return same


def _seen(field: Field, clause: Clause) -> Clause:
    """A clause on a column as one on the values of its computed field."""
    if field.part not in CLOCKS or clause.missing:
        return clause
    ends = from_clock(np.array([max(clause.low, 0.0), min(clause.high, 1e9)]), field.part)
    return Clause(field=clause.field, low=float(ends[0]), high=float(ends[1]))


def seconds_of(values: Mapping[str, Values], column: str) -> Reals:
    """A time as seconds since 1970 from its fields, NaN where missing; shape (rows,)."""
    day = np.asarray(values[f"{column}#day"], np.float64)
    second = values.get(f"{column}#second")
    return day * DAY_S + (0.0 if second is None else np.nan_to_num(np.asarray(second, np.float64)))


def _rows(values: Mapping[str, Values], rows: NDArray[np.int64]) -> dict[str, Values]:
    return {name: v[rows] for name, v in values.items()}


def _repeated(values: Values) -> Values:
    rows = np.repeat(np.arange(len(values)), _TRIES)
    return values[rows]
