"""Claims about the sequence GAN: its units, its critics' losses, its monitor, and its roll-back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import MARK
from synth_spark.core.local import Local
from synth_spark.core.ports import Schedule, Train, Trained, learn
from synth_spark.core.wire import dumps
from synth_spark.generators import _gan_monitor as monitor
from synth_spark.generators._events_net import EventsModel, EventsParams, learn_events
from synth_spark.generators._events_seen import SCALE, encode
from synth_spark.generators._gan_attributes import Judge, Refined
from synth_spark.generators._gan_rollout import FIXED, roll, shown_to_critic, walker_of
from synth_spark.generators._gan_settle import GanCollapsedError, collapses, settled
from synth_spark.generators._gan_train import Adversarial
from synth_spark.generators._gan_units import CANDIDATES, MOST, Ragged, encode_units
from synth_spark.generators.gan import GENERATOR, GanModel, GanParams, planned
from tests.unit.generators.events_world import SCHEMA, phones

torch = pytest.importorskip("torch")
training = pytest.importorskip("synth_spark.training.loop")
critics = pytest.importorskip("synth_spark.models.critic")
RECORDS = phones(60, 8)
SMALL = {"min_subjects": 1, "leaf": 15, "trees": 4, "max_epochs": 2, "width": 32, "head": 16}
PLAN = Schedule(batch_size=16, max_epochs=2, valid_share=0.2, score_first=True, worse=1.5)


@pytest.fixture(scope="module")
def model() -> EventsModel:
    engine = Local(RECORDS, train=training.train_local)
    return learn(learn_events(SCHEMA, EventsParams(**SMALL), 1), engine)


def adversary(model: EventsModel, rate: float = 0.2, schedule: Schedule = PLAN) -> Adversarial:
    return Adversarial(schedule, model.trainee, model.support, model.weights, rate, 1.0, 0)


def trained(model: EventsModel, trainee: Adversarial) -> Trained:
    def encode(records):
        return encode_units(model, 1.0, records)

    return training.train_local(Train(encode, trainee, "gan"), RECORDS, 1)


def batch(model: EventsModel, rows: int = 8) -> dict:
    events = encode_units(model, 1.0, RECORDS).events
    return {k: torch.from_numpy(np.ascontiguousarray(v[:rows])) for k, v in events.items()}


def ragged(model: EventsModel, codes: list[list[int]]) -> Ragged:
    """Units of hourly events whose categories all hold the codes given."""
    lengths = np.array([len(c) for c in codes])
    flat = np.concatenate(codes).astype(np.int32)
    n, c, m = len(codes), len(model.base.coder.cats), len(model.base.coder.nums)
    none = np.zeros(n)
    return Ragged(
        lengths, np.ones(n, bool), np.concatenate([np.arange(k) * 3_600.0 for k in lengths]),
        np.repeat(flat[:, None], c, 1), np.zeros((len(flat), m), np.int32),
        np.zeros(n, np.int64), np.full(n, 7 * 86_400.0), none, none, np.zeros((n, 0), np.int16),
        np.zeros((n, 0), np.float32), np.zeros((n, 0), np.uint8),
    )  # fmt: skip


# ---- units --------------------------------------------------------------------------------------


def test_units_and_back_give_the_rows_that_the_likelihood_was_trained_on(
    model: EventsModel,
) -> None:
    want = encode(model.base, model.seen, RECORDS).events
    units = Ragged.real(encode_units(model, 1.0, RECORDS).events)
    got = units.encoded(model.base.coder.clock).events
    for name in ("end", "t", "clock", "cats", "nums", "weekday", "room", "shares"):
        np.testing.assert_array_equal(got[name], want[name], name)


def test_both_phases_hold_back_the_same_subjects(model: EventsModel) -> None:
    from synth_spark.training.shards import split

    events = encode(model.base, model.seen, RECORDS, marked=True)
    units = encode_units(model, 1.0, RECORDS)
    for one, other in zip(split(events, 0.3, 5), split(units, 0.3, 5), strict=True):
        np.testing.assert_array_equal(one.context[MARK], other.context[MARK])
        assert 0 < one.subjects < 60
        want = np.add.reduceat(~one.events["end"][:, 0], one.offsets[:-1])
        np.testing.assert_array_equal(other.events["length"][:, 0], want)


def test_a_share_of_the_units_is_the_same_whatever_the_partitions(model: EventsModel) -> None:
    whole = encode_units(model, 0.5, RECORDS)
    assert 15 <= len(whole.events["n"]) <= 45  # of 60: outside by chance once in 10,000
    half = encode_units(model, 0.5, RECORDS.take(np.arange(30, 60)))
    kept = whole.take(np.arange(30, 60))
    np.testing.assert_array_equal(kept.events["told"], half.events["told"])
    np.testing.assert_array_equal(np.diff(kept.offsets), np.diff(half.offsets))


def test_a_unit_drawn_again_with_the_same_key_is_the_same_and_has_its_candidates_place(
    model: EventsModel,
) -> None:
    rows = {k: v.numpy() for k, v in batch(model, 20).items()}
    walker = walker_of(model.weights, model.seen, model.base.coder.clock, model.support)
    which = np.full(20, 2)
    one, two = (roll(walker, model.seen, rows, which, 7) for _ in range(2))
    other = roll(walker, model.seen, rows, which, 8)
    np.testing.assert_array_equal(one.t, two.t)
    assert len(one.t) != len(other.t) or (one.t != other.t).any()
    told = rows["told"].reshape(20, CANDIDATES + 1, -1)[:, 2]
    np.testing.assert_array_equal(one.told, (told / SCALE).astype(np.float32))
    assert one.lengths.max() <= MOST


def test_the_critic_is_shown_a_window_of_each_unit_with_its_gaps(model: EventsModel) -> None:
    units = ragged(model, [[0, 1, 0], [1]])
    shown = shown_to_critic(units, model.seen, np.zeros(2), 2)
    assert shown.shape[:2] == (2, 2)
    np.testing.assert_allclose(shown[0, :, 2], [0, 0.2 * np.log1p(3_600)], rtol=1e-6)
    np.testing.assert_array_equal(shown[0, :, FIXED : FIXED + 2], [[1, 0], [0, 1]])
    assert not shown[1, 1].any()
    late = shown_to_critic(units, model.seen, np.array([0.99, 0.99]), 2)
    np.testing.assert_array_equal(late[0, 0], shown[0, 1])


# ---- losses -------------------------------------------------------------------------------------


def test_one_backward_pass_gives_every_player_a_gradient_of_its_own(model: EventsModel) -> None:
    trainee = adversary(model)
    torch.manual_seed(0)
    module = trainee.build().train()
    loss = trainee.loss(module, batch(model))
    assert loss.shape == (8,)
    loss.sum().backward()
    for part in (module.away, module.critic, module.judge):
        assert any(float(p.grad.abs().sum()) > 0 for p in part.parameters())
    alone = replace(trainee, alone=5)
    module = alone.build().train()
    alone.loss(module, batch(model)).sum().backward()
    assert all(p.grad is None for p in module.away.parameters())


def test_a_draw_that_the_critic_likes_becomes_likelier(model: EventsModel) -> None:
    trainee = replace(adversary(model, rate=1.0), anchor=0.0)
    torch.manual_seed(3)
    module, rows = trainee.build().train(), batch(model, 12)
    real = Ragged.real({k: v.numpy() for k, v in rows.items()})
    weights = module.weights()
    drawn = trainee.drawn(module, rows, weights, 2)
    score = torch.zeros(2, 12)
    score[0] = 1.0  # the first draw of each unit is liked
    trainee._generator(module, real, drawn, weights, score).backward()

    @torch.no_grad()
    def gain() -> float:
        nats = trainee._nats(module.eval(), drawn, module.weights(), torch.device("cpu"))
        unit = torch.from_numpy(np.repeat(np.arange(24), drawn.lengths + 1))
        of_unit = torch.zeros(24).index_add(0, unit, nats)
        return float(of_unit[12:].sum() - of_unit[:12].sum())

    before = gain()
    with torch.no_grad():
        for weight in module.away.parameters():
            if weight.grad is not None:
                weight.sub_(0.01 * weight.grad)
    assert gain() > before


def packed(
    model: EventsModel, monkeypatch: pytest.MonkeyPatch, slope: float
) -> tuple[float, dict, list]:
    """The critic's loss and what it was of, by a critic that multiplies sums and a given slope."""
    trainee, looks, sides = adversary(model), [], []
    torch.manual_seed(3)
    module, rows = trainee.build().train(), batch(model, 6)
    real = Ragged.real({k: v.numpy() for k, v in rows.items()})
    drawn = trainee.drawn(module, rows, module.weights(), 2)

    def look(x, a):
        looks.append(x.sum((1, 2))[:, None] / 100)
        return looks[-1]

    def sloped(score, inputs):
        sides.append((score, inputs))
        return torch.full((len(score),), slope)

    module.critic.look = look
    module.critic.score = lambda *seen: torch.stack(seen).prod(0)[:, 0]
    monkeypatch.setattr(critics, "penalty", sloped)
    loss, score = trainee._critic(module, real, drawn, torch.device("cpu"))
    seen = {"real": looks[0][:, 0], "drawn": looks[1].view(2, 6), "score": score}
    return float(loss), seen, sides


def test_the_critic_scores_each_unit_packed_with_the_next_ones_of_its_kind(
    model: EventsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, seen, _ = packed(model, monkeypatch, 0.0)
    real, drawn = seen["real"], seen["drawn"]
    following = [1, 2, 3, 4, 5, 0]
    want = torch.stack([drawn[d] * drawn[:, following].mean(0) for d in (0, 1)])
    torch.testing.assert_close(seen["score"], want)
    pairs = real * real[following]
    by_hand = want.mean() - pairs.mean() + 1e-3 * pairs.square().mean()
    assert loss == pytest.approx(float(by_hand), rel=1e-5)


def test_a_pack_is_of_two_units_and_both_bear_on_its_score() -> None:
    torch.manual_seed(0)
    critic = critics.SequenceCritic(3, 2)
    one, two, other = (critic.look(torch.randn(4, 8, 3), torch.randn(4, 2)) for _ in range(3))
    assert not torch.allclose(critic.score(one, two), critic.score(one, other))
    with pytest.raises(RuntimeError):
        critic.score(one)


def test_the_critics_loss_holds_ten_times_the_penalty_between_real_and_drawn_packs(
    model: EventsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    without, _, _ = packed(model, monkeypatch, 0.0)
    loss, _, [(score, inputs)] = packed(model, monkeypatch, 7.0)
    assert loss - without == pytest.approx(70.0, abs=1e-2)
    assert len(score) == 3  # every other of the six, each with the next
    assert [len(x) for x in inputs] == [6, 6]
    assert all(x.requires_grad for x in inputs)


def test_the_penalty_is_the_squared_distance_of_a_packs_slope_from_one() -> None:
    x = torch.zeros(4, 2, requires_grad=True)  # packs of rows 0 and 2, 1 and 3
    a = torch.zeros(4, 1, requires_grad=True)
    score = torch.stack([3 * x[0, 0] + 4 * x[2, 1], 2 * x[1, 0] + x[3, 1] + 2 * a[3, 0]])
    found = critics.penalty(score, [x, a])
    assert found.tolist() == pytest.approx([16.0, 4.0])  # slopes 5 and 3


def test_the_attribute_critic_pays_for_its_slope_at_real_rows(model: EventsModel) -> None:
    class Steep(torch.nn.Module):
        def forward(self, told):
            return 3 * told[..., 0]

    trainee, rows = adversary(model), batch(model, 6)
    module = trainee.build()
    module.judge = Steep()
    told = rows["told"].float().view(6, CANDIDATES + 1, -1) / SCALE
    soft = torch.nn.functional.softplus
    plain = soft(-3 * told[:, 0, 0]).mean() + soft(3 * told[:, 1:, 0]).mean()
    loss = trainee._judge(module, rows).detach()
    assert float(loss) - float(plain) == pytest.approx(9.0, abs=1e-3)  # the slope 3, squared


# ---- the monitor --------------------------------------------------------------------------------


def test_units_stand_at_no_distance_from_themselves_and_far_from_one_repeated_label(
    model: EventsModel,
) -> None:
    rng = np.random.default_rng(1)
    clock = model.base.coder.clock
    real = ragged(model, [rng.integers(0, 2, 12).tolist() for _ in range(40)])
    stuck = ragged(model, [[1] * 12 for _ in range(40)])
    assert monitor.distance(real, real, clock)["overall"] == pytest.approx(0, abs=1e-3)
    parts = monitor.distance(real, stuck, clock)
    assert parts["labels"] == pytest.approx(0.75, abs=0.05)  # one pair in four is (1, 1)
    assert parts["variety"] > 0.03
    assert parts["overall"] > 0.15


def test_variety_counts_different_runs_of_four_round_by_round(model: EventsModel) -> None:
    units = ragged(model, [[0, 1, 0, 1, 0, 1], [0, 0, 0, 0]])
    assert monitor.variety(units) == pytest.approx(3 / 4)  # 0101 twice, 1010, 0000
    twice = ragged(model, [[0, 1, 0, 1, 0, 1], [0, 0, 0, 0]] * 2)
    assert monitor.variety(twice, 2) == pytest.approx(3 / 4)
    assert monitor.variety(twice) == pytest.approx(3 / 8)


def test_a_generator_made_to_collapse_is_stopped_and_rolled_back_and_the_card_says_so(
    model: EventsModel,
) -> None:
    # A step of 50 in every weight: nothing that was learned survives it.
    wild = adversary(model, rate=50.0, schedule=replace(PLAN, learning_rate=1.0, max_epochs=6))
    found = trained(model, wild)
    assert found.stopped == "worse"
    assert len(found.curve) < 7
    assert found.best_epoch == 0
    kept, judge, facts = settled(model, found, 50.0, RECORDS, 1)
    assert judge is None
    assert dumps(kept.state()) == dumps(model.state())
    assert facts["collapsed_in"]
    assert facts["distance_kept"] == facts["distance_pretrained"]
    assert facts["outcome"].startswith("stopped: the generator collapsed in epoch")
    assert "rolled back to the pretrained generator" in facts["outcome"]


def test_an_epoch_is_a_collapse_only_against_those_before_it() -> None:
    assert collapses({0: 0.10, 1: 0.06, 2: 0.07}) == []  # a large gain is no collapse of epoch 0
    assert collapses({0: 0.10, 1: 0.14, 2: 0.16}) == [2]  # .16 is more than 1.5 times .10


def test_a_pretrained_generator_that_repeats_one_event_is_refused(model: EventsModel) -> None:
    weights = {k: v.copy() for k, v in model.weights.items()}
    for j in range(len(model.base.coder.cats)):
        weights[f"cat_out.{j}.bias"][:] = 0
        weights[f"cat_out.{j}.bias"][0] = 1e3
    weights["point.weight"][:], weights["point.bias"][:] = 0, 0
    stuck = replace(model, weights=weights, _walker=None)
    found = Trained({}, (), 0, 0, "epochs")
    with pytest.raises(GanCollapsedError, match="SYN-750"):
        settled(stuck, found, 1.0, RECORDS, 1)


# ---- attributes ---------------------------------------------------------------------------------


def test_attributes_are_picked_by_the_critics_ratio_and_by_no_more_than_the_candidates(
    model: EventsModel,
) -> None:
    attributes = model.base.histories.attributes
    at = attributes.index("n")
    size = len(attributes.columns)
    weight = np.zeros((size, 1), np.float32)
    weight[at] = 1.0  # the critic finds many events real
    judge = Judge(np.arange(size), ((weight, np.zeros(1, np.float32)),))
    given = {f"own{j}": np.zeros(4_000) for j in range(len(model.base.coder.subject))}
    given["anchor"] = np.full(4_000, 19_786.0)
    u = np.random.default_rng(2).random((4_000, size, 4))
    plain = attributes.draw(given, u)[:, at]
    picked = Refined.around(attributes, judge).draw(given, u)[:, at]
    assert picked.mean() > plain.mean() + 0.5
    values, counts = np.unique(picked, return_counts=True)
    before = np.array([(plain == v).mean() for v in values])
    # Twice the standard error of a share of 1 % among 4,000, over all values.
    assert (counts / 4_000 <= CANDIDATES * before + 0.01).all()
    flat = Judge(np.arange(size), ((np.zeros((size, 1), np.float32), np.zeros(1, np.float32)),))
    even = Refined.around(attributes, flat).draw(given, u)[:, at]
    assert even.mean() == pytest.approx(plain.mean(), abs=4 * plain.std() / np.sqrt(4_000) * 1.5)


# ---- the story ----------------------------------------------------------------------------------


def test_the_card_tells_both_distances_and_the_model_is_the_one_that_is_nearer() -> None:
    engine = Local(RECORDS, train=training.train_local)
    params = GanParams(**SMALL, adversarial_epochs=2, alone=1)
    made = learn(GENERATOR.learn(SCHEMA, params, 1), engine)
    facts = made.about()["adversarial"]
    assert isinstance(made, GanModel)
    assert [k for k, _ in facts["distance"]] == [0, 1, 2]
    assert facts["distance_kept"] == min(v for _, v in facts["distance"])
    assert facts["distance_kept"] <= facts["distance_pretrained"]
    assert (made.judge is None) == (facts["best_epoch"] == 0)


def test_histories_of_many_weeks_are_learned_week_by_week() -> None:
    records = phones(20, 250, 60)
    params = GanParams(**{**SMALL, "max_epochs": 1}, adversarial_epochs=1, alone=1)
    engine = Local(records, train=training.train_local)
    made = learn(GENERATOR.learn(SCHEMA, params, 1), engine)
    assert made.base.facts["episodes"]
    twin = made.sample(0, 20, 1)
    assert 0.5 < twin.rows / records.rows < 2  # one epoch only
    assert (np.diff(twin.columns["at"])[np.diff(twin.owners) == 0] >= np.timedelta64(0)).all()


def test_a_large_table_brings_few_units_and_fewer_epochs() -> None:
    facts = {"events_of_the_sample": 40_000, "units_of_the_sample": 1_000, "events": 40_000}
    share, schedule = planned(facts, GanParams())
    assert (share, schedule.batch_size, schedule.max_epochs) == (1.0, 64, 20)
    share, schedule = planned({**facts, "events": 40_000_000}, GanParams())
    assert share == pytest.approx(2_048 / 1_000_000)
    assert schedule.max_epochs == 10
