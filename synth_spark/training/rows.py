"""Training examples in batches: held in memory by every rank, or spilled to disk rank by rank.

*Held*: every rank has all the examples and takes its share of each batch. Which examples stand in
a batch then depends on the seed and the epoch only, so any number of ranks takes the same steps
up to rounding. *Spilled*: a rank turns its own shards into files of ready arrays once and reads
them shard after shard through a bounded shuffle buffer; a batch is then the union of what the
ranks bring.

In both an epoch has the same number of steps on every rank, and every example is used once: the
rows are cut into that many near-equal parts. A rank with fewer rows brings smaller parts, one
with none brings empty ones, and all join every sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from synth_spark.core.seeds import generator

Arrays = dict[str, NDArray[Any]]
Tensors = dict[str, torch.Tensor]


class Rows(Protocol):
    """Where the loop takes its examples from."""

    total: int  # examples over all ranks

    def epoch(self, seed: int, epoch: int, steps: int) -> Iterator[Tensors]:
        """This rank's part of each of an epoch's `steps` batches, shuffled; may be empty."""

    def ordered(self, rows: int) -> Iterator[Tensors]:
        """This rank's share of all examples once, at most `rows` at a time, in fixed order."""


def count(arrays: Arrays | Tensors) -> int:
    """Rows of row-aligned arrays."""
    return len(next(iter(arrays.values()))) if arrays else 0


def steps_of(total: int, batch_size: int) -> int:
    """Steps of an epoch: the number of batches that comes nearest to `batch_size` rows each.

    Example:
        >>> steps_of(5634, 256), steps_of(10, 256)
        (22, 1)
    """
    return max(1, round(total / batch_size))


class Held:
    """All examples in memory; rank r takes rows r, r + size, ... of every batch."""

    def __init__(self, examples: Arrays, rank: int = 0, size: int = 1) -> None:
        self._tensors = tensors(examples)
        self.total, self._rank, self._size = count(examples), rank, size

    def epoch(self, seed: int, epoch: int, steps: int) -> Iterator[Tensors]:
        order = torch.from_numpy(generator(seed, "shuffle", epoch).permutation(self.total))
        for part in torch.tensor_split(order, steps):
            rows = part[self._rank :: self._size]
            yield {name: t.index_select(0, rows) for name, t in self._tensors.items()}

    def ordered(self, rows: int) -> Iterator[Tensors]:
        start = self.total * self._rank // self._size
        end = self.total * (self._rank + 1) // self._size
        for at in range(start, end, rows):
            yield {n: t[at : min(at + rows, end)] for n, t in self._tensors.items()}


class Spilled:
    """One rank's examples as .npy files, one folder a shard; see `Spill` for the writing.

    Args:
        folders: The folders of this rank's shards, in a fixed order.
        sizes: Rows of each.
        total: Rows over all ranks.
        buffer_rows: About how many rows are shuffled together (whole shards, at least one).
        rank: Part of the shuffle's seed, so that ranks do not shuffle alike.
    """

    def __init__(
        self, folders: list[Path], sizes: list[int], *, total: int, buffer_rows: int, rank: int
    ) -> None:
        self._folders, self._sizes, self._buffer = folders, sizes, buffer_rows
        self.total, self._rank = total, rank

    def epoch(self, seed: int, epoch: int, steps: int) -> Iterator[Tensors]:
        random = generator(seed, f"shuffle/{self._rank}", epoch)
        wanted = [len(p) for p in np.array_split(np.empty(sum(self._sizes), np.bool_), steps)]
        blocks = self._blocks(random)
        held: Tensors = {}
        for rows in wanted:
            while count(held) < rows:
                held = joined(held, next(blocks))
            yield {n: t[:rows] for n, t in held.items()}
            held = {n: t[rows:] for n, t in held.items()}

    def _blocks(self, random: np.random.Generator) -> Iterator[Tensors]:
        """Shuffled buffers of whole shards, the shards in shuffled order."""
        group: list[int] = []
        order = [int(i) for i in random.permutation(len(self._folders))]
        for place, shard in enumerate(order):
            group.append(shard)
            full = sum(self._sizes[i] for i in group) >= self._buffer
            if full or place == len(order) - 1:
                block: Tensors = {}
                for i in group:
                    block = joined(block, self._load(i))
                rows = torch.from_numpy(random.permutation(count(block)))
                yield {n: t.index_select(0, rows) for n, t in block.items()}
                group = []

    def ordered(self, rows: int) -> Iterator[Tensors]:
        for shard, size in enumerate(self._sizes):
            block = self._load(shard) if size else {}
            for at in range(0, size, rows):
                yield {n: t[at : at + rows] for n, t in block.items()}

    def _load(self, shard: int) -> Tensors:
        return tensors({p.stem: np.load(p) for p in sorted(self._folders[shard].glob("*.npy"))})


def spill(examples: Arrays, folder: Path) -> int:
    """Write one shard's examples as .npy files and return the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in examples.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return count(examples)


def tensors(arrays: Arrays) -> Tensors:
    """Arrays as tensors that share their memory where it may be written."""
    return {n: torch.from_numpy(_own(a)) for n, a in sorted(arrays.items())}


def _own(array: NDArray[Any]) -> NDArray[Any]:
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


def joined(left: Tensors, right: Tensors) -> Tensors:
    """The rows of both, in order; either may be empty."""
    if not count(left):
        return right
    return {n: torch.cat([left[n], right[n]]) if count(right) else left[n] for n in left}
