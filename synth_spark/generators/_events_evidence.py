"""What speaks for a label beside how common it is: the subject's own columns, its events there.

The labels behind a subject's ranks are given after its events. A destination goes with the
carrier and with how long the aircraft is away, a cell with the radio of its events, a host with
the hour and the bytes: each such feature multiplies the chance of a label by P(level | label) /
P(level), as naive Bayes does. Columns of labels are decoded one after the other, and those that
have theirs speak for the next; of one column labels speak for each other where one event follows
another. Features agree with each other and events of one subject with themselves, so each is
weighted; the weights are those under which the labels of left-out pairs of a subject and a label
are likeliest. Without a gain there is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.columns.place import Place
from synth_spark.columns.survey import values_of
from synth_spark.core.batch import Records
from synth_spark.core.seeds import generator
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
    checked_times,
    number_values,
    subject_tokens,
)

Floats = NDArray[np.float64]
TIMES = {"hour": 24, "gap before": 15, "gap after": 15}  # levels of what a time tells
_GAPS_S = np.array([60, 300, 900, 1_800, *(3_600 * h for h in (1, 2, 4, 6, 9, 14, 20, 28, 48))])
_MOST_LABELS = 4_096
_MOST_LEVELS = 64  # of a category
_MOST_TOLD = 256  # levels of a column of labels that another is told
_MOST_BESIDE = 512  # labels of a column that speak for each other
_MOST_PAIRS = 40_000
_BANDS = 16  # of latitude, and of longitude in each
_GROUPS = 12  # of a number's tokens
_PRIOR = 2.0  # pairs that the overall share of a level is worth
_LEFT_OUT = 1_500  # pairs
_LEAST_PAIRS = 300
CELLS = 4_000_000  # of one table of pairs and labels
_GAIN_NATS = 0.01
_EVENTS = (0.5, 1.0, 2.0, 4.0, 8.0)  # the events of one pair count as at most so many
_OWN = (0.25, 0.5, 0.75, 1.0)


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

    kind: str  # own, cats, nums, one of `TIMES`, or beside: the label of the event before or after
    column: int  # position in that part of the coder
    levels: NDArray[np.int64]  # level of each token
    weight: float  # of own: the power; else events that one pair counts as, at most
    ratio: Floats  # (levels, labels), nats for the label

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
            level = f.levels[events.tokens(f.kind, f.column)[some]]
            share = _shares(level, pair[some], pairs, len(f.ratio))
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
        of, other = _beside(pair, owners)
        share = _shares(other % RANKS, of, subjects * RANKS, RANKS)
        share *= np.minimum(np.bincount(pair[pair >= 0], minlength=len(share)), weight)[:, None]
        nats = own + by_event.reshape(subjects, RANKS, labels)
        return nats, share.reshape(subjects, RANKS, RANKS)


def learn_evidence(
    coder: Coder,
    sample: Records,
    column: str,
    pairs: NDArray[np.int64],
    of_event: NDArray[np.int64],
    prior: Any,
    labels: int,
) -> Evidence:
    """Choose features and weights.

    Args:
        coder: How the records are coded.
        sample: Whole subjects.
        column: The ranked column.
        pairs: Subject and label of each pair, shape (pairs, 2).
        of_event: Pair of each event, shape (rows,); -1: none.
        prior: From some pairs (positions) to the chance of each label without evidence, the pair
            itself left out, shape (pairs, labels).
        labels: How many there are.
    """
    if not 2 <= labels <= _MOST_LABELS or len(pairs) < _LEAST_PAIRS:
        return Evidence(())
    pairs, of_event = _fewer(pairs, of_event)
    some = _some_pairs(pairs, labels)
    label = pairs[some, 1]
    rows = np.arange(len(some))
    nats = np.log(prior(some) + 1e-12)
    held = np.bincount(pairs[:, 1], minlength=labels).astype(float)
    events = np.bincount(of_event[of_event >= 0], minlength=len(pairs))
    chosen: list[Feature] = []
    best = _likelihood(nats, label)
    left = list(_tried(coder, sample, column, pairs, of_event, labels))
    tables = [_table(share, pairs, some, held) for _, share in left]
    while left:
        scored = []
        for i, (f, _) in enumerate(left):
            said, own_said = tables[i][1:]
            for weight in _OWN if f.kind == "own" else _EVENTS:
                size = weight if f.kind == "own" else np.minimum(events[some], weight)[:, None]
                more = nats + size * said
                more[rows, label] = nats[rows, label] + np.ravel(size) * own_said
                scored.append((_likelihood(more, label), i, weight, more))
        found, i, weight, more = max(scored, key=lambda s: s[:2])
        if found < best + _GAIN_NATS:
            break
        f = left.pop(i)[0]
        chosen.append(Feature(f.kind, f.column, f.levels, weight, tables.pop(i)[0]))
        best, nats = found, more
    return Evidence(tuple(chosen))


def _fewer(
    pairs: NDArray[np.int64], of_event: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most so many pairs, and the pair of each event among them."""
    if len(pairs) <= _MOST_PAIRS:
        return pairs, of_event
    subjects = np.unique(pairs[:, 0])
    kept = generator(0, "evidence/subjects").permutation(subjects)
    kept = kept[: max(len(subjects) * _MOST_PAIRS // len(pairs), 1)]
    there = np.isin(pairs[:, 0], kept)
    place = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)
    return pairs[there], place[of_event]


def _beside(
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


def _some_pairs(pairs: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    most = int(np.clip(CELLS // labels, 100, _LEFT_OUT))
    order = generator(0, "evidence").permutation(len(pairs))
    return np.sort(order[:most])


def _likelihood(nats: Floats, label: NDArray[np.int64]) -> float:
    """Mean log chance of the true labels."""
    top = nats.max(axis=1)
    total = top + np.log(np.exp(nats - top[:, None]).sum(axis=1))
    return float((nats[np.arange(len(label)), label] - total).mean())


def _tried(
    coder: Coder,
    sample: Records,
    column: str,
    pairs: NDArray[np.int64],
    of_event: NDArray[np.int64],
    labels: int,
) -> Iterator[tuple[Feature, Floats]]:
    """Features without weights, and what share of each pair's events is at each level."""
    none = np.zeros((0, 0))
    own = subject_tokens(coder, sample)[pairs[:, 0]]
    for j, c in enumerate(coder.subject):
        levels = _levels(own[:, j], c.tokens, c.how != "plain" or c.unordered)
        if levels is not None:
            share = np.eye(int(levels.max()) + 1)[levels[own[:, j]]]
            yield Feature("own", j, levels, 0.0, none), share
    events = events_of(coder, sample)
    order = decode_order(coder)
    names = [coder.cats[j].name for j in order]
    earlier = order[: names.index(column)]
    kinds: list[tuple[str, int, NDArray[np.int64] | None]] = []
    for j, c in enumerate(coder.cats):
        if c.how == "plain" and c.name != column:
            kinds.append(("cats", j, _levels(events.cats[:, j], c.tokens, True)))
        elif c.how == "ranked" and j in earlier and told_levels(c) is not None:
            kinds.append(("cats", j, np.arange(int(events.cats[:, j].max(initial=0)) + 1)))
    for j, c in enumerate(coder.nums):
        kinds.append(("nums", j, _levels(events.nums[:, j], c.tokens, False)))
    kinds += [(kind, 0, np.arange(levels)) for kind, levels in TIMES.items()]
    some = of_event >= 0
    for kind, j, levels in kinds:
        if levels is not None:
            level = levels[events.tokens(kind, j)[some]]
            share = _shares(level, of_event[some], len(pairs), int(levels.max()) + 1)
            yield Feature(kind, j, levels, 0.0, none), share
    if labels <= _MOST_BESIDE:
        of, other = _beside(of_event, sample.owners)
        share = _shares(pairs[other, 1], of, len(pairs), labels)
        yield Feature("beside", 0, np.arange(labels), 0.0, none), share


def events_of(coder: Coder, sample: Records) -> Events:
    """The sample's events; of ranked columns the levels of their labels, as far as they are told."""
    seconds = checked_times(sample, coder.schema.time) / 1e6
    cats = np.zeros((sample.rows, len(coder.cats)), np.int32)
    nums = np.zeros((sample.rows, len(coder.nums)), np.int32)
    for j, c in enumerate(coder.cats):
        if c.how == "plain":
            cats[:, j] = c.codec.encode(sample.columns[c.name])
        elif c.how == "ranked" and (levels := told_levels(c)) is not None:
            cats[:, j] = levels[label_tokens(c, coder, sample)]
    for j, c in enumerate(coder.nums):
        nums[:, j] = c.codec.encode(number_values(coder.schema, c.name, c.how, sample))
    return Events(sample.owners, seconds, cats, nums)


def label_tokens(column: EventColumn, coder: Coder, records: Records) -> NDArray[np.int64]:
    """Tokens of the labels of a ranked column, shape (rows,)."""
    values = values_of(coder.schema.column(column.name), records)
    return np.asarray(column.codec.encode(values), dtype=np.int64)


def _levels(token: NDArray[Any], tokens: int, category: bool) -> NDArray[np.int64] | None:
    """A level for each token: itself, or one of a few groups of neighbours of equal mass."""
    if category:
        return np.arange(max(tokens, 1)) if 2 <= tokens <= _MOST_LEVELS else None
    mass = np.bincount(token, minlength=tokens).astype(float)
    place = (np.cumsum(mass) - mass / 2) / max(mass.sum(), 1)
    groups = np.minimum((place * _GROUPS).astype(np.int64), _GROUPS - 1)
    found = np.unique(groups, return_inverse=True)[1]
    return np.asarray(found, np.int64) if found.max(initial=0) > 0 else None


def _shares(level: NDArray[np.int64], pair: NDArray[np.int64], pairs: int, levels: int) -> Floats:
    """Share of each pair's events at each level, shape (pairs, levels)."""
    counts = np.bincount(pair * levels + level, minlength=pairs * levels).reshape(pairs, levels)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _table(
    share: Floats, pairs: NDArray[np.int64], some: NDArray[np.int64], held: Floats
) -> tuple[Floats, Floats, Floats]:
    """Nats of each level for each label; what some pairs say of all labels; of their own.

    In the last each pair is left out of its own label's table.
    """
    counts = np.zeros((len(held), share.shape[1]))
    np.add.at(counts, pairs[:, 1], share)
    overall = (counts.sum(axis=0) + 0.5) / (len(pairs) + 0.5 * counts.shape[1])
    ratio = np.log((counts + _PRIOR * overall) / (held + _PRIOR)[:, None] / overall).T
    with threadpool_limits(limits=1, user_api="blas"):
        said = share[some] @ ratio
    label = pairs[some, 1]
    without = (counts[label] - share[some] + _PRIOR * overall).clip(1e-9)
    own = np.log(without / (held[label] - 1 + _PRIOR)[:, None] / overall)
    return ratio, said, np.asarray((share[some] * own).sum(axis=1))
