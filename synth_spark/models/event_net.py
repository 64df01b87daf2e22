"""The network of events: a trunk over running statistics, one head for each thing an event has.

Heads in the order of drawing: time token, hour, slot, categories, numbers. Each head adds what is
drawn already to its slice of the trunk. The main category has a pointer besides its dense
logits: the same few weights score every value by how recent and how frequent it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

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

    def slices(self, x: Tensor) -> tuple[Tensor, ...]:
        """Each head's slice of the trunk, shape (rows, head) each."""
        return self.fused(self.trunk(x)).split(self.shape.head, dim=1)

    def time(self, slice_: Tensor) -> Tensor:
        """Logits of the time token, shape (rows, times)."""
        return self.time_out(nn.functional.silu(slice_))

    def hour(self, slice_: Tensor, jump: Tensor) -> Tensor:
        """Logits of the hour given the jump, shape (rows, 24)."""
        return self.hour_out(nn.functional.silu(slice_ + self.hour_in(jump)))

    def slot(self, slice_: Tensor, hour: Tensor) -> Tensor:
        """Logits of the five minutes given the hour, shape (rows, 12)."""
        return self.slot_out(nn.functional.silu(slice_ + self.slot_in(hour)))

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

    def number(self, j: int, slice_: Tensor, known: Tensor, earlier: list[Tensor]) -> Tensor:
        """Logits of number j, given what `known` gave and the numbers' tokens before it."""
        parts = [known, *(e(v) for e, v in zip(self.num_embed, earlier, strict=False))]
        hidden = nn.functional.silu(slice_ + self.num_in[j](torch.cat(parts, 1)))
        return self.num_out[j](hidden)

    def known(self, after: Tensor, cats: list[Tensor], chosen: Tensor) -> Tensor:
        """What every number sees: the time, all categories, the main value's features."""
        parts = [after, *(e(v) for e, v in zip(self.cat_embed, cats, strict=True))]
        return torch.cat([*parts, chosen], 1) if cats else after
