"""A number that lasts until the next event (a stay, a session): it follows from the gap.

Drawn beside the times, such a number would contradict them: a stay of nine hours with the next
arrival after one. So it is no part of what the event models learn. It follows from the gap to the
subject's next event: all of it, or a value of its own that lies within, by how often real gaps of
that length show either behind an event of the same kind: a night at home is a stay until the
morning, one elsewhere often ends unseen. After a subject's last event the gap is what is left of
the day, or of the week where every subject keeps to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number

WITHIN = 0.98  # share of the values that must lie within their gaps
ALIKE = 0.7  # correlation of the logarithms of values and gaps, from which one mirrors the other
LEAST = 20  # gaps of a sample, below which nothing is said of them
LEVELS = 40  # of a gap: half powers of two of a second
BACKOFF = 5.0  # weight, in gaps, of the levels around, and of all kinds
MOST_KINDS = 16  # of events that are told apart
DAY_S = 86_400.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dwell:
    """How a value follows from the gap behind it; token 0 is all of the gap."""

    own: Number  # of values that are not their whole gap, in seconds
    shares: Floats  # (2, kinds, LEVELS, 1 + tokens of `own`), cumulative; the second of last events
    step_s: float  # values are whole in this; 0: in nothing
    days: int  # of the calendar unit that is left after a subject's last event: 1 or 7
    kind: ClassVar[str] = "dwell"
    missing_token: ClassVar[int] = -1

    @classmethod
    def learn(
        cls,
        values: Floats,
        stamps_s: Floats,
        offsets: NDArray[np.int64],
        kinds: NDArray[np.int64],
        many: int,
        days: int = 1,
        **settings: Any,
    ) -> Self | None:
        """What a sample tells, or None where the values do not mirror the gaps.

        Args:
            values: The number in seconds, NaN where missing, shape (rows,).
            stamps_s: Time of each event in seconds, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            kinds: Of each event, from 0, see `kinds_of`; shape (rows,).
            many: Kinds there are; those of fewer than `min_subjects` subjects are as all are.
            days: Of the calendar unit that is left after a subject's last event: 1 or 7.
            settings: Those of `Number.finish`.
        """
        gaps, last = gaps_of(stamps_s, offsets, days)
        if not _mirrors(values[~last], gaps[~last]):
            return None
        owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        part = np.abs(values - gaps) > 1e-6
        own = Number.finish(Number.summarise(values[part], owners[part]), **settings)
        size = own.vocabulary + 1
        tokens = np.zeros(len(values), np.int64)
        tokens[part] = own.encode(values[part]) + 1
        counts = np.zeros((2, many, LEVELS, size))
        np.add.at(counts, (last.astype(int), kinds, _level(gaps), tokens), 1.0)
        share = _smooth(counts.sum(axis=1, keepdims=True), np.full(size, 1e-9))
        if many > 1:
            held = np.zeros((2, many, len(offsets) - 1), bool)
            held[last.astype(int), kinds, owners] = True
            few = held.sum(axis=-1) < settings.get("min_subjects", 1)
            share = _smooth(np.where(few[:, :, None, None], 0.0, counts), BACKOFF * share)
        whole = bool((values == np.rint(values)).all())
        return cls(own, np.cumsum(share, axis=-1), float(whole), days)

    @property
    def vocabulary(self) -> int:
        """Tokens: all of the gap, and those of a value of its own."""
        return 1 + self.own.vocabulary

    def decode(
        self,
        stamps_s: Floats,
        offsets: NDArray[np.int64],
        kinds: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Floats:
        """The number in seconds, shape (rows,), of drawn times and kinds of events."""
        gaps, last = gaps_of(stamps_s, offsets, self.days)
        rows = self.shares[last.astype(int), kinds, _level(gaps)]
        u = rng.random((len(gaps), 2))
        tokens = (rows < u[:, :1] * rows[:, -1:]).sum(axis=1)
        tokens = np.minimum(tokens, self.vocabulary - 1)
        value = np.asarray(self.own.decode(np.maximum(tokens - 1, 0).astype(np.int32), u[:, 1]))
        if self.step_s:
            value = np.rint(value / self.step_s) * self.step_s
        return np.where(tokens == 0, gaps, np.minimum(value, gaps))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "own": self.own.state(),
            "shares": self.shares,
            "step_s": self.step_s,
            "days": self.days,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The codec that `state` came from."""
        return cls(**{**state, "own": Number.from_state(state["own"])})


def kinds_of(tokens: NDArray[Any], many: int) -> NDArray[np.int64]:
    """The kind of each event: its main category's value where there are `many`; shape as given."""
    return np.asarray(tokens if many > 1 else np.zeros(len(tokens)), dtype=np.int64)


def _smooth(counts: Floats, coarser: Floats) -> Floats:
    """Shares along the last axis, by the levels around where gaps of a level are few.

    Args:
        counts: Shape (..., LEVELS, tokens).
        coarser: Counts that are added to those of a level and its neighbours; broadcast.
    """
    apart = np.abs(np.arange(LEVELS)[:, None] - np.arange(LEVELS))
    near = 0.5**apart @ counts
    share = near + coarser
    share = share / share.sum(axis=-1, keepdims=True)
    return np.asarray((counts + BACKOFF * share) / (counts.sum(axis=-1, keepdims=True) + BACKOFF))


def _mirrors(values: Floats, gaps: Floats) -> bool:
    """Whether values lie within their gaps and grow with them."""
    if len(values) < LEAST or np.isnan(values).any() or (values < 0).any():
        return False
    if (values <= gaps + 1e-6).mean() < WITHIN:
        return False
    x, gap = np.log1p(values), np.log1p(gaps)
    return bool(min(x.std(), gap.std()) > 1e-9 and np.corrcoef(x, gap)[0, 1] >= ALIKE)


def gaps_of(
    stamps_s: Floats, offsets: NDArray[np.int64], days: int = 1
) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds to the subject's next event, else to the end of the day or week, and where so."""
    last = np.zeros(len(stamps_s), bool)
    last[offsets[1:][np.diff(offsets) > 0] - 1] = True
    gaps = np.zeros(len(stamps_s))
    gaps[:-1] = np.diff(stamps_s)
    monday = stamps_s[last] + (3 * DAY_S if days == 7 else 0.0)  # 1970 began on a Thursday
    gaps[last] = days * DAY_S - monday % (days * DAY_S)
    return gaps, last


def _level(gaps_s: Floats) -> NDArray[np.int64]:
    level = 2 * np.log2(1.0 + np.maximum(gaps_s, 0.0))
    return np.asarray(np.minimum(level, LEVELS - 1), dtype=np.int64)
