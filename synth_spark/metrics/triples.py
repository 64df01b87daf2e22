"""Three column accuracy: how far the shares of three columns together agree.

All triples, or in a wide table a fixed choice of 220 that the report names as such.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import Metric, overlap


class Triples(Metric):
    """The mean over triples of columns of the overlap of their joint shares."""

    name = "triples"
    title = "Three columns at a time"
    good = "Near the floor: three columns hang together as they do in the real holdout."

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        counts = {}
        for a, b, c in seen.view.triples.tolist():
            _, m, n = (seen.view.items[i].size for i in (a, b, c))
            joint = (seen.tokens[a] * m + seen.tokens[b]) * n + seen.tokens[c]
            size = seen.view.items[a].size * m * n
            counts[f"{a},{b},{c}"] = np.bincount(joint, minlength=size)
        return counts

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for group in view.triples.tolist():
            key = ",".join(map(str, group))
            rows = (int(real[key].sum()), int(synthetic[key].sum()))
            item = " × ".join(view.items[i].name for i in group)
            scores.append(cls.one(item, overlap(real[key], synthetic[key]), rows))
        return [cls.mean(scores, rows, "there are fewer than three columns"), *scores]


METRIC = Triples
EXAMPLE = FLAT_EXAMPLE
