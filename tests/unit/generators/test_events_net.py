"""Claims about the running statistics and the event network."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.local import Local
from synth_spark.core.ports import Train, learn
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators._events_draws import softmax_pick
from synth_spark.generators._events_net import EventsModel, EventsParams, learn_events
from tests.unit.generators.events_world import SCHEMA, phones

RECORDS = phones(60, 8)
LAYOUT = stats.Layout(np.array([3, 2]), np.array([4]), np.array([3]), 7 * 86_400.0, 7_200.0, 50)


@pytest.fixture(scope="module")
def model() -> EventsModel:
    training = pytest.importorskip("synth_spark.training.loop")
    params = EventsParams(min_subjects=1, leaf=15, trees=4, max_epochs=2, width=32, head=16)
    asked: list[Train] = []

    def train(request: Train, records: object) -> object:
        asked.append(request)
        return training.train_local(request, records)

    return learn(learn_events(SCHEMA, params, 1), Local(RECORDS, train=train))


def test_walking_real_events_gives_the_features_that_sampling_sees() -> None:
    rng = np.random.default_rng(0)
    rows = 9
    t = np.sort(rng.random(rows)) * 3 * 86_400
    cats, nums = (
        rng.integers(0, 2, (rows, 2)).astype(np.int32),
        rng.integers(0, 4, (rows, 1)).astype(np.int32),
    )
    end = np.zeros(rows, bool)
    end[[4, 8]] = True  # two units of four events
    share = np.full((rows, 3), 1 / 3, np.float32)
    x = np.empty((rows, LAYOUT.before), np.float32)
    z, q = (
        np.empty((rows, stats.AFTER), np.float32),
        np.zeros((rows, 3, LAYOUT.pointer), np.float32),
    )
    p, weekday, shown = LAYOUT.packed(), np.zeros(rows, np.int64), np.full(rows, 4.0)
    stats.unroll(end, weekday, shown, t, cats, nums, share, p, LAYOUT.state_size, x, z, q)
    s, one = np.empty(LAYOUT.state_size), np.empty(LAYOUT.before)
    stats.reset(s, p)
    for r in range(5, 8):  # the second unit starts afresh
        stats.before(s, p, 0, 4.0, one)
        np.testing.assert_allclose(one, x[r], atol=1e-6)
        stats.update(s, p, t[r], cats[r], nums[r])


def test_features_at_the_start_say_so_and_hold_no_past() -> None:
    s, x = np.empty(LAYOUT.state_size), np.empty(LAYOUT.before)
    stats.reset(s, LAYOUT.packed())
    stats.before(s, LAYOUT.packed(), 0, 10.0, x)
    assert x[7] == 1.0
    assert (x[stats.BEFORE :] == 0).sum() >= LAYOUT.before - stats.BEFORE - 1


def test_only_allowed_entries_are_picked_and_by_their_weight() -> None:
    logits = np.log(np.array([0.2, 0.5, 0.3]))
    allowed = np.array([True, False, True])
    picks = [softmax_pick(logits, allowed, u) for u in np.linspace(0, 0.9999, 1_000)]
    assert set(picks) == {0, 2}
    assert abs(picks.count(0) / 1_000 - 0.4) < 0.01
    assert softmax_pick(logits, np.zeros(3, bool), 0.5) == -1


def test_the_net_keeps_order_calendar_and_support(model: EventsModel) -> None:
    twin = model.sample(0, 400, 2)
    at = twin.columns["at"]
    assert (np.diff(at)[np.diff(twin.owners) == 0] >= np.timedelta64(0)).all()
    assert at.max() < np.datetime64("2024-03-11")
    call = twin.columns["kind"].texts() == "call"
    np.testing.assert_array_equal(np.isnan(twin.columns["seconds"]), ~call)
    assert twin.lengths.min() >= 1


def test_the_first_subjects_of_a_block_do_not_depend_on_how_many_are_asked_for(
    model: EventsModel,
) -> None:
    few, many = model.sample(1, 3, 2), model.sample(1, 30, 2).take(np.arange(3))
    np.testing.assert_array_equal(few.columns["at"], many.columns["at"])
    np.testing.assert_array_equal(few.columns["seconds"], many.columns["seconds"])


def test_lengths_follow_the_drawn_counts(model: EventsModel) -> None:
    twin = model.sample(0, 1_000, 5)
    assert abs(twin.lengths.mean() / RECORDS.lengths.mean() - 1) < 0.25  # two epochs only
