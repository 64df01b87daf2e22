"""What speaks for a label beside how common it is: the subject's own columns, its events there.

The labels behind a subject's ranks are given after its events. A destination goes with the
carrier and with how long the aircraft is away, a cell with the radio of its events, a host with
the hour and the bytes: each such feature multiplies the chance of a label by P(level | label) /
P(level), as naive Bayes does. Columns of labels are decoded one after the other, and those that
have theirs speak for the next; of one column labels speak for each other where one event follows
another.
The weights are chosen by `_events_evidence_search.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.columns.place import Place
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
)

Floats = NDArray[np.float64]
TIMES = {"hour": 24, "gap before": 15, "gap after": 15}  # levels of what a time tells
_GAPS_S = np.array([60, 300, 900, 1_800, *(3_600 * h for h in (1, 2, 4, 6, 9, 14, 20, 28, 48))])
_MOST_TOLD = 256  # levels of a column of labels that another is told
_BANDS = 16  # of latitude, and of longitude in each
CELLS = 4_000_000  # of one table of pairs and labels


@dataclass(frozen=True, slots=True)
class Events:
    """Events of whole subjects, in the order of time."""

    owners: NDArray[np.int64]  # (rows,), in order
    seconds: Floats  # (rows,), since 1970
    cats: NDArray[np.int32]  # (rows, category columns), tokens; of labels their levels
    nums: NDArray[np.int32]  # (rows, number columns), tokens

    def part(self, rows: slice, owners: NDArray[np.int64]) -> Events:
        """Some rows, with owners counted anew."""
        return Events(owners, self.seconds[rows], self.cats[rows], self.nums[rows])

    def tokens(self, kind: str, column: int) -> NDArray[np.int64]:
        """One feature of each event as a whole number from 0, shape (rows,)."""
        if kind in ("cats", "nums"):
            return np.asarray(getattr(self, kind)[:, column], np.int64)
        if kind == "hour":
            return np.asarray(self.seconds % 86_400 // 3_600, np.int64)
        if kind == "day":
            return np.asarray(np.maximum(self.seconds // 86_400, 0), np.int64)
        gap = np.append(np.diff(self.seconds), 0.0)[: len(self.seconds)]
        last = np.append(self.owners[1:] != self.owners[:-1], True)[: len(gap)]
        after = np.where(last, len(_GAPS_S) + 1, np.searchsorted(_GAPS_S, gap, "right"))
        if kind == "gap after":
            return np.asarray(after, np.int64)
        # what comes before the first event of the next subject is the end of this one
        return np.asarray(np.append(len(_GAPS_S) + 1, after)[: len(gap)], np.int64)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column as a few levels."""

    # own, cats, nums, one of `TIMES`, day: since 1970, or beside: the label of the event before or
    kind: str  # after
    column: int  # position in that part of the coder
    levels: NDArray[np.int64]  # level of each token
    weight: float  # of own: the power; else events that one pair counts as, at most
    ratio: Floats  # (levels, labels), nats for the label

    def of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Levels of tokens; a day after the last one known has its level."""
        return self.levels[np.minimum(tokens, len(self.levels) - 1)]

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The features that speak for the labels of one ranked column."""

    features: tuple[Feature, ...]

    @property
    def by_event(self) -> bool:
        """Whether events speak."""
        return any(f.kind not in ("own", "beside") for f in self.features)

    @property
    def beside(self) -> tuple[float, Floats]:
        """Weight and table (labels, labels) of the labels beside one; 0 and nothing without."""
        found = [(f.weight, f.ratio) for f in self.features if f.kind == "beside"]
        return found[0] if found else (0.0, np.zeros((0, 0)))

    @property
    def by_subject(self) -> bool:
        """Whether the subjects' own columns speak."""
        return any(f.kind == "own" for f in self.features)

    def of_subjects(self, tokens: NDArray[np.int32], labels: int) -> Floats:
        """Nats for each label by the subjects' own columns, shape (subjects, labels)."""
        out = np.zeros((len(tokens), labels))
        for f in self.features:
            if f.kind == "own":
                out += f.weight * f.ratio[f.levels[tokens[:, f.column]]]
        return out

    def of_events(self, events: Events, pair: NDArray[np.int64], pairs: int, labels: int) -> Floats:
        """Nats for each label by the events of pairs of a subject and a rank, (pairs, labels).

        Args:
            events: Of whole subjects.
            pair: Pair of each event, shape (events,); -1: none.
            pairs: How many there are.
            labels: How many there are.
        """
        out = np.zeros((pairs, labels))
        some = pair >= 0
        count = np.bincount(pair[some], minlength=pairs)
        for f in self.features:
            if f.kind in ("own", "beside"):
                continue
            level = f.of(events.tokens(f.kind, f.column)[some])
            share = shares_of(level, pair[some], pairs, len(f.ratio))
            share *= np.minimum(count, f.weight)[:, None]
            with threadpool_limits(limits=1, user_api="blas"):
                out += share @ f.ratio
        return out

    def state(self) -> list[Any]:
        """A tree for `core/wire.py`."""
        return [f.state() for f in self.features]

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        """The evidence that `state` came from."""
        return cls(tuple(Feature(**f) for f in state))


@dataclass(frozen=True, slots=True)
class Said:
    """What the subjects of a block say of the labels behind their ranks."""

    subject: NDArray[np.int32]  # (subjects, own columns), tokens
    offsets: NDArray[np.int64]  # (subjects + 1,), rows of each subject
    ranks: NDArray[np.int32]  # (rows,), of the column, RANKS and more for what is no rank
    events: Events  # (rows,)

    def nats(self, evidence: Evidence, at: slice, labels: int) -> tuple[Floats, Floats]:
        """Nats for each label by some subjects' ranks, and how much ranks beside one speak.

        Returns:
            Shapes (subjects, RANKS, labels) and (subjects, RANKS, RANKS).
        """
        own = evidence.of_subjects(self.subject[at], labels)[:, None]
        subjects = len(own)
        weight, _ = evidence.beside
        if not (evidence.by_event or weight):
            return np.repeat(own, RANKS, axis=1), np.zeros((subjects, RANKS, RANKS))
        rows = slice(int(self.offsets[at.start]), int(self.offsets[at.stop]))
        owners = np.repeat(np.arange(subjects), np.diff(self.offsets[at.start : at.stop + 1]))
        ranks = self.ranks[rows]
        pair = np.where(ranks < RANKS, owners * RANKS + ranks, -1)
        events = self.events.part(rows, owners)
        by_event = evidence.of_events(events, pair, subjects * RANKS, labels)
        of, other = beside_of(pair, owners)
        share = shares_of(other % RANKS, of, subjects * RANKS, RANKS)
        share *= np.minimum(np.bincount(pair[pair >= 0], minlength=len(share)), weight)[:, None]
        nats = own + by_event.reshape(subjects, RANKS, labels)
        return nats, share.reshape(subjects, RANKS, RANKS)


def beside_of(
    pair: NDArray[np.int64], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a subject that have an event before or after one of another, both ways."""
    left, right = pair[:-1], pair[1:]
    both = (left >= 0) & (right >= 0) & (left != right) & (owners[:-1] == owners[1:])
    return np.append(left[both], right[both]), np.append(right[both], left[both])


def told_levels(column: EventColumn) -> NDArray[np.int64] | None:
    """Level of each label of a ranked column, for the columns that are decoded after it."""
    codec = column.codec
    if isinstance(codec, Place):
        band = _banded(codec.centre[:, 0])
        east = np.zeros(len(band), np.int64)
        for b in range(_BANDS):
            east[band == b] = _banded(codec.centre[band == b, 1])
        levels = band * _BANDS + east
        return np.append(levels, np.zeros(max(codec.vocabulary - len(levels), 0), np.int64))
    if codec is None or not 2 <= codec.vocabulary <= _MOST_TOLD:
        return None
    return np.arange(codec.vocabulary)


def _banded(x: Floats) -> NDArray[np.int64]:
    """Bands of equal mass, shape as `x`."""
    place = np.argsort(np.argsort(x, kind="stable"), kind="stable")
    return np.asarray(place * _BANDS // max(len(x), 1), np.int64)


def decode_order(coder: Coder) -> list[int]:
    """Category columns in the order in which their labels are given: places come first."""
    return sorted(range(len(coder.cats)), key=lambda j: not isinstance(coder.cats[j].codec, Place))


def shares_of(level: NDArray[np.int64], pair: NDArray[np.int64], pairs: int, levels: int) -> Floats:
    """Share of each pair's events at each level, shape (pairs, levels)."""
    counts = np.bincount(pair * levels + level, minlength=pairs * levels).reshape(pairs, levels)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
