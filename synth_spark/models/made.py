"""A masked network over discretised columns: each column given those before it.

Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", ICML 2015, with masks by
blocks: every column owns `width` units in both hidden layers. To the logits of a column (see
`columns.py`, with direct tables from every earlier column) it adds the units of its own and earlier
blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from synth_spark.models.columns import Columns, Layout


class Made(Columns):
    """The network; `forward` gives the nats of each row."""

    lists = ("direct", "up", "bias", "out")
    up: nn.ParameterList

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        widths = [layout.inputs(s) for s in layout.slots]
        columns, width = len(layout.sizes), layout.width
        slot_of = np.repeat(np.arange(len(layout.slots)), layout.squeeze or widths)
        if layout.squeeze:
            self.mix = nn.ParameterList(
                nn.Parameter(torch.randn(w, layout.squeeze) / w**0.5) for w in widths
            )
        block = np.repeat(np.arange(columns), width)
        sees = layout.sees()
        spread = 1 / max(int(sees.sum(axis=0).max(initial=0)), 1) ** 0.5
        self.first = nn.Parameter(_uniform(len(slot_of), columns * width, spread))
        self.first_bias = nn.Parameter(torch.zeros(columns * width))
        self._mask("first_mask", sees[slot_of][:, block])
        if layout.reach:  # every column on its own: no block reads another's units
            own = torch.stack([_uniform(width, width, width**-0.5) for _ in range(columns)])
            self.second = nn.Parameter(own)
        else:
            spread = 1 / (columns * width / 2) ** 0.5
            self.second = nn.Parameter(_uniform(columns * width, columns * width, spread))
            self._mask("second_mask", block[:, None] <= block[None, :])
        self.second_bias = nn.Parameter(torch.zeros(columns * width))
        for c, features in enumerate(self._heads()):
            units = width if layout.reach else (c + 1) * width
            self.up.append(nn.Parameter(torch.zeros(units, features)))

    def _mask(self, name: str, mask: NDArray[np.bool_]) -> None:
        self._keep(name, mask.astype(np.float32))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Nats of each row; tokens (rows, slots + gates) as `Coder.encode` gives them."""
        layout, tokens = self.layout, tokens.long()
        parts = self._entered(tokens)
        x = low = torch.cat(parts, 1)
        if layout.squeeze:
            low = torch.cat([p @ m for p, m in zip(parts, self.mix, strict=True)], 1)
        drop = layout.dropout
        h = functional.relu(low @ (self.first * self.first_mask) + self.first_bias)
        h = functional.dropout(h, drop, self.training)
        h = functional.relu(self._second(h) + self.second_bias)
        h = functional.dropout(h, drop, self.training)
        return self._nats(tokens, x, self._added(h), direct=True)

    def _added(self, h: torch.Tensor) -> Iterator[torch.Tensor]:
        """What the units add to the features of each column's logits."""
        for c, up in enumerate(self.up):
            end = (c + 1) * self.layout.width
            yield h[:, end - len(up) : end] @ up

    def _second(self, h: torch.Tensor) -> torch.Tensor:
        if not self.layout.reach:
            return h @ (self.second * self.second_mask)
        columns, width = len(self.layout.sizes), self.layout.width
        apart = h.view(len(h), columns, width).transpose(0, 1)  # (columns, rows, width)
        return torch.bmm(apart, self.second).transpose(0, 1).reshape(len(h), -1)


def _uniform(rows: int, columns: int, spread: float) -> torch.Tensor:
    return (torch.rand(rows, columns) * 2 - 1) * spread
