"""Which features speak for the labels of a ranked column, and how loudly (`_events_evidence.py`).

Features agree with each other and events of one subject with themselves, so each is weighted: the
weights are those under which the labels of left-out pairs of a subject and a label are likeliest,
one feature added at a time. Without a gain there is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.columns.survey import values_of
from synth_spark.core.batch import Records
from synth_spark.core.seeds import generator
from synth_spark.generators._events_coder import (
    Coder,
    EventColumn,
    checked_times,
    number_values,
    subject_tokens,
)
from synth_spark.generators._events_evidence import (
    CELLS,
    TIMES,
    Events,
    Evidence,
    Feature,
    Floats,
    beside_of,
    decode_order,
    shares_of,
    told_levels,
)
from synth_spark.generators._events_met import about_all

_MOST_LABELS = 4_096
_MOST_LEVELS = 64  # of a category
_MOST_BESIDE = 512  # labels of a column that speak for each other
_MOST_PAIRS = 40_000
_GROUPS = (12, 64)  # of a number's tokens: what it is about, and what it is
_PRIOR = 2.0  # pairs that the overall share of a level is worth
_LEFT_OUT = 1_500  # pairs
_LEAST_PAIRS = 300
_GAIN_NATS = 0.01
_NEVER = -20.0  # nats for a label that never met a level, where what meets is about all known
_EVENTS = (0.5, 1.0, 2.0, 4.0, 8.0)  # the events of one pair count as at most so many
_OWN = (0.25, 0.5, 0.75, 1.0)


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
    kept, of_event = fewer(pairs, of_event)
    pairs = pairs[kept]
    some = _some_pairs(pairs, labels)
    label = pairs[some, 1]
    rows = np.arange(len(some))
    nats = np.log(prior(kept[some]) + 1e-12)
    held = np.bincount(pairs[:, 1], minlength=labels).astype(float)
    events = np.bincount(of_event[of_event >= 0], minlength=len(pairs))
    chosen: list[Feature] = []
    best = _likelihood(nats, label)
    left = list(_tried(coder, sample, column, pairs, of_event, labels))
    held_to = [g for f, share in left if f.kind == "own" for g in _held_to(f, share, pairs, labels)]
    tables = [_table(share, pairs, some, held) for _, share in left]

    def more(i: int, weight: float) -> Floats:
        """The nats with one more feature."""
        size = weight if left[i][0].kind == "own" else np.minimum(events[some], weight)[:, None]
        out = nats + size * tables[i][1]
        out[rows, label] = nats[rows, label] + np.ravel(size) * tables[i][2]
        return np.asarray(out)

    while left:
        found, i, weight = max(
            (_likelihood(more(i, weight), label), i, weight)
            for i, (f, _) in enumerate(left)
            for weight in (_OWN if f.kind == "own" else _EVENTS)
        )
        if found < best + _GAIN_NATS:
            break
        best, nats = found, more(i, weight)
        f = left.pop(i)[0]
        chosen.append(Feature(f.kind, f.column, f.levels, weight, tables.pop(i)[0]))
    return Evidence((*chosen, *held_to))


def _held_to(
    own: Feature, share: Floats, pairs: NDArray[np.int64], labels: int
) -> Iterator[Feature]:
    """An own column that speaks against labels that its never met, where what meets is known.

    What the chosen ones say of it is mild where few subjects have a label, and a column that adds
    little to them is not chosen at all. (Held to as well, the categories of events part labels
    from subjects: a rank's events were drawn without its label, and few labels met all of them.)
    """
    met = np.zeros((share.shape[1], labels), np.int64)
    pair, level = np.nonzero(share)
    np.add.at(met, (level, pairs[pair, 1]), 1)
    if about_all(met) and not met.all():
        yield replace(own, weight=1.0, ratio=np.where(met > 0, 0.0, _NEVER))


def fewer(
    pairs: NDArray[np.int64], of_event: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of at most so many pairs, and the pair of each event among them."""
    if len(pairs) <= _MOST_PAIRS:
        return np.arange(len(pairs)), of_event
    subjects = np.unique(pairs[:, 0])
    kept = generator(0, "evidence/subjects").permutation(subjects)
    kept = kept[: max(len(subjects) * _MOST_PAIRS // len(pairs), 1)]
    there = np.isin(pairs[:, 0], kept)
    place = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)
    return np.flatnonzero(there), place[of_event]


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
        apart = c.how != "plain" or c.unordered
        levels = _each(c.tokens) if apart else _grouped(own[:, j], c.tokens, _GROUPS[0])
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
            kinds.append(("cats", j, _each(c.tokens)))
        elif c.how == "ranked" and j in earlier and (levels := told_levels(c)) is not None:
            kinds.append(("cats", j, np.arange(int(levels.max()) + 1)))
    for j, c in enumerate(coder.nums):
        sizes = _GROUPS if c.tokens > _GROUPS[0] else _GROUPS[:1]
        kinds += [("nums", j, _grouped(events.nums[:, j], c.tokens, size)) for size in sizes]
    kinds += [(kind, 0, np.arange(levels)) for kind, levels in TIMES.items()]
    days = events.tokens("day", 0)
    kinds += [("day", 0, _grouped(days, int(days.max(initial=0)) + 1, size)) for size in _GROUPS]
    some = of_event >= 0
    for kind, j, levels in kinds:
        if levels is not None:
            level = levels[events.tokens(kind, j)[some]]
            share = shares_of(level, of_event[some], len(pairs), int(levels.max()) + 1)
            yield Feature(kind, j, levels, 0.0, none), share
    if labels <= _MOST_BESIDE:
        of, other = beside_of(of_event, sample.owners)
        share = shares_of(pairs[other, 1], of, len(pairs), labels)
        yield Feature("beside", 0, np.arange(labels), 0.0, none), share


def events_of(coder: Coder, sample: Records) -> Events:
    """The sample's events; of ranked columns the levels of their labels, where they are told."""
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


def _each(tokens: int) -> NDArray[np.int64] | None:
    """A level for each token of a category; None where they are too many."""
    return np.arange(tokens) if 2 <= tokens <= _MOST_LEVELS else None


def _grouped(token: NDArray[Any], tokens: int, groups: int) -> NDArray[np.int64] | None:
    """A level for each token of a number: one of some groups of neighbours of equal mass."""
    mass = np.bincount(token, minlength=tokens).astype(float)
    place = (np.cumsum(mass) - mass / 2) / max(mass.sum(), 1)
    group = np.minimum((place * groups).astype(np.int64), groups - 1)
    found = np.unique(group, return_inverse=True)[1]
    return np.asarray(found, np.int64) if found.max(initial=0) > 0 else None


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
