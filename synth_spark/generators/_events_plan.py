"""What the tables of `markov` are indexed by, chosen from the sample: edges, levels, parents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.generators import _events_tables as tables
from synth_spark.generators._events_attributes import Attributes
from synth_spark.generators._events_coder import DAY_S, Coder, Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._events_levels import (
    gap_edges,
    gaps_of,
    levels_of,
    number_parent,
    parent_of,
    quantiles,
)

NIGHTS = (0.04, 0.12)  # parts of a unit's events, edges of its rhythm
MOST_CALM = 1e4  # events
NIGHT_EVENTS = 100.0  # weight, in events, of all rhythms together in a rhythm's part of nights


@dataclass(frozen=True, slots=True)
class Contexts:
    """Edges of the levels, and which column each column is drawn by."""

    starts: NDArray[np.int64]  # (categories,), where a category's values begin
    widths: NDArray[np.int64]  # (categories,)
    slot_of: NDArray[np.int64]  # (values,), slot of the attributes
    within: Floats  # (values,), share of the value within its slot
    in_runs: NDArray[np.bool_]  # (categories,), ids in runs, see `_events_runs.py`
    cat_parent: NDArray[np.int64]  # (categories,), an earlier category, -1: none
    num_cat: NDArray[np.int64]  # (numbers,), a category, -1: none
    num_num: NDArray[np.int64]  # (numbers,), an earlier number; -1: its own last; -2: none
    num_start: NDArray[np.int64]  # (numbers + 1,)
    num_level: NDArray[np.int64]  # (number tokens,), 0 missing, 1 to 4 quarters
    mean_edges: Floats  # (numbers, 3)
    pace_edges: Floats
    last_edges: Floats
    gap_edges: Floats
    nights: Floats  # (rhythms,), part of the events of units of that rhythm
    spread: Floats  # (numbers,), deviation of a number's logarithms within a unit
    calm: Floats  # (numbers,), events after which a unit's mean tells as much of it as all units

    @classmethod
    def learn(cls, base: Base, sample: Records) -> Self:
        """Choose them from a sample of whole subjects."""
        coder, attributes = base.coder, base.histories.attributes
        units = coder.units(sample)
        x = attributes.table(coder, units, base.histories.given(coder, sample, units))
        widths = np.array([c.tokens for c in coder.cats], np.int64)
        starts = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        slot_of = np.concatenate([np.zeros(0, np.int64), *attributes.slots.of_token]).astype(
            np.int64
        )
        num_width = np.array([c.codec.vocabulary for c in coder.nums], np.int64)
        num_start = np.concatenate([[0], np.cumsum(np.maximum(num_width, 1))]).astype(np.int64)
        levels = [
            levels_of(units.nums[:, j], c.missing, int(num_width[j]))
            for j, c in enumerate(coder.nums)
        ]
        in_runs = np.array([c.how == "runs" for c in coder.cats], bool)
        edges = gap_edges(units, in_runs)
        ends = (x[:, attributes.index("first")] + x[:, attributes.index("span")]) * DAY_S
        pace = tables.pace_values(units.t, units.offsets, ends)
        means = np.array(
            [quantiles(x[:, attributes.index("mean", j)], 3) for j in range(len(coder.nums))]
        ).reshape(-1, 3)
        cat_parent = [  # none for runs, where the gap says it
            -1 if in_runs[j] else parent_of(units.cats, j, range(j)) for j in range(len(in_runs))
        ]
        num_cat = [
            parent_of(units.cats, -1, range(len(coder.cats)), units.nums[:, j])
            for j in range(len(coder.nums))
        ]
        num_num = [number_parent(units, j, levels) for j in range(len(coder.nums))]
        return cls(
            starts[:-1], widths, slot_of, _within(units, coder, attributes),
            in_runs, np.array(cat_parent, np.int64), np.array(num_cat, np.int64),
            np.array(num_num, np.int64),
            num_start, np.concatenate([np.zeros(0, np.int64), *levels]).astype(np.int64),
            means, quantiles(pace, tables.PACE - 1), quantiles(gaps_of(units), 2), edges,
            _nights(attributes, x), *_levels(attributes, x, units),
        )  # fmt: skip

    def selfs(self, attributes: Attributes, x: Floats) -> Floats:
        """Share of repeats of each category in each unit, shape (units, categories)."""
        out = np.zeros((len(x), len(self.widths)))
        for c in range(len(self.widths)):
            at = attributes.index("self", c)
            out[:, c] = x[:, at] if at >= 0 else 1.0
        return out

    def nights_of(self, attributes: Attributes, x: Floats) -> tuple[Floats, Floats]:
        """Nights as a part of each unit's events, and their odds in its rhythm; (units,) each."""
        usual = self.nights[rhythms(attributes, x)]
        return x[:, attributes.index("night")].copy(), tables.night_odds(usual)

    def tilts(self, attributes: Attributes, x: Floats) -> Floats:
        """Odds of a night in each unit against those of its rhythm, shape (units,)."""
        part, usual = self.nights_of(attributes, x)
        tilt = tables.night_odds(part) / usual
        return np.asarray(np.clip(tilt, 1 / tables.MOST_TILT, tables.MOST_TILT))

    def mean_levels(self, attributes: Attributes, x: Floats) -> NDArray[np.int64]:
        """Quarter of each number's mean in each unit, shape (units, numbers)."""
        out = np.zeros((len(x), len(self.mean_edges)), np.int64)
        for j, edges in enumerate(self.mean_edges):
            out[:, j] = np.searchsorted(edges, x[:, attributes.index("mean", j)], side="right")
        return out

    def empty(self, coder: Coder, states: int) -> dict[str, NDArray[Any]]:
        """Tables of zeros; `states` of the main value left are told apart."""
        values, widest = int(self.widths.sum()), int(self.widths.max(initial=1))
        c, t, main = len(self.widths), tables, int(self.widths[0]) if len(self.widths) else 1
        return {
            "time": np.zeros(
                (t.CLOCKS, t.PACE, t.BLOCKS, t.LAST, t.PARTS, states, coder.clock.end), np.uint32
            ),  # by far the largest
            "hours": np.zeros((t.CLOCKS, 4, t.BLOCKS, states, 24)),
            "first_hours": np.zeros((t.CLOCKS, t.PARTS, 24)),
            "slots": np.zeros((24, 12)),
            "stays": np.zeros((c, t.GAPS, t.SELF, t.SHARE, 2, t.SUITS, 2)),
            "moves": np.zeros((values, 2, widest)),
            "lifts": np.zeros((values, widest)),
            "numbers": np.zeros((int(self.num_start[-1]), widest, 4, t.NUM_LEVELS)),
            "chain": np.zeros((main, main)),
            "dwell": np.zeros((main, t.DWELLS)),
        }

    def smoothed(self, counts: dict[str, NDArray[Any]], weight: float) -> dict[str, NDArray[Any]]:
        """Counts to what the walk reads: cumulative rows, chances to stay, relative lifts."""
        time = _times(counts["time"], weight)
        stays = _backed_off(counts["stays"], weight, axes=(2, 3, 4, 1, 5))[..., 1]
        numbers = np.moveaxis(counts["numbers"], 0, -1).copy()
        for j in range(len(self.num_start) - 1):
            a, b = self.num_start[j], self.num_start[j + 1]
            part = _backed_off(numbers[..., a:b], weight, axes=(2, 1, 0), strict=0)
            numbers[..., a:b] = _cumulative(part)
        return {
            "time": _cumulative(time).astype(np.float32),
            "hours": _cumulative(_backed_off(counts["hours"], weight, axes=(0, 3, 2, 1))),
            "first_hours": _cumulative(_backed_off(counts["first_hours"], weight, axes=(0, 1))),
            "slots": _cumulative(_backed_off(counts["slots"], weight, axes=(0,))),
            "stays": np.ascontiguousarray(stays),
            "moves": self._moves(counts["moves"], weight),
            "lifts": self._lifts(counts["lifts"]),
            "numbers": np.ascontiguousarray(numbers.astype(np.float32)),
        }

    def _moves(self, counts: NDArray[Any], weight: float) -> NDArray[Any]:
        """Chance of each new value after a change, over the chance without knowing the last one.

        Of ids in runs the chance itself: what is owed says nothing about them.
        """
        out = np.ones_like(counts)
        for a, k, runs in zip(self.starts, self.widths, self.in_runs, strict=True):
            part = counts[a : a + k, :, :k]
            popular = part.sum(axis=(0, 1)) + 1e-3
            popular = popular / popular.sum()
            rows = part + (1.0 if runs else weight) * popular
            chance = rows / rows.sum(axis=-1, keepdims=True)
            out[a : a + k, :, :k] = chance if runs else np.clip(chance / popular, 0.02, 20.0)
        return np.asarray(out)

    def _lifts(self, counts: NDArray[Any]) -> NDArray[Any]:
        """How much likelier a value is with its parent than by itself; 0 where they never met."""
        out = np.ones_like(counts)
        for c, (a, k) in enumerate(zip(self.starts, self.widths, strict=True)):
            if self.cat_parent[c] < 0:
                continue
            part = counts[a : a + k]
            expected = part.sum(1, keepdims=True) * part.sum(0, keepdims=True) / max(part.sum(), 1)
            lift = (part + 0.5 * (part > 0)) / np.maximum(expected, 0.5)
            out[a : a + k] = np.where(part.sum(0) > 0, lift, 1.0)
        return out

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The contexts that `state` came from."""
        return cls(**state)


def token_shares(attributes: Attributes, contexts: Contexts, x: Floats) -> Floats:
    """Drawn share of each category value in each unit, shape (units, values)."""
    out = np.zeros((len(x), len(contexts.slot_of)))
    for c, (a, k) in enumerate(zip(contexts.starts, contexts.widths, strict=True)):
        shares = attributes.shares(x, c)
        out[:, a : a + k] = shares[:, contexts.slot_of[a : a + k]] * contexts.within[a : a + k]
    return out


def rhythms(attributes: Attributes, x: Floats) -> NDArray[np.int64]:
    """Early or late without nights, some nights, many; shape (units,)."""
    night = x[:, attributes.index("night")]
    late = x[:, attributes.index("hour_mean")] > attributes.mean[attributes.index("hour_mean")]
    some = 2 + np.searchsorted(NIGHTS, night, side="right")
    return np.where(night < 0.01, late, some).astype(np.int64)


def _nights(attributes: Attributes, x: Floats) -> Floats:
    """Part of the events of all units of each rhythm that fall in the night."""
    n, of = x[:, attributes.index("n")], rhythms(attributes, x)
    nights = n * x[:, attributes.index("night")]
    usual = NIGHT_EVENTS * nights.sum() / max(n.sum(), 1)
    by_rhythm = np.bincount(of, nights, tables.CLOCKS) + usual
    return np.asarray(by_rhythm / (np.bincount(of, n, tables.CLOCKS) + NIGHT_EVENTS))


def _levels(attributes: Attributes, x: Floats, units: Units) -> tuple[Floats, Floats]:
    """Of each number the deviation within a unit, and how many events its level is worth.

    The latter is the variance within units over that between their true means, as for the weight
    of a prior: what the means of so few events scatter by themselves is taken off (Bühlmann,
    "Experience rating and credibility", ASTIN Bulletin 1967).
    """
    numbers, n = units.values.shape[1], x[:, attributes.index("n")]
    spread, calm = np.zeros(numbers), np.zeros(numbers)
    more, unit = np.maximum(n - 1, 0), np.repeat(np.arange(len(n)), units.lengths)
    for j in range(numbers):
        mean, std = (x[:, attributes.index(name, j)] for name in ("mean", "std"))
        spread[j] = np.sqrt(more @ std**2 / max(more.sum(), 1))
        known = np.bincount(unit[~np.isnan(units.values[:, j])], minlength=len(n))
        within = known @ std**2 / max(np.maximum(known - 1, 0).sum(), 1)
        some = known > 0
        if some.any() and within > 0:
            between = mean[some].var() - (within / known[some]).mean()
            calm[j] = within / max(between, within / MOST_CALM)
    return spread, calm


def _within(units: Units, coder: Coder, attributes: Attributes) -> Floats:
    parts = [np.zeros(0)]
    for c, column in enumerate(coder.cats):
        rows = np.bincount(units.cats[:, c], minlength=column.tokens).astype(float)
        slots = attributes.slots.of_token[c]
        total = np.bincount(slots, rows)
        parts.append(rows / np.maximum(total[slots], 1))
    return np.concatenate(parts)


def _times(counts: NDArray[Any], weight: float) -> NDArray[np.float64]:
    """Shares of the time tokens; what is told of them is given up where events are few.

    The part of the week first, then the last gap and the rhythm. Then the pace and the value left
    each speak by themselves, their lifts over the hour's shares multiplied: a busy unit hurries,
    and a stay at home is as long as stays at home are.

    Args:
        counts: Shape (rhythms, paces, blocks of the day, last gaps, parts, values left, tokens).
        weight: In events, of the coarser table.
    """
    pace, value = 1, 5
    levels = [counts.astype(np.float64)]
    for axis in (4, 3, 0):
        levels.append(levels[-1].sum(axis=axis, keepdims=True))
    both = levels[-1]
    of_pace, of_value = (both.sum(axis=axis, keepdims=True) for axis in (value, pace))
    block = of_pace.sum(axis=pace, keepdims=True)
    total = block.sum(axis=2, keepdims=True) + 1e-9
    hour = _mixed(block, total / total.sum(axis=-1, keepdims=True), weight)
    share = _mixed(of_pace, hour, weight) * _mixed(of_value, hour, weight) / hour
    share = share / share.sum(axis=-1, keepdims=True)
    for level in reversed(levels):
        share = _mixed(level, share, weight)
    return np.asarray(share / share.sum(axis=-1, keepdims=True))


def _mixed(
    counts: NDArray[np.float64], coarser: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    return np.asarray((counts + weight * coarser) / (counts.sum(axis=-1, keepdims=True) + weight))


def _backed_off(
    counts: NDArray[Any], weight: float, axes: tuple[int, ...], strict: int = -1
) -> NDArray[np.float64]:
    """Shares along the last axis; each axis of `axes` is given up in turn for the coarser table.

    With `strict` an axis is named along which a value never seen stays impossible.
    """
    levels = [counts.astype(np.float64)]
    for axis in axes:
        levels.append(levels[-1].sum(axis=axis, keepdims=True))
    total = levels[-1].sum(axis=tuple(range(counts.ndim - 1)), keepdims=True) + 1e-9
    share = total / total.sum(axis=-1, keepdims=True)
    for level in reversed(levels):
        share = _mixed(level, share, weight)
    if strict >= 0:
        others = tuple(a for a in range(counts.ndim - 1) if a != strict)
        seen = counts.sum(axis=others, keepdims=True) > 0
        share = np.where(seen | ~seen.any(axis=-1, keepdims=True), share, 0.0)
    return np.asarray(share / share.sum(axis=-1, keepdims=True))


def _cumulative(share: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.cumsum(share, axis=-1)
    out /= out[..., -1:]
    out[..., -1] = 1.0
    return np.ascontiguousarray(out)
