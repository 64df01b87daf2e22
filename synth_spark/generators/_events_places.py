"""Where a subject's ranks lie: the home first, then each place when the subject first goes there.

An event model draws ranks (own 1st, 2nd, ..., other). The own 1st, the home, is drawn by how often
a place is somebody's. Every other place is drawn in the order of its first visit, by two distances:
from the place before and from the home, drawn together given how far from home the subject is and
how often it goes between the new place and home directly (a place that is left for home every day
is near; one that is reached by way of others may lie at the end of a journey). Among the
places at those distances the known steps from the place before, the places of those with the same
home and the popularity decide, by how often the subject is there. Many are drawn so, of a home that
many have a part of them right from its places; one is taken by how far it is from the places that
the subject has already, and how often it goes there. This is the exploration of Song, Koren, Wang
and Barabasi, Modelling the scaling properties of human mobility, Nature Physics 2010, with the
distances and steps counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.place import Place
from synth_spark.columns.survey import values_of
from synth_spark.core.batch import Records
from synth_spark.generators import _events_places_kernels as kernels
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
    identity_codes,
    own_ranks,
)
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_ways import (
    AWAY,
    BINS,
    DIRECT,
    apart_by_ways,
    away_of,
    bins_of,
    ways_level,
)

COMMON = 20.0  # weight, in places, of the labels of all levels
_NO_TILT = np.zeros((0, 0, 0))
BACKOFF = 1.0  # weight, in first visits, of the coarser table


@dataclass(frozen=True, slots=True)
class Places:
    """One ranked column of places: home, steps, distances, and how other values return."""

    identity: Identity  # of homes, popularity and returns; no pairs
    steps: NDArray[np.float64]  # (DIRECT, AWAY, BINS * BINS), cumulative, bins from home and before
    step_start: NDArray[np.int64]  # (labels + 1,), where the first visits from a label begin
    step_label: NDArray[np.int64]  # (steps,)
    step_count: NDArray[np.float64]  # (steps,)
    own_start: NDArray[np.int64]  # (labels * DIRECT + 1,), where the places of those of a home
    # begin, by the level of how often one is there
    own_label: NDArray[np.int64]  # (own,)
    own_count: NDArray[np.float64]  # (own,), subjects
    common: NDArray[np.float64]  # (DIRECT, labels), share of each label, by how often one is there
    apart: NDArray[np.int64]  # (DIRECT,), level of the distance within which places lie, by ways
    likely: NDArray[np.float64]  # (DIRECT, BINS), how much likelier so many ways are so far apart

    @classmethod
    def learn(cls, column: EventColumn, coder: Coder, sample: Records, min_subjects: int) -> Self:
        """Count homes, first visits and returns in a sample of subjects.

        A place speaks for those of a home where `min_subjects` subjects of it go there.
        """
        source = coder.schema.column(column.name)
        none = np.zeros(0)
        identity = replace(  # which places go together is told by `own`, of enough subjects
            Identity.learn(column, coder, sample),
            pair_start=np.zeros(column.codec.vocabulary + 1, np.int64),
            pair_label=none.astype(np.int64), pair_share=none,
        )  # fmt: skip
        codes = identity_codes(source, sample)
        values = np.asarray(values_of(source, sample), np.float64)
        tokens = np.asarray(column.codec.encode(values), np.int64)
        return cls.counted(identity, codes, values, tokens, sample, min_subjects)

    @classmethod
    def counted(
        cls,
        identity: Identity,
        codes: NDArray[np.int64],
        values: NDArray[np.float64],
        tokens: NDArray[np.int64],
        sample: Records,
        min_subjects: int,
    ) -> Self:
        """The same of labels that have places.

        Args:
            identity: Of the labels.
            codes: A number for each distinct label, -1 where it is missing, shape (rows,).
            values: Latitude and longitude of each row's label, shape (rows, 2).
            tokens: Of the labels, shape (rows,).
            sample: The subjects.
            min_subjects: See `learn`.
        """
        owners = sample.owners
        ranks = np.where(codes >= 0, own_ranks(codes, owners), -1)
        rows, before, direct = kernels.first_visits(ranks, sample.offsets)
        home = kernels.homes(ranks, sample.offsets)[owners[rows]]
        at = (values[rows], values[before], values[home])
        away = away_of(bins_of(at[1], at[2]))
        pair = bins_of(at[0], at[2]) * BINS + bins_of(at[0], at[1])
        counts = np.zeros((DIRECT, AWAY, BINS * BINS))
        np.add.at(counts, (direct, away, pair), 1.0)
        size = len(identity.first)
        level = _visits(ranks, owners)[rows]
        common = np.zeros((DIRECT, size))
        np.add.at(common, (level, tokens[rows]), 1.0)
        home_token = tokens[kernels.homes(ranks, sample.offsets)[owners[rows]]].astype(np.int64)
        pair = home_token * size + tokens[rows]
        holders = np.unique(np.column_stack([pair, owners[rows]]), axis=0)[:, 0]
        there, held = np.unique(holders, return_counts=True)
        enough = held[np.searchsorted(there, pair)] >= min_subjects
        own, many = np.unique(
            ((home_token * DIRECT + level) * size + tokens[rows])[enough], return_counts=True
        )
        joint, seen = np.unique(tokens[before] * size + tokens[rows], return_counts=True)
        start = np.searchsorted(joint // size, np.arange(size + 1))
        own_start = np.searchsorted(own // size, np.arange(size * DIRECT + 1))
        return cls(
            identity, _smoothed(counts), start.astype(np.int64), (joint % size).astype(np.int64),
            seen.astype(float), own_start.astype(np.int64), (own % size).astype(np.int64),
            many.astype(float), _common(common), *apart_by_ways(ranks, sample.offsets, values),
        )  # fmt: skip

    def decode(
        self,
        codec: Place,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
        missing: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Latitude and longitude of ranks for whole subjects, shape (rows, 2).

        Args:
            codec: The column's places.
            tokens: Ranks, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            seconds: Time of each event, shape (rows,).
            missing: The token of a missing place, -1: none.
            rng: The block's random numbers.
        """
        number = self.numbered(tokens, offsets, seconds, missing, rng)
        if not len(codec.cells):
            return np.full((len(tokens), 2), np.nan)
        key, wide = int(rng.integers(1 << 62)), codec.reach[:, 0] >= kernels.WIDE
        label, inside = self.settled(
            number, offsets, key, codec.centre, codec.reach, wide & False, wide
        )
        label = np.where(number < 0, max(codec.missing_token, 0), label)
        return codec.decode(label.astype(np.int32), inside)

    def numbered(
        self,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
        missing: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """The subject's own number of each row's place, 0: home, -1: missing; see `decode`."""
        other = self.identity.others(tokens, offsets, seconds, rng)
        number = np.where(tokens < RANKS, tokens, RANKS + other)
        return np.where(tokens == missing, -1, number).astype(np.int64)

    def settled(
        self,
        number: NDArray[np.int64],
        offsets: NDArray[np.int64],
        key: int,
        centre: NDArray[np.float64],
        reach: NDArray[np.float64],
        nowhere: NDArray[np.bool_],
        again: NDArray[np.bool_],
        tilt: NDArray[np.float64] = _NO_TILT,
        before: int = 0,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Label of each row, and where in its cell it is, from 0 to 1; shape (rows,) each.

        Args:
            number: See `numbered`.
            offsets: Rows of each subject, shape (subjects + 1,).
            key: Of the block's random numbers.
            centre: Latitude and longitude of each label's cell, shape (labels, 2).
            reach: Half its width in degrees, 0: one position.
            nowhere: Whether the place of a label is unknown.
            again: Whether a label is a subject's more than once.
            tilt: How much likelier each label is by what else a subject has, shape (subjects,
                ranks and other, labels).
            before: Subjects of the block before these.
        """
        who, known = self.identity, len(centre)
        label, inside = kernels.settle(
            number, offsets, np.int64(key), who.first[:known], who.popular[:known],
            self.common[:, :known], self.own_start, self.own_label, self.own_count, self.steps,
            self.step_start, self.step_label, self.step_count, self.apart, self.likely,
            centre, reach, nowhere, again, tilt, before,
        )  # fmt: skip
        return label, inside

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        names = set(self.__slots__) - {"identity"}
        return {"identity": self.identity.state(), **{n: getattr(self, n) for n in sorted(names)}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The places that `state` came from."""
        return cls(**{**state, "identity": Identity.from_state(state["identity"])})


def _visits(ranks: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """The level of how often its subject is at each row's place; of no place 0."""
    width = int(ranks.max(initial=0)) + 1
    _, at, times = np.unique(
        owners * width + np.maximum(ranks, 0), return_inverse=True, return_counts=True
    )
    level = np.array([ways_level(k) for k in times.tolist()], np.int64)[at.ravel()]
    return np.where(ranks >= 0, level, 0)


def _common(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts of labels as shares of each level; where there are few, as of all."""
    share = counts.sum(axis=0) + 1e-9
    share /= share.sum()
    return np.asarray((counts + COMMON * share) / (counts.sum(axis=1, keepdims=True) + COMMON))


def _smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts as cumulative rows; the ways home, then the distance from home, are given up."""
    share = (counts.sum(axis=(0, 1), keepdims=True) + 1e-9) / (counts.sum() + 1e-9 * BINS * BINS)
    for level in (counts.sum(axis=0, keepdims=True), counts):
        share = (level + BACKOFF * share) / (level.sum(axis=-1, keepdims=True) + BACKOFF)
    out = np.cumsum(share, axis=-1)
    return np.ascontiguousarray(out / out[..., -1:])
