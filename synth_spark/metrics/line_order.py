"""What log line follows what: how far pairs of neighbouring templates of a subject agree.

Two lines after one another in a subject are a pair; all pairs count, however many templates there
are (`transitions` looks at the 30 most frequent). See `line_shares` for what a template is.
"""

from __future__ import annotations

from typing import Any

from synth_spark.core.ports import Score
from synth_spark.metrics._example import LINES_EXAMPLE
from synth_spark.metrics._lines import NO_LINES, counts, distance, merged
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import EVENTS, Metric


class LineOrder(Metric):
    """The mean over columns of lines of the distance between the shares of pairs of templates."""

    name = "line_order"
    title = "Order of log lines"
    good = "Near the floor: one line follows another as often as in reality."
    goal, unit, best, worst = "low", "TVD", 0.0, 1.0
    shapes, kind = EVENTS, "text"

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        out, after = {}, seen.follows
        for name, templates in seen.view.templates.items():
            lines = seen.lines(name) + 2  # no line is 0, no template 1
            out[name] = counts(lines[after - 1] * (len(templates) + 2) + lines[after])
        return out

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        return merged(left, right)

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for name in view.templates:
            a, b = real[name], synthetic[name]
            rows = (sum(a.values()), sum(b.values()))
            why = "" if all(rows) else "no subject has two lines"
            scores.append(cls.one(name, None if why else distance(a, b), rows, why=why))
        return [cls.mean(scores, rows, NO_LINES), *scores]


METRIC = LineOrder
EXAMPLE = LINES_EXAMPLE
