"""What the decoder sees of units, and how its positions are packed into rows of one length.

A position of a unit stands before one of its events, the last one before its end. The first is the
prefix: it knows the unit's attributes and no event. Short units share a row; a long one goes over
several rows, each of which begins with the prefix and some positions that are only looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_plan import Contexts
from synth_spark.generators._events_seen import Seen

NARROW = 40  # a category with more values has statistics of groups of them
FIELDS = 3  # of the time: token, hour, slot


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen, and the tables by which tokens are looked up."""

    seen: Seen  # its layout counts groups where a category has many values; its contexts are slots
    widths: NDArray[np.int64]  # (categories,), values
    folds: tuple[NDArray[np.int64], ...]  # (values,) each: whose statistics a value has
    slots: tuple[NDArray[np.int64], ...]  # (values,) each: whose drawn share a value has
    within: tuple[NDArray[np.float64], ...]  # (values,) each: the value's part of its slot
    starts: NDArray[np.int64]  # (fields,), where a field's tokens begin in the table of tokens
    context: int  # positions in sight

    @classmethod
    def learn(cls, base: Base, contexts: Contexts, seed: int, context: int) -> Self:
        """Choose it; `contexts` count single values."""
        slots = base.histories.attributes.slots
        widths = contexts.widths
        groups = tuple(s.astype(np.int64) for s in slots.of_token)
        folds = tuple(
            np.arange(k) if k <= NARROW else g for k, g in zip(widths, groups, strict=True)
        )
        count = slots.count.astype(np.int64)
        by_slot = replace(
            contexts,
            starts=np.cumsum(count) - count,
            widths=count,
            slot_of=np.concatenate([np.zeros(0, np.int64), *(np.arange(k) for k in count)]),
            within=np.ones(int(count.sum())),
        )
        seen = Seen.learn(base, by_slot, seed)
        sizes = np.array([int(f.max()) + 1 for f in folds], np.int64)
        seen = replace(seen, layout=replace(seen.layout, widths=sizes))
        clock = base.coder.clock
        fields = [clock.end + 1, 24, 12, *widths, *np.diff(contexts.num_start)]
        starts = 1 + np.cumsum([0, *fields])
        cuts = np.split(contexts.within, np.cumsum(widths)[:-1]) if len(widths) else []
        return cls(seen, widths, folds, groups, tuple(cuts), starts.astype(np.int64), context)

    @property
    def tokens(self) -> int:
        """Rows of the table of tokens."""
        return int(self.starts[-1])

    def folded(self, cats: NDArray[np.int32]) -> NDArray[np.int32]:
        """Categories as their statistics count them; as `cats`."""
        out = np.empty_like(cats)
        for j, fold in enumerate(self.folds):
            out[:, j] = fold[cats[:, j]]
        return out

    def main_shares(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """Share of each of the main category's statistics, from the slots' shares.

        Args:
            shares: Shape (rows, slots of all categories).
        """
        if not len(self.widths):
            return shares[:, :0]
        part = shares[:, : int(self.slots[0].max()) + 1]
        if self.widths[0] > NARROW:
            return np.ascontiguousarray(part)
        return np.asarray(part[:, self.slots[0]] * self.within[0], np.float32)

    def told(
        self, clock: NDArray[Any], cats: NDArray[Any], nums: NDArray[Any]
    ) -> NDArray[np.int32]:
        """Rows in the table of tokens of events, 0 where a field has none; (events, fields)."""
        tokens = np.concatenate([clock, cats, nums], axis=1).astype(np.int64)
        return np.where(tokens < 0, 0, tokens + self.starts[:-1]).astype(np.int32)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "seen": self.seen.state(),
            "widths": self.widths,
            **{name: list(getattr(self, name)) for name in ("folds", "slots", "within")},
            "starts": self.starts,
            "context": self.context,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        lists = {name: tuple(state[name]) for name in ("folds", "slots", "within")}
        return cls(**{**state, **lists, "seen": Seen.from_state(state["seen"])})


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of positions; `at` names the position of a unit that stands there, -1: none."""

    at: NDArray[np.int64]  # (rows, length)
    segment: NDArray[np.int16]  # (rows, length), from 1; 0 where there is none
    prefix: NDArray[np.bool_]  # (rows, length)
    counted: NDArray[np.bool_]  # (rows, length), positions that teach; each does so once


def pack(sizes: NDArray[np.int64], length: int, overlap: int) -> Packed:
    """Lay units of positions into rows.

    Args:
        sizes: Positions of each unit, which stand end to end.
        length: Of a row.
        overlap: Positions that a long unit's next row looks back at, besides the prefix.

    Example:
        >>> pack(np.array([2, 1, 3]), 3, 1).at.tolist()
        [[3, 4, 5], [0, 1, 2]]
    """
    pieces = _pieces(sizes, length, overlap)
    many = np.array([len(places) for places, _ in pieces], np.int64)
    order = np.argsort(-many, kind="stable")
    rows: list[list[int]] = []
    for k, row in zip(order.tolist(), _fit(many[order], length).tolist(), strict=True):
        if row == len(rows):
            rows.append([])
        rows[row].append(k)
    return _laid(rows, pieces, length)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fit(sizes, length):  # type: ignore[no-untyped-def]
    """The row of each piece, longest first: the fullest row that still has room, or a new one."""
    latest, below = np.full(length + 1, -1), np.full(len(sizes), -1)  # rows by their room
    out, rows = np.empty(len(sizes), np.int64), 0
    for i in range(len(sizes)):
        room, row = length, -1
        for free in range(sizes[i], length + 1):
            if latest[free] >= 0:
                room, row = free, latest[free]
                latest[free] = below[row]
                break
        if row < 0:
            row = rows
            rows += 1
        out[i] = row
        below[row] = latest[room - sizes[i]]
        latest[room - sizes[i]] = row
    return out


def _pieces(
    sizes: NDArray[np.int64], length: int, overlap: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Positions of each piece of a unit, and how many of them only show what was before."""
    out: list[tuple[NDArray[np.int64], int]] = []
    begin = 0
    for size in sizes.tolist():
        done = min(size, length)
        out.append((np.arange(begin, begin + done), 0))
        while done < size:
            seen = min(overlap, length - 2)
            upto = min(size, done + length - 1 - seen)
            body = np.arange(begin + done - seen, begin + upto)
            out.append((np.concatenate([[begin], body]), seen + 1))
            done = upto
        begin += size
    return out


def _laid(
    rows: list[list[int]], pieces: list[tuple[NDArray[np.int64], int]], length: int
) -> Packed:
    at = np.full((len(rows), length), -1, np.int64)
    segment = np.zeros(at.shape, np.int16)
    prefix, counted = np.zeros(at.shape, bool), np.zeros(at.shape, bool)
    for r, row in enumerate(rows):
        begin = 0
        for number, k in enumerate(row):
            places, shown = pieces[k]
            end = begin + len(places)
            at[r, begin:end] = places
            segment[r, begin:end] = number + 1
            prefix[r, begin] = True
            counted[r, begin + shown : end] = True
            begin = end
    return Packed(at, segment, prefix, counted)
