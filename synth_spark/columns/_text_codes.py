"""Which wide categories name types of event (an alarm, a component) and not a subject's habits.

A category of many labels is coded by rank within the subject where a subject has labels of its own:
contacts, cells, hosts. A type of event means the same in every subject, and its rank tells nothing.
The records decide: on subjects that were not counted, is the next label better told by the
subject's own past labels, or by what follows the last label in its group? Such a column is taken
out before a generator learns and drawn as the templates of log lines are (`_text_order.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_beside import group_codes, group_column, held_labels
from synth_spark.columns._text_order import Order, Wanted, coded
from synth_spark.core.batch import RARE, Coded, Records, Values
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key

MANY = 30  # told labels; with fewer a generator knows every label anyway
BETTER = 0.85  # of the nats of habit, what identity may leave at most
ROWS = 60_000  # that are looked at


@dataclass(frozen=True, slots=True)
class Codes:
    """A category that names types of event: told labels, then the rare ones together."""

    name: str
    labels: tuple[str, ...]  # the type after the last one is a missing value
    order: Order

    @classmethod
    def learn(cls, name: str, schema: Schema, sample: Records, *, min_subjects: int) -> Self:
        """Learn from a sample of whole subjects; see `Text.learn`."""
        values = coded(sample.columns[name])
        told = held_labels(values, sample.owners, min_subjects)
        labels = (*(v for v in values.labels if v in told), RARE)
        types = values.recode(labels, len(labels) - 1).astype(np.int64)
        types = np.where(types < 0, len(labels), types)
        rest = replace(schema, columns=tuple(c for c in schema.columns if c.name != name))
        order = Order.learn(rest, sample, types, min_subjects=min_subjects, relates=True)
        return cls(name, labels, order)

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that are written here."""
        return (self.name, *(b.name for b in self.order.beside))

    def complete(
        self, records: Records, schema: Schema, seed: int, first: int
    ) -> dict[str, Values]:
        """The column and those beside it for drawn records; see `Text.complete`."""
        types, beside = self.order.draw(records, stream_key(seed, f"order/{self.name}"), first)
        known = (types >= 0) & (types < len(self.labels))
        codes = np.where(known, types, -1).astype(np.int32)
        return {self.name: Coded(codes, self.labels), **beside}

    def under(self, wanted: Wanted) -> tuple[Codes, tuple[str, ...]]:
        """This column where it and columns beside it have wanted labels; see `Text.under`."""
        own = wanted.get(self.name)
        names = dict(enumerate((*self.labels, None)))
        order, groups = self.order.under(wanted, lambda t: own is None or names.get(t) in own)
        return replace(self, order=order), groups

    def in_words(self) -> str:
        """One line for the model card."""
        return f"{self.name}: {len(self.labels)} types of event{self.order.in_words()}"

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {"name": self.name, "labels": list(self.labels), "order": self.order.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The column that `state` came from."""
        return cls(state["name"], tuple(state["labels"]), Order.from_state(state["order"]))


def code_columns(schema: Schema, sample: Records, min_subjects: int) -> list[str]:
    """The categories of events that name types, in the schema's order."""
    if schema.shape == "flat":
        return []
    found = []
    for column in schema.of_kind("category"):
        values = sample.columns[column.name]
        if column.per == "subject" or not isinstance(values, Coded):
            continue
        told = held_labels(values, sample.owners, min_subjects)
        if len(told) > MANY:
            habit, identity = nats(schema, sample, values, min_subjects)
            if identity < BETTER * habit:
                found.append(column.name)
    return found


def nats(schema: Schema, sample: Records, values: Coded, min_subjects: int) -> tuple[float, float]:
    """Nats a row of half of the subjects, by their habit and by identity, learned on the others."""
    last_row = int(np.searchsorted(sample.offsets, ROWS, side="right"))
    some = np.arange(max(min(last_row - 1, sample.subjects), 1))
    order = generator(0, "codes").permutation(some)
    group = group_column(schema, sample, values.codes.astype(np.int64))
    _, groups = group_codes(group, sample, min_subjects)
    counted, asked = np.sort(order[len(order) // 2 :]), np.sort(order[: len(order) // 2])
    return _compared(values.codes, groups, sample.offsets, counted, asked, len(values.labels))


def _compared(
    codes: NDArray[np.int32],
    groups: NDArray[np.int64],
    offsets: NDArray[np.int64],
    counted: NDArray[np.int64],
    asked: NDArray[np.int64],
    labels: int,
) -> tuple[float, float]:
    alone: Counter[int] = Counter()
    by_group: defaultdict[int, Counter[int]] = defaultdict(Counter)
    follow: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for s in counted.tolist():
        last = -2
        for i in range(int(offsets[s]), int(offsets[s + 1])):
            c, g = int(codes[i]), int(groups[i])
            alone[c] += 1
            by_group[g][c] += 1
            follow[g, last][c] += 1
            last = c
    rows = alone.total()
    habit, identity, seen = 0.0, 0.0, 0
    for s in asked.tolist():
        own: Counter[int] = Counter()
        last = -2
        for i in range(int(offsets[s]), int(offsets[s + 1])):
            c, g = int(codes[i]), int(groups[i])
            popular = (alone[c] + 0.5) / (rows + 0.5 * (labels + 1))
            habit -= np.log(_mixed(own, c, popular, 1))
            identity -= np.log(_mixed(follow[g, last], c, _mixed(by_group[g], c, popular), 0))
            own[c] += 1
            last, seen = c, seen + 1
    return habit / max(seen, 1), identity / max(seen, 1)


def _mixed(counts: Counter[int], label: int, shorter: float, more: int = 0) -> float:
    """The chance of a label by counts, with Witten and Bell's weight for the shorter context."""
    weight = len(counts) + more
    total = counts.total() + weight
    return (counts[label] + weight * shorter) / total if total else shorter
