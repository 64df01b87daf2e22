"""Which columns are computed from others: the candidates of one sample, see `formula.py`.

A candidate is held against the sample's first rows, then against all of it, and later counted over
all records. Numbers of a flat table are left out: there the generators look for relations
themselves and draw what is only near to one. A table of events has no such search, and a number
that is nearly the sum of two others is told from a real one at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._calendar import DAY_US, HOUR_US, MINUTE_US, SECOND_US, WRITTEN
from synth_spark.columns._determined_tables import codes_of
from synth_spark.columns.formula import SLIPS, Form, Formula, Rounding, kept
from synth_spark.core.batch import Records
from synth_spark.core.schema import Column, Schema

Reals = NDArray[np.float64]
_SCREEN_ROWS = 300
_LEAST_KNOWN = 50  # rows
_LEAST_VALUES = 8  # of a child: fewer are a table's work
_MOST_NUMBERS = 32
_MOST_DIGITS = 6
_UNITS_US = (float(SECOND_US), float(MINUTE_US), float(HOUR_US), 1e3, 1.0, float(DAY_US))
_GRIDS_US = (
    1,
    1_000,
    SECOND_US,
    MINUTE_US,
    *(k * MINUTE_US for k in (5, 10, 15, 30)),
    HOUR_US,
    DAY_US,
)
_MOVED_PARTS = (  # that a time with a number added is tried as
    "HHMM", "HHMMSS", "hour", "minute of day", "second of day", "day", "YYYYMMDD",
    "minutes since 1970", "seconds since 1970", "milliseconds since 1970",
)  # fmt: skip
_ROUNDINGS: tuple[Rounding, ...] = ("nearest", "down", "up")


def written(schema: Schema, sample: Records, min_subjects: int) -> tuple[Formula, ...]:
    """Columns that are a time, rounded down or written as a number; no two for one child."""
    some = _Sample(schema, sample, min_subjects)
    found: dict[str, Formula] = {}
    for child in some.children():
        if child.name not in found:
            gone = set(found)
            tried = [(t,) for t in some.times if t not in {child.name, *gone}]
            formula = some.first(child, some.of_times(child, tried))
            if formula is not None:
                found[child.name] = formula
    return tuple(found.values())


def added(
    schema: Schema, sample: Records, removed: Collection[str], min_subjects: int
) -> tuple[Formula, ...]:
    """Columns that hang on two or more others; what is found first may hang on what comes later.

    Args:
        schema: Of the table.
        sample: Some of its records.
        removed: Columns that are left out already.
        min_subjects: So many must speak for a formula.
    """
    some = _Sample(schema, sample, min_subjects)
    gone = set(removed)
    found: list[Formula] = []
    for child in some.children():
        if child.name in gone:
            continue
        times = [t for t in some.times if t not in {child.name, *gone}]
        numbers = [n for n in some.numbers if n not in {child.name, *gone}]
        tried: Iterable[Formula] = some.of_times(child, [(t, n) for t in times for n in numbers])
        formula = some.first(child, tried)
        if formula is None and child.kind == "number":
            formula = some.first(child, some.apart(child, times))
            if formula is None and schema.shape == "events":
                formula = some.first(child, some.of_numbers(child, numbers))
        if formula is not None:
            found.append(formula)
            gone.add(child.name)
    return tuple(found)


class _Sample:
    """Some records, and what is tried on them."""

    def __init__(self, schema: Schema, sample: Records, min_subjects: int) -> None:
        self.schema, self.sample, self.min_subjects = schema, sample, min_subjects
        rows = np.unique(np.linspace(0, max(sample.rows - 1, 0), _SCREEN_ROWS).astype(np.int64))
        few = {c.name: sample.columns[c.name][rows] for c in schema.of_kind("time", "number")}
        self.few = Records.flat(few)
        self.times = [c.name for c in schema.of_kind("time")]
        self.sizes = {c.name: codes_of(sample.columns[c.name])[1] for c in self._all()}
        numbers = [c.name for c in schema.of_kind("number") if self.sizes[c.name] >= 2]
        self.numbers = numbers[:_MOST_NUMBERS]
        self.grids = {n: _grid(np.asarray(sample.columns[n], np.float64)) for n in self.numbers}

    def _all(self) -> tuple[Column, ...]:
        return self.schema.of_kind("time", "number")

    def children(self) -> list[Column]:
        """What may be computed: times first, then numbers, the widest first."""
        out = [c for c in self._all() if c.name != self.schema.time]
        out = [c for c in out if self.sizes[c.name] >= _LEAST_VALUES and self._known(c)]
        return sorted(out, key=lambda c: (c.kind != "time", -self._spread(c)))

    def _known(self, column: Column) -> bool:
        values = np.asarray(self.sample.columns[column.name])
        there = ~np.isnat(values) if column.kind == "time" else ~np.isnan(values)
        return bool(there.sum() >= _LEAST_KNOWN) and (
            column.kind == "time" or column.name in self.grids
        )

    def _spread(self, column: Column) -> float:
        if column.kind == "time":
            return 0.0
        return float(np.nanstd(np.asarray(self.sample.columns[column.name], np.float64)))

    def first(self, child: Column, formulas: Iterable[Formula]) -> Formula | None:
        """The first that holds on the sample."""
        for formula in formulas:
            if child.per == "subject" and any(
                self.schema.column(p).per != "subject" for p in formula.parents
            ):
                continue
            near = formula.off(self.few).mean() <= 10 * SLIPS
            if near and kept(formula.counted(self.sample), self.min_subjects):
                return formula
        return None

    def of_times(self, child: Column, parents: Iterable[tuple[str, ...]]) -> Iterator[Formula]:
        """The child as a time, with a number added if there are two parents."""
        form: Form = "time" if child.kind == "time" else "part"
        whole = child.kind == "time" or self.grids[child.name] >= 1
        for names in parents if whole else ():
            gaps = [n for n in names[1:] if np.isnan(np.asarray(self.few.columns[n])).any()]
            units = _UNITS_US if form == "time" else _UNITS_US[:3]
            for unit in units if len(names) == 2 else (1.0,):
                for zeros in (False, True) if gaps else (False,):
                    moved = Formula(
                        child=child.name, form=form, parents=names, unit=unit, zeros=zeros
                    )
                    yield from self._clocks(moved) if form == "time" else self._parts(moved)

    def _clocks(self, moved: Formula) -> Iterator[Formula]:
        """A time rounded down to the coarsest grid that the child has, or moved by a constant."""
        own = np.asarray(self.few.columns[moved.child]).astype("datetime64[us]")
        us = own[~np.isnat(own)].astype(np.int64)
        grids = [g for g in _GRIDS_US if not (us % g).any()]
        if not len(us) or not grids:
            return
        yield replace(moved, grid=float(grids[-1]))
        made = np.asarray(moved.completed(self.few)[moved.child]).astype("datetime64[us]")
        both = ~np.isnat(own) & ~np.isnat(made)
        if both.sum() >= _LEAST_KNOWN // 5:
            offset = float(np.median((own[both] - made[both]).astype(np.int64)))
            if offset and offset % (15 * MINUTE_US) == 0:  # a zone of time
                yield replace(moved, grid=float(grids[0]), offset=offset)

    def _parts(self, moved: Formula) -> Iterator[Formula]:
        """A number that a time is written as, but for a constant."""
        own = np.asarray(self.few.columns[moved.child], np.float64)
        us, known = moved.moved(self.few)
        both = np.isfinite(own) & known
        if both.sum() < _LEAST_KNOWN // 5:
            return
        for part in WRITTEN if len(moved.parents) == 1 else _MOVED_PARTS:
            apart = own[both] - WRITTEN[part](us[both])
            offset = float(np.median(apart))
            if (apart == offset).mean() > 0.9:
                yield replace(moved, part=part, offset=offset)

    def apart(self, child: Column, times: list[str]) -> Iterator[Formula]:
        """The child as the time between two times."""
        for a, b in combinations(times, 2):
            for pair in ((a, b), (b, a)):
                for unit in _UNITS_US:
                    for rounding in _ROUNDINGS:
                        yield Formula(
                            child=child.name, form="apart", parents=pair, unit=unit,
                            grid=self.grids[child.name], rounding=rounding,
                        )  # fmt: skip

    def of_numbers(self, child: Column, numbers: list[str]) -> Iterator[Formula]:
        """The child as a multiple, a sum, a difference or a product of numbers."""
        y, grid = np.asarray(self.few.columns[child.name], np.float64), self.grids[child.name]
        fine = [n for n in numbers if self.sizes[n] >= self.sizes[child.name]]
        for x in fine:
            yield from _scaled(
                Formula(child=child.name, form="scale", parents=(x,), grid=grid), y, self.few
            )
        for a, b in combinations(numbers, 2):
            for signs in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)):
                for zeros in (False, True):
                    yield Formula(
                        child=child.name, form="sum", parents=(a, b), signs=signs, grid=grid,
                        zeros=zeros,
                    )  # fmt: skip
            yield from _scaled(
                Formula(child=child.name, form="product", parents=(a, b), grid=grid), y, self.few
            )
        yield from self._sum(child, numbers)

    def _sum(self, child: Column, numbers: list[str]) -> Iterator[Formula]:
        """Of more than two: those to which least squares gives 1 or -1, and 0 to the others."""
        names = [child.name, *numbers]
        table = np.column_stack([np.asarray(self.few.columns[n], np.float64) for n in names])
        table = table[np.isfinite(table).all(axis=1)]
        if len(table) < 4 * len(names) or len(numbers) < 3:
            return
        spreads = np.where(table.std(axis=0) > 0, table.std(axis=0), 1.0)
        centred = (table - table.mean(axis=0)) / spreads
        fitted = np.linalg.lstsq(centred[:, 1:], centred[:, 0], rcond=None)[0]
        weights = fitted * spreads[0] / spreads[1:]
        signs = np.rint(weights)
        heavy = (np.abs(weights) > 0.5) & (np.abs(signs) == 1)
        if heavy.sum() < 3:
            return
        parents = tuple(n for n, h in zip(numbers, heavy, strict=True) if h)
        yield Formula(
            child=child.name, form="sum", parents=parents, signs=tuple(signs[heavy].tolist()),
            grid=self.grids[child.name],
        )  # fmt: skip


def _scaled(plain: Formula, y: Reals, few: Records) -> Iterator[Formula]:
    """With the median factor, and with the nearest k or 1/k, rounded in each way."""
    x = np.asarray(replace(plain, grid=0.0).completed(few)[plain.child])
    with np.errstate(all="ignore"):
        large = (
            np.abs(x) > np.nanmedian(np.abs(x)) if np.isfinite(x).any() else np.zeros(len(x), bool)
        )
        ratio = (y / x)[large]
    ratio = ratio[np.isfinite(ratio) & (ratio != 0)]
    if len(ratio) < _LEAST_KNOWN // 5:
        return
    k = float(np.median(ratio))
    near = float(np.rint(k)) if abs(k) >= 1 else 1 / float(np.rint(1 / k))
    for factor in [near, k] if abs(near / k - 1) < 0.1 and near != k else [k]:
        for rounding in _ROUNDINGS if plain.form == "scale" else _ROUNDINGS[:1]:
            yield replace(plain, unit=factor, rounding=rounding)


def _grid(x: Reals) -> float:
    """The step 10^-k of which all values are multiples, k from 0; 0 if there is none."""
    x = x[np.isfinite(x)][:5_000]
    for digits in range(_MOST_DIGITS + 1):
        steps = np.round(x, digits)
        if ((steps != 0) == (x != 0)).all() and np.allclose(
            x, steps, rtol=0, atol=10.0 ** -(digits + 4)
        ):
            return 10.0**-digits
    return 0.0
