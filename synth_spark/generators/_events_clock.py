"""Time tokens of an event: a short gap, or a jump of days with an hour and a slot, or the end.

A gap below `cut_s` is drawn from narrow bins, so bursts keep their shape; a longer one is drawn as
the day, hour and five minutes of the event itself, so the daily rhythm cannot drift. A gap that
many events share exactly (a regular clock) has a token of its own. Time cannot go back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0
HOUR_S = 3_600.0
SLOT_S = 300.0
CUT_S = 7_200.0  # shortest gap that is drawn as day, hour and slot, unless a generator says so
PAUSE_S = 1_800.0  # a run of events ends with such a gap; the network's cut
SUBS = 10  # sub-quantiles of a gap bin, ends included
SPIKE_SHARE = 0.02  # of the short gaps on one value: it gets a token of its own
BINS = 40
REGULAR = 0.2  # of the gaps on one value: they are a clock's
FEWEST_GAPS = 20  # that tell of a clock
COARSE_S = 60.0  # gaps of a source that keeps no finer times lie in peaks by themselves
PEAK_BINS = 48  # of the logarithms of gaps
PEAKED_NATS = 0.3  # beyond a smooth density: they are a clock's that is not exact


@dataclass(frozen=True, slots=True)
class Clock:
    """The time tokens: gaps [0, G), jumps [G, G + D), the end G + D."""

    cut_s: float  # gaps from here on are jumps
    gap_lo: NDArray[np.float64]  # (G,), s; a spike has gap_lo == gap_hi
    gap_hi: NDArray[np.float64]  # (G,), s, exclusive but for spikes
    gap_sub: NDArray[np.float64]  # (G, SUBS), sub-quantiles in s
    jump_lo: NDArray[np.int64]  # (D,), days
    jump_hi: NDArray[np.int64]  # (D,), days, inclusive
    horizon_days: int  # a unit covers so many days
    tick_s: float  # times are whole in this

    @property
    def gaps(self) -> int:
        return len(self.gap_lo)

    @property
    def end(self) -> int:
        """The token that ends a unit."""
        return len(self.gap_lo) + len(self.jump_lo)

    @property
    def horizon_s(self) -> float:
        return self.horizon_days * DAY_S

    @classmethod
    def learn(
        cls, gaps: NDArray[np.float64], *, horizon_days: int, tick_s: float, cut_s: float = CUT_S
    ) -> Self:
        """Choose the tokens from a sample of gaps between neighbouring events.

        Args:
            gaps: Seconds, shape (gaps,), at least 0.
            horizon_days: Days that a unit covers.
            tick_s: Precision of the times in seconds.
            cut_s: Shortest gap that is drawn as day, hour and slot; `CUT_S` where a regular clock
                has gaps between the two, which are drawn as they are.
        """
        between = gaps[(gaps >= cut_s) & (gaps < CUT_S)]
        cut_s = CUT_S if _regular(between, tick_s) else cut_s
        short = np.sort(gaps[gaps < cut_s])
        lo, hi, sub = _gap_bins(short, cut_s)
        first, last = _jumps(horizon_days)
        return cls(cut_s, lo, hi, sub, first, last, horizon_days, tick_s)

    def encode(
        self, t: NDArray[np.float64], previous: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Time token, hour and slot of events; hour and slot are -1 behind a gap token.

        Args:
            t: Seconds since the unit's start, shape (events,).
            previous: The same of the event before, -1 at the first; shape (events,).
        """
        gap = t - previous
        short = (gap < self.cut_s) & (previous >= 0)
        order = np.argsort(self.gap_lo, kind="stable")
        spike = self.gap_lo == self.gap_hi
        wide = order[~spike[order]]
        token = np.zeros(len(t), np.int32)
        if len(wide):
            at = np.searchsorted(self.gap_lo[wide], gap, side="right") - 1
            token = wide[np.clip(at, 0, len(wide) - 1)].astype(np.int32)
        for k in np.flatnonzero(spike):
            token[np.abs(gap - self.gap_lo[k]) < 1e-6] = k
        day = np.floor(t / DAY_S).astype(np.int64)
        jump = day - np.floor(np.maximum(previous, 0) / DAY_S).astype(np.int64)
        far = self.gaps + np.searchsorted(self.jump_lo, jump, side="right") - 1
        token = np.where(short, token, far).astype(np.int32)
        within = t - day * DAY_S
        hour = np.where(short, -1, within // HOUR_S).astype(np.int32)
        slot = np.where(short, -1, within % HOUR_S // SLOT_S).astype(np.int32)
        return token, hour, slot

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The clock that `state` came from."""
        return cls(**state)


def _regular(gaps: NDArray[np.float64], tick_s: float) -> bool:
    """Whether a clock must have made these: one gap is so frequent, or they lie in peaks.

    Peaks are what their logarithms tell beyond a smooth density of them, in nats a gap: pings every
    quarter of an hour or so of which some are lost .6, calls and texts of people less than .01.
    """
    if len(gaps) < FEWEST_GAPS:
        return False
    counts = np.unique(gaps, return_counts=True)[1]
    if counts.max() >= REGULAR * len(gaps) or tick_s > COARSE_S:
        return bool(counts.max() >= REGULAR * len(gaps))
    logs = np.log(gaps)
    found = np.histogram(logs, PEAK_BINS, (logs.min(), logs.max() + 1e-9))[0].astype(float)
    away = np.subtract.outer(np.arange(PEAK_BINS), np.arange(PEAK_BINS)) / (PEAK_BINS / 6)
    near = np.exp(-0.5 * away**2)
    smooth = near @ found / near.sum(axis=1)
    share, some = found / found.sum(), found > 0
    nats = float(share[some] @ np.log(share[some] / (smooth[some] / smooth.sum())))
    return nats - (PEAK_BINS - 1) / (2 * len(gaps)) >= PEAKED_NATS  # less what chance adds


def _gap_bins(
    short: NDArray[np.float64], cut_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    values, counts = np.unique(short, return_counts=True)
    often = counts >= max(SPIKE_SHARE * len(short), 20)
    spikes = values[often][np.argsort(-counts[often], kind="stable")][:24]
    rest = short[~np.isin(short, spikes)]
    edges = {0.0, cut_s}
    if len(rest):
        at = np.linspace(0, 1, min(BINS, max(len(rest) // 10, 1)) + 1)[1:-1]
        edges |= set(np.quantile(rest, at, method="higher").tolist())
        for edge in np.expm1(np.linspace(0, np.log1p(cut_s), 25))[1:-1].tolist():
            ordered = np.array(sorted(edges))
            k = int(np.searchsorted(ordered, edge))
            a, b, c = np.searchsorted(
                rest, [ordered[k - 1], edge, ordered[min(k, len(ordered) - 1)]]
            )
            if b - a >= 20 and c - b >= 20:
                edges.add(edge)
    bounds = np.array(sorted(edges))
    lo, hi = bounds[:-1], bounds[1:]
    sub = np.empty((len(lo), SUBS))
    for k in range(len(lo)):
        inside = rest[np.searchsorted(rest, lo[k]) : np.searchsorted(rest, hi[k])]
        ends = np.linspace(lo[k], hi[k], SUBS)
        sub[k] = np.quantile(inside, np.linspace(0, 1, SUBS)) if len(inside) > 3 else ends
    spikes = np.sort(spikes)
    return (
        np.concatenate([lo, spikes]),
        np.concatenate([hi, spikes]),
        np.concatenate([sub, np.repeat(spikes[:, None], SUBS, axis=1)]),
    )


def _jumps(horizon_days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Days exactly up to 14, then in runs that grow by a third."""
    starts = list(range(min(horizon_days, 15)))
    while starts[-1] + max(1, starts[-1] // 3) < horizon_days:
        starts.append(starts[-1] + max(1, starts[-1] // 3))
    first = np.array(starts, np.int64)
    return first, np.concatenate([first[1:] - 1, [max(horizon_days - 1, starts[-1])]])
