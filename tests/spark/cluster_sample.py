"""Run by test_cluster.py in a process of its own: sample on two executors and lose one on the way.

It kills one executor once six blocks were drawn, and writes FOLDER/result.json.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator

BLOCK, BLOCKS, SEED = 64, 24, 3
SCHEMA = Schema(
    family="table",
    shape="flat",
    key=Column(name="id", kind="identifier"),
    columns=(Column(name="kind", kind="category"), Column(name="x", kind="number")),
)


class Slow:
    """Draws a block in a quarter of a second and leaves a mark for each."""

    block_size = BLOCK

    def __init__(self, folder: str, pause_s: float = 0.25) -> None:
        self.folder, self.pause_s = Path(folder), pause_s

    def draw(self, block: int, subjects: int, seed: int) -> tuple[Records, dict[str, Any]]:
        time.sleep(self.pause_s)
        (self.folder / f"drawn-{block}-{os.getpid()}").touch()
        rng = generator(seed, "slow", block)
        x, kinds = rng.random(BLOCK), rng.integers(0, 3, BLOCK).astype(np.int32)
        records = Records.flat({"kind": Coded(kinds, ("a", "b", "c")), "x": x})
        keys = [f"s{block * BLOCK + i:06d}" for i in range(subjects)]
        return records.take(np.arange(subjects)), {"#key": keys}


def load_slow(folder: str) -> Slow:
    """What a worker loads in place of a model."""
    return Slow(folder)


def executors() -> list[int]:
    """The executor processes that descend from this one."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # gone since the listing
        parents[int(entry.name)] = int(status[1])
        if b"CoarseGrainedExecutorBackend" in command:
            found.append(int(entry.name))
    return sorted(p for p in found if _descends(p, parents))


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False


def kill_one(folder: Path, killed: list[int]) -> None:
    """Wait until six blocks are drawn, then kill an executor outright."""
    while len(list(folder.glob("drawn-*"))) < 6:
        time.sleep(0.05)
    killed.append(executors()[0])
    os.kill(killed[0], signal.SIGKILL)


def main(scratch: str) -> None:
    """Sample 24 blocks in two waves while an executor dies, and say what is in the table."""
    from synth_spark.spark import fanout, tables
    from synth_spark.spark.session import start

    folder = Path(scratch) / "model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    settings = {
        "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
        "spark.driver.memory": "1g",
        "spark.local.dir": scratch,
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.sql.warehouse.dir": str(Path(scratch) / "warehouse"),
    }
    spark = start("two executors", settings, master="local-cluster[2,1,1024]")
    spark.range(4).repartition(4).count()  # both executors are up
    before = executors()
    recipe = fanout.recipe_for(
        spark,
        folder,
        sha256="slow",
        load=load_slow,
        schema=SCHEMA,
        seed=SEED,
        subjects=BLOCK * BLOCKS,
    )
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(folder, killed), daemon=True)
    killer.start()
    facts = {"run": "cluster"}
    wave_rows = BLOCK * BLOCKS // 2
    done = fanout.sample_table(
        spark, recipe, Path(scratch) / "twin", facts=facts, wave_rows=wave_rows, partitions=12
    )
    killer.join(timeout=1)
    rows = tables.read(spark, Path(scratch) / "twin").orderBy("_subject").toArrow()
    result = {
        "killed": killed,
        "executors": before,
        "waves": done["waves"],
        "subjects": rows["_subject"].to_pylist(),
        "ids": rows["id"].to_pylist(),
        "x": rows["x"].to_pylist(),
    }
    (Path(scratch) / "result.json").write_text(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
