"""Who: the labels behind a subject's ranks (`_events_places.py` has the places).

An event model draws ranks (own 1st, 2nd, ..., other). Here each subject gets a label for each rank.
The first is drawn by how often a label is somebody's first; the next ones by how often they go with
the first one's label (co-occurrence, with backoff to overall popularity). A label stands for
at least `min_subjects` subjects, or it is the shared rare one, which is spread over fresh labels.
"Other" values come back as real ones do: the chance that one is new depends on how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.columns.category import RARE, Category
from synth_spark.core.batch import Coded, Records
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
    identity_codes,
    own_ranks,
)
from synth_spark.generators._events_returns import fresh_and_back, never_twice, returns

TRIES = 24  # to find a label that the subject has not yet
BACKOFF = 5.0  # weight of overall popularity against the pairs seen


@dataclass(frozen=True, slots=True)
class Identity:
    """One ranked column: labels for ranks, and how other values return."""

    first: NDArray[np.float64]  # (labels,), share of subjects whose 1st it is; empty: no labels
    popular: NDArray[np.float64]  # (labels,), share among subjects' 2nd to RANKS-th
    other: NDArray[np.float64]  # (labels,), share among subjects' values beyond the ranks
    heavy: NDArray[np.float64]  # (labels,), events of such a value, on average
    pair_start: NDArray[np.int64]  # (labels + 1,), where the partners of a first label begin
    pair_label: NDArray[np.int64]  # (pairs,)
    pair_share: NDArray[np.float64]  # (pairs,), subjects that have both
    fresh: NDArray[np.float64]  # (LEVELS, NEWS), chance that another value is new
    back: NDArray[np.float64]  # (LEVELS,), share of the returns by how many other events back
    rare: int  # the token that rare labels share, -1: none; a subject may have it more than once
    alone: bool  # no other value comes twice running

    @classmethod
    def learn(cls, column: EventColumn, coder: Coder, sample: Records) -> Self:
        """Count labels, pairs and returns in a sample of subjects."""
        source = coder.schema.column(column.name)
        codes, owners = identity_codes(source, sample), sample.owners
        ranks = own_ranks(codes, owners)
        fresh, back = fresh_and_back(codes, ranks, sample.offsets)
        alone = never_twice(codes, ranks, owners)
        if column.codec is None:
            none = np.zeros(0)
            empty = np.zeros(0, np.int64)
            starts = np.zeros(1, np.int64)
            return cls(none, none, none, none, starts, empty, none, fresh, back, -1, alone)
        tokens = label_tokens(column, coder, sample)
        size = column.codec.vocabulary
        known = codes >= 0
        pairs = np.unique(np.column_stack([owners, ranks, tokens])[known & (ranks < RANKS)], axis=0)
        tops = np.zeros(sample.subjects, np.int64) - 1
        is_first = pairs[:, 1] == 0
        tops[pairs[is_first, 0]] = pairs[is_first, 2]
        rest = pairs[~is_first]
        first = np.bincount(tops[tops >= 0], minlength=size)
        popular = np.bincount(rest[:, 2], minlength=size)
        joint, counts = np.unique(tops[rest[:, 0]] * size + rest[:, 2], return_counts=True)
        start = np.searchsorted(joint // size, np.arange(size + 1))
        beyond = known & (ranks >= RANKS)
        events = np.bincount(tokens[beyond], minlength=size)
        values = np.unique(np.column_stack([owners, codes, tokens])[beyond], axis=0)[:, 2]
        other = np.bincount(values, minlength=size)
        return cls(
            _shares(first),
            _shares(popular + 1e-9),
            _shares(other + popular * 1e-3 + 1e-9),
            (events + 1.0) / (other + 1.0),
            start.astype(np.int64),
            (joint % size).astype(np.int64),
            counts.astype(float),
            fresh,
            back,
            getattr(column.codec, "rare_token", -1),
            alone,
        )

    def labels(self, subjects: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """A label's token for each rank, (subjects, RANKS); no repeats where possible."""
        if not len(self.first):
            return np.zeros((subjects, RANKS), np.int64)
        u = rng.random((subjects, RANKS, 2 * TRIES))
        return np.asarray(
            _assign(
                u,
                np.cumsum(self.first),
                np.cumsum(self.popular),
                self.pair_start,
                self.pair_label,
                self.pair_share,
                self.rare,
            )
        )

    def others(
        self, tokens: NDArray[np.int32], offsets: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """A number from 0 for each other event: which of the subject's other values; else -1.

        None has more events than the subject's last rank, or it would be among the ranks.

        Args:
            tokens: Ranks, RANKS for an other value, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            rng: The block's random numbers.
        """
        u = rng.random((len(tokens), 3))
        return np.asarray(returns(tokens, offsets, self.fresh, self.back, self.alone, u))

    def wild(
        self,
        owner: NDArray[np.int64],
        number: NDArray[np.int64],
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """A label's token for each of the subjects' other values; not one that is there already.

        Labels are drawn by how many subjects have them so, and those that have more events where
        they are had stand for the values with more events.

        Args:
            owner: Subject of each value, shape (values,), in order.
            number: The subject's own number of each value; other values from RANKS on.
            rows: Events of each value.
            labels: Tokens of the subjects' ranks, from `labels`.
            rng: The block's random numbers.

        Returns:
            Tokens, shape (values,); 0 for what is no other value.
        """
        order = np.lexsort((-rows, owner))
        order = order[number[order] >= RANKS]
        out = np.zeros(len(owner), np.int64)
        found = _wild(
            owner[order], labels, np.cumsum(self.other), self.rare, rng.random((len(order), TRIES))
        )
        by_weight = np.lexsort((-self.heavy[found], owner[order]))
        out[order] = found[by_weight]
        return out

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The identity that `state` came from."""
        return cls(**state)


def label_tokens(column: EventColumn, coder: Coder, records: Records) -> NDArray[np.int64]:
    """Tokens of the labels of a ranked column, shape (rows,)."""
    from synth_spark.columns.survey import values_of

    values = values_of(coder.schema.column(column.name), records)
    return np.asarray(column.codec.encode(values), dtype=np.int64)


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(counts / max(float(counts.sum()), 1e-12))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _wild(owner, labels, other, rare, u):  # type: ignore[no-untyped-def]
    size = len(other)
    taken = np.full(size, -1, np.int64)
    out = np.zeros(len(owner), np.int64)
    before = -1
    for i in range(len(owner)):
        if owner[i] != before:
            before = owner[i]
            for label in labels[before]:
                taken[label] = before
        found = rare
        for q in range(u.shape[1]):
            token = min(np.searchsorted(other, u[i, q] * other[-1], side="right"), size - 1)
            if token == rare or taken[token] != before:
                found = token
                break
        if found < 0:  # all have been tried: one that is there already
            found = min(np.searchsorted(other, u[i, 0] * other[-1], side="right"), size - 1)
        taken[found] = before
        out[i] = found
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _assign(u, first, popular, start, label, share, rare):  # type: ignore[no-untyped-def]
    subjects, ranks, tries = u.shape[0], u.shape[1], u.shape[2] // 2
    size = len(first)
    out = np.zeros((subjects, ranks), np.int64)
    for i in range(subjects):
        top = min(np.searchsorted(first, u[i, 0, 0] * first[-1], side="right"), size - 1)
        out[i, 0] = top
        total = 0.0
        for p in range(start[top], start[top + 1]):
            total += share[p]
        for k in range(1, ranks):
            for q in range(tries):
                a, b = u[i, k, 2 * q], u[i, k, 2 * q + 1]
                found = min(np.searchsorted(popular, b * popular[-1], side="right"), size - 1)
                if a * (total + BACKOFF) < total:
                    goal, sofar = b * total, 0.0
                    for p in range(start[top], start[top + 1]):
                        sofar += share[p]
                        if goal < sofar:
                            found = label[p]
                            break
                out[i, k] = found
                again = False
                for r in range(k):
                    again = again or (out[i, r] == found and found != rare)
                if not again:
                    break
    return out


def decode_ranked(
    column: EventColumn,
    coder: Coder,
    identity: Identity,
    tokens: NDArray[np.int32],
    offsets: NDArray[np.int64],
    subjects_before: int,
    rng: np.random.Generator,
) -> Coded:
    """Labels of a ranked column for whole subjects.

    Args:
        column: The column.
        coder: How the records are coded.
        identity: What was learned of its labels.
        tokens: Ranks, shape (rows,).
        offsets: Rows of each subject, shape (subjects + 1,).
        subjects_before: Number of the block's first subject, for labels made up here.
        rng: The block's random numbers.

    Returns:
        The labels. (Places have a module of their own, `_events_places.py`.)
    """
    subjects = len(offsets) - 1
    owners = np.repeat(np.arange(subjects), np.diff(offsets))
    other = identity.others(tokens, offsets, rng)
    number = np.where(tokens < RANKS, tokens, RANKS + other)  # the subject's own numbering
    gone = tokens == column.missing
    if column.codec is None:
        return made_up(number, gone, owners, subjects_before, "c")
    labels = identity.labels(subjects, rng)
    drawn = labels[owners, np.minimum(tokens, RANKS - 1)]
    key = owners * (int(number.max(initial=0)) + 1) + number
    _, one, inverse = np.unique(key, return_index=True, return_inverse=True)
    inverse = inverse.ravel()
    wild = identity.wild(owners[one], number[one], np.bincount(inverse), labels, rng)[inverse]
    label = np.where(tokens == RANKS, wild, drawn)
    return _labelled(column.codec, label, gone, inverse, rng)


def _labelled(
    codec: Category,
    label: NDArray[np.int64],
    gone: NDArray[np.bool_],
    inverse: NDArray[np.int64],
    rng: np.random.Generator,
) -> Coded:
    """Labels of tokens; a missing label (none stands behind the rank) is the top one.

    Rare labels are a subject's own: each of its values that is rare gets one of as many made-up
    labels as were rare.
    """
    tokens = np.where(label == codec.missing_token, 0, label).astype(np.int32)
    coded = codec.decode(tokens, rng.random(len(tokens)))
    codes, labels = coded.codes.copy(), coded.labels
    rare = (tokens == codec.rare_token) & ~gone
    if codec.rare_labels > 1 and rare.any():
        drawn = rng.integers(codec.rare_labels, size=int(inverse.max()) + 1)[inverse[rare]]
        names, which = np.unique(drawn, return_inverse=True)
        codes[rare] = len(labels) + which.ravel()
        labels = (*labels, *(f"{RARE}{k}" for k in names.tolist()))
    return Coded(np.where(gone, -1, codes).astype(np.int32), labels)


def made_up(
    number: NDArray[np.int64],
    gone: NDArray[np.bool_],
    owners: NDArray[np.int64],
    subjects_before: int,
    prefix: str,
) -> Coded:
    """Fresh labels such as "c17-3": the third other party of subject 17."""
    width = int(number.max(initial=0)) + 1
    keys, codes = np.unique(owners * width + number, return_inverse=True)
    labels = tuple(f"{prefix}{subjects_before + k // width}-{k % width}" for k in keys.tolist())
    return Coded(np.where(gone, -1, codes.ravel()).astype(np.int32), labels)
