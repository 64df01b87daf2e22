"""Claims about what is set after the training of the event network."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_clock import CUT_S, Clock
from synth_spark.generators._events_net import EventsModel, _stop_drift
from tests.unit.generators.test_events_net import model

__all__ = ["model"]


def test_numbers_that_drifted_come_as_often_as_in_the_records(model: EventsModel) -> None:
    """The network's bias is off by a factor of four for one token: it is brought back."""
    name, shares = "num_out.0.bias", np.asarray(model.base.coder.nums[0].codec.shares)
    before, token = dict(model.weights), int(np.argsort(shares)[-2])
    off = model.weights[name].copy()
    off[token] += np.log(4)
    model.weights, model._walker = {**before, name: off}, None
    drawn = model.base.histories.draw(900, 5, 0)

    def share() -> float:
        return float((model.events(drawn, 5, 0)[3][:, 0] == token).mean())

    wrong = share()
    for _ in range(4):
        _stop_drift(model, model.events(drawn, 5, 0)[3])
    right = share()
    model.weights, model._walker = before, None
    assert abs(wrong / shares[token] - 1) > 0.5
    assert abs(right / shares[token] - 1) < 0.15


def test_gaps_of_a_regular_clock_are_drawn_as_they_are() -> None:
    rng = np.random.default_rng(1)
    settings = {"horizon_days": 7, "tick_s": 1.0}
    clock = np.where(rng.random(4_000) < 0.9, 1_800.0, rng.integers(1, 90_000, 4_000))
    assert Clock.learn(clock, cut_s=1_800.0, **settings).cut_s == CUT_S
    scattered = rng.integers(1, 90_000, 4_000).astype(float)
    assert Clock.learn(scattered, cut_s=1_800.0, **settings).cut_s == 1_800.0


def test_the_network_draws_pauses_from_half_an_hour_on_by_the_clock(model: EventsModel) -> None:
    assert model.base.coder.clock.cut_s == 1_800.0
