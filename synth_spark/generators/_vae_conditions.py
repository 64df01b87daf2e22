"""What a clause leaves of a drawn column: tokens, and positions inside the tokens.

A label leaves its token. A range leaves the tokens whose values reach into it, each by the share of
its positions that do, and those positions. Where the value also hangs on other columns (the
residual of a relation, the second of a day, a time counted from another) the range is worked out
for every row from what was drawn before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.core.batch import Values
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.generators._flat_fields import CLOCKS, Field, from_clock, to_clock
from synth_spark.generators._flat_tokens import Coder, Drawn
from synth_spark.generators._vae_draw import Limit

POSITIONS = 128  # inside a token, that a range is checked on
_DAY_S = 86_400.0
Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Some tokens and no others, whatever the rest of the row."""

    left: NDArray[np.float32]  # (vocabulary,) share of each

    def shares(self, values: Mapping[str, Values]) -> NDArray[np.float32]:
        return self.left

    def inside(self, tokens: NDArray[np.int32], u: Floats, values: Mapping[str, Values]) -> Floats:
        return u


@dataclass(frozen=True, slots=True)
class Range:
    """A range of a number's values, the same in every row."""

    grid: Floats  # (vocabulary, POSITIONS) values, NaN for missing
    low: float
    high: float

    def shares(self, values: Mapping[str, Values]) -> NDArray[np.float32]:
        return np.asarray(self._held().mean(axis=1), np.float32)

    def inside(self, tokens: NDArray[np.int32], u: Floats, values: Mapping[str, Values]) -> Floats:
        return positions(self._held()[tokens], u)

    def _held(self) -> NDArray[np.bool_]:
        return np.asarray((self.grid >= self.low) & (self.grid <= self.high))


@dataclass(frozen=True, slots=True)
class RowRange:
    """A range that differs from row to row, worked out from the columns drawn before."""

    drawn: Drawn
    low: float  # of the column's own values; seconds since 1970 for a time
    high: float
    grid: Floats  # (tokens of the codec, POSITIONS)
    plain: Floats  # (tokens of the value's own bins, POSITIONS), or no rows

    def shares(self, values: Mapping[str, Values]) -> NDArray[np.float32]:
        low, high = self._bounds(values)
        first, last = self.grid.min(axis=1), self.grid.max(axis=1)
        with np.errstate(invalid="ignore"):
            over = np.minimum(high[:, None], last) - np.maximum(low[:, None], first)
            share = np.where(last > first, over / np.maximum(last - first, 1e-12), over >= 0)
        out = np.clip(np.nan_to_num(share), 0, 1).astype(np.float32)
        beside = ((self.plain >= self.low) & (self.plain <= self.high)).mean(axis=1)
        lone = np.repeat(beside[None, :].astype(np.float32), len(out), axis=0)
        return np.hstack([out, lone])

    def inside(self, tokens: NDArray[np.int32], u: Floats, values: Mapping[str, Values]) -> Floats:
        low, high = self._bounds(values)
        own = len(self.grid)
        both = np.vstack([self.grid, self.plain])[tokens]
        low, high = np.where(tokens < own, low, self.low), np.where(tokens < own, high, self.high)
        return positions((both >= low[:, None]) & (both <= high[:, None]), u)

    def _bounds(self, values: Mapping[str, Values]) -> Bounds:
        """Of what the codec holds, (rows,) each; NaN where a parent is missing."""
        field, relation = self.drawn.field, self.drawn.relation
        if relation is not None:
            centre, size = relation.center(values), relation.size(values)
            half = 0.5 * relation.grid[1] / relation.grid[0] if relation.grid[0] else 0.0
            low = (_own(self.low, field, up=True) - half - centre) / size
            return low, (_own(self.high, field, up=False) + half - centre) / size
        if field.part == "second":
            day = np.asarray(values[f"{field.column}#day"], np.float64)
        else:
            day = np.asarray(values[f"{field.after}#day"], np.float64)
            second = values.get(f"{field.after}#second")
            day = day + (
                np.nan_to_num(np.asarray(second, np.float64)) / _DAY_S if second is not None else 0
            )
        return self.low - day * _DAY_S, self.high - day * _DAY_S


def positions(held: NDArray[np.bool_], u: Floats) -> Floats:
    """A position among those that hold, by `u`; `u` itself where all or none do; (rows,).

    Args:
        held: (rows, POSITIONS).
        u: (rows,) in [0, 1).
    """
    many = held.sum(axis=1)
    wanted = np.floor(u * many).astype(np.int64) + 1
    place = (np.cumsum(held, axis=1) >= wanted[:, None]).argmax(axis=1)
    return np.where((many == 0) | (many == held.shape[1]), u, (place + 0.5) / held.shape[1])


def grid_of(codec: Number) -> Floats:
    """Values at the middles of `POSITIONS` equal parts of every token, NaN for missing."""
    tokens = np.repeat(np.arange(codec.vocabulary, dtype=np.int32), POSITIONS)
    middles = np.tile((np.arange(POSITIONS) + 0.5) / POSITIONS, codec.vocabulary)
    return codec.decode(tokens, middles).reshape(-1, POSITIONS)


def limits_of(coder: Coder, condition: Condition) -> tuple[dict[int, Limit], bool]:
    """Limits by position among the drawn columns, and whether they alone make a row hold.

    They do not where a clause names a number that is computed or follows others.

    Raises:
        ImpossibleConditionError: No token is left (SYN-711).
    """
    out: dict[int, Limit] = {}
    alone = True
    for clause in condition.clauses:
        for i, drawn in enumerate(coder.drawn):
            if drawn.field.column != clause.field:
                continue
            limit = _limit(drawn, clause)
            if limit is not None:
                out[i] = limit
        parts = [f for f in coder.fields if f.column == clause.field and f.part != "second"]
        fixed = {coder.drawn[i].field.name for i, v in out.items() if not isinstance(v, RowRange)}
        alone &= fixed.issuperset(f.name for f in parts)
    return out, alone


def _limit(drawn: Drawn, clause: Clause) -> Limit | None:
    codec, field = drawn.codec, drawn.field
    if clause.missing:
        if field.part == "second":
            return None
        if codec.missing_token < 0:
            raise _impossible(clause, "nothing is missing in this column")
        return _only([codec.missing_token], drawn.vocabulary)
    if isinstance(codec, Category):
        tokens = [i for i, label in enumerate(codec.labels) if label in clause.labels]
        if not tokens:
            known = ", ".join(codec.labels[:8])
            raise _impossible(clause, f"the model draws none of these labels, but {known}")
        return _only(tokens, drawn.vocabulary)
    grid = grid_of(codec)
    if drawn.relation is not None or field.part in ("second", "gap"):
        lone = drawn.open_plain and drawn.plain is not None
        plain = grid_of(drawn.plain) if lone and drawn.plain else np.zeros((0, POSITIONS))
        if field.part in CLOCKS:
            plain = to_clock(plain, field.part)
        return RowRange(drawn, clause.low, clause.high, grid, plain)
    low, high = clause.low, clause.high
    if field.part == "day":
        low, high = np.floor(low / _DAY_S), np.floor(high / _DAY_S)
    if field.part in CLOCKS:
        grid = to_clock(grid, field.part)
    limit = Range(grid, low, high)
    if not limit.shares({}).any():
        ends = f"{np.nanmin(grid):g} to {np.nanmax(grid):g}" if np.isfinite(grid).any() else "none"
        raise _impossible(clause, f"no value of the model lies there (values: {ends})")
    return limit


def _only(tokens: list[int], vocabulary: int) -> Tokens:
    left = np.zeros(vocabulary, np.float32)
    left[tokens] = 1
    return Tokens(left)


def _own(bound: float, field: Field, *, up: bool) -> float:
    """A bound of the column in units of the field: minutes or seconds for a clock."""
    if field.part not in CLOCKS or not math.isfinite(bound):
        return bound
    whole = math.ceil(bound) if up else math.floor(bound)
    return float(from_clock(np.array([float(whole)]), field.part)[0])


def _impossible(clause: Clause, why: str) -> ImpossibleConditionError:
    return ImpossibleConditionError(
        f"The condition {clause.text()} has no chance under this model: {why}.",
        hint="a label or range that the source holds, by enough subjects",
        clause=clause.text(),
    )
