"""The story of an evaluation: one fold a table, floors beside values, refusals with numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import Fold
from synth_spark.core.progress import Progress
from synth_spark.core.schema import Column, Schema
from synth_spark.metrics import _example as example
from synth_spark.metrics.base import (
    ColumnsDifferError,
    Evaluation,
    FormsDifferError,
    NothingToScoreError,
    OneSubjectError,
)
from synth_spark.pipelines.evaluate import evaluate


@dataclass
class Counting(Local):
    folds: list[str] = field(default_factory=list)

    def answer(self, request: Any) -> Any:
        if isinstance(request, Fold):
            self.folds.append(request.title)
        return Local.answer(self, request)


def flat(**others: Records) -> dict[str, Any]:
    found = {"train": example.flat(1), "holdout": example.flat(2), "synthetic": example.flat(3)}
    return {k: Local(v) for k, v in (found | others).items()}


def test_each_table_is_read_by_one_fold() -> None:
    engines = {k: Counting(v.records) for k, v in flat(independent=example.flat(4)).items()}
    said: list[Progress] = []
    evaluate(example.FLAT, engines, say=said.append)
    assert [e.folds for e in engines.values()] == [[f"evaluate {k}"] for k in engines]
    assert [p.done for p in said] == [1, 2, 3, 4]


def test_partitions_change_nothing() -> None:
    tables = {
        "train": example.events(1),
        "holdout": example.events(2),
        "synthetic": example.events(3),
    }
    one = evaluate(example.EVENTS, {k: Local(v) for k, v in tables.items()})
    many = evaluate(example.EVENTS, {k: Local(v, parts=7) for k, v in tables.items()})
    assert one.lines == many.lines


def test_the_floor_is_the_score_of_the_holdout() -> None:
    found = evaluate(example.FLAT, flat())
    swapped = evaluate(example.FLAT, flat(synthetic=example.flat(2)))
    floors = {(x.metric, x.item): x.floor for x in found.lines}
    assert floors == {(x.metric, x.item): x.value for x in swapped.lines}


def test_accuracy_is_the_mean_of_one_two_and_three_columns() -> None:
    found = evaluate(example.FLAT, flat())
    parts = [found.line(n) for n in ("columns", "pairs", "triples")]
    mean = np.mean([p.value for p in parts if p is not None and p.value is not None])
    head = found.line("accuracy")
    assert head is not None
    assert head.value == pytest.approx(float(mean))


def test_an_evaluation_survives_json_and_holds_no_nan() -> None:
    found = evaluate(example.EVENTS, {k: Local(example.events(i)) for i, k in enumerate(
        ("train", "holdout", "synthetic", "independent"))})  # fmt: skip
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)).to_json() == json.loads(text)


def test_a_table_that_is_not_there_is_said_and_not_scored() -> None:
    engines = flat()
    del engines["holdout"]
    for line in evaluate(example.FLAT, engines).lines:
        assert line.floor is None
        assert line.floor_why == "there is no holdout table"
        assert line.independence_why


def test_missing_columns_are_named() -> None:
    lacking = example.flat(3)
    del lacking.columns["bill"]
    with pytest.raises(ColumnsDifferError) as caught:
        evaluate(example.FLAT, flat(synthetic=lacking))
    assert caught.value.facts["columns"] == ["bill"]


def test_another_type_is_refused() -> None:
    other = example.flat(3)
    other.columns["plan"] = np.zeros(other.rows)
    with pytest.raises(FormsDifferError) as caught:
        evaluate(example.FLAT, flat(synthetic=other))
    assert caught.value.facts["column"] == "plan"


@pytest.mark.parametrize("dataset", ["train", "synthetic"])
def test_no_rows_are_refused(dataset: str) -> None:
    empty = example.flat().take(np.zeros(0, dtype=np.int64))
    with pytest.raises(NothingToScoreError) as caught:
        evaluate(example.FLAT, flat(**{dataset: empty}))
    assert caught.value.facts["dataset"] == dataset


def test_an_empty_holdout_is_no_floor() -> None:
    empty = example.flat().take(np.zeros(0, dtype=np.int64))
    found = evaluate(example.FLAT, flat(holdout=empty))
    assert all(x.floor is None and x.floor_why for x in found.lines)


def test_one_subject_in_train_is_refused() -> None:
    one = example.events().take(np.array([0]))
    with pytest.raises(OneSubjectError):
        evaluate(example.EVENTS, {"train": Local(one), "synthetic": Local(example.events())})


def test_a_table_of_identifiers_only_is_not_scored_rather_than_perfect() -> None:
    schema = Schema(family="table", shape="flat", columns=(Column(name="id", kind="identifier"),))
    ids = Records.flat({"id": Coded.of([f"n{i}" for i in range(9)])})
    found = evaluate(schema, {k: Local(ids) for k in ("train", "holdout", "synthetic")})
    assert found.lines
    assert all(x.value is None and x.why for x in found.lines)


def test_columns_without_any_value_and_constant_columns_are_scored() -> None:
    tables = {k: example.flat(i) for i, k in enumerate(("train", "holdout", "synthetic"))}
    for records in tables.values():
        records.columns["bill"] = np.full(records.rows, np.nan)
        records.columns["plan"] = records.columns["plan"][np.zeros(records.rows, dtype=int)]
        records.columns["joined"] = np.full(records.rows, np.datetime64("NaT", "us"))
    found = evaluate(example.FLAT, {k: Local(v) for k, v in tables.items()})
    assert all((x.value is None) == bool(x.why) for x in found.lines)
    bill = found.line("columns", "bill")
    assert bill is not None
    assert bill.value == 1.0
