"""Events per subject: the distribution of how many rows a subject has, and its mean.

Counts up to 64 have a bin each; above, bins grow by 7.5 % (32 a decade).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric, ks_distance, shares

_ABOVE = np.unique(np.ceil(10 ** np.arange(np.log10(65), 9, 1 / 32)))
EDGES = np.concatenate([np.arange(1, 65), _ABOVE[_ABOVE > 64]])
_COARSE = np.array([0, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513, 1_025, 2_049, 4_097, 1e18])


class Lengths(Metric):
    """The largest difference of the cumulative shares of subjects by their number of events."""

    name = "lengths"
    title = "Events per subject"
    good = "The curves lie on each other: there are as many quiet and busy subjects as in reality."
    goal, unit, best, worst = "low", "KS distance", 0.0, 1.0
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        n = seen.records.lengths
        bins = np.bincount(np.searchsorted(EDGES, n, side="right"), minlength=len(EDGES) + 1)
        return {"bins": bins, "subjects": len(n), "events": int(n.sum())}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows = (real["subjects"], synthetic["subjects"])
        if min(rows) < 2:
            return [cls.one(ALL, None, rows, why="it takes two subjects on each side")]
        a, b = real["bins"], synthetic["bins"]
        detail = {"bins": _names(), "real": _coarse(a), "synthetic": _coarse(b)}
        was, now = (s["events"] / s["subjects"] for s in (real, synthetic))
        means = {"real": round(was, 3), "synthetic": round(now, 3)}
        off = abs(now / was - 1)
        return [
            cls.one(ALL, ks_distance(a, b), rows, detail=detail),
            cls.one("mean", off, rows, unit="relative difference", detail=means),
        ]


def _groups() -> np.ndarray[Any, np.dtype[np.int64]]:
    lower = np.concatenate([[0], EDGES])
    return np.searchsorted(_COARSE, lower, side="right") - 1


def _coarse(bins: np.ndarray[Any, Any]) -> list[float]:
    return shares(np.bincount(_groups(), weights=bins, minlength=len(_COARSE) - 1))


def _names() -> list[str]:
    starts = [1, *(int(x) for x in _COARSE[1:-1])]
    ends = [*(s - 1 for s in starts[1:]), 0]
    pairs = zip(starts, ends, strict=True)
    return [f"{a:,}" if a == b else f"{a:,}–{b:,}" if b else f"≥ {a:,}" for a, b in pairs]


METRIC = Lengths
EXAMPLE = EVENTS_EXAMPLE
