"""What the training loop is given: the network, examples with features, and the loss."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Schedule
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators._events_clock import DAY_S, HOUR_S, SLOT_S, Clock
from synth_spark.generators._events_layout import AFTER, OWED, Layout
from synth_spark.generators._events_recall import RING
from synth_spark.generators._events_seen import SCALE, Seen
from synth_spark.models.recall import CENTERS

if TYPE_CHECKING:
    import torch

FAR = -1e9  # a logit that is never drawn


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
            inputs=self.seen.inputs, after=AFTER, pointer=layout.pointer,
            times=self.clock.end + 1, jumps=self.jumps, cats=tuple(layout.widths.tolist()),
            nums=tuple(layout.numbers.tolist()), near=layout.near,
            width=self.width, head=self.head, dropout=self.dropout,
        )  # fmt: skip

    def build(self) -> torch.nn.Module:
        from synth_spark.models.event_net import EventNet

        return EventNet(self.shape())

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        e, layout = encoded.events, self.seen.layout
        rows = len(e["end"])
        x = np.empty((rows, layout.before), np.float32)
        z = np.empty((rows, AFTER), np.float16)
        q = np.zeros((rows, layout.main, layout.pointer), np.float16)
        shares = e["shares"].astype(np.float32) / 255
        main = shares[:, : layout.main]
        ring = np.empty((rows, RING), np.int16)
        centers = np.empty((rows, len(layout.numbers), CENTERS), np.float32)
        previous = unrolled(e, main, layout, x, z, q, ring, centers)
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
            "room": e["room"],
            "ring": ring,
            "centers": centers,
        }

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        x, after = batch["x"].float(), batch["after"].float()
        clock, now = batch["clock"].long(), batch["now"][:, 0]
        slices = module.slices(x)
        event = (clock[:, 0] != self.clock.end) & (clock[:, 0] >= 0)
        logits = module.time(slices[0]) + self._time_mask(
            now, batch["room"], clock[:, 0], x[:, OWED]
        )
        total = nats_of(logits, clock[:, 0].clamp(min=0)) * (clock[:, 0] >= 0)
        at = torch.nonzero(clock[:, 1] >= 0)[:, 0]
        if len(at):
            jump = (clock[at, 0] - self.clock.gaps).clamp(min=0)
            hours, slots = self._clock_masks(now[at], jump, clock[at, 1], clock[at, 2])
            ring = (batch["ring"][at].long(),) if "ring" in batch else ()
            logits = module.hour(slices[1][at], jump, *ring)
            part = nats_of(logits + hours, clock[at, 1])
            logits = module.slot(slices[2][at], clock[at, 1], *ring)
            part = part + nats_of(logits + slots, clock[at, 2])
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
            total = total + nats_of(logits.masked_fill(~allowed, FAR), cats[j])
            if not j:
                chosen = pointer[torch.arange(len(after), device=after.device), cats[0]]
            at += width
        known, centers = module.known(after, cats, chosen), batch["centers"].float()
        for j in range(len(nums)):
            logits = module.number(j, slices[3 + len(cats) + j], known, nums[:j], centers[:, j])
            total = total + nats_of(logits, nums[j])
        return total

    def _time_mask(
        self, now: torch.Tensor, room: torch.Tensor, token: torch.Tensor, owed: torch.Tensor
    ) -> torch.Tensor:
        """Zeros, and FAR where a token would leave the unit; the real token is always allowed."""
        import torch

        c = self.clock
        lows = torch.as_tensor(c.gap_lo, dtype=torch.float32, device=now.device)
        days = torch.as_tensor(c.jump_lo, dtype=torch.float32, device=now.device)
        first = (now < 0)[:, None]
        at = now.clamp(min=0)[:, None]
        today = torch.floor(at / DAY_S)
        gap = (at + lows < room) & ~first
        jump = (today + days < room / DAY_S) & (
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


def unrolled(
    e: dict[str, NDArray[Any]], main: NDArray[Any], layout: Layout,
    x: NDArray[Any], z: NDArray[Any], q: NDArray[Any], ring: NDArray[Any], centers: NDArray[Any],
    rows: int = 20_000,
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
            e["room"][a:b, 0].astype(np.float64),
            e["shown"][a:b].astype(np.float64), e["t"][a:b, 0], e["cats"][a:b], e["nums"][a:b],
            np.ascontiguousarray(main[a:b]), p, layout.state_size, x[a:b], zs, qs, ring[a:b],
            centers[a:b],
        )  # fmt: skip
        z[a:b], q[a:b] = zs, qs
    return previous


def nats_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of the tokens that came, shape (rows,)."""
    import torch

    return torch.nn.functional.cross_entropy(logits, target, reduction="none")
