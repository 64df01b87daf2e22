"""Hours and week days that a condition leaves open, for models that draw whole histories.

Such a model draws a subject as always and tells only of the events in the open hours: what is left
is what records with the same condition are. A subject without any has one event moved to them, so
nothing is drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import hours_of_week
from synth_spark.core.batch import Records
from synth_spark.core.conditions import Clause

Bools = NDArray[np.bool_]


def open_hours(clauses: Iterable[Clause]) -> Bools:
    """The hours of the week that clauses on the clock leave open, (7, 24), Monday first."""
    out = np.ones((7, 24), bool)
    for clause in clauses:
        out &= hours_of_week(clause)
    return out


def week_hours(times: NDArray[Any]) -> NDArray[np.int64]:
    """Hours since Monday 00:00 of times, 0 to 167, as `times`."""
    hours = np.asarray(times).astype("datetime64[h]").astype(np.int64)
    return (hours + 72) % 168  # 1970-01-01 was a Thursday


def stand_open(times: NDArray[Any], opened: Bools) -> Bools:
    """Whether times lie in open hours, as `times`; a missing one does not."""
    known = ~np.isnat(times)
    return np.asarray(known & opened.reshape(-1)[week_hours(times)])


def in_open_hours(records: Records, time: str, opened: Bools) -> Records:
    """The events in the open hours, of all subjects.

    Args:
        records: Whole subjects.
        time: The column of the events' times.
        opened: Hours of the week, (7, 24).
    """
    keep = stand_open(np.asarray(records.columns[time]), opened)
    lengths = np.bincount(records.owners[keep], minlength=records.subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Records({name: v[keep] for name, v in records.columns.items()}, offsets)
