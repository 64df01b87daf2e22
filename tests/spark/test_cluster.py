"""Two executor processes: one is killed while rows are drawn, then one hangs and is overtaken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.spark import cluster_sample as job

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the cluster's tables hold; it is started once for all tests here."""
    root, scratch = Path(__file__).resolve().parents[2], tmp_path_factory.mktemp("cluster")
    environment = {**os.environ, "PYTHONPATH": str(root), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, "-m", "tests.spark.cluster_sample", str(scratch)]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=570, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((scratch / "result.json").read_text())
    return found


def drawn_here(folder: Path, blocks: int) -> list[float]:
    """The values of x that the model draws in this process, with no cluster."""
    model = job.Slow(str(folder), pause_s=0.0)
    drawn = [model.draw(b, job.BLOCK, job.SEED)[0].columns["x"] for b in range(blocks)]
    return [float(v) for block in drawn for v in block]


def test_an_executor_that_dies_costs_no_row_and_doubles_none(
    ran: dict[str, Any], tmp_path: Path
) -> None:
    found = ran["lost"]
    assert len(found["executors"]) == 2
    assert found["killed"] == found["executors"][:1]
    assert found["waves"] == 2
    total = job.BLOCK * job.BLOCKS
    assert found["rows"]["_subject"] == list(range(total))
    assert len(set(found["rows"]["id"])) == total
    assert found["rows"]["x"] == drawn_here(tmp_path, job.BLOCKS)


@pytest.mark.parametrize("tasks", job.TASKS)
def test_a_speculative_copy_that_wins_gives_the_same_rows_once(
    ran: dict[str, Any], tasks: int, tmp_path: Path
) -> None:
    found = ran["hung"][str(tasks)]
    assert found["attempts"] == [1]  # the copy drew the block on which the first attempt hung
    assert found["rows"]["_subject"] == list(range(job.BLOCK * job.HUNG_BLOCKS))
    assert found["rows"]["x"] == drawn_here(tmp_path, job.HUNG_BLOCKS)
    assert found["rows"] == ran["hung"]["1"]["rows"]
