"""Checkpoints that survive a kill at any moment: written aside, then renamed; read with a check.

A checkpoint is two files: `checkpoint-STEP.safetensors` with the vectors and, written last,
`checkpoint-STEP.json` with the counters, the fingerprint of the run and the SHA-256 of the first.
Without its JSON a file counts for nothing. The last two are kept, so that a damaged newest one
costs an epoch and not the run. Nothing here is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synth_spark.errors import SynthError

FORMAT = 1
KEPT = 2


class ForeignCheckpointError(SynthError):
    """The folder holds checkpoints of another run: other data, settings, network or seed."""

    code = "SYN-602"


class DamagedCheckpointError(SynthError):
    """Every checkpoint in the folder is cut or changed."""

    code = "SYN-603"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run needs to go on as if nothing had happened."""

    vectors: dict[str, torch.Tensor]
    counters: dict[str, Any]  # JSON types
    skipped: tuple[str, ...] = ()  # names of newer checkpoints that were damaged


def write(
    folder: Path, step: int, vectors: dict[str, torch.Tensor], counters: dict[str, Any], mark: str
) -> None:
    """Write one checkpoint and forget all but the last two.

    Args:
        folder: Made if missing; on storage that all ranks reach.
        step: Optimiser steps done; the order of the checkpoints.
        vectors: What to keep; contiguous tensors.
        counters: JSON types only.
        mark: Fingerprint of the run.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: v.detach().cpu().contiguous() for name, v in vectors.items()})
    name = f"checkpoint-{step:09d}"
    replace(folder / f"{name}.safetensors", data)
    head = {"format": FORMAT, "step": step, "fingerprint": mark, "counters": counters}
    head["sha256"] = hashlib.sha256(data).hexdigest()
    replace(folder / f"{name}.json", json.dumps(head, indent=1).encode())
    for old in _names(folder)[:-KEPT]:
        # The JSON goes first: without it the other file counts for nothing.
        (folder / f"{old}.json").unlink(missing_ok=True)
        (folder / f"{old}.safetensors").unlink(missing_ok=True)


def read(folder: Path, mark: str) -> Checkpoint | None:
    """The newest good checkpoint of the run `mark`; None where the folder has none.

    Raises:
        ForeignCheckpointError: The newest readable one belongs to another run (SYN-602).
        DamagedCheckpointError: There are some and none can be read (SYN-603).
    """
    skipped: list[str] = []
    for name in reversed(_names(folder)):
        found = _read_one(folder, name)
        if found is None:
            skipped.append(name)
            continue
        head, vectors = found
        if head["fingerprint"] != mark:
            raise ForeignCheckpointError(
                f"{folder} holds a checkpoint of another run (other data, settings or seed).",
                hint="another folder, or remove this one to start anew",
                folder=str(folder), found=head["fingerprint"], expected=mark,
            )  # fmt: skip
        return Checkpoint(vectors, head["counters"], tuple(skipped))
    if skipped:
        raise DamagedCheckpointError(
            f"None of the {len(skipped)} checkpoints in {folder} can be read.",
            hint="remove the folder to start anew",
            folder=str(folder), damaged=skipped,
        )  # fmt: skip
    return None


def clear(folder: Path) -> None:
    """Forget the checkpoints of a folder, for a run that must start anew."""
    for name in _names(folder):
        (folder / f"{name}.json").unlink(missing_ok=True)
        (folder / f"{name}.safetensors").unlink(missing_ok=True)


def _read_one(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        head = json.loads((folder / f"{name}.json").read_bytes())
        data = (folder / f"{name}.safetensors").read_bytes()
        if head["format"] != FORMAT or head["sha256"] != hashlib.sha256(data).hexdigest():
            return None
        return head, load(data)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _names(folder: Path) -> list[str]:
    return sorted(p.stem for p in folder.glob("checkpoint-*.json"))


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never half of them."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must survive a power cut
    except OSError:  # some network file systems refuse; the rename is still whole
        pass
    finally:
        os.close(folder)
