"""What every generator promises; a new file on the shelf is tested by being there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, known_first, missing
from synth_spark.core.conditions import (
    WEEKDAYS,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.given import empty_like
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.core.wire import dumps, loads
from synth_spark.training.loop import train_local
from tests.contract.cases import CASES


def made_by(name: str) -> list[str]:
    """The shapes whose case is of a family that the generator can make."""
    kind = GENERATORS.get(name)
    families = {shape: CASES[shape][0].family for shape in kind.shapes}
    return sorted(s for s, f in families.items() if not kind.families or f in kind.families)


PAIRS = [(name, shape) for name in GENERATORS.names() for shape in made_by(name)]


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


def test_known_cells_stay_and_gaps_are_filled_where_a_generator_says_so(case: Learned) -> None:
    if case.schema.shape not in getattr(case.kind, "fills", ()):
        return
    rng, known = np.random.default_rng(4), case.records.take(np.arange(60))
    cut: dict[str, Any] = {n: v[np.arange(60)] for n, v in known.columns.items()}
    for name, values in cut.items():
        gone = rng.random(60) < 0.5
        empty = empty_like(case.schema.column(name), 60)
        cut[name] = (
            Coded(np.where(gone, -1, values.codes), values.labels)
            if isinstance(values, Coded)
            else np.where(gone, empty, values)
        )
    completer = case.model.completer()
    filled, again = (completer.complete(Records.flat(cut), 3, 1) for _ in range(2))
    same(filled, again)
    same(Records.flat({n: known_first(v, filled.columns[n]) for n, v in cut.items()}), filled)
    assert sum(missing(v).sum() for v in filled.columns.values()) < 20  # one bill in 20 is missing
    assert not any(v.any() for v in completer.unknown(Records.flat(cut)).values())


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


CONDITIONS = {
    "flat": ["plan=plus", "months=12..24", "bill=20..30", "plan=basic|max", "months=12"],
    "events": ["region=north", "what=call", "seconds=60..240", "hour=18..20", "weekday=sat|sun"],
}


def held(case: Learned, drawn: Records, clause: Clause) -> NDArray[np.bool_]:
    """Whether each drawn row holds a clause, worked out from its values alone."""
    if clause.field in ("hour", "weekday"):
        times = np.asarray(drawn.columns[case.schema.time])
        hours = times.astype("datetime64[h]").astype(np.int64)
        if clause.field == "hour":
            return (hours % 24 >= clause.low) & (hours % 24 <= clause.high)
        return np.isin(np.array(WEEKDAYS)[(hours // 24 + 3) % 7], clause.labels)
    values = drawn.columns[clause.field]
    if isinstance(values, Coded):
        return np.isin(values.texts().astype(str), clause.labels)
    return (np.asarray(values) >= clause.low) & (np.asarray(values) <= clause.high)


@pytest.mark.parametrize("place", range(5))
def test_every_drawn_row_holds_the_condition_or_the_generator_says_why_not(
    case: Learned, place: int
) -> None:
    text = CONDITIONS[case.schema.shape][place]
    clause = Condition.parse([text], case.schema).clauses[0]
    why = case.kind.objection(case.schema, clause)
    if why:
        assert len(why) > 20, "an objection is a sentence"
        return
    asked = min(300, case.model.block_size)
    drawn = case.model.conditioned(Condition((clause,))).sample(0, asked, 1)
    assert drawn.rows > 30
    assert held(case, drawn, clause).all()


def test_conditioned_rows_are_drawn_again_and_do_not_depend_on_how_many_are_asked_for(
    case: Learned,
) -> None:
    condition = Condition.parse(CONDITIONS[case.schema.shape][:1], case.schema)
    first, again = case.model.conditioned(condition), case.model.conditioned(condition)
    assert first.block_size == case.model.block_size
    whole = first.sample(1, first.block_size, 3)
    same(again.sample(1, 25, 3), whole.take(np.arange(25)))


def test_a_condition_of_two_columns_holds_in_both(case: Learned) -> None:
    texts = {"flat": ["plan=plus", "bill=20..40"], "events": ["region=south", "what=text"]}
    condition = Condition.parse(texts[case.schema.shape], case.schema)
    if any(case.kind.objection(case.schema, c) for c in condition.clauses):
        pytest.skip("the generator objects to one of them")
    drawn = case.model.conditioned(condition).sample(0, 100, 1)
    for clause in condition.clauses:
        assert held(case, drawn, clause).all()


def test_a_label_that_nobody_holds_is_refused(case: Learned) -> None:
    texts = {"flat": "plan=none", "events": "region=east"}
    condition = Condition.parse([texts[case.schema.shape]], case.schema)
    if case.kind.objection(case.schema, condition.clauses[0]):
        pytest.skip("the generator objects to it before")
    with pytest.raises(ImpossibleConditionError):
        case.model.conditioned(condition)
