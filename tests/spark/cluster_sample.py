"""A run of its own on a standalone cluster of two executors, started by test_cluster.py.

It draws rows while one of them is killed, once six blocks were drawn; then it samples with one, two
and seven tasks while the first attempt of one task hangs, so that Spark's speculation starts a copy
of it. What is in the tables goes into FOLDER/result.json.

A worker's host is its address on the loopback: to Spark these are two machines, as it starts no
copy of a task on the machine that runs the task already (TaskSetManager, `hasAttemptOnHost`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator

BLOCK, BLOCKS, SEED = 64, 24, 3
HANG_S = 60.0  # far more than a copy needs
HUNG_BLOCKS, TASKS = 8, (1, 2, 7)
SCHEMA = Schema(
    family="table",
    shape="flat",
    key=Column(name="id", kind="identifier"),
    columns=(Column(name="kind", kind="category"), Column(name="x", kind="number")),
)


class Slow:
    """Draws a block in a quarter of a second, or hangs at one block in a task's first attempt.

    It leaves a mark for each block that it has drawn, with the number of the task's attempt.
    """

    block_size = BLOCK

    def __init__(self, folder: str, pause_s: float = 0.25, hangs_at: int = -1) -> None:
        self.folder, self.pause_s, self.hangs_at = Path(folder), pause_s, hangs_at

    def draw(self, block: int, subjects: int, seed: int) -> tuple[Records, dict[str, Any]]:
        tried = attempt()
        time.sleep(HANG_S if block == self.hangs_at and tried == 0 else self.pause_s)
        (self.folder / f"drawn-{block}-{tried}-{os.getpid()}").touch()
        rng = generator(seed, "slow", block)
        x, kinds = rng.random(BLOCK), rng.integers(0, 3, BLOCK).astype(np.int32)
        records = Records.flat({"kind": Coded(kinds, ("a", "b", "c")), "x": x})
        keys = [f"s{block * BLOCK + i:06d}" for i in range(subjects)]
        return records.take(np.arange(subjects)), {"#key": keys}


def attempt() -> int:
    """Which attempt of its task this worker runs, from 0."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context.attemptNumber() if context else 0


def load_slow(folder: str) -> Slow:
    """What a worker loads in place of a model."""
    return Slow(folder, **json.loads((Path(folder) / "model.json").read_text()))


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


@contextmanager
def cluster(scratch: Path) -> Iterator[str]:
    """A master and two workers of one core each, on addresses of their own; yields the address."""
    import pyspark

    home = Path(pyspark.__file__).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1"}
    settings["SPARK_DAEMON_JAVA_OPTS"] = "-XX:TieredStopAtLevel=1"
    settings["PYSPARK_PYTHON"] = sys.executable
    started = []

    def launch(kind: str, *words: str) -> None:
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *words]
        log = (scratch / f"{len(started)}.log").open("w")
        environment = os.environ | settings
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    launch("master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert started[0].poll() is None, (scratch / "0.log").read_text()
            time.sleep(0.05)
        for host in ("127.0.0.2", "127.0.0.3"):
            words = ("--host", host, "--cores", "1", "--memory", "1g", "--webui-port", "0")
            work = ("--work-dir", str(scratch / host), f"spark://127.0.0.1:{port}")
            launch("worker.Worker", *words, *work)
        yield f"spark://127.0.0.1:{port}"
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=20)


def recipe(spark: Any, folder: Path, blocks: int, **settings: float) -> Any:
    """What the workers need to draw that many blocks with a `Slow` of these settings."""
    from synth_spark.spark import fanout

    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(settings))
    return fanout.recipe_for(
        spark,
        folder,
        sha256=folder.name,
        load=load_slow,
        schema=SCHEMA,
        seed=SEED,
        subjects=BLOCK * blocks,
    )


def rows(spark: Any, path: Path) -> dict[str, list[Any]]:
    """What is in a table, in the order of subjects."""
    from synth_spark.spark import tables

    return tables.read(spark, path).orderBy("_subject").toArrow().to_pydict()


def lose_one(spark: Any, scratch: Path) -> dict[str, Any]:
    """Sample 24 blocks in two waves while an executor dies."""
    from synth_spark.spark import fanout

    before, killed = executors(), []
    wanted = recipe(spark, scratch / "lost", BLOCKS)
    killer = threading.Thread(target=kill_one, args=(scratch / "lost", killed), daemon=True)
    killer.start()
    path, wave_rows = scratch / "lost-twin", BLOCK * BLOCKS // 2
    done = fanout.sample_table(
        spark, wanted, path, facts={"run": "lost"}, wave_rows=wave_rows, partitions=12
    )
    killer.join(timeout=1)
    found = rows(spark, path)
    return {"executors": before, "killed": killed, "waves": done["waves"], "rows": found}


def hang_one(spark: Any, scratch: Path, tasks: int) -> dict[str, Any]:
    """Sample eight blocks in one wave while the first attempt of the task with block 3 hangs."""
    from synth_spark.spark import fanout

    folder = scratch / f"hung-{tasks}"
    wanted = recipe(spark, folder, HUNG_BLOCKS, pause_s=0.05, hangs_at=3)
    path = scratch / f"hung-{tasks}-twin"
    fanout.sample_table(spark, wanted, path, facts={"run": folder.name}, partitions=tasks)
    drawn_by = sorted(int(p.name.split("-")[2]) for p in folder.glob("drawn-3-*"))
    return {"rows": rows(spark, path), "attempts": drawn_by}


def main(scratch: Path) -> None:
    """Sample while an executor dies, then while a task hangs, and say what is in the tables."""
    from synth_spark.spark.session import start

    settings = {
        "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
        "spark.driver.memory": "1g",
        "spark.executor.memory": "1g",
        "spark.local.dir": str(scratch),
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.speculation": "true",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.multiplier": "3",
        "spark.speculation.minTaskRuntime": "1s",
        "spark.speculation.task.duration.threshold": "3s",  # for a stage of a single task
    }
    with cluster(scratch) as address:
        spark = start("two executors", settings, master=address)
        while len(executors()) < 2:
            time.sleep(0.05)
        spark.range(4).repartition(4).count()  # both executors are up
        result: dict[str, Any] = {"lost": lose_one(spark, scratch)}
        result["hung"] = {tasks: hang_one(spark, scratch, tasks) for tasks in TASKS}
        (scratch / "result.json").write_text(json.dumps(result))
        spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
