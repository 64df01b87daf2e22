"""Two executor processes, of which one is killed while rows are drawn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark import cluster_sample as job


@pytest.mark.cluster
def test_an_executor_that_dies_costs_no_row_and_doubles_none(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, "-m", "tests.spark.cluster_sample", str(tmp_path)]
    ran = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=570, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads((tmp_path / "result.json").read_text())
    assert len(found["executors"]) == 2
    assert found["killed"] == found["executors"][:1]
    assert found["waves"] == 2
    total = job.BLOCK * job.BLOCKS
    assert found["subjects"] == list(range(total))
    assert len(set(found["ids"])) == total
    (tmp_path / "here").mkdir()
    model = job.Slow(str(tmp_path / "here"), pause_s=0.0)
    drawn = [model.draw(b, job.BLOCK, job.SEED)[0].columns["x"] for b in range(job.BLOCKS)]
    assert found["x"] == [float(v) for block in drawn for v in block]
