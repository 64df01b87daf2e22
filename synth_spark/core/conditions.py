"""Conditions: what a drawn subject must hold, as the plan says it and as a model is asked for it.

    Churn=Yes              one label           plan=prepaid|postpaid   one of several
    tenure=1..12           from 1 to 12        tenure=..12             at most 12
    radio=                 missing             joined=2024-01-01..     a time, from that day on
    hour=18..20            of the time of events: in these hours (whole hours, both included)
    weekday=sat|sun        of the time of events
    family=cdr             the records' own family, which changes nothing; another is refused

Several clauses may stand in one text, parted by spaces: see `core/clause_texts.py`.
A clause on a column of events holds for every event of the subject. A model meets a condition by
drawing from what is left of its own distribution; nothing is drawn and thrown away until it fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, told_label
from synth_spark.core.clause_texts import label_text, labels_of, split_clauses
from synth_spark.core.schema import Column, Schema
from synth_spark.errors import SynthError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK_FIELDS = ("hour", "weekday")  # of the time of events, where no column has the name
FAMILY_FIELD = "family"  # of the records as a whole, where no column has the name
_EXACT = 2.0**24  # beyond, whole numbers lie closer than a float32 tells


class BadConditionError(SynthError):
    """A condition names an unknown field, or cannot be read."""

    code = "SYN-710"


class ImpossibleConditionError(SynthError):
    """The model gives what the condition asks for no chance."""

    code = "SYN-711"


class CannotConditionError(SynthError):
    """The generator cannot draw under this condition, by its construction."""

    code = "SYN-712"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What one field must be: one of `labels`, or from `low` to `high`, or missing.

    Times are seconds since 1970-01-01 on the source's clock. For a category and for `weekday` the
    labels count, for all others the range; both bounds are included.
    """

    field: str  # a column, or one of CLOCK_FIELDS
    labels: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    missing: bool = False  # must be missing; the rest is then empty
    loose: bool = False  # labels that a model does not know are passed over, if it knows another

    def names(self, labels: Iterable[str | None]) -> list[bool]:
        """Whether each label is one of those asked for; all rare ones are one."""
        wanted = {told_label(label) for label in self.labels}
        return [told_label(label) in wanted for label in labels]

    def holds(self, values: Any) -> Any:
        """Whether numbers lie in the range; NaN does where `missing` is asked for. As `values`.

        A bound such as 0.7 is met by a value that lies off it by the noise of floats only.
        """
        if self.missing:
            return np.isnan(values)
        low, high = _widened(self.low, -1), _widened(self.high, 1)
        return (values >= low) & (values <= high)

    def text(self) -> str:
        """The clause as it is written in a plan, for messages."""
        if self.missing:
            return f"{self.field}="
        if self.labels:
            return f"{self.field}={'|'.join(label_text(v) for v in self.labels)}"
        low, high = (("" if math.isinf(v) else f"{v:g}") for v in (self.low, self.high))
        return f"{self.field}={low}" if low == high else f"{self.field}={low}..{high}"


def _widened(bound: float, way: int) -> float:
    """A bound moved by what a float32 of it is off, or by the last digits of a float64.

    Of up to four decimals: the last microsecond before a time's end stays what it is.
    """
    if not abs(bound) < _EXACT or bound != round(bound, 4):
        return bound
    off = abs(float(np.float32(bound)) - bound)
    return bound + way * max(off, 1e-14 * abs(bound))


@dataclass(frozen=True, slots=True)
class Condition:
    """Clauses that all hold for a subject, at most one a field."""

    clauses: tuple[Clause, ...]

    def of(self, field: str) -> Clause | None:
        """The clause on a field, if there is one."""
        return next((c for c in self.clauses if c.field == field), None)

    def text(self) -> str:
        """For messages."""
        return " ".join(c.text() for c in self.clauses)

    @classmethod
    def parse(cls, texts: Iterable[str], schema: Schema) -> Self:
        """Clauses from their texts, one or several in each, by the kinds of the schema's columns.

        Raises:
            BadConditionError: No such field, a value of the wrong kind, a field twice, or another
                family than the records' (SYN-710).

        Example:
            >>> from synth_spark.core.schema import Column, Schema
            >>> table = Schema(family="table", shape="flat", columns=(
            ...     Column(name="plan", kind="category"), Column(name="months", kind="number")))
            >>> Condition.parse(["plan=basic|plus", "months=1..12"], table).clauses[1].high
            12.0
        """
        clauses = tuple(
            _clause(text, schema) for text in _each(texts, schema) if not _of_family(text, schema)
        )
        names = [c.field for c in clauses]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise BadConditionError(
                f"The condition names {twice[0]} twice.",
                hint=f"one clause: {twice[0]}=a|b or {twice[0]}=low..high",
                field=twice[0],
            )
        return cls(clauses)


def _each(texts: Iterable[str], schema: Schema) -> list[str]:
    """One text a clause."""
    fields = [c.name for c in schema.columns] + [FAMILY_FIELD]
    fields += CLOCK_FIELDS if schema.time else ()
    return [clause for text in texts for clause in split_clauses(text, fields)]


def _of_family(text: str, schema: Schema) -> bool:
    """Whether a clause names the family of the records, so that nothing is left of it.

    Raises:
        BadConditionError: It names another one (SYN-710).
    """
    field, _, value = text.partition("=")
    named = any(c.name == FAMILY_FIELD for c in schema.columns)
    if field.strip() != FAMILY_FIELD or named:
        return False
    asked = labels_of(value)
    if schema.family not in asked:
        raise BadConditionError(
            f"{text.strip()!r}: these records are of {schema.family}.",
            hint=f"{FAMILY_FIELD}={schema.family}, or leave it out; for another, other records",
            family=schema.family, asked=asked,
        )  # fmt: skip
    return True


def _clause(text: str, schema: Schema) -> Clause:
    field, equals, value = text.partition("=")
    field, value = field.strip(), value.strip()
    if not equals or not field:
        raise BadConditionError(
            f"{text!r} is not a condition.", hint="column=value, column=low..high", text=text
        )
    named = {c.name: c for c in schema.columns}
    if field not in named:
        return _clock_clause(field, value, text, schema, list(named))
    column = named[field]
    if column.kind in ("identifier", "place", "text"):
        raise BadConditionError(
            f"{field} is of kind {column.kind}; a condition cannot name its values.",
            hint="a category, a number or a time",
            field=field,
        )
    if column.unique:
        raise BadConditionError(
            f"{field} is unique: its numbers are made anew, and a condition cannot name them.",
            hint="what it runs with, as a time",
            field=field,
        )
    if not value:
        return Clause(field=field, missing=True)
    if column.kind == "category":
        return Clause(field=field, labels=labels_of(value))
    low, high = _range(value, text, column)
    return Clause(field=field, low=low, high=high)


def _clock_clause(field: str, value: str, text: str, schema: Schema, known: list[str]) -> Clause:
    clocked = CLOCK_FIELDS if schema.time else ()
    if field not in clocked or not value:
        near = get_close_matches(field, [*known, *clocked], n=1)
        raise BadConditionError(
            f"{field} is not a field of these records.",
            hint=f"{near[0]!r}?" if near else f"one of {', '.join([*known, *clocked])}",
            field=field,
        )
    if field == "hour":
        low, high = _range(value, text, None)
        if not 0 <= low <= high <= 23:
            raise BadConditionError(
                f"{text!r}: hours go from 0 to 23.", hint="hour=18..20", text=text
            )
        return Clause(field=field, low=math.ceil(low), high=math.floor(high))
    labels = tuple(v.lower()[:3] for v in labels_of(value))
    wrong = [v for v in labels if v not in WEEKDAYS]
    if wrong:
        raise BadConditionError(
            f"{text!r}: {wrong[0]} is no day.", hint=f"of {', '.join(WEEKDAYS)}", text=text
        )
    return Clause(field=field, labels=labels)


def _range(value: str, text: str, column: Column | None) -> tuple[float, float]:
    low, dots, high = value.partition("..")
    time = column is not None and column.kind == "time"
    try:
        ends = [
            _moment(v, last=bool(i)) if time else float(v)
            for i, v in enumerate((low, high or low))
            if v
        ]
    except ValueError:
        kind = "time" if time else "number"
        raise BadConditionError(
            f"{text!r}: {value!r} is not a {kind} or a range of them.",
            hint="2024-01-01..2024-03-31" if time else "12 or 1..12",
            text=text,
        ) from None
    if not dots:
        bounds = (ends[0], ends[-1])
    else:
        bounds = (ends[0] if low else -math.inf, ends[-1] if high else math.inf)
    if not bounds[0] <= bounds[1]:  # NaN fails too
        raise BadConditionError(f"{text!r}: the range is empty.", hint="low..high", text=text)
    return bounds


def _moment(value: str, *, last: bool) -> float:
    """Seconds since 1970; for the end of a range a whole day, minute or second counts."""
    moment = np.datetime64(value.strip())
    if np.isnat(moment):
        raise ValueError(value)
    micros = moment.astype("datetime64[us]").astype(np.int64)
    if last:
        after = (moment + 1).astype("datetime64[us]").astype(np.int64)
        micros = max(micros, after - 1)
    return float(micros) / 1e6


def holding(condition: Condition, records: Records, time: str = "") -> NDArray[np.bool_]:
    """Which rows hold all clauses, shape (rows,); `time` is the column of the events' times."""
    keep = np.ones(records.rows, bool)
    for clause in condition.clauses:
        keep &= _holds(clause, time, records)
    return keep


def held_rows(condition: Condition, schema: Schema, records: Records) -> Records:
    """The rows that hold all clauses; subjects without any are left out.

    Args:
        condition: What is to hold.
        schema: Of the records.
        records: Whole subjects.
    """
    keep = holding(condition, records, schema.time)
    lengths = np.bincount(records.owners[keep], minlength=records.subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths[lengths > 0])]).astype(np.int64)
    return Records({name: v[keep] for name, v in records.columns.items()}, offsets)


def _holds(clause: Clause, time: str, records: Records) -> NDArray[np.bool_]:
    if clause.field in records.columns:
        values = records.columns[clause.field]
        if isinstance(values, Coded):
            return np.array([*clause.names(values.labels), clause.missing], bool)[values.codes]
        array = np.asarray(values)
        if array.dtype.kind == "M":
            us = array.astype("datetime64[us]").astype(np.int64)
            array = np.where(np.isnat(array), np.nan, us / 1e6)
        return np.asarray(clause.holds(array))
    hours = np.asarray(records.columns[time]).astype("datetime64[h]").astype(np.int64)
    if clause.field == "hour":
        return np.asarray(clause.holds(hours % 24))
    days = [WEEKDAYS.index(v) for v in clause.labels]
    return np.isin((hours // 24 + 3) % 7, days)  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Share:
    """A condition and how many of the subjects hold it."""

    condition: Condition
    subjects: int
