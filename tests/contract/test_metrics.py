"""Every file on the metrics shelf keeps the promises, and the set tells good records from bad."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache, partial, reduce
from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import METRICS
from synth_spark.core.wire import dumps, loads
from synth_spark.metrics import _example as example
from synth_spark.metrics._view import GAP, Seen, View, learn_view
from synth_spark.metrics.base import ALL, Evaluation
from synth_spark.pipelines.evaluate import evaluate, merge_parts, part_state

RNG = partial(np.random.default_rng, 11)


@pytest.fixture(params=METRICS.names())  # a new file is tested by being there
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def viewed(name: str) -> tuple[View, Records]:
    schema, records = METRICS.example(name)
    return learn_view(schema, records, 0), records


def state(name: str, view: View, records: Records) -> Any:
    metric = METRICS.get(name)
    source = METRICS.get(metric.reads) if metric.reads else metric
    return loads(dumps(source.state(Seen(view, records))))


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    return bool(left == right)


def test_counting_in_parts_equals_counting_at_once(name: str) -> None:
    view, records = viewed(name)
    merge = METRICS.get(METRICS.get(name).reads or name).merge
    order = RNG().permutation(records.subjects)
    cuts = [state(name, view, records.take(c)) for c in np.array_split(order, 7)]
    assert same(reduce(merge, cuts), state(name, view, records))


def test_scores_are_finite_carry_their_unit_and_lead_with_the_headline(name: str) -> None:
    view, records = viewed(name)
    metric, counted = METRICS.get(name), state(name, view, records)
    scores = metric.score(view, counted, counted)
    assert scores[0].item == ALL
    assert len({s.item for s in scores}) == len(scores)
    for score in scores:
        assert score.metric == name == metric.name
        assert score.unit
        assert score.value is not None
        assert math.isfinite(score.value)
        dumps(asdict(score)["detail"])  # JSON types only


def test_records_scored_against_themselves_reach_the_best_value(name: str) -> None:
    view, records = viewed(name)
    metric, counted = METRICS.get(name), state(name, view, records)
    expected = metric.worst if name == "copies" else metric.best  # a copy is the worst of copies
    assert metric.score(view, counted, counted)[0].value == pytest.approx(expected)


def test_one_subject_gives_a_number_or_a_reason(name: str) -> None:
    view, records = viewed(name)
    one = state(name, view, records.take(np.array([0])))
    for score in METRICS.get(name).score(view, state(name, view, records), one):
        assert (score.value is None) == bool(score.why)


# ---- telling good from bad ----------------------------------------------------------------------


def scored(schema: Schema, synthetic: Records, make: Any) -> Evaluation:
    engines = {
        "train": Local(make(seed=1), parts=3),
        "holdout": Local(make(seed=2)),
        "synthetic": Local(synthetic, parts=2),
    }
    return evaluate(schema, engines)


def short_of_floor(found: Evaluation, metric: str, item: str = ALL) -> float:
    line = found.line(metric, item)
    assert line is not None
    assert line.value is not None
    assert line.floor is not None
    return (line.floor - line.value) if line.goal == "high" else (line.value - line.floor)


@pytest.mark.parametrize(
    ("schema", "make"), [(example.FLAT, example.flat), (example.EVENTS, example.events)]
)
def test_a_third_real_table_stands_at_the_floor_everywhere(schema: Schema, make: Any) -> None:
    found = scored(schema, make(seed=3), make)
    for line in found.lines:
        if line.item == ALL and line.value is not None:
            assert short_of_floor(found, line.metric) < 0.05, line.metric


def test_shuffled_columns_lose_on_pairs_and_not_on_columns() -> None:
    real, rng = example.flat(seed=3), RNG()
    mixed = {n: v[rng.permutation(real.rows)] for n, v in real.columns.items()}
    found = scored(example.FLAT, Records.flat(mixed), example.flat)
    assert short_of_floor(found, "columns") < 0.02
    assert short_of_floor(found, "pairs") > 0.05
    assert short_of_floor(found, "triples") > 0.1


def test_events_in_shuffled_order_lose_on_sequences_and_not_on_columns() -> None:
    real, rng = example.events(seed=3), RNG()
    order = rng.permutation(real.rows)
    moved = {n: v if n == "at" else v[order] for n, v in real.columns.items()}
    found = scored(example.EVENTS, Records(moved, real.offsets), example.events)
    assert short_of_floor(found, "columns") < 0.02
    assert short_of_floor(found, "gaps") < 0.05
    assert short_of_floor(found, "coherence", "kind") > 0.1
    assert short_of_floor(found, "transitions") > 0.1
    assert short_of_floor(found, "aggregates") > 0.1


def test_gaps_in_shuffled_order_lose_on_coherence_and_not_on_their_shares() -> None:
    real, rng = example.events(seed=3), RNG()
    micros = np.asarray(real.columns["at"]).astype(np.int64)
    dealt = [
        np.cumsum([at[0], *rng.permutation(np.diff(at))])
        for at in np.split(micros, real.offsets[1:-1])
    ]
    moved = {**real.columns, "at": np.concatenate(dealt).astype("datetime64[us]")}
    found = scored(example.EVENTS, Records(moved, real.offsets), example.events)
    assert short_of_floor(found, "gaps") < 0.05
    assert short_of_floor(found, "coherence", GAP) > 0.1


def test_copied_rows_are_counted_and_new_rows_are_not() -> None:
    train, fresh = example.flat(seed=1), example.flat(seed=3)
    copied = train.take(np.arange(60))  # 60 of 600: a tenth
    mixed = Records.joined([copied, fresh.take(np.arange(540))])
    by_hand = 60 + len(_rows(fresh.take(np.arange(540))) & _rows(train))
    line = scored(example.FLAT, mixed, example.flat).line("copies")
    assert line is not None
    assert line.value == pytest.approx(by_hand / 600)
    assert line.floor is not None
    assert line.floor < 0.01


def _rows(records: Records) -> set[tuple[Any, ...]]:
    columns = [v.texts() if hasattr(v, "texts") else v for v in records.columns.values()]
    return {tuple(map(str, row)) for row in zip(*columns, strict=True)}


def test_a_copied_subject_is_found_though_its_week_was_moved() -> None:
    train, fresh = example.events(seed=1), example.events(seed=3)
    later = train.take(np.array([5]))
    later.columns["at"] = np.asarray(later.columns["at"]) + np.timedelta64(7, "D")
    mixed = Records.joined([fresh.take(np.arange(9)), later])
    found = scored(example.EVENTS, mixed, example.events)
    whole = found.line("copies", "whole subjects")
    dated = found.line("copies", "event rows, with their time")
    assert whole is not None
    assert whole.value == pytest.approx(0.1)
    assert dated is not None
    assert dated.value == pytest.approx(0.0)


def test_merging_the_states_of_all_metrics_goes_through_each_metrics_own_merge() -> None:
    view, records = viewed("copies")
    names = ["columns", "copies", "ranges"]
    halves = [records.take(c) for c in np.array_split(np.arange(records.subjects), 2)]
    merged = merge_parts(*(part_state(view, names, h) for h in halves))
    assert same(merged, part_state(view, names, records))
