"""What turns the tokens of a category of events into values, learned and read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synth_spark.columns.place import Place
from synth_spark.core.batch import Records
from synth_spark.generators._events_coder import Coder, EventColumn, Units
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_places import Places
from synth_spark.generators._events_runs import Runs
from synth_spark.generators._events_sites import Sites, site_of

EVENTS_A_BLOCK = 200_000  # about so many events are in memory at once while sampling
MOST_SUBJECTS = 2_048

Told = Identity | Places | Sites | Runs | None  # None: its codec


def told_by(coder: Coder, sample: Records, units: Units, min_subjects: int) -> tuple[Told, ...]:
    """What tells the values of each category, learned from a sample and its units."""
    many = range(len(coder.cats))
    return tuple(_learned(j, coder, sample, units, min_subjects) for j in many)


def _learned(j: int, coder: Coder, sample: Records, units: Units, min_subjects: int) -> Told:
    column = coder.cats[j]
    if column.how == "runs":
        return Runs.learn(units.cats[:, j], units)
    if isinstance(column.codec, Place):
        return Places.learn(column, coder, sample, min_subjects)
    if column.how != "ranked":
        return None
    if column.codec is not None and site_of(coder.schema, column.name):
        return Sites.learn(column, coder, sample, min_subjects)
    return Identity.learn(column, coder, sample)


def told_from(coder: Coder, states: Sequence[dict[str, Any] | None]) -> tuple[Told, ...]:
    """What the states of `told_by` came from."""
    return tuple(map(_read, coder.cats, states))


def _read(column: EventColumn, state: dict[str, Any] | None) -> Told:
    if state is None:
        return None
    if isinstance(column.codec, Place):
        return Places.from_state(state)
    if column.how == "runs":
        return Runs.from_state(state)
    return Sites.from_state(state) if "places" in state else Identity.from_state(state)


def block_size(mean_length: float) -> int:
    """Subjects that are drawn together, by the mean of their events: a power of 2."""
    room = min(EVENTS_A_BLOCK / max(mean_length, 1), MOST_SUBJECTS)
    return 1 << int(np.log2(max(room, 1)))
