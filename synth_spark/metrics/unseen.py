"""Combinations that no real row has: a sign of broken rules.

For each pair of category columns, the share of rows whose two labels never occur together in train.
The headline is the worst pair, a lower bound of the share of rows with any such pair. Labels that
fall under "other" are not judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._view import View
from synth_spark.metrics.base import ALL, Metric


class Unseen(Metric):
    """The largest share, over pairs of category columns, of rows that fall where train has none."""

    name = "unseen"
    title = "Combinations that no real row has"
    good = "As low as for the real holdout: rules between columns hold."
    goal, best, worst = "low", 0.0, 1.0
    reads = "pairs"

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        scores, rows = [], (0, 0)
        for a, b in view.pairs.tolist():
            one, two = view.items[a], view.items[b]
            if one.kind != "category" or two.kind != "category":
                continue
            shape = (one.size, two.size)
            x, y = real[f"{a},{b}"].reshape(shape), synthetic[f"{a},{b}"].reshape(shape)
            judged = np.ones(shape, dtype=bool)
            judged[-2, :] = judged[:, -2] = False
            rows = (int(x.sum()), int(y.sum()))
            share = float(y[(x == 0) & judged].sum() / y.sum())
            scores.append(cls.one(f"{one.name} × {two.name}", share, rows))
        if not scores:
            return [cls.one(ALL, None, rows, why="there are fewer than two category columns")]
        worst = max(s.value or 0.0 for s in scores)
        return [cls.one(ALL, worst, rows), *scores]


METRIC = Unseen
EXAMPLE = FLAT_EXAMPLE
