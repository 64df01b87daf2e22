"""Per-subject aggregates: do subjects as a whole look real.

Events, span, mean gap, night and weekend share, variety and favourites of each category, mean and
spread of each number (`_traits`), in at most ten bins of equal mass each, one by one and in pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synth_spark.core.ports import Score
from synth_spark.metrics._example import EVENTS_EXAMPLE
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, EVENTS, Metric, overlap, shares


class Aggregates(Metric):
    """The mean over traits and pairs of traits of the overlap of their binned shares."""

    name = "aggregates"
    title = "Subjects as a whole"
    good = "Near the floor: a subject's totals and habits spread over subjects as in reality."
    shapes = EVENTS

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        kept, tokens = seen.view.traits, seen.trait_tokens
        ones = {i.name: np.bincount(t, minlength=i.size) for i, t in zip(kept, tokens, strict=True)}
        twos = {}
        for a, b in seen.view.trait_pairs.tolist():
            joint = tokens[a] * kept[b].size + tokens[b]
            twos[f"{a},{b}"] = np.bincount(joint, minlength=kept[a].size * kept[b].size)
        return {"one": ones, "two": twos}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        first = view.traits[0].name
        rows = (int(real["one"][first].sum()), int(synthetic["one"][first].sum()))
        if min(rows) < 2:
            return [cls.one(ALL, None, rows, why="it takes two subjects on each side")]
        scores = []
        for item in view.traits:
            a, b = real["one"][item.name], synthetic["one"][item.name]
            detail = {"bins": list(item.names), "real": shares(a), "synthetic": shares(b)}
            scores.append(cls.one(item.name, overlap(a, b), rows, detail=detail))
        pairs = [overlap(real["two"][k], synthetic["two"][k]) for k in real["two"]]
        alone = float(np.mean([s.value for s in scores if s.value is not None]))
        together = float(np.mean(pairs)) if pairs else alone
        means = {"one by one": round(alone, 5), "in pairs": round(together, 5)}
        return [cls.one(ALL, (alone + together) / 2, rows, detail=means), *scores]


METRIC = Aggregates
EXAMPLE = EVENTS_EXAMPLE
