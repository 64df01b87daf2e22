"""Every column on its own: the baseline that exposes a bad metric.

Whatever this generator does well on says nothing about how columns hang together, which is why a
report shows it beside the generator that was asked for. A subject's events are drawn one by one
from all subjects' values and put in the order of their times; under a condition on the clock only
those in the open hours are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Within, impossible, known_values, within
from synth_spark.core.batch import Coded, Records, Values, known_first
from synth_spark.core.conditions import Clause, Condition
from synth_spark.core.given import Among
from synth_spark.core.ports import Fold, Learning
from synth_spark.core.schema import Schema, Shape
from synth_spark.core.seeds import generator
from synth_spark.core.shelf import CODECS
from synth_spark.errors import EmptyTableError
from synth_spark.generators._open_hours import in_open_hours, open_hours, stand_open, week_hours

LENGTH = "#rows"  # the stand-in column that holds the rows of each subject
EPOCH = np.datetime64(0, "us")
WEEK = np.timedelta64(7, "D")
TRIAL = 20_000  # times that tell where events lie in the week


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentParams:
    """Settings of the independent generator."""

    min_subjects: int = 5  # category values held by fewer subjects become RARE


@dataclass(frozen=True, slots=True)
class Drawn:
    """One column: its codec and the share of each token, as cumulative shares."""

    kind: str  # category or number: the codec on the shelf
    time: bool  # a time, carried as seconds since 1970
    codec: Any
    upper: NDArray[np.float64]  # (vocabulary,), last entry 1.0
    part: Within | None = None  # what may be drawn

    def held(self, clause: Clause) -> Drawn:
        """The same, drawing only what holds a clause."""
        part = within(self.codec, clause)
        weights = np.diff(self.upper, prepend=0.0) * part.share
        if not weights.any():
            raise impossible(clause, "no value that holds it has a share")
        return replace(self, upper=cumulative(weights), part=part)

    def draw(self, rows: int, rng: np.random.Generator) -> Values:
        """Independent values, shape (rows,)."""
        tokens = np.searchsorted(self.upper, rng.random(rows), side="right").astype(np.int32)
        inside = rng.random(rows)
        if self.part is not None:
            inside = self.part.inside(tokens, inside)
        values = self.codec.decode(tokens, inside)
        if self.part is not None and self.part.exact is not None:
            values = np.full(rows, self.part.exact)
        if not self.time:
            return values  # type: ignore[no-any-return]
        missing = np.isnan(values)
        micros = np.rint(np.where(missing, 0.0, values) * 1e6).astype("timedelta64[us]")
        return np.where(missing, np.datetime64("NaT", "us"), EPOCH + micros)


@dataclass(frozen=True, slots=True)
class Hours:
    """Open hours of the week: only events in them are told, and one of each subject at least."""

    time: str
    opened: NDArray[np.bool_]  # (7, 24)
    upper: NDArray[np.float64]  # (168,), cumulative share of the hours among the events in them
    span: tuple[Any, Any]  # hours of the first and the last of the times

    @classmethod
    def of(cls, times: Drawn, name: str, clauses: list[Clause]) -> Self:
        """From the distribution of the times and the clauses on hours and week days."""
        some = np.asarray(times.draw(TRIAL, generator(0, "open hours")))
        some = some[~np.isnat(some)]
        opened = open_hours(clauses)
        weights = np.bincount(week_hours(some), minlength=168) * opened.reshape(-1)
        if not weights.any():
            raise impossible(clauses[0], f"none of {TRIAL:,} times lies in the hours")
        span = some.min().astype("datetime64[h]"), some.max().astype("datetime64[h]")
        return cls(name, opened, cumulative(weights), span)

    def told(self, records: Records, rng: np.random.Generator) -> Records:
        """The events in the open hours; a subject without any has its first moved to them."""
        times = np.asarray(records.columns[self.time]).copy()
        has = np.bincount(
            records.owners, stand_open(times, self.opened), minlength=records.subjects
        )
        goal, (low, high) = rng.random(records.subjects), self.span
        lost = np.flatnonzero(has == 0)
        first = records.offsets[lost]
        known = np.where(np.isnat(times[first]), low, times[first])
        later = np.searchsorted(self.upper, goal[lost], side="right") - week_hours(known)
        moved = known + later.astype("timedelta64[h]")  # in the same week
        moved = np.where(moved >= high + 1, moved - WEEK, moved)
        times[first] = np.where(moved < low, moved + WEEK, moved)
        columns = {**records.columns, self.time: times}
        return in_open_hours(Records(columns, records.offsets), self.time, self.opened)


@dataclass(frozen=True, slots=True)
class IndependentModel:
    """One distribution a column, and one of the rows a subject has."""

    schema: Schema
    columns: dict[str, Drawn]
    subjects_seen: int
    block_size: int = 4096
    hours: Hours | None = None  # where some are closed

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        lengths = np.ones(self.block_size, dtype=np.int64)
        if LENGTH in self.columns:
            drawn = self.columns[LENGTH].draw(self.block_size, generator(seed, LENGTH, block))
            lengths = np.maximum(np.rint(np.asarray(drawn)), 1).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        owners = np.repeat(np.arange(self.block_size), lengths)
        columns: dict[str, Values] = {}
        per = {c.name: c.per for c in self.schema.columns}
        for name, column in self.columns.items():
            if name != LENGTH:
                rng = generator(seed, name, block)
                once = per.get(name) == "subject" and LENGTH in self.columns
                values = column.draw(self.block_size if once else int(offsets[-1]), rng)
                columns[name] = values[owners] if once else values
        records = Records(columns, offsets)
        if self.hours is not None:
            records = self.hours.told(records, generator(seed, "open hours", block))
        if self.schema.time:
            records = in_time_order(records, self.schema.time)
        return records.take(np.arange(subjects))

    def conditioned(self, condition: Condition) -> IndependentModel:
        """The same model, each column of the condition drawn from what holds its clause."""
        clock = [c for c in condition.clauses if c.field not in self.columns]
        held = {c.field: self.columns[c.field].held(c) for c in condition.clauses if c not in clock}
        columns = {**self.columns, **held}
        hours = Hours.of(columns[self.schema.time], self.schema.time, clock) if clock else None
        return replace(self, columns=columns, hours=hours)

    def completer(self) -> Beside:
        """What fills gaps: each by itself, as everything here is drawn."""
        return Beside(self)

    def state(self) -> dict[str, Any]:
        columns = {
            name: {"kind": d.kind, "time": d.time, "codec": d.codec.state(), "upper": d.upper}
            for name, d in self.columns.items()
        }
        return {"schema": self.schema.to_json(), "columns": columns, "seen": self.subjects_seen}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        columns = {
            name: Drawn(
                s["kind"], s["time"], CODECS.get(s["kind"]).from_state(s["codec"]), s["upper"]
            )
            for name, s in state["columns"].items()
        }
        return cls(Schema.from_json(state["schema"]), columns, state["seen"])

    def about(self) -> dict[str, Any]:
        sizes = {name: int(d.codec.vocabulary) for name, d in self.columns.items()}
        return {"tokens": sizes, "subjects": self.subjects_seen}


@dataclass(frozen=True, slots=True)
class Beside:
    """Fills the gaps of rows without a look at the row."""

    model: IndependentModel

    def complete(
        self, records: Records, seed: int, block: int = 0, among: Mapping[str, Among] | None = None
    ) -> Records:
        """See `core/ports.py`; columns that others bound are not asked of this generator."""
        assert not among
        whole = replace(self.model, block_size=records.rows).sample(block, records.rows, seed)
        return Records.flat(
            {n: known_first(records.columns[n], v) for n, v in whole.columns.items()}
        )

    def bounds(self, name: str) -> bool:
        """None: nothing is looked up beside this generator."""
        return False

    def unknown(self, records: Records) -> dict[str, NDArray[np.bool_]]:
        """See `core/ports.py`."""
        out = {}
        for name, column in self.model.columns.items():
            values = records.columns[name]
            if column.time:
                values = _seconds(np.asarray(values))
            if column.kind in ("category", "number"):
                out[name] = ~known_values(column.codec, values)
        return out


def _seconds(times: NDArray[Any]) -> NDArray[np.float64]:
    """Times as seconds since 1970, NaN where missing."""
    us = times.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(times), np.nan, us / 1e6)


class Independent:
    """Draws every column by itself from its counts. Not private."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat", "events"})
    min_subjects: ClassVar[int] = 1
    relates: ClassVar[bool] = False
    fills: ClassVar[frozenset[Shape]] = frozenset({"flat"})
    families: ClassVar[frozenset[str]] = frozenset()
    Params: ClassVar[type[Any]] = IndependentParams
    Model: ClassVar[type[Any]] = IndependentModel

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why records cannot be drawn under a clause; empty if they can."""
        return ""

    def learn(self, schema: Schema, params: IndependentParams, seed: int) -> Learning:
        states = yield Fold(partial(value_states, schema), merge_values, "values")
        if states is None:
            raise EmptyTableError("There are no subjects to learn from.")
        settings = {"category": {"min_subjects": params.min_subjects}, "number": {}}
        codecs = {
            name: CODECS.get(kind).finish(states[name], **settings[kind])
            for name, kind in carried(schema).items()
        }
        counts = yield Fold(partial(token_counts, schema, codecs), add_counts, "tokens")
        drawn = {
            name: Drawn(kind, is_time(schema, name), codecs[name], cumulative(counts[name]))
            for name, kind in carried(schema).items()
        }
        return IndependentModel(schema, drawn, int(states["#subjects"]))


def carried(schema: Schema) -> dict[str, str]:
    """The columns that are learned, each with the codec that carries it."""
    kinds = {"category": "category", "number": "number", "time": "number", "place": "number"}
    named = {c.name: kinds[c.kind] for c in schema.columns if c.kind in kinds}
    named |= {c.partner: "number" for c in schema.of_kind("place") if c.partner}
    return named | ({LENGTH: "number"} if schema.shape == "events" else {})


def is_time(schema: Schema, name: str) -> bool:
    """Whether the column holds times."""
    return any(c.name == name and c.kind == "time" for c in schema.columns)


def plain(schema: Schema, records: Records, name: str) -> tuple[Values, NDArray[np.int64]]:
    """A column's values as its codec takes them, and each value's subject."""
    if name == LENGTH:
        return records.lengths.astype(np.float64), np.arange(records.subjects)
    values = records.columns[name]
    if not isinstance(values, Coded) and is_time(schema, name):
        seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
        values = np.where(np.isnat(values), np.nan, seconds)
    once = any(c.name == name and c.per == "subject" for c in schema.columns)
    if schema.shape == "events" and once:
        return values[records.offsets[:-1]], np.arange(records.subjects)
    return values, records.owners


def value_states(schema: Schema, records: Records) -> dict[str, Any]:
    """The codec states of one part, and the number of its subjects."""
    states: dict[str, Any] = {"#subjects": records.subjects}
    for name, kind in carried(schema).items():
        states[name] = CODECS.get(kind).summarise(*plain(schema, records, name))
    states["#kinds"] = carried(schema)
    return states


def merge_values(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The states of two parts."""
    merged = {n: CODECS.get(k).merge(left[n], right[n]) for n, k in left["#kinds"].items()}
    return merged | {"#subjects": left["#subjects"] + right["#subjects"], "#kinds": left["#kinds"]}


def token_counts(schema: Schema, codecs: dict[str, Any], records: Records) -> dict[str, Any]:
    """How often each token of each column occurs in one part; arrays of shape (vocabulary,)."""
    return {
        name: np.bincount(codec.encode(plain(schema, records, name)[0]), minlength=codec.vocabulary)
        for name, codec in codecs.items()
    }


def add_counts(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The counts of two parts."""
    return {name: left[name] + right[name] for name in left}


def cumulative(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Cumulative shares, last entry exactly 1."""
    upper = np.cumsum(counts) / (counts.sum() or 1)
    upper[upper >= upper[-1]] = 1.0
    return np.asarray(upper, dtype=np.float64)


def in_time_order(records: Records, time: str) -> Records:
    """The same rows, each subject's in the order of its times."""
    order = np.lexsort((np.asarray(records.columns[time]), records.owners))
    return Records({name: v[order] for name, v in records.columns.items()}, records.offsets)


GENERATOR = Independent()
EXAMPLE = IndependentParams(min_subjects=1)
