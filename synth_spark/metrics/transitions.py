"""Transitions of order 1: given a category's value, how far off is the next one.

For each state the total variation distance between the real and the synthetic share of what comes
next, averaged by how often the real records are in that state. A column keeps its 30 most frequent
labels; the others are one state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric

SHOWN = 8  # states in the picture


class Transitions(Metric):
    """The mean over category columns of the distance between the next values' shares."""

    name = "transitions"
    title = "What follows what"
    good = "Dark cells are where the real ones are: the same value follows as often as in reality."
    goal, unit, best, worst = "low", "TVD", 0.0, 1.0
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        counts, after = {}, seen.follows
        for item in seen.view.states:
            tokens = seen.bins(item)
            joint = tokens[after - 1] * item.size + tokens[after]
            counts[item.name] = np.bincount(joint, minlength=item.size**2)
        return counts

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        rows, scores = (0, 0), []
        for item in view.states:
            a, b = (s[item.name].reshape(item.size, item.size) for s in (real, synthetic))
            rows = (int(a.sum()), int(b.sum()))
            if not all(rows):
                return [cls.one(ALL, None, rows, why="no subject has two events")]
            p, q = _next_shares(a), _next_shares(b)
            off = np.abs(p - q).sum(axis=1) / 2
            off = np.where(b.sum(axis=1) > 0, off, 1.0)  # a state that is never reached is all off
            value = float((off * a.sum(axis=1)).sum() / a.sum())
            shown = np.flatnonzero((a + b).sum(axis=0) + (a + b).sum(axis=1))[:SHOWN]
            detail = {
                "states": [item.names[i] for i in shown],
                "real": np.round(p[np.ix_(shown, shown)], 4).tolist(),
                "synthetic": np.round(q[np.ix_(shown, shown)], 4).tolist(),
            }
            scores.append(cls.one(item.name, value, rows, detail=detail))
        return [cls.mean(scores, rows, "no category column changes within a subject"), *scores]


def _next_shares(counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


METRIC = Transitions
EXAMPLE = EVENTS_EXAMPLE
