"""What every metric promises, and the small arithmetic that most of them share.

A metric is one file in this folder. It counts: `state` of a part, `merge` of two states, `score` of
the real state against a synthetic one. The same code is run on train, holdout, synthetic and
independent records; a floor is the score of the holdout in the synthetic place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Score
from synth_spark.core.schema import Kind, Schema, Shape
from synth_spark.errors import SynthError

if TYPE_CHECKING:
    from synth_spark.metrics._view import Seen, View

Goal = Literal["high", "low"]
ALL = "all"  # the item of a metric's headline number
EVERY_SHAPE: frozenset[Shape] = frozenset({"flat", "events"})
EVENTS: frozenset[Shape] = frozenset({"events"})


class ColumnsDifferError(SynthError):
    """A table that is to be scored lacks columns that the train table has."""

    code = "SYN-401"


class FormsDifferError(SynthError):
    """A column has another type than in the train table: text against number, time against text."""

    code = "SYN-402"


class NothingToScoreError(SynthError):
    """The train or the synthetic table has no rows."""

    code = "SYN-403"


class OneSubjectError(SynthError):
    """The train table holds one subject only, so that nothing can be compared between subjects."""

    code = "SYN-404"


class Metric:
    """One number that a report shows, for each of its items (a column, a pair, the whole)."""

    name: ClassVar[str]  # the file's name
    title: ClassVar[str]  # a short heading
    good: ClassVar[str]  # one sentence that says what good looks like
    goal: ClassVar[Goal] = "high"
    unit: ClassVar[str] = "share"
    best: ClassVar[float] = 1.0
    worst: ClassVar[float] = 0.0
    shapes: ClassVar[frozenset[Shape]] = EVERY_SHAPE
    kind: ClassVar[Kind | None] = None  # asked for only where the table has a column of this kind
    reads: ClassVar[str] = ""  # the metric whose state is scored here; empty: its own

    @classmethod
    def fits(cls, schema: Schema) -> bool:
        """Whether records of the schema have what the metric looks at."""
        return schema.shape in cls.shapes and (cls.kind is None or bool(schema.of_kind(cls.kind)))

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        """The state of one part of whole subjects: a tree for `core/wire.py`."""
        raise NotImplementedError

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """The state of two parts; here the sum of every number in the tree. May use up `left`."""
        return dict(add(left, right))

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        """The scores of a synthetic state against the real one, the headline (item `all`) first."""
        raise NotImplementedError

    @classmethod
    def one(cls, item: str, value: float | None, rows: tuple[int, int], **more: Any) -> Score:
        """A score in this metric's unit; a value that is not finite becomes "not scored"."""
        why = str(more.pop("why", ""))
        if value is not None and not np.isfinite(value):
            value, why = None, why or "the number is not finite"
        known = {"unit": cls.unit, "best": cls.best, "worst": cls.worst, **more}
        number = None if value is None else float(value)
        return Score(metric=cls.name, item=item, value=number, rows=rows, why=why, **known)

    @classmethod
    def mean(cls, scores: list[Score], rows: tuple[int, int], why: str, **more: Any) -> Score:
        """The headline: the plain mean of all scored items, or why there is none."""
        values = [s.value for s in scores if s.value is not None]
        if not values:
            return cls.one(ALL, None, rows, why=why, **more)
        return cls.one(ALL, float(np.mean(values)), rows, **more)


# ---- arithmetic on trees and counts -------------------------------------------------------------


def add(left: Any, right: Any) -> Any:
    """The sum of two trees of equal form: dicts of arrays and numbers.

    Example:
        >>> add({"n": 1, "x": np.arange(2)}, {"n": 2, "x": np.ones(2, int)})
        {'n': 3, 'x': array([1, 2])}
    """
    if isinstance(left, dict):
        return {key: add(value, right[key]) for key, value in left.items()}
    return left + right


def overlap(real: NDArray[np.int64], synthetic: NDArray[np.int64]) -> float:
    """1 minus the total variation distance of two count tables of one shape.

    Source: Levin, Peres and Wilmer, Markov Chains and Mixing Times, 4.1.

    Returns:
        1 where the shares agree, 0 where no bin is shared.

    Example:
        >>> overlap(np.array([5, 5]), np.array([1, 0]))
        0.5
    """
    p, q = real / real.sum(), synthetic / synthetic.sum()
    return float(1.0 - np.abs(p - q).sum() / 2)


def ks_distance(real: NDArray[np.int64], synthetic: NDArray[np.int64]) -> float:
    """The largest difference of two cumulative shares over ordered bins (Kolmogorov-Smirnov).

    Example:
        >>> ks_distance(np.array([5, 5]), np.array([0, 1]))
        0.5
    """
    p, q = np.cumsum(real) / real.sum(), np.cumsum(synthetic) / synthetic.sum()
    return float(np.abs(p - q).max())


def shares(counts: NDArray[np.int64]) -> list[float]:
    """Counts as shares for a picture, five decimals; all zero where nothing was counted."""
    return [round(float(x), 5) for x in counts / max(int(counts.sum()), 1)]


# ---- what an evaluation gives back --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One score of the synthetic records beside its floor and its independence value."""

    metric: str
    item: str
    value: float | None
    floor: float | None  # the same number with the real holdout in the synthetic place
    independence: float | None  # the same number for the `independent` generator
    unit: str
    best: float
    worst: float
    rows: tuple[int, int]  # real and synthetic rows (or what the metric counts) it rests on
    why: str = ""  # why `value` is None
    floor_why: str = ""
    independence_why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)  # what a picture needs; JSON types

    @property
    def goal(self) -> Goal:
        """Whether more or less is better."""
        return "high" if self.best > self.worst else "low"

    @property
    def way(self) -> float | None:
        """The share of the way from independence to the floor that the synthetic records went.

        None where the two lie closer than .02 together, so that the number says nothing.
        """
        if self.value is None or self.floor is None or self.independence is None:
            return None
        full = self.floor - self.independence
        right = full > 0 if self.goal == "high" else full < 0
        if not right or abs(full) < 0.02:
            return None
        return (self.value - self.independence) / full


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All lines of one evaluation, and what it rests on."""

    shape: Shape
    sizes: Mapping[str, Mapping[str, int]]  # dataset -> rows, subjects
    lines: tuple[Line, ...]
    about: Mapping[str, Mapping[str, str]]  # metric -> title, good, unit, goal
    choices: Mapping[str, str]  # sentences: which pairs and triples, how the bins were made
    seconds: Mapping[str, float]  # wall time of each fold and of the scoring
    seed: int
    version: int = 1  # of this layout

    def line(self, metric: str, item: str = ALL) -> Line | None:
        """One line, or None where the metric does not fit the shape of the records."""
        for line in self.lines:
            if line.metric == metric and line.item == item:
                return line
        return None

    def of(self, metric: str) -> list[Line]:
        """A metric's lines without its headline, in their order."""
        return [x for x in self.lines if x.metric == metric and x.item != ALL]

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; no number in it is NaN or infinite."""
        names = ("shape", "sizes", "about", "choices", "seconds", "seed", "version")
        slots = tuple(Line.__dataclass_fields__)
        lines = [
            {s: getattr(x, s) for s in slots} | {"rows": list(x.rows), "way": x.way}
            for x in self.lines
        ]
        return {**{name: getattr(self, name) for name in names}, "lines": lines}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_json` wrote."""
        lines = tuple(
            Line(**{**{k: v for k, v in x.items() if k != "way"}, "rows": tuple(x["rows"])})
            for x in data["lines"]
        )
        return cls(**{**data, "lines": lines})
