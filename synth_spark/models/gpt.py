"""A causal decoder over events: one position an event, heads for what an event has.

What goes in at a position is all that is known before the event: the event before (the sum of the
embeddings of its tokens), running statistics, and the unit's own attributes; a unit's first
position has no event before it and is its prefix. A position sees the prefix and the `context`
positions up to itself, by masked attention with a learned bias by distance. The heads are those of
`event_net.py`: time token, hour, slot, categories, numbers, each given what is drawn already.

Sources: Radford et al., "Improving language understanding by generative pre-training", 2018;
Raffel et al., "Exploring the limits of transfer learning", JMLR 2020, section 2.1 (bias by
distance); Xiao et al., "Efficient streaming language models with attention sinks", ICLR 2024,
section 3.2 (a first position that stays in sight).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synth_spark.models.event_net import EventNet, NetShape

EXACT, FARTHER = 16, 16  # distances with a bias of their own, and buckets of the longer ones


@dataclass(frozen=True, slots=True, kw_only=True)
class GptShape:
    """Sizes of the decoder."""

    net: NetShape  # of the heads; `width`, `head` and `dropout` count for the trunk too
    dense: int  # running statistics
    own: int  # attributes of the unit
    tokens: int  # rows of the table of all fields' tokens, the first for "none"
    layers: int
    heads: int
    context: int  # positions in sight
    fold: tuple[int, ...]  # which of its statistics each value of the main category has


def buckets(context: int) -> NDArray[np.int64]:
    """Bucket of each distance below `context`: single up to EXACT, then evenly in logarithms.

    Example:
        >>> buckets(64)[[0, 15, 16, 63]].tolist()
        [0, 15, 16, 31]
    """
    d = np.arange(context)
    ratio = np.log(np.maximum(d, EXACT) / EXACT) / math.log(max(context, EXACT + 1) / EXACT)
    far = EXACT + np.minimum((ratio * FARTHER).astype(np.int64), FARTHER - 1)
    return np.asarray(np.where(d < EXACT, d, far))


def looked_up(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table, shape (*rows.shape, columns); few rows, each looked up many times.

    A GPU adds up the gradient of an index one duplicate after the other, half of a step; that of
    an embedding it does not. A CPU takes the index three times faster. The values are the same.
    """
    return nn.functional.embedding(rows, table) if table.is_cuda else table[rows]


class Block(nn.Module):
    """Attention, then two dense layers, both added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.bias = nn.Parameter(torch.zeros(heads, EXACT + FARTHER + 1))  # the last: the prefix
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, where: Tensor, allowed: Tensor) -> Tensor:
        """One layer.

        Args:
            x: Shape (rows, length, width).
            where: Bucket of each pair of positions, shape (rows, length, length).
            allowed: Which pairs may look, shape (rows, 1, length, length).
        """
        rows, length, width = x.shape
        q, k, v = (
            part.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm(x)).split(width, dim=2)
        )
        bias = looked_up(self.bias.T, where).permute(0, 3, 1, 2).masked_fill(~allowed, -1e9)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.drop(self.mix(seen.transpose(1, 2).reshape(rows, length, width)))
        inner = self.up(self.norm2(x))
        return x + self.drop(self.down(nn.functional.silu(inner)))


class Gpt(EventNet):
    """The decoder; its heads are those of the event net."""

    def __init__(self, shape: GptShape) -> None:
        super().__init__(shape.net)
        del self.trunk
        w = shape.net.width
        self.gpt = shape
        self.stats_in = nn.Linear(shape.dense + shape.own, w)
        self.told = nn.Embedding(shape.tokens, w, padding_idx=0)
        nn.init.normal_(self.told.weight, std=0.2)
        self.told.weight.data[0] = 0.0
        self.blocks = nn.ModuleList(
            Block(w, shape.heads, shape.net.dropout) for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(w)
        self.drop = nn.Dropout(shape.net.dropout)
        for block in self.blocks:
            for last in (block.mix, block.down):
                last.weight.data.mul_(1 / math.sqrt(2 * shape.layers))
        distance = torch.from_numpy(buckets(shape.context))
        self.register_buffer("bucket", distance)  # saved: drawing looks it up
        fold = torch.tensor(shape.fold or (0,), dtype=torch.long)
        self.register_buffer("fold", fold, persistent=False)

    def start_from(self, shares: dict[str, NDArray[np.float64]]) -> None:
        """Set the bias of each named output layer to the logarithm of its tokens' shares."""
        layers = dict(self.named_modules())
        for name, share in shares.items():
            layer = layers[name]
            layer.bias.data.copy_(torch.from_numpy(np.log(share)).float())
            layer.weight.data.mul_(0.5)

    def positions(self, x: Tensor, told: Tensor, segment: Tensor, prefix: Tensor) -> Tensor:
        """What the trunk makes of rows of positions.

        Args:
            x: Statistics and attributes, shape (rows, length, dense + own).
            told: Tokens of the event before, shape (rows, length, fields); 0: none.
            segment: Which unit a position belongs to, shape (rows, length); 0: none.
            prefix: Whether it is the unit's prefix, shape (rows, length).

        Returns:
            Shape (rows, length, width).
        """
        at = torch.arange(x.shape[1], device=x.device)
        away = at[:, None] - at[None, :]
        context = self.gpt.context
        near = (away >= 0) & (away < context)
        bucket = self.bucket[away.clamp(0, context - 1)]
        sink = prefix[:, None, :] & (away >= 0)
        same = segment[:, :, None] == segment[:, None, :]
        allowed = (same & (near | sink))[:, None]
        where = torch.where(sink, EXACT + FARTHER, bucket)
        h = self.drop(self.stats_in(x) + self.told(told).sum(dim=2))
        for block in self.blocks:
            h = block(h, where, allowed)
        return self.norm(h)

    def split(self, h: Tensor) -> tuple[Tensor, ...]:
        """Each head's slice of positions, shape (positions, head) each."""
        return self.fused(self.drop(h)).split(self.shape.head, dim=1)

    def category(
        self, j: int, slice_: Tensor, after: Tensor, earlier: list[Tensor], pointer: Tensor
    ) -> Tensor:
        """Logits of category j, as in the event net.

        Where the main category has many values, `pointer` for j = 0 holds the features of groups
        of them, and a value has those of its group.
        """
        if j or pointer.shape[1] == len(self.fold):
            return super().category(j, slice_, after, earlier, pointer)
        hidden = nn.functional.silu(slice_ + self.cat_in[0](after))
        drawn_to = torch.bmm(pointer, self.point(hidden).unsqueeze(2)).squeeze(2)
        return self.cat_out[0](hidden) + drawn_to[:, self.fold]
