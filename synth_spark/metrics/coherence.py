"""Coherence: how far (value, next value) of a subject agree, column by column.

The bins are those of `columns`; columns that never change within a subject and the calendar date
are left out. Source: the same-named number of mostlyai-qa, there over one pair of events a subject,
here over all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric, overlap


class Coherence(Metric):
    """The mean over columns of the overlap of the joint shares of a value and the next one."""

    name = "coherence"
    title = "From one event to the next"
    good = "Near the floor: what follows what is as in the real holdout."
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        counts, after = {}, seen.follows
        for item in seen.view.changing:
            tokens = seen.tokens[seen.view.items.index(item)]
            joint = tokens[after - 1] * item.size + tokens[after]
            counts[item.name] = np.bincount(joint, minlength=item.size**2)
        return counts

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for item in view.changing:
            a, b = real[item.name], synthetic[item.name]
            rows = (int(a.sum()), int(b.sum()))
            if not all(rows):
                return [cls.one(ALL, None, rows, why="no subject has two events")]
            scores.append(cls.one(item.name, overlap(a, b), rows))
        return [cls.mean(scores, rows, "no column changes within a subject"), *scores]


METRIC = Coherence
EXAMPLE = EVENTS_EXAMPLE
