"""What stands beside a line: columns that its template nearly tells, and the group that has it.

The level and the component of a log line are facts of the statement that wrote it. A category of
the row whose uncertainty is mostly gone once the template and the group are known is not learned by
a generator but drawn with the line. The group is the subject's category that tells most about the
template.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_made import Dice
from synth_spark.core.batch import RARE, Coded, Records
from synth_spark.core.schema import Column, Schema

TOLD_BY = 0.25  # of its entropy, what may be left of a category that goes with the template
TELLS = 0.05  # nats that a category tells about the template before it counts
MOST_GROUPS = 500
MOST_WEIGHERS = 3


@dataclass(frozen=True, slots=True)
class Beside:
    """A category that is drawn with the line: its labels given group and template."""

    name: str
    labels: tuple[str | None, ...]
    tables: dict[tuple[int, int], tuple[list[int], list[float]]]  # labels, cumulative rows
    stays: float  # share of lines that keep the label of the subject's last line of the template

    @classmethod
    def learn(
        cls,
        name: str,
        values: Coded,
        templates: NDArray[np.int64],
        groups: NDArray[np.int64],
        owners: NDArray[np.int64],
        min_subjects: int,
    ) -> Self:
        """Count a sample; a label of fewer than `min_subjects` subjects is the rare one."""
        told = held_labels(values, owners, min_subjects)
        labels = (*(label for label in values.labels if label in told), RARE, None)
        place = {label: i for i, label in enumerate(labels)}
        table = [place.get(label, len(labels) - 2) for label in values.labels]
        codes = np.array([*table, len(labels) - 1], np.int64)[values.codes]
        rows: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        last: dict[tuple[int, int], int] = {}
        same, again = 0.0, 0.0
        for g, t, o, c in zip(
            *(v.tolist() for v in (groups, templates, owners, codes)), strict=True
        ):
            if t < 0:
                continue
            if (o, t) in last:
                again += 1
                same += last[o, t] == c
            last[o, t] = c
            rows[g, t][c] += 1
        tables = {}
        for key, counts in rows.items():
            named = sorted(c for c in counts if labels[c] != RARE) or sorted(counts)
            tables[key] = (named, np.cumsum([counts[c] for c in named]).astype(float).tolist())
        by_chance = sum(
            sum(n * n for n in c.values()) / sum(c.values()) for c in rows.values()
        ) / max(sum(sum(c.values()) for c in rows.values()), 1)
        share = same / again if again else 0.0
        stays = max((share - by_chance) / (1 - by_chance), 0.0) if by_chance < 1 else 0.0
        return cls(name, labels, tables, stays)

    def mass(self, group: int, template: int, wanted: frozenset[str | None] | None) -> float:
        """The chance that a line of the template in the group has one of the wanted labels."""
        return _share(self.tables.get((group, template)), self.labels, wanted)

    def draw(
        self,
        group: int,
        template: int,
        last: int | None,
        wanted: frozenset[str | None] | None,
        dice: Dice,
    ) -> int:
        """The position of a label, the last one of the template in the subject being `last`."""
        stay, u = dice.uniform() < self.stays, dice.uniform()
        if stay and last is not None:
            return last
        codes, upper = self.tables.get((group, template)) or self._any(template)
        if wanted is not None:
            weights = np.diff(upper, prepend=0.0) * [self.labels[c] in wanted for c in codes]
            upper = np.cumsum(weights).tolist()
        at = bisect_right(upper, u * upper[-1])
        return codes[min(at, len(codes) - 1)]

    def values(self, drawn: list[int]) -> Coded:
        """Drawn positions of labels as a column, shape (rows,)."""
        at, gone = np.array(drawn, np.int32), len(self.labels) - 1
        return Coded(np.where(at == gone, -1, at).astype(np.int32), self._names())

    def _names(self) -> tuple[str, ...]:
        return tuple(str(v) for v in self.labels[:-1])

    def _any(self, template: int) -> tuple[list[int], list[float]]:
        found = [t for (_, i), t in sorted(self.tables.items()) if i == template]
        return found[0] if found else ([len(self.labels) - 1], [1.0])

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        tables = [[*key, codes, upper] for key, (codes, upper) in sorted(self.tables.items())]
        plain = {"name": self.name, "labels": list(self.labels), "stays": self.stays}
        return {**plain, "tables": tables}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        tables = {(g, t): (codes, upper) for g, t, codes, upper in state["tables"]}
        return cls(state["name"], tuple(state["labels"]), tables, state["stays"])


def _share(
    table: tuple[list[int], list[float]] | None,
    labels: tuple[str | None, ...],
    wanted: frozenset[str | None] | None,
) -> float:
    if wanted is None:
        return 1.0
    if table is None:
        return 0.0
    weights = np.diff(table[1], prepend=0.0)
    return float(sum(w for c, w in zip(table[0], weights, strict=True) if labels[c] in wanted))


def held_labels(values: Coded, owners: NDArray[np.int64], min_subjects: int) -> set[str]:
    """The labels that at least `min_subjects` subjects hold."""
    width = max(len(values.labels), 1)
    known = values.codes >= 0
    once = np.unique(owners[known] * width + values.codes[known]) % width
    held = np.bincount(once, minlength=width)
    return {label for i, label in enumerate(values.labels) if held[i] >= min_subjects}


def group_column(schema: Schema, sample: Records, templates: NDArray[np.int64]) -> str:
    """The subject's category that tells most about the template; "" where none tells enough."""
    if schema.shape == "flat":
        return ""
    best = (TELLS, "")
    for column in schema.of_kind("category"):
        values = sample.columns[column.name]
        if column.per == "subject" and len(_coded(values).labels) <= MOST_GROUPS:
            before, after = entropy(templates, None), entropy(templates, _coded(values).codes)
            best = max(best, (before - after, column.name), key=lambda b: b[0])
    return best[1]


def group_codes(
    name: str, sample: Records, min_subjects: int
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Told labels of the group column, and each row's group; shape (rows,)."""
    if not name:
        return (), np.zeros(sample.rows, np.int64)
    values = _coded(sample.columns[name])
    labels = tuple(sorted(held_labels(values, sample.owners, min_subjects)))
    codes = values.recode(labels, len(labels))
    return labels, np.where(codes < 0, len(labels), codes).astype(np.int64)


def columns_beside(
    schema: Schema, sample: Records, templates: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[list[str], list[str]]:
    """Categories of the row that go with the template, and those that weigh templates."""
    known = templates >= 0
    both = templates[known] * (int(groups.max(initial=0)) + 1) + groups[known]
    beside: list[str] = []
    told: list[tuple[float, str]] = []
    for column in schema.of_kind("category"):
        if column.per == "subject" and schema.shape == "events":
            continue
        codes = _coded(sample.columns[column.name]).codes[known]
        alone, left = entropy(codes, None), entropy(codes, both)
        if alone > 0 and left <= TOLD_BY * alone:
            beside.append(column.name)
        elif alone - left > TELLS:
            told.append((left - alone, column.name))
    return beside, [name for _, name in sorted(told)[:MOST_WEIGHERS]]


def entropy(values: NDArray[Any], given: NDArray[Any] | None) -> float:
    """Entropy in nats of small integers, given others; Miller's correction for few rows."""
    if not len(values):
        return 0.0
    if given is None:
        return _entropy(np.unique(values, return_counts=True)[1])
    low = int(values.min())
    width = int(values.max()) - low + 1
    pairs = given.astype(np.int64) * width + values - low
    joint = np.unique(pairs, return_counts=True)[1]
    return max(_entropy(joint) - _entropy(np.unique(given, return_counts=True)[1]), 0.0)


def _entropy(counts: NDArray[np.int64]) -> float:
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum() + (len(counts) - 1) / (2 * counts.sum()))


def _coded(values: Any) -> Coded:
    assert isinstance(values, Coded)
    return values


def weigher_labels(values: Any, told: set[str] | None = None) -> Sequence[str]:
    """The labels of a category, missing as an empty text, those not told as rare; shape (rows,)."""
    texts = _coded(values).texts()
    return ["" if v is None else v if told is None or v in told else RARE for v in texts]


__all__ = [
    "Beside",
    "Column",
    "columns_beside",
    "entropy",
    "group_codes",
    "group_column",
    "held_labels",
    "weigher_labels",
]
