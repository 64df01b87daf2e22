"""The days of a time that is drawn as the seconds behind another.

A token of such seconds may be months wide. Where in it a row lies is then told by the time's own
days: a day that holds many of the table's rows does so in the twin, as do its week days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.columns.time import DAY_US, SLOT_US, Time, tidy_precision_us
from synth_spark.generators._flat_week import MOST_DAYS, week_day

_LEAST = 1e-9  # share of a day that no row lies on
_STRATA = 32  # equal shares of a token, between which the days choose

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Days:
    """The share of the rows before each moment; light days are put together with neighbours."""

    start: Whole  # (runs,) days since 1970, ascending
    end: Whole  # (runs,) the first day after each run
    before: Reals  # (runs + 1,) share of the rows before each run, and 1
    clock: Reals  # (289,) share of the rows before each five minutes of the day
    step_us: int  # times are whole in this

    @classmethod
    def of(cls, state: Mapping[str, Any], least: int) -> Self | None:
        """From a state of the codec of times; None if no run of days has `least` rows."""
        days, rows = np.asarray(state["days"], np.int64), np.asarray(state["rows"], np.int64)
        runs: list[tuple[int, int, int]] = []
        first = held = 0
        for i, count in enumerate(rows.tolist()):
            if count >= least:  # what is left of the light days before it is not told
                first, held = i, 0
            held += count
            if held >= least:
                runs.append((int(days[first]), int(days[i]) + 1, held))
                first, held = i + 1, 0
        while runs and runs[0][1] - runs[0][0] > 1:  # an end of few rows a day is not told
            del runs[0]
        while runs and runs[-1][1] - runs[-1][0] > 1:
            del runs[-1]
        if not runs or runs[-1][1] - runs[0][0] > MOST_DAYS:
            return None
        start, end, mass = np.array(runs, np.int64).T
        clock = np.concatenate([[0], np.cumsum(state["clock"])]) / np.sum(state["clock"])
        before = np.concatenate([[0], np.cumsum(mass)]) / mass.sum()
        return cls(start, end, before, clock, tidy_precision_us(int(state["step_us"])))

    def share(self, us: Whole) -> Reals:
        """Of the rows that lie before moments (microseconds since 1970); shape as `us`."""
        day = us // DAY_US
        run = np.clip(np.searchsorted(self.start, day, side="right") - 1, 0, len(self.start) - 1)
        slots = np.arange(len(self.clock)) * float(SLOT_US)
        at = day - self.start[run] + np.interp(us % DAY_US, slots, self.clock)
        inside = np.clip(at / (self.end[run] - self.start[run]), 0.0, 1.0)
        return np.asarray(self.before[run] + inside * np.diff(self.before)[run])

    def moment(self, share: Reals) -> Whole:
        """The moments before which shares of the rows lie; the inverse of `share`."""
        run = np.searchsorted(self.before, share, side="right") - 1
        run = np.clip(run, 0, len(self.start) - 1)
        inside = (share - self.before[run]) / np.diff(self.before)[run]
        place = np.clip(inside, 0.0, 1.0 - 1e-9) * (self.end[run] - self.start[run])
        day = np.floor(place)
        rising = np.concatenate([[True], np.diff(self.clock) > 0])  # the end of a still stretch
        rising[:-1] |= rising[1:]
        slots = np.arange(len(self.clock)) * float(SLOT_US)
        clock = np.interp(place - day, self.clock[rising], slots[rising])
        us = (self.start[run] + day.astype(np.int64)) * DAY_US
        us += np.minimum(clock, DAY_US - 1).astype(np.int64)
        return np.asarray(us - us % self.step_us)

    def seconds(
        self, codec: Number, tokens: NDArray[np.int32], inside: Reals, other: NDArray[Any]
    ) -> Reals:
        """Seconds behind `other` as the codec decodes them, moved to the days of the table.

        Args:
            codec: Of the seconds.
            tokens: What was drawn, (rows,).
            inside: Uniforms, (rows,).
            other: The times that they count from, (rows,).

        Returns:
            Seconds, (rows,): within the stretch of the codec that they would have lain in; where
            it is shorter than a day, or no row of the table lies there, as they were.
        """
        out = codec.decode(tokens, inside)
        low, high = (codec.decode(tokens, np.full(len(tokens), x)) for x in (0.0, 1.0))
        wide = np.isfinite(out) & ~np.isnat(other) & (high - low >= DAY_US / 1e6)
        if not wide.any():
            return out
        from_us = other[wide].astype("datetime64[us]").astype(np.int64)[:, None]
        edges = codec.curve(tokens[wide, None] + np.linspace(0.0, 1.0 - 1e-9, _STRATA + 1))
        share = self.share(from_us + np.rint(edges * 1e6).astype(np.int64))
        width = np.diff(edges, axis=1)
        rate = np.diff(share, axis=1) / np.maximum(width, 1e-6)
        which, place = _picked(np.where(width > 0, rate, 0.0), inside[wide])
        row = np.arange(len(which))
        a, b = share[row, which], share[row, which + 1]
        moved = (self.moment(a + place * (b - a)) - from_us[:, 0]) / 1e6
        inner = (moved >= edges[row, which]) & (moved <= edges[row, which + 1])
        out[wide] = np.where((b > a) & inner, moved, out[wide])
        return out

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {name: getattr(self, name) for name in self.__slots__}

    @staticmethod
    def summarise(times: NDArray[Any], seconds: Reals | None) -> dict[str, Any]:
        """What `of` reads, of one part; of seconds, of the rows a day or more off the other."""
        if seconds is not None:
            times = times[np.abs(np.nan_to_num(seconds)) >= DAY_US / 1e6]
        return Time.summarise(times, np.arange(len(times)))

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Of two parts."""
        return Time.merge(left, right)


@dataclass(frozen=True, slots=True)
class Week:
    """The days of each token and week day, in that order, with their shares of the rows."""

    day: Whole  # (days,) since 1970, by token and week day
    start: Whole  # (7 * vocabulary + 1,) where each pair of them starts
    before: Reals  # (days + 1,) shares of the rows, added up in that order

    @classmethod
    def of(cls, days: Days, codec: Number) -> Self:
        """Of a codec of days."""
        day = np.arange(days.start[0] - 6, days.end[-1] + 6)
        pair = codec.encode(day.astype(np.float64)) * 7 + week_day(day)
        order = np.argsort(pair, kind="stable")
        day, pair = day[order], pair[order]
        share = days.share((day + 1) * DAY_US) - days.share(day * DAY_US)
        start = np.searchsorted(pair, np.arange(7 * codec.vocabulary + 1))
        return cls(day, start, np.concatenate([[0], np.cumsum(share + _LEAST)]))

    def only(self, holds: Callable[[Reals], NDArray[np.bool_]]) -> Self:
        """Without the days that do not hold."""
        share = np.diff(self.before) * holds(self.day.astype(np.float64))
        return replace(self, before=np.concatenate([[0], np.cumsum(share)]))

    @property
    def mass(self) -> Reals:
        """Share of the rows of each token and week day, (vocabulary, 7)."""
        return np.asarray(np.diff(self.before[self.start])).reshape(-1, 7)

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Which tokens hold no such week day, (vocabulary, 7)."""
        return np.asarray(np.diff(self.start) == 0).reshape(-1, 7)

    def drawn(
        self, codec: Number, tokens: NDArray[np.int32], inside: Reals, wanted: NDArray[np.int32]
    ) -> Reals:
        """Days, (rows,): of the token's those of the wanted week day, -1 and none: any."""
        out = codec.decode(tokens, inside)
        pair = tokens.astype(np.int64) * 7 + np.maximum(wanted, 0)
        low, high = self.before[self.start[pair]], self.before[self.start[pair + 1]]
        at = np.searchsorted(self.before, low + inside * (high - low), side="right") - 1
        at = np.clip(at, self.start[pair], np.maximum(self.start[pair + 1] - 1, 0))
        some = (wanted >= 0) & (high > low) & np.isfinite(out)
        return np.where(some, self.day[np.minimum(at, len(self.day) - 1)], out)


def _picked(rate: Reals, u: Reals) -> tuple[NDArray[np.int64], Reals]:
    """The stratum of each row by its rates, (rows, strata), and what is left of its uniform."""
    end = np.cumsum(rate, axis=1)
    at = u * end[:, -1]
    which = np.minimum((end <= at[:, None]).sum(axis=1), rate.shape[1] - 1)
    row = np.arange(len(rate))
    mine = rate[row, which]
    return which, np.clip((at - end[row, which] + mine) / np.maximum(mine, 1e-300), 0.0, 1.0)
