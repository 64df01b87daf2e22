"""One column accuracy: how far the shares of each column's bins agree.

1 minus the total variation distance over at most ten bins of equal mass and one for missing.
Source: Platzer and Reutterer, "Holdout-Based Empirical Assessment of Mixed-Type Synthetic Data",
Frontiers in Big Data 4, 2021, section 2.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import Metric, overlap, shares


class Columns(Metric):
    """The mean over columns of the overlap of their binned shares."""

    name = "columns"
    title = "One column at a time"
    good = "Each pair of bars is equally high: every value is as frequent as in the real records."

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        pairs = zip(seen.view.items, seen.tokens, strict=True)
        return {item.name: np.bincount(t, minlength=item.size) for item, t in pairs}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for item in view.items:
            a, b = real[item.name], synthetic[item.name]
            rows = (int(a.sum()), int(b.sum()))
            detail = {"bins": list(item.names), "real": shares(a), "synthetic": shares(b)}
            detail |= {"kind": item.kind, "column": item.column}
            scores.append(cls.one(item.name, overlap(a, b), rows, detail=detail))
        return [cls.mean(scores, rows, "there is no column to score"), *scores]


METRIC = Columns
EXAMPLE = FLAT_EXAMPLE
