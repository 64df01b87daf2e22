"""A masked network over discretised columns: each column given those before it.

Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", ICML 2015, with masks by
blocks: every column owns `width` units in both hidden layers. The logits of a column are its
log shares, plus direct tables from every earlier column (log-linear pair effects), plus the units
of its own and earlier blocks. Ordered tokens enter and leave through a fixed basis of ranks and
hat functions, so that neighbouring bins share strength; many-label categories through learned
vectors. Pairs that never occur are taken out of the softmax, in training as in sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

NEVER = -1e4  # logit of a pair that does not occur


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of input tokens."""

    column: int  # position of the drawn column that it belongs to
    basis: NDArray[np.float32] | None  # (vocabulary, features), None: learned vectors
    size: int  # vocabulary


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of the network. Inputs are slots: one a column, more for some."""

    slots: tuple[Slot, ...]
    outs: tuple[NDArray[np.float32] | None, ...]  # per column (vocabulary, features), None: plain
    sizes: tuple[int, ...]  # vocabularies of the columns
    ranks: tuple[int, ...]  # per column: width of its learned output vectors, 0: none
    parents: tuple[tuple[int, ...], ...]  # per column: slots with a direct table
    bias: tuple[NDArray[np.float32], ...]  # log shares
    class_of: tuple[NDArray[np.int64], ...]  # per token column: row of `never` of each token
    never: NDArray[np.float32]  # (class rows, sum of sizes), NEVER or 0
    width: int = 12
    dropout: float = 0.1
    learned: int = 16  # width of learned input vectors
    squeeze: int = 0  # features of a slot before the first layer are mixed down to so many; 0: not
    reach: tuple[tuple[int, ...], ...] = ()  # wide tables: slots that each column's units see

    def inputs(self, slot: Slot) -> int:
        """Features of one slot."""
        return self.learned if slot.basis is None else int(slot.basis.shape[1])

    def sees(self) -> NDArray[np.bool_]:
        """Which slots feed the hidden units of which column, shape (slots, columns)."""
        columns = len(self.sizes)
        out = np.array([s.column for s in self.slots])[:, None] < np.arange(columns)[None, :]
        if self.reach:
            near = np.zeros_like(out)
            for column, slots in enumerate(self.reach):
                near[list(slots), column] = True
            out &= near
        return out


class Made(nn.Module):
    """The network; `forward` gives the nats of each row."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        widths = [layout.inputs(s) for s in layout.slots]
        self.starts = np.cumsum([0, *widths]).tolist()
        columns, width = len(layout.sizes), layout.width
        self.vectors = nn.ParameterDict()
        for i, slot in enumerate(layout.slots):
            if slot.basis is None:
                self.vectors[str(i)] = nn.Parameter(torch.randn(slot.size, layout.learned) * 0.3)
            else:
                self.register_buffer(f"basis{i}", torch.tensor(slot.basis), persistent=False)
        slot_of = np.repeat(np.arange(len(layout.slots)), widths)
        if layout.squeeze:
            self.mix = nn.ParameterList(
                nn.Parameter(torch.randn(w, layout.squeeze) / w**0.5) for w in widths
            )
            slot_of = np.repeat(np.arange(len(layout.slots)), layout.squeeze)
        block = np.repeat(np.arange(columns), width)
        sees = layout.sees()
        spread = 1 / max(int(sees.sum(axis=0).max(initial=0)), 1) ** 0.5
        self.first = nn.Parameter(_uniform(len(slot_of), columns * width, spread))
        self.first_bias = nn.Parameter(torch.zeros(columns * width))
        _mask(self, "first_mask", sees[slot_of][:, block])
        if layout.reach:  # every column on its own: no block reads another's units
            own = torch.stack([_uniform(width, width, width**-0.5) for _ in range(columns)])
            self.second = nn.Parameter(own)
        else:
            spread = 1 / (columns * width / 2) ** 0.5
            self.second = nn.Parameter(_uniform(columns * width, columns * width, spread))
            _mask(self, "second_mask", block[:, None] <= block[None, :])
        self.second_bias = nn.Parameter(torch.zeros(columns * width))
        self.direct, self.up, self.bias, self.out = (nn.ParameterList() for _ in range(4))
        self.picks: list[Any] = []
        for c, size in enumerate(layout.sizes):
            basis = layout.outs[c]
            features = layout.ranks[c] or (size if basis is None else basis.shape[1])
            rows = [r for p in layout.parents[c] for r in range(*self.starts[p : p + 2])]
            self.picks.append(pick_of(rows))
            self.direct.append(nn.Parameter(torch.zeros(len(rows), features)))
            units = width if layout.reach else (c + 1) * width
            self.up.append(nn.Parameter(torch.zeros(units, features)))
            self.bias.append(nn.Parameter(torch.tensor(layout.bias[c])))
            rank = layout.ranks[c]
            learned = torch.randn(rank, size) / rank**0.5 if rank else torch.zeros(0)
            self.out.append(nn.Parameter(learned, requires_grad=bool(rank)))
            if basis is not None:
                self.register_buffer(f"out{c}", torch.tensor(basis.T.copy()), persistent=False)
        self._forbid()

    def _forbid(self) -> None:
        """Buffers of the pairs that never occur: per column only the class rows that matter."""
        layout, ends = self.layout, np.cumsum([0, *self.layout.sizes])
        self.never_columns: list[int] = []
        for c in range(len(layout.sizes)):
            taken = layout.never[:, ends[c] : ends[c + 1]]
            rows = np.flatnonzero(taken.any(axis=1))
            if len(rows):
                self.never_columns.append(c)
                self.register_buffer(f"never{c}", torch.tensor(taken[rows]), persistent=False)
                self.register_buffer(f"rows{c}", torch.tensor(rows), persistent=False)
        for i, classes in enumerate(layout.class_of):
            self.register_buffer(f"class{i}", torch.tensor(classes), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Nats of each row; tokens (rows, slots + gates) as `Coder.encode` gives them."""
        layout, tokens = self.layout, tokens.long()
        parts = [self._enter(i, tokens[:, i]) for i in range(len(layout.slots))]
        x = torch.cat(parts, 1)
        low = (
            torch.cat([p @ m for p, m in zip(parts, self.mix, strict=True)], 1)
            if layout.squeeze
            else x
        )
        drop = layout.dropout
        h = functional.relu(low @ (self.first * self.first_mask) + self.first_bias)
        h = functional.dropout(h, drop, self.training)
        h = functional.relu(self._second(h) + self.second_bias)
        h = functional.dropout(h, drop, self.training)
        classes = self._classes(tokens) if self.never_columns else None
        nats = torch.zeros(len(tokens), device=tokens.device)
        for c in range(len(layout.sizes)):
            end = (c + 1) * layout.width
            logits = h[:, end - len(self.up[c]) : end] @ self.up[c]
            if len(self.direct[c]):
                logits = logits + x[:, self.picks[c]] @ self.direct[c]
            logits = self._leave(c, logits) + self.bias[c]
            if classes is not None and c in self.never_columns:
                logits = logits + classes[:, getattr(self, f"rows{c}")] @ getattr(self, f"never{c}")
            nats = nats + functional.cross_entropy(logits, tokens[:, c], reduction="none")
        return nats

    def _second(self, h: torch.Tensor) -> torch.Tensor:
        if not self.layout.reach:
            return h @ (self.second * self.second_mask)
        columns, width = len(self.layout.sizes), self.layout.width
        apart = h.view(len(h), columns, width).transpose(0, 1)  # (columns, rows, width)
        return torch.bmm(apart, self.second).transpose(0, 1).reshape(len(h), -1)

    def _enter(self, slot: int, tokens: torch.Tensor) -> torch.Tensor:
        learned = self.layout.slots[slot].basis is None
        table = self.vectors[str(slot)] if learned else getattr(self, f"basis{slot}")
        return functional.embedding(tokens, table)

    def _leave(self, column: int, features: torch.Tensor) -> torch.Tensor:
        if self.layout.ranks[column]:
            return features @ self.out[column]
        basis = getattr(self, f"out{column}", None)
        return features if basis is None else features @ basis

    def _classes(self, tokens: torch.Tensor) -> torch.Tensor:
        hot = torch.zeros(len(tokens), len(self.layout.never), device=tokens.device)
        for i in range(tokens.shape[1]):
            rows = getattr(self, f"class{i}")
            if len(rows):
                hot.scatter_(1, rows[tokens[:, i]][:, None], 1.0)
        return hot


def _uniform(rows: int, columns: int, spread: float) -> torch.Tensor:
    return (torch.rand(rows, columns) * 2 - 1) * spread


def _mask(module: nn.Module, name: str, mask: NDArray[np.bool_]) -> None:
    module.register_buffer(name, torch.tensor(mask.astype(np.float32)), persistent=False)


def pick_of(rows: list[int]) -> Any:
    """A slice where the rows lie together, which spares a copy of the inputs."""
    if not rows:
        return slice(0, 0)
    together = rows[-1] - rows[0] + 1 == len(rows)
    return slice(rows[0], rows[-1] + 1) if together else torch.tensor(rows)
