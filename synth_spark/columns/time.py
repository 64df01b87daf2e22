"""Times of a flat table, or second times of an event: bins of days, and a clock of their own.

A token is a run of days that holds about an equal share of the rows; the clock is drawn from the
column's own distribution over the day, so that a daily rhythm outlives the bins. The source's
precision (days, minutes, whole seconds, ...) is found and kept. The order of a subject's events
is not made here but by the event generators, which draw gaps.

State: rows of each day, of each five minutes of the day, and the common divisor of the clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Values

DAY_US = 86_400_000_000
SLOT_US = 300_000_000  # five minutes: the width of a bin of the clock
MOST_DAYS = 40_000  # distinct days kept in a state; beyond, neighbours are put together
State = dict[str, Any]


def micros(values: Values) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since 1970 and where they are missing; both of shape (rows,)."""
    times = np.asarray(values).astype("datetime64[us]")
    return times.astype(np.int64), np.isnat(times)


def precision_us(clocks: NDArray[np.int64]) -> int:
    """The coarsest step in microseconds that all clocks (microseconds of the day) are whole in.

    Example:
        >>> precision_us(np.array([0, 3_600_000_000, 5_400_000_000]))
        1800000000
    """
    return int(np.gcd.reduce(np.concatenate([clocks, [DAY_US]])))


def tidy_precision_us(step: int) -> int:
    """The step in use: days, hours, minutes, seconds, milli- or microseconds that divide `step`.

    A step such as 1,800 s is kept as it is; odd ones (7 s) come from few rows and become 1 s.
    """
    for unit in (DAY_US, 3_600_000_000, 1_800_000_000, 900_000_000, 600_000_000, SLOT_US):
        if step % unit == 0:
            return unit
    for unit in (60_000_000, 1_000_000, 1_000):
        if step % unit == 0:
            return unit
    return 1


@dataclass(frozen=True, slots=True)
class Time:
    """Runs of days as tokens in time order, then missing."""

    first_day: NDArray[np.int64]  # (bins,), days since 1970
    last_day: NDArray[np.int64]  # (bins,), inclusive
    clock: NDArray[np.float64]  # (289,), cumulative share of the clock at each five minutes
    step_us: int  # values are whole in this
    missing_token: int
    kind: ClassVar[str] = "time"

    @property
    def vocabulary(self) -> int:
        return len(self.first_day) + (self.missing_token >= 0)

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> State:
        stamps, missing = micros(values)
        kept = stamps[~missing]
        days, rows = np.unique(kept // DAY_US, return_counts=True)
        clocks = kept % DAY_US
        return _bounded(
            {
                "days": days,
                "rows": rows.astype(np.int64),
                "clock": np.bincount(clocks // SLOT_US, minlength=288).astype(np.int64),
                "step_us": precision_us(clocks),
                "missing": int(missing.sum()),
            }
        )

    @staticmethod
    def merge(left: State, right: State) -> State:
        days, where = np.unique(np.concatenate([left["days"], right["days"]]), return_inverse=True)
        rows = np.bincount(where, np.concatenate([left["rows"], right["rows"]]), len(days))
        return _bounded(
            {
                "days": days,
                "rows": rows.astype(np.int64),
                "clock": left["clock"] + right["clock"],
                "step_us": int(np.gcd(left["step_us"], right["step_us"])),
                "missing": left["missing"] + right["missing"],
            }
        )

    @classmethod
    def finish(cls, state: State, *, bins: int = 64) -> Self:
        """The codec of all parts.

        Args:
            state: What `merge` gave.
            bins: Greatest number of runs of days.
        """
        days, rows = np.asarray(state["days"]), np.asarray(state["rows"])
        first, last = _runs(days, rows, bins)
        share = np.concatenate([[0], np.cumsum(state["clock"])]) / max(int(rows.sum()), 1)
        missing = len(first) if state["missing"] or not len(first) else -1
        return cls(first, last, share, tidy_precision_us(int(state["step_us"])), missing)

    def encode(self, values: Values) -> NDArray[np.int32]:
        stamps, missing = micros(values)
        if not len(self.first_day):
            return np.full(len(stamps), self.missing_token, np.int32)
        bins = np.searchsorted(self.first_day, stamps // DAY_US, side="right") - 1
        tokens = np.maximum(bins, 0)
        other = self.missing_token if self.missing_token >= 0 else 0
        return np.where(missing, other, tokens).astype(np.int32)

    def decode(
        self, tokens: NDArray[np.int32], inside: NDArray[np.float64]
    ) -> NDArray[np.datetime64]:
        """Times; `inside` gives the day in the run and, by its next digits, the clock."""
        empty = np.full(len(tokens), np.datetime64("NaT", "us"))
        if not len(self.first_day):
            return empty
        bins = np.minimum(tokens, len(self.first_day) - 1)
        width = self.last_day[bins] - self.first_day[bins] + 1
        place = inside * width
        day = self.first_day[bins] + np.minimum(place.astype(np.int64), width - 1)
        rest = np.clip(place - np.floor(place), 0.0, 1.0)
        clock = np.interp(rest, *_increasing(self.clock))
        stamps = day * DAY_US + np.minimum(clock, DAY_US - 1).astype(np.int64)
        stamps -= stamps % self.step_us
        missing = tokens == self.missing_token
        return np.where(missing, empty, stamps.astype("datetime64[us]"))

    def state(self) -> State:
        names = ("first_day", "last_day", "clock", "step_us", "missing_token")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(**state)


def _runs(
    days: NDArray[np.int64], rows: NDArray[np.int64], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last day of at most `bins` runs of about equal mass."""
    if not len(days):
        return days, days
    before = np.cumsum(rows) - rows
    bin_of = np.minimum(before * bins // rows.sum(), bins - 1)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(bin_of) > 0]))
    ends = np.concatenate([starts[1:] - 1, [len(days) - 1]])
    return days[starts], days[ends]


def _increasing(share: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares and clocks with flat stretches taken out, so that the inverse is well defined."""
    at = np.arange(len(share)) * float(SLOT_US)
    steps = np.diff(share) > 0
    keep = np.concatenate([[False], steps]) | np.concatenate([steps, [False]])
    if not keep.any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    return share[keep], at[keep]


def _bounded(state: State, most: int = MOST_DAYS) -> State:
    if len(state["days"]) <= most:
        return state
    days = state["days"] // 7 * 7
    days, where = np.unique(days, return_inverse=True)
    return {**state, "days": days, "rows": np.bincount(where, state["rows"]).astype(np.int64)}


CODEC = Time
EXAMPLE = (
    {"bins": 3},
    np.array(
        ["2024-01-01T08:00", "2024-01-01T09:30", "NaT", "2024-02-01T08:00", "2024-03-05T17:00"],
        dtype="datetime64[us]",
    ),
    np.array([0, 0, 1, 2, 3], dtype=np.int64),
)
