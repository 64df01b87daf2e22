"""Semi-Markov events: attributes first, then count tables with backoff. Cheap, and it can be read.

A unit's count, calendar and habits are drawn first (`_events_attributes.py`). Its events follow
from tables: the time by the pace still needed, the hour, the last gap, how far the run of events
is and the main value that is left (its dwell: semi-Markov); each category by whether it stays with
the last value, which hangs on how the hour suits that value (a work place by night), else by what
is still owed to each of its values, times how the last two values and the hour lift it
(`_events_steps.py`); each number by the category and the number that tell most about it. Every
table backs off to a coarser one with the weight of `backoff` events, so that the order of the chain
in a state follows its support. What a subject comes back to, its home, regular places and contacts,
is drawn once and stands behind the ranks through all its days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Clause, Condition
from synth_spark.core.ports import Fold, Learning
from synth_spark.core.schema import Schema, Shape
from synth_spark.core.seeds import generator, stream_key
from synth_spark.generators._events_coder import DAY_S
from synth_spark.generators._events_conditions import (
    Asked,
    asked_of,
    coded_objection,
    never,
    objection,
)
from synth_spark.generators._events_counts import Arrays, add_counts, count_state, learn_steps
from synth_spark.generators._events_decode import Base, decode, learn_base
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_open import OpenHours, Spans
from synth_spark.generators._events_plan import Contexts, rhythms, token_shares
from synth_spark.generators._events_steps import Steps
from synth_spark.generators._events_steps_table import markdown, transitions
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_walk import walk
from synth_spark.generators._open_hours import in_open_hours

NEVER = 1e-6  # of the first events, in an hour that none was in
TRIAL = 512  # subjects that tell where events lie in the week


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovParams:
    """Settings of the markov generator."""

    min_subjects: int = 5  # labels, places and numbers held by fewer subjects are not released
    bins: int = 34  # of a number
    leaf: int = 20  # units in a leaf of the trees of attributes
    trees: int = 20  # trees an attribute
    backoff: float = 5.0  # weight, in events, of the coarser table


@dataclass(frozen=True, slots=True)
class MarkovModel:
    """Tables as cumulative rows."""

    base: Base
    contexts: Contexts
    steps: Steps
    cdf: Arrays
    seen: Arrays  # chain and dwell of the main category, to be shown; events by hour of the week
    backoff: float
    asked: Asked | None = None
    hours: OpenHours | None = None  # where some are closed

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.base.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        held = self.asked.held if self.asked else None
        drawn = self.base.histories.draw(self.block_size, seed, block, held)
        if self.hours is None:
            made, t, cats, nums = self._events(drawn, seed, block)
            records = decode(self.base, drawn, made, t, cats, nums, block=block, seed=seed)
        else:
            records = self._in_open_hours(drawn, self.hours, seed, block)
        return records if subjects == records.subjects else records.take(np.arange(subjects))

    def _in_open_hours(self, drawn: Drawn, hours: OpenHours, seed: int, block: int) -> Records:
        """Records of a block, with an event in the open hours for each subject and none outside."""
        rng = generator(seed, "markov/open", block)
        drawn = hours.likely(drawn, self._spans(drawn), rng)
        made, t, cats, nums = self._events(drawn, seed, block)
        t, order = hours.moved(self.base, drawn, self._spans(drawn), made, t, rng)
        records = decode(
            self.base, drawn, made, t, cats[order], nums[order], block=block, seed=seed
        )
        return in_open_hours(records, self.base.coder.schema.time, hours.opened)

    def _spans(self, drawn: Drawn) -> Spans:
        c, attributes, x = self.contexts, self.base.histories.attributes, drawn.table
        return Spans.of(self.base, drawn, rhythms(attributes, x), c.tilts(attributes, x))

    def _under_clock(self, asked: Asked, condition: Condition) -> MarkovModel:
        """With the open hours, by where events lie of some subjects that hold the rest."""
        drawn = self.base.histories.draw(min(self.block_size, TRIAL), 0, 0, asked.held)
        made, t, _, _ = self._events(drawn, 0, 0)
        hours = OpenHours.of(
            self.base,
            drawn,
            self._spans(drawn),
            made,
            t,
            self.seen["week"],
            self.cdf["slots"],
            asked.open,
        )
        if hours is None:
            raise never(condition, "no event of the records stands in these hours")
        return replace(self, hours=hours)

    def _events(
        self, drawn: Drawn, seed: int, block: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
        """Events of units: how many of each; times, categories and numbers end to end."""
        attributes, coder = self.base.histories.attributes, self.base.coder
        x = drawn.table
        lengths = np.rint(x[:, attributes.index("n")]).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        events = int(offsets[-1])
        t = np.zeros(events)
        cats = np.zeros((events, len(coder.cats)), np.int32)
        nums = np.zeros((events, len(coder.nums)), np.int32)
        c, clock, steps = self.contexts, coder.clock, self.steps
        rooms, first_s = coder.room_s(drawn.anchor), x[:, attributes.index("first")] * DAY_S
        ends = np.minimum(first_s + x[:, attributes.index("span")] * DAY_S, rooms)
        firsts = np.floor(first_s / clock.tick_s + 0.5) * clock.tick_s  # the real one is a tick
        made = np.zeros(len(lengths), np.int64)
        events = walk(
            stream_key(seed, f"markov/{block}") & 0x7FFFFFFFFFFFFFFF,
            offsets, drawn.anchor, rhythms(attributes, x), *c.nights_of(attributes, x),
            firsts, ends, self._begins(), self._shares(x),
            c.selfs(attributes, x), c.mean_levels(attributes, x), c.starts, c.widths, c.in_runs,
            attributes.slots.alone, c.cat_parent, c.num_cat, c.num_num, c.num_level,
            c.pace_edges, c.last_edges, c.gap_edges, rooms,
            clock.tick_s, clock.cut_s, clock.gap_sub, clock.jump_lo, clock.jump_hi,
            steps.state_of, steps.first, steps.second, steps.when, steps.final, steps.suits,
            *self._tables(), c.num_start, t, cats, nums, made,
        )  # fmt: skip
        return made, t[:events], cats[:events], nums[:events]

    def _begins(self) -> NDArray[np.bool_]:
        """Hours in which units begin as their drawn time says, shape (24,).

        Of one day those in which real ones do; what is drawn between two days would be the night
        between them.
        """
        if self.base.coder.clock.horizon_days > 1:
            return np.zeros(24, bool)
        begun = np.diff(self.cdf["first_hours"], prepend=0, axis=-1)
        return np.asarray((begun > NEVER).any(axis=(0, 1)))

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
        made = replace(self, base=base, cdf=cdf, asked=asked)
        return made._under_clock(asked, condition) if asked.clocked else made

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
        return objection(schema, clause)

    def learn(self, schema: Schema, params: MarkovParams, seed: int) -> Learning:
        base, sample = yield from learn_base(
            schema, min_subjects=params.min_subjects, bins=params.bins, leaf=params.leaf,
            trees=params.trees, seed=seed, cannot=coded_objection,
        )  # fmt: skip
        contexts = Contexts.learn(base, sample)
        steps = learn_steps(base, contexts, sample, params.backoff)
        count_part = partial(count_state, base, contexts, steps)
        counts: Arrays = yield Fold(count_part, add_counts, "count")
        cdf = contexts.smoothed(counts, params.backoff)
        seen = {name: counts[name] for name in ("chain", "dwell", "week")}
        return MarkovModel(base, contexts, steps, cdf, seen, params.backoff)


GENERATOR = Markov()
EXAMPLE = MarkovParams(leaf=10, trees=4)
