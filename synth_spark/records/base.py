"""What a record family is: columns with units, kinds and keys, rules, and the privacy unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.schema import Column, Kind, Schema, Shape

Rows = Mapping[str, NDArray[Any]]  # column -> (rows,): float64, datetime64[us], or object with None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that is true of every good row, with the sentence that a report prints.

    `holds` gets the rows and answers with a bool array of shape (rows,). A missing value must
    pass: that a value is there is a rule of its own. The rule is skipped where the source lacks
    one of its `columns`.
    """

    sentence: str
    columns: tuple[str, ...]
    holds: Callable[[Rows], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A canonical column of a family. Bounds are inclusive and in `unit`."""

    name: str
    kind: Kind
    spark_type: str
    unit: str = ""
    per: str = "event"  # subject: the same in every row of a subject
    partner: str = ""  # a place's latitudes name its longitudes
    counterpart: bool = False  # id of another subject
    required: bool = False
    low: float | None = None
    high: float | None = None
    standard: str = ""  # the field of 3GPP TS 32.298 (or another named standard)
    about: str = ""

    def rules(self) -> tuple[Rule, ...]:
        """What the field itself promises: that it is there, and within its bounds."""
        found = []
        if self.required:
            found.append(present(self.name))
        if self.low is not None or self.high is not None:
            found.append(within(self.name, self.low, self.high, self.unit))
        return tuple(found)

    def column(self) -> Column:
        """The field as a column of a schema."""
        return Column(
            name=self.name,
            kind=self.kind,
            source_type=self.spark_type,
            per="subject" if self.per == "subject" else "event",
            partner=self.partner,
            counterpart=self.counterpart,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFamily:
    """One kind of record. `fields` hold the key; a source need not have all of them."""

    name: str
    about: str
    shape: Shape
    privacy_unit: str  # the column whose owner is protected; empty: every row is its own owner
    key: str = ""
    time: str = ""
    fields: tuple[Field, ...] = ()
    own_rules: tuple[Rule, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The fields' rules, then the family's own; `check` counts in this order."""
        return tuple(r for f in self.fields for r in f.rules()) + self.own_rules

    def check(self, rows: Rows) -> NDArray[np.int64]:
        """The first rule that each row breaks, as a place in `rules`; -1 for a good row."""
        return first_broken(self.rules, rows)

    def rules_for(self, schema: Schema) -> tuple[Rule, ...]:
        """All rules for a table of this schema: those of any table, then the family's.

        Any table: the key and the time are there, numbers are finite, places are on Earth.
        """
        general = [present(schema.key.name)] if schema.key else []
        general += [present(schema.time)] if schema.time else []
        general += [finite(c.name) for c in schema.of_kind("number")]
        for column in schema.of_kind("place"):
            if column.partner:
                general.append(within(column.name, -90.0, 90.0, "°"))
                general.append(within(column.partner, -180.0, 180.0, "°"))
        known = {rule.sentence for rule in general}
        return (*general, *(r for r in self.rules if r.sentence not in known))

    def schema(self) -> Schema:
        """The schema of records that have every field but lines of text, which no rule can make."""
        named = {f.name: f.column() for f in self.fields if f.kind != "text"}
        key = named.pop(self.key, None)
        return Schema(
            family=self.name,
            shape=self.shape,
            columns=tuple(named.values()),
            key=key,
            time=self.time,
        )


def first_broken(rules: tuple[Rule, ...], rows: Rows) -> NDArray[np.int64]:
    """For each row the place of the first rule it breaks, -1 for none; shape (rows,).

    Example:
        >>> rows = {"a": np.array([1.0, -1.0, np.nan])}
        >>> first_broken((present("a"), within("a", 0.0, None, "s")), rows)
        array([-1,  1,  0])
    """
    count = len(next(iter(rows.values()))) if rows else 0
    broken = np.full(count, -1, dtype=np.int64)
    for place, rule in enumerate(rules):
        if all(column in rows for column in rule.columns):
            broken[(broken < 0) & ~rule.holds(rows)] = place
    return broken


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are missing: NaN, NaT or None; shape (rows,)."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind in "mM":
        return np.asarray(np.isnat(values))
    if values.dtype.kind == "O":
        return np.fromiter((v is None or v != v for v in values), np.bool_, len(values))  # noqa: PLR0124
    return np.zeros(len(values), dtype=np.bool_)


def present(column: str) -> Rule:
    """The rule that a value is there."""
    return Rule(
        sentence=f"{column} is not missing",
        columns=(column,),
        holds=lambda rows: ~missing(rows[column]),
    )


def finite(column: str) -> Rule:
    """The rule that a number is not infinite."""
    return Rule(
        sentence=f"{column} is finite",
        columns=(column,),
        holds=lambda rows: ~np.isinf(_floats(rows[column])),
    )


def within(column: str, low: float | None, high: float | None, unit: str) -> Rule:
    """The rule that a number lies between two bounds, both included; None: no bound."""
    bounds = {
        (False, True): f"at least {low:,.10g}" if low is not None else "",
        (True, False): f"at most {high:,.10g}" if high is not None else "",
    }.get((low is None, high is None), f"between {low} and {high}")

    def holds(rows: Rows) -> NDArray[np.bool_]:
        values = _floats(rows[column])
        outside = np.zeros(len(values), dtype=np.bool_)
        if low is not None:
            outside |= values < low  # NaN compares false: missing passes
        if high is not None:
            outside |= values > high
        return ~outside

    return Rule(sentence=f"{column} is {bounds} {unit}".rstrip(), columns=(column,), holds=holds)


def _floats(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)  # None becomes NaN
