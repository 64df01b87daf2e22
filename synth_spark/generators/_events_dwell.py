"""A number that lasts until the next event (a stay, a session): it follows from the gap.

Drawn beside the times, such a number would contradict them: a stay of nine hours with the next
arrival after one. So it is no part of what the event models learn. It follows from the gap to the
subject's next event: all of it, or a value of its own that lies within, by how often real gaps of
that length show either behind an event of the same kind: a night at home is a stay until the
morning, one elsewhere often ends unseen. Where a label of the next event tells whether the value
ends before it (a phone that attaches anew was off), that is looked at too. After a subject's last
event the gap is what is left of the day, or of the week where every subject keeps to one.
"""

from __future__ import annotations

from collections.abc import Sequence
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
MOST_BOTH = 64  # with the label of the event behind
GONE = 0.2  # share of the values that may be missing
TELLS = 0.1  # part of what the gap's length leaves open that a label must tell to be looked at
LEAST_TOLD = 0.002  # in nats an event
DAY_S = 86_400.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What of an event and of the one behind it tells how a value ends."""

    main: int = 1  # tokens of the main category; 1: it is not looked at
    ahead: int = -1  # the category of the next event that is looked at, -1: none
    labels: int = 0  # its tokens

    @property
    def many(self) -> int:
        """Kinds there are."""
        return self.main * (self.labels + 1)

    @classmethod
    def learn(
        cls,
        values: Floats,
        stamps_s: Floats,
        offsets: NDArray[np.int64],
        cats: NDArray[np.int32],
        widths: Sequence[int],
        runs: Sequence[bool] = (),
    ) -> Self:
        """The main category where it has few values, and a label ahead that tells enough.

        Args:
            values: The number in seconds, NaN where missing, shape (rows,).
            stamps_s: Time of each event in seconds, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            cats: Tokens of the categories, shape (rows, categories).
            widths: Tokens of each category.
            runs: Which of them are ids in runs, which are settled later: none of them is ahead.
        """
        main = int(widths[0]) if len(widths) and widths[0] <= MOST_KINDS else 1
        gaps, last = gaps_of(stamps_s, offsets)
        how = np.where(np.isnan(values), 1, np.where(np.abs(values - gaps) > 1e-6, 2, 0))[~last]
        level = _level(gaps[~last])
        left = _left_open(how, level)
        best, ahead = max(TELLS * left, LEAST_TOLD), -1
        for j, width in enumerate(widths):
            if width <= MOST_KINDS and not any(runs[j : j + 1]):
                behind = np.append(cats[1:, j], 0)[~last]
                gain = left - _left_open(how, level * width + behind)
                best, ahead = (gain, j) if gain > best else (best, ahead)
        labels = int(widths[ahead]) if ahead >= 0 else 0
        return cls(main if main * (labels + 1) <= MOST_BOTH else 1, ahead, labels)

    def of(self, cats: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """The kind of each event, from 0, shape (rows,).

        Args:
            cats: Tokens of the categories, shape (rows, categories).
            offsets: Rows of each subject, shape (subjects + 1,).
        """
        here = cats[:, 0].astype(np.int64) if self.main > 1 else np.zeros(len(cats), np.int64)
        if self.ahead < 0:
            return here
        behind = np.append(cats[1:, self.ahead], 0)[: len(cats)].astype(np.int64)
        behind[offsets[1:][np.diff(offsets) > 0] - 1] = self.labels  # nothing behind
        return np.asarray(here * (self.labels + 1) + behind)


@dataclass(frozen=True, slots=True)
class Dwell:
    """How a value follows from the gap behind it; token 0 is all of the gap, 1 a missing value."""

    own: Number  # of values that are not their whole gap, in seconds
    shares: Floats  # (2, kinds, LEVELS, 2 + tokens of `own`), cumulative; the second of last events
    step_s: float  # values are whole in this; 0: in nothing
    days: int  # of the calendar unit that is left after a subject's last event: 1 or 7
    told: Kinds  # what kinds of events are told apart
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
        told: Kinds | None = None,
        **settings: Any,
    ) -> Self | None:
        """What a sample tells, or None where the values do not mirror the gaps.

        Args:
            values: The number in seconds, NaN where missing, shape (rows,).
            stamps_s: Time of each event in seconds, shape (rows,).
            offsets: Rows of each subject, shape (subjects + 1,).
            kinds: Of each event, from 0, see `Kinds`; shape (rows,).
            many: Kinds there are; those of fewer than `min_subjects` subjects are as all are.
            days: Of the calendar unit that is left after a subject's last event: 1 or 7.
            told: How kinds are told; None: by nothing.
            settings: Those of `Number.finish`.
        """
        gaps, last = gaps_of(stamps_s, offsets, days)
        if not _mirrors(values[~last], gaps[~last]):
            return None
        owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        gone = np.isnan(values)
        part = ~gone & (np.abs(values - gaps) > 1e-6)
        own = Number.finish(Number.summarise(values[part], owners[part]), **settings)
        size = own.vocabulary + 2
        tokens = gone.astype(np.int64)
        tokens[part] = own.encode(values[part]) + 2
        counts = np.zeros((2, many, LEVELS, size))
        np.add.at(counts, (last.astype(int), kinds, _level(gaps), tokens), 1.0)
        share = _smooth(counts.sum(axis=1, keepdims=True), np.full(size, 1e-9))
        if many > 1:
            held = np.zeros((2, many, len(offsets) - 1), bool)
            held[last.astype(int), kinds, owners] = True
            few = held.sum(axis=-1) < settings.get("min_subjects", 1)
            share = _smooth(np.where(few[:, :, None, None], 0.0, counts), BACKOFF * share)
        if not gone.any():
            share[..., 1] = 0.0
        whole = bool((values == np.rint(values))[~gone].all())
        return cls(own, np.cumsum(share, axis=-1), float(whole), days, told or Kinds())

    @property
    def vocabulary(self) -> int:
        """Tokens: all of the gap, missing, and those of a value of its own."""
        return 2 + self.own.vocabulary

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
        value = np.asarray(self.own.decode(np.maximum(tokens - 2, 0).astype(np.int32), u[:, 1]))
        if self.step_s:
            value = np.rint(value / self.step_s) * self.step_s
        value = np.where(tokens == 0, gaps, np.minimum(value, gaps))
        return np.where(tokens == 1, np.nan, value)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "own": self.own.state(),
            "shares": self.shares,
            "step_s": self.step_s,
            "days": self.days,
            "told": [self.told.main, self.told.ahead, self.told.labels],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The codec that `state` came from."""
        inner = {"own": Number.from_state(state["own"]), "told": Kinds(*state["told"])}
        return cls(**{**state, **inner})


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


def _left_open(how: NDArray[np.int64], given: NDArray[np.int64]) -> float:
    """Entropy in nats of what there is of three ways, given whole numbers; less by chance's part.

    The part that so many cells take away by chance is added (Miller, 1955).
    """
    if not len(how):
        return 0.0
    _, cell = np.unique(given, return_inverse=True)
    counts = np.bincount(cell.ravel() * 3 + how, minlength=3 * (int(cell.max()) + 1)).reshape(-1, 3)
    share = counts / counts.sum(axis=1, keepdims=True)
    nats = -float((counts * np.log(np.maximum(share, 1e-300))).sum())
    spare = int(((counts > 0).sum(axis=1) - 1).sum())
    return (nats + spare / 2) / len(how)


def _mirrors(values: Floats, gaps: Floats) -> bool:
    """Whether values lie within their gaps and grow with them; some may be missing."""
    there = ~np.isnan(values)
    if there.sum() < max(LEAST, (1 - GONE) * len(values)):
        return False
    values, gaps = values[there], gaps[there]
    if (values < 0).any():
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
