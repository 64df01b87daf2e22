"""Whether log lines can be read: each has a known template, and parameters of that one's types.

A line that a program of train could have written reads as one of train's templates, with a number
where the template has a number and an address where it has an address. Real lines fall short where
their template is held by fewer than five subjects of train; made ones never should.
"""

from __future__ import annotations

from typing import Any

from synth_spark.core.ports import Score
from synth_spark.metrics._example import LINES_EXAMPLE
from synth_spark.metrics._lines import NO_LINES
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import Metric


class LineTypes(Metric):
    """The share of the synthetic lines that read as a template of train, the mean over columns."""

    name = "line_types"
    title = "Log lines that can be read"
    good = "1: every line is one that the programs write, with parameters of the right types."
    kind = "text"

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        out = {}
        for name in seen.view.templates:
            lines = seen.lines(name)
            out[name] = {"read": int((lines >= 0).sum()), "not": int((lines == -1).sum())}
        return out

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for name in view.templates:
            a, b = (s[name]["read"] + s[name]["not"] for s in (real, synthetic))
            rows = (a, b)
            why = "" if b else "there is no line"
            value = synthetic[name]["read"] / b if b else None
            scores.append(cls.one(name, value, rows, why=why))
        return [cls.mean(scores, rows, NO_LINES), *scores]


METRIC = LineTypes
EXAMPLE = LINES_EXAMPLE
