"""Two column accuracy: how far the shares of each pair of columns agree.

The bins are those of `columns`; a generator that draws every column on its own fails here.
Source: Platzer and Reutterer, 2021, section 2.1 (see `columns`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import Metric, overlap


class Pairs(Metric):
    """The mean over pairs of columns of the overlap of their joint shares."""

    name = "pairs"
    title = "Two columns at a time"
    good = "Every cell is as near to 1 as the real holdout: columns hang together as they should."

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        counts = {}
        for a, b in seen.view.pairs.tolist():
            m, n = seen.view.items[a].size, seen.view.items[b].size
            joint = seen.tokens[a] * n + seen.tokens[b]
            counts[f"{a},{b}"] = np.bincount(joint, minlength=m * n)
        return counts

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for a, b in view.pairs.tolist():
            x, y = real[f"{a},{b}"], synthetic[f"{a},{b}"]
            rows = (int(x.sum()), int(y.sum()))
            names = (view.items[a].name, view.items[b].name)
            detail = {"first": names[0], "second": names[1]}
            scores.append(cls.one(" × ".join(names), overlap(x, y), rows, detail=detail))
        return [cls.mean(scores, rows, "there are fewer than two columns"), *scores]


METRIC = Pairs
EXAMPLE = FLAT_EXAMPLE
