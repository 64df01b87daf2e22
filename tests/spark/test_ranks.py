"""Ranks in a real barrier stage: as good as one, on either library, and after a death."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from synth_spark.core.ports import Schedule
from synth_spark.spark.ranks import RankFailedError, SlotsError, train_on_ranks
from synth_spark.training.rank import LAUNCHES, RanksLostError
from tests import training_world as world

PLAN = Schedule(batch_size=64, max_epochs=6, learning_rate=0.01, warmup_steps=10)


@pytest.fixture(scope="module", autouse=True)
def _world_travels():
    """Workers do not find the tests' modules, so their classes travel whole."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(world)
    yield
    cloudpickle.unregister_pickle_by_value(world)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return world.shards(tmp_path_factory.mktemp("shards"), files=3)


@pytest.fixture(scope="module")
def one(shards, tmp_path_factory):
    """The undisturbed run of one rank."""
    return train_on_ranks(
        None, world.train(schedule=PLAN), shards, folder=tmp_path_factory.mktemp("one"), seed=3
    )


def apart(left, right) -> float:
    return max(float(np.abs(left.weights[n] - right.weights[n]).max()) for n in left.weights)


@pytest.mark.parametrize("collective", ["horovod", "torch"])
def test_two_ranks_end_where_one_rank_ends(spark, shards, one, tmp_path, collective) -> None:
    if collective == "horovod":
        pytest.importorskip("horovod.torch")
    said = []
    two = train_on_ranks(
        spark, world.train(schedule=PLAN), shards, ranks=2, collective=collective,
        folder=tmp_path, seed=3, say=said.append,
    )  # fmt: skip
    assert apart(two, one) < 1e-5
    for mine, other in zip(two.curve, one.curve, strict=True):
        assert mine["train_nats"] == pytest.approx(other["train_nats"], abs=1e-5)
        assert mine["valid_nats"] == pytest.approx(other["valid_nats"], abs=1e-5)
    assert two.curve[-1]["valid_nats"] < two.curve[0]["valid_nats"] - 0.02
    assert [p.done for p in said] == list(range(1, PLAN.max_epochs + 1))


def test_with_dropout_two_ranks_reach_the_loss_of_one(spark, shards, tmp_path) -> None:
    plan = Schedule(batch_size=64, max_epochs=30, learning_rate=0.01, warmup_steps=10)
    request = world.train(schedule=plan, dropout=0.1, width=32)
    one = train_on_ranks(None, request, shards, folder=tmp_path / "1", seed=3)
    two = train_on_ranks(spark, request, shards, ranks=2, folder=tmp_path / "2", seed=3)
    assert one.examples == two.examples
    best = [min(row["valid_nats"] for row in run.curve) for run in (one, two)]
    assert best[0] < 0.6
    # sixty subjects check the loss: its standard error is about 0.05 nats
    assert best[1] == pytest.approx(best[0], abs=0.05)


@pytest.mark.parametrize("collective", ["horovod", "torch"])
def test_a_rank_that_dies_costs_no_result(spark, shards, one, tmp_path, collective) -> None:
    marker = tmp_path / "died"
    dying = world.train(schedule=PLAN, die=str(marker), die_after=30)  # in the third epoch
    got = train_on_ranks(
        spark, dying, shards, ranks=2, collective=collective, folder=tmp_path / "fit", seed=3
    )
    assert marker.exists()
    assert len((tmp_path / "fit" / LAUNCHES).read_text().splitlines()) == 2
    assert apart(got, one) < 1e-5
    assert [row["epoch"] for row in got.curve] == [1, 2, 3, 4, 5, 6]


def test_a_gang_that_always_dies_is_given_up(spark, shards, tmp_path) -> None:
    dying = world.train(schedule=PLAN, die=str(tmp_path / "died"), die_always=True, die_after=0)
    with pytest.raises(RanksLostError):
        train_on_ranks(
            spark, dying, shards, ranks=2, folder=tmp_path / "fit", seed=3, max_restarts=1
        )
    assert len((tmp_path / "fit" / LAUNCHES).read_text().splitlines()) <= 3


def test_an_error_in_the_net_is_told_at_once(spark, shards, tmp_path) -> None:
    wrong = world.train(schedule=PLAN, width=-1)
    began = time.monotonic()
    with pytest.raises(RankFailedError) as refused:
        train_on_ranks(spark, wrong, shards, ranks=2, folder=tmp_path, seed=3)
    assert "negative" in str(refused.value)
    assert time.monotonic() - began < 30
    assert len((tmp_path / LAUNCHES).read_text().splitlines()) == 1


def test_more_ranks_than_cores_are_refused_within_a_second(spark, shards, tmp_path) -> None:
    began = time.monotonic()
    with pytest.raises(SlotsError) as refused:
        train_on_ranks(spark, world.train(), shards, ranks=3, folder=tmp_path, seed=3)
    assert refused.value.facts["slots"] == 2
    assert time.monotonic() - began < 1
    assert json.loads((shards / "manifest.json").read_text())["version"] == 1
