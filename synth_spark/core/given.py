"""A table of conditions: each row asks for one subject that holds the row's values.

Its columns are columns of the records, under the source's names or the run's; of events also `hour`
and `weekday`. A missing cell asks for nothing. Ids and log lines are made anew for every synthetic
subject, so such columns are left out, and the run says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import (
    CLOCK_FIELDS,
    BadConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.schema import Column, Schema
from synth_spark.errors import SynthError

BLOCK_ROWS = 4_096  # rows that are completed together, at most
ROW = "_given_row"  # the column of the delivered twin that names a subject's row, from 0
Holds = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
SHOWN = 3  # faults that an error names
MADE_ANEW = ("identifier", "text")
CLOCK = "clock"  # the type of `hour` and `weekday`, which are no columns of the records
DAY_S = 86_400.0


class BadGivenError(SynthError):
    """A table of conditions does not fit the records."""

    code = "SYN-713"


class TooManyGivenError(SynthError):
    """A table of conditions has more distinct rows than a generator can be asked for."""

    code = "SYN-714"


@dataclass(frozen=True, slots=True)
class Asked:
    """The columns of a table of conditions."""

    schema: Schema  # flat; the columns that count, in the records' order
    names: dict[str, str]  # column to its name in the table
    left_out: tuple[str, ...]  # names of columns whose values are made anew

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns that count."""
        return tuple(c.name for c in self.schema.columns)

    def sentence(self) -> str:
        """What is left out, for the screen and the report; empty if nothing is."""
        if not self.left_out:
            return ""
        return f"sample.given: {', '.join(self.left_out)} left out: made anew for every subject"


def asked_columns(there: Sequence[str], schema: Schema, sources: Mapping[str, str]) -> Asked:
    """Which columns of the records a table of conditions has.

    Args:
        there: Names in the table.
        schema: Of the records.
        sources: Column of the records to its name in the source.

    Raises:
        BadConditionError: A column that the records do not have (SYN-710).
        BadGivenError: Half of a place, one column twice, or nothing to hold (SYN-713).
    """
    known = {c.name: c for c in (*([schema.key] if schema.key else []), *schema.columns)}
    by_name = {**{n: n for n in known}, **{s: n for n, s in sources.items() if n in known}}
    if schema.time:
        clock = {n: _clock(n) for n in CLOCK_FIELDS if n not in known}
        known |= clock
        by_name |= {n: n for n in clock if n not in by_name}
    names: dict[str, str] = {}
    for name in there:
        if name not in by_name:
            near = get_close_matches(name, by_name, n=1)
            raise BadConditionError(
                f"sample.given has a column {name}, which is not one of these records.",
                hint=f"{near[0]!r}?" if near else f"of {', '.join(by_name)}; or take it out",
                field=name,
            )
        if by_name[name] in names:
            raise BadGivenError(
                f"sample.given has {by_name[name]} twice: as {names[by_name[name]]} and {name}.",
                hint="take one out",
                columns=[names[by_name[name]], name],
            )
        names[by_name[name]] = name
    key = schema.key.name if schema.key else ""
    anew = [n for n in names if n == key or known[n].kind in MADE_ANEW or known[n].unique]
    kept = tuple(c for n, c in known.items() if n in names and n not in anew)
    _check_kept(kept, known)
    flat = Schema(family="table", shape="flat", columns=kept)
    return Asked(flat, names, tuple(names[n] for n in anew))


def _clock(name: str) -> Column:
    return Column(name=name, kind="number" if name == "hour" else "category", source_type=CLOCK)


def _check_kept(kept: Sequence[Column], known: Mapping[str, Column]) -> None:
    if not kept:
        raise BadGivenError(
            "sample.given has no column that a subject could hold.",
            hint="a category, a number, a time or a place of these records",
        )
    names = {c.name for c in kept}
    for column in kept:
        if column.kind != "place":
            continue
        halves = {column.partner} if column.partner else set()
        halves |= {c.name for c in known.values() if c.partner == column.name}
        if halves - names:
            raise BadGivenError(
                f"sample.given has {column.name} without {', '.join(sorted(halves - names))}.",
                hint="both halves of a place, or neither",
                column=column.name,
            )


def condition_of(asked: Asked, values: Mapping[str, Any], more: Sequence[Clause] = ()) -> Condition:
    """What one row asks for: a clause for every cell that is there, after those of all rows.

    Args:
        asked: The table's columns.
        values: By column a text, a number, seconds since 1970, or None.
        more: Clauses that hold for every row.
    """
    clauses = list(more)
    for column in asked.schema.columns:
        value = values.get(column.name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if column.kind == "category":
            label = str(value).lower()[:3] if column.source_type == CLOCK else str(value)
            clauses.append(Clause(field=column.name, labels=(label,)))
            continue
        low = float(value)
        clauses.append(Clause(field=column.name, low=low, high=low + _width(column, low)))
    return Condition(tuple(clauses))


def row_text(asked: Asked, condition: Condition) -> str:
    """A row's condition for messages, its times as times."""
    times = {c.name for c in asked.schema.columns if c.kind == "time"}
    return " ".join(
        f"{c.field}={np.datetime64(round(c.low * 1e6), 'us').item():%Y-%m-%d %H:%M:%S}"
        if c.field in times
        else c.text()
        for c in condition.clauses
    )


def _width(column: Column, low: float) -> float:
    """What lies under one value: of a date its day, of another time its second."""
    if column.kind != "time":
        return 0.0
    dated = column.source_type == "date" or low % DAY_S == 0
    return DAY_S - 1e-6 if dated else 1 - 1e-6


def held_exactly(asked: Asked, condition: Condition, records: Records) -> Records:
    """Drawn records with the numbers and times of a row as it has them, to the last digit."""
    columns = dict(records.columns)
    for column in asked.schema.columns:
        clause = condition.of(column.name)
        if clause is None or clause.labels or column.name not in columns:
            continue
        old = np.asarray(columns[column.name])
        value: Any = clause.low
        if old.dtype.kind == "M":
            value = np.datetime64(round(clause.low * 1e6), "us")
        columns[column.name] = np.full(len(old), value, old.dtype)
    return replace(records, columns=columns)


@dataclass(frozen=True, slots=True)
class Among:
    """For each row the values that a category or a number may take."""

    which: NDArray[np.int64]  # (rows,), position in `sets` or `holds`; -1: any value
    sets: tuple[frozenset[str | None], ...] = ()  # of a category; None stands for missing
    holds: tuple[Holds, ...] = ()  # of a number: which of some values, NaN for missing


def empty_like(column: Column, rows: int) -> Any:
    """A column of missing values."""
    if column.kind == "time":
        return np.full(rows, np.datetime64("NaT"), "datetime64[us]")
    if column.kind in ("number", "place"):
        return np.full(rows, np.nan)
    return Coded(np.full(rows, -1, np.int32), ())


def refuse_cells(unknown: Mapping[str, NDArray[np.bool_]], known: Records) -> None:
    """Refuse rows with a cell that a model could never draw.

    Args:
        unknown: By column which cells, each (rows,).
        known: The rows.

    Raises:
        ImpossibleConditionError: It names the first rows, counted from 0 (SYN-711).
    """
    found = sorted((int(r), n) for n, wrong in unknown.items() for r in np.flatnonzero(wrong))
    if not found:
        return
    said = []
    for row, name in found[:SHOWN]:
        value = known.columns[name]
        cell = value[[row]].texts()[0] if isinstance(value, Coded) else np.asarray(value)[row]
        said.append(f"row {row}: {name}={cell}")
    raise ImpossibleConditionError(
        f"Cells without a chance under the model: {len(found):,} (rows from 0): {'; '.join(said)}.",
        hint="a value that the records hold often enough, or an empty cell, which is drawn",
        rows=[row for row, _ in found[:SHOWN]],
    )
