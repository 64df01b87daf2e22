"""Hour-of-week rhythm: when in the week events happen, over 168 hours of the local clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric, overlap, shares


class Rhythm(Metric):
    """The total variation distance of the shares of events by hour of the week."""

    name = "rhythm"
    title = "Rhythm of the week"
    good = "The curves lie on each other: nights, mornings and weekends are where they should be."
    goal, unit, best, worst = "low", "TVD", 0.0, 1.0
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        at = seen.at_s[np.isfinite(seen.at_s)]
        hour = (np.floor(at / 3_600).astype(np.int64) + 72) % 168  # 1970-01-01: a Thursday
        return {"hours": np.bincount(hour, minlength=168)}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        a, b = real["hours"], synthetic["hours"]
        rows = (int(a.sum()), int(b.sum()))
        if not all(rows):
            return [cls.one(ALL, None, rows, why="no event has a time")]
        detail = {"real": shares(a), "synthetic": shares(b)}
        day = cls.one("hour of day", 1 - overlap(_by_hour(a), _by_hour(b)), rows)
        week = cls.one("day of week", 1 - overlap(_by_day(a), _by_day(b)), rows)
        return [cls.one(ALL, 1 - overlap(a, b), rows, detail=detail), day, week]


def _by_hour(hours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(hours.reshape(7, 24).sum(axis=0))


def _by_day(hours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(hours.reshape(7, 24).sum(axis=1))


METRIC = Rhythm
EXAMPLE = EVENTS_EXAMPLE
