"""Gaps between a subject's events: their distribution on a log grid.

The grid is fixed (from a microsecond to 30,000 years, 32 bins a decade, and one bin for zero), so
states merge exactly; the distance is exact up to the width of a bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric, ks_distance, shares

PER_DECADE = 32
LOW, HIGH = -6, 12  # decades of seconds
BINS = (HIGH - LOW) * PER_DECADE + 1  # bin 0: no gap at all


class Gaps(Metric):
    """The largest difference of the cumulative shares of gaps."""

    name = "gaps"
    title = "Gaps between events"
    good = "The curves lie on each other: bursts and silences are as long as in reality."
    goal, unit, best, worst = "low", "KS distance", 0.0, 1.0
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        gaps = seen.gaps_s[np.isfinite(seen.gaps_s)]
        log = np.log10(np.maximum(gaps, 10.0**LOW))
        at = np.floor((log - LOW) * PER_DECADE + 1e-9).astype(np.int64) + 1
        at = np.where(gaps > 0, np.minimum(at, BINS - 1), 0)
        return {"bins": np.bincount(at, minlength=BINS)}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        a, b = real["bins"], synthetic["bins"]
        rows = (int(a.sum()), int(b.sum()))
        if not all(rows):
            return [cls.one(ALL, None, rows, why="no subject has two events")]
        detail = {"log10_s": _marks(), "real": _thin(a), "synthetic": _thin(b)}
        return [cls.one(ALL, ks_distance(a, b), rows, detail=detail)]


def _thin(bins: np.ndarray[Any, Any]) -> list[float]:
    """Shares per eighth of a decade from 0.1 s to 10^8 s; the first entry holds all below."""
    start = 1 + (-1 - LOW) * PER_DECADE
    middle = bins[start : start + 9 * PER_DECADE].reshape(-1, 4).sum(axis=1)
    return shares(np.concatenate([[bins[:start].sum()], middle]))


def _marks() -> list[float]:
    """Where the bins of `_thin` start, as log10 of seconds; the first is a stand-in for zero."""
    return [-1.125, *(round(-1 + i / 8, 4) for i in range(72))]


METRIC = Gaps
EXAMPLE = EVENTS_EXAMPLE
