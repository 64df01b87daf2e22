"""Who: the labels behind a subject's ranks (`_events_places.py` has the places).

An event model draws ranks (own 1st, 2nd, ..., other). Here each subject gets a label for each rank.
The first is drawn by how often a label is somebody's first; the next ones by how often they go with
the first one's label (co-occurrence, with backoff to overall popularity). A label stands for
at least `min_subjects` subjects, or it is the shared rare one, which is spread over fresh labels.
"Other" values come back as real ones do: the chance that one is new depends on how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.place import Place
from synth_spark.core.batch import Records
from synth_spark.generators import _events_identity_kernels as kernels
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
    checked_times,
    identity_codes,
    own_ranks,
)
from synth_spark.generators._events_evidence import CELLS, Evidence, Said
from synth_spark.generators._events_evidence_search import label_tokens, learn_evidence
from synth_spark.generators._events_identity_kernels import BACKOFF
from synth_spark.generators._events_returns import Returns, never_twice

TRIES = 24  # to find a label that the subject has not yet


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
    returns: Returns  # how other values come and come back
    rare: int  # the token that rare labels share, -1: none; a subject may have it more than once
    alone: bool  # no other value comes twice running
    evidence: Evidence  # what speaks for a label beside how common it is

    @classmethod
    def learn(cls, column: EventColumn, coder: Coder, sample: Records) -> Self:
        """Count labels, pairs and returns in a sample of subjects."""
        source = coder.schema.column(column.name)
        codes, owners = identity_codes(source, sample), sample.owners
        ranks = own_ranks(codes, owners)
        seconds = checked_times(sample, coder.schema.time) / 1e6
        returns = Returns.learn(codes, ranks, sample.offsets, seconds)
        alone = never_twice(codes, ranks, owners)
        if column.codec is None:
            none = np.zeros(0)
            empty = np.zeros(0, np.int64)
            starts = np.zeros(1, np.int64)
            return cls(
                none, none, none, none, starts, empty, none, returns, -1, alone, Evidence(())
            )  # fmt: skip
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
        made = cls(
            _shares(first),
            _shares(popular + 1e-9),
            _shares(other + popular * 1e-3 + 1e-9),
            (events + 1.0) / (other + 1.0),
            start.astype(np.int64),
            (joint % size).astype(np.int64),
            counts.astype(float),
            returns,
            getattr(column.codec, "rare_token", -1),
            alone,
            Evidence(()),
        )
        if isinstance(column.codec, Place):
            return made
        near = known & (ranks < RANKS)
        key = owners * RANKS + ranks
        there, of_event = np.unique(np.where(near, key, -1), return_inverse=True)
        of_event = of_event.ravel() - (0 if len(there) and there[0] >= 0 else 1)
        known_pairs = np.column_stack([pairs[:, 0], pairs[:, 2]])
        prior = partial(made.without, pairs[:, 1], pairs[:, 2], tops[pairs[:, 0]])
        evidence = learn_evidence(coder, sample, column.name, known_pairs, of_event, prior, size)
        return replace(made, evidence=evidence)

    def without(
        self,
        rank: NDArray[np.int64],
        label: NDArray[np.int64],
        top: NDArray[np.int64],
        some: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Chance of each label for some pairs, shape (some, labels); each is left out of its own.

        Args:
            rank: Of each pair, shape (pairs,).
            label: Of each pair.
            top: Label of the first rank of each pair's subject.
            some: Positions of pairs.
        """
        out = np.empty((len(some), len(self.first)))
        firsts = float((rank == 0).sum())
        for i, p in enumerate(some.tolist()):
            if rank[p] == 0:
                out[i] = self.first * firsts
            else:
                at = slice(self.pair_start[top[p]], self.pair_start[top[p] + 1])
                out[i] = BACKOFF * self.popular
                out[i, self.pair_label[at]] += self.pair_share[at]
            out[i, label[p]] = max(out[i, label[p]] - 1, 0) + 1e-3
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    def labels(
        self, subjects: int, rng: np.random.Generator, said: Said | None = None
    ) -> NDArray[np.int64]:
        """A label's token for each rank, (subjects, RANKS); no repeats where possible.

        Args:
            subjects: How many.
            rng: The block's random numbers.
            said: Of the subjects and their events; None: without evidence.
        """
        if not len(self.first):
            return np.zeros((subjects, RANKS), np.int64)
        u = rng.random((subjects, RANKS, 2 * TRIES))
        pairs = self.pair_start, self.pair_label, self.pair_share
        if said is None or not self.evidence.features:
            first, popular = np.cumsum(self.first), np.cumsum(self.popular)
            return np.asarray(kernels.assign(u, first, popular, *pairs, self.rare))
        labels, out = len(self.first), np.zeros((subjects, RANKS), np.int64)
        step = max(CELLS // (RANKS * labels), 1)
        for start in range(0, subjects, step):
            at = slice(start, min(start + step, subjects))
            nats, beside = said.nats(self.evidence, at, labels)
            out[at] = kernels.assign_by(
                u[at, :, 0], nats, beside, self.evidence.beside[1], self.first, self.popular,
                *pairs, self.rare,
            )  # fmt: skip
        return out

    def others(
        self,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Which of the subject's other values each other event has, from 0; else -1.

        See `Returns.drawn`.
        """
        return self.returns.drawn(tokens, offsets, seconds, self.alone, rng)

    def wild(
        self,
        owner: NDArray[np.int64],
        number: NDArray[np.int64],
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        rng: np.random.Generator,
        subject: NDArray[np.int32] | None = None,
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
            subject: Tokens of the subjects' own columns, shape (subjects, columns).

        Returns:
            Tokens, shape (values,); 0 for what is no other value.
        """
        order = np.lexsort((-rows, owner))
        order = order[number[order] >= RANKS]
        out = np.zeros(len(owner), np.int64)
        u = rng.random((len(order), TRIES))
        found, who = np.zeros(len(order), np.int64), owner[order]
        # without evidence all subjects share one table, else those of some subjects at a time
        step = max(CELLS // len(self.other), 1) if self.evidence.by_subject else len(labels)
        for start in range(0, len(labels), max(step, 1)):
            at = slice(*np.searchsorted(who, (start, start + step)).tolist())
            other, local = self._others_of(subject, start, start + step), who[at] - start
            found[at] = kernels.wild(
                local, labels[start:], np.cumsum(other, axis=1), self.rare, u[at]
            )
        by_weight = np.lexsort((-self.heavy[found], owner[order]))
        out[order] = found[by_weight]
        return out

    def _others_of(
        self, subject: NDArray[np.int32] | None, start: int, end: int
    ) -> NDArray[np.float64]:
        """Chance of each label as another value, shape (subjects, labels), or one row for all."""
        if subject is None or not self.evidence.by_subject:
            return self.other[None]
        nats = self.evidence.of_subjects(subject[start:end], len(self.other))
        return np.asarray(self.other * np.exp(nats - nats.max(axis=1, keepdims=True)))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "returns": self.returns.state(), "evidence": self.evidence.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The identity that `state` came from."""
        inner = {
            "returns": Returns.from_state(state["returns"]),
            "evidence": Evidence.from_state(state["evidence"]),
        }
        return cls(**{**state, **inner})


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(counts / max(float(counts.sum()), 1e-12))
