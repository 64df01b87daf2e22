"""A row a day: none twice, and a plan that is changed once stays changed."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._events_net import EventsModel, EventsParams, learn_events

PLANS = tuple("abcdef")
SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="account", kind="identifier"),
    time="day",
    columns=(
        Column(name="day", kind="time", source_type="date"),
        Column(name="plan", kind="category"),
    ),
)


def use(subjects: int = 200, days: int = 40) -> Records:
    """A row a day, but for days that are left out; a quarter change their plan once, some day."""
    rng = np.random.default_rng(5)
    parts, plans, lengths = [], [], []
    for s in range(subjects):
        there = np.flatnonzero(rng.random(days) < (1.0 if s % 2 else 0.9))
        own = rng.choice(6, 2, replace=False, p=(0.5, 0.3, 0.1, 0.05, 0.03, 0.02))
        turn = rng.integers(days // 5, days - days // 5) if s % 4 == 0 else days
        parts.append(there)
        plans.append(np.where(there < turn, own[0], own[1]))
        lengths.append(len(there))
    columns = {
        "day": np.datetime64("2026-03-02", "us") + np.concatenate(parts).astype("timedelta64[D]"),
        "plan": Coded(np.concatenate(plans).astype(np.int32), PLANS),
    }
    return Records(columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


@pytest.fixture(scope="module")
def twin() -> Records:
    training = pytest.importorskip("synth_spark.training.loop")
    params = EventsParams(max_epochs=6, width=32, head=16, batch_size=256)
    model: EventsModel = learn(
        learn_events(SCHEMA, params, 1),
        Local(use(), train=lambda request, records, seed: training.train_local(request, records)),
    )
    return EventsModel.from_state(model.state()).sample(0, 512, 3)


def runs(records: Records) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and runs of each subject, and the share of its main one."""
    coded = records.columns["plan"]
    assert isinstance(coded, Coded)
    each = [
        coded.codes[a:b] for a, b in zip(records.offsets[:-1], records.offsets[1:], strict=True)
    ]
    values = np.array([len(set(own.tolist())) for own in each])
    changes = np.array([1 + np.count_nonzero(np.diff(own)) for own in each])
    return values, changes, np.array([np.bincount(own).max() / len(own) for own in each])


def test_no_day_comes_twice(twin: Records) -> None:
    gap = np.diff(np.asarray(twin.columns["day"]).astype("datetime64[D]").astype(np.int64))
    assert gap[np.diff(twin.owners) == 0].min() >= 1


def test_each_plan_comes_in_one_run(twin: Records) -> None:
    values, changes, _ = runs(twin)
    assert (values == changes).mean() > 0.98
    assert (values > 1).mean() == pytest.approx(0.25, abs=0.08)


def test_a_plan_is_changed_at_any_time(twin: Records) -> None:
    """Of 50 and some 130 subjects: the deviation of a mean share is .02."""
    mains = []
    for records in (use(), twin):
        values, _, main = runs(records)
        mains.append(main[values == 2])
    real, made = mains
    assert made.mean() == pytest.approx(real.mean(), abs=0.07)
    assert (made > 0.9).mean() < 0.2
