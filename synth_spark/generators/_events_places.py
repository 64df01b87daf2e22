"""Where a subject's ranks lie: the home first, then each place when the subject first goes there.

An event model draws ranks (own 1st, 2nd, ..., other). The own 1st, the home, is drawn by how often
a place is somebody's. Every other place is drawn in the order of its first visit, by two distances:
from the place before and from the home, drawn together given how far from home the subject is and
how often it goes between the new place and home directly (a place that is left for home every day
is near; one that is reached by way of others may lie at the end of a journey). Among the
places at those distances the known steps from the place before, the company of the home and the
popularity decide. This is the exploration of Song, Koren, Wang and Barabasi, Modelling the scaling
properties of human mobility, Nature Physics 2010, with the distances and steps counted.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    away_of,
    bins_of,
    most_apart,
)

BACKOFF = 1.0  # weight, in first visits, of the coarser table


@dataclass(frozen=True, slots=True)
class Places:
    """One ranked column of places: home, steps, distances, and how other values return."""

    identity: Identity  # of homes, company, popularity and returns
    steps: NDArray[np.float64]  # (DIRECT, AWAY, BINS * BINS), cumulative, bins from home and before
    step_start: NDArray[np.int64]  # (labels + 1,), where the first visits from a label begin
    step_label: NDArray[np.int64]  # (steps,)
    step_count: NDArray[np.float64]  # (steps,)
    apart: NDArray[np.int64]  # (DIRECT,), level of the distance within which places lie, by ways

    @classmethod
    def learn(cls, column: EventColumn, coder: Coder, sample: Records) -> Self:
        """Count homes, first visits and returns in a sample of subjects."""
        source = coder.schema.column(column.name)
        identity = Identity.learn(column, coder, sample)
        codes, owners = identity_codes(source, sample), sample.owners
        ranks = np.where(codes >= 0, own_ranks(codes, owners), -1)
        values = np.asarray(values_of(source, sample), np.float64)
        tokens = np.asarray(column.codec.encode(values), np.int64)
        rows, before, direct = kernels.first_visits(ranks, sample.offsets)
        home = kernels.homes(ranks, sample.offsets)[owners[rows]]
        at = (values[rows], values[before], values[home])
        away = away_of(bins_of(at[1], at[2]))
        pair = bins_of(at[0], at[2]) * BINS + bins_of(at[0], at[1])
        counts = np.zeros((DIRECT, AWAY, BINS * BINS))
        np.add.at(counts, (direct, away, pair), 1.0)
        size = column.codec.vocabulary
        joint, seen = np.unique(tokens[before] * size + tokens[rows], return_counts=True)
        start = np.searchsorted(joint // size, np.arange(size + 1))
        return cls(
            identity, _smoothed(counts), start.astype(np.int64), (joint % size).astype(np.int64),
            seen.astype(float), most_apart(ranks, sample.offsets, values),
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
        other = self.identity.others(tokens, offsets, seconds, rng)
        number = np.where(tokens < RANKS, tokens, RANKS + other)  # the subject's own numbering
        number = np.where(tokens == missing, -1, number).astype(np.int64)
        known = len(codec.cells)
        if not known:
            return np.full((len(tokens), 2), np.nan)
        who, key = self.identity, np.int64(rng.integers(1 << 62))
        label, inside = kernels.settle(
            number, offsets, key, np.cumsum(who.first[:known]), who.popular[:known],
            who.pair_start, who.pair_label, who.pair_share, self.steps, self.step_start,
            self.step_label, self.step_count, self.apart, codec.centre, codec.reach,
        )  # fmt: skip
        label = np.where(number < 0, max(codec.missing_token, 0), label)
        return codec.decode(label.astype(np.int32), inside)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        names = ("steps", "step_start", "step_label", "step_count", "apart")
        return {"identity": self.identity.state(), **{n: getattr(self, n) for n in names}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The places that `state` came from."""
        return cls(**{**state, "identity": Identity.from_state(state["identity"])})


def _smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts as cumulative rows; the ways home, then the distance from home, are given up."""
    share = (counts.sum(axis=(0, 1), keepdims=True) + 1e-9) / (counts.sum() + 1e-9 * BINS * BINS)
    for level in (counts.sum(axis=0, keepdims=True), counts):
        share = (level + BACKOFF * share) / (level.sum(axis=-1, keepdims=True) + BACKOFF)
    out = np.cumsum(share, axis=-1)
    return np.ascontiguousarray(out / out[..., -1:])
