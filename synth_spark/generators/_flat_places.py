"""Where the places of a flat table lie, for networks and tables that tell neighbours together.

The map is cut in two halves of as many places across its longer side, each half again, and so on: a
k-d tree (Bentley, "Multidimensional binary search trees used for associative searching", CACM 18,
1975).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.columns.place import Place

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]


def flat_map(degrees: Reals) -> Reals:
    """Places (n, 2) on a plane whose both ways are as long; degrees of latitude."""
    return np.asarray(degrees * [1.0, np.cos(np.radians(np.mean(degrees[:, 0])))])


def parts(degrees: Reals, most: int = 1 << 16) -> Iterator[Whole]:
    """Which half, quarter, eighth ... each place is in, (n,); `most` parts, and no empty ones."""
    if len(degrees) < 2:
        return
    ways, part = flat_map(degrees), np.zeros(len(degrees), np.int64)
    for _ in range(int(np.log2(max(min(len(degrees), most), 1)))):
        part = _halved(ways, part)
        yield part


def basis(codec: Place, most: int, finer: float = 1.0) -> NDArray[np.float32]:
    """Ranks of both ways, and the parts that each place is in; shape (vocabulary, features).

    A missing place has a feature of its own, the last.

    Args:
        codec: Of the places.
        most: Parts of the finest cut, at most.
        finer: Scale of the parts of each cut, beside those of the cut before.
    """
    count = len(codec.centre)
    rank = codec.centre.argsort(axis=0, kind="stable").argsort(axis=0)
    blocks = [((2 * rank + 1) / max(count, 1) - 1).astype(np.float32)]
    for cut, part in enumerate(parts(codec.centre, most)):
        inside = (part[:, None] == np.arange(part.max() + 1)).astype(np.float32)
        blocks.append(inside * np.float32(finer**cut))
    out = np.pad(np.hstack(blocks), ((0, codec.vocabulary - count),) * 2)
    out[count:, -1:] = 1.0 if codec.vocabulary > count else out[count:, -1:]
    return out


def _halved(ways: Reals, part: Whole) -> Whole:
    out = 2 * part
    for each in np.unique(part):
        inside = np.flatnonzero(part == each)
        longer = int(np.argmax(np.ptp(ways[inside], axis=0)))
        order = np.argsort(ways[inside, longer], kind="stable")
        out[inside[order[(len(inside) + 1) // 2 :]]] += 1
    return np.asarray(out)
