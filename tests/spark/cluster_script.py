"""Trains on two executor processes of this machine; started by `test_ranks_cluster.py`.

Arguments: folder, "kill" or "gpu". In a process of its own, because a Spark session with another
master cannot live beside the one of the other tests.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from synth_spark.core.ports import Schedule
from tests import training_world as world

PLAN = Schedule(batch_size=64, max_epochs=40, learning_rate=0.01, warmup_steps=10, patience=0)


def executors() -> list[psutil.Process]:
    """The executor JVMs of this process's cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if any("CoarseGrainedExecutorBackend" in part for part in line):
            found.append(process)
    return found


def session(folder: Path, mode: str):
    from pyspark.sql import SparkSession

    from synth_spark.spark.session import BARRIER

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_WORKER_DIR"] = str(folder / "work")
    # Two executors; but one with two GPUs, as the workers of one machine find the same cards.
    shape = "2,1" if mode == "kill" else "1,2"
    builder = SparkSession.builder.master(f"local-cluster[{shape},1024]")
    settings = BARRIER | {
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false", "spark.driver.memory": "1g", "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "2", "spark.executor.memory": "1g",
        "spark.local.dir": str(folder / "local"),
    }  # fmt: skip
    if mode == "gpu":
        script = folder / "gpus.sh"
        script.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["4", "7"]}\'\n')
        script.chmod(0o755)
        settings |= {
            "spark.worker.resource.gpu.amount": "2",
            "spark.worker.resource.gpu.discoveryScript": str(script),
            "spark.executor.resource.gpu.amount": "2",
            "spark.executor.resource.gpu.discoveryScript": str(script),
            "spark.task.resource.gpu.amount": "0.5",
        }
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def kill_one(checkpoints: Path, killed: list[int]) -> None:
    """Kill an executor once the first checkpoint is written: in the middle of the fit."""
    while not list(checkpoints.glob("checkpoint-*.json")):
        time.sleep(0.02)
    victim = executors()[-1]
    os.kill(victim.pid, signal.SIGKILL)
    killed.append(victim.pid)


def main(folder: Path, mode: str) -> None:
    from pyspark import cloudpickle

    from synth_spark.spark.ranks import train_on_ranks

    cloudpickle.register_pickle_by_value(world)
    spark = session(folder, mode)
    try:
        seen, fit, killed = folder / "seen", folder / "fit", []
        seen.mkdir()
        request = world.train(schedule=PLAN, note=str(seen), wait_s=0.005)
        if mode == "kill":
            threading.Thread(target=kill_one, args=(fit, killed), daemon=True).start()
        got = train_on_ranks(
            spark, request, world.shards(folder / "shards"), ranks=2, folder=fit, seed=3
        )
        out = {
            "weights": {n: w.tolist() for n, w in got.weights.items()},
            "epochs": [row["epoch"] for row in got.curve],
            "killed": killed,
            "launches": len((fit / "launches.jsonl").read_text().splitlines()),
            "seen": [json.loads(p.read_text()) for p in sorted(seen.iterdir())],
        }
        (folder / "out.json").write_text(json.dumps(out))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
