"""Which log lines there are: how far the shares of their templates agree.

The templates are mined from a sample of train (`columns/_text_mine.py`); one that fewer than five
subjects hold is not one, and its lines count together as one template more.
"""

from __future__ import annotations

from typing import Any

from synth_spark.core.ports import Score
from synth_spark.metrics._example import LINES_EXAMPLE
from synth_spark.metrics._lines import NO_LINES, counts, distance, merged
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import Metric


class LineShares(Metric):
    """The mean over columns of lines of the distance between the templates' shares."""

    name = "line_shares"
    title = "Templates of log lines"
    good = "Near the floor: programs say the same things as often as in reality."
    goal, unit, best, worst = "low", "TVD", 0.0, 1.0
    kind = "text"

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        return {name: counts(seen.lines(name)) for name in seen.view.templates}

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        return merged(left, right)

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for name in view.templates:
            a, b = real[name], synthetic[name]
            rows = (sum(a.values()), sum(b.values()))
            value, why = (distance(a, b), "") if all(rows) else (None, "one side has no line")
            scores.append(cls.one(name, value, rows, why=why))
        return [cls.mean(scores, rows, NO_LINES), *scores]


METRIC = LineShares
EXAMPLE = LINES_EXAMPLE
