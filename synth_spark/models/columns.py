"""What the networks of flat tables share: how tokens enter, and how the logits of columns leave.

Ordered tokens enter and leave through a fixed basis of ranks and hat functions, so that
neighbouring bins share strength; many-label categories through learned vectors. A column's logits
are its log shares, direct tables from other columns (log-linear pair effects), and what a network
adds. Pairs that never occur are taken out of the softmax, in training as in sampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
    learned: bool = False  # vectors beside the basis

    @property
    def vectors(self) -> bool:
        """Whether it has learned vectors."""
        return self.learned or self.basis is None

    def features(self, learned: int) -> int:
        """How many it has, where learned vectors are so wide."""
        return (0 if self.basis is None else self.basis.shape[1]) + learned * self.vectors


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of the network. Inputs are slots: one a column, more for some."""

    slots: tuple[Slot, ...]
    outs: tuple[NDArray[np.float32] | None, ...]  # per column (vocabulary, features), None: plain
    sizes: tuple[int, ...]  # vocabularies of the columns
    ranks: tuple[int, ...]  # per column: width of its learned output vectors, 0: none; of such a
    # column `outs` are those that learning begins with
    parents: tuple[tuple[int, ...], ...]  # per column: slots with a direct table
    bias: tuple[NDArray[np.float32], ...]  # log shares
    class_of: tuple[NDArray[np.int64], ...]  # per token column: row of `never` of each token
    never: NDArray[np.float32]  # (class rows, sum of sizes), NEVER or 0
    width: int = 12
    dropout: float = 0.1
    learned: int = 16  # width of learned input vectors
    squeeze: int = 0  # features of a slot before the first layer are mixed down to so many; 0: not
    # per column: token columns and what their tokens add to the logits, (its vocabulary, own)
    beside: tuple[tuple[tuple[int, NDArray[np.float32]], ...], ...] = ()
    reach: tuple[tuple[int, ...], ...] = ()  # wide tables: slots that each column's units see
    strength: float = 1.0  # of the direct tables: so many times the steps of the other weights

    def inputs(self, slot: Slot) -> int:
        """Features of one slot."""
        return slot.features(self.learned)

    def entered(self, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The features of each slot's tokens as trained, (vocabulary, features) each."""
        out = []
        for i, slot in enumerate(self.slots):
            tables = [] if slot.basis is None else [slot.basis]
            tables += [weights[f"vectors.{i}"]] if slot.vectors else []
            out.append(tables[0] if len(tables) == 1 else np.hstack(tables))
        return out

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


class Columns(nn.Module):
    """Tables of the inputs and of the logits; a network over them gives the nats of each row."""

    lists: ClassVar[tuple[str, ...]]  # in the optimiser's order, which last digits hang on

    bias: nn.ParameterList
    out: nn.ParameterList
    direct: nn.ParameterList

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.starts = np.cumsum([0, *map(layout.inputs, layout.slots)]).tolist()
        self.vectors = nn.ParameterDict()
        for i, slot in enumerate(layout.slots):
            if slot.basis is not None:
                self._keep(f"basis{i}", slot.basis)
            if slot.vectors:
                self.vectors[str(i)] = nn.Parameter(torch.randn(slot.size, layout.learned) * 0.3)

    def _heads(self) -> list[int]:
        """Make the tables of the logits; gives the features of each column."""
        layout = self.layout
        for name in self.lists:
            setattr(self, name, nn.ParameterList())
        self.picks: list[slice | None] = []
        widths = []
        for c, size in enumerate(layout.sizes):
            basis, rank = layout.outs[c], layout.ranks[c]
            widths.append(rank or (size if basis is None else basis.shape[1]))
            rows = [r for p in layout.parents[c] for r in range(*self.starts[p : p + 2])]
            self.picks.append(slice_of(rows))
            if self.picks[-1] is None:
                self._keep(f"pick{c}", np.array(rows))
            self.direct.append(nn.Parameter(torch.zeros(len(rows), widths[-1])))
            self.bias.append(nn.Parameter(torch.tensor(layout.bias[c])))
            learned = torch.randn(rank, size) / rank**0.5 if rank else torch.zeros(0)
            if rank and basis is not None:
                learned = torch.tensor(basis.T.copy())
            self.out.append(nn.Parameter(learned, requires_grad=bool(rank)))
            if basis is not None and not rank:
                self._keep(f"out{c}", basis.T.copy())
        self._forbid()
        for c, told in enumerate(layout.beside):
            for slot, table in told:
                self._keep(f"beside{c}_{slot}", table)
        return widths

    def _forbid(self) -> None:
        """Buffers of the pairs that never occur: per column only the class rows that matter."""
        layout, ends = self.layout, np.cumsum([0, *self.layout.sizes])
        self.never_columns: list[int] = []
        for c in range(len(layout.sizes)):
            taken = layout.never[:, ends[c] : ends[c + 1]]
            rows = np.flatnonzero(taken.any(axis=1))
            if len(rows):
                self.never_columns.append(c)
                self._keep(f"never{c}", taken[rows])
                self._keep(f"rows{c}", rows)
        for i, classes in enumerate(layout.class_of):
            self._keep(f"class{i}", classes)

    def _keep(self, name: str, fixed: NDArray[Any]) -> None:
        self.register_buffer(name, torch.tensor(fixed), persistent=False)

    def _entered(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Features of each slot, (rows, features); tokens (rows, slots + gates)."""
        out = []
        for i, slot in enumerate(self.layout.slots):
            tables = [] if slot.basis is None else [getattr(self, f"basis{i}")]
            tables += [self.vectors[str(i)]] if slot.vectors else []
            parts = [functional.embedding(tokens[:, i], table) for table in tables]
            out.append(parts[0] if len(parts) == 1 else torch.cat(parts, 1))
        return out

    def _nats(
        self, tokens: torch.Tensor, x: torch.Tensor, parts: Iterable[torch.Tensor], *, direct: bool
    ) -> torch.Tensor:
        """Nats of each row.

        Args:
            tokens: (rows, slots + gates).
            x: The features of all slots beside each other.
            parts: What a network adds to the features of each column's logits.
            direct: Whether the direct tables join.
        """
        classes = self._classes(tokens) if self.never_columns else None
        nats = torch.zeros(len(tokens), device=tokens.device)
        for c, part in enumerate(parts):
            features = part
            if direct and len(self.direct[c]):
                picked = self.picks[c]
                picked = getattr(self, f"pick{c}") if picked is None else picked
                features = features + self.layout.strength * (x[:, picked] @ self.direct[c])
            logits = self._leave(c, features) + self.bias[c]
            for slot, _ in self.layout.beside[c] if self.layout.beside else ():
                logits = logits + getattr(self, f"beside{c}_{slot}")[tokens[:, slot]]
            if classes is not None and c in self.never_columns:
                logits = logits + classes[:, getattr(self, f"rows{c}")] @ getattr(self, f"never{c}")
            nats = nats + functional.cross_entropy(logits, tokens[:, c], reduction="none")
        return nats

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


def slice_of(rows: list[int]) -> slice | None:
    """A slice where the rows lie together, which spares a copy of the inputs; else None."""
    if not rows:
        return slice(0, 0)
    together = rows[-1] - rows[0] + 1 == len(rows)
    return slice(rows[0], rows[-1] + 1) if together else None
