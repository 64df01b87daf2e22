"""Events: a history put together from segments of several donors of one stratum.

Donors are histories in tokens (labels that enough subjects hold, ranks of contacts and places,
bins of numbers) and jittered times, in strata of at least `histories` that are alike. A drawn
history takes each segment (a day; six hours or one where histories are shorter) from a donor of
one stratum, none more than half of them; who the contacts and where the places are is drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition
from synth_spark.core.seeds import generator
from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._events_coder import DAY_S, Coder
from synth_spark.generators._events_decode import Base, decode
from synth_spark.generators._events_episodes import Drawn, Histories
from synth_spark.generators._events_told import Told, told_from
from synth_spark.generators._transform_own import Own
from synth_spark.generators._transform_segments import Donors, Mixed, mixed, moved_times


@dataclass(frozen=True, slots=True)
class Longest:
    """The part of `Histories` that decoding asks for."""

    longest: int  # events of the busiest subject


@dataclass(frozen=True, slots=True)
class Moves:
    """How far the operations on events go; 0 switches one off."""

    choices: int  # donors that are looked at for a segment
    shift: bool  # a history starts in the week of another donor of the stratum
    rank_share: float  # numbers of events: how far the swap goes
    swap: bool
    jitter_s: float
    gap_share: float
    jitter_m: float


@dataclass(frozen=True, slots=True)
class EventsTwin:
    """Draws histories from donors."""

    coder: Coder
    identities: tuple[Told, ...]
    donors: Donors
    own: Own  # columns of the subjects
    moves: Moves
    longest: int
    block_size: int
    facts: Mapping[str, Any]
    bases: NDArray[np.int64] | None = None  # under a condition: donors that hold it

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        rng = generator(seed, "transform/events", block)
        tokens, made = self.mix(rng)
        t = made.t
        if self.moves.jitter_s:
            t = moved_times(
                t, made.lengths, self.donors.segment_s, self.moves.jitter_s,
                self.moves.gap_share, self.coder.step_us / 1e6, rng,
            )  # fmt: skip
        records = self.decoded(made, t, tokens, block, seed)
        self.own.settle(records, self.coder, made.base, rng)
        if self.moves.jitter_m:
            self._move_places(records, rng)
        return records if subjects == records.subjects else records.take(np.arange(subjects))

    def mix(self, rng: np.random.Generator) -> tuple[NDArray[np.int32], Mixed]:
        """Tokens of one block's subjects, and the segments of donors that are their histories."""
        bases = self.bases
        if bases is None:
            bases = np.arange(self.donors.size, dtype=np.int64)
        picked = bases[rng.integers(0, len(bases), self.block_size)]
        tokens, target = self.own.draw(picked, rng)
        made = mixed(
            self.donors, picked, target, rng, choices=self.moves.choices, shift=self.moves.shift
        )
        if self.moves.swap:
            nums = self.donors.swapped(made.events, made.nums, self.moves.rank_share, rng)
            made = replace(made, nums=nums)
        return tokens, made

    def decoded(
        self, made: Mixed, t: NDArray[np.float64], tokens: NDArray[np.int32], block: int, seed: int
    ) -> Records:
        """Records of one block; a segment is a unit of the event coder."""
        width = self.donors.segment_s
        start_s = made.segment * width
        anchor = made.anchor[made.owner] + start_s // DAY_S
        within = t + np.repeat(start_s % DAY_S, made.lengths)
        drawn = Drawn(made.owner, anchor, np.zeros((len(anchor), 0)), tokens)
        histories = cast("Histories", Longest(self.longest))
        again = np.zeros((len(self.coder.nums), 2))  # numbers were swapped: none is kept
        base = Base(self.coder, histories, self.identities, self.block_size, {}, again)
        return decode(
            base, drawn, made.lengths, within, made.cats, made.nums, block=block, seed=seed
        )

    def _move_places(self, records: Records, rng: np.random.Generator) -> None:
        """Each place of a subject moves once, the same in all its events."""
        for column in self.coder.schema.of_kind("place"):
            if not column.partner:
                continue
            pair = np.column_stack(
                [np.asarray(records.columns[n]) for n in (column.name, column.partner)]
            )
            key = np.column_stack([records.owners, np.nan_to_num(pair, nan=999.0)])
            one, where = np.unique(key, axis=0, return_inverse=True)
            places = np.where(one[:, 1:] == 999.0, np.nan, one[:, 1:])
            codec = next(
                c.codec for c in (*self.coder.cats, *self.coder.subject) if c.name == column.name
            )
            places = ops.jitter_places(places, self.moves.jitter_m, codec.decimals, rng)
            fresh = places[where.ravel()]
            records.columns[column.name] = fresh[:, 0].copy()
            records.columns[column.partner] = fresh[:, 1].copy()

    def conditioned(self, condition: Condition) -> EventsTwin:
        """The model whose donors hold the condition; see `Model.conditioned`."""
        own, bases = self.own.conditioned(condition, self.coder, self.donors)
        return replace(self, own=own, bases=bases)

    def state(self) -> dict[str, Any]:
        return {
            "shape": "events",
            "coder": self.coder.state(),
            "identities": [None if i is None else i.state() for i in self.identities],
            "donors": self.donors.state(),
            "own": self.own.state(),
            "moves": {n: getattr(self.moves, n) for n in Moves.__slots__},
            "longest": self.longest,
            "block_size": self.block_size,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> EventsTwin:
        coder = Coder.from_state(state["coder"])
        return cls(
            coder,
            told_from(coder, state["identities"]),
            Donors.from_state(state["donors"]),
            Own.from_state(state["own"]),
            Moves(**state["moves"]),
            state["longest"],
            state["block_size"],
            state["facts"],
        )

    def about(self) -> dict[str, Any]:
        return dict(self.facts)
