"""Ranks on two executor processes: one is killed during the fit; each takes its own GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synth_spark.core.ports import Schedule
from synth_spark.spark.ranks import train_on_ranks
from tests import training_world as world

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
PLAN = Schedule(batch_size=64, max_epochs=40, learning_rate=0.01, warmup_steps=10, patience=0)


def run(folder: Path, mode: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.spark.cluster_script", str(folder), mode],
        cwd=ROOT, timeout=400, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def test_an_executor_killed_during_the_fit_costs_no_result(tmp_path) -> None:
    got = run(tmp_path, "kill")
    assert len(got["killed"]) == 1
    assert got["launches"] >= 2
    assert got["epochs"] == list(range(1, PLAN.max_epochs + 1))
    alone = train_on_ranks(
        None, world.train(schedule=PLAN), tmp_path / "shards", folder=tmp_path / "one", seed=3
    )
    for name, weights in alone.weights.items():
        np.testing.assert_allclose(got["weights"][name], weights, atol=1e-4)


def test_each_rank_sees_the_gpu_that_spark_gave_its_task(tmp_path) -> None:
    got = run(tmp_path, "gpu")
    assert len({rank["pid"] for rank in got["seen"]}) == 2
    assert sorted(rank["gpus"] for rank in got["seen"]) == ["4", "7"]
