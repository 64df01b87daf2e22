"""One block being drawn: its subjects, and its events as arrays that rules fill and change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Column
from synth_spark.core.seeds import generator, stream_key
from synth_spark.generators._sim_facts import Facts, Labels
from synth_spark.generators._sim_kernels import arrivals, counts, habits
from synth_spark.generators._sim_quota import exact, members
from synth_spark.generators._sim_town import closed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WHOLE = ("tinyint", "smallint", "int", "bigint")


@dataclass
class Draft:
    """The block's events. Columns of `values` are as long as `owner`; rows come in any order."""

    facts: Facts
    block: int
    seed: int
    owner: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # (events,) in the block
    t: Floats = field(default_factory=lambda: np.zeros(0))  # (events,) seconds since the start
    mark: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # (events,) scenario + 1; 0
    values: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scenarios = self.facts.scenarios
        rates = [exact(getattr(s, "subjects", None) or 0.0) for s in scenarios]
        self.rates = rates
        self.which, self.place = members(self.first + np.arange(self.size), rates)

    @property
    def size(self) -> int:
        """Subjects of the block."""
        return self.facts.params.block_size

    @property
    def first(self) -> int:
        """Number of the block's first subject in the table."""
        return self.block * self.size

    def rng(self, name: str) -> np.random.Generator:
        """The random numbers of one part of the draw."""
        return generator(self.seed, f"simulation/{name}", self.block)

    def key(self, name: str) -> int:
        """The key of one part's compiled streams."""
        return stream_key(self.seed, f"simulation/{name}/{self.block}") & 0x7FFFFFFFFFFFFFFF

    # ---- events ---------------------------------------------------------------------------------

    def rates_a_day(self) -> Floats:
        """Events a day of each subject: lognormal around the mean."""
        p = self.facts.params
        z = self.rng("rate").standard_normal(self.size)
        return np.asarray(p.events_a_day * np.exp(p.rate_sigma * z - p.rate_sigma**2 / 2))

    def arrive(self, rates: Floats) -> None:
        """Fill in the events' owners and times from the subjects' events a day."""
        p, clock = self.facts.params, self.facts.clock
        hourly, key = np.maximum(rates, 1e-6) / 24.0, self.key("arrive")
        begin, end = self._seen()
        made = counts(key, hourly, p.busy_share, p.burst_ratio, p.busy_h, clock, begin, end)
        starts = np.concatenate([[0], np.cumsum(made)])
        self.t = np.zeros(int(starts[-1]))
        arrivals(
            key, hourly, p.busy_share, p.burst_ratio, p.busy_h, clock, begin, end, starts, self.t
        )  # fmt: skip
        self.owner = np.repeat(np.arange(self.size), made)
        self.mark = np.zeros(len(self.t), np.int64)

    def _seen(self) -> tuple[Floats, Floats]:
        """From when to when each subject is seen, in the clock of the intensity."""
        facts, days = self.facts, int(np.ceil(self.facts.params.active_days))
        if not 0 < days < facts.params.days:
            return np.zeros(self.size), np.full(self.size, facts.clock[-1])
        rng = self.rng("seen")
        day = rng.integers(facts.params.days - days + 1, size=self.size)
        weekdays = facts.tables.get("firsts")
        if weekdays is not None:  # back to a weekday on which subjects are first seen
            wanted = np.searchsorted(closed(weekdays + 1e-9), rng.random(self.size), "right")
            first = int(facts.hour_of_week[0]) // 24
            day = np.maximum(day - (first + day - wanted) % 7, 0)
        begin, end = facts.clock[24 * day], facts.clock[24 * (day + days)]
        shut = end <= begin  # the condition rules all these hours out: the whole time instead
        return np.where(shut, 0.0, begin), np.where(shut, facts.clock[-1], end)

    def add(self, owner: Ints, t: Floats, mark: Any = 0, **values: NDArray[Any]) -> None:
        """Put more events behind those that there are; columns not named copy nothing (zeros)."""
        rows = len(owner)
        if not rows:
            return
        marks = np.broadcast_to(np.asarray(mark, np.int64), rows)
        self.owner = np.concatenate([self.owner, owner])
        self.t = np.concatenate([self.t, t])
        self.mark = np.concatenate([self.mark, marks])
        for name, old in self.values.items():
            new = values.get(name)
            new = np.zeros(rows, old.dtype) if new is None else np.asarray(new, old.dtype)
            self.values[name] = np.concatenate([old, new])

    def take(self, rows: NDArray[Any]) -> None:
        """Keep some rows, or put them in another order."""
        self.owner, self.t, self.mark = self.owner[rows], self.t[rows], self.mark[rows]
        self.values = {n: v[rows] for n, v in self.values.items()}

    def sort(self, step_s: float = 1.0) -> None:
        """Each subject's events in the order of their times, which become whole steps."""
        steps = np.floor(self.t / step_s).astype(np.int64)
        most = int(self.facts.hours * 3_600 / step_s) + 1
        self.take(np.argsort(self.owner * most + np.minimum(steps, most - 1), kind="stable"))
        self.t = np.floor(self.t / step_s) * step_s

    def inside(self) -> NDArray[np.bool_]:
        """Which events lie in the simulated time and in hours that the condition allows."""
        hour = np.floor(self.t / 3_600).astype(np.int64)
        inside = (hour >= 0) & (hour < self.facts.hours)
        if self.facts.condition.clauses:
            allowed = self.facts.open_hours()
            inside &= allowed[np.clip(hour, 0, self.facts.hours - 1)]
        return np.asarray(inside)

    @property
    def offsets(self) -> Ints:
        """Of the subjects in the events, once these are sorted."""
        ends = np.cumsum(np.bincount(self.owner, minlength=self.size))
        return np.concatenate([[0], ends]).astype(np.int64)

    # ---- columns --------------------------------------------------------------------------------

    def once(self, name: str, found: Labels) -> Coded:
        """A column of labels of the subjects; shape (subjects,)."""
        rng = self.rng(f"subject/{name}")
        codes = np.searchsorted(closed(found.shares), rng.random(self.size), "right")
        codes = np.where(rng.random(self.size) < found.missing, -1, codes)
        return Coded(codes.astype(np.int32), found.labels)

    def chosen(self, name: str, found: Labels) -> Ints:
        """A column of labels of sorted events, by the subjects' habits; -1 missing."""
        rng, rows = self.rng(f"event/{name}"), len(self.owner)
        fresh = np.searchsorted(closed(found.shares), rng.random(rows), "right")
        if np.isfinite(found.theta) or found.stay > 0:
            out = np.zeros(rows, np.int64)
            theta = min(found.theta, 1e9)
            habits(self.key(name), self.offsets, fresh, theta, found.stay, out)
            fresh = out
        if found.missing:
            fresh = np.where(rng.random(rows) < found.missing, -1, fresh)
        return np.asarray(fresh, np.int64)

    def lognormal(self, name: str, median: Any, sigma: float) -> Floats:
        """Positive numbers of the events."""
        z = self.rng(name).standard_normal(len(self.owner))
        return np.asarray(median * np.exp(sigma * z))

    def records(self, columns: dict[str, Values]) -> Records:
        """The block's records: of sorted events, columns in the schema's order."""
        return Records(columns, self.offsets)

    def moments(self) -> NDArray[np.datetime64]:
        """The events' times on the local clock."""
        micros = np.rint(self.t * 1e6).astype("timedelta64[us]")
        return np.asarray(self.facts.start + micros)

    def marks(self) -> Coded:
        """The label of each event's scenario; missing for none."""
        return Coded((self.mark - 1).astype(np.int32), tuple(s.label for s in self.facts.scenarios))


def shaped(column: Column, values: Floats) -> Floats:
    """Numbers as the column's type can hold them."""
    if column.source_type in WHOLE:
        return np.asarray(np.rint(values))
    if column.source_type.startswith("decimal"):
        return np.asarray(np.round(values, int(column.source_type.rstrip(")").split(",")[-1])))
    return values
