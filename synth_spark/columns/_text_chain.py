"""Which template comes next in a subject: counts of the last two, with backoff.

The chance of a template after the last two is that of Witten and Bell: the count, and for the
shorter context `NEW` counts for each different follower (Chen and Goodman, "An Empirical Study of
Smoothing Techniques for Language Modeling", Computer Speech and Language 1999, section 2.6; they
have 1 in its place). Contexts are those of one group, a category that is the subject's (a system, a
host's role), so a template never comes where it never stood. Categories of the row that are drawn
before the lines weigh templates by how often they went together, and forbid those that never did.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_made import Dice

START = -1  # before a subject's first line
ALL = -3  # the group of all groups
NEW = 0.5  # counts that each different follower of a context adds for the shorter one
MOST_KEPT = 200_000  # contexts whose cumulative shares are kept while drawing
Context = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Counts of templates by group and by the last two.

    A context is (group), (group, last) or (group, before last, last).
    """

    counts: dict[Context, dict[int, int]]
    weigh: dict[str, dict[tuple[str, int], float]]  # category: (label, template) -> weight
    mass: dict[int, float] | None = None  # of each template under a condition; None: no condition
    _shares: dict[Any, dict[int, float]] = field(default_factory=dict, repr=False, compare=False)
    _cumulative: dict[Any, tuple[list[int], list[float]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def learn(
        cls,
        templates: NDArray[np.int64],
        groups: NDArray[np.int64],
        offsets: NDArray[np.int64],
        row_labels: dict[str, Sequence[str]],
    ) -> Self:
        """Count a sample.

        Args:
            templates: Shape (rows,); rows below 0 are skipped, as if they were not there.
            groups: The group of each row, shape (rows,).
            offsets: Rows of each subject.
            row_labels: Categories that weigh templates, each of shape (rows,).
        """
        counts: dict[Context, Counter[int]] = {}
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            before = last = START
            for i in range(a, b):
                t, g = int(templates[i]), int(groups[i])
                if t < 0:
                    continue
                for context in ((ALL,), (g,), (g, last), (g, before, last)):
                    counts.setdefault(context, Counter())[t] += 1
                before, last = last, t
        known = np.flatnonzero(templates >= 0).tolist()
        total: Counter[int] = Counter(int(templates[i]) for i in known)
        weigh = {}
        for name, labels in row_labels.items():
            pairs = Counter((labels[i], int(templates[i])) for i in known)
            weigh[name] = {pair: n / total[pair[1]] for pair, n in pairs.items()}
        return cls({k: dict(v) for k, v in counts.items()}, weigh)

    def shares(self, context: Context) -> dict[int, float]:
        """The chance of each template in a context that shorter ones fill up."""
        known = self._shares.get(context)
        if known is None:
            known = self._shares[context] = self._smoothed(context)
        return known

    def _smoothed(self, context: Context) -> dict[int, float]:
        counts = self.counts.get(context, {})
        total = sum(counts.values())
        if not total and context == (ALL,):
            return {}
        if len(context) == 1:
            return {t: n / total for t, n in counts.items()} if total else self.shares((ALL,))
        shorter = self.shares((context[0], *context[2:]))
        if not total:
            return shorter
        new = NEW * len(counts)
        return {t: (counts.get(t, 0) + new * p) / (total + new) for t, p in shorter.items()}

    def draw(self, group: int, before: int, last: int, labels: dict[str, str], dice: Dice) -> int:
        """The next template; -1 where the group has none that the condition allows.

        Args:
            group: Of the row.
            before: The template before the last one, `START` where there is none.
            last: The last template.
            labels: The row's categories that weigh templates.
            dice: Of the subject.
        """
        key = (group, before, last, tuple(labels.values()))
        known = self._cumulative.get(key)
        if known is None:
            if len(self._cumulative) >= MOST_KEPT:
                self._cumulative.clear()
            known = self._cumulative[key] = self._weighed((group, before, last), labels)
        if not known[0]:
            return -1
        at = bisect_right(known[1], dice.uniform() * known[1][-1])
        return known[0][min(at, len(known[0]) - 1)]

    def _weighed(self, context: Context, labels: dict[str, str]) -> tuple[list[int], list[float]]:
        weights = self.shares(context)
        if self.mass is not None:
            weights = {t: p * self.mass.get(t, 0.0) for t, p in weights.items()}
        for name, label in labels.items():
            known = self.weigh[name]
            with_label = {t: p * known.get((label, t), 0.0) for t, p in weights.items()}
            if sum(with_label.values()) > 0:  # a label that met none of them is left out
                weights = with_label
        kept = [t for t in sorted(weights) if weights[t] > 0]
        return kept, list(accumulate(weights[t] for t in kept))

    def under(self, mass: dict[int, float]) -> Chain:
        """This chain under a condition that each template holds with a chance."""
        return Chain(self.counts, self.weigh, mass)

    def templates(self, group: int) -> set[int]:
        """The templates that a group has."""
        return set(self.shares((group,)))

    def state(self) -> dict[str, Any]:
        """A tree for the wire: contexts filled to three numbers, followers and their counts."""
        rows = [
            (*c, *[-2] * (3 - len(c)), t, n) for c, f in self.counts.items() for t, n in f.items()
        ]
        weigh = {
            name: [[label, t, w] for (label, t), w in pairs.items()]
            for name, pairs in self.weigh.items()
        }
        return {"counts": np.array(sorted(rows), np.int64).reshape(-1, 5), "weigh": weigh}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The chain that `state` came from."""
        counts: dict[Context, dict[int, int]] = {}
        for *context, t, n in state["counts"].tolist():
            counts.setdefault(tuple(c for c in context if c != -2), {})[t] = n
        weigh = {
            name: {(label, t): w for label, t, w in pairs} for name, pairs in state["weigh"].items()
        }
        return cls(counts, weigh)
