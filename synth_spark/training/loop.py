"""The training loop: AdamW, warm-up and cosine, averaged weights, early stopping, on any gang.

One story for one process, for Horovod ranks and for torch.distributed: see
docs/explanation-training.md.
The steps themselves are in `run.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.ports import Collective, Train, Trained, Trainee
from synth_spark.core.progress import Say, silent
from synth_spark.errors import SynthError
from synth_spark.training.collective import Single
from synth_spark.training.rows import Held, Rows
from synth_spark.training.run import Run
from synth_spark.training.shards import checked, split


class NoExamplesError(SynthError):
    """There is not one training example."""

    code = "SYN-604"


def fit(
    trainee: Trainee,
    train: Encoded | Rows,
    valid: Encoded | Rows | None,
    collective: Collective | None = None,
    *,
    seed: int,
    folder: Path | None = None,
    say: Say = silent,
    name: str = "net",
    fingerprint: str = "",
    threads: int = 1,
    device: str = "cpu",
    checkpoint_every_s: float = 300.0,
) -> Trained:
    """Train to the end, going on from the folder's last checkpoint if it holds one of this run.

    Args:
        trainee: What is trained, and by which schedule.
        train: Whole subjects (every rank the same), or rows that know their rank.
        valid: The same for the subjects that the loss is checked on; with none, the last
            epoch's weights are kept and nothing stops early.
        collective: The gang; None for one process.
        seed: Of the first weights, the shuffles and the dropout.
        folder: For `checkpoint-*`, `curve.jsonl`; on storage that all ranks reach. None: none.
        say: Told of every epoch, and every ten seconds within one; on rank 0 only.
        name: Shown in the progress lines.
        fingerprint: Of the plan and the data; joins that of schedule, network and seed.
        threads: Of torch, while the loop runs.
        device: "cpu" or "cuda:0".
        checkpoint_every_s: Seconds after which a checkpoint is written within an epoch.

    Raises:
        NoExamplesError: `train` is empty (SYN-604).
        LossNotFiniteError: The loss is infinite or not a number (SYN-601).
        ForeignCheckpointError: The folder belongs to another run (SYN-602).
        DamagedCheckpointError: No checkpoint in the folder can be read (SYN-603).
    """
    gang = collective or Single()
    rows = _rows(trainee, train, gang, check=False)
    if not rows.total:
        raise NoExamplesError(
            "There is no training example.", hint="more subjects, or a smaller valid_share"
        )
    with _torch(threads, device):
        run = Run(
            trainee, (rows, _rows(trainee, valid, gang, check=True)), gang, seed=seed, device=device
        )
        run.folder, run.say, run.name, run.every_s = folder, say, name, checkpoint_every_s
        run.resume(fingerprint)
        run.score_first()
        while not run.at.stopped:
            run.epoch()
        return run.trained()


def train_local(
    request: Train,
    records: Records,
    seed: int = 0,
    *,
    folder: Path | None = None,
    say: Say = silent,
    device: str = "cpu",
) -> Trained:
    """Answer a `Train` request from records in memory, in this process.

    Gives the weights that `spark/ranks.py` gives with one rank on the same subjects, however
    they were cut into shards.
    """
    share = request.trainee.schedule.valid_share
    train, valid = split(request.encode(records), share, seed)
    return fit(
        request.trainee, train, valid,
        seed=seed, folder=folder, say=say, name=request.name, device=device,
    )  # fmt: skip


def _rows(
    trainee: Trainee, source: Encoded | Rows | None, gang: Collective, *, check: bool
) -> Rows:
    if source is None or (isinstance(source, Encoded) and not source.subjects):
        return Held({})
    if not isinstance(source, Encoded):
        return source
    examples = trainee.examples(source)
    return checked(trainee, examples, gang) if check else Held(examples, gang.rank, gang.size)


@contextmanager
def _torch(threads: int, device: str) -> Iterator[None]:
    """Torch with that many threads, and the caller's random states given back at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
            yield
    finally:
        torch.set_num_threads(before)
