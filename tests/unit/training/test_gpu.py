"""A rank's work on a GPU. What needs one is skipped without; the placement of tensors is not."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from synth_spark.core.local import Local
from synth_spark.core.ports import Schedule, Train, Trained, learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.collective import HorovodGang, TorchGang
from synth_spark.training.loop import fit, train_local
from synth_spark.training.rank import Job, read_result, run_rank
from synth_spark.training.run import LossNotFiniteError
from tests import training_world as world
from tests.contract.cases import CASES

TRAINED = [("autoregressive", "flat"), ("vae", "flat"), ("autoregressive", "events"),
           ("gan", "events"), ("transformer", "events")]  # fmt: skip
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
GPU = "cuda:0"


def trainings(name: str, shape: str, device: str = "cpu") -> list[tuple[Train, Trained]]:
    """What a generator asks to train on a small table, and the answers."""
    schema, make = CASES[shape]
    done: list[tuple[Train, Trained]] = []

    def train(request: Train, records, seed: int) -> Trained:
        found = train_local(request, records, seed, device=device)
        done.append((request, found))
        return found

    params = GENERATORS.example(name)
    learn(GENERATORS.get(name).learn(schema, params, 0), Local(make(), train=train))
    return done


def loose(module: torch.nn.Module) -> list[str]:
    """Tensors that `.to(device)` would leave behind."""
    found = []
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            within = value if isinstance(value, list | tuple) else [value]
            within = list(value.values()) if isinstance(value, dict) else within
            found += [f"{path}.{name}" for v in within if isinstance(v, torch.Tensor)]
    return found


@pytest.mark.parametrize(("name", "shape"), TRAINED)
def test_all_tensors_of_a_network_move_with_it(name: str, shape: str) -> None:
    for request, _ in trainings(name, shape):
        module = request.trainee.build()
        assert loose(module) == []
        assert {t.device.type for t in module.to("meta").state_dict().values()} == {"meta"}


def test_tables_that_are_picked_from_apart_move_with_the_network() -> None:
    from synth_spark.models.made import Made

    ((request, _),) = trainings("autoregressive", "flat")
    layout = request.trainee.layout
    apart = (*layout.parents[:-1], (0, len(layout.slots) - 2))  # slots that do not lie together
    module = Made(replace(layout, parents=apart))
    assert module.picks[-1] is None
    assert loose(module) == []
    tokens = torch.zeros(5, len(layout.class_of), dtype=torch.long)
    assert module(tokens).shape == (5,)


class OnCard:
    """As much of a GPU's tensor as a gang looks at."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.device = values, torch.device(GPU)

    def cpu(self) -> torch.Tensor:
        return self.values.clone()

    def copy_(self, other: torch.Tensor) -> OnCard:
        self.values.copy_(other)
        return self


def test_rows_that_are_looked_up_are_those_of_an_index() -> None:
    from synth_spark.models.gpt import looked_up

    table, rows = torch.randn(33, 4), torch.randint(0, 33, (2, 7, 7))
    assert torch.equal(looked_up(table, rows), table[rows])
    assert torch.equal(torch.nn.functional.embedding(rows, table), table[rows])  # as on a GPU


@pytest.mark.parametrize("with_cuda", [True, False])
def test_a_horovod_without_cuda_is_given_cpu_tensors_only(monkeypatch, with_cuda: bool) -> None:
    given: list[object] = []

    def twice(tensor, *_, **__):
        given.append(tensor)
        return tensor if isinstance(tensor, OnCard) else tensor.mul_(2)

    built = SimpleNamespace(
        init=lambda: None, rank=lambda: 0, size=lambda: 2, local_rank=lambda: 0, Sum=None,
        cuda_built=lambda: with_cuda, allreduce_=twice, broadcast_=twice,
    )  # fmt: skip
    monkeypatch.setattr("synth_spark.training.collective._horovod", lambda: built)
    card, gang = OnCard(torch.ones(3)), HorovodGang()
    assert gang.sum(card, "step") is card
    assert gang.broadcast(card, "weights") is card
    assert [isinstance(t, OnCard) for t in given] == [with_cuda, with_cuda]
    assert card.values.tolist() == [1.0 if with_cuda else 4.0] * 3


# ---- on a GPU -------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize(("name", "shape"), TRAINED)
def test_a_gpu_trains_what_the_cpu_trains(name: str, shape: str) -> None:
    pairs = zip(trainings(name, shape), trainings(name, shape, GPU), strict=True)
    for (request, on_cpu), (_, on_gpu) in pairs:
        assert on_cpu.weights.keys() == on_gpu.weights.keys()
        for key, values in on_cpu.weights.items():
            assert values.dtype == on_gpu.weights[key].dtype
        bound = 0.3 if request.name == "gan" else 0.05  # dropout draws other noise there
        nats = on_cpu.curve[-1]["valid_nats"]
        assert on_gpu.curve[-1]["valid_nats"] == pytest.approx(nats, rel=bound)


PLAN = Schedule(batch_size=64, max_epochs=4, warmup_steps=5, clip_norm=1.0)
DATA, CHECK = world.encode(world.records(500)), world.encode(world.records(100, seed=1))


class Stopping(world.Curve):
    """Its loss is not a number in step `die_after`."""

    def loss(self, module, batch):
        module.calls = getattr(module, "calls", 0) + 1
        nats = super().loss(module, batch)
        return nats * float("nan") if module.calls == self.die_after else nats


def apart(left: Trained, right: Trained) -> float:
    return max(float(np.abs(left.weights[n] - right.weights[n]).max()) for n in left.weights)


@needs_gpu
@pytest.mark.parametrize(("first", "then"), [(GPU, GPU), (GPU, "cpu"), ("cpu", GPU)])
def test_a_checkpoint_of_one_device_goes_on_on_another(tmp_path, first: str, then: str) -> None:
    whole = fit(world.Curve(PLAN), DATA, CHECK, seed=1, device=then)
    with pytest.raises(LossNotFiniteError):
        fit(Stopping(PLAN, die_after=24), DATA, CHECK, seed=1, folder=tmp_path, device=first)
    assert list(tmp_path.glob("checkpoint-*.json"))
    went_on = fit(world.Curve(PLAN), DATA, CHECK, seed=1, folder=tmp_path, device=then)
    assert apart(whole, went_on) < (1e-6 if first == then else 1e-4)
    assert len(went_on.curve) == 4


@needs_gpu
def test_the_callers_random_state_on_the_gpu_is_left_alone() -> None:
    before = torch.cuda.get_rng_state(0)
    fit(world.Curve(PLAN, dropout=0.3), DATA, CHECK, seed=1, device=GPU)
    assert torch.equal(before, torch.cuda.get_rng_state(0))


@needs_gpu
def test_one_rank_of_nccl_takes_the_steps_of_no_gang(monkeypatch) -> None:
    alone = fit(world.Curve(PLAN), DATA, CHECK, seed=1, device=GPU)
    settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511", "RANK": "0",
                "WORLD_SIZE": "1", "LOCAL_RANK": "0",
                "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES") or "0"}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    gang = TorchGang(timeout_s=60.0)
    try:
        assert torch.distributed.get_backend() == "nccl"
        got = fit(world.Curve(PLAN), DATA, CHECK, gang, seed=1, device=GPU)
    finally:
        gang.close()
    assert apart(alone, got) < 1e-6


class Alone:
    """The barrier of a stage of one task."""

    def partitionId(self) -> int:  # noqa: N802
        return 0

    def allGather(self, message: str) -> list[str]:  # noqa: N802
        return [message]


@needs_gpu
@pytest.mark.parametrize("collective", ["single", "torch"])
def test_a_rank_trains_on_the_gpu_that_spark_gave_it(tmp_path, collective: str) -> None:
    shards = world.shards(tmp_path / "shards")
    job = Job(trainee=world.Curve(PLAN), shards=str(shards), folder=str(tmp_path), seed=1,
              name="curve", collective=collective)  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run_rank(job, Alone(), ["localhost:1"], ["0"])
    assert len(read_result(tmp_path).curve) == 4
    assert torch.cuda.max_memory_allocated() > before
