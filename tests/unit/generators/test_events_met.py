"""Labels that go together: a subject's own columns, and those with the labels of its events."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.generators._events_decode import Base, learn_base
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_met import Met, about_all, counts_of

CASES, EVENTS = 600, 6
DESKS, HEADS, PEOPLE, STEPS = 5, 20, 40, 18
SCHEMA = Schema(
    family="table",
    shape="events",
    key=Column(name="case", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time"),
        Column(name="desk", kind="category", per="subject"),
        Column(name="head", kind="category", per="subject"),
        Column(name="by", kind="category"),
        Column(name="step", kind="category"),
    ),
)


def coded(codes: np.ndarray, prefix: str) -> Coded:
    size = int(codes.max()) + 1
    return Coded(codes.astype(np.int32), tuple(f"{prefix}{k:02d}" for k in range(size)))


@lru_cache
def cases() -> Records:
    """Cases of a desk, with one of its four heads, done by one or two of its eight people.

    Half the people of a desk are there in the first half of the year only, the others after it.
    Each case goes through six of the 18 steps.
    """
    rng = np.random.default_rng(3)
    desk = rng.integers(0, DESKS, CASES)
    head = desk * 4 + rng.integers(0, 4, CASES)
    start = rng.integers(0, 330, CASES)
    shift = (start >= 165).astype(np.int64)
    people = desk[:, None] * 8 + shift[:, None] * 4 + rng.integers(0, 4, (CASES, 2))
    by = people[np.arange(CASES)[:, None], rng.integers(0, 2, (CASES, EVENTS))]
    step = np.array([rng.permutation(STEPS)[:EVENTS] for _ in range(CASES)])
    seconds = np.sort(rng.integers(0, 86_400, (CASES, EVENTS)), axis=1)
    at = start[:, None].astype("timedelta64[D]") + seconds.astype("timedelta64[s]")
    return Records(
        {
            "at": (np.datetime64("2025-01-01", "us") + at).ravel(),
            "desk": coded(np.repeat(desk, EVENTS), "d"),
            "head": coded(np.repeat(head, EVENTS), "h"),
            "by": coded(by.ravel(), "p"),
            "step": coded(step.ravel(), "s"),
        },
        np.arange(CASES + 1, dtype=np.int64) * EVENTS,
    )


def learned(leaf: int) -> Base:
    story = learn_base(SCHEMA, min_subjects=5, bins=8, leaf=leaf, trees=6, seed=0)
    return learn(story, Local(cases()))[0]


@pytest.fixture(scope="module")
def base() -> Base:
    return learned(leaf=20)


def test_a_category_of_which_each_subject_has_few_is_ranked_and_one_of_many_is_not(
    base: Base,
) -> None:
    assert {c.name: c.how for c in base.coder.cats} == {"by": "ranked", "step": "plain"}


def test_a_drawn_head_is_one_of_the_desk() -> None:
    """Out of leaves of 150 cases, where a desk has 120; .63 of the heads would be of another."""
    base = learned(leaf=150)
    subject = base.histories.draw(2_000, seed=1, block=0).subject
    desk, head = (
        [int(str(t)[1:]) for t in c.codec.decode(subject[:, j], np.zeros(2_000)).texts()]
        for j, c in enumerate(base.coder.subject)
    )  # fmt: skip
    assert (np.array(head) // 4 == np.array(desk)).all()


def test_people_are_of_the_desk_and_there_on_the_day(base: Base) -> None:
    identity = base.identities[[c.name for c in base.coder.cats].index("by")]
    assert isinstance(identity, Identity)
    kinds = {f.kind for f in identity.evidence.features}
    assert kinds >= {"own", "day"}
    names = ([f"d{d:02d}" for d in range(DESKS)], [f"h{4 * d:02d}" for d in range(DESKS)])
    own = zip(base.coder.subject, names, strict=True)
    desks = np.column_stack([c.codec.encode(Coded.of(n)) for c, n in own])
    nats = identity.evidence.of_subjects(desks, len(identity.first))
    labels = base.coder.cats[0].codec.labels
    of_desk = np.array([int(label[1:]) // 8 for label in labels])
    for d in range(DESKS):
        theirs = nats[d, : len(labels)][of_desk == d]
        assert theirs.min() > nats[d, : len(labels)][of_desk != d].max() + 15


def test_pairs_are_held_to_only_where_few_subjects_have_one_of_their_own() -> None:
    rng = np.random.default_rng(0)
    few = np.column_stack([rng.integers(0, 4, 500), rng.integers(0, 4, 500)]).astype(float)
    many = np.column_stack([rng.integers(0, 60, 500), rng.integers(0, 60, 500)]).astype(float)
    few[few[:, 0] == 3, 1] = 0.0
    assert set(Met.learn(few, [0, 1]).tables) == {(0, 1)}
    assert not Met.learn(many, [0, 1]).tables  # seven in ten subjects have a pair of their own
    assert not about_all(counts_of(*many.T.astype(np.int64)))


def test_what_is_held_to_outlives_the_wire() -> None:
    x = np.array([[0.0, 0], [0, 0], [1, 1], [1, 1]])
    again = Met.from_state(loads(dumps(Met.learn(x, [0, 1]).state())))
    drawn = np.array([0.0, 1, 1])
    assert again.broken(1, np.array([[0.0], [0], [1]]), drawn).tolist() == [False, True, False]
