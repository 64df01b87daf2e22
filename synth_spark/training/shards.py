"""Shards and splits: whole subjects from the files that Spark wrote, and who checks the loss.

The format is told in `spark/shards.py`; it is read here with pyarrow alone, so a rank needs no
Spark. Small tables are held whole by every rank (any number of ranks then takes the same steps);
larger ones are shared out file by file and spilled as ready arrays, see `rows.py`.

`split` is for records in memory. A subject's side is a function of its content and the seed: not
of its id or the order of rows. Two equal subjects stand on the same side, and each side is in the
order of its content's hash.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth_spark.core.batch import MARK, Encoded
from synth_spark.core.ports import Collective, Trainee
from synth_spark.core.seeds import stream_key
from synth_spark.errors import SynthError
from synth_spark.training.rows import Arrays, Held, Rows, Spilled, count, spill

VERSION = 1
HELD_BYTES = 1 << 30  # examples up to this size are held whole by every rank

_U64 = np.uint64


class ShardsError(SynthError):
    """A folder of encoded shards is unfinished, of another version, or lacks what it lists."""

    code = "SYN-605"


class Shards:
    """A finished folder of shards.

    Raises:
        ShardsError: There is no manifest, or one of another version (SYN-605).
    """

    def __init__(self, folder: Path) -> None:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
        except (OSError, ValueError) as error:
            raise ShardsError(
                f"{folder} is not a finished folder of shards.",
                hint="encode again; all ranks must reach the folder (shared storage)",
                folder=str(folder), cause=str(error),
            ) from error  # fmt: skip
        if manifest.get("version") != VERSION:
            raise ShardsError(
                f"{folder} holds shards of version {manifest.get('version')}, not {VERSION}.",
                hint="encode again", folder=str(folder), version=manifest.get("version"),
            )  # fmt: skip
        self.folder, self.manifest = folder, manifest
        self.files: list[dict[str, Any]] = manifest["files"]
        self.rows, self.digest = int(manifest["rows"]), str(manifest["digest"])

    def read(self, file: int) -> tuple[Encoded, Encoded]:
        """The training and the validation subjects of one file, in its order.

        Raises:
            ShardsError: The file is missing, cut, or holds other counts than listed (SYN-605).
        """
        import pyarrow.parquet as pq

        listed = self.files[file]
        path = self.folder / listed["path"]
        try:
            table = pq.ParquetFile(path).read()
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors or OSErrors
            raise ShardsError(
                f"The shard {path.name} cannot be read.", hint="encode again",
                file=str(path), cause=str(error),
            ) from error  # fmt: skip
        offsets = np.zeros(table.num_rows + 1, dtype=np.int64)
        np.cumsum(table.column("length").to_numpy(), out=offsets[1:])
        if table.num_rows != listed["subjects"] or offsets[-1] != listed["rows"]:
            raise ShardsError(
                f"The shard {path.name} holds other counts than the manifest lists.",
                hint="encode again", file=str(path), subjects=table.num_rows,
            )  # fmt: skip
        arrays = {
            part: {
                n: _array(table.column(f"{part[0]}.{n}"), a, rows)
                for n, a in self.manifest[part].items()
            }
            for part, rows in (("context", table.num_rows), ("events", int(offsets[-1])))
        }
        encoded = Encoded(arrays["context"], arrays["events"], offsets)
        valid = np.asarray(table.column("valid").to_numpy())
        return encoded.take(np.flatnonzero(~valid)), encoded.take(np.flatnonzero(valid))


def feed(
    trainee: Trainee, shards: Shards, gang: Collective, scratch: Path, held_bytes: int = HELD_BYTES
) -> tuple[Rows, Rows]:
    """What the loop reads on this rank: training and validation rows.

    Args:
        trainee: Makes the examples, once a shard.
        shards: The folder, the same on every rank.
        gang: The ranks; all must call this together.
        scratch: A local folder for spilled examples.
        held_bytes: Examples up to this size are held whole by every rank.
    """
    # Rank 0 looks at the first file and decides for all.
    estimate = torch.zeros(1, dtype=torch.float64)
    if gang.rank == 0 and shards.files:
        found = [trainee.examples(e) for e in shards.read(0) if e.subjects]
        bytes_read = sum(a.nbytes for examples in found for a in examples.values())
        estimate[0] = bytes_read * shards.rows / max(1, shards.files[0]["rows"])
    if float(gang.broadcast(estimate, "bytes")[0]) <= held_bytes:
        return _held(trainee, shards, gang)
    return _spilled(trainee, shards, gang, scratch, buffer_bytes=held_bytes)


def _held(trainee: Trainee, shards: Shards, gang: Collective) -> tuple[Rows, Rows]:
    sides: tuple[list[Arrays], list[Arrays]] = ([], [])
    for file in range(len(shards.files)):
        for side, encoded in zip(sides, shards.read(file), strict=True):
            if encoded.subjects:
                side.append(trainee.examples(encoded))
    train, valid = map(_stacked, sides)
    return Held(train, gang.rank, gang.size), checked(trainee, valid, gang)


def checked(trainee: Trainee, examples: Arrays, gang: Collective) -> Held:
    """The held-back examples that a rank checks: its share, or all where the schedule says so."""
    whole = trainee.schedule.check_whole
    return Held(examples) if whole else Held(examples, gang.rank, gang.size)


def _stacked(parts: list[Arrays]) -> Arrays:
    if len(parts) < 2:
        return parts[0] if parts else {}
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _spilled(
    trainee: Trainee, shards: Shards, gang: Collective, scratch: Path, buffer_bytes: int
) -> tuple[Rows, Rows]:
    folders: tuple[list[Path], list[Path]] = ([], [])
    sizes: tuple[list[int], list[int]] = ([], [])
    bytes_a_row = 1.0
    for file in range(gang.rank, len(shards.files), gang.size):
        for side, encoded in enumerate(shards.read(file)):
            if not encoded.subjects:
                continue
            examples = trainee.examples(encoded)
            folders[side].append(scratch / f"{'tv'[side]}{file:05d}")
            sizes[side].append(spill(examples, folders[side][-1]))
            bytes_a_row = sum(a.nbytes for a in examples.values()) / max(1, count(examples))
    totals = gang.sum(torch.tensor([sum(s) for s in sizes], dtype=torch.int64), "examples").tolist()
    # A buffer is held twice for a moment while it is shuffled, and the next one is read beside it.
    buffer = max(1, int(buffer_bytes / 4 / bytes_a_row))
    train, valid = (
        Spilled(f, s, total=t, buffer_rows=buffer, rank=gang.rank)
        for f, s, t in zip(folders, sizes, totals, strict=True)
    )
    return train, valid


def _array(column: Any, about: dict[str, Any], rows: int) -> NDArray[Any]:
    """One array, shape (rows, width); the width may be 0, as of the numbers of a table of texts."""
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.astype(about["dtype"], copy=False).reshape(rows, about["width"])


def split(encoded: Encoded, share: float, seed: int) -> tuple[Encoded, Encoded]:
    """About `1 - share` and `share` of the subjects, each in the order of their content's hash.

    Args:
        encoded: Whole subjects.
        share: Of the second part, in [0, 1).
        seed: Another seed gives another split.
    """
    marks = fingerprints(encoded)
    order = np.argsort(marks, kind="stable").astype(np.int64)
    with np.errstate(over="ignore"):
        drawn = _mix(marks[order] ^ _U64(stream_key(seed, "valid") >> 64))
    kept = (drawn >> _U64(11)).astype(np.float64) * 2.0**-53 < share
    return encoded.take(order[~kept]), encoded.take(order[kept])


def fingerprints(encoded: Encoded) -> NDArray[np.uint64]:
    """A 64-bit hash of each subject's content, its events in order; shape (subjects,).

    Where the context has a `MARK` it stands for the content: two encodings of the same subjects
    then hold back the same ones.
    """
    subjects, lengths = encoded.subjects, np.diff(encoded.offsets)
    if MARK in encoded.context:
        with np.errstate(over="ignore"):
            return _absorb(np.zeros(subjects, _U64), encoded.context[MARK])
    with np.errstate(over="ignore"):
        marks = _mix(lengths.astype(_U64) + _U64(1))
        for name in sorted(encoded.context):
            marks = _absorb(marks, encoded.context[name])
        if not encoded.events:
            return marks
        starts = np.repeat(encoded.offsets[:-1], lengths)
        place = np.arange(len(starts), dtype=np.int64) - starts
        rows = _mix(place.astype(_U64) + _U64(0x5851F42D4C957F2D))
        for name in sorted(encoded.events):
            rows = _absorb(rows, encoded.events[name])
        sums = np.concatenate([np.zeros(1, _U64), np.cumsum(rows, dtype=_U64)])
        total = sums[encoded.offsets[1:]] - sums[encoded.offsets[:-1]]
        return _mix(marks + total) if subjects else marks


def _absorb(marks: NDArray[np.uint64], values: NDArray[Any]) -> NDArray[np.uint64]:
    """Mix the columns of one two-dimensional array into the marks of its rows."""
    for column in range(values.shape[1]):
        one = values[:, column]
        bits = one.astype(np.float64).view(_U64) if one.dtype.kind == "f" else one.astype(_U64)
        marks = _mix(marks * _U64(0x9E3779B97F4A7C15) + bits)
    return marks


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014, figure 17."""
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))
