"""Claims about ranks that are drawn: in their order, and never twice running where none is so."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._events_coder import RANKS, own_ranks
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._events_returns import never_twice
from synth_spark.generators._events_stick import Stick
from synth_spark.generators.autoregressive import GENERATOR, AutoregressiveParams
from synth_spark.training.loop import train_local

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="cell", kind="category"),
    ),
)
CELLS = 60


def stays(subjects: int = 150, seed: int = 5) -> Records:
    """Stays at three to six cells of one's own, the first most often, none twice running."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 16, subjects)
    cells, times = [], []
    for n in lengths:
        own = rng.choice(CELLS, rng.integers(3, 7), replace=False)
        now, way = -1, []
        for _ in range(n):
            weight = 1.0 / np.arange(1, len(own) + 1) * (np.arange(len(own)) != now)
            now = int(rng.choice(len(own), p=weight / weight.sum()))
            way.append(own[now])
        cells += way
        times.append(np.sort(rng.integers(0, 7 * 86_400, n)))
    at = np.datetime64("2024-03-04", "us") + np.concatenate(times).astype("timedelta64[s]")
    labels = tuple(f"cell{k:02d}" for k in range(CELLS))
    coded = Coded(np.array(cells, np.int32), labels)
    return Records({"at": at, "cell": coded}, np.concatenate([[0], np.cumsum(lengths)]))


@pytest.fixture(scope="module")
def model() -> EventsModel:
    params = AutoregressiveParams(min_subjects=1, max_epochs=3)
    story = GENERATOR.learn(SCHEMA, params, 1)
    found = learn(story, Local(stays(), parts=2, seed=1, train=train_local))
    return EventsModel.from_state(found.state())


def counts_of(model: EventsModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of 400 drawn units: the drawn counts of the ranks, those of the events, the events' ranks."""
    drawn = model.base.histories.draw(400, 1, 0)
    attributes = model.base.histories.attributes
    n = drawn.table[:, attributes.index("n")]
    slot = attributes.slots.of_token[0]
    plan = (attributes.shares(drawn.table, 0) * n[:, None])[:, slot]
    lengths, _, cats, _ = model.events(drawn, 1, 0)
    made = np.zeros((len(lengths), cats.max() + 1))
    np.add.at(made, (np.repeat(np.arange(len(lengths)), lengths), cats[:, 0]), 1)
    return plan, made, np.column_stack([np.repeat(np.arange(len(lengths)), lengths), cats[:, 0]])


def test_a_unit_is_drawn_with_no_more_events_of_a_rank_than_of_the_one_before(
    model: EventsModel,
) -> None:
    plan, _, _ = counts_of(model)
    assert (np.diff(np.rint(plan[:, :RANKS]), axis=1) <= 0).all()


def test_the_first_rank_is_the_most_visited_in_nearly_every_unit(model: EventsModel) -> None:
    """After three epochs the network itself knows little; the order does not hang on it."""
    _, made, _ = counts_of(model)
    assert (made[:, 0] == made.max(axis=1)).mean() > 0.85


def test_no_place_comes_twice_running_where_none_does(model: EventsModel) -> None:
    _, _, events = counts_of(model)
    assert not (np.diff(events, axis=0) == 0).all(axis=1).any()
    records = model.sample(0, 400, 1)
    same = np.diff(records.columns["cell"].codes) == 0
    # Two of a subject's ranks may get one label where it has no other.
    assert same[np.diff(records.owners) == 0].mean() < 0.02


def test_other_values_are_told_apart_by_their_rows() -> None:
    codes = np.tile(np.arange(14), 40)
    owners = np.zeros(len(codes), np.int64)
    assert never_twice(codes, own_ranks(codes, owners), owners)
    codes[200] = codes[201] = 13
    assert not never_twice(codes, own_ranks(codes, owners), owners)
    few = np.arange(14)
    assert not never_twice(few, own_ranks(few, owners[:14]), owners[:14])  # too few to tell


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_stick_of_ranks_leaves_for_those_behind_what_they_can_hold(share: float) -> None:
    """By all counts that there are: 12 events on 4 ranks of 5."""
    stick = Stick(1)
    stick.n = np.array([12.0])
    stick.begin(np.array([4.0]), 5, ranks=5)
    got = []
    for k in range(4):
        left = stick.left.copy()
        part = stick.take(np.array([share]), np.array([0.0]), last=k == 3, rank=True)
        got.append(float((part * left)[0]))
    got.append(float(stick.left[0]))
    assert sum(got) == 12
    assert sorted(got, reverse=True) == got
    assert sum(x > 0 for x in got) == 4
