"""Rare labels: a class of 1 row in 1,000, a kind of 1 event in 10,000, as rare as it really is?

Judged are the labels of category columns (and the templates of log lines) that take 1 in 20,000 to
1 in 100 of the train rows and that five train subjects or more hold; a column of the subject counts
once a subject. A label is off where its rate, over the real one, is off by more than 20 % and by
more than two standard errors. The error is that of both counts, the real and the drawn one, were
they draws of one population; it allows for events that come in bursts: the variance of a count is
the sum of the squared counts of subjects (Cochran, Sampling Techniques, 9A.1), as it is in train.
Where even a label that is missing altogether would lie within two errors, the tables are too small
to judge it. One label in twenty is off by chance: read it beside the floor.

Up to 1,000 labels of a column take part, found in the sample that the bins are learned from. All
rows are counted. The detail names the labels that are off, up to ten a column, with both counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Score
from synth_spark.metrics._example import RARE_EXAMPLE
from synth_spark.metrics._items import MIN_HELD
from synth_spark.metrics._view import Seen, View, counted_rows
from synth_spark.metrics.base import ALL, Metric

LEAST, MOST = 1 / 20_000, 1 / 100  # share of the real rows
WITHIN = 0.2  # of the real rate
ERRORS = 2.0  # standard errors of the ratio
NAMED = 10  # labels that are off, of one column


class RareLabels(Metric):
    """The share of rare labels that come more than 20 % too often or too seldom."""

    name = "rare_labels"
    title = "Rare labels at a wrong rate"
    good = "As low as for the real holdout: what is rare comes as seldom as it really does."
    goal, best, worst = "low", 0.0, 1.0

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        return {item.name: _counts(seen, i) for i, item in enumerate(seen.view.rare)}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        scores: list[Score] = []
        parts: list[dict[str, NDArray[Any]]] = []
        few, rows = 0, (0, 0)
        for item in view.rare:
            one, other = real[item.name], synthetic[item.name]
            found, small = _judged(one, other)
            few += small
            if not len(found["ratio"]):
                continue
            rows = (int(one["rows"]), int(other["rows"]))
            names = np.array([f"{item.name} = {n}" for n in item.names[: len(item.labels)]], object)
            parts.append({**found, "name": names[found["label"]]})
            scores.append(
                cls.one(item.name, float(found["off"].mean()), rows, detail=_told(parts[-1]))
            )
        if not parts:
            why = "the tables are too small to tell a rare rate" if few else "no label is rare"
            return [cls.one(ALL, None, rows, why=why, detail={"too few rows for": few})]
        both = {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
        detail = {**_told(both), "too few rows for": few}
        return [cls.one(ALL, float(both["off"].mean()), rows, detail=detail), *scores]


def _counts(seen: Seen, place: int) -> dict[str, Any]:
    """Rows of each label, subjects that hold it, the sum of their squared counts; all rows."""
    item = seen.view.rare[place]
    rows, owners = counted_rows(seen.view.schema, item.column, seen.records)
    tokens = item.tokens(seen.records.columns[item.column][rows])
    size = len(item.labels)
    known = tokens < size
    keys, times = np.unique(owners[known] * size + tokens[known], return_counts=True)
    label = keys % size

    def by_label(weights: NDArray[np.int64]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.zeros(size, np.int64)
        np.add.at(found, label, weights)
        return found

    return {
        "count": by_label(times),
        "held": by_label(np.ones_like(times)),
        "squares": by_label(times**2),
        "rows": len(rows),
    }


def _judged(real: dict[str, Any], made: dict[str, Any]) -> tuple[dict[str, NDArray[Any]], int]:
    """What is known of the rare labels of a column, and how many there are too few rows to judge.

    Returns:
        Arrays of shape (judged,): place of the label, ratio of the two rates, its standard error,
        both counts, whether it is off.
    """
    count, share = real["count"], real["count"] / max(int(real["rows"]), 1)
    rare = (share >= LEAST) & (share <= MOST) & (real["held"] >= MIN_HELD)
    expected = np.maximum(share * int(made["rows"]), 1e-9)
    each = real["squares"] / np.maximum(count, 1)  # 1 where no subject has the label twice
    error = np.sqrt(each * (1.0 / np.maximum(count, 1) + 1.0 / expected))
    judged = np.flatnonzero(rare & (ERRORS * error < 1.0))
    ratio = made["count"][judged] / expected[judged]
    bound = np.maximum(WITHIN, ERRORS * error[judged])
    found = {
        "label": judged, "ratio": ratio, "error": error[judged], "real": count[judged],
        "made": made["count"][judged], "off": np.abs(ratio - 1) > bound,
        "beyond": np.abs(ratio - 1) / bound,
    }  # fmt: skip
    return found, int(rare.sum()) - len(judged)


def _told(found: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The detail: how many, the median ratio, and the labels that are off, the worst first."""
    order = np.argsort(-found["beyond"], kind="stable")
    worst = [i for i in order.tolist() if found["off"][i]][:NAMED]
    summary = {
        "labels": len(order),
        "off": int(found["off"].sum()),
        "missing": int((found["made"] == 0).sum()),
        "median_ratio": round(float(np.median(found["ratio"])), 3),
        "worst_ratio": round(float(found["ratio"][order[0]]), 3),
    }
    named = [
        {
            "label": str(found["name"][i]),
            "ratio": round(float(found["ratio"][i]), 3),
            "standard_error": round(float(found["error"][i]), 3),
            "real": int(found["real"][i]),
            "made": int(found["made"][i]),
        }
        for i in worst
    ]
    return {"synthetic": summary, "labels off": named}


METRIC = RareLabels
EXAMPLE = RARE_EXAMPLE
