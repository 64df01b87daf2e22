"""What every generator promises; a new file on the shelf is tested by being there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.core.wire import dumps, loads
from synth_spark.training.loop import train_local
from tests.contract.cases import CASES

PAIRS = [
    (name, shape) for name in GENERATORS.names() for shape in sorted(GENERATORS.get(name).shapes)
]


class Learned(NamedTuple):
    kind: Any
    params: Any
    schema: Schema
    records: Records
    model: Any


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def case(request: pytest.FixtureRequest) -> Learned:
    name, shape = request.param
    kind = GENERATORS.get(name)
    schema, made = CASES[shape]
    records = made()
    params = GENERATORS.example(name)
    model = learn(kind.learn(schema, params, 5), Local(records, train=train_local))
    return Learned(kind, params, schema, records, model)


def same(left: Records, right: Records) -> None:
    np.testing.assert_array_equal(left.offsets, right.offsets)
    assert left.columns.keys() == right.columns.keys()
    for name, value in left.columns.items():
        other = right.columns[name]
        if isinstance(value, Coded):
            np.testing.assert_array_equal(value.texts(), other.texts(), name)
        else:
            np.testing.assert_array_equal(value, other, name)


def test_drawn_records_have_the_schemas_columns_in_their_forms(case: Learned) -> None:
    drawn = case.model.sample(0, 50, 1)
    assert drawn.subjects == 50
    assert sorted(drawn.columns) == sorted(case.records.columns)
    for name, value in case.records.columns.items():
        other = drawn.columns[name]
        assert len(other) == drawn.rows
        assert isinstance(other, Coded) == isinstance(value, Coded)
        if not isinstance(value, Coded):
            assert other.dtype == value.dtype


def test_the_same_block_is_drawn_again(case: Learned) -> None:
    same(case.model.sample(3, 40, 9), case.model.sample(3, 40, 9))


def test_a_subject_does_not_depend_on_how_many_are_asked_for(case: Learned) -> None:
    full = case.model.sample(1, case.model.block_size, 2)
    same(case.model.sample(1, 17, 2), full.take(np.arange(17)))


def test_blocks_and_seeds_differ(case: Learned) -> None:
    number = next(n for n, v in case.records.columns.items() if not isinstance(v, Coded))
    first = np.asarray(case.model.sample(0, 64, 1).columns[number])
    for block, seed in ((1, 1), (0, 2)):
        other = np.asarray(case.model.sample(block, 64, seed).columns[number])
        assert len(first) != len(other) or not np.array_equal(first, other)


def test_a_model_travels_through_the_wire(case: Learned) -> None:
    state = loads(dumps(case.model.state()))
    same(case.kind.Model.from_state(state).sample(2, 30, 4), case.model.sample(2, 30, 4))


def test_learning_again_gives_the_same_model(case: Learned) -> None:
    again = learn(
        case.kind.learn(case.schema, case.params, 5), Local(case.records, train=train_local)
    )
    assert dumps(again.state()) == dumps(case.model.state())


def test_learning_in_parts_gives_what_learning_at_once_gives(case: Learned) -> None:
    engine = Local(case.records, parts=3, train=train_local)
    parts = learn(case.kind.learn(case.schema, case.params, 5), engine)
    same(parts.sample(0, 30, 4), case.model.sample(0, 30, 4))


@pytest.mark.parametrize(
    "case", [p for p in PAIRS if p[1] == "events"], indirect=True, ids="-".join
)
def test_no_event_lies_before_the_one_before_it(case: Learned) -> None:
    drawn = case.model.sample(0, case.model.block_size, 6)
    times = np.asarray(drawn.columns[case.schema.time])
    within = np.diff(drawn.owners) == 0
    assert not (np.diff(times)[within] < np.timedelta64(0, "us")).any()


def test_drawn_categories_come_from_the_records(case: Learned) -> None:
    drawn = case.model.sample(0, 200, 8)
    for name, value in case.records.columns.items():
        if isinstance(value, Coded):
            made = {t for t in drawn.columns[name].texts() if not str(t).startswith("_RARE_")}
            assert made <= {*value.labels, None}


def test_facts_for_the_card_are_json(case: Learned) -> None:
    assert json.loads(json.dumps(case.model.about()))


@pytest.mark.parametrize("kept", [("at",), ("at", "what"), ("at", "seconds")], ids="+".join)
@pytest.mark.parametrize("name", [n for n, shape in PAIRS if shape == "events"])
def test_events_of_few_columns_are_drawn(name: str, kept: tuple[str, ...]) -> None:
    whole, made = CASES["events"]
    schema = replace(whole, columns=tuple(c for c in whole.columns if c.name in kept))
    records = made()
    records = Records({n: records.columns[n] for n in kept}, records.offsets)
    story = GENERATORS.get(name).learn(schema, GENERATORS.example(name), 5)
    drawn = learn(story, Local(records, train=train_local)).sample(0, 60, 1)
    assert sorted(drawn.columns) == sorted(kept)
    assert 0.3 < drawn.rows / 60 / (records.rows / records.subjects) < 3  # lengths are 1 to 39
