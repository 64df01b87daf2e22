"""Training on ranks: one barrier stage, a gang inside it, and what happens when a rank is lost.

The stage is `mapInArrow(..., barrier=True)` with an exchange after it: Spark gives up for good on
a failed barrier *result* stage, but starts a failed barrier *map* stage again, whole. Where it
gives up all the same, the driver submits again. Either way the gang goes on from the last
checkpoint, and rank 0 counts the launches, so that a gang that always dies is not started for
ever. Uses no `sparkContext`, so it also runs in a Connect session.

One rank needs no gang: docs/decisions/0005-one-rank-in-the-driver.md.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.core.ports import Train, Trained
from synth_spark.core.progress import Progress, Say, silent
from synth_spark.errors import SynthError
from synth_spark.training import rank as life
from synth_spark.training.rank import Job, RanksLostError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_POLL_S = 0.5
_PROGRESS = ("stage", "done", "total", "of", "elapsed_s", "numbers")


class SlotsError(SynthError):
    """More ranks were asked for than the cluster can run at once."""

    code = "SYN-606"


class DynamicAllocationError(SynthError):
    """Spark runs no barrier stage while it may add and remove executors."""

    code = "SYN-607"


class RankFailedError(SynthError):
    """A rank met an error that a restart would only meet again."""

    code = "SYN-609"


def train_on_ranks(
    spark: SparkSession | None,
    request: Train,
    shards_folder: Path,
    *,
    ranks: int = 1,
    collective: str = "auto",
    folder: Path,
    seed: int,
    say: Say = silent,
    max_restarts: int = 2,
    fingerprint: str = "",
    timeout_s: float = 300.0,
    threads: int = 1,
) -> Trained:
    """Train on `ranks` tasks of the cluster at once; goes on from the folder's checkpoint.

    Args:
        spark: The session; may be None for one rank, which then runs in this process.
        request: Its trainee goes to the ranks, which read shards that are encoded already.
        shards_folder: Written by `spark/shards.py`; every rank must reach it.
        ranks: Training processes.
        collective: "horovod", "torch" (torch.distributed), "single" (one rank), or "auto".
        folder: For checkpoints, curve and result; every rank and the driver must reach it.
        seed: Of first weights, shuffles and dropout.
        say: Told of the progress while the ranks train.
        max_restarts: How often a lost gang is started again.
        fingerprint: Of the plan; a checkpoint of another one is refused.
        timeout_s: How long a rank waits for the others at a meeting or a sum.
        threads: Of torch on each rank; more than one may change the last digits of the weights.

    Raises:
        SlotsError: The cluster has fewer slots than ranks (SYN-606).
        DynamicAllocationError: Dynamic allocation is on (SYN-607).
        RanksLostError: The gang was lost more than `max_restarts` times (SYN-608).
        RankFailedError: A rank met an error that is not ours (SYN-609).
        SynthError: What a rank met, under its own number.
    """
    kind = _kind(collective, ranks)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (life.FAILED, life.RESULT, life.LAUNCHES):
        (folder / name).unlink(missing_ok=True)
    job = Job(
        trainee=request.trainee, shards=str(Path(shards_folder).absolute()),
        folder=str(folder.absolute()), seed=seed, name=request.name, collective=kind,
        fingerprint=fingerprint, timeout_s=timeout_s, launches=max_restarts + 1,
        threads=threads,
    )  # fmt: skip
    settings = _settings(spark)
    here = spark is None or settings.get("spark.master", "").startswith("local[")
    if kind == "single" and here:
        return life.alone(job, say)
    check(settings, ranks)
    with _tail(folder / life.PROGRESS, say):
        _launch(spark, job, ranks, settings, max_restarts)
    return life.read_result(folder)


def check(settings: Mapping[str, str], ranks: int) -> None:
    """Refuse before the submit what Spark would refuse late, or wait for.

    Raises:
        SlotsError: The cluster has fewer slots than ranks (SYN-606).
        DynamicAllocationError: Dynamic allocation is on (SYN-607).
    """
    if settings.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise DynamicAllocationError(
            "Training on ranks needs executors that stay, and dynamic allocation is on.",
            hint="spark.dynamicAllocation.enabled=false and spark.executor.instances, or one rank",
        )
    have = slots(settings)
    if have is not None and have < ranks:
        raise SlotsError(
            f"The plan asks for {ranks} ranks and the cluster runs {have} such tasks at once.",
            hint=f"fit.ranks: {have}, or more cores (GPUs) for the session",
            ranks=ranks, slots=have, master=settings.get("spark.master", ""),
        )  # fmt: skip


def slots(settings: Mapping[str, str]) -> int | None:
    """Tasks of the training stage that the cluster runs at once; None where settings do not tell.

    Example:
        >>> slots({"spark.master": "local[2]"})
        2
        >>> slots({"spark.master": "local-cluster[3,2,1024]", "spark.task.cpus": "2"})
        3
    """
    master, cpus = settings.get("spark.master", ""), int(settings.get("spark.task.cpus", "1"))
    if found := re.fullmatch(r"local(?:\[([^,\]]+)(?:,.*)?\])?", master):
        cores = found.group(1) or "1"
        return (len(os.sched_getaffinity(0)) if cores == "*" else int(cores)) // cpus
    if found := re.fullmatch(r"local-cluster\[(\d+),(\d+),\d+\]", master.replace(" ", "")):
        executors, each = int(found.group(1)), int(found.group(2))
    elif "spark.executor.instances" in settings and "spark.executor.cores" in settings:
        executors = int(settings["spark.executor.instances"])
        each = int(settings["spark.executor.cores"])
    else:
        return None
    tasks = each // cpus
    gpus = _gpus(settings)
    return executors * (min(tasks, gpus) if gpus else tasks)


def _gpus(settings: Mapping[str, str]) -> int:
    return int(float(settings.get("spark.executor.resource.gpu.amount", "0")))


def _kind(collective: str, ranks: int) -> str:
    if ranks == 1:
        return "single"
    if collective == "single":
        raise SlotsError(
            f"The collective `single` is one process, and the plan asks for {ranks} ranks.",
            hint="collective: auto", ranks=ranks, slots=1,
        )  # fmt: skip
    if collective == "auto":
        return "horovod" if find_spec("horovod") else "torch"
    return collective


def _settings(spark: SparkSession | None) -> dict[str, str]:
    if spark is None:
        return {}
    names = (
        "spark.master", "spark.task.cpus", "spark.executor.instances", "spark.executor.cores",
        "spark.dynamicAllocation.enabled", "spark.executor.resource.gpu.amount",
    )  # fmt: skip
    found = {name: spark.conf.get(name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _launch(spark: Any, job: Job, ranks: int, settings: Mapping[str, str], restarts: int) -> None:
    folder = Path(job.folder)
    for _ in range(restarts + 1):
        cause: Exception | None = None
        try:
            _submit(spark, job, ranks, settings)
        except Exception as error:  # py4j, Connect and pyspark have no base in common
            _explain(error, ranks)
            cause = error
        if (folder / life.FAILED).exists():
            raise _failure(folder) from cause
        if cause is None:
            return
    raise RanksLostError(
        f"The gang of {ranks} ranks was lost {restarts + 1} times.",
        hint="the executors' logs (memory?), or fewer ranks; --resume goes on from the checkpoint",
        folder=str(folder), cause=str(cause)[-1500:],
    )  # fmt: skip


def _submit(spark: Any, job: Job, ranks: int, settings: Mapping[str, str]) -> None:
    profile = None
    if _gpus(settings) and not re.match(r"local(\[|$)", settings.get("spark.master", "")):
        from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

        # Other stages may share a card (a fraction a task); a rank gets a whole one.
        cpus = int(settings.get("spark.task.cpus", "1"))
        needs = TaskResourceRequests().cpus(cpus).resource("gpu", 1)
        profile = ResourceProfileBuilder().require(needs).build
    frame = spark.range(0, ranks, 1, ranks)
    stage = frame.mapInArrow(partial(_task, job), "rank int", barrier=True, profile=profile)
    stage.repartition(1).collect()


def _task(job: Job, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The body of one barrier task."""
    import pyarrow as pa
    from pyspark import BarrierTaskContext

    for _ in batches:  # one number a task; nothing to learn from it
        pass
    context = BarrierTaskContext.get()
    addresses = [info.address for info in context.getTaskInfos()]
    given = context.resources().get("gpu")
    rank = life.run_rank(job, context, addresses, list(given.addresses) if given else [])
    yield pa.RecordBatch.from_arrays([pa.array([rank], pa.int32())], names=["rank"])


def _explain(error: Exception, ranks: int) -> None:
    """Raise Spark's two refusals of barrier stages as ours; say nothing about the rest."""
    text = str(error)
    if "requires more slots" in text:
        raise SlotsError(
            f"The cluster cannot run {ranks} ranks at once.",
            hint="fewer ranks, or more cores (GPUs) for the session", ranks=ranks,
        ) from error  # fmt: skip
    if "does not support dynamic resource allocation" in text:
        check({"spark.dynamicAllocation.enabled": "true"}, ranks)


def _failure(folder: Path) -> SynthError:
    """The error that a rank noted, as itself where it is one of ours."""
    note = json.loads((folder / life.FAILED).read_text(encoding="utf-8"))
    kinds: list[type[SynthError]] = [SynthError]
    for kind in kinds:  # grows while it is walked
        kinds.extend(kind.__subclasses__())
        if note["code"] and kind.code == note["code"]:
            return kind(note["message"], hint=note["hint"], **note["facts"])
    number = f"[{note['code']}] " if note["code"] else ""
    return RankFailedError(
        f"A rank stopped with {number}{note['kind']}: {note['message']}",
        hint=note["hint"] or "the trace is in failed.json of the folder",
        folder=str(folder), trace=note["trace"],
    )  # fmt: skip


@contextmanager
def _tail(path: Path, say: Say) -> Iterator[None]:
    """Say what rank 0 writes to its progress file, while it writes it."""
    start = path.stat().st_size if path.exists() else 0
    ended = threading.Event()

    def follow() -> None:
        at = start
        while True:
            last = ended.wait(_POLL_S)
            at = _say_new(path, at, say)
            if last:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)


def _say_new(path: Path, at: int, say: Say) -> int:
    """Say the whole lines after byte `at`; returns where the next one starts."""
    if not path.exists():
        return at
    with path.open("rb") as file:
        file.seek(at)
        data = file.read()
    end = data.rfind(b"\n") + 1
    for line in data[:end].splitlines():
        entry = json.loads(line)
        say(Progress(**{k: entry[k] for k in _PROGRESS}))
    return at + end
