"""The command `twin`, killed outright in the middle of the training, goes on and ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from synth_spark.cli import main as command
from synth_spark.records.world import materialise

ROOT = Path(__file__).resolve().parents[2]
WORLD = "world:subscriber?subscribers=1500&days=1&seed=3"


def kill_in_training(args: list[str], run: Path) -> int:
    """Start the command, kill it and its JVM once there is a checkpoint; returns its epoch."""
    quick = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}  # its JVM lives for seconds
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **quick}
    line = [sys.executable, "-m", "synth_spark.cli", *args]
    started = subprocess.Popen(line, cwd=ROOT, env=environment, start_new_session=True)
    latest = time.monotonic() + 300
    try:
        while not list(run.glob("checkpoints/*/checkpoint-*.json")):
            assert started.poll() is None, "it ended before there was a checkpoint"
            assert time.monotonic() < latest, "no checkpoint in five minutes"
            time.sleep(0.01)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    newest = max(run.glob("checkpoints/*/checkpoint-*.json"))
    return int(json.loads(newest.read_text())["counters"]["epoch"])


def epochs_told(run: Path) -> list[int]:
    """The epochs of the training's progress lines, as they came."""
    told = [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]
    return [entry["done"] for entry in told if entry["of"] == "epochs"]


def test_a_twin_killed_in_training_goes_on_from_the_checkpoint_and_ends_the_same(
    spark: Any, tmp_path: Path
) -> None:
    data = materialise(WORLD, tmp_path / "world")
    args = ["twin", str(data), "--key", "subscriber_id", "--seed", "5", "--out"]
    run = tmp_path / "killed.run"
    epoch = kill_in_training([*args, str(tmp_path / "killed.parquet")], run)
    before = len(epochs_told(run))
    assert command([*args, str(tmp_path / "killed.parquet"), "--resume", "if-possible"]) == 0
    after = epochs_told(run)[before:]
    assert epoch >= 1
    assert after == list(range(epoch, after[-1] + 1))  # told where it goes on, then every epoch
    assert after[-1] > epoch
    assert command([*args, str(tmp_path / "whole.parquet")]) == 0
    killed, whole = (tmp_path / f"{name}.parquet" for name in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()
