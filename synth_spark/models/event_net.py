"""The network of events: a trunk over running statistics, one head for each thing an event has.

Heads in the order of drawing: time token, hour, slot, categories, numbers. Each head adds what is
drawn already to its slice of the trunk. The main category has a pointer besides its dense
logits: the same few weights score every value by how recent and how frequent it was. So have the
hour, the slot and the numbers: by what the unit did before (`generators/_events_recall.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from synth_spark.models.recall import CENTERS, HOURS, LEVEL, NEAR, SLOTS, nearness

EMBED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NetShape:
    """Sizes of the network."""

    inputs: int  # statistics before the time and attributes
    after: int  # statistics that the time adds
    pointer: int
    times: int  # time tokens, the end included
    jumps: int
    cats: tuple[int, ...]
    nums: tuple[int, ...]
    near: tuple[tuple[Any, ...], ...] | None = None  # what `nearness` asks of each; None: no recall
    width: int = 128
    head: int = 64
    dropout: float = 0.15


class EventNet(nn.Module):
    """Logits of each part of an event."""

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        self.shape = shape
        w, h = shape.width, shape.head
        heads = 3 + len(shape.cats) + len(shape.nums)
        self.trunk = nn.Sequential(
            nn.Linear(shape.inputs, w), nn.SiLU(), nn.Dropout(shape.dropout),
            nn.Linear(w, w), nn.SiLU(), nn.Dropout(shape.dropout),
        )  # fmt: skip
        self.fused = nn.Linear(w, heads * h)
        self.time_out = nn.Linear(h, shape.times)
        self.hour_in, self.hour_out = nn.Embedding(shape.jumps, h), nn.Linear(h, 24)
        self.slot_in, self.slot_out = nn.Embedding(24, h), nn.Linear(h, 12)
        self.cat_embed = nn.ModuleList(nn.Embedding(k, EMBED) for k in shape.cats)
        self.num_embed = nn.ModuleList(nn.Embedding(k, EMBED) for k in shape.nums)
        q = shape.pointer if shape.cats else 0
        ins = [shape.after + j * EMBED + (q if j else 0) for j in range(len(shape.cats))]
        self.cat_in = nn.ModuleList(nn.Linear(k, h, bias=False) for k in ins)
        self.cat_out = nn.ModuleList(nn.Linear(h, k) for k in shape.cats)
        self.point = nn.Linear(h, shape.pointer)
        base = shape.after + len(shape.cats) * EMBED + q
        self.num_in = nn.ModuleList(
            nn.Linear(base + j * EMBED, h, bias=False) for j in range(len(shape.nums))
        )
        self.num_out = nn.ModuleList(nn.Linear(h, k) for k in shape.nums)
        if shape.near is not None:
            self.hour_recall, self.slot_recall = _zero(h, HOURS), _zero(h, SLOTS)
            self.num_recall = nn.ModuleList(_zero(h, CENTERS * NEAR) for _ in shape.nums)
            for j, asked in enumerate(shape.near):
                near = torch.from_numpy(nearness(*asked))
                self.register_buffer(f"near{j}", near, persistent=False)

    def slices(self, x: Tensor) -> tuple[Tensor, ...]:
        """Each head's slice of the trunk, shape (rows, head) each."""
        return self.fused(self.trunk(x)).split(self.shape.head, dim=1)

    def time(self, slice_: Tensor) -> Tensor:
        """Logits of the time token, shape (rows, times)."""
        return self.time_out(nn.functional.silu(slice_))

    def hour(self, slice_: Tensor, jump: Tensor, ring: Tensor | None = None) -> Tensor:
        """Logits of the hour given the jump, shape (rows, 24).

        `ring`, (rows, RING), are slots of the day at which pauses ended, the latest first; -1:
        none.
        """
        hidden = nn.functional.silu(slice_ + self.hour_in(jump))
        logits = self.hour_out(hidden)
        if ring is None:
            return logits
        return logits + _weighed(by_hour(ring), self.hour_recall(hidden))

    def slot(self, slice_: Tensor, hour: Tensor, ring: Tensor | None = None) -> Tensor:
        """Logits of the five minutes given the hour, shape (rows, 12)."""
        hidden = nn.functional.silu(slice_ + self.slot_in(hour))
        logits = self.slot_out(hidden)
        if ring is None:
            return logits
        return logits + _weighed(by_slot(ring, hour), self.slot_recall(hidden))

    def category(
        self, j: int, slice_: Tensor, after: Tensor, earlier: list[Tensor], pointer: Tensor
    ) -> Tensor:
        """Logits of category j.

        Args:
            j: Which category.
            slice_: Its slice.
            after: Statistics with the time, shape (rows, after).
            earlier: Tokens of the categories before it, shape (rows,) each.
            pointer: For j = 0 the features of all values (rows, values, pointer), else of the
                value drawn (rows, pointer).
        """
        parts = [after, *(e(v) for e, v in zip(self.cat_embed, earlier, strict=False))]
        if j:
            parts.append(pointer)
        hidden = nn.functional.silu(slice_ + self.cat_in[j](torch.cat(parts, 1)))
        logits = self.cat_out[j](hidden)
        if j:
            return logits
        return logits + torch.bmm(pointer, self.point(hidden).unsqueeze(2)).squeeze(2)

    def number(
        self, j: int, slice_: Tensor, known: Tensor, earlier: list[Tensor],
        centers: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Logits of number j, given what `known` gave and the numbers' tokens before it.

        `centers`, (rows, CENTERS), are tokens of it that the unit had before, or lie between two;
        -1: none.
        """
        parts = [known, *(e(v) for e, v in zip(self.num_embed, earlier, strict=False))]
        hidden = nn.functional.silu(slice_ + self.num_in[j](torch.cat(parts, 1)))
        logits = self.num_out[j](hidden)
        if centers is None:
            return logits
        weights, near = self.num_recall[j](hidden).split(NEAR, dim=1), getattr(self, f"near{j}")
        for c, (center, weight) in enumerate(zip(centers.unbind(1), weights, strict=True)):
            token = center.floor().long()
            found = near[token]
            if c == LEVEL:  # between two tokens
                above = near[(token + 1).clamp(max=len(near) - 2)]
                found = torch.lerp(found, above, (center - token)[:, None, None])
            logits = logits + _weighed(found.transpose(1, 2), weight)
        return logits

    def known(self, after: Tensor, cats: list[Tensor], chosen: Tensor) -> Tensor:
        """What every number sees: the time, all categories, the main value's features."""
        parts = [after, *(e(v) for e, v in zip(self.cat_embed, cats, strict=True))]
        return torch.cat([*parts, chosen], 1) if cats else after


def by_hour(ring: Tensor) -> Tensor:
    """What `_events_recall.by_hour` gives, from slots of the day; shape (rows, 24, HOURS)."""
    share = _shares(ring)
    hour = torch.where(ring >= 0, ring // 12, 24)
    inside = ring.new_zeros((len(ring), 25), dtype=share.dtype).scatter_add(1, hour, share)[:, :24]
    last = nn.functional.one_hot(hour[:, 0], 25)[:, :24].to(share.dtype)
    return torch.stack((last, inside, inside.roll(1, 1) + inside.roll(-1, 1)), 2)


def by_slot(ring: Tensor, hour: Tensor) -> Tensor:
    """What `_events_recall.by_slot` gives, from slots of the day; shape (rows, 12, SLOTS)."""
    share = _shares(ring)[:, :, None]
    at = torch.arange(12, device=ring.device)
    away = (ring - hour[:, None] * 12)[:, :, None] - at
    last = (away[:, 0] == 0) & (ring[:, :1] >= 0)
    parts = (away == 0, away.abs() == 1, (ring % 12)[:, :, None] == at)
    return torch.stack((last.to(share.dtype), *((p * share).sum(1) for p in parts)), 2)


def _shares(ring: Tensor) -> Tensor:
    known = ring >= 0
    return known / known.sum(1, keepdim=True).clamp(min=1)


def _weighed(features: Tensor, weights: Tensor) -> Tensor:
    """Features of each token, (rows, tokens, features), by the row's weights."""
    return torch.bmm(features, weights.unsqueeze(2)).squeeze(2)


def _zero(inputs: int, outputs: int) -> nn.Linear:
    """A layer that says nothing before it has learned."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
