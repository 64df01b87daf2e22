"""Wide categories: types of event follow each other, habits are left to the generator's ranks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synth_spark.columns._text_codes import code_columns, nats
from synth_spark.columns._texts import Texts, texts
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition, ImpossibleConditionError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator
from synth_spark.core.wire import dumps, loads

SUBJECTS, ROWS, TYPES = 80, 30, 40
SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="node", kind="identifier", per="subject"),
    time="at",
    columns=(
        Column(name="vendor", kind="category", per="subject"),
        Column(name="at", kind="time"),
        Column(name="alarm", kind="category"),
    ),
)


def records(kind: str, seed: int = 1) -> Records:
    """Alarms of nodes: "types" count up from a random one in the vendor's half; "habits" are the
    node's own four."""
    rng = generator(seed, "test.codes")
    vendor = np.arange(SUBJECTS) % 2
    if kind == "types":
        step = rng.integers(0, TYPES, (SUBJECTS, 1)) + np.arange(ROWS)
        alarm = step % TYPES + TYPES * vendor[:, None]
    else:
        own = rng.integers(0, 2 * TYPES, (SUBJECTS, 4))
        alarm = np.take_along_axis(own, rng.integers(0, 4, (SUBJECTS, ROWS)), axis=1)
    at = np.datetime64("2024-05-01", "us") + np.arange(SUBJECTS * ROWS) * np.timedelta64(1, "s")
    labels = tuple(f"A{i:02d}" for i in range(2 * TYPES))
    return Records(
        {
            "vendor": Coded(np.repeat(vendor, ROWS).astype(np.int32), ("v0", "v1")),
            "at": at.astype("datetime64[us]"),
            "alarm": Coded(alarm.reshape(-1).astype(np.int32), labels),
        },
        np.arange(0, SUBJECTS * ROWS + 1, ROWS, dtype=np.int64),
    )


REAL = records("types")
FOUND: Texts = learn(texts(SCHEMA, min_subjects=2, relates=True), Local(REAL))


def drawn(found: Texts) -> list[str]:
    rest = Records({n: REAL.columns[n] for n in ("vendor", "at")}, REAL.offsets)
    values = found.complete(rest, SCHEMA, 1, 0).columns["alarm"]
    assert isinstance(values, Coded)
    return [str(v) for v in values.texts()]


def test_the_records_decide_between_types_and_habits() -> None:
    assert code_columns(SCHEMA, REAL, 2) == ["alarm"]
    assert code_columns(SCHEMA, records("habits"), 2) == []


def test_what_follows_for_sure_leaves_few_nats_to_identity() -> None:
    values = REAL.columns["alarm"]
    assert isinstance(values, Coded)
    habit, identity = nats(SCHEMA, REAL, values, 2)
    assert habit > 3.0  # no alarm comes twice in a node: near log(80) = 4.4
    assert identity < 1.0


def test_a_category_of_few_labels_is_left_to_the_generator() -> None:
    values = REAL.columns["alarm"]
    assert isinstance(values, Coded)
    few = Coded(values.codes % 20, values.labels)
    assert code_columns(SCHEMA, Records({**REAL.columns, "alarm": few}, REAL.offsets), 2) == []


def test_types_follow_each_other_in_their_group_only() -> None:
    made = [int(v[1:]) for v in drawn(FOUND)]
    assert FOUND.made == ("alarm",)
    for s in range(SUBJECTS):
        own = made[ROWS * s : ROWS * s + ROWS]
        assert {v // TYPES for v in own} == {s % 2}
    steps = [(b - a) % TYPES == 1 for a, b in itertools.pairwise(made)]
    # between nodes a step is chance: 79 of 2,399 pairs; backoff breaks a few more
    assert np.mean(steps) > 0.85


def test_types_survive_the_wire_and_meet_conditions() -> None:
    back = Texts.from_state(loads(dumps(FOUND.state())))
    assert drawn(back) == drawn(FOUND)
    found, rest = back.conditioned(Condition.parse(["alarm=A03|A04"], SCHEMA))
    assert rest.text() == "vendor=v0"
    only = Records(
        {"vendor": Coded(np.zeros(20, np.int32), ("v0", "v1"))}, np.array([0, 20], np.int64)
    )
    made = found.complete(only, SCHEMA, 1, 0).columns["alarm"]
    assert isinstance(made, Coded)
    assert set(made.texts()) <= {"A03", "A04"}
    with pytest.raises(ImpossibleConditionError):
        back.conditioned(Condition.parse(["alarm=A03", "vendor=v1"], SCHEMA))


def test_a_generator_that_relates_nothing_keeps_the_column() -> None:
    alone: Texts = learn(texts(SCHEMA, min_subjects=2, relates=False), Local(REAL))
    assert alone.made == ()
