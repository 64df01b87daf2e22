"""Open hours for `markov`: which subjects have an event in them, and one for those that have none.

A subject lives through all its hours, and what lies outside the open ones is left out afterwards
(`_open_hours.py`). Its chance of an event inside is known before, from its count, its days and
where events of its rhythm lie in the week: a subject stays with that chance, else it is the
likeness of another one, picked by its chance. That gives each kind of subject the weight that it
has under the condition. Whoever still has no event inside has the nearest burst
of its events moved there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_coder import DAY_S
from synth_spark.generators._events_decode import Base, stamps_of, within
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._events_kernels import moment_in
from synth_spark.generators._events_tables import CLOCKS
from synth_spark.generators._events_walk import NIGHT
from synth_spark.generators._open_hours import Bools, stand_open, week_hours

Ints = NDArray[np.int64]
BACKOFF = 15.0  # weight, in events, of all rhythms together
BURST_S = 3_600.0  # events with smaller gaps are moved together


@dataclass(frozen=True, slots=True)
class Spans:
    """The days that units cover and how their events lie in the week, each of shape (units,)."""

    owner: Ints
    anchor: Ints
    rhythm: Ints  # below CLOCKS
    tilt: Floats  # odds of a night against those of the rhythm
    events: Floats
    first: Ints  # first day, from the anchor
    last: Ints  # last day

    @classmethod
    def of(cls, base: Base, drawn: Drawn, rhythm: Ints, tilt: Floats) -> Self:
        """From drawn units; days after the records' last one are none of them."""
        at, x = base.histories.attributes.index, drawn.table
        most = base.coder.room_s(drawn.anchor) / DAY_S - 1
        first = np.minimum(np.floor(x[:, at("first")]), most)
        last = np.clip(np.floor(x[:, at("first")] + x[:, at("span")]), first, most)
        days = (first.astype(np.int64), last.astype(np.int64))
        return cls(drawn.owner, drawn.anchor, rhythm, tilt, np.rint(x[:, at("n")]), *days)

    def tilted(self, share: Floats) -> Floats:
        """Shares of hours, shape (units, 24), with the night of each unit."""
        return np.hstack([share[:, :NIGHT] * self.tilt[:, None], share[:, NIGHT:]])


@dataclass(frozen=True, slots=True)
class OpenHours:
    """Where events lie in the week, all and those in the open hours."""

    share: Floats  # (CLOCKS, 7, 24), of the events of a rhythm
    opened: Bools  # (7, 24)
    slots: Floats  # (24, 12), cumulative five minutes
    others: Drawn  # subjects with a chance, for a block that has none

    @classmethod
    def of(
        cls, base: Base, drawn: Drawn, spans: Spans, made: Ints, t: Floats,
        seen: Floats, slots: Floats, opened: Bools,
    ) -> Self | None:  # fmt: skip
        """Counted on drawn units; None where no event lies in the open hours.

        Args:
            base: The model's base.
            drawn: Some units.
            spans: Of the units.
            made: Events of each unit, shape (units,).
            t: Seconds since each unit's first midnight, shape (events,), units end to end.
            seen: Real events by hour of the week, (7, 24).
            slots: Five minutes of each hour, cumulative, (24, 12).
            opened: Hours of the week, (7, 24).
        """
        counts = np.zeros(CLOCKS * 168)
        hour = week_hours(_times(base, drawn, made, t))
        np.add.at(counts, np.repeat(spans.rhythm, made) * 168 + hour, 1.0)
        share = week_shares(counts.reshape(CLOCKS, 7, 24), seen)
        if not (share * opened).any():
            return None
        found = cls(share, opened, slots, drawn)
        some = np.flatnonzero(found.chance(spans, len(drawn.subject)))
        return replace(found, others=chosen(drawn, some)) if len(some) else None

    def expected(self, spans: Spans) -> Floats:
        """Events of each unit that lie in the open hours, on average; shape (units,)."""
        inside, every = np.zeros(len(spans.owner)), np.zeros(len(spans.owner))
        for day in range(7):
            offset = (day - spans.anchor - 3) % 7  # 1970-01-01 was a Thursday
            times = (spans.last - offset) // 7 - (spans.first - 1 - offset) // 7
            of_day = spans.tilted(self.share[spans.rhythm, day])
            inside += times * (of_day * self.opened[day]).sum(axis=1)
            every += times * of_day.sum(axis=1)
        return np.asarray(spans.events * inside / np.maximum(every, 1e-12))

    def chance(self, spans: Spans, subjects: int) -> Floats:
        """Of each subject to have an event in the open hours, were they independent."""
        events = np.bincount(spans.owner, self.expected(spans), minlength=subjects)
        return np.asarray(-np.expm1(-events))

    def likely(self, drawn: Drawn, spans: Spans, rng: np.random.Generator) -> Drawn:
        """Each subject with its chance, else the likeness of one that was picked by its chance."""
        chance = self.chance(spans, len(drawn.subject))
        stay, goal = rng.random((2, len(chance)))
        upper = np.cumsum(chance)
        if upper[-1] <= 0:
            return chosen(self.others, (goal * len(self.others.subject)).astype(np.int64))
        subjects = np.where(stay < chance, np.arange(len(chance)), _above(upper, goal))
        return chosen(drawn, subjects)

    def moved(
        self, base: Base, drawn: Drawn, spans: Spans, made: Ints, t: Floats,
        rng: np.random.Generator,
    ) -> tuple[Floats, Ints]:  # fmt: skip
        """Times in which each subject has an event in the open hours.

        Args:
            base: The model's base.
            drawn: A block's units, each subject of which has a chance.
            spans: Of the units.
            made: Events of each unit, shape (units,).
            t: Seconds since each unit's first midnight, shape (events,), units end to end.
            rng: The block's random numbers.

        Returns:
            The times, and which event stands at each place, shape (events,) both.
        """
        inside = stand_open(_times(base, drawn, made, t), self.opened)
        inside &= within(base, drawn, made, t)
        has = np.bincount(np.repeat(drawn.owner, made), inside, minlength=len(drawn.subject))
        expected, begin = self.expected(spans), np.cumsum(made) - made
        t, order, uniforms = t.copy(), np.arange(len(t)), rng.random((len(has), 4))
        first, after = (
            np.searchsorted(spans.owner, np.arange(len(has)), side=side)
            for side in ("left", "right")
        )
        for subject in np.flatnonzero(has == 0):
            u, a = uniforms[subject], first[subject]
            unit = a + _above(np.cumsum(expected[a : after[subject]]), u[3])
            moment = self._moment(spans, unit, u, base.coder.clock.tick_s)
            its = slice(begin[unit], begin[unit] + made[unit])
            t[its] = _moved_to(moment, t[its], (spans.last[unit] + 1) * DAY_S)
            again = np.argsort(t[its], kind="stable")
            t[its], order[its] = t[its][again], order[its][again]
        return t, order

    def _moment(self, spans: Spans, unit: int, u: Floats, tick_s: float) -> float:
        """An open moment of a unit that expects some, in seconds since its first midnight."""
        days = np.arange(spans.first[unit], spans.last[unit] + 1)
        weekday = (spans.anchor[unit] + days + 3) % 7
        weights = self.share[spans.rhythm[unit], weekday] * self.opened[weekday]
        weights[:, :NIGHT] *= spans.tilt[unit]
        day, hour = divmod(_above(np.cumsum(weights.reshape(-1)), u[0]), 24)
        slot = _above(self.slots[hour], u[1])
        return float(moment_in(days[day], hour, slot, 0.0, tick_s, u[2]))


def week_shares(counts: Floats, seen: Floats) -> Floats:
    """Of each rhythm's events the share of each hour of the week, as `counts`; none where all 0.

    Args:
        counts: Drawn events by rhythm and hour of the week, shape (rhythms, 7, 24).
        seen: Real ones by hour of the week, (7, 24); an hour or a day without any has no share.
    """
    total = counts.sum(axis=0)
    day = total.sum(axis=1, keepdims=True)
    total = np.where(total.sum(axis=0) > 0, total, 0.5 * day / max(day.sum(), 1))
    total *= (seen.sum(axis=0) > 0) & (seen.sum(axis=1, keepdims=True) > 0)
    rows = counts * (total > 0) + BACKOFF * total / max(total.sum(), 1e-12)
    return np.asarray(rows / np.maximum(rows.sum(axis=(1, 2), keepdims=True), 1e-12))


def chosen(drawn: Drawn, subjects: Ints) -> Drawn:
    """Subjects with all their units, in the order asked for; one may come more than once."""
    start = np.searchsorted(drawn.owner, np.arange(len(drawn.subject) + 1))
    lengths = np.diff(start)[subjects]
    begin = np.cumsum(lengths) - lengths
    at = np.arange(int(lengths.sum())) + np.repeat(start[subjects] - begin, lengths)
    owner = np.repeat(np.arange(len(subjects), dtype=np.int64), lengths)
    return Drawn(owner, drawn.anchor[at], drawn.table[at], drawn.subject[subjects])


def _above(upper: Floats, u: Any) -> Any:
    """The places that u in [0, 1) picks in cumulative weights, never one without weight."""
    place = np.searchsorted(upper, u * upper[-1], side="right")
    return np.minimum(place, np.searchsorted(upper, upper[-1]))


def _moved_to(moment: float, t: Floats, end_s: float) -> Floats:
    """Times of a unit with the burst that is nearest to a moment moved there, within the unit."""
    nearest = int(np.argmin(np.abs(t - moment)))
    burst = np.concatenate([[0], np.cumsum(np.diff(t) >= BURST_S)])
    there = t + np.where(burst == burst[nearest], moment - t[nearest], 0.0)
    return np.where((there >= 0) & (there < end_s), there, t)


def _times(base: Base, drawn: Drawn, made: Ints, t: Floats) -> NDArray[np.datetime64]:
    """Events' times as they are told."""
    return stamps_of(base.coder, np.repeat(drawn.anchor, made), t).astype("datetime64[us]")
