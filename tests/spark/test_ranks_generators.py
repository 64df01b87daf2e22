"""The networks of the generators on two ranks of a barrier stage, one of which dies on the way."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark.core.local import Local
from synth_spark.core.ports import Train, Trained, learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.spark.ranks import train_on_ranks
from synth_spark.training.rank import LAUNCHES
from synth_spark.training.rows import count, steps_of
from synth_spark.training.shards import fingerprints
from tests import training_world as world
from tests.contract.cases import CASES

SHAPES = {"vae": "flat", "gan": "events", "transformer": "events"}
MORE = {  # besides the example's settings
    "vae": {"max_epochs": 4, "beta": 0.05},
    "gan": {"adversarial_epochs": 3, "alone": 2},
    "transformer": {"max_epochs": 3},
}
NETS = {"vae": ("vae",), "gan": ("events", "gan"), "transformer": ("events",)}


@dataclass(frozen=True)
class Watched:
    """A trainee whose ranks note the weights at every check; one may die, once."""

    inner: Any
    notes: str  # a folder
    die_after: int = 10**9  # losses

    @property
    def schedule(self) -> Any:
        return self.inner.schedule

    def build(self) -> Any:
        return self.inner.build()

    def examples(self, encoded: Any) -> Any:
        return self.inner.examples(encoded)

    def loss(self, module: Any, batch: Any) -> Any:
        note = Path(self.notes)
        if module.training:
            calls = module.__dict__["calls"] = module.__dict__.get("calls", 0) + 1
            if calls > self.die_after and not (note / "died").exists():
                (note / "died").touch()
                os._exit(17)
        else:
            seen = [float(p.detach().double().sum()) for p in module.parameters()]
            rank = os.environ.get("HOROVOD_RANK", "0")
            with (note / f"rank{rank}.jsonl").open("a") as lines:
                lines.write(json.dumps(seen) + "\n")
        return self.inner.loss(module, batch)


@pytest.fixture(scope="module", autouse=True)
def _this_travels():
    """Workers do not find this module, so its classes travel whole."""
    import sys

    from pyspark import cloudpickle

    pytest.importorskip("horovod.torch")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def on_ranks(spark: Any, folder: Path, found: dict[str, Trained], die: str) -> Callable[..., Any]:
    """Answers `Train` on two ranks; in the net called `die` one dies in the second epoch."""

    def train(request: Any, records: Any, seed: int) -> Trained:
        encoded = request.encode(records)
        order = np.argsort(fingerprints(encoded), kind="stable").astype(np.int64)
        encoded, valid = encoded.take(order), np.arange(encoded.subjects) % 8 == 0
        home, trainee = folder / request.name, request.trainee
        (home / "notes").mkdir(parents=True)
        shards = world.write_shards(home / "shards", encoded, valid)
        examples = count(trainee.examples(encoded.take(np.flatnonzero(~valid))))
        steps = steps_of(examples, trainee.schedule.batch_size)
        dies = steps + (steps + 1) // 2 if request.name == die else 10**9
        watched = Watched(trainee, str(home / "notes"), dies)
        found[request.name] = train_on_ranks(
            spark, Train(request.encode, watched, request.name), shards, ranks=2,
            collective="horovod", folder=home / "fit", seed=seed,
        )  # fmt: skip
        return found[request.name]

    return train


@pytest.mark.parametrize("name", SHAPES)
def test_two_ranks_agree_and_go_on_where_one_of_them_died(spark, tmp_path, name) -> None:
    shape, last, settings = SHAPES[name], NETS[name][-1], MORE[name]
    schema, made = CASES[shape]
    kind, trained = GENERATORS.get(name), {}
    params = replace(GENERATORS.example(name), **settings)
    engine = Local(made(), seed=3, train=on_ranks(spark, tmp_path, trained, die=last))
    model = learn(kind.learn(schema, params, 5), engine)
    assert tuple(trained) == NETS[name]
    assert (tmp_path / last / "notes" / "died").exists()
    assert len((tmp_path / last / "fit" / LAUNCHES).read_text().splitlines()) == 2
    for net, got in trained.items():
        assert all(math.isfinite(v) for row in got.curve for v in row.values())
        assert all(np.isfinite(w).all() for w in got.weights.values())
        notes = sorted((tmp_path / net / "notes").glob("rank*.jsonl"))
        first, second = (n.read_text().splitlines() for n in notes)
        assert first == second  # the same weights on both ranks
        assert len(first) == len(set(first)) == len(got.curve)  # no epoch was trained twice
    best = min(trained[last].curve, key=lambda row: row["valid_nats"])
    if name == "gan":  # the monitor scored the pretrained net too, and rolls back to the best
        assert [row["epoch"] for row in trained["gan"].curve] == [0, 1, 2, 3]
        assert trained["gan"].best_epoch == best["epoch"]
        assert model.facts["adversarial"]["distance_kept"] == round(best["valid_nats"], 5)
    assert model.sample(0, 20, 1).subjects == 20
