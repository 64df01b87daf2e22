"""In which order types of event come in a subject, and what stands beside them.

A type is a small number: the template of a log line (`_text_column.py`), or the label of a category
that names types (`_text_codes.py`). Rows without a type (below 0) are left out of all counts, and
their places are taken by types as these follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_beside import (
    Beside,
    columns_beside,
    group_codes,
    group_column,
    held_labels,
    weigher_labels,
)
from synth_spark.columns._text_chain import START, Chain
from synth_spark.columns._text_made import Dice
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Schema

Wanted = dict[str, frozenset[str | None]]  # column -> labels that a condition asks for
STRIDE = 0xD1342543DE82EF95  # between the first states of neighbouring subjects


@dataclass(frozen=True, slots=True)
class Order:
    """A chain of types in each group, and the columns that go with the types."""

    chain: Chain
    group: str  # the subject's category that decides which types there are; "": none
    group_labels: tuple[str, ...]  # told ones; all others are one group, the last
    beside: tuple[Beside, ...]
    weighers: tuple[str, ...]
    wanted: Wanted | None = None  # of the columns beside, under a condition

    @classmethod
    def learn(
        cls,
        schema: Schema,
        sample: Records,
        types: NDArray[np.int64],
        *,
        min_subjects: int,
        relates: bool,
    ) -> Self:
        """Count a sample; without relations each row stands by itself.

        Args:
            schema: Of the table, without the column of the types.
            sample: Whole subjects.
            types: Of each row.
            min_subjects: Labels that fewer subjects hold are not told.
            relates: Whether types may hang on each other and on other columns.
        """
        group = group_column(schema, sample, types) if relates else ""
        labels, groups = group_codes(group, sample, min_subjects)
        names, weighers = columns_beside(schema, sample, types, groups) if relates else ([], [])
        ends = sample.offsets if relates else np.arange(sample.rows + 1)
        weights = {n: _told(sample, n, min_subjects) for n in weighers}
        chain = Chain.learn(types, groups, ends, weights)
        beside = tuple(
            Beside.learn(n, coded(sample.columns[n]), types, groups, sample.owners, min_subjects)
            for n in names
        )
        return cls(chain, group, labels, beside, tuple(weighers))

    def draw(
        self, records: Records, key: int, first: int
    ) -> tuple[NDArray[np.int64], dict[str, Values]]:
        """The type of each row, shape (rows,), and the columns beside them.

        Args:
            records: Drawn, with the group and the weighers.
            key: Of the random numbers.
            first: Number of the first subject; each has random numbers of its own.
        """
        groups = self.groups(records)
        weights = {n: weigher_labels(records.columns[n]) for n in self.weighers}
        types: list[int] = []
        codes: list[list[int]] = [[] for _ in self.beside]
        bounds = zip(records.offsets[:-1].tolist(), records.offsets[1:].tolist(), strict=True)
        for s, (a, b) in enumerate(bounds):
            dice = Dice(key + (first + s) * STRIDE)
            before, last = START, START
            labels_of: dict[tuple[int, int], int] = {}
            for i in range(a, b):
                group = int(groups[i])
                row = {n: labels[i] for n, labels in weights.items()}
                before, last = last, self.chain.draw(group, before, last, row, dice)
                types.append(last)
                for j, column in enumerate(self.beside):
                    asked = self.wanted.get(column.name) if self.wanted else None
                    code = column.draw(group, last, labels_of.get((j, last)), asked, dice)
                    labels_of[j, last] = code
                    codes[j].append(code)
        made = zip(self.beside, codes, strict=True)
        return np.array(types, np.int64), {b.name: b.values(c) for b, c in made}

    def groups(self, records: Records) -> NDArray[np.int64]:
        """The group of each row, shape (rows,)."""
        if not self.group:
            return np.zeros(records.rows, np.int64)
        codes = coded(records.columns[self.group]).recode(self.group_labels, len(self.group_labels))
        return np.where(codes < 0, len(self.group_labels), codes).astype(np.int64)

    def under(
        self, wanted: Wanted, able: Callable[[int], bool] = lambda _: True
    ) -> tuple[Order, tuple[str, ...]]:
        """This order where columns beside have wanted labels, and the groups that have such types.

        Args:
            wanted: Labels by column.
            able: Which types are wanted themselves.
        """
        mass: dict[int, float] = {}
        groups: list[str] = []
        for g in range(len(self.group_labels) + 1):
            for t in sorted(self.chain.templates(g)):
                chances = [b.mass(g, t, wanted.get(b.name)) for b in self.beside]
                if able(t) and all(c > 0 for c in chances):
                    mass[t] = max(mass.get(t, 0.0), float(np.prod(chances)))
                    groups += self.group_labels[g : g + 1]
        under = replace(self, chain=self.chain.under(mass), wanted=wanted)
        return under, tuple(dict.fromkeys(groups))

    def in_words(self) -> str:
        """What the types hang on, and what hangs on them."""
        by = f"; by {self.group}" if self.group else ""
        return by + (f"; with {', '.join(b.name for b in self.beside)}" if self.beside else "")

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "chain": self.chain.state(),
            "group": self.group,
            "group_labels": list(self.group_labels),
            "beside": [b.state() for b in self.beside],
            "weighers": list(self.weighers),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The order that `state` came from."""
        return cls(
            Chain.from_state(state["chain"]),
            state["group"],
            tuple(state["group_labels"]),
            tuple(Beside.from_state(b) for b in state["beside"]),
            tuple(state["weighers"]),
        )


def _told(sample: Records, name: str, min_subjects: int) -> Sequence[str]:
    values = coded(sample.columns[name])
    return weigher_labels(values, held_labels(values, sample.owners, min_subjects))


def coded(values: Values) -> Coded:
    """A category's values."""
    assert isinstance(values, Coded)
    return values
