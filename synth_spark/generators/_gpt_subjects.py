"""Subjects and units under a condition: what is drawn before any event, restricted.

The columns of a subject are drawn one after the other, each given those before. One that is
restricted is drawn from the allowed values of the leaves it may fall into; how much of the leaves'
mass is allowed says how well the columns before it go with the condition. So each subject has
`CANDIDATES` beginnings, of which one is taken in proportion to that mass (Rubin, "Using the SIR
algorithm to simulate posterior distributions", Bayesian Statistics 3, 1988): bounded, and no draw
is repeated until it fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._even import groups
from synth_spark.generators._events_attributes import Attributes, Bools
from synth_spark.generators._events_episodes import Drawn, Held, Histories
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._forest import Forest

CANDIDATES = 32
TRIED = 4_096  # beginnings by which a condition without a chance is found


@dataclass(frozen=True, slots=True)
class ClockShares:
    """What the allowed hours and weekdays mean for a unit's attributes."""

    share: float  # of the records' events that stand there
    low: float  # first allowed hour
    high: float  # end of the last
    night: float  # share of the night among the allowed hours; NaN: as drawn
    weekend: float  # the same of weekdays

    @classmethod
    def of(
        cls, seen: NDArray[np.int64], hours: NDArray[np.bool_], weekdays: NDArray[np.bool_]
    ) -> Self:
        """From the counts of real events by hour and weekday, shape (31,)."""
        by_hour, by_day = seen[:24] / max(seen[:24].sum(), 1), seen[24:] / max(seen[24:].sum(), 1)
        at = np.flatnonzero(hours)
        return cls(
            float(by_hour[hours].sum() * by_day[weekdays].sum()),
            float(at[0]), float(at[-1] + 1), _all_or_none(hours, np.arange(24) < 6),
            _all_or_none(weekdays, np.arange(7) > 4),
        )  # fmt: skip


def _all_or_none(allowed: NDArray[np.bool_], kind: NDArray[np.bool_]) -> float:
    if not (allowed & kind).any():
        return 0.0
    return float("nan") if (allowed & ~kind).any() else 1.0


@dataclass(frozen=True, slots=True)
class PromptedAttributes(Attributes):
    """Attributes that are moved to what a condition leaves."""

    kept: dict[int, NDArray[np.bool_]]  # category -> which of its slots are left
    single: frozenset[int]  # categories with one value left
    clock: ClockShares | None
    silent: bool  # a unit may be left without an event

    @classmethod
    def over(
        cls, of: Attributes, kept: dict[int, NDArray[np.bool_]], single: set[int],
        clock: ClockShares | None, *, episodes: bool,
    ) -> Self:  # fmt: skip
        """Those of `of`, moved."""
        own = {f.name: getattr(of, f.name) for f in fields(Attributes)}
        return cls(**own, kept=kept, single=frozenset(single), clock=clock, silent=episodes)

    @property
    def own_nights(self) -> bool:
        """Not where the condition says how many of the events are nights."""
        return self.clock is None or bool(np.isnan(self.clock.night))

    def draw(
        self,
        given: dict[str, Floats],
        uniforms: Floats,
        held: Mapping[int, Bools] | None = None,
        together: NDArray[np.int64] | None = None,
    ) -> Floats:
        x = Attributes.draw(self, given, uniforms, held, together)
        if self.clock is not None:
            self._moved_clock(x, self.clock, uniforms)
        for j, slots in self.kept.items():
            self._moved_shares(x, j, slots)
        return x

    def _moved_clock(self, x: Floats, clock: ClockShares, uniforms: Floats) -> None:
        at = self.index("n")
        fewer = np.floor(x[:, at] * clock.share + uniforms[:, at, 2])
        x[:, at] = fewer if self.silent else np.maximum(fewer, np.minimum(x[:, at], 1))
        for name, share in (("night", clock.night), ("weekend", clock.weekend)):
            if not np.isnan(share):
                x[:, self.index(name)] = share
        wide = clock.high - clock.low
        mean, spread = self.index("hour_mean"), self.index("hour_std")
        x[:, mean] = np.clip(x[:, mean], clock.low + wide / 4, clock.high - wide / 4)
        x[:, spread] = np.minimum(x[:, spread], wide / np.sqrt(12))
        days = self.index("days")
        if days >= 0:
            x[:, days] = np.minimum(x[:, days], np.maximum(x[:, at], 1))

    def _moved_shares(self, x: Floats, j: int, slots: NDArray[np.bool_]) -> None:
        if self.index("distinct", j) < 0:
            return
        usual = self.shares(self.mean[None], j) + 1e-6
        share = (self.shares(x, j) + 1e-6 * usual) * slots
        share /= share.sum(axis=1, keepdims=True)
        least = 0.5 / np.maximum(x[:, self.index("n")], 1)
        few = (share < least[:, None]) & (share < share.max(axis=1, keepdims=True))
        share[few] = 0
        share /= share.sum(axis=1, keepdims=True)
        behind = np.cumsum(share[:, ::-1], axis=1)[:, ::-1]  # this slot and those after it
        more = np.cumsum((share > 0)[:, ::-1], axis=1)[:, ::-1]
        for i, c in enumerate(self.columns):
            if c.column != j:
                continue
            k = c.place
            if c.name == "some":
                x[:, i] = share[:, k] > 0
            elif c.name == "share":
                x[:, i] = share[:, k] / np.maximum(behind[:, k], 1e-12)
            elif c.name == "left":
                x[:, i] = behind[:, k + 1]
            elif c.name == "owed":
                x[:, i] = more[:, k + 1]
            elif c.name == "distinct":
                x[:, i] = more[:, 0]
            elif c.name == "top":
                x[:, i] = share.max(axis=1)
            elif c.name == "self" and j in self.single:
                x[:, i] = 1.0


@dataclass(frozen=True, slots=True)
class PromptedHistories(Histories):
    """Histories of subjects that hold a condition."""

    masks: dict[int, NDArray[np.bool_]]  # column of a subject -> its forest's allowed values

    @classmethod
    def over(
        cls, of: Histories, attributes: Attributes, subject: dict[int, NDArray[np.bool_]],
        weekdays: NDArray[np.bool_], horizon_days: int,
    ) -> Self:  # fmt: skip
        """Those of `of`; `subject` says which tokens of the subject's own columns are allowed."""
        own = {f.name: getattr(of, f.name) for f in fields(Histories)}
        own["attributes"] = attributes
        masks = {
            j: ok[np.clip(of.forests[j].values.astype(np.int64), 0, len(ok) - 1)]
            for j, ok in subject.items()
        }
        if horizon_days == 1 and not of.episodes and not weekdays.all():  # a unit is one day
            at = of.names.index("start")
            masks[at] = weekdays[(of.forests[at].values.astype(np.int64) + 3) % 7]
        return cls(**own, masks=masks)

    def chance(self) -> bool:
        """Whether some subject of the model holds the condition."""
        if not all(mask.any() for mask in self.masks.values()):
            return False
        _, weight = self._begun(TRIED, generator(0, "prompt/chance"))
        return bool((weight > 0).any())

    def draw(self, subjects: int, seed: int, block: int, held: Held | None = None) -> Drawn:
        rng = generator(seed, "subjects", block)
        many = CANDIDATES if self.masks and max(self.masks) > 0 else 1
        x, weight = self._begun(subjects * many, rng)
        upper = np.cumsum(np.maximum(weight, 1e-30).reshape(subjects, many), axis=1)
        goal = rng.random(subjects) * upper[:, -1]
        pick = np.minimum((upper <= goal[:, None]).sum(axis=1), many - 1)
        x = x.reshape(subjects, many, -1)[np.arange(subjects), pick]
        together = groups(np.arange(subjects))
        for j in range(self._upto(), len(self.forests)):
            x[:, j] = self.column(j, x, rng.random((subjects, 4)), together)
        return self.units_of(x, rng)

    def _upto(self) -> int:
        return max(self.masks, default=-1) + 1

    def _begun(self, rows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Columns up to the last restricted one, and the allowed mass that was met."""
        x, weight = np.zeros((rows, len(self.forests))), np.ones(rows)
        for j in range(self._upto()):
            u = rng.random((rows, 4))
            if j in self.masks:
                x[:, j], mass = draw_within(self.forests[j], x[:, :j], u, self.masks[j])
                weight *= mass
            else:
                x[:, j] = self.column(j, x, u)
        return x, weight


def draw_within(
    forest: Forest, given: Floats, uniforms: Floats, okay: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """One allowed value a row, and the share of the forest's mass that is allowed there.

    Args:
        forest: Of a column whose values are never moved.
        given: The columns before it, shape (rows, columns).
        uniforms: Shape (rows, at least 2), in [0, 1).
        okay: Which of the forest's values are allowed, shape (values,); some are.

    Returns:
        Values and mass, shape (rows,) each; where no leaf holds an allowed value the mass is 0
        and the value one of all allowed ones.
    """
    drawn: tuple[Any, Any] = _within(
        np.ascontiguousarray(given, np.float32), uniforms, forest.feature, forest.threshold,
        forest.child, forest.start, forest.count, forest.roots, forest.values, okay,
        np.flatnonzero(okay),
    )  # fmt: skip
    return drawn


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _within(  # type: ignore[no-untyped-def]
    given, uniforms, feature, threshold, child, start, count, roots, values, okay, every
):
    rows, trees = given.shape[0], len(roots) - 1
    drawn, mass = np.empty(rows), np.empty(rows)
    leaf, part = np.empty(trees, np.int64), np.empty(trees)
    for i in range(rows):
        total = 0.0
        for k in range(trees):
            node = roots[k]
            while feature[node] >= 0:
                step = 0 if given[i, feature[node]] <= threshold[node] else 1
                node = child[node] + step
            held = 0
            for v in range(start[node], start[node] + count[node]):
                held += okay[v]
            leaf[k], part[k] = node, held / count[node]
            total += part[k]
        mass[i] = total / trees
        if total <= 0:
            drawn[i] = values[every[min(int(uniforms[i, 1] * len(every)), len(every) - 1)]]
            continue
        goal, k = uniforms[i, 0] * total, 0
        while k < trees - 1 and (goal >= part[k] or part[k] == 0):
            goal -= part[k]
            k += 1
        while part[k] == 0:  # rounding at the end of the row
            k -= 1
        node = leaf[k]
        held = int(part[k] * count[node] + 0.5)
        place = min(int(uniforms[i, 1] * held), held - 1)
        for v in range(start[node], start[node] + count[node]):
            if okay[v]:
                if place == 0:
                    drawn[i] = values[v]
                    break
                place -= 1
    return drawn, mass
