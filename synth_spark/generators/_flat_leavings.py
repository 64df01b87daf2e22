"""What known cells leave for missing ones: parts of known sums, earlier ones of known times.

Where all other parts are known, what is left is worked out before anything is drawn; where another
part is drawn first, as soon as it is there. A known later time and a gap of the model's own give
the earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values, known_first, missing
from synth_spark.generators._flat_chance import IMPOSSIBLE, ends, span
from synth_spark.generators._flat_conditions import DAY_S, seconds_of
from synth_spark.generators._flat_fields import Field, split
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._flat_week import WEEK_DAYS, week_day

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Leavings:
    """What follows from the known cells of a table's rows."""

    coder: Coder

    def known(self, records: Records) -> dict[str, Values]:
        """The known cells by field, missing ones missing; "@NAME" a time as seconds since 1970."""
        out = split(self.coder.schema, self.coder.fields, records)
        times = {f.column: np.asarray(records.columns[f.column]) for f in self.gaps}
        return out | {f"@{n}": _seconds(v) for n, v in times.items()}

    def bound(self, known: Mapping[str, Values]) -> set[str]:
        """The fields that what is known may leave one value for."""
        sums = [r for r in self.coder.computed if not missing(known[r.child]).all()]
        out = {n for r in sums for n in r.parents}
        return out | {f.name for f in self.gaps if not missing(known[f"@{f.column}"]).all()}

    def worked_back(self, known: dict[str, Values]) -> None:
        """Missing parts of what is computed: where all others are known, what they leave."""
        for relation in self.coder.computed:
            for parent in relation.parents:
                left = relation.left_for(parent)
                if left is not None:
                    known[parent] = known_first(known[parent], self._finite(parent, left(known)))

    def implied(
        self, c: int, drawn: Mapping[str, Values], known: Mapping[str, Values]
    ) -> Reals | None:
        """What known computed fields and known times leave for a number; NaN where nothing."""
        field = self.coder.drawn[c].field
        if field.part == "gap":
            later = np.asarray(known[f"@{field.column}"])
            return np.asarray(later - seconds_of(drawn, field.after))
        merged = {**known, **drawn}
        out: Values | None = None
        for relation in self.coder.computed:
            left = relation.left_for(field.name)
            if left is not None and not missing(known[relation.child]).all():
                value = self._finite(field.name, left(merged))
                out = value if out is None else known_first(out, value)
        return None if out is None else np.asarray(out)

    def _finite(self, name: str, value: Reals) -> Reals:
        """Values on the lattice of a field, NaN where there is none; shape as `value`."""
        column = next((d for d in self.coder.drawn if d.field.name == name), None)
        scale = 0
        if column is not None:
            grid = column.codec.lattice if column.relation is None else column.relation.grid
            scale = grid[0]
        value = np.where(np.isfinite(value), value, np.nan)
        return np.rint(value * scale) / scale if scale else value

    def doubt(self, c: int, token: NDArray[np.int32], value: Reals) -> Reals:
        """Nats against worked-out values: log of how many share the token; (rows,).

        Of a field with a residual `log_width` counts them. Beyond all values of the column there
        are none.
        """
        column = self.coder.drawn[c]
        if column.relation is not None:
            return np.zeros(len(value))
        low, high = span(self.coder, column.field.name)
        slack = 1e-6 + 1e-9 * np.abs(value)
        with np.errstate(invalid="ignore"):
            stray = (value < low - slack) | (value > high + slack)
        return _many(column.codec)[token] + IMPOSSIBLE * stray

    def gone_back(
        self, known: dict[str, Values], pool: Mapping[str, Values], rng: np.random.Generator
    ) -> Reals:
        """Missing earlier times of known later ones: the later less a gap of the model's own.

        What that adds to the log weights: each gap's density is undone, as the network gives its
        own, and the earlier time's day and second are told as one of many in their tokens.
        """
        rows = len(next(iter(known.values())))
        log_weight = np.zeros(rows)
        for field in self.gaps:
            later, day = np.asarray(known[f"@{field.column}"]), f"{field.after}#day"
            need = np.flatnonzero(np.isfinite(later) & missing(known[day]))
            gaps = np.asarray(pool[field.name], np.float64)
            gaps = gaps[np.isfinite(gaps)]
            if not len(need) or not len(gaps):
                continue
            c = next(i for i, d in enumerate(self.coder.drawn) if d.field is field)
            column = self.coder.drawn[c]
            gap = gaps[rng.integers(len(gaps), size=len(need))]
            share = np.bincount(column.codec.encode(gaps), minlength=column.vocabulary) / len(gaps)
            token = column.codec.encode(gap)
            log_weight[need] -= np.log(share[token]) - _many(column.codec)[token]
            earlier = later[need] - gap
            parts = {day: np.floor(earlier / DAY_S)}
            parts[f"{field.after}#second"] = earlier - parts[day] * DAY_S
            name = f"{field.after}#week day"
            if name in known:
                known[name] = _with(known[name], need, week_day(parts[day].astype(np.int64)))
            for name, value in parts.items():
                if name in known:
                    whole = np.array(known[name], np.float64)
                    whole[need] = value
                    known[name] = whole
                    codec = next(d.codec for d in self.coder.drawn if d.field.name == name)
                    log_weight[need] -= _many(codec)[codec.encode(value)]
        return log_weight

    @property
    def gaps(self) -> tuple[Field, ...]:
        """The fields of times that are drawn as what lies between them and an earlier one."""
        return tuple(f for f in self.coder.fields if f.part == "gap")


def _with(values: Values, rows: NDArray[np.int64], of_week: NDArray[np.int64]) -> Coded:
    """Week days with those of some rows told."""
    assert isinstance(values, Coded)
    codes = values.codes.copy()
    codes[rows] = of_week
    return Coded(codes, WEEK_DAYS)  # `split` codes them by the same labels


def _many(codec: Any) -> Reals:
    """Log of how many values each token stands for, up to one factor for all; (vocabulary,)."""
    low, high = ends(codec, np.arange(codec.vocabulary, dtype=np.int32))
    scale = codec.lattice[0]
    steps = np.nan_to_num(high - low) * (scale or 1)
    return np.asarray(np.log(steps + (1 if scale else 1e-6)))


def _seconds(times: NDArray[np.datetime64]) -> Reals:
    """Times as seconds since 1970, NaN where missing; shape (rows,)."""
    us = times.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(times), np.nan, us / 1e6)
