"""Values beyond the least and the most that train has: numbers and times.

A few are right (the holdout has some too); many mean that a tail has come loose. The bounds
themselves are not reported: an extreme value can be one person's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import Seen, View, seconds
from synth_spark.metrics.base import ALL, Metric

KEPT = 4_096  # extreme values kept at each end, so that the share is exact up to there


class Ranges(Metric):
    """The largest share, over columns, of values outside the range of train."""

    name = "ranges"
    title = "Values outside the real range"
    good = "As low as for the real holdout: tails end about where the real ones end."
    goal, best, worst = "low", 0.0, 1.0

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        found = {}
        for name, form in seen.view.forms.items():
            if form == "coded":
                continue
            values = seen.records.columns[name]
            x = seconds(values) if form == "time" else np.asarray(values, dtype=np.float64)
            x = x[np.isfinite(x)]
            found[name] = {"n": len(x), "low": _lowest(x), "high": -_lowest(-x)}
        return found

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        for name, state in left.items():
            other = right[name]
            state["n"] += other["n"]
            state["low"] = _lowest(np.concatenate([state["low"], other["low"]]))
            state["high"] = -_lowest(-np.concatenate([state["high"], other["high"]]))
        return left

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        scores = []
        for name, state in real.items():
            other = synthetic[name]
            rows = (state["n"], other["n"])
            if not all(rows):
                scores.append(cls.one(name, None, rows, why="one side has no value"))
                continue
            below = int(np.searchsorted(other["low"], state["low"][0], side="left"))
            above = int(np.searchsorted(-other["high"], -state["high"][0], side="left"))
            scores.append(cls.one(name, min((below + above) / other["n"], 1.0), rows))
        known = [s for s in scores if s.value is not None]
        if not known:
            return [cls.one(ALL, None, (0, 0), why="there is no number and no time"), *scores]
        worst = max(known, key=lambda s: s.value or 0.0)
        return [cls.one(ALL, worst.value, worst.rows), *scores]


def _lowest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `KEPT` least values, ascending."""
    if len(values) > KEPT:
        values = np.partition(values, KEPT - 1)[:KEPT]
    return np.sort(values)


METRIC = Ranges
EXAMPLE = FLAT_EXAMPLE
