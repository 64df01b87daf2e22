"""Claims about what is set after the training of the event network."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_calibrated import _astray, _drift, _late
from synth_spark.generators._events_clock import CUT_S, Clock
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._events_plan import token_shares
from tests.unit.generators.test_events_net import model

__all__ = ["model"]


def test_numbers_that_drifted_come_as_often_as_in_the_records(model: EventsModel) -> None:
    """The network's bias is off by a factor of six for one token: it is brought back."""
    name, shares = "num_out.0.bias", np.asarray(model.base.coder.nums[0].codec.shares)
    before, token = dict(model.weights), int(np.argsort(shares)[-2])
    off = model.weights[name].copy()
    off[token] += np.log(6)
    model.weights, model._walker = {**before, name: off}, None
    drawn, other = (model.base.histories.draw(900, seed, 0) for seed in (5, 6))
    far, wrong = [], 0.0
    for turn in range(5):
        lengths, _, _, numbers = model.events(drawn, 5, 0)
        wrong = wrong or float((numbers[:, 0] == token).mean())
        found, weights = _drift(model, numbers, np.repeat(drawn.owner, lengths))
        far.append(found)
        if turn < 4:
            model.weights, model._walker = weights, None
    right = float((model.events(other, 6, 0)[3][:, 0] == token).mean())  # of other subjects
    model.weights, model._walker = before, None
    assert wrong / shares[token] > 1.5
    assert abs(right / shares[token] - 1) < 0.25
    assert far[-1] < far[0] / 3


def test_numbers_of_few_subjects_that_each_keep_to_their_own_are_left_alone(
    model: EventsModel,
) -> None:
    """Forty subjects of 2,000 events, 92 % at the subject's own token: shares are off by chance."""
    rng = np.random.default_rng(3)
    shares = np.asarray(model.base.coder.nums[0].codec.shares)
    own = rng.choice(len(shares), 40, p=shares)
    owner = np.repeat(np.arange(40), 2_000)
    tokens = rng.choice(len(shares), len(owner), p=shares)
    tokens = np.where(rng.random(len(owner)) < 0.92, own[owner], tokens)
    off = np.abs(np.bincount(tokens, minlength=len(shares)) / len(owner) - shares).sum() / 2
    far, _ = _drift(model, tokens[:, None].astype(np.int32), owner)
    assert off > 0.1
    # Two standard errors are passed by 1 token in 20, and more where so few subjects hold one.
    assert far < off / 8


def test_gaps_of_a_regular_clock_are_drawn_as_they_are() -> None:
    rng = np.random.default_rng(1)
    settings = {"horizon_days": 7, "tick_s": 1.0}
    clock = np.where(rng.random(4_000) < 0.9, 1_800.0, rng.integers(1, 90_000, 4_000))
    assert Clock.learn(clock, cut_s=1_800.0, **settings).cut_s == CUT_S
    scattered = rng.integers(1, 90_000, 4_000).astype(float)
    assert Clock.learn(scattered, cut_s=1_800.0, **settings).cut_s == 1_800.0
    lost = 900.0 * rng.geometric(0.65, 4_000) + rng.integers(-240, 240, 4_000)  # pings, not exact
    assert Clock.learn(lost, cut_s=1_800.0, **settings).cut_s == CUT_S
    people = np.exp(rng.normal(7, 1.5, 4_000))
    assert Clock.learn(people, cut_s=1_800.0, **settings).cut_s == 1_800.0
    coarse = np.round(people / 300) * 300  # peaks by itself
    assert Clock.learn(coarse, horizon_days=7, tick_s=300.0, cut_s=1_800.0).cut_s == 1_800.0


def test_the_network_draws_pauses_from_half_an_hour_on_by_the_clock(model: EventsModel) -> None:
    assert model.base.coder.clock.cut_s == 1_800.0


def test_values_that_come_too_often_are_brought_back_to_their_drawn_shares(
    model: EventsModel,
) -> None:
    """The network's bias is off by a factor of three for the main category's second value."""
    contexts, attributes = model.seen.contexts, model.base.histories.attributes
    width = int(contexts.widths[0])
    before, name = dict(model.weights), "cat_out.0.bias"
    drawn, other = (model.base.histories.draw(900, seed, 0) for seed in (5, 6))
    share = token_shares(attributes, contexts, drawn.table)[:, :width].mean(axis=0)
    token = int(np.argsort(share)[-2])
    off = model.weights[name].copy()
    off[token] += np.log(3)
    model.weights, model._walker = {**before, name: off}, None

    def over(of: Drawn, seed: int) -> tuple[float, float, dict[str, np.ndarray]]:
        """Events of the token above what was drawn, as a share of that."""
        lengths, _, cats, _ = model.events(of, seed, 0)
        shares = token_shares(attributes, contexts, of.table)
        want = float(shares[:, token] @ lengths)
        far, weights = _astray(model, model.weights, shares, of.owner, lengths, cats)
        return float((cats[:, 0] == token).sum() / want - 1), far, weights

    first, far, weights = over(drawn, 5)
    for _ in range(8):
        model.weights, model._walker = weights, None
        _, last, weights = over(drawn, 5)
    fresh = over(other, 6)[0]  # of other subjects
    model.weights, model._walker = before, None
    assert first > 0.1
    assert abs(fresh) < 0.6 * first
    assert last < 0.6 * far


def test_hours_that_events_left_for_others_have_their_part_again(model: EventsModel) -> None:
    """The network's bias is off by a factor of three for the busiest hour."""
    name, real = "hour_out.bias", np.asarray(model.base.facts["hours"])
    before, busiest = dict(model.weights), int(np.argmax(real))
    off = model.weights[name].copy()
    off[busiest] -= np.log(3)
    model.weights, model._walker = {**before, name: off}, None
    drawn, other = (model.base.histories.draw(900, seed, 0) for seed in (5, 6))

    def missing(of: Drawn, seed: int) -> tuple[float, dict[str, np.ndarray]]:
        """Part of the events that the hour lacks."""
        t = model.events(of, seed, 0)[1]
        lacks = real[busiest] - (t % 86_400 // 3_600 == busiest).mean()
        return float(lacks), _late(model, model.weights, t)[1]

    first, weights = missing(drawn, 5)
    last = first
    for _ in range(4):
        model.weights, model._walker = weights, None
        last, weights = missing(drawn, 5)
    fresh, _ = missing(other, 6)  # of other subjects
    model.weights, model._walker = before, None
    assert abs(real.sum() - 1) < 1e-3
    assert first > 0.2 * real[busiest]
    assert abs(last) < first / 2
    assert abs(fresh) < 0.7 * first  # of whom so few are .01 off by chance
