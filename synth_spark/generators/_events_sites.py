"""Labels that have a place: which cells a subject has is told by how far they are from another.

A cell's latitude and longitude follow from its id (`columns/determined.py`). Its ranks are given
their labels as those of places are (`_events_places.py`): the home first, every other where the
subject first goes there, at a drawn distance from the home and from the cell before. What the
subject's events say of a label (`_events_evidence.py`) makes it likelier or less so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Schema
from synth_spark.generators._events_coder import RANKS, Coder, EventColumn, identity_codes
from synth_spark.generators._events_evidence import CELLS, Said
from synth_spark.generators._events_evidence_search import label_tokens
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_labels import labelled
from synth_spark.generators._events_places import Places

LEAST_REACH = 0.01  # degrees, of what may be anywhere
LEAST_PLACED = 0.5  # share of the rows with a label whose label has a place


@dataclass(frozen=True, slots=True)
class Sites:
    """One ranked column of labels that have places."""

    places: Places
    centre: NDArray[np.float64]  # (labels, 2), degrees
    reach: NDArray[np.float64]  # (labels, 2), half width; 0 but of the rare and those without
    nowhere: NDArray[np.bool_]  # (labels,), whether the label's place is not told

    @property
    def identity(self) -> Identity:
        """The labels without their places."""
        return self.places.identity

    @classmethod
    def learn(
        cls, column: EventColumn, coder: Coder, sample: Records, min_subjects: int
    ) -> Self | Identity:
        """Count them in a sample of subjects; labels of which few have a place, without places."""
        source = coder.schema.column(column.name)
        identity = Identity.learn(column, coder, sample)
        site = site_of(coder.schema, column.name)
        if not set(site) <= set(sample.columns):
            return identity
        values = np.column_stack([np.asarray(sample.columns[n], np.float64) for n in site])
        tokens = label_tokens(column, coder, sample)
        codes = identity_codes(source, sample)
        there = np.isfinite(values).all(axis=1) & (codes >= 0)
        if not there.any() or there.sum() < LEAST_PLACED * (codes >= 0).sum():
            return identity
        centre, known = _told(
            tokens, values, sample.owners, there, len(identity.first), min_subjects
        )
        known[[t for t in (identity.rare,) if t >= 0]] = False
        if not known.any():
            return identity
        low, high = centre[known].min(axis=0), centre[known].max(axis=0)
        middle, reach = (low + high) / 2, np.zeros_like(centre)
        centre[~known], reach[~known] = middle, np.maximum((high - low) / 2, LEAST_REACH)
        values = np.where(there[:, None], values, middle)
        places = Places.counted(identity, codes, values, tokens, sample, min_subjects)
        return cls(places, centre, reach, ~known)

    def decode(
        self,
        column: EventColumn,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        seconds: NDArray[np.float64],
        said: Said,
        rng: np.random.Generator,
    ) -> Coded:
        """Labels of ranks for whole subjects.

        Args:
            column: The column.
            tokens: Ranks, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            seconds: Time of each event, shape (rows,).
            said: What the subjects say of the labels.
            rng: The block's random numbers.
        """
        number = self.places.numbered(tokens, offsets, seconds, column.missing, rng)
        key, size, subjects = int(rng.integers(1 << 62)), len(self.centre), len(offsets) - 1
        again = np.arange(size) == self.identity.rare
        label = np.empty(len(tokens), np.int64)
        step = max(CELLS // ((RANKS + 1) * size), 1)
        for start in range(0, subjects, step):
            end = min(start + step, subjects)
            rows = slice(int(offsets[start]), int(offsets[end]))
            label[rows], _ = self.places.settled(
                number[rows], offsets[start : end + 1] - offsets[start], key, self.centre,
                self.reach, self.nowhere, again, self._tilt(said, slice(start, end)), start,
            )  # fmt: skip
        owners = np.repeat(np.arange(subjects), np.diff(offsets))
        width = int(number.max(initial=0)) + 1
        value = np.unique(owners * width + np.maximum(number, 0), return_inverse=True)[1].ravel()
        return labelled(column.codec, label, number < 0, value, rng)

    def _tilt(self, said: Said, at: slice) -> NDArray[np.float64]:
        """How much likelier each label is, shape (subjects, RANKS + 1, labels); or empty."""
        evidence, labels = self.identity.evidence, len(self.centre)
        if not (evidence.by_event or evidence.by_subject):
            return np.zeros((0, 0, 0))
        nats, _ = said.nats(evidence, at, labels)
        other = evidence.of_subjects(said.subject[at], labels)[:, None]
        nats = np.concatenate([nats, other], axis=1)
        return np.asarray(np.exp(nats - nats.max(axis=2, keepdims=True)))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        plain = {name: getattr(self, name) for name in ("centre", "reach", "nowhere")}
        return {"places": self.places.state(), **plain}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The sites that `state` came from."""
        return cls(**{**state, "places": Places.from_state(state["places"])})


def _told(
    tokens: NDArray[np.int64], values: NDArray[np.float64], owners: NDArray[np.int64],
    there: NDArray[np.bool_], size: int, min_subjects: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """The position that most subjects have of each label (labels, 2), and whether enough have it.

    Args:
        tokens: Of the labels, shape (rows,).
        values: Latitude and longitude, shape (rows, 2).
        owners: Subject of each row.
        there: Whether a row has both.
        size: How many labels there are.
        min_subjects: That must have a label at its position.
    """
    spots, spot = np.unique(
        np.column_stack([tokens[there], values[there]]), axis=0, return_inverse=True
    )
    both = np.unique(np.column_stack([spot.ravel(), owners[there]]), axis=0)[:, 0]
    held = np.bincount(both, minlength=len(spots))
    order = np.argsort(held, kind="stable")  # the last written is the one that most have
    order = order[held[order] >= min_subjects]
    centre, known = np.zeros((size, 2)), np.zeros(size, bool)
    of = spots[order, 0].astype(np.int64)
    centre[of], known[of] = spots[order, 1:], True
    return centre, known


def site_of(schema: Schema, name: str) -> tuple[str, ...]:
    """The columns of the place that follows from a column of labels; none: empty."""
    return next((site[1:] for site in schema.sites if site[0] == name), ())
