"""Histories as segments: how donors are kept, mixed, and moved in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators import _transform_ops as ops

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
    segment_s: int

    @property
    def size(self) -> int:
        return len(self.anchor)

    @property
    def stratum(self) -> Ints:
        """Of each donor, shape (donors,)."""
        out = np.empty(self.size, np.int64)
        out[self.order] = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return out

    @property
    def first(self) -> Ints:
        """First segment with an event of each donor, shape (donors,)."""
        return self.segment[self.offsets[:-1]]

    @property
    def last(self) -> Ints:
        """Last segment with an event of each donor, shape (donors,)."""
        return self.segment[self.offsets[1:] - 1]

    def spans(self, donor: Ints, segment: Ints) -> tuple[Ints, Ints]:
        """First event and number of events of donors' segments; both as `donor`."""
        width = int(self.segment.max(initial=0)) + 2
        owners = np.repeat(np.arange(self.size), np.diff(self.offsets))
        keys, wanted = owners * width + self.segment, donor * width + segment
        low = np.searchsorted(keys, wanted, "left")
        return low, np.searchsorted(keys, wanted, "right") - low

    def swapped(
        self, events: Ints, nums: Tokens, share: float, rng: np.random.Generator
    ) -> Tokens:
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
    donors: Donors, base: Ints, hold: float, rng: np.random.Generator, *, shift: bool
) -> Mixed:
    """Put histories together from the segments of the donors of one stratum each.

    A segment comes with chance `hold` from the donor of the one before, else from a random donor
    of the stratum. The base's first segment is always in it, and at least one of another donor
    wherever one has events in another segment.

    Args:
        donors: All donors.
        base: A donor for each history, shape (subjects,).
        hold: In [0, 1).
        rng: The block's.
        shift: The history begins in the week of a random donor of the stratum, else the base's.
    """
    stratum, first, last = donors.stratum, donors.first, donors.last
    own = stratum[base]
    begin, size = donors.starts[own], np.diff(donors.starts)[own]
    longest = np.maximum.reduceat(last[donors.order], donors.starts[:-1]) + 1
    slots = longest[own]
    owner = np.repeat(np.arange(len(base)), slots)
    segment = np.arange(len(owner)) - np.repeat(np.cumsum(slots) - slots, slots)
    drawn = begin[owner] + (rng.random(len(owner)) * size[owner]).astype(np.int64)
    fresh = (rng.random(len(owner)) >= hold) | (segment == 0)
    source = np.maximum.accumulate(np.where(fresh, np.arange(len(owner)), 0))
    donor = donors.order[drawn[source]]
    donor = np.where(segment == first[base][owner], base[owner], donor)
    other = _other(donors, base, begin, size, rng)
    place = (np.cumsum(slots) - slots) + _other_segment(first, last, base, other)
    lone = _lone(donors, owner, segment, donor, len(base)) & (other != base)
    donor[place[lone]] = other[lone]
    low, count = donors.spans(donor, segment)
    some = count > 0
    owner, segment, donor, low, count = (x[some] for x in (owner, segment, donor, low, count))
    events = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(count.sum())
    week = donors.order[begin + (rng.random(len(base)) * size).astype(np.int64)]
    anchor = donors.anchor[week if shift else base]
    return Mixed(
        base, anchor, owner, donor, segment, count, events, donors.t[events],
        donors.cats[events], donors.nums[events],
    )  # fmt: skip


def _other(
    donors: Donors, base: Ints, begin: Ints, size: Ints, rng: np.random.Generator
) -> Ints:
    """A donor of the stratum that is not the base (the base itself where it is alone)."""
    place = np.empty(donors.size, np.int64)
    place[donors.order] = np.arange(donors.size)
    step = 1 + (rng.random(len(base)) * np.maximum(size - 1, 1)).astype(np.int64)
    at = (place[base] - begin + np.where(size > 1, step, 0)) % size
    return donors.order[begin + at]


def _other_segment(first: Ints, last: Ints, base: Ints, other: Ints) -> Ints:
    """A segment in which `other` has events, not the base's first one if there is another."""
    return np.where(first[other] != first[base], first[other], last[other])


def _lone(donors: Donors, owner: Ints, segment: Ints, donor: Ints, subjects: int) -> Any:
    """Whether all events of a history come from one donor, shape (subjects,)."""
    some = donors.spans(donor, segment)[1] > 0
    least, most = np.full(subjects, donors.size), np.full(subjects, -1)
    np.minimum.at(least, owner[some], donor[some])
    np.maximum.at(most, owner[some], donor[some])
    return least >= most


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
    return np.repeat(at, lengths) + run * np.repeat(factor, lengths)
