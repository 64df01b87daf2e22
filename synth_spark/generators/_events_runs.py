"""Ids within a subject that come in runs (sessions, trips, calls): new or the same, then fresh ids.

An event's token says whether its id is that of the subject's last event that had one (SAME), or
another (NEW). Events without an id are passed over. The id itself is never learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded

if TYPE_CHECKING:
    from synth_spark.generators._events_coder import EventColumn, Units

SAME, NEW, GONE = 0, 1, 2  # tokens; GONE only where ids are missing
LEVELS = 28  # of a gap between two units, powers of two of a second
BACKOFF = 5.0  # weight, in gaps, of all levels together
ONE_RUN_SHARE = 0.98  # of the ids that must not come back for a column to be one of runs
REPEATED = 1.2  # rows an id, below which ids are rows' own and carry nothing


@dataclass(frozen=True, slots=True)
class Habit:
    """How a column's ids lie in their subjects' histories."""

    rows_an_id: float
    one_run: float  # share of the ids whose rows stand together

    @classmethod
    def of(cls, codes: NDArray[np.int64], owners: NDArray[np.int64]) -> Self:
        """Measure rows in the order of time; a code below 0 is missing, shapes (rows,)."""
        known = codes >= 0
        tokens = run_tokens(codes, owners)
        width = int(codes.max(initial=0)) + 1
        ids, counts = np.unique(owners[known] * width + codes[known], return_counts=True)
        started = (owners * width + codes)[tokens == NEW]
        runs = np.unique(started, return_counts=True)[1]
        if not len(ids):
            return cls(0.0, 0.0)
        return cls(float(counts.mean()), float((runs == 1).mean()))


def run_tokens(codes: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int32]:
    """SAME, NEW or GONE for each row, shape (rows,); codes below 0 are missing."""
    tokens = np.full(len(codes), GONE, np.int32)
    rows = np.flatnonzero(codes >= 0)
    same = np.zeros(len(rows), bool)
    same[1:] = (codes[rows][1:] == codes[rows][:-1]) & (owners[rows][1:] == owners[rows][:-1])
    tokens[rows] = np.where(same, SAME, NEW)
    return tokens


@dataclass(frozen=True, slots=True)
class Runs:
    """One column of runs: how likely a run ends between two units of a subject, by their gap."""

    ends: NDArray[np.float64]  # (LEVELS,), chance that a unit begins with a new id

    @classmethod
    def learn(cls, tokens: NDArray[np.int32], units: Units) -> Self:
        """Count over real units; `tokens` are the column's, shape (events,)."""
        rows, gaps_s = _borders(units.owner, units.lengths, _stamps_s(units))
        known = tokens[rows] != GONE
        level, new = _level(gaps_s[known]), tokens[rows][known] == NEW
        total = np.bincount(level, minlength=LEVELS)
        base = (new.sum() + 1.0) / (len(new) + 1.0)
        ended = np.bincount(level, new, LEVELS)
        return cls(np.asarray((ended + BACKOFF * base) / (total + BACKOFF)))

    def settled(
        self,
        tokens: NDArray[np.int32],
        owner: NDArray[np.int64],
        lengths: NDArray[np.int64],
        stamps_s: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.int32]:
        """Tokens with those of each unit's first event drawn by the gap before it.

        Args:
            tokens: As drawn without knowing the unit before, shape (events,).
            owner: Subject of each unit, shape (units,).
            lengths: Events of each unit, shape (units,).
            stamps_s: Time of each event in seconds, shape (events,).
            rng: The block's random numbers.
        """
        rows, gaps_s = _borders(owner, lengths, stamps_s)
        drawn = np.where(rng.random(len(rows)) < self.ends[_level(gaps_s)], NEW, SAME)
        out = tokens.copy()
        out[rows] = np.where(out[rows] == GONE, GONE, drawn)
        return out

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {"ends": self.ends}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        return cls(state["ends"])


def numbered(
    tokens: NDArray[np.int32], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which of its subject's runs each event is in, from 0, and whether it is in none.

    A subject's first event with an id begins a run, whatever its token.
    """
    gone = tokens == GONE
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known = np.flatnonzero(~gone)
    new = tokens == NEW
    first = np.ones(len(known), bool)
    first[1:] = np.diff(owners[known]) != 0
    new[known[first]] = True
    total = np.concatenate([[0], np.cumsum(new)])
    return np.maximum(total[1:] - total[offsets[:-1]][owners] - 1, 0), gone


def decode_runs(
    column: EventColumn,
    tokens: NDArray[np.int32],
    offsets: NDArray[np.int64],
    subjects_before: int,
) -> Coded:
    """A fresh label for each run, such as "c17-3": the fourth of subject 17.

    Args:
        column: The column.
        tokens: SAME, NEW or GONE, shape (rows,).
        offsets: Rows of each subject, shape (subjects + 1,).
        subjects_before: Number of the block's first subject.
    """
    from synth_spark.generators._events_labels import made_up

    number, gone = numbered(tokens, offsets)
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return made_up(number, gone, owners, subjects_before, "c")


def _stamps_s(units: Units) -> NDArray[np.float64]:
    return np.asarray(np.repeat(units.anchor, units.lengths) * 86_400.0 + units.t)


def _borders(
    owner: NDArray[np.int64], lengths: NDArray[np.int64], stamps_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """First events of units whose subject had events before, and seconds since the last one."""
    some = lengths > 0
    first = (np.cumsum(lengths) - lengths)[some]
    later = np.diff(owner[some]) == 0
    rows = first[1:][later]
    return rows, stamps_s[rows] - stamps_s[rows - 1]


def _level(gaps_s: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum(np.log2(1.0 + np.maximum(gaps_s, 0.0)), LEVELS - 1).astype(np.int64)
