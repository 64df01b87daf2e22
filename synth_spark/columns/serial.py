"""Serial numbers: ids of a flat table that run with what stands in its rows, such as with time.

A model draws them as it draws any number, so that a late ticket has a high one; what it draws may
repeat, so that each row then gets a number of its own near by. None of the source's ids is kept,
but `MOST_KNOTS` quantiles of them, each of `HOLDERS` rows at least and moved off the ids
themselves; and a drawn number is moved by chance among the `HOLDERS` around it, whatever drew it.

Numbers are shared out so that a block needs to know of no other: each has its own between any two
quantiles. Blocks beyond those of as many rows as the source has (of a larger twin, or of many
conditions that begin one each) have none where ids are dense: their numbers go on above the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Learning, Take
from synth_spark.core.schema import Schema

SAMPLE_ROWS = 50_000
MOST_KNOTS = 1_024
HOLDERS = 20  # rows between two knots
ROOMY = 4  # numbers a row that a block has between two knots, where there are so many
MOST_SPREAD = 64  # blocks among which scarce numbers are spread by their rows
GOLDEN = 0.6180339887498949  # its multiples spread evenly (Weyl 1916)


@dataclass(frozen=True, slots=True)
class Serial:
    """How many ids lie where: as many rows between any two neighbouring knots."""

    knots: NDArray[np.int64]  # (k + 1,), strictly ascending; the last one is no id
    rows: int  # of the source, and of the twin unless more are asked for

    @classmethod
    def of(cls, values: NDArray[np.float64], rows: int) -> Self | None:
        """The knots of a sample of different whole numbers, None where they are too few.

        Args:
            values: Shape (n,); NaN where missing.
            rows: Of the whole source.
        """
        ids = np.unique(values[np.isfinite(values)]).astype(np.int64)
        count = min(len(ids) // HOLDERS, MOST_KNOTS)
        if count < 2:
            return None
        cuts = np.linspace(0, len(ids), count + 1)[1:-1].astype(np.int64)
        inner = (ids[cuts - 1] + ids[cuts] + 1) // 2
        low, high = int(ids[cuts[0] // 2]), int(ids[(cuts[-1] + len(ids)) // 2])
        first = 2 * low - int(inner[0])  # as far below the middle as the next knot lies above it
        first = max(first, 1) if low > 0 else first
        last = 2 * high - int(inner[-1])
        return cls(np.unique(np.concatenate([[first], inner, [last]])), rows)

    def numbers(
        self, drawn: NDArray[np.float64], block: int, block_size: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Different whole numbers near those that were drawn; no two blocks share one.

        Args:
            drawn: Of one block's rows, shape (n,); NaN stays.
            block: Its number.
            block_size: Rows of a block at most.
            rng: Of the block.
        """
        out, there = np.full(len(drawn), np.nan), np.flatnonzero(np.isfinite(drawn))
        wanted = self._moved(drawn[there], rng)
        order = np.argsort(wanted, kind="stable")
        free = self._free(block, block_size)
        surplus = max(len(there) - len(free), 0)
        beyond = np.zeros(len(there), bool)
        beyond[np.linspace(0, len(there) - 1, surplus).astype(np.int64)] = True
        kept = order[~beyond]
        out[there[kept]] = free[_matched(wanted[kept], free)]
        above = self.knots[-1] + block * block_size + np.arange(surplus)
        out[there[order[beyond]]] = above
        return out

    def _moved(self, drawn: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Drawn numbers moved among the `HOLDERS` ids around each."""
        share = np.arange(len(self.knots)) / (len(self.knots) - 1)
        place = np.interp(drawn, self.knots, share)
        place += (rng.random(len(drawn)) - 0.5) * HOLDERS / max(self.rows, 1)
        place = np.abs(place)
        place = np.where(place > 1, 2 - place, place)
        return np.asarray(np.interp(place, share, self.knots))

    def _free(self, block: int, block_size: int) -> NDArray[np.int64]:
        """The numbers of one block in order."""
        parts, blocks = len(self.knots) - 1, -(-self.rows // block_size)
        first = int(self.knots[0])
        own: list[NDArray[np.int64]] = []
        for low, high in pairwise(self.knots.tolist()):
            room = high - low
            roomy = int(room // (ROOMY * block_size / parts))
            if roomy >= blocks or blocks > MOST_SPREAD:  # a class of remainders a block
                classes = max(roomy, blocks)
                own += [np.arange(low + block, high, classes)] if block < classes else []
            else:  # by the rows of each block: the last one is not full
                at = (np.arange(low - first, high - first) + 0.5) * GOLDEN % 1 * self.rows
                own.append(low + np.flatnonzero(at // block_size == block))
        return np.concatenate(own or [np.zeros(0, np.int64)])

    def state(self) -> dict[str, Any]:
        """A tree for the model folder."""
        return {"knots": self.knots, "rows": self.rows}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The numbers that `state` came from."""
        return cls(np.asarray(state["knots"], np.int64), int(state["rows"]))


def serials(schema: Schema, rows: int) -> Learning:
    """Tell the story of a flat table's serial numbers; returns the state of each by its name.

    Args:
        schema: Of the table.
        rows: Of the table.
    """
    names = [c.name for c in schema.columns if c.unique]
    if not names:
        return {}
    sample = yield Take(subjects=SAMPLE_ROWS, rows=SAMPLE_ROWS)
    found = {n: Serial.of(np.asarray(sample.columns[n], np.float64), rows) for n in names}
    return {name: made.state() for name, made in found.items() if made is not None}


def _matched(wanted: NDArray[np.float64], free: NDArray[np.int64]) -> NDArray[np.int64]:
    """Different places in `free`, in the order of what is wanted (ascending), and near it."""
    n, own = len(wanted), np.arange(len(wanted))
    nearest = np.clip(np.searchsorted(free, wanted), 0, max(len(free) - 1, 0))
    up = np.minimum(np.maximum.accumulate(nearest - own) + own, len(free) - n + own)
    down = np.maximum(np.minimum.accumulate((nearest - own)[::-1])[::-1] + own, own)
    return np.asarray((up + down) // 2)
