"""Which labels of a subject's own columns meet: what never met is drawn again.

Trees draw a label out of a leaf in which subjects with several earlier labels stand together, so
a desk would get the head of another. Two columns are held to the pairs that the sample has where
these are about all that there are: where few subjects have a pair that nobody else has, for such
subjects tell what is still unseen (Good, Biometrika 1953).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_facts import Floats

Bools = NDArray[np.bool_]
MOST_CELLS = 1_000_000  # of a pair of columns that is looked at
UNSEEN = 0.05  # share of subjects with a pair of their own, up to which pairs are held to


@dataclass(frozen=True, slots=True)
class Met:
    """Pairs of columns of tokens that are held to what met."""

    tables: Mapping[tuple[int, int], Bools]  # by earlier and later column, (tokens, tokens)

    @classmethod
    def learn(cls, table: Floats, columns: Sequence[int]) -> Self:
        """Look at every pair of some columns.

        Args:
            table: Whole numbers from 0 in these columns, shape (subjects, columns).
            columns: Positions, in the order in which they are drawn.
        """
        tables = {}
        size = {j: int(table[:, j].max(initial=0)) + 1 for j in columns}
        for k, j in enumerate(columns):
            for i in columns[:k]:
                if size[i] * size[j] > MOST_CELLS:
                    continue
                pair = counts_of(table[:, i].astype(np.int64), table[:, j].astype(np.int64))
                if about_all(pair):
                    tables[i, j] = pair > 0
        return cls(tables)

    def broken(self, j: int, x: Floats, drawn: Floats) -> Bools:
        """Whether a drawn label of column j never met one before it in `x`, shape (subjects,)."""
        out = np.zeros(len(drawn), bool)
        for (i, later), met in self.tables.items():
            if later == j:
                out |= ~met[x[:, i].astype(np.int64), drawn.astype(np.int64)]
        return out

    def state(self) -> list[Any]:
        """A tree for `core/wire.py`."""
        return [[i, j, met] for (i, j), met in self.tables.items()]

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        """The pairs that `state` came from."""
        return cls({(int(i), int(j)): met for i, j, met in state})


def counts_of(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each pair comes, shape (tokens of a, tokens of b)."""
    rows, columns = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    return np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)


def about_all(pairs: NDArray[np.int64]) -> bool:
    """Whether the pairs that came, of `counts_of`, are about all that there are."""
    return bool((pairs == 1).sum() <= UNSEEN * pairs.sum())
