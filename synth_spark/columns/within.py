"""What of a codec's tokens holds a clause: the share of each token, and where inside it to draw.

A model that draws tokens meets a clause by weighing every token with the share of its values that
hold it, and by drawing the place inside the token among those that do. A label is a token, whole;
of a number or a time the values at some places of each token are looked at, and one number that
the clause names is drawn as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._lattice import denoised
from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.core.batch import RARE, Coded, Values, told_label
from synth_spark.core.conditions import WEEKDAYS, Clause, ImpossibleConditionError

FAR = 10.0  # widths of a column beyond its ends; extremes of heavy tails lie nearer
_SAME = 1e-9  # of a number: how far two of the same value may lie apart
Reals = NDArray[np.float64]
Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Look:
    """At how many places of a token its values are looked at."""

    places: int = 256
    whole: int = 256  # left of a token whose values all hold; 0: any place will do


@dataclass(frozen=True, slots=True)
class Within:
    """The part of every token of one codec that holds a clause."""

    share: Reals  # (vocabulary,) of the token's values, in [0, 1]
    start: NDArray[np.int64]  # (vocabulary + 1,), where a token's places begin
    places: Reals  # positions inside the tokens that hold it, ascending within each
    exact: float | None = None  # a number that the clause names: what is drawn is this

    @classmethod
    def of_tokens(cls, tokens: Iterable[int], vocabulary: int) -> Self:
        """Some tokens as they are, and no others."""
        share = np.zeros(vocabulary)
        share[list(tokens)] = 1
        return cls(share, np.zeros(vocabulary + 1, np.int64), np.zeros(0))

    def inside(self, tokens: Tokens, u: Reals) -> Reals:
        """Positions inside drawn tokens, from uniforms that count where a token has no places."""
        if not len(self.places):
            return u
        first, count = self.start[tokens], np.diff(self.start)[tokens]
        at = first + np.minimum((u * count).astype(np.int64), count - 1)
        return np.where(count > 0, self.places[np.maximum(at, 0)], u)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A codec that decodes to values that hold a clause."""

    codec: Any
    part: Within

    @property
    def vocabulary(self) -> int:
        """Tokens of the codec."""
        return int(self.codec.vocabulary)

    @property
    def missing_token(self) -> int:
        """That of the codec."""
        return int(self.codec.missing_token)

    def decode(self, tokens: Tokens, inside: Reals) -> Values:
        """Values of tokens of which a part at least holds the clause."""
        if self.part.exact is not None:
            return np.full(len(tokens), self.part.exact)
        values: Values = self.codec.decode(tokens, self.part.inside(tokens, inside))
        return values


def within(codec: Any, clause: Clause, look: Look | None = None) -> Within:
    """The part of a codec that holds a clause.

    Args:
        codec: Of the column, or of a field made of it.
        clause: On the values of the codec; times as seconds since 1970.
        look: How closely numbers and times are looked at.

    Raises:
        ImpossibleConditionError: A label or a range that the codec does not hold (SYN-711).
    """
    part = part_of(codec, clause, look)
    if not part.share.any():
        raise refused(codec, clause)
    return part


def part_of(codec: Any, clause: Clause, look: Look | None = None) -> Within:
    """As `within`, with shares of 0 where nothing holds the clause."""
    if clause.missing:
        missing = codec.missing_token
        return Within.of_tokens([missing] if missing >= 0 else [], codec.vocabulary)
    if isinstance(codec, Category):
        known, wrong = _labels(codec, clause)
        return Within.of_tokens([] if wrong and not clause.loose else known, codec.vocabulary)
    look = look or Look()
    one = isinstance(codec, Number) and clause.low == clause.high
    holds = partial(_near, clause.low) if one else clause.holds
    part = within_those(codec, holds, look)
    if not one:
        return part
    if not part.share.any():
        return _between_places(codec, clause.low, look)
    return replace(part, exact=clause.low)


def within_those(
    codec: Any, holds: Callable[[Reals], NDArray[np.bool_]], look: Look | None = None
) -> Within:
    """The part of a codec of numbers or times whose values a test lets pass; it may be empty."""
    look = look or Look()
    first = holds(curves(codec, middles(look.whole or look.places)))
    whole: NDArray[np.bool_] = np.asarray(first.all(axis=1))
    held = holds(curves(codec, middles(look.places), ~whole))
    share = whole.astype(np.float64)
    share[~whole] = held.mean(axis=1)
    rows, inside, every = iter(held), middles(look.places), middles(look.whole)
    parts = [every if w else inside[next(rows)] for w in whole]
    start = np.cumsum([0, *(len(p) for p in parts)])
    return Within(share, start, np.concatenate([*parts, every[:0]]))


def refused(
    codec: Any, clause: Clause, view: Callable[[Reals], Reals] | None = None
) -> ImpossibleConditionError:
    """The error for a clause that a codec cannot hold, with what it knows as the hint.

    Args:
        codec: That does not.
        clause: As it was asked for.
        view: The column's values from the codec's.
    """
    if clause.missing:
        return impossible(clause, "it was never missing")
    if isinstance(codec, Category):
        told = ", ".join(codec.labels[:12]) + (", ..." if len(codec.labels) > 12 else "")
        wrong = _labels(codec, clause)[1]
        return impossible(Clause(field=clause.field, labels=wrong), f"one of {told}")
    values = curves(codec, middles(Look().places))
    known = (view(values) if view else values)[np.isfinite(values)]
    if not len(known):
        return impossible(clause, "it is always missing")
    span = f"from {known.min():g} to {known.max():g}"
    exact = f"; or a range, {clause.field}=low..high" if clause.low == clause.high else ""
    return impossible(clause, span + exact)


def impossible(clause: Clause, known: str) -> ImpossibleConditionError:
    """The error for a clause that a column cannot hold."""
    return ImpossibleConditionError(
        f"{clause.text()}: the model knows no such value of {clause.field}.",
        hint=known,
        field=clause.field,
        clause=clause.text(),
    )


def hours_of_week(clause: Clause) -> NDArray[np.bool_]:
    """The hours that hold a clause on `hour` or `weekday`, shape (7, 24), Monday first."""
    out = np.zeros((7, 24), bool)
    if clause.field == "hour":
        out[:, int(clause.low) : int(clause.high) + 1] = True
    else:
        out[[WEEKDAYS.index(v) for v in clause.labels]] = True
    return out


def middles(places: int) -> Reals:
    """The middles of so many equal parts of a token."""
    return np.asarray((np.arange(places) + 0.5) / places)


def curves(codec: Any, at: Reals, some: NDArray[np.bool_] | None = None) -> Reals:
    """Values at places of each token, or of some, (tokens, places); NaN where missing.

    Without the noise of floats: 0.7 is what a condition on it asks for.
    """
    tokens = np.arange(codec.vocabulary, dtype=np.int32)
    tokens = tokens if some is None else tokens[some]
    values = codec.decode(np.repeat(tokens, len(at)), np.tile(at, len(tokens)))
    values = denoised(values, codec.lattice[0]) if isinstance(codec, Number) else values
    return _seconds(np.asarray(values)).reshape(len(tokens), len(at))


def _seconds(values: NDArray[Any]) -> Reals:
    """Numbers as they are, times as seconds since 1970."""
    if values.dtype.kind != "M":
        return np.asarray(values, np.float64)
    stamps = values.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(values), np.nan, stamps)


def _labels(codec: Category, clause: Clause) -> tuple[list[int], tuple[str, ...]]:
    """Tokens of the labels of a clause, and labels without one."""
    place = {label: i for i, label in enumerate(codec.labels)}
    if codec.rare_token >= 0 and codec.rare == "label":
        place[RARE] = codec.rare_token
    known = [place[told] for v in clause.labels if (told := told_label(v)) in place]
    return known, tuple(v for v in clause.labels if told_label(v) not in place)


def _near(value: float, values: Reals) -> NDArray[np.bool_]:
    return np.asarray(np.abs(values - value) <= _SAME * max(abs(value), 1.0))


def _between_places(codec: Number, value: float, look: Look) -> Within:
    """One number that is at none of the places but among a token's values, or else nothing.

    For one that lies between two bins the next bin stands.
    """
    scale, values = codec.lattice[0], curves(codec, middles(look.places))
    reached = (values.min(axis=1) <= value) & (value <= values.max(axis=1))
    known = values[np.isfinite(values)]
    if not reached.any() and len(codec.uppers) and len(known) and known.min() < value < known.max():
        reached[codec.encode(np.array([value]))] = True
    reached &= not scale or abs(value * scale - round(value * scale)) < 1e-6
    part = Within.of_tokens(np.flatnonzero(reached), codec.vocabulary)
    return replace(part, share=part.share / look.places, exact=value)


def known_values(codec: Category | Number, values: Values) -> NDArray[np.bool_]:
    """Which values may stand beside what a codec draws, shape (rows,); a missing value may.

    A label that is told; one of a few numbers; where numbers lie in bins any on their lattice, also
    beyond their ends: the next extreme is one, a wrong unit is none.

    Args:
        codec: Of the column, or of a field made of it.
        values: Of the column.
    """
    if isinstance(codec, Category):
        assert isinstance(values, Coded)
        told: set[str | None] = {*codec.labels, *((RARE,) if codec.rare_token >= 0 else ())}
        wanted = [told_label(label) in told for label in values.labels]
        return np.array([*wanted, True])[values.codes]
    x = np.asarray(values, np.float64)
    x = denoised(x, codec.lattice[0]) if isinstance(codec, Number) else x
    drawn = curves(codec, middles(Look().places))
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if not len(drawn):
        return np.isnan(x)
    noise = 1e-9 * np.maximum(np.abs(x), 1.0)
    near = np.clip(np.searchsorted(drawn, x - noise), 0, len(drawn) - 1)
    held = np.abs(drawn[near] - x) <= noise
    if len(codec.uppers):
        scaled = x * codec.lattice[0]
        held |= near_span(x, drawn[0], drawn[-1]) & (np.abs(scaled - np.rint(scaled)) < 1e-6)
    return np.asarray(held | np.isnan(x))


def near_span(x: Reals, low: float, high: float) -> NDArray[np.bool_]:
    """Which numbers lie between two ends, or beyond them by `FAR` times their distance at most."""
    width = FAR * (high - low) + 1e-9 * max(abs(low), abs(high), 1.0)
    return np.asarray((x >= low - width) & (x <= high + width))
