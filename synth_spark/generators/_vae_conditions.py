"""What a condition leaves of each column that the autoencoder draws.

As `_flat_conditions.py`, but the second of a day is bound too, so that a range of times may begin
and end within a day, and places inside a token are chosen by the bounds that the row sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Look, curves, middles
from synth_spark.core.batch import Values
from synth_spark.core.conditions import Clause, Condition
from synth_spark.generators._flat_conditions import (
    DAY_S,
    Part,
    Reals,
    Sliding,
    Tokens,
    fixed,
    of_week,
    on_field,
    on_week_days,
    slides,
    with_clock,
)
from synth_spark.generators._flat_tokens import Coder, Drawn

PLACES = 128  # inside a token, that a range is checked on
LOOK = Look(PLACES, whole=0)


@dataclass(frozen=True, slots=True)
class Bounded(Sliding):
    """Draws at the places of a token that lie within the row's bounds."""

    grid: Reals  # (own tokens and bins, PLACES), values

    def values(self, tokens: Tokens, u: Reals, values: Mapping[str, Values]) -> Values:
        lone = tokens >= len(self.low)
        ends = zip(self.bounds(values), (self.clause.low, self.clause.high), strict=True)
        low, high = (np.where(lone, own, row)[:, None] for row, own in ends)
        held = (self.grid[tokens] >= low) & (self.grid[tokens] <= high)
        return self.drawn.values(tokens, positions(held, u), values)


def positions(held: NDArray[np.bool_], u: Reals) -> Reals:
    """A position among those that hold, by `u`; `u` itself where all or none do; (rows,).

    Args:
        held: (rows, places).
        u: (rows,) in [0, 1).
    """
    many = held.sum(axis=1)
    wanted = np.floor(u * many).astype(np.int64) + 1
    place = (np.cumsum(held, axis=1) >= wanted[:, None]).argmax(axis=1)
    return np.where((many == 0) | (many == held.shape[1]), u, (place + 0.5) / held.shape[1])


def limits_of(coder: Coder, condition: Condition) -> tuple[dict[int, Part], bool]:
    """Parts by position among the drawn columns, and whether they alone make a row hold.

    They do not where a clause names a number that is computed or follows others.

    Raises:
        ImpossibleConditionError: No token is left (SYN-711).
    """
    out: dict[int, Part] = {}
    alone = True
    for clause in condition.clauses:
        for i, drawn in enumerate(coder.drawn):
            unbound = clause.missing and drawn.field.part == "second"
            if drawn.field.column == clause.field and not unbound:
                out[i] = _part(coder, drawn, clause)
        parts = [f for f in coder.fields if f.column == clause.field and f.part != "second"]
        held = {coder.drawn[i].field.name for i, v in out.items() if not isinstance(v, Sliding)}
        alone &= held.issuperset(f.name for f in parts)
    return out, alone


def _part(coder: Coder, drawn: Drawn, clause: Clause) -> Part:
    asked = on_field(drawn.field, clause)
    if not clause.missing and slides(drawn):
        return _bounded(drawn, asked)
    if drawn.field.part == "week day" and not clause.missing:
        day = next(d for d in coder.drawn if d.field.name == f"{clause.field}#day")
        return on_week_days(drawn, _part(coder, day, clause))
    if drawn.field.part == "day" and not clause.missing and with_clock(coder, clause.field):
        low, high = np.floor(clause.low / DAY_S), np.floor(clause.high / DAY_S)
        asked = Clause(field=clause.field, low=float(low), high=float(high))
    return of_week(fixed(drawn, clause, asked, LOOK), asked)


def _bounded(drawn: Drawn, asked: Clause) -> Bounded:
    at = middles(PLACES)
    own, plain = curves(drawn.codec, at), drawn.plain if drawn.open_plain else None
    beside = curves(plain, at) if plain else np.zeros((0, PLACES))
    share = asked.holds(beside).mean(axis=1)
    return Bounded(drawn, asked, own.min(1), own.max(1), share, np.vstack([own, beside]))
