"""The loop equals the obvious loop, itself after a stop, and itself on more ranks."""

from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest
import torch

from synth_spark.config import plan_from
from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Schedule
from synth_spark.core.seeds import generator, stream_key
from synth_spark.training.checkpoints import DamagedCheckpointError, ForeignCheckpointError
from synth_spark.training.loop import (
    NoExamplesError,
    fit,
    train_local,
)
from synth_spark.training.pace import rate
from synth_spark.training.rows import Held, Spilled, spill, steps_of
from synth_spark.training.run import LossNotFiniteError
from tests import training_world as world

PLAN = Schedule(batch_size=64, max_epochs=4, warmup_steps=5)


def encoded(subjects: int = 400, seed: int = 0) -> Encoded:
    return world.encode(world.records(subjects, seed))


def apart(left: dict, right: dict) -> float:
    return max(float(np.abs(left[n] - right[n]).max()) for n in left)


class ThreadGang:
    """Ranks that are threads of one process; sums in rank order."""

    def __init__(self, rank: int, size: int, shared: dict) -> None:
        self.rank, self.local_rank, self.size, self.shared = rank, rank, size, shared

    def _exchange(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        self.shared["barrier"].wait(20)
        self.shared[self.rank] = tensor.clone()
        self.shared["barrier"].wait(20)
        return [self.shared[r] for r in range(self.size)]

    def sum(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        return tensor.copy_(torch.stack(self._exchange(tensor)).sum(0))

    def broadcast(self, tensor: torch.Tensor, name: str, root: int = 0) -> torch.Tensor:
        return tensor.copy_(self._exchange(tensor)[root])

    def close(self) -> None:
        pass


class Fixed(world.Curve):
    """First weights that do not come from torch's random state, which threads share."""

    def build(self):
        module, random = super().build(), np.random.default_rng(0)
        for parameter in module.parameters():
            values = 0.3 * random.normal(size=tuple(parameter.shape))
            parameter.data = torch.from_numpy(values.astype(np.float32))
        return module


def on_threads(size: int, work) -> list:
    shared, out = {"barrier": threading.Barrier(size)}, [None] * size

    def run(rank: int) -> None:
        try:
            out[rank] = work(ThreadGang(rank, size, shared))
        except Exception as error:
            out[rank] = error
            shared["barrier"].abort()

    threads = [threading.Thread(target=run, args=(r,)) for r in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for found in out:
        if isinstance(found, Exception):
            raise found
    return out


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_loop_takes_the_steps_of_the_obvious_loop(clip: float) -> None:
    plan = Schedule(batch_size=100, max_epochs=2, ema=0.0, clip_norm=clip, warmup_steps=2)
    trainee, data = world.Curve(plan), encoded(300)
    got = fit(trainee, data, None, seed=5)

    torch.manual_seed(stream_key(5, "build") & (1 << 63) - 1)
    module = trainee.build()
    weights = list(module.parameters())
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    x, y = (torch.from_numpy(a) for a in trainee.examples(data).values())
    step = 0
    for epoch in range(2):
        for rows in np.array_split(generator(5, "shuffle", epoch).permutation(300), 3):
            module.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(x[rows]), y[rows])
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
            lr, (b1, b2), step = rate(plan, step, 6), plan.betas, step + 1
            with torch.no_grad():  # Loshchilov and Hutter, algorithm 2, lines 6 to 12
                for w, m, v in zip(weights, first, second, strict=True):
                    m.copy_(b1 * m + (1 - b1) * w.grad)
                    v.copy_(b2 * v + (1 - b2) * w.grad**2)
                    move = (m / (1 - b1**step)) / ((v / (1 - b2**step)).sqrt() + 1e-8)
                    w.sub_(lr * (move + plan.weight_decay * w))
    expected = {n: t.numpy() for n, t in module.state_dict().items()}
    assert apart(got.weights, expected) < 1e-6


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    request = world.train(schedule=PLAN, dropout=0.3)
    first, again, other = (train_local(request, world.records(300), s) for s in (1, 1, 2))
    assert apart(first.weights, again.weights) == 0.0
    assert [r["valid_nats"] for r in first.curve] == [r["valid_nats"] for r in again.curve]
    assert apart(first.weights, other.weights) > 0.01


def test_the_net_learns_and_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    plan = Schedule(batch_size=64, max_epochs=12, learning_rate=0.01, warmup_steps=5, ema=0.9)
    got = train_local(world.train(schedule=plan, width=32), world.records(2000))
    assert got.curve[0]["valid_nats"] > 0.55
    assert got.curve[-1]["valid_nats"] < 0.40  # guessing costs log 2 = 0.69
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("size", [2, 3])
def test_any_number_of_ranks_takes_the_same_steps(size: int) -> None:
    plan = Schedule(batch_size=64, max_epochs=3, clip_norm=0.5)
    data, check = encoded(500), encoded(77, seed=1)
    one = fit(Fixed(plan), data, check, seed=3)
    many = on_threads(size, lambda gang: fit(Fixed(plan), data, check, gang, seed=3))
    for got in many:
        assert apart(got.weights, one.weights) < 1e-5
        assert got.curve[-1]["valid_nats"] == pytest.approx(one.curve[-1]["valid_nats"], abs=1e-5)
        assert got.best_epoch == one.best_epoch
    assert apart(many[0].weights, many[-1].weights) == 0.0


def test_ranks_with_unequal_shards_or_none_finish_together(tmp_path) -> None:
    trainee = world.Curve(Schedule(batch_size=50, max_epochs=3))
    cuts = [[200, 30], [70], []]  # rows of each rank's shards

    def work(gang):
        folders, sizes = [], []
        for i, rows in enumerate(cuts[gang.rank]):
            folders.append(tmp_path / f"{gang.rank}-{i}")
            sizes.append(spill(trainee.examples(encoded(rows, seed=i)), folders[-1]))
        rows = Spilled(folders, sizes, total=300, buffer_rows=100, rank=gang.rank)
        return fit(trainee, rows, None, gang, seed=1)

    got = on_threads(3, work)
    assert [len(g.curve) for g in got] == [3, 3, 3]
    assert apart(got[0].weights, got[2].weights) == 0.0


def test_a_check_of_the_whole_is_the_same_on_any_number_of_ranks() -> None:
    """The check is the number of rows in a batch, which is no mean over rows."""

    class Counting(Fixed):
        def loss(self, module, batch):
            nats = super().loss(module, batch)
            return nats if module.training else torch.full_like(nats, float(len(nats)))

    for whole, found in ((True, 77.0), (False, (38 * 38 + 39 * 39) / 77)):
        plan = Schedule(batch_size=64, max_epochs=1, check_whole=whole)
        data, check = encoded(100), encoded(77, seed=1)
        for got in on_threads(2, lambda g: fit(Counting(plan), data, check, g, seed=3)):  # noqa: B023
            assert got.curve[0]["valid_nats"] == pytest.approx(found)


def test_a_rank_without_rows_in_a_batch_knows_how_many_steps_were_taken() -> None:
    """Three examples in batches of one: of two ranks the second has none in any batch."""
    told: dict[int, list[float]] = {0: [], 1: []}

    class Counting(Fixed):
        def build(self):
            module = super().build()
            module.register_buffer("steps", torch.zeros(()))
            return module

    def work(gang):
        class Noting(Counting):
            def loss(self, module, batch):
                if not module.training:
                    told[gang.rank].append(float(module.steps))
                return super().loss(module, batch)

        plan = Schedule(batch_size=1, max_epochs=3, warmup_steps=0)
        return fit(Noting(plan), encoded(3), encoded(8, seed=1), gang, seed=1)

    left, right = on_threads(2, work)
    assert told == {0: [3.0, 6.0, 9.0], 1: [3.0, 6.0, 9.0]}
    assert left.weights["steps"] == right.weights["steps"] == 9


def test_an_epoch_uses_every_example_once_held_or_spilled(tmp_path) -> None:
    numbers = {"n": np.arange(1000)[:, None]}
    held = [Held(numbers, rank, 2) for rank in (0, 1)]
    seen = [b["n"] for rank in held for b in rank.epoch(1, 0, 7)]
    assert sorted(torch.cat(seen).flatten().tolist()) == list(range(1000))

    folders = [tmp_path / str(i) for i in range(4)]
    sizes = [
        spill({"n": part}, folder)
        for part, folder in zip(np.array_split(numbers["n"], [100, 350, 360]), folders, strict=True)
    ]
    spilled = Spilled(folders, sizes, total=1000, buffer_rows=300, rank=0)
    first, second = (
        torch.cat([b["n"] for b in spilled.epoch(1, epoch, 9)]).flatten() for epoch in (0, 1)
    )
    assert sorted(first.tolist()) == list(range(1000))
    assert first.tolist() != second.tolist()
    assert {len(b["n"]) for b in spilled.epoch(1, 0, 9)} == {111, 112}
    assert torch.cat([b["n"] for b in spilled.ordered(64)]).flatten().tolist() == list(range(1000))


@pytest.mark.parametrize(("calls", "every_s"), [(13, 300.0), (17, 0.0), (25, 0.0)])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    tmp_path, calls: int, every_s: float
) -> None:
    class Killed(BaseException):
        pass

    class Dying(world.Curve):
        def loss(self, module, batch):
            module.calls = getattr(module, "calls", 0) + 1
            if module.calls > calls:
                raise Killed
            return super().loss(module, batch)

    data, check = encoded(384), encoded(60, seed=1)  # six steps and one check an epoch
    whole = fit(world.Curve(PLAN, 0.2), data, check, seed=2)
    how = {"seed": 2, "folder": tmp_path, "checkpoint_every_s": every_s}
    with pytest.raises(Killed):
        fit(Dying(PLAN, 0.2), data, check, **how)
    got = fit(world.Curve(PLAN, 0.2), data, check, **how)
    assert apart(got.weights, whole.weights) == 0.0
    plain = [{k: r[k] for k in ("epoch", "train_nats", "valid_nats")} for r in whole.curve]
    written = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [{k: r[k] for k in plain[0]} for r in written] == plain


def test_a_finished_run_is_not_trained_again(tmp_path) -> None:
    first = fit(world.Curve(PLAN), encoded(), None, seed=1, folder=tmp_path)
    again = fit(world.Curve(PLAN), encoded(), None, seed=1, folder=tmp_path)
    assert again.curve == first.curve
    assert apart(first.weights, again.weights) == 0.0


def test_a_damaged_checkpoint_costs_an_epoch_and_not_the_run(tmp_path) -> None:
    said = []
    whole = fit(world.Curve(PLAN), encoded(), None, seed=1, folder=tmp_path)
    newest = max(tmp_path.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-4] + b"ruin")
    got = fit(world.Curve(PLAN), encoded(), None, seed=1, folder=tmp_path, say=said.append)
    assert apart(got.weights, whole.weights) == 0.0
    assert said[0].done == PLAN.max_epochs - 1
    assert said[0].numbers["damaged_checkpoints_skipped"] == 1
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"ruin")
    with pytest.raises(DamagedCheckpointError) as refused:
        fit(world.Curve(PLAN), encoded(), None, seed=1, folder=tmp_path)
    assert len(refused.value.facts["damaged"]) == 2


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"fingerprint": "another plan"}, {"trainee": world.Curve(PLAN, width=8)}]
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other: dict) -> None:
    run = {"trainee": world.Curve(PLAN), "train": encoded(), "valid": None, "seed": 1}
    fit(**run, folder=tmp_path)
    with pytest.raises(ForeignCheckpointError):
        fit(**(run | other), folder=tmp_path)


def test_a_loss_that_is_not_a_number_stops_and_leaves_the_last_checkpoint(tmp_path) -> None:
    class Exploding(world.Curve):
        def loss(self, module, batch):
            module.calls = getattr(module, "calls", 0) + 1
            return super().loss(module, batch) * (float("inf") if module.calls == 20 else 1.0)

    with pytest.raises(LossNotFiniteError) as refused:
        fit(Exploding(PLAN), encoded(384), None, seed=1, folder=tmp_path)
    assert refused.value.facts["epoch"] == 4
    assert refused.value.facts["step"] == 20
    assert (refused.value.facts["good_epoch"], refused.value.facts["good_step"]) == (3, 18)
    assert f"after epoch 3 and step 18, is in {tmp_path}." in str(refused.value)
    assert [p.stem for p in sorted(tmp_path.glob("*.json"))] == [
        "checkpoint-000000012", "checkpoint-000000018",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["autoregressive", "transformer", "vae", "gan"])
def test_what_is_advised_against_a_loss_that_is_no_number_is_a_setting(name: str) -> None:
    class Infinite(world.Curve):
        rate_setting = "critic_rate" if name == "gan" else "learning_rate"

        def loss(self, module, batch):
            return super().loss(module, batch) * float("inf")

    with pytest.raises(LossNotFiniteError) as refused:
        fit(Infinite(PLAN), encoded(), None, seed=1)
    assert "No checkpoint was written." in str(refused.value)
    settings = re.findall(r"generator\.params\.(\w+)", refused.value.hint)
    assert len(settings) == 1
    plan = {"generator": {"name": name, "params": {settings[0]: 1e-4}}, "records": {"drop": ["x"]}}
    assert getattr(plan_from(plan).params(), settings[0]) == 1e-4


def test_the_critics_of_the_gan_name_their_own_rate() -> None:
    from synth_spark.generators._gan_train import Adversarial

    assert Adversarial.rate_setting == "critic_rate"


def test_minutes_end_the_run_in_time_and_at_the_low_end_of_the_cosine(monkeypatch) -> None:
    from synth_spark.training import run

    rates = []
    monkeypatch.setattr(
        run, "rate", lambda plan, step, total: rates.append(rate(plan, step, total)) or rates[-1]
    )
    plan = Schedule(batch_size=64, max_epochs=100_000, max_minutes=0.02, patience=0, final_rate=0.0)
    got = fit(world.Curve(plan), encoded(), encoded(50, 1), seed=1)
    assert got.stopped == "minutes"
    assert got.curve[-1]["elapsed_s"] < 1.2 * 1.3
    assert max(rates) > 0.99 * plan.learning_rate
    assert rates[-1] < 0.2 * plan.learning_rate


def test_patience_stops_a_run_that_gains_nothing_and_the_best_epoch_is_kept() -> None:
    class Rising(world.Curve):
        """Its loss on the check set is lowest in epoch 2."""

        def loss(self, module, batch):
            nats = super().loss(module, batch)
            if module.training:
                return nats
            module.epochs = getattr(module, "epochs", 0) + 1
            return nats * 0 + abs(module.epochs - 2)

    plan = Schedule(batch_size=64, max_epochs=20, patience=3)
    got = fit(Rising(plan), encoded(), encoded(50, 1), seed=1)
    assert (got.stopped, got.best_epoch, len(got.curve)) == ("patience", 2, 5)
    best = fit(world.Curve(Schedule(batch_size=64, max_epochs=20)), encoded(), None, seed=1)
    assert got.weights["0.weight"].shape == best.weights["0.weight"].shape
    last = fit(Rising(Schedule(batch_size=64, max_epochs=20, patience=3, keep="last")),
               encoded(), encoded(50, 1), seed=1)  # fmt: skip
    assert last.best_epoch == 5
    assert apart(last.weights, got.weights) > 0


class Given(world.Curve):
    """Its loss on the check set is what `scores` says, check by check."""

    scores = (1.0, 1.2, 1.1, 1.9, 0.5)

    def loss(self, module, batch):
        nats = super().loss(module, batch)
        if module.training:
            return nats
        module.checks = getattr(module, "checks", -1) + 1
        return nats * 0 + self.scores[module.checks]


def test_the_first_weights_are_scored_as_epoch_0_and_are_the_answer_if_none_are_better() -> None:
    plan = Schedule(batch_size=64, max_epochs=2, score_first=True)
    got = fit(Given(plan), encoded(), encoded(50, 1), seed=1)
    assert [(row["epoch"], row["valid_nats"]) for row in got.curve] == [
        (0, 1.0), (1, pytest.approx(1.2)), (2, pytest.approx(1.1)),
    ]  # fmt: skip
    assert (got.stopped, got.best_epoch) == ("epochs", 0)
    torch.manual_seed(stream_key(1, "build") & ((1 << 63) - 1))
    first = world.Curve(plan).build().state_dict()
    assert apart(got.weights, {n: t.numpy() for n, t in first.items()}) == 0


def test_a_run_that_gets_so_many_times_worse_than_its_best_is_stopped() -> None:
    plan = Schedule(batch_size=64, max_epochs=4, score_first=True, worse=1.5)
    got = fit(Given(plan), encoded(), encoded(50, 1), seed=1)
    assert (got.stopped, got.best_epoch, len(got.curve)) == ("worse", 0, 4)


def test_without_a_check_set_the_last_epoch_is_kept_and_no_loss_is_made_up() -> None:
    got = fit(world.Curve(PLAN), encoded(), None, seed=1)
    assert (got.stopped, got.best_epoch) == ("epochs", 4)
    assert all("valid_nats" not in row for row in got.curve)


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(NoExamplesError):
        fit(world.Curve(PLAN), encoded(0), None, seed=1)


def test_the_rate_warms_up_and_ends_at_its_share_even_in_a_short_run() -> None:
    plan = Schedule(learning_rate=2.0, warmup_steps=50, final_rate=0.1)
    assert rate(plan, 0, 1000) == pytest.approx(0.04)
    assert rate(plan, 49, 1000) == 2.0
    assert rate(plan, 525, 1000) == pytest.approx(1.1)  # half way down: (2.0 + 0.2) / 2
    assert rate(plan, 1000, 1000) == pytest.approx(0.2)
    assert max(rate(plan, s, 10) for s in range(10)) == 2.0  # two steps of warm-up, not fifty


def test_the_number_of_steps_comes_nearest_to_the_batch_size() -> None:
    assert [steps_of(n, 256) for n in (1, 256, 383, 385, 5634)] == [1, 1, 1, 2, 22]
