"""The life of one rank: find the gang, take the GPU, read the shards, train, leave the result.

Runs inside a Spark barrier task, but knows of it only what `Barrier` says, so it can be tested
with threads or processes. What a rank leaves in the folder on shared storage:

* `checkpoint-*`, `curve.jsonl` (see `checkpoints.py`, `loop.py`), `progress.jsonl`;
* `trained.synw`, the result (`core/wire.py`), by rank 0;
* `launches.jsonl`, a line for each start of the gang, whoever started it;
* `failed.json`, where a rank met an error that a restart would only meet again. The other ranks
  then leave quietly, and the driver raises that error instead of starting the gang again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from synth_spark.core.ports import Trained, Trainee
from synth_spark.core.progress import Log, Progress, Say, silent
from synth_spark.core.wire import dumps, loads
from synth_spark.errors import SynthError
from synth_spark.training import places
from synth_spark.training.checkpoints import replace

RESULT, FAILED, PROGRESS = "trained.synw", "failed.json", "progress.jsonl"
SCRATCH = "scratch"  # what a rank spills where Spark gives it no folder
LAUNCHES = "launches.jsonl"  # one line for each start of the gang
_LEAVE = "leave"
QUIET_S = 5.0  # how long a rank that lost the others looks for the reason one of them left


class RanksLostError(SynthError):
    """The gang was lost more often than it may be started again."""

    code = "SYN-608"


class Barrier(Protocol):
    """What a rank asks of its stage (pyspark's BarrierTaskContext)."""

    def partitionId(self) -> int: ...  # noqa: N802
    def allGather(self, message: str) -> list[str]: ...  # noqa: N802


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every rank is told; pickled into the stage."""

    trainee: Trainee
    shards: str
    folder: str
    seed: int
    name: str
    collective: str
    fingerprint: str = ""
    timeout_s: float = 300.0
    launches: int = 3  # the gang is started at most so often
    threads: int = 1


def run_rank(job: Job, barrier: Barrier, addresses: Sequence[str], gpus: Sequence[str]) -> int:
    """Be one rank of the gang to the end; returns the rank.

    Args:
        job: The same on every rank.
        barrier: The stage.
        addresses: Of all tasks, by partition.
        gpus: Addresses of the GPUs that Spark gave this task; the first is taken.

    Raises:
        RankLostError: Another rank died; the stage must fail so that the gang starts again.
    """
    from synth_spark.training.collective import RankLostError

    gang = places.places(addresses)
    place = gang[barrier.partitionId()]
    folder = Path(job.folder)
    with _environment({"CUDA_VISIBLE_DEVICES": gpus[0]} if gpus else {}):
        try:
            _train(job, barrier, gang, place)
        except RankLostError:
            if not _someone_failed(folder):
                raise
        except Exception as error:
            note_failure(folder, error)
    return place.rank


def alone(job: Job, say: Say) -> Trained:
    """Train in this process, with the same files left behind."""
    from synth_spark.training.collective import Single

    log = Log(Path(job.folder) / PROGRESS, quiet=True)
    shutil.rmtree(Path(job.folder) / SCRATCH, ignore_errors=True)  # of a run that was killed

    def both(progress: Progress) -> None:
        log(progress)
        say(progress)

    trained = train_here(job, Single(), both)
    write_result(Path(job.folder), trained)
    return trained


def _count_launch(job: Job) -> None:
    """Note this start; refuse where Spark and the driver together would start for ever."""
    path = Path(job.folder) / LAUNCHES
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"at_s": round(time.time(), 3)}) + "\n")
    launches = len(path.read_text(encoding="utf-8").splitlines())
    if launches > job.launches:
        raise RanksLostError(
            f"The gang was started {job.launches} times and lost every time.",
            hint="the executors' logs (memory?), or fewer ranks; --resume goes on from here",
            launches=job.launches, folder=job.folder,
        )  # fmt: skip


def _train(job: Job, barrier: Barrier, gang: Sequence[places.Place], place: places.Place) -> None:
    from synth_spark.training.collective import join, meeting_point

    folder = Path(job.folder)
    own, server, close = "", "", None
    try:
        own = places.own_address(gang, place)
        if place.rank == 0:
            _count_launch(job)
            if job.collective != "single":
                server, close = meeting_point(job.collective, gang, own)
    except Exception as error:
        note_failure(folder, error)
        server = _LEAVE  # said below, as the others wait there for all of us
    heard = barrier.allGather(server)
    if _LEAVE in heard:
        return
    server = max(heard)  # all but rank 0 said nothing
    try:
        with _environment(_variables(job, place, server, own)):
            collective = join(job.collective, job.timeout_s)
            try:
                log = Log(folder / PROGRESS, quiet=True) if place.rank == 0 else silent
                trained = train_here(job, collective, log)
                if place.rank == 0:
                    write_result(folder, trained)
            finally:
                collective.close()
    finally:
        if close:
            close()


def train_here(job: Job, collective: Any, say: Say) -> Trained:
    """Train on shards as one rank of a gang that is already joined."""
    from synth_spark.training.loop import fit
    from synth_spark.training.shards import Shards, feed

    shards = Shards(Path(job.shards))
    scratch = Path(tempfile.mkdtemp(prefix="synth-spark-rank-", dir=_scratch_home(job)))
    try:
        train, valid = feed(job.trainee, shards, collective, scratch)
        return fit(
            job.trainee, train, valid, collective,
            seed=job.seed, folder=Path(job.folder), say=say, name=job.name,
            fingerprint=f"{job.fingerprint}/{shards.digest}", threads=job.threads, device=device(),
        )  # fmt: skip
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            (Path(job.folder) / SCRATCH).rmdir()  # unless another rank is still at work there


def _scratch_home(job: Job) -> str:
    """Where a rank spills: Spark's own scratch folder, which goes with the executor, else here.

    Not the system's temporary folder: what a killed rank leaves there would stay for ever.
    """
    spark = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]
    if spark and Path(spark).is_dir():
        return spark
    home = Path(job.folder) / SCRATCH
    home.mkdir(parents=True, exist_ok=True)
    return str(home)


def device() -> str:
    """The GPU of this rank, "cuda:0" under its CUDA_VISIBLE_DEVICES, where Spark gave it one."""
    import torch

    given = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return "cuda:0" if given and torch.cuda.is_available() else "cpu"


def _variables(job: Job, place: places.Place, server: str, own: str) -> dict[str, str]:
    if job.collective == "horovod":
        return places.horovod_environment(place, server, own, job.timeout_s)
    return places.torch_environment(place, server, own) if job.collective == "torch" else {}


# ---- the folder -----------------------------------------------------------------------------


def write_result(folder: Path, trained: Trained) -> None:
    """Leave the result for the driver."""
    replace(folder / RESULT, dumps(asdict(trained)))


def read_result(folder: Path) -> Trained:
    """What rank 0 left."""
    return Trained(**loads((folder / RESULT).read_bytes()))


def note_failure(folder: Path, error: Exception) -> None:
    """Leave the reason why a restart would not help; the first one stays."""
    ours = isinstance(error, SynthError)
    facts = {k: str(v) for k, v in error.facts.items()} if ours else {}
    note = {
        "code": error.code if ours else "",
        "message": str(error.args[0]) if error.args else str(error),
        "kind": type(error).__name__,
        "hint": error.hint if ours else "",
        "facts": facts,
        "trace": "".join(traceback.format_exception(error))[-4000:],
    }
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FAILED).exists():
        replace(folder / FAILED, json.dumps(note, indent=1).encode())


def _someone_failed(folder: Path) -> bool:
    end = time.monotonic() + QUIET_S
    while not (folder / FAILED).exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables for this block only: Spark uses its Python workers again for other work."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
