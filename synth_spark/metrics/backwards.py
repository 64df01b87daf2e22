"""How often time goes back: events that are earlier than the subject's event before them.

Judged in the order in which the records arrive. An engine that sorts events by time before they are
scored shows 0 here for every table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric


class Backwards(Metric):
    """The share of events that are earlier than the event before."""

    name = "backwards"
    title = "Events back in time"
    good = "0: no event is earlier than the one before it."
    goal, best, worst = "low", 0.0, 1.0
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        gaps = seen.gaps_s[np.isfinite(seen.gaps_s)]
        return {"gaps": len(gaps), "back": int((gaps < 0).sum())}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows = (real["gaps"], synthetic["gaps"])
        if not synthetic["gaps"]:
            return [cls.one(ALL, None, rows, why="no subject has two events")]
        return [cls.one(ALL, synthetic["back"] / synthetic["gaps"], rows)]


METRIC = Backwards
EXAMPLE = EVENTS_EXAMPLE
