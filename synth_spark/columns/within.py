"""What of a codec's tokens holds a clause: the share of each token, and where inside it to draw.

A model that draws tokens meets a clause by weighing every token with the share of its values that
hold it, and by drawing the place inside the token among those that do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.core.batch import Coded, Values
from synth_spark.core.conditions import Clause, ImpossibleConditionError

PLACES = 256  # looked at inside each token
FAR = 10.0  # widths of a column beyond its ends; extremes of heavy tails lie nearer
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Within:
    """The part of every token of one codec that holds a clause."""

    share: Reals  # (vocabulary,) of the token's values, in [0, 1]
    places: Reals  # (vocabulary, PLACES), positions inside the token that hold it, ascending
    count: NDArray[np.int64]  # (vocabulary,) how many of them
    exact: float | None = None  # a number that the clause names: what is drawn is this

    def inside(self, tokens: NDArray[np.int32], u: Reals) -> Reals:
        """Positions inside drawn tokens from uniforms; both of shape (rows,)."""
        count = np.maximum(self.count[tokens], 1)
        return np.asarray(self.places[tokens, np.minimum((u * count).astype(np.int64), count - 1)])


def same(values: Reals) -> Reals:
    """A number as the column holds it, where token values are those of the column."""
    return values


def within(
    codec: Category | Number, clause: Clause, view: Callable[[Reals], Reals] = same
) -> Within:
    """The part of a codec that holds a clause.

    Args:
        codec: Of the column, or of a field made of it.
        clause: On the column.
        view: The column's values from the codec's, for numbers.

    Raises:
        ImpossibleConditionError: A label or a range that the codec does not hold (SYN-711).
    """
    if isinstance(codec, Category):
        return _labels(codec, clause)
    size = codec.vocabulary
    places = np.tile((np.arange(PLACES) + 0.5) / PLACES, (size, 1))
    tokens = np.repeat(np.arange(size, dtype=np.int32), PLACES)
    values = view(codec.decode(tokens, places.ravel())).reshape(size, PLACES)
    if not clause.missing and clause.low == clause.high:
        return _exact(codec, clause, view, values, places)
    holds = clause.holds(values)
    if not holds.any():
        raise impossible(clause, _span(values))
    return _part(holds, places)


def within_those(codec: Number, holds: Callable[[Reals], NDArray[np.bool_]]) -> Within:
    """The part of a codec whose values a test lets pass; it may be empty."""
    size = codec.vocabulary
    places = np.tile((np.arange(PLACES) + 0.5) / PLACES, (size, 1))
    tokens = np.repeat(np.arange(size, dtype=np.int32), PLACES)
    return _part(holds(codec.decode(tokens, places.ravel())).reshape(size, PLACES), places)


def _part(holds: NDArray[np.bool_], places: Reals) -> Within:
    """Positions that hold first; both of shape (vocabulary, PLACES)."""
    order = np.argsort(~holds, axis=1, kind="stable")
    count = holds.sum(axis=1)
    return Within(count / PLACES, np.take_along_axis(places, order, 1), count)


def impossible(clause: Clause, known: str) -> ImpossibleConditionError:
    """The error for a clause that a column cannot hold."""
    return ImpossibleConditionError(
        f"{clause.text()}: the model knows no such value of {clause.field}.",
        hint=known,
        field=clause.field,
        clause=clause.text(),
    )


def _labels(codec: Category, clause: Clause) -> Within:
    size = codec.vocabulary
    share = np.zeros(size)
    if clause.missing:
        if codec.missing_token < 0:
            raise impossible(clause, "it was never missing")
        share[codec.missing_token] = 1
    else:
        place = {label: i for i, label in enumerate(codec.labels)}
        wrong = [v for v in clause.labels if v not in place]
        if wrong and not (clause.loose and len(wrong) < len(clause.labels)):
            told = ", ".join(codec.labels[:12]) + (", ..." if len(codec.labels) > 12 else "")
            raise impossible(Clause(field=clause.field, labels=tuple(wrong)), f"one of {told}")
        share[[place[v] for v in clause.labels if v in place]] = 1
    places = np.tile((np.arange(PLACES) + 0.5) / PLACES, (size, 1))
    return Within(share, places, (PLACES * share).astype(np.int64))


def _exact(codec: Number, clause: Clause, view: Any, values: Reals, places: Reals) -> Within:
    """One number: its token, and where inside it the number is, or the number itself."""
    share, count = np.zeros(codec.vocabulary), np.zeros(codec.vocabulary, np.int64)
    near = np.abs(values - clause.low) <= 1e-9 * max(abs(clause.low), 1.0)
    if near.any():
        order = np.argsort(~near, axis=1, kind="stable")
        count = near.sum(axis=1)
        return Within(count / PLACES, np.take_along_axis(places, order, 1), count, clause.low)
    with np.errstate(invalid="ignore"):
        low, high = np.nanmin(_known(values), axis=1), np.nanmax(_known(values), axis=1)
    held = np.flatnonzero((low <= clause.low) & (clause.low <= high))
    on_lattice = view is same and _on_lattice(codec, clause.low)
    between = low.min(initial=np.inf) < clause.low < high[np.isfinite(high)].max(initial=-np.inf)
    if on_lattice and between and not len(held) and len(codec.uppers):
        held = codec.encode(np.array([clause.low])).astype(
            np.int64
        )  # between two bins: the next one stands for it
    if not len(held) or not on_lattice:
        raise impossible(clause, f"{_span(values)}; or a range, {clause.field}=low..high")
    share[held] = 1 / PLACES
    count[held] = 1
    return Within(share, places, count, clause.low)


def _known(values: Reals) -> Reals:
    """With a stand-in that never holds for tokens without a value."""
    return np.where(np.isnan(values).all(axis=1, keepdims=True), np.inf, values)


def _on_lattice(codec: Number, value: float) -> bool:
    scale, _ = codec.lattice
    return not scale or abs(value * scale - round(value * scale)) < 1e-6


def _span(values: Reals) -> str:
    known = values[np.isfinite(values)]
    return f"from {known.min():g} to {known.max():g}" if len(known) else "it is always missing"


def known_values(
    codec: Category | Number, values: Values, view: Callable[[Reals], Reals] = same
) -> NDArray[np.bool_]:
    """Which values may stand beside what a codec draws, shape (rows,); a missing value may.

    A label that is told; one of a few numbers; where numbers lie in bins any on their lattice, also
    beyond their ends: the next extreme is one, a wrong unit is none.

    Args:
        codec: Of the column, or of a field made of it.
        values: Of the column.
        view: The column's values from the codec's, for numbers.
    """
    if isinstance(codec, Category):
        assert isinstance(values, Coded)
        told = set(codec.labels)
        return np.array([*(label in told for label in values.labels), True])[values.codes]
    x = np.asarray(values, np.float64)
    size = codec.vocabulary
    tokens = np.repeat(np.arange(size, dtype=np.int32), PLACES)
    places = np.tile((np.arange(PLACES) + 0.5) / PLACES, size)
    drawn = view(codec.decode(tokens, places)).reshape(size, PLACES)
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if not len(drawn):
        return np.isnan(x)
    noise = 1e-9 * np.maximum(np.abs(x), 1.0)
    near = np.clip(np.searchsorted(drawn, x - noise), 0, len(drawn) - 1)
    held = np.abs(drawn[near] - x) <= noise
    if len(codec.uppers):
        scaled = x * codec.lattice[0] if view is same else np.zeros(len(x))
        held |= near_span(x, drawn[0], drawn[-1]) & (np.abs(scaled - np.rint(scaled)) < 1e-6)
    return np.asarray(held | np.isnan(x))


def near_span(x: Reals, low: float, high: float) -> NDArray[np.bool_]:
    """Which numbers lie between two ends, or beyond them by `FAR` times their distance at most."""
    width = FAR * (high - low) + 1e-9 * max(abs(low), abs(high), 1.0)
    return np.asarray((x >= low - width) & (x <= high + width))
