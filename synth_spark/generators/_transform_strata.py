"""Strata of donors: for each column a few trees over all other columns, at least k donors a leaf.

`Strata.redraw` gives a row's column the value of a random donor that lies in the same leaf as the
row does now. Going over all columns in turn changes every value of a record and leaves the joint
distribution about as it was: one sweep of a Gibbs sampler whose conditionals are trees.
After: Reiter, "Using CART to generate partially synthetic public use microdata", Journal of
Official Statistics 21 (2005), section 2; Moore, "Controlled data-swapping techniques for masking
public use microdata sets", US Bureau of the Census RR 96-04 (1996), for the swap within strata.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._transform_kernels import LEVELS, grow, redraw

Tokens = NDArray[np.int32]
_SPIKES = 6  # heavy tokens of an ordered column that strata shall tell apart
_SPIKE_SHARE = 0.03
_MOST_DIMS = 8  # scores of a column of labels: its heaviest tokens


@dataclass(frozen=True, slots=True)
class Levels:
    """Each column's tokens as at most `LEVELS` levels for splits."""

    tables: tuple[NDArray[np.uint8], ...]  # one a column: token -> level
    ordered: NDArray[np.bool_]  # (columns,)

    @classmethod
    def of(cls, donors: Tokens, sizes: list[int], ordered: NDArray[np.bool_]) -> Self:
        """Levels of about equal mass for ordered columns, of the heaviest tokens for labels."""
        tables = []
        for column, size, in_order in zip(donors, sizes, ordered, strict=True):
            counts = np.bincount(column, minlength=size)
            if size <= LEVELS:
                table = np.arange(size)
            elif in_order:
                before = np.cumsum(counts) - counts / 2
                table = np.minimum((before * LEVELS / max(len(column), 1)), LEVELS - 1)
            else:
                table = np.full(size, LEVELS - 1)
                table[np.argsort(-counts, kind="stable")[: LEVELS - 1]] = np.arange(LEVELS - 1)
            tables.append(table.astype(np.uint8))
        return cls(tuple(tables), ordered)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {"tables": list(self.tables), "ordered": self.ordered}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The levels that `state` came from."""
        return cls(tuple(state["tables"]), state["ordered"])

    def codes(self, tokens: Tokens) -> NDArray[np.uint8]:
        """Levels of tokens, both (columns, rows)."""
        return np.stack([t[x] for t, x in zip(self.tables, tokens, strict=True)])


@dataclass(frozen=True, slots=True)
class Strata:
    """The trees of one column, end to end."""

    roots: NDArray[np.int32]  # (trees,)
    column: NDArray[np.int32]  # (nodes,), -1 in a leaf
    left: NDArray[np.uint64]  # (nodes,)
    child: NDArray[np.int32]  # (nodes,)
    start: NDArray[np.int32]  # (nodes,)
    count: NDArray[np.int32]  # (nodes,)
    held: NDArray[np.int32]  # (trees * donors,), sorted in each leaf: no donor can be followed

    @classmethod
    def grow(
        cls, donors: Tokens, levels: Levels, j: int, *, leaf: int, trees: int, seed: int
    ) -> Self:
        """Trees for column j.

        Args:
            donors: (columns, donors) tokens.
            levels: Of the columns.
            j: The column.
            leaf: Least donors of a stratum.
            trees: Trees; each may split on a random half of the columns, the first on all.
            seed: Of the choice of columns.
        """
        rng = generator(seed, f"strata/{j}")
        codes = levels.codes(donors)
        scores = scores_of(donors[j], bool(levels.ordered[j]))
        parts, nodes, size = [], [0], donors.shape[1]
        for t in range(trees):
            usable = rng.random(len(donors)) < 0.6 if t else np.ones(len(donors), np.bool_)
            usable[j] = False
            column, left, child, start, count, order = _grown(
                codes, levels.ordered, scores, leaf, usable
            )
            held = donors[j][order]
            for node in np.flatnonzero(column < 0):
                held[start[node] : start[node] + count[node]].sort()
            parts.append((column, left, child + nodes[-1], start + t * size, count, held))
            nodes.append(nodes[-1] + len(column))
        joined = [np.concatenate([p[i] for p in parts]) for i in range(6)]
        kinds = (np.int32, np.uint64, np.int32, np.int32, np.int32, np.int32)
        arrays = [a.astype(k) for a, k in zip(joined, kinds, strict=True)]
        return cls(np.array(nodes[:-1], np.int32), *arrays)

    def redraw(
        self, codes: NDArray[np.uint8], moved: NDArray[np.bool_], rng: np.random.Generator,
        out: Tokens,
    ) -> None:  # fmt: skip
        """Overwrite `out` (rows,) by donors in the strata of `codes` (columns, rows)."""
        u = rng.random((2, codes.shape[1]))
        redraw(
            codes, self.roots, self.column, self.left, self.child, self.start, self.count,
            self.held, u, moved, out,
        )  # fmt: skip

    @property
    def smallest(self) -> int:
        """Donors of the smallest stratum."""
        return int(self.count[self.column < 0].min())

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The strata that `state` came from."""
        return cls(**state)


def _grown(
    codes: NDArray[np.uint8], ordered: NDArray[np.bool_], scores: NDArray[np.float64], leaf: int,
    usable: NDArray[np.bool_],
) -> tuple[NDArray[Any], ...]:  # fmt: skip
    """The nodes of one tree and its rows in the order of the leaves, see `grow`."""
    most = 2 * (len(scores) // leaf) + 3
    kinds = (np.int32, np.uint64, np.int32, np.int32, np.int32)
    nodes, order = [np.zeros(most, kind) for kind in kinds], np.empty(len(scores), np.int64)
    made = grow(codes, ordered, scores, leaf, usable, *nodes, order)
    return (*(x[:made] for x in nodes), order)


def normal_scores(tokens: NDArray[Any], size: int) -> NDArray[np.float64]:
    """The normal quantile at the middle of each token's share, shape (size,)."""
    counts = np.bincount(tokens, minlength=size)
    middle = (np.cumsum(counts) - counts / 2) / max(len(tokens), 1)
    quantile = NormalDist().inv_cdf
    return np.array([quantile(min(max(p, 1e-6), 1 - 1e-6)) for p in middle.tolist()])


def scores_of(tokens: Tokens, ordered: bool) -> NDArray[np.float64]:
    """What shall be alike in a stratum, (rows, dims): rank and heavy spikes, or labels."""
    size = int(tokens.max(initial=0)) + 1
    share = np.bincount(tokens, minlength=size) / max(len(tokens), 1)
    heavy = np.argsort(-share, kind="stable")
    if not ordered:
        return np.asarray(tokens[:, None] == heavy[:_MOST_DIMS], np.float64)
    heavy = heavy[:_SPIKES][share[heavy[:_SPIKES]] >= _SPIKE_SHARE]
    rank = normal_scores(tokens, size)[tokens]
    return np.column_stack([rank, (tokens[:, None] == heavy).astype(np.float64)])
