"""A trained network as tables: what a sampler adds up for each column.

Bases, learned vectors, direct tables and forbidden pairs are folded into one table per column, so
that a drawn token costs the lookup of a row and not a product with its features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.models.columns import Layout

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ColumnTables:
    """One column. Token columns `hidden_slots` and `direct_slots` pick rows of the two tables."""

    hidden: Array  # (rows, width), added up: first hidden block before the ReLU
    hidden_slots: NDArray[np.int32]  # (p,)
    hidden_starts: NDArray[np.int32]  # (p,)
    hidden_bias: Array  # (width,)
    second: Array  # ((c + 1) * width, width), or (width, width): reads its own block only
    second_bias: Array  # (width,)
    direct: Array  # (rows, features), added up: part of the logits
    direct_slots: NDArray[np.int32]  # (q,)
    direct_starts: NDArray[np.int32]  # (q,)
    bias: Array  # (features,)
    up: Array  # ((c + 1) * width, features), or (width, features)
    out: Array  # (features, vocabulary), or (0, 0) where the features are the logits
    out_bias: Array  # (vocabulary,) added after `out`, or (0,)
    beside: Array  # (vocabulary of a token column, vocabulary) added last, or (0, 0)
    beside_slot: int  # that token column

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {name: getattr(self, name) for name in self.__slots__}


def fold(layout: Layout, weights: Mapping[str, NDArray[Any]]) -> tuple[ColumnTables, ...]:
    """The tables of all columns.

    Args:
        layout: Of the network.
        weights: Its state dict.
    """
    folded = _Folded(layout, weights)
    return tuple(folded.column(c) for c in range(len(layout.sizes)))


class _Folded:
    def __init__(self, layout: Layout, weights: Mapping[str, NDArray[Any]]) -> None:
        self.layout, self.weights = layout, weights
        self.enter = layout.entered(weights)
        self.starts = np.cumsum([0, *(e.shape[1] for e in self.enter)])
        self.low = self.enter
        if layout.squeeze:
            self.low = [e @ weights[f"mix.{i}"] for i, e in enumerate(self.enter)]
        self.low_starts = np.cumsum([0, *(e.shape[1] for e in self.low)])
        self.ends = np.cumsum([0, *layout.sizes])
        self.sees = layout.sees()

    def column(self, c: int) -> ColumnTables:
        layout, w, h = self.layout, self.weights, self.layout.width
        own, before = slice(c * h, (c + 1) * h), (c + 1) * h
        slots = np.flatnonzero(self.sees[:, c]).tolist()
        first = w["first"]
        hidden = [
            self.low[i] @ first[self.low_starts[i] : self.low_starts[i + 1], own] for i in slots
        ]
        basis, rank = layout.outs[c], layout.ranks[c]
        leave = np.eye(layout.sizes[c], dtype=np.float32) if basis is None else basis.T
        leave = np.zeros((0, 0), np.float32) if rank else leave.astype(np.float32)
        direct, direct_slots = self._direct(c, leave)
        up = w[f"up.{c}"]
        told = layout.beside[c] if layout.beside and rank else ()  # else it is in `direct`
        assert len(told) < 2, "a column of learned vectors has one table at most"
        return ColumnTables(
            **_stacked("hidden", hidden, slots, h),
            hidden_bias=_f32(w["first_bias"][own]),
            second=_f32(w["second"][c] if layout.reach else w["second"][:before, own]),
            second_bias=_f32(w["second_bias"][own]),
            **_stacked("direct", direct, direct_slots, rank or layout.sizes[c]),
            bias=np.zeros(rank, np.float32) if rank else _f32(w[f"bias.{c}"]),
            up=_f32(up if rank else up @ leave),
            out=_f32(w[f"out.{c}"]) if rank else np.zeros((0, 0), np.float32),
            out_bias=_f32(w[f"bias.{c}"]) if rank else np.zeros(0, np.float32),
            beside=told[0][1] if told else np.zeros((0, 0), np.float32),
            beside_slot=told[0][0] if told else 0,
        )

    def _direct(self, c: int, leave: Array) -> tuple[list[Array], list[int]]:
        """Tables of the direct and forbidden pairs of one column, by slot or gate."""
        layout, at = self.layout, 0
        tables: dict[int, Array] = {}

        def add(slot: int, table: Array) -> None:
            tables[slot] = tables[slot] + table if slot in tables else table

        for p in layout.parents[c]:
            rows = self.enter[p].shape[1]
            block = layout.strength * self.weights[f"direct.{c}"][at : at + rows]
            at += rows
            add(p, _f32(self.enter[p] @ (block @ leave if len(leave) else block)))
        if not layout.ranks[c]:
            for slot, table in layout.beside[c] if layout.beside else ():
                add(slot, table)
            for i, rows_of in enumerate(layout.class_of):
                taken = layout.never[:, self.ends[c] : self.ends[c + 1]][rows_of]
                if taken.any():
                    add(i, taken)
        slots = sorted(tables)
        return [tables[i] for i in slots], slots


def _stacked(name: str, tables: list[Array], slots: list[int], width: int) -> dict[str, Any]:
    starts = np.cumsum([0, *(len(t) for t in tables)])[:-1]
    stack = np.concatenate(tables) if tables else np.zeros((0, width), np.float32)
    return {
        name: _f32(stack),
        f"{name}_slots": np.array(slots, np.int32),
        f"{name}_starts": starts.astype(np.int32),
    }


def _f32(values: NDArray[Any]) -> Array:
    return np.ascontiguousarray(values, np.float32)
