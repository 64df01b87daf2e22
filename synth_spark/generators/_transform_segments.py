"""Histories as segments: how donors are kept, mixed, and moved in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._transform_kernels import choose

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Donors:
    """Protected histories, one after the other in the order of time."""

    anchor: Ints  # (donors,), the Monday of the first week, days since 1970
    offsets: Ints  # (donors + 1,)
    segment: Ints  # (events,), whole segments since the anchor
    t: Reals  # (events,), s since the segment's start
    cats: Tokens  # (events, category columns)
    nums: Tokens  # (events, number columns)
    order: Ints  # (donors,), donors stratum by stratum
    starts: Ints  # (strata + 1,), where each begins in `order`
    cell: Ints  # (events,): stratum and categories, among which numbers are swapped
    piece_starts: Ints  # (donors + 1,), the pieces of each: its segments that have events
    piece_segment: Ints  # (pieces,)
    piece_first: Ints  # (pieces,), first event
    piece_sums: Reals  # (pieces, measures), of 1 and of the measures over its events
    spread: Reals  # (measures,), among donors: of the log of the events, of the means
    counts: NDArray[np.bool_]  # (measures,), whether it is a number of events
    segment_s: int

    @property
    def size(self) -> int:
        return len(self.anchor)

    def swapped(self, events: Ints, nums: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """Numbers exchanged with a near rank among events of the same stratum and categories.

        Args:
            events: The donors' event behind each, shape (rows,).
            nums: Shape (rows, number columns).
            share: Of the ranks of a cell.
            rng: The block's.
        """
        starts = np.searchsorted(np.sort(self.cell), np.arange(int(self.cell.max(initial=0)) + 2))
        out = nums.copy()
        for j in range(nums.shape[1]):
            held = self.nums[np.lexsort((self.nums[:, j], self.cell)), j]
            out[:, j] = ops.rank_swap(nums[:, j], self.cell[events], held, starts, share, rng)
        return out

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The donors that `state` came from."""
        return cls(**state)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Histories of one block: segments with events, subject by subject in the order of time."""

    base: Ints  # (subjects,), the donor whose first segment is in it
    anchor: Ints  # (subjects,), days since 1970
    owner: Ints  # (segments,), the subject
    donor: Ints  # (segments,)
    segment: Ints  # (segments,), since the anchor
    lengths: Ints  # (segments,), events
    events: Ints  # (events,), the donors' event behind each
    t: Reals  # (events,), s since the segment's start
    cats: Tokens
    nums: Tokens


def mixed(
    donors: Donors, base: Ints, target: Reals, rng: np.random.Generator, *, choices: int,
    shift: bool,
) -> Mixed:  # fmt: skip
    """Put histories together from the segments of the donors of one stratum each.

    The stratum is the one whose mean is nearest to the target; a random donor of it lends the
    segments that have events and how many of them fall into each. Each of these segments is then
    taken from one of `choices` random donors of the stratum: the one that brings the sums of the
    history nearest to the target. No donor gives more than half of the segments of a history of two
    or more; where no other of the stratum has events in a segment, the nearest one is moved there.

    Args:
        donors: All donors.
        base: A donor for each history, shape (subjects,).
        target: Log of the events, and means of the measures over events, (subjects, measures).
        rng: The block's.
        choices: Donors that are looked at for a segment.
        shift: The history begins in the week of a random donor of the stratum, else the base's.
    """
    own = _nearest(donors, target)
    begin, size = donors.starts[own], np.diff(donors.starts)[own]
    frame = donors.order[begin + (rng.random(len(base)) * size).astype(np.int64)]
    slots = np.diff(donors.piece_starts)[frame]
    n, ends = np.exp(target[:, 0]), np.cumsum(slots)
    wanted = np.column_stack([n, target[:, 1:] * n[:, None]])
    donor_of = np.empty(int(slots.sum()), np.int64)
    piece_of = np.empty(int(slots.sum()), np.int64)
    choose(
        frame, begin, size, donors.order, donors.piece_starts, donors.piece_segment,
        donors.piece_sums, wanted, donors.spread, donors.counts, ends - slots,
        rng.random((int(slots.sum()), choices)), donor_of, piece_of,
    )  # fmt: skip
    owner = np.repeat(np.arange(len(base)), slots)
    place = np.arange(len(owner)) - np.repeat(ends - slots - donors.piece_starts[frame], slots)
    low, count = donors.piece_first[piece_of], donors.piece_sums[piece_of, 0].astype(np.int64)
    events = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(count.sum())
    week = donors.order[begin + (rng.random(len(base)) * size).astype(np.int64)]
    anchor = donors.anchor[week if shift else base]
    return Mixed(
        base, anchor, owner, donor_of, donors.piece_segment[place], count, events,
        donors.t[events], donors.cats[events], donors.nums[events],
    )  # fmt: skip


def _nearest(donors: Donors, target: Reals) -> Ints:
    """The stratum whose mean measures are nearest to each target, shape (subjects,)."""
    totals = np.add.reduceat(donors.piece_sums, donors.piece_starts[:-1], axis=0)
    means = totals / totals[:, :1]
    means[:, 0] = np.log(totals[:, 0])
    sums = np.add.reduceat(means[donors.order], donors.starts[:-1], axis=0)
    centre = sums / np.diff(donors.starts)[:, None] / donors.spread
    x = target / donors.spread
    far = (centre**2).sum(axis=1) - 2 * x @ centre.T
    return np.asarray(np.argmin(far, axis=1))


def moved_times(
    t: Reals, lengths: Ints, segment_s: int, most_s: float, gap_share: float, tick_s: float,
    rng: np.random.Generator,
) -> Reals:  # fmt: skip
    """Times of segments moved: the start by up to `most_s`, each gap by a factor near 1.

    A gap changes by at most `most_s`; the order stays, and every event stays in its segment.

    Args:
        t: Seconds since the segment's start, shape (events,).
        lengths: Events of each segment, at least 1, shape (segments,).
        segment_s: Length of a segment.
        most_s: Greatest move.
        gap_share: Standard deviation of the factor.
        tick_s: Precision of the times.
        rng: Two numbers an event at most.
    """
    start = np.cumsum(lengths) - lengths
    begins = np.zeros(len(t), np.bool_)
    begins[start] = True
    gap = np.where(begins, 0.0, np.diff(t, prepend=0.0))
    gap += np.clip(gap * gap_share * rng.standard_normal(len(t)), -most_s, most_s)
    gap = np.maximum(gap, 0.0)
    end = segment_s - tick_s
    at = t[start] + rng.uniform(-most_s, most_s, len(start))
    at = np.abs(at)
    at = np.clip(np.where(at > end, 2 * end - at, at), 0.0, end)
    run = np.cumsum(gap)
    run -= np.repeat(run[start], lengths)
    length = run[np.cumsum(lengths) - 1]
    room = end - at
    factor = np.where(length > room, room / np.maximum(length, 1e-9), 1.0)
    return np.asarray(np.repeat(at, lengths) + run * np.repeat(factor, lengths))
