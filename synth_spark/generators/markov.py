"""Semi-Markov events: attributes first, then count tables with backoff. Cheap, and it can be read.

A unit's count, calendar and habits are drawn first (`_events_attributes.py`). Its events follow
from tables: the time by the pace still needed, the hour and the last gap; each category by
whether it stays with the last value, else by what is still owed to each of its values; each number
by the category and the number that tell most about it. Every table backs off to a coarser one
with the weight of `backoff` events, so that a context of few events says little by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from synth_spark.generators._events_plan import Contexts, token_shares
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
    cdf: Arrays
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
            clock.gap_sub, clock.jump_lo, clock.jump_hi, *self._tables(), c.num_start,
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
        return MarkovModel(base, self.contexts, cdf, asked)

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
        return {"base": self.base.state(), "contexts": self.contexts.state(), "cdf": dict(self.cdf)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(
            Base.from_state(state["base"]), Contexts.from_state(state["contexts"]), state["cdf"]
        )

    def about(self) -> dict[str, Any]:
        sizes = {name: list(table.shape) for name, table in self.cdf.items()}
        return {**self.base.facts, "tables": sizes}


def count_state(base: Base, contexts: Contexts, records: Records) -> Arrays:
    """The tables' counts of one part."""
    units = base.coder.units(records)
    histories = base.histories
    given = histories.given(base.coder, records, units)
    x = histories.attributes.table(base.coder, units, given)
    empty = contexts.empty(base.coder)
    _add(base, contexts, units, x, empty)
    return empty


def _add(base: Base, c: Contexts, units: Units, x: NDArray[np.float64], out: Arrays) -> None:
    attributes, clock = base.histories.attributes, base.coder.clock
    token, hour, slot = clock.encode(units.t, units.previous)
    first, span = x[:, attributes.index("first")], x[:, attributes.index("span")]
    count(
        units.offsets, units.anchor, c.clocks(attributes, x),
        c.ends((first + span) * DAY_S, clock.horizon_s),
        units.t, token, hour, slot, units.cats, units.nums, token_shares(attributes, c, x),
        c.selfs(attributes, x), c.mean_levels(attributes, x), c.starts, c.in_runs, c.cat_parent,
        c.num_cat, c.num_num, c.num_level, c.pace_edges, c.last_edges, c.gap_edges, out["time"],
        out["hours"], out["first_hours"], out["slots"], out["stays"], out["moves"], out["lifts"],
        out["numbers"], c.num_start,
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
    """Learns by counting alone: two passes and a sample."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"events"})
    min_subjects: ClassVar[int] = 2
    relates: ClassVar[bool] = True
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
        counts: Arrays = yield Fold(partial(count_state, base, contexts), add_counts, "count")
        return MarkovModel(base, contexts, contexts.smoothed(counts, params.backoff))


GENERATOR = Markov()
EXAMPLE = MarkovParams(leaf=10, trees=4)
