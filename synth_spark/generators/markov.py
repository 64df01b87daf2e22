"""Semi-Markov events: attributes first, then count tables with backoff. Cheap, and it can be read.

A unit's count, calendar and habits are drawn first (`_events_attributes.py`). Its events follow
from tables: the time by the pace still needed, the hour, the last gap and the main value that is
left (its dwell: semi-Markov); each category by whether it stays with the last value, else by what
is still owed to each of its values, times how the last two values and the hour lift it
(`_events_steps.py`); each number by the category and the number that tell most about it. Every
table backs off to a coarser one with the weight of `backoff` events, so that the order of the
chain in a state follows its support. What a subject comes back to, its home, regular places and
contacts, is drawn once and stands behind the ranks through all its days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import CLOCK_FIELDS, Clause, Condition
from synth_spark.core.ports import Fold, Learning
from synth_spark.core.schema import Schema, Shape
from synth_spark.core.seeds import stream_key
from synth_spark.generators._events_coder import DAY_S, Units
from synth_spark.generators._events_conditions import Asked, asked_of, objection
from synth_spark.generators._events_decode import Base, decode, learn_base
from synth_spark.generators._events_levels import information
from synth_spark.generators._events_plan import Contexts, token_shares
from synth_spark.generators._events_steps import Steps
from synth_spark.generators._events_steps_table import markdown, transitions
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_tables import count
from synth_spark.generators._events_walk import walk

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovParams:
    """Settings of the markov generator."""

    min_subjects: int = 5  # labels, places and numbers held by fewer subjects are not released
    bins: int = 34  # of a number
    leaf: int = 40  # units in a leaf of the trees of attributes
    trees: int = 20  # trees an attribute
    backoff: float = 15.0  # weight, in events, of the coarser table


@dataclass(frozen=True, slots=True)
class MarkovModel:
    """Tables as cumulative rows."""

    base: Base
    contexts: Contexts
    steps: Steps
    cdf: Arrays
    seen: Arrays  # chain and dwell of the main category, to be shown
    backoff: float
    asked: Asked | None = None

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.base.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        held = self.asked.held if self.asked else None
        drawn = self.base.histories.draw(self.block_size, seed, block, held)
        attributes, coder = self.base.histories.attributes, self.base.coder
        x = drawn.table
        lengths = np.rint(x[:, attributes.index("n")]).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        events = int(offsets[-1])
        t = np.zeros(events)
        cats = np.zeros((events, len(coder.cats)), np.int32)
        nums = np.zeros((events, len(coder.nums)), np.int32)
        first = x[:, attributes.index("first")]
        c, clock = self.contexts, coder.clock
        ends = (first + x[:, attributes.index("span")]) * DAY_S
        made = np.zeros(len(lengths), np.int64)
        events = walk(
            stream_key(seed, f"markov/{block}") & 0x7FFFFFFFFFFFFFFF,
            offsets, drawn.anchor, c.clocks(attributes, x), np.floor(first).astype(np.int64),
            c.ends(ends, clock.horizon_s),
            self._shares(x), c.selfs(attributes, x), c.mean_levels(attributes, x),
            c.starts, c.widths, c.in_runs, c.cat_parent, c.num_cat, c.num_num, c.num_level,
            c.pace_edges, c.last_edges, c.gap_edges, coder.room_s(drawn.anchor), clock.tick_s,
            clock.cut_s,
            clock.gap_sub, clock.jump_lo, clock.jump_hi, self.steps.state_of, self.steps.first,
            self.steps.second, self.steps.when, *self._tables(), c.num_start,
            t, cats, nums, made,
        )  # fmt: skip
        t, cats, nums = t[:events], cats[:events], nums[:events]
        records = decode(self.base, drawn, made, t, cats, nums, block=block, seed=seed)
        return records if subjects == records.subjects else records.take(np.arange(subjects))

    def _shares(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = token_shares(self.base.histories.attributes, self.contexts, x)
        return self.asked.shares(shares, self.contexts.starts) if self.asked else shares

    def conditioned(self, condition: Condition) -> MarkovModel:
        """The same model under a condition; see `_events_conditions.py`."""
        base, asked = asked_of(self.base, self._support(), condition)
        numbers = self.cdf["numbers"].astype(np.float64)
        for j, allowed in asked.nums.items():
            own = slice(*self.contexts.num_start[j : j + 2])
            numbers[..., own] = narrowed(numbers[..., own], allowed)
        cdf = {**self.cdf, "numbers": numbers.astype(np.float32)}
        return replace(self, base=base, cdf=cdf, asked=asked)

    def _support(self) -> Support:
        """Which numbers a category's values came with, as far as the tables tell."""
        c, numbers = self.contexts, self.cdf["numbers"]
        cats = len(c.widths)
        nums = []
        for j, category in enumerate(c.num_cat):
            chance = np.diff(numbers[..., slice(*c.num_start[j : j + 2])], prepend=0, axis=-1)
            met = np.ones((cats, chance.shape[0], chance.shape[-1]), bool)
            if category >= 0:
                met[category] = (chance > 0).any(axis=(1, 2))
            nums.append(met)
        return Support((), tuple(nums))

    def _tables(self) -> list[NDArray[Any]]:
        names = ("time", "hours", "first_hours", "slots", "stays", "moves", "lifts", "numbers")
        return [self.cdf[name] for name in names]

    def state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state() for name in ("base", "contexts", "steps")}
        return {**parts, "cdf": dict(self.cdf), "seen": dict(self.seen), "backoff": self.backoff}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(
            Base.from_state(state["base"]),
            Contexts.from_state(state["contexts"]),
            Steps.from_state(state["steps"]),
            state["cdf"],
            state["seen"],
            state["backoff"],
        )

    def about(self) -> dict[str, Any]:
        sizes = {name: list(table.shape) for name, table in self.cdf.items()}
        return {**self.base.facts, "tables": sizes, "transitions": self.transitions()}

    def transitions(self) -> list[dict[str, Any]]:
        """What follows each value of the main category, and after how long."""
        if not self.base.coder.cats:
            return []
        main, seen = self.base.coder.cats[0], self.seen
        return transitions(main, seen["chain"], seen["dwell"], self.backoff)

    def table(self) -> str:
        """The same as a Markdown table."""
        cats = self.base.coder.cats
        return markdown(cats[0].name, self.transitions()) if cats else "no category to walk on"


def learn_steps(base: Base, contexts: Contexts, sample: Records, weight: float) -> Steps:
    """The lifts of the main category, from the sample."""
    units = base.coder.units(sample)
    histories = base.histories
    x = histories.attributes.table(base.coder, units, histories.given(base.coder, sample, units))
    width = int(contexts.widths[0]) if len(contexts.widths) else 0
    if not width or contexts.in_runs[0]:
        return Steps.learn(units, np.zeros((len(x), 1)), 0, told=0.0, weight=weight)
    shares = np.ascontiguousarray(token_shares(histories.attributes, contexts, x)[:, :width])
    gap = units.t - units.previous
    inner = np.flatnonzero(units.previous >= 0)
    level = np.minimum(np.log2(1 + gap[inner]), 30).astype(np.int64)
    told = information(units.cats[inner - 1, 0].astype(np.int64), level)
    return Steps.learn(units, shares, width, told=told, weight=weight)


def count_state(base: Base, contexts: Contexts, steps: Steps, records: Records) -> Arrays:
    """The tables' counts of one part."""
    units = base.coder.units(records)
    histories = base.histories
    given = histories.given(base.coder, records, units)
    x = histories.attributes.table(base.coder, units, given)
    empty = contexts.empty(base.coder, steps.states)
    _add(base, contexts, steps, units, x, empty)
    return empty


def _add(
    base: Base, c: Contexts, steps: Steps, units: Units, x: NDArray[np.float64], out: Arrays
) -> None:
    attributes, clock = base.histories.attributes, base.coder.clock
    token, hour, slot = clock.encode(units.t, units.previous)
    first, span = x[:, attributes.index("first")], x[:, attributes.index("span")]
    count(
        units.offsets, units.anchor, c.clocks(attributes, x),
        c.ends((first + span) * DAY_S, clock.horizon_s),
        units.t, token, hour, slot, units.cats, units.nums, token_shares(attributes, c, x),
        c.selfs(attributes, x), c.mean_levels(attributes, x), c.starts, c.in_runs, c.cat_parent,
        c.num_cat, c.num_num, c.num_level, c.pace_edges, c.last_edges, c.gap_edges,
        steps.state_of, out["time"], out["hours"], out["first_hours"], out["slots"], out["stays"],
        out["moves"], out["lifts"], out["numbers"], out["chain"], out["dwell"], c.num_start,
    )  # fmt: skip


def add_counts(left: Arrays, right: Arrays) -> Arrays:
    """The counts of two parts."""
    return {name: left[name] + right[name] for name in left}


def narrowed(cdf: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cumulative rows of the allowed tokens alone; a row without any is that of all of them.

    Args:
        cdf: Cumulative rows, shape (..., tokens).
        allowed: Shape (tokens,).
    """
    chance = np.diff(cdf, prepend=0, axis=-1) * allowed
    none = chance.sum(axis=-1, keepdims=True) <= 0
    chance = np.where(none, allowed / max(allowed.sum(), 1), chance)
    out = np.cumsum(chance, axis=-1)
    out /= out[..., -1:]
    last = np.flatnonzero(allowed)[-1]
    out[..., last:] = 1.0
    return np.asarray(out)


class Markov:
    """Count tables with dwell and places: cheap, and they can be read."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"events"})
    min_subjects: ClassVar[int] = 2
    relates: ClassVar[bool] = True
    families: ClassVar[frozenset[str]] = frozenset()
    Params: ClassVar[type[Any]] = MarkovParams
    Model: ClassVar[type[Any]] = MarkovModel

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why events cannot be drawn under a clause; empty if they can."""
        if clause.field in CLOCK_FIELDS and all(c.name != clause.field for c in schema.columns):
            return (
                "its tables draw short gaps without a look at the clock; autoregressive does look"
            )
        return objection(schema, clause)

    def learn(self, schema: Schema, params: MarkovParams, seed: int) -> Learning:
        base, sample = yield from learn_base(
            schema, min_subjects=params.min_subjects, bins=params.bins, leaf=params.leaf,
            trees=params.trees, seed=seed,
        )  # fmt: skip
        contexts = Contexts.learn(base, sample)
        steps = learn_steps(base, contexts, sample, params.backoff)
        count_part = partial(count_state, base, contexts, steps)
        counts: Arrays = yield Fold(count_part, add_counts, "count")
        cdf = contexts.smoothed(counts, params.backoff)
        seen = {name: counts[name] for name in ("chain", "dwell")}
        return MarkovModel(base, contexts, steps, cdf, seen, params.backoff)


GENERATOR = Markov()
EXAMPLE = MarkovParams(leaf=10, trees=4)
