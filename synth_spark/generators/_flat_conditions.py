"""Which part of each drawn field holds a condition, for rows whose parents are known.

Most fields are one codec: the part of each token is the same in every row. The values of a residual
or of a gap, and the second of a day under a range of times, hang on other fields of the row, so the
part of each token is worked out row by row. How both networks of flat tables bind their draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Look, Within, curves, impossible, part_of, refused
from synth_spark.core.batch import Coded, Values
from synth_spark.core.conditions import Clause, Condition
from synth_spark.generators._flat_days import Week
from synth_spark.generators._flat_fields import CLOCKS, Field, clock_ends, to_clock
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_tokens import Coder, Drawn
from synth_spark.generators._flat_week import WEEK_DAYS

DAY_S = 86_400.0
_HALF_US = 0.5e-6  # half a microsecond, in seconds
_TRIES = 64  # places inside a row's token that are looked at
_ENDS = np.linspace(0, 1, 33)  # of a token, that its least and greatest value are found by
Reals = NDArray[np.float64]
Tokens = NDArray[np.int32]


class Part(Protocol):
    """What of a drawn field holds its clause."""

    def shares(self, values: Mapping[str, Values]) -> Reals:
        """Of each token, shape (vocabulary,) or (rows, vocabulary)."""

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        """Values of drawn tokens that hold the clause, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field whose values do not hang on the row."""

    drawn: Drawn
    part: Within

    def shares(self, values: Mapping[str, Values]) -> Reals:
        return self.part.share

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        if self.part.exact is not None:
            return np.full(len(tokens), self.part.exact)
        inside, whole = self.part.inside(tokens, u), np.isin(self.part.share, (0, 1)).all()
        return (self.drawn.drawn_values if whole else self.drawn.values)(tokens, inside, values)


@dataclass(frozen=True, slots=True)
class OfWeek(Fixed):
    """A day whose week day was drawn: of each token the days of that week day that hold."""

    clause: Clause  # on days
    every: Week
    held: Week  # the days that hold

    @classmethod
    def of(cls, fixed: Fixed, clause: Clause) -> OfWeek:
        """What a clause on days leaves."""
        assert fixed.drawn.days is not None
        every = Week.of(fixed.drawn.days, fixed.drawn.codec)
        return cls(fixed.drawn, fixed.part, clause, every, every.only(clause.holds))

    @property
    def week_days(self) -> set[str]:
        """Those that hold."""
        return {WEEK_DAYS[w] for w in np.flatnonzero(self.held.mass.sum(axis=0) > 0)}

    def shares(self, values: Mapping[str, Values]) -> Reals:
        mass, plain = self.every.mass.T, np.tile(self.part.share, (8, 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            plain[:7] = np.where(mass > 0, self.held.mass.T / mass, plain[:7])
        return np.asarray(plain[self._wanted(values)])

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        plain = Fixed.values(self, tokens, u, values)
        drawn = self.held.drawn(self.drawn.codec, tokens, u, self._wanted(values))
        return np.where(self.clause.holds(drawn), drawn, np.asarray(plain, np.float64))

    def _wanted(self, values: Mapping[str, Values]) -> Tokens:
        week_day = values[f"{self.drawn.field.column}#week day"]
        assert isinstance(week_day, Coded)
        return week_day.recode(WEEK_DAYS, -1)


@dataclass(frozen=True, slots=True)
class Sliding:
    """A residual, a gap to a time or a second of a day: value = center + token's value * size."""

    drawn: Drawn
    clause: Clause  # on the field's values; for a gap or a second on the time, s since 1970
    low: Reals  # (own tokens,) least value of the token, NaN for missing
    high: Reals  # (own tokens,)
    plain: Reals  # shares of the bins of rows without a residual, (plain tokens,), or none

    @classmethod
    def of(cls, drawn: Drawn, clause: Clause, plain: Within | None) -> Sliding:
        """What a clause leaves, `plain` of the bins."""
        curve = curves(drawn.codec, _ENDS)
        return cls(drawn, clause, curve.min(1), curve.max(1), plain.share if plain else np.zeros(0))

    def shares(self, values: Mapping[str, Values]) -> Reals:
        low, high = self.bounds(values)
        known = ~np.isnan(low)
        with np.errstate(invalid="ignore"):
            width = np.maximum(self.high - self.low, 1e-12)
            overlap = np.minimum(high[:, None], self.high) - np.maximum(low[:, None], self.low)
            part = np.where(self.high > self.low, overlap / width, overlap >= 0)
        own = np.clip(np.nan_to_num(part), 0, 1)
        return np.hstack([own, np.where(known[:, None], 0, self.plain)])

    def bounds(self, values: Mapping[str, Values]) -> tuple[Reals, Reals]:
        """Of what the codec holds, (rows,) each; NaN where a parent is missing."""
        center, size, half = self._place(values)
        center = np.where(np.isfinite(center), center, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            low = (self.clause.low - half - center) / size
            return low, (self.clause.high + half - center) / size

    def _place(self, values: Mapping[str, Values]) -> tuple[Reals, Any, float]:
        """Center and size of each row, and half a step of the column's lattice."""
        field, relation = self.drawn.field, self.drawn.relation
        if relation is None:
            return seconds_of(values, field.after or field.column), 1.0, _HALF_US
        scale, step, _ = relation.grid
        half = 0.5 * max(step, 1) / scale if scale else 0.0
        return relation.center(values), relation.size(values), half

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        out = self._drawn(tokens, u, values)
        wrong = np.flatnonzero(~self.clause.holds(out))
        if len(wrong):
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
        for at, column in enumerate(coder.drawn):
            if column.field.column == clause.field and column.field.part != "second":
                drawn[at] = _part(coder, column, clause)
        for relation in coder.computed:
            field = next(f for f in coder.fields if f.name == relation.child)
            if field.column == clause.field:
                computed.append((_ready(coder, relation), relation, on_field(field, clause)))
    return Parts(drawn, tuple(sorted(computed, key=lambda c: c[0])))


def _ready(coder: Coder, relation: Relation) -> int:
    """Position of the last drawn field that a computed one needs."""
    place = {d.field.name: i for i, d in enumerate(coder.drawn)}
    rules = {r.child: r for r in coder.computed}
    return max(place[n] if n in place else _ready(coder, rules[n]) for n in relation.needs)


def _part(coder: Coder, drawn: Drawn, clause: Clause) -> Part:
    if not clause.missing and slides(drawn):
        plain = drawn.plain if drawn.open_plain else None
        asked = on_field(drawn.field, clause)
        return Sliding.of(drawn, asked, part_of(plain, asked) if plain else None)
    if drawn.field.part == "week day" and not clause.missing:
        day = next(d for d in coder.drawn if d.field.name == f"{clause.field}#day")
        return on_week_days(drawn, _part(coder, day, clause))
    asked = on_field(drawn.field, clause)
    if drawn.field.part == "day" and not clause.missing and with_clock(coder, clause.field):
        asked = _whole_days(clause)
    return of_week(fixed(drawn, clause, asked), asked)


def of_week(part: Fixed, asked: Clause) -> Fixed:
    """The same by week day, where it is a day that has one."""
    if part.drawn.field.part != "day" or part.drawn.days is None or asked.missing:
        return part
    return OfWeek.of(part, asked)


def on_week_days(drawn: Drawn, day: Part) -> Fixed:
    """What is left of the week days by what is asked of the days."""
    codec, every = drawn.codec, np.arange(drawn.vocabulary)
    if not isinstance(day, OfWeek):
        return Fixed(drawn, Within.of_tokens(every, drawn.vocabulary))
    left = {codec.labels.index(label) for label in day.week_days if label in codec.labels}
    if len(left) < len(day.week_days) and codec.rare_token >= 0:
        left.add(codec.rare_token)
    return Fixed(drawn, Within.of_tokens(sorted(left) or every, drawn.vocabulary))


def slides(drawn: Drawn) -> bool:
    """Whether the part of each token hangs on the row."""
    return drawn.relation is not None or drawn.field.part in ("gap", "second")


def with_clock(coder: Coder, column: str) -> bool:
    """Whether the seconds of the day are a field of their own."""
    return any(f.name == f"{column}#second" for f in coder.fields)


def fixed(drawn: Drawn, clause: Clause, asked: Clause, look: Look | None = None) -> Fixed:
    """The part of a field that does not hang on the row.

    Args:
        drawn: The field.
        clause: As it is written, for the message.
        asked: On the field's values.
        look: How closely numbers are looked at.

    Raises:
        ImpossibleConditionError: No token holds it (SYN-711).
    """
    part = part_of(drawn.codec, asked, look)
    if not part.share.any():
        raise refused(drawn.codec, clause, lambda values: _shown(drawn.field, values))
    if clause.missing:  # the bins of a field with a relation hold none that is
        tokens = np.flatnonzero(part.share)
        part = Within.of_tokens(tokens, drawn.vocabulary)
    return Fixed(drawn, part)


def on_field(field: Field, clause: Clause) -> Clause:
    """A clause on a column as one on the values of a field of it; of a gap, on the time."""
    if not clause.missing and field.part in CLOCKS:
        low, high = clock_ends(clause.low, clause.high, field.part)
        return Clause(field=clause.field, low=low, high=high)
    if not clause.missing and field.part == "day":
        low, high = np.ceil(clause.low / DAY_S), np.floor(clause.high / DAY_S)
        return Clause(field=clause.field, low=float(low), high=float(high))
    return clause


def _whole_days(clause: Clause) -> Clause:
    """A range of times as the days that lie in it from end to end."""
    low = np.ceil(clause.low / DAY_S)
    high = np.floor((clause.high + 1e-3) / DAY_S) - 1
    if low > high:
        raise impossible(clause, "a range that holds a whole day at least")
    return Clause(field=clause.field, low=float(low), high=float(high))


def _shown(field: Field, values: Reals) -> Reals:
    """The column's values from the field's; times as seconds since 1970."""
    if field.part == "day":
        return values * DAY_S
    return to_clock(values, field.part) if field.part in CLOCKS else values


def seconds_of(values: Mapping[str, Values], column: str) -> Reals:
    """Seconds since 1970 of a time as far as it is drawn, NaN where missing; shape (rows,)."""
    day = np.asarray(values[f"{column}#day"], np.float64)
    second = values.get(f"{column}#second")
    return day * DAY_S + (0.0 if second is None else np.nan_to_num(np.asarray(second, np.float64)))


def _rows(values: Mapping[str, Values], rows: NDArray[np.int64]) -> dict[str, Values]:
    return {name: v[rows] for name, v in values.items()}


def _repeated(values: Values) -> Values:
    rows = np.repeat(np.arange(len(values)), _TRIES)
    return values[rows]
