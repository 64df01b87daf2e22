"""A rank's life without Spark: what it leaves, and how it leaves when a restart would not help."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth_spark.core.ports import Schedule, Train
from synth_spark.spark.ranks import (
    DynamicAllocationError,
    RankFailedError,
    SlotsError,
    check,
    slots,
    train_on_ranks,
)
from synth_spark.training import rank as life
from synth_spark.training.rank import Job, RanksLostError, run_rank
from synth_spark.training.run import LossNotFiniteError
from tests import training_world as world

PLAN = Schedule(batch_size=64, max_epochs=2)


class Alone:
    """The barrier of a stage with one task."""

    def partitionId(self) -> int:  # noqa: N802
        return 0

    def allGather(self, message: str) -> list[str]:  # noqa: N802
        return [message]


def job(folder: Path, trainee=None, **more) -> Job:
    shards = folder / "shards"
    if not shards.exists():
        world.shards(shards)
    settings = {"seed": 1, "name": "curve", "collective": "single"} | more
    return Job(
        trainee=trainee or world.Curve(PLAN), shards=str(shards), folder=str(folder), **settings
    )


class Broken(world.Curve):
    def loss(self, module, batch):
        raise KeyError("no such column")


class Infinite(world.Curve):
    def loss(self, module, batch):
        return super().loss(module, batch) * float("inf")


def test_a_rank_leaves_result_curve_and_progress(tmp_path) -> None:
    assert run_rank(job(tmp_path), Alone(), ["localhost:1"], []) == 0
    got = life.read_result(tmp_path)
    assert [row["epoch"] for row in got.curve] == [1, 2]
    assert got.examples == 540
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 2
    last = json.loads((tmp_path / life.PROGRESS).read_text().splitlines()[-1])
    assert (last["done"], last["total"], last["of"]) == (2, 2, "epochs")


@pytest.mark.parametrize("collective", ["horovod", "torch"])
def test_a_gang_of_one_meets_itself(tmp_path, collective: str) -> None:
    if collective == "horovod":
        pytest.importorskip("horovod.torch")
    run_rank(job(tmp_path, collective=collective), Alone(), ["localhost:1"], [])
    run_rank(job(tmp_path / "single"), Alone(), ["localhost:1"], [])
    got, alone = life.read_result(tmp_path), life.read_result(tmp_path / "single")
    np.testing.assert_array_equal(got.weights["0.weight"], alone.weights["0.weight"])


def test_the_gpu_of_the_task_is_seen_by_the_rank_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "seen").mkdir()
    trainee = world.Curve(PLAN, note=str(tmp_path / "seen"))
    run_rank(job(tmp_path, trainee), Alone(), ["localhost:1"], ["3"])
    (seen,) = (json.loads(p.read_text()) for p in (tmp_path / "seen").iterdir())
    assert seen["gpus"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in life.os.environ


def test_an_error_that_a_restart_would_meet_again_is_noted_and_not_raised(tmp_path) -> None:
    run_rank(job(tmp_path, Broken(PLAN)), Alone(), ["localhost:1"], [])
    note = json.loads((tmp_path / life.FAILED).read_text())
    assert (note["code"], note["kind"]) == ("", "KeyError")
    assert "no such column" in note["trace"]


def test_a_gang_that_always_dies_is_not_started_for_ever(tmp_path) -> None:
    told = job(tmp_path, launches=2)
    (tmp_path / life.LAUNCHES).write_text('{"at_s": 1}\n{"at_s": 2}\n')
    run_rank(told, Alone(), ["localhost:1"], [])
    assert json.loads((tmp_path / life.FAILED).read_text())["code"] == RanksLostError.code
    assert not (tmp_path / life.RESULT).exists()


def test_one_rank_runs_in_this_process_and_says_its_progress(tmp_path) -> None:
    shards, said = world.shards(tmp_path / "shards"), []
    request = Train(world.encode, world.Curve(PLAN), "curve")
    got = train_on_ranks(None, request, shards, folder=tmp_path / "fit", seed=1, say=said.append)
    assert [p.done for p in said] == [1, 2]
    again = train_on_ranks(None, request, shards, folder=tmp_path / "fit", seed=1)
    np.testing.assert_array_equal(got.weights["0.weight"], again.weights["0.weight"])
    with pytest.raises(LossNotFiniteError):
        train_on_ranks(
            None, Train(world.encode, Infinite(PLAN)), shards, folder=tmp_path / "x", seed=1
        )


def test_the_driver_raises_what_a_rank_noted_under_its_own_number(tmp_path) -> None:
    from synth_spark.spark.ranks import _failure

    life.note_failure(tmp_path, LossNotFiniteError("not finite", hint="lower", epoch=3))
    life.note_failure(tmp_path, KeyError("later"))  # the first note stays
    found = _failure(tmp_path)
    assert type(found) is LossNotFiniteError
    assert (found.hint, found.facts) == ("lower", {"epoch": "3"})
    (tmp_path / life.FAILED).unlink()
    life.note_failure(tmp_path, KeyError("gap"))
    assert type(_failure(tmp_path)) is RankFailedError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"spark.master": "local"}, 1),
        ({"spark.master": "local[4, 3]"}, 4),
        ({"spark.master": "local-cluster[2, 3, 1024]"}, 6),
        ({"spark.master": "yarn", "spark.executor.instances": "5", "spark.executor.cores": "4",
          "spark.task.cpus": "2"}, 10),
        ({"spark.master": "spark://a:7077", "spark.executor.instances": "5",
          "spark.executor.cores": "4", "spark.executor.resource.gpu.amount": "1"}, 5),
        ({"spark.master": "spark://a:7077"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_slots_by_hand(settings: dict, expected: int | None) -> None:
    assert slots(settings) == expected


def test_more_ranks_than_slots_are_refused_before_a_job(tmp_path) -> None:
    with pytest.raises(SlotsError) as refused:
        check({"spark.master": "local[2]"}, 3)
    assert (refused.value.facts["ranks"], refused.value.facts["slots"]) == (3, 2)
    check({"spark.master": "local[2]"}, 2)
    check({"spark.master": "k8s://x"}, 300)  # not known here; Spark's own check answers


def test_dynamic_allocation_is_refused_before_a_job() -> None:
    with pytest.raises(DynamicAllocationError):
        check({"spark.dynamicAllocation.enabled": "true", "spark.master": "yarn"}, 2)


def test_single_with_two_ranks_is_refused(tmp_path) -> None:
    with pytest.raises(SlotsError):
        train_on_ranks(
            None, world.train(), tmp_path, ranks=2, collective="single", folder=tmp_path, seed=1
        )


def test_what_a_rank_spills_lies_in_sparks_folder_or_the_runs_and_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = job(tmp_path)
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path},/elsewhere")
    assert life._scratch_home(this) == str(tmp_path)
    monkeypatch.delenv("SPARK_LOCAL_DIRS")
    left = tmp_path / life.SCRATCH / "of-a-run-that-was-killed"
    left.mkdir(parents=True)
    life.alone(this, lambda _: None)
    assert not (tmp_path / life.SCRATCH).exists()
