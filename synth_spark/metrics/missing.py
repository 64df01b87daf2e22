"""How far the share of missing values is off, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import View
from synth_spark.metrics.base import ALL, Metric


class Missing(Metric):
    """The largest difference, over columns, of the shares of missing values."""

    name = "missing"
    title = "Missing values"
    good = "0: each column is as often empty as in the real records."
    goal, best, worst = "low", 0.0, 1.0
    reads = "columns"

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        scores: dict[str, Score] = {}
        for item in view.items:
            if item.column in scores or item.kind in ("gap", "place"):
                continue
            a, b = real[item.name], synthetic[item.name]
            rows = (int(a.sum()), int(b.sum()))
            was, now = float(a[-1] / a.sum()), float(b[-1] / b.sum())
            detail = {"real": round(was, 5), "synthetic": round(now, 5)}
            scores[item.column] = cls.one(item.column, abs(now - was), rows, detail=detail)
        if not scores:
            return [cls.one(ALL, None, (0, 0), why="there is no column to score")]
        worst = max(s.value or 0.0 for s in scores.values())
        first = next(iter(scores.values()))
        return [cls.one(ALL, float(np.abs(worst)), first.rows), *scores.values()]


METRIC = Missing
EXAMPLE = FLAT_EXAMPLE
