"""Claims about ids within a subject: how events are coded, drawn and given fresh ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from synth_spark.columns.survey import Survey, survey_state
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.generators._events_choice import learn_coder
from synth_spark.generators._events_coder import Coder
from synth_spark.generators._events_runs import (
    GONE,
    NEW,
    SAME,
    Habit,
    Runs,
    numbered,
    run_tokens,
)
from synth_spark.generators.autoregressive import GENERATOR as NETWORK
from synth_spark.generators.independent import GENERATOR as INDEPENDENT
from synth_spark.generators.independent import IndependentParams
from synth_spark.generators.markov import GENERATOR as MARKOV
from synth_spark.generators.markov import MarkovModel, MarkovParams
from tests.unit.generators.events_world import SCHEMA, phones

DAY_S = 86_400
VISITS = Schema(
    family="events",
    shape="events",
    key=Column(name="who", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="session", kind="identifier"),
        Column(name="sim", kind="identifier"),
        Column(name="row", kind="identifier"),
        Column(name="badge", kind="identifier", per="subject"),
        Column(name="what", kind="category"),
    ),
)


def visits(subjects: int = 90, days: int = 12, a_day: int = 1, missing: float = 0.0) -> Records:
    """Sessions of two to ten events a minute apart, hours between them; two SIMs in turn.

    One event in twenty (of `missing`) has no session, one subject in three no badge.
    """
    rng = np.random.default_rng(4)
    parts = []
    for who in range(subjects):
        chosen = rng.permutation(days * a_day)[: 2 + rng.integers(days * a_day // 2)]
        for k, at in enumerate(np.sort(chosen).tolist()):
            begin = at * DAY_S // a_day + int(rng.integers(8, 12)) * 3_600 // a_day
            events = int(rng.integers(2, 11))
            parts += [(who, begin + 60 * i + int(rng.integers(50)), k, i) for i in range(events)]
    owner, t, session, place = np.array(parts).T
    gone = rng.random(len(t)) < missing
    labels = [
        None if g else f"s{o}-{k}" for g, o, k in zip(gone, owner.tolist(), session, strict=True)
    ]
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype("timedelta64[s]"),
        "session": Coded.of(labels),
        "sim": Coded.of([f"sim{o}-{p % 2}" for o, p in zip(owner.tolist(), t, strict=True)]),
        "row": Coded.of([f"r{i}" for i in range(len(t))]),
        "badge": Coded.of([f"b{o}" if o % 3 else None for o in owner.tolist()]),
        "what": Coded(np.minimum(place, 2).astype(np.int32), ("open", "read", "more")),
    }
    return Records(columns, np.searchsorted(owner, np.arange(subjects + 1)).astype(np.int64))


def learned(records: Records) -> Coder:
    survey = Survey.of(survey_state(VISITS, records), VISITS)
    return learn_coder(VISITS, survey, records, min_subjects=1, bins=8)


def runs_of(ids: Coded, owners: NDArray[np.int64]) -> tuple[int, int]:
    """(runs, different ids) of the rows that have one, counted row by row."""
    runs, seen, last = 0, set(), None
    for text, owner in zip(ids.texts().tolist(), owners.tolist(), strict=True):
        if text is None:
            continue
        runs += (owner, text) != last
        last = (owner, text)
        seen.add(last)
    return runs, len(seen)


def test_an_event_is_new_or_the_same_as_the_last_with_an_id() -> None:
    codes = np.array([4, 4, -1, 4, 2, -1, 2, 2, -1, 7])
    owners = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    wanted = [NEW, SAME, GONE, SAME, NEW, GONE, SAME, NEW, GONE, NEW]
    assert run_tokens(codes, owners).tolist() == wanted


def test_a_habit_tells_runs_from_values_that_come_back() -> None:
    owners = np.zeros(6, np.int64)
    assert Habit.of(np.array([3, 3, 5, 5, 1, 1]), owners) == Habit(2.0, 1.0)
    assert Habit.of(np.array([3, 5, 3, 5, 1, 1]), owners) == Habit(2.0, 1 / 3)
    assert Habit.of(np.full(6, -1), owners) == Habit(0.0, 0.0)


def test_ids_are_coded_by_their_habit() -> None:
    coder = learned(visits())
    assert {c.name: (c.how, c.tokens) for c in coder.cats} == {
        "sim": ("ranked", 12),
        "what": ("plain", 3),
        "session": ("runs", 2),
    }
    assert [(c.name, c.how) for c in coder.subject] == [("badge", "own")]
    assert coder.cats[-1].name == "session"  # whether a run ends hangs on all the others


def test_missing_ids_have_a_token_of_their_own() -> None:
    coder = learned(visits(missing=0.05))
    assert (coder.cats[-1].tokens, coder.cats[-1].missing) == (3, GONE)


def test_runs_come_back_from_their_tokens() -> None:
    records = visits(missing=0.05)
    coder = learned(records)
    units = coder.units(records)
    number, gone = numbered(units.cats[:, -1], records.offsets)
    real = records.columns["session"]
    np.testing.assert_array_equal(gone, real.codes < 0)
    pairs = set(zip(records.owners[~gone], number[~gone], real.texts()[~gone], strict=True))
    assert len(pairs) == len({p[:2] for p in pairs}) == len({p[2] for p in pairs})


def test_a_run_may_go_over_the_edge_of_an_episode() -> None:
    subjects, events = 4, 15_000
    offsets = np.arange(subjects + 1) * events
    at = np.datetime64("2024-03-04", "us") + np.tile(np.arange(events) * 60, subjects).astype(
        "timedelta64[s]"
    )
    trips = np.repeat(np.arange(subjects), events) * 60 + np.tile(
        np.arange(events) // 250, subjects
    )
    columns = {
        "at": at,
        "session": Coded(trips.astype(np.int32), tuple(f"{t:03d}" for t in range(240))),
    }
    schema = replace(VISITS, columns=VISITS.columns[:2])
    records = Records(columns, offsets)
    survey = Survey.of(survey_state(schema, records), schema)
    coder = learn_coder(schema, survey, records, min_subjects=1, bins=8)
    units = coder.units(records)
    assert coder.episodes
    assert (units.cats[:, 0] == NEW).sum() == len(set(trips.tolist()))
    first = units.cats[units.offsets[:-1], 0].reshape(subjects, 11)
    assert first.tolist() == [[NEW] + [SAME] * 10] * subjects  # 1,440 minutes: within a trip


def test_a_subjects_first_event_with_an_id_is_a_new_run_whatever_was_drawn() -> None:
    tokens = np.array([SAME, SAME, NEW, GONE, SAME, SAME, NEW], np.int32)
    number, gone = numbered(tokens, np.array([0, 3, 3, 7]))
    assert number[~gone].tolist() == [0, 0, 1, 0, 0, 1]
    assert gone.tolist() == [False, False, False, True, False, False, False]


def test_between_units_a_run_ends_as_often_as_real_ones_after_such_a_gap() -> None:
    class Days:  # two events a day, five minutes or a night before the next day's first
        owner, lengths = np.repeat(np.arange(300), 10), np.full(3_000, 2)
        anchor = np.tile(np.arange(10), 300)
        near = np.random.default_rng(2).random(3_000) < 0.5
        t = np.column_stack([np.full(3_000, 60.0), np.where(near, 86_160.0, 50_000.0)]).ravel()

    tokens = np.zeros(6_000, np.int32)
    tokens[2::2] = ~Days.near[:-1]
    runs = Runs.learn(tokens, Days)
    stamps_s = np.repeat(Days.anchor, 2) * 86_400.0 + Days.t
    rng = np.random.default_rng(1)
    drawn = runs.settled(np.zeros(6_000, np.int32), Days.owner, Days.lengths, stamps_s, rng)
    later = np.arange(6_000) % 20 != 0
    inner = later & (np.arange(6_000) % 2 == 0)
    assert (drawn[inner] == tokens[inner]).mean() > 0.99
    assert not drawn[1::2].any()


@pytest.fixture(scope="module")
def model() -> MarkovModel:
    params = MarkovParams(min_subjects=1, leaf=15, trees=5)
    return learn(MARKOV.learn(VISITS, params, 1), Local(visits(missing=0.05), parts=2))


def held_by_one(ids: Coded, owners: NDArray[np.int64]) -> bool:
    pairs = np.unique(np.column_stack([owners, ids.codes])[ids.codes >= 0], axis=0)
    return len(np.unique(pairs[:, 1])) == len(pairs)


def test_markov_draws_one_id_a_run_and_never_shares_it(model: MarkovModel) -> None:
    real, twin = visits(missing=0.05), model.sample(0, 500, 1)
    ids, owners = twin.columns["session"], twin.owners
    runs, different = runs_of(ids, owners)
    assert runs == different
    assert held_by_one(ids, owners)
    assert held_by_one(twin.columns["sim"], owners)
    assert 0.02 < (ids.codes < 0).mean() < 0.08
    assert runs / 500 == pytest.approx(runs_of(real.columns["session"], real.owners)[0] / 90, 0.2)


def test_markov_begins_a_run_where_the_gap_is_long(model: MarkovModel) -> None:
    twin = model.sample(0, 500, 1)
    codes = twin.columns["session"].codes
    gaps_s = np.diff(twin.columns["at"].astype("datetime64[s]").astype(np.int64))
    both = (codes[1:] >= 0) & (codes[:-1] >= 0) & (np.diff(twin.owners) == 0)
    new, long = np.diff(codes)[both] != 0, gaps_s[both] > 1_800
    assert (new == long).mean() > 0.98


def test_a_subjects_own_id_is_one_or_missing_in_all_its_rows(model: MarkovModel) -> None:
    twin = model.sample(0, 500, 1)
    badge = twin.columns["badge"]
    pairs = np.unique(np.column_stack([twin.owners, badge.codes]), axis=0)
    assert len(pairs) == 500
    assert len(np.unique(badge.codes[badge.codes >= 0])) == (pairs[:, 1] >= 0).sum()
    assert (pairs[:, 1] < 0).mean() == pytest.approx(1 / 3, abs=0.1)


def test_blocks_do_not_share_labels(model: MarkovModel) -> None:
    a, b = (set(model.sample(k, 50, 1).columns["session"].labels) for k in (0, 1))
    assert not a & b


def test_a_model_with_runs_travels_as_a_state(model: MarkovModel) -> None:
    again = MarkovModel.from_state(loads(dumps(model.state())))
    left, right = (m.sample(0, 50, 3).columns["session"] for m in (model, again))
    np.testing.assert_array_equal(left.texts(), right.texts())


def test_the_network_draws_one_id_a_run() -> None:
    training = pytest.importorskip("synth_spark.training.loop")
    params = NETWORK.Params(min_subjects=1, leaf=15, trees=4, max_epochs=4, width=32, head=16)
    local = Local(visits(missing=0.05), train=training.train_local)
    twin = learn(NETWORK.learn(VISITS, params, 1), local).sample(0, 200, 1)
    ids = twin.columns["session"]
    runs, different = runs_of(ids, twin.owners)
    assert runs == different > 200
    assert held_by_one(ids, twin.owners)


def test_independent_leaves_ids_to_the_rows() -> None:
    model = learn(INDEPENDENT.learn(VISITS, IndependentParams(min_subjects=1), 1), Local(visits()))
    assert sorted(model.sample(0, 20, 1).columns) == ["at", "what"]


def test_tables_without_such_ids_are_coded_as_before() -> None:
    records = phones()
    survey = Survey.of(survey_state(SCHEMA, records), SCHEMA)
    coder = learn_coder(SCHEMA, survey, records, min_subjects=1, bins=8)
    assert {c.how for c in coder.cats} == {"ranked", "plain"}


def test_records_of_nothing_but_runs_are_walked_within_their_tables() -> None:
    """The walk looks values up in tables of as many rows. Runs a row: within a third of .17."""
    schema = replace(VISITS, columns=VISITS.columns[:2])
    records = visits()
    some = Records({c.name: records.columns[c.name] for c in schema.columns}, records.offsets)
    model = learn(MARKOV.learn(schema, MarkovParams(min_subjects=1), 1), Local(some, parts=2))
    steps, values = model.steps, int(model.contexts.widths[0])
    assert values > 1
    assert steps.first.shape == (values + 1, values)
    assert len(steps.state_of) == len(steps.final) == values
    drawn = model.sample(0, 90, 1)
    real, made = (runs_of(r.columns["session"], r.owners)[0] / r.rows for r in (some, drawn))
    assert made == pytest.approx(real, rel=1 / 3)
