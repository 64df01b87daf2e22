"""What the training loop is given: encoded units, examples with features, and the loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.ports import Schedule
from synth_spark.core.seeds import uniforms
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators._events_attributes import Floats
from synth_spark.generators._events_clock import DAY_S, HOUR_S, SLOT_S, Clock
from synth_spark.generators._events_coder import Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_plan import Contexts, token_shares

if TYPE_CHECKING:
    import torch

NOISE = 0.10  # log-normal noise on the count that the network is shown
LOOSE = 0.2  # the same for episodes: a count that is taken loosely leaves no rush at the end
OWED = 16  # place of the share still owed among the statistics
GATE = 0.3  # with more than this share of the shown count owed, the end is not on offer
LOOSE_GATE = 0.5
SCALE = 4_096  # attributes lie in [-4, 4] and travel as whole numbers
FAR = -1e9  # a logit that is never drawn


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network sees of a unit: which attributes, and how they are scaled."""

    layout: stats.Layout
    columns: NDArray[np.int64]  # attributes that are inputs
    contexts: Contexts
    seed: int
    loose: bool  # a unit is an episode: its count is a pace rather than a promise

    @classmethod
    def learn(cls, base: Base, contexts: Contexts, seed: int) -> Self:
        """Choose the inputs.

        What is left of a stick is not one, nor is a subject's profile: with few subjects it would
        name each of them, and the episode's own attributes already follow from it.
        """
        attributes, clock = base.histories.attributes, base.coder.clock
        hidden = {"left", "owed", "place"}
        if base.histories.episodes:
            hidden |= {n for n in base.histories.names if not re.fullmatch(r"own\d+", n)}
        kept = [j for j, c in enumerate(attributes.columns) if c.name not in hidden]
        layout = stats.Layout(
            contexts.widths,
            np.diff(contexts.num_start),
            np.array([c.missing for c in base.coder.nums], np.int64),
            clock.horizon_s,
            clock.cut_s,
            base.coder.most_events,
        )
        return cls(layout, np.array(kept, np.int64), contexts, seed, base.histories.episodes)

    @property
    def gate(self) -> float:
        """With more than this share of the shown count owed, the end is not on offer."""
        return LOOSE_GATE if self.loose else GATE

    @property
    def inputs(self) -> int:
        return self.layout.before + len(self.columns)

    def of_units(
        self, base: Base, x: Floats, u: Floats, pace: Floats | float = 1.0
    ) -> tuple[Floats, NDArray[np.float32]]:
        """The count that is shown, and the scaled attributes, of units.

        Args:
            base: The model's base.
            x: Attributes, shape (units, columns).
            u: Two uniforms a unit, shape (units, 2).
            pace: The count is shown so many times as large (1 in training), shape (units,).
        """
        attributes = base.histories.attributes
        z = np.sqrt(-2 * np.log(np.maximum(u[:, 0], 1e-12))) * np.cos(2 * np.pi * u[:, 1])
        at = attributes.index("n")
        shown = x[:, at] * np.exp((LOOSE if self.loose else NOISE) * z) * pace
        seen = x.copy()
        seen[:, at] = shown
        return shown, attributes.standard(seen)[:, self.columns]

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "layout": self.layout.state(),
            "columns": self.columns,
            "contexts": self.contexts.state(),
            "seed": self.seed,
            "loose": self.loose,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        return cls(
            stats.Layout.from_state(state["layout"]),
            state["columns"],
            Contexts.from_state(state["contexts"]),
            state["seed"],
            state["loose"],
        )


def encode(base: Base, seen: Seen, records: Records) -> Encoded:
    """Subjects as rows of events, with one more row after each unit for its end."""
    units = base.coder.units(records)
    histories = base.histories
    x = histories.attributes.table(base.coder, units, histories.given(base.coder, records, units))
    some = np.flatnonzero(units.lengths > 0)
    number = _fingerprint(units)
    u = np.column_stack([uniforms(seen.seed, f"noise{k}", number) for k in range(2)])
    shown, scaled = seen.of_units(base, x, u)
    shares = token_shares(histories.attributes, seen.contexts, x)
    lengths = units.lengths[some]
    rows = lengths + 1
    last = np.cumsum(rows) - 1
    end = np.zeros(int(rows.sum()), bool)
    end[last] = True
    unit = np.repeat(some, rows)

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros((len(end), *values.shape[1:]), values.dtype)
        out[~end] = values
        return out

    token, hour, slot = base.coder.clock.encode(units.t, units.previous)
    clock = np.column_stack([token, hour, slot]).astype(np.int16)
    clock = spread(clock)
    clock[end] = (base.coder.clock.end, -1, -1)
    capped = np.repeat(lengths >= base.coder.most_events, rows) & end
    clock[capped, 0] = -1  # a history cut at its greatest length tells nothing of ends
    subjects = np.searchsorted(units.owner[unit], np.arange(records.subjects + 1))
    events = {
        "end": end[:, None],
        "t": spread(units.t)[:, None],
        "clock": clock,
        "cats": spread(units.cats),
        "nums": spread(units.nums),
        "weekday": ((units.anchor[unit] + 3) % 7).astype(np.int8)[:, None],
        "shown": shown[unit].astype(np.float32)[:, None],
        "attributes": np.rint(scaled[unit] * SCALE).astype(np.int16),
        "shares": np.ceil(np.minimum(shares[unit], 1.0) * 255).astype(np.uint8),  # 0 only where 0
    }
    return Encoded({}, events, subjects.astype(np.int64))


def _fingerprint(units: Units) -> NDArray[np.uint64]:
    """A number for each unit that follows from its content, for noise that no partition changes."""
    total = np.zeros(len(units.anchor))
    unit = np.repeat(np.arange(len(total)), units.lengths)
    np.add.at(total, unit, units.t)
    mixed = np.floor(total * 8).astype(np.uint64) * np.uint64(1_000_003)
    return mixed + units.anchor.astype(np.uint64) * np.uint64(131) + units.lengths.astype(np.uint64)


@dataclass(slots=True)
class EventTrainee:
    """The event network as the training loop wants it."""

    schedule: Schedule
    seen: Seen
    clock: Clock
    jumps: int
    width: int
    head: int
    dropout: float

    def shape(self) -> Any:
        """Sizes of the network."""
        from synth_spark.models.event_net import NetShape

        layout = self.seen.layout
        return NetShape(
            inputs=self.seen.inputs, after=stats.AFTER, pointer=layout.pointer,
            times=self.clock.end + 1, jumps=self.jumps, cats=tuple(layout.widths.tolist()),
            nums=tuple(layout.numbers.tolist()), width=self.width, head=self.head,
            dropout=self.dropout,
        )  # fmt: skip

    def build(self) -> torch.nn.Module:
        from synth_spark.models.event_net import EventNet

        return EventNet(self.shape())

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        e, layout = encoded.events, self.seen.layout
        rows = len(e["end"])
        x = np.empty((rows, layout.before), np.float32)
        z = np.empty((rows, stats.AFTER), np.float16)
        q = np.zeros((rows, layout.main, layout.pointer), np.float16)
        shares = e["shares"].astype(np.float32) / 255
        main = shares[:, : layout.main]
        previous = _unrolled(e, main, layout, x, z, q)
        return {
            "x": np.concatenate([x, e["attributes"].astype(np.float32) / SCALE], 1).astype(
                np.float16
            ),
            "after": z,
            "pointer": q,
            "clock": e["clock"],
            "cats": e["cats"].astype(np.int16),
            "nums": e["nums"].astype(np.int16),
            "allowed": shares > 0,
            "now": previous.astype(np.float32)[:, None],
        }

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        x, after = batch["x"].float(), batch["after"].float()
        clock, now = batch["clock"].long(), batch["now"][:, 0]
        slices = module.slices(x)
        event = (clock[:, 0] != self.clock.end) & (clock[:, 0] >= 0)
        logits = module.time(slices[0]) + self._time_mask(now, clock[:, 0], x[:, OWED])
        total = _nats(logits, clock[:, 0].clamp(min=0)) * (clock[:, 0] >= 0)
        at = torch.nonzero(clock[:, 1] >= 0)[:, 0]
        if len(at):
            jump = (clock[at, 0] - self.clock.gaps).clamp(min=0)
            hours, slots = self._clock_masks(now[at], jump, clock[at, 1], clock[at, 2])
            part = _nats(module.hour(slices[1][at], jump) + hours, clock[at, 1])
            part = part + _nats(module.slot(slices[2][at], clock[at, 1]) + slots, clock[at, 2])
            total = total.index_add(0, at, part)
        return total + self._values(module, batch, slices, after) * event

    def _values(self, module: Any, batch: Any, slices: Any, after: torch.Tensor) -> torch.Tensor:
        import torch

        layout = self.seen.layout
        cats = [batch["cats"][:, j].long() for j in range(len(layout.widths))]
        nums = [batch["nums"][:, j].long() for j in range(len(layout.numbers))]
        total = torch.zeros(len(after), device=after.device)
        chosen = after[:, :0]
        at = 0
        pointer = batch["pointer"].float() if cats else chosen
        for j, width in enumerate(layout.widths.tolist()):
            logits = module.category(j, slices[3 + j], after, cats[:j], chosen if j else pointer)
            allowed = batch["allowed"][:, at : at + width].bool().scatter(1, cats[j][:, None], True)
            total = total + _nats(logits.masked_fill(~allowed, FAR), cats[j])
            if not j:
                chosen = pointer[torch.arange(len(after), device=after.device), cats[0]]
            at += width
        known = module.known(after, cats, chosen)
        for j in range(len(nums)):
            logits = module.number(j, slices[3 + len(cats) + j], known, nums[:j])
            total = total + _nats(logits, nums[j])
        return total

    def _time_mask(
        self, now: torch.Tensor, token: torch.Tensor, owed: torch.Tensor
    ) -> torch.Tensor:
        """Zeros, and FAR where a token would leave the unit; the real token is always allowed."""
        import torch

        c = self.clock
        lows = torch.as_tensor(c.gap_lo, dtype=torch.float32, device=now.device)
        days = torch.as_tensor(c.jump_lo, dtype=torch.float32, device=now.device)
        first = (now < 0)[:, None]
        at = now.clamp(min=0)[:, None]
        today = torch.floor(at / DAY_S)
        gap = (at + lows < c.horizon_s) & ~first
        jump = (today + days < c.horizon_days) & (
            (days > 0) | first | (at - today * DAY_S + c.cut_s < DAY_S)
        )
        allowed = torch.cat([gap, jump, ~first & (owed[:, None] < self.seen.gate)], 1)
        allowed = allowed.scatter(1, token.clamp(min=0)[:, None], True)
        return torch.where(allowed, 0.0, FAR)

    def _clock_masks(
        self, now: torch.Tensor, jump: torch.Tensor, hour: torch.Tensor, slot: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for hours and slots: on the same day only what lies beyond the shortest jump."""
        import torch

        earliest = torch.where((jump == 0) & (now >= 0), now % DAY_S + self.clock.cut_s, -1.0)
        ends = torch.arange(1, 25, device=now.device) * HOUR_S
        hours = (ends[None] > earliest[:, None]).scatter(1, hour[:, None], True)
        ends = hour[:, None] * HOUR_S + torch.arange(1, 13, device=now.device) * SLOT_S
        slots = (ends > earliest[:, None]).scatter(1, slot[:, None], True)
        return torch.where(hours, 0.0, FAR), torch.where(slots, 0.0, FAR)


def _unrolled(
    e: dict[str, NDArray[Any]], main: NDArray[Any], layout: stats.Layout,
    x: NDArray[Any], z: NDArray[Any], q: NDArray[Any], rows: int = 20_000,
) -> NDArray[np.float64]:  # fmt: skip
    """Features in runs of whole units of about `rows` rows, so that full floats are never kept."""
    ends = np.flatnonzero(e["end"][:, 0]) + 1
    goals = np.searchsorted(ends, np.arange(rows, len(z) + rows, rows))
    cuts = [0, *ends[np.unique(goals.clip(max=len(ends) - 1))].tolist()] if len(ends) else [0]
    previous = np.empty(len(z))
    p = layout.packed()
    for a, b in pairwise(cuts):
        zs = np.empty((b - a, z.shape[1]), np.float32)
        qs = np.zeros((b - a, *q.shape[1:]), np.float32)
        previous[a:b] = stats.unroll(
            e["end"][a:b, 0], e["weekday"][a:b, 0].astype(np.int64),
            e["shown"][a:b, 0].astype(np.float64), e["t"][a:b, 0], e["cats"][a:b], e["nums"][a:b],
            np.ascontiguousarray(main[a:b]), p, layout.state_size, x[a:b], zs, qs,
        )  # fmt: skip
        z[a:b], q[a:b] = zs, qs
    return previous


def _nats(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.cross_entropy(logits, target, reduction="none")
