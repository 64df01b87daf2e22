"""The story of an evaluation, told through ports: one look at train, then one fold a dataset.

All metrics' states travel together, so each dataset is read once. What is scored is scored the same
way for the synthetic records, for the holdout (the floor) and for the `independent` generator's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from synth_spark.core.batch import Records
from synth_spark.core.ports import Engine, Fold, Score, Take
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import METRICS
from synth_spark.metrics._view import Seen, View, learn_view
from synth_spark.metrics.base import (
    ALL,
    Evaluation,
    Line,
    Metric,
    NothingToScoreError,
    OneSubjectError,
)

Dataset = Literal["train", "holdout", "synthetic", "independent"]
DATASETS: tuple[Dataset, ...] = ("train", "holdout", "synthetic", "independent")
VIEW_CELLS = 10_000_000  # of train, for the bins only: about 80 MB on the driver
SIZE = "#size"
MEANT = ("columns", "pairs", "triples")  # whose mean is the headline accuracy
ABSENT: Mapping[str, str] = {
    "holdout": "there is no holdout table",
    "independent": "no table of the independent generator was made",
}


def evaluate(
    schema: Schema, engines: Mapping[Dataset, Engine], *, seed: int = 0, say: Say = silent
) -> Evaluation:
    """Score the synthetic records, with floor and independence value beside every number.

    Args:
        schema: Of all the tables.
        engines: Who answers for `train` and `synthetic`, and where there are such tables, for
            `holdout` and `independent`.
        seed: Of the choice of pairs and triples in wide tables.
        say: Told after each dataset.

    Raises:
        NothingToScoreError: Train or synthetic has no rows (SYN-403).
        OneSubjectError: Train has one subject (SYN-404).
        ColumnsDifferError, FormsDifferError: A table does not fit train's (SYN-401, SYN-402).
    """
    started = time.perf_counter()
    rows = min(500_000, max(20_000, VIEW_CELLS // max(len(schema.columns), 1)))
    sample = engines["train"].answer(Take(subjects=rows, rows=rows))
    if sample is None or not sample.rows:
        raise NothingToScoreError("The train table has no rows.", dataset="train")
    view = learn_view(schema, sample, seed)
    seconds = {"view": time.perf_counter() - started}
    names = [n for n in METRICS.names() if METRICS.get(n).fits(schema)]
    states: dict[str, Any] = {}
    for i, dataset in enumerate(DATASETS):
        begun = time.perf_counter()
        states[dataset] = _count(view, names, dataset, engines)
        seconds[dataset] = time.perf_counter() - begun
        spent = time.perf_counter() - started
        say(Progress(stage="evaluate", done=i + 1, total=4, of="tables", elapsed_s=spent))
    begun = time.perf_counter()
    lines = _lines(view, names, states)
    seconds["score"] = time.perf_counter() - begun
    sizes = {d: dict(s[SIZE]) if s else {"rows": 0, "subjects": 0} for d, s in states.items()}
    return Evaluation(
        shape=schema.shape,
        sizes=sizes,
        lines=tuple(lines),
        about=_about(names),
        choices=view.choices() | {"bins": _bins_sentence(sample)},
        seconds={k: round(v, 3) for k, v in seconds.items()},
        seed=seed,
    )


# ---- counting -----------------------------------------------------------------------------------


def part_state(view: View, names: list[str], records: Records) -> dict[str, Any]:
    """The states of all named metrics for one part, and its size."""
    seen = Seen(view, records)
    own = [n for n in names if not METRICS.get(n).reads]
    states = {name: METRICS.get(name).state(seen) for name in own}
    return {**states, SIZE: {"rows": records.rows, "subjects": records.subjects}}


def merge_parts(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The states of two parts; each metric merges its own."""
    for name, state in right.items():
        merge = Metric.merge if name == SIZE else METRICS.get(name).merge
        left[name] = merge(left[name], state)
    return left


def _count(
    view: View, names: list[str], dataset: Dataset, engines: Mapping[Dataset, Engine]
) -> dict[str, Any] | None:
    """One fold over a dataset; None where there is no such table or it is empty."""
    if dataset not in engines:
        if dataset in ABSENT:
            return None
        raise NothingToScoreError(f"There is no {dataset} table.", dataset=dataset)
    fold = Fold(partial(part_state, view, names), merge_parts, f"evaluate {dataset}")
    found = engines[dataset].answer(fold)
    size = found[SIZE] if found else {"rows": 0, "subjects": 0}
    if dataset in ("train", "synthetic") and not size["rows"]:
        hint = "look at the sampling log: it should have written rows"
        raise NothingToScoreError(f"The {dataset} table has no rows.", hint=hint, dataset=dataset)
    if dataset == "train" and size["subjects"] < 2:
        raise OneSubjectError(
            "The train table holds one subject, so nothing can be compared between subjects.",
            hint="check the plan's key column, or bring records of more subjects",
            subjects=size["subjects"],
        )
    return found if size["rows"] else None


# ---- scoring ------------------------------------------------------------------------------------


def _lines(view: View, names: list[str], states: Mapping[str, Any]) -> list[Line]:
    lines = []
    for name in names:
        metric = METRICS.get(name)
        key = metric.reads or name
        found = {
            side: {s.item: s for s in metric.score(view, states["train"][key], states[side][key])}
            for side in DATASETS[1:]
            if states[side] is not None
        }
        for item, score in found["synthetic"].items():
            others = {side: found[side].get(item) if side in found else None for side in ABSENT}
            lines.append(_line(score, others))
    return [*_accuracy(lines), *lines]


def _line(score: Score, others: Mapping[str, Score | None]) -> Line:
    floor, alone = others["holdout"], others["independent"]
    detail = dict(score.detail)
    for side, other in others.items():
        if other is not None and "synthetic" in other.detail:
            detail[side] = other.detail["synthetic"]
    return Line(
        metric=score.metric,
        item=score.item,
        value=score.value,
        floor=floor.value if floor else None,
        independence=alone.value if alone else None,
        unit=score.unit,
        best=score.best,
        worst=score.worst,
        rows=score.rows,
        why=score.why,
        floor_why=floor.why if floor else ABSENT["holdout"],
        independence_why=alone.why if alone else ABSENT["independent"],
        detail=detail,
    )


def _accuracy(lines: list[Line]) -> list[Line]:
    """The headline: the mean of one, two and three column accuracy, as far as there are such."""
    heads = [x for x in lines if x.metric in MEANT and x.item == ALL and x.value is not None]
    if not heads:
        return []

    def mean(values: list[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if len(known) == len(heads) else None

    first = heads[0]
    return [
        Line(
            metric="accuracy",
            item=ALL,
            value=mean([x.value for x in heads]),
            floor=mean([x.floor for x in heads]),
            independence=mean([x.independence for x in heads]),
            unit=first.unit,
            best=1.0,
            worst=0.0,
            rows=first.rows,
            floor_why=first.floor_why,
            independence_why=first.independence_why,
            detail={"mean of": [x.metric for x in heads]},
        )
    ]


def _about(names: list[str]) -> dict[str, dict[str, str]]:
    said = {
        "accuracy": {
            "title": "Accuracy",
            "good": "Near the floor: the mean of one, two and three column accuracy.",
            "unit": "share",
            "goal": "high",
        }
    }
    for name in names:
        m = METRICS.get(name)
        said[name] = {"title": m.title, "good": m.good, "unit": m.unit, "goal": m.goal}
    return said


def _bins_sentence(sample: Records) -> str:
    return (
        f"learned from {sample.rows:,} rows of {sample.subjects:,} train subjects; all counts are "
        "over all rows"
    )
