"""From whole subjects to units of events in small integers, what every event model learns from.

A unit is what is drawn in one go: a subject's whole history where it is short, else an episode
(a calendar week or day), silent ones included. Every column of events becomes one of

* a plain category, token = label;
* a ranked one (many labels, contacts, places): token = the label's rank for the subject, so a
  habit is learned without the identity, which `_events_identity.py` draws afterwards;
* an id within the subject that comes in runs (a session): the same as before, or new
  (`_events_runs.py`);
* a number, token = bin or spike; a second time is a number too: seconds after the event's time.

A number that lasts until the next event is left out: it follows from the times
(`_events_dwell.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.place import cells_of
from synth_spark.columns.survey import values_of
from synth_spark.columns.time import DAY_US, micros
from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import CODECS
from synth_spark.errors import SynthError
from synth_spark.generators._events_clock import DAY_S, Clock
from synth_spark.generators._events_dwell import Dwell
from synth_spark.generators._events_runs import GONE, SAME, run_tokens

Mode = Literal["day", "week", "whole"]  # the calendar of a unit; whole: from the first event's day
PARTS = ("cats", "nums", "subject", "dwells")  # of the columns
RANKS = 10  # own 1st, ..., own 10th; then other; then missing


class NoTimeError(SynthError):
    """An event has no time, or a subject's events are not in the order of their times."""

    code = "SYN-720"


@dataclass(frozen=True, slots=True)
class EventColumn:
    """How one column of events is coded."""

    name: str
    how: Literal["plain", "ranked", "runs", "own", "number", "offset", "dwell"]
    tokens: int  # size of the vocabulary
    missing: int  # the token of a missing value, -1: none
    codec: Any  # Category, Number or Place: of the labels where ranked; None: ids, made anew

    @property
    def unordered(self) -> bool:
        """Whether the tokens are labels in no order."""
        return self.how == "plain" and getattr(self.codec, "kind", "") == "category"


@dataclass(frozen=True, slots=True)
class Units:
    """Units of all subjects end to end, subject by subject and in the order of time."""

    owner: NDArray[np.int64]  # (units,), the subject's position
    anchor: NDArray[np.int64]  # (units,), first day of the unit, days since 1970
    offsets: NDArray[np.int64]  # (units + 1,)
    t: NDArray[np.float64]  # (events,), s since the unit's first midnight
    cats: NDArray[np.int32]  # (events, plain and ranked columns)
    nums: NDArray[np.int32]  # (events, number columns), tokens
    values: NDArray[np.float64]  # (events, number columns), NaN where missing

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    @property
    def previous(self) -> NDArray[np.float64]:
        """Time of the event before, -1 at a unit's first; shape (events,)."""
        before = np.empty_like(self.t)
        before[1:] = self.t[:-1]
        before[self.offsets[:-1][self.lengths > 0]] = -1.0
        return before


@dataclass(frozen=True, slots=True)
class Coder:
    """Everything needed to turn records into units, and unit tokens back into values."""

    schema: Schema
    mode: Mode
    episodes: bool  # a subject has several units
    clock: Clock
    step_us: int
    cats: tuple[EventColumn, ...]
    nums: tuple[EventColumn, ...]
    subject: tuple[EventColumn, ...]  # columns that belong to the subject
    most_events: int  # of one unit; later ones are left out
    last_day: int  # of the records, days since 1970; nothing is drawn after it
    dwells: tuple[EventColumn, ...] = ()  # numbers that follow from the gap behind their event

    def room_s(self, anchor: NDArray[Any]) -> NDArray[np.float64]:
        """Seconds from a unit's first midnight to its end or that of the records; as `anchor`."""
        days = np.clip(self.last_day + 1 - anchor, 1, self.clock.horizon_days)
        return np.asarray(days * float(DAY_S))

    def units(self, records: Records) -> Units:
        """Cut records into units.

        Raises:
            NoTimeError: A time is missing or the order is broken (SYN-720).
        """
        stamps = checked_times(records, self.schema.time)
        owner, anchor, of_event = self._cut(stamps, records)
        t = (stamps - anchor[of_event] * DAY_US) / 1e6
        place = np.arange(len(t)) - np.searchsorted(of_event, np.arange(len(anchor)))[of_event]
        keep = (t < self.clock.horizon_s) & (place < self.most_events)
        offsets = np.searchsorted(of_event[keep], np.arange(len(anchor) + 1)).astype(np.int64)
        rows, events = records.rows, int(keep.sum())
        cats = np.empty((events, len(self.cats)), np.int32)
        for j, column in enumerate(self.cats):
            cats[:, j] = category_tokens(self.schema, column, records)[keep]
        nums = np.empty((events, len(self.nums)), np.int32)
        values = np.empty((events, len(self.nums)))
        for j, column in enumerate(self.nums):
            raw = number_values(self.schema, column.name, column.how, records)
            values[:, j] = raw[keep]
            nums[:, j] = column.codec.encode(raw)[keep]
        assert rows == len(t)
        return Units(owner, anchor, offsets, t[keep], cats, nums, values)

    def _cut(
        self, stamps: NDArray[np.int64], records: Records
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Owner and first day of each unit, and the unit of each event."""
        days = stamps // DAY_US
        some = records.lengths > 0
        first = np.zeros(records.subjects, np.int64)
        first[some] = days[records.offsets[:-1][some]]
        if self.mode != "whole":
            first = floor_day(first, self.mode)
        if not self.episodes:
            return np.arange(records.subjects, dtype=np.int64), first, records.owners
        width = 7 if self.mode == "week" else 1
        last = np.zeros(records.subjects, np.int64)
        last[some] = days[records.offsets[1:][some] - 1]
        count = np.where(some, (floor_day(last, self.mode) - first) // width + 1, 1)
        start = np.cumsum(count) - count
        owner = np.repeat(np.arange(records.subjects, dtype=np.int64), count)
        anchor = first[owner] + (np.arange(len(owner)) - start[owner]) * width
        own = records.owners
        return owner, anchor, start[own] + (days - first[own]) // width

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "schema": self.schema.to_json(),
            "mode": self.mode,
            "episodes": self.episodes,
            "clock": self.clock.state(),
            "step_us": self.step_us,
            "most_events": self.most_events,
            "last_day": self.last_day,
            **{part: [_saved(c) for c in getattr(self, part)] for part in PARTS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The coder that `state` came from."""
        parts = {p: tuple(_loaded(c) for c in state[p]) for p in PARTS}
        return cls(
            schema=Schema.from_json(state["schema"]),
            mode=state["mode"],
            episodes=state["episodes"],
            clock=Clock.from_state(state["clock"]),
            step_us=state["step_us"],
            most_events=state["most_events"],
            last_day=state["last_day"],
            **parts,
        )


def _saved(column: EventColumn) -> dict[str, Any]:
    kind = "" if column.codec is None else column.codec.kind
    codec = None if column.codec is None else column.codec.state()
    names = ("name", "how", "tokens", "missing")
    return {**{n: getattr(column, n) for n in names}, "kind": kind, "codec": codec}


def _loaded(data: Mapping[str, Any]) -> EventColumn:
    kind = Dwell if data["kind"] == Dwell.kind else data["kind"] and CODECS.get(data["kind"])
    codec = kind.from_state(data["codec"]) if kind else None
    return EventColumn(data["name"], data["how"], data["tokens"], data["missing"], codec)


def category_tokens(schema: Schema, column: EventColumn, records: Records) -> NDArray[np.int32]:
    """Tokens of a category's values, ranks of its subject or runs; shape (rows,)."""
    if column.how == "plain":
        return np.asarray(column.codec.encode(records.columns[column.name]))
    codes = identity_codes(schema.column(column.name), records)
    if column.how == "runs":
        tokens = run_tokens(codes, records.owners)
        return np.where(tokens == GONE, GONE if column.missing == GONE else SAME, tokens)
    ranks = own_ranks(codes, records.owners)
    tokens = np.minimum(ranks, RANKS)
    return np.where(codes < 0, max(column.missing, 0), tokens).astype(np.int32)


def checked_times(records: Records, name: str) -> NDArray[np.int64]:
    """Microseconds of the events' times.

    Raises:
        NoTimeError: A time is missing or goes back within a subject (SYN-720).
    """
    stamps, missing = micros(records.columns[name])
    back = np.flatnonzero((np.diff(stamps) < 0) & (np.diff(records.owners) == 0))
    if missing.any() or len(back):
        facts = {"column": name, "missing": int(missing.sum()), "steps_back": len(back)}
        raise NoTimeError(
            f"Column {name!r} has {facts['missing']} missing times and {len(back)} steps back.",
            hint="sort each subject's events and leave out those without a time",
            **facts,
        )
    return stamps


def floor_day(days: NDArray[np.int64], mode: Mode) -> NDArray[np.int64]:
    """The first day of the calendar unit (1970-01-01 was a Thursday; weeks start on Monday)."""
    return (days + 3) // 7 * 7 - 3 if mode == "week" else days


def identity_codes(column: Column, records: Records) -> NDArray[np.int64]:
    """A number for each distinct value of a ranked column, -1 where it is missing."""
    if column.kind == "place":
        cells = cells_of(np.asarray(values_of(column, records)), 9)
        codes = np.unique(cells, return_inverse=True)[1].astype(np.int64)
        return np.where(cells == 0, -1, codes)
    values = records.columns[column.name]
    coded = values if isinstance(values, Coded) else Coded.of([str(v) for v in values])
    return coded.codes.astype(np.int64)


def own_ranks(codes: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank (from 0) of each row's value among its owner's: most rows first, then earliest."""
    width = int(codes.max(initial=0)) + 2
    keys, first, inverse, counts = np.unique(
        owners * width + codes + 1, return_index=True, return_inverse=True, return_counts=True
    )
    missing = keys % width == 0
    order = np.lexsort((first, -counts, missing, keys // width))
    own = (keys // width)[order]
    begin = np.searchsorted(own, own)  # where the owner's values start
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys)) - begin
    return np.asarray(rank[inverse.ravel()])


def number_values(schema: Schema, name: str, how: str, records: Records) -> NDArray[np.float64]:
    """A number column's values; for a second time, seconds after the event's time."""
    if how == "number":
        return np.asarray(records.columns[name], dtype=np.float64)
    other, missing = micros(records.columns[name])
    own, _ = micros(records.columns[schema.time])
    return np.where(missing, np.nan, (other - own) / 1e6)


def subject_tokens(coder: Coder, records: Records) -> NDArray[np.int32]:
    """Tokens of the subjects' own columns, shape (subjects, columns); each subject has an event."""
    rows = records.offsets[:-1]
    tokens = np.zeros((records.subjects, len(coder.subject)), np.int32)
    for j, column in enumerate(coder.subject):
        values = values_of(coder.schema.column(column.name), records)
        if column.how == "own":
            tokens[:, j] = identity_codes(coder.schema.column(column.name), records)[rows] < 0
            continue
        tokens[:, j] = column.codec.encode(values[rows])
    return tokens


__all__ = ["DAY_S", "Coder", "EventColumn", "NoTimeError", "Units", "subject_tokens"]
