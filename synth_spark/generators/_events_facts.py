"""What is measured of a unit of events: count, calendar, habits, as columns in a fixed order.

Shares of a category are those of a stick that is broken slot by slot: of what is left. Some columns
are computed from those before (`computed`), others are known beforehand (`given`: a subject's own
attributes, the calendar of an episode).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import DAY_S, RANKS, Coder, EventColumn, Units
from synth_spark.generators._forest import MOST_ROWS, ROW_SHARE

USERS = 100  # units that use a slot, from which a tree's leaf can be theirs
EXPECTED = 20.0  # repeats by chance, from which it tells something that there is none
SLOTS = 12  # shares of a category: its heaviest values, the last slot for the rest
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column of the table of attributes."""

    name: str
    # given, drawn, whole (drawn, integers), ratio (drawn as a part), some (0 or 1), share, computed
    role: str
    column: int = -1  # of the category or number
    place: int = -1  # of the share's slot


@dataclass(frozen=True, slots=True)
class Slots:
    """Which share a token counts towards, for each category."""

    of_token: tuple[NDArray[np.int32], ...]  # (tokens,) each
    count: NDArray[np.int64]  # (categories,)
    ordered: NDArray[np.bool_]  # (categories,), ranks of the unit: none has more than that before
    alone: NDArray[np.int64]  # (categories,), of the first so many values none comes twice running
    common: NDArray[np.bool_]  # (categories,), every slot is used by so many units, see USERS

    @classmethod
    def learn(cls, coder: Coder, units: Units) -> Self:
        """Heaviest values first, the rest in the last slot; of ordered ranks those last."""
        tables = []
        ordered = [c.how == "ranked" and not coder.episodes for c in coder.cats]
        for j, column in enumerate(coder.cats):
            rows = np.bincount(units.cats[:, j], minlength=column.tokens)
            order = np.argsort(-rows, kind="stable")
            if ordered[j]:  # missing, other, own 1st, 2nd, ...
                tokens = np.arange(column.tokens)
                order = np.concatenate([tokens[RANKS:][::-1], tokens[:RANKS]])
            place = np.empty(column.tokens, np.int32)
            place[order] = np.minimum(np.arange(column.tokens), SLOTS - 1)
            tables.append(place)
        count = np.array([t.max() + 1 for t in tables], np.int64)
        alone = [_alone(units, j, c) for j, c in enumerate(coder.cats)]
        unit = np.repeat(np.arange(len(units.lengths)), units.lengths)
        part = min(MOST_ROWS / max(ROW_SHARE * len(units.lengths), 1), 1.0)  # that a tree may see
        common = [
            len(unit) > 0
            and bool((part * _users(unit, table[units.cats[:, j]], int(count[j])) >= USERS).all())
            for j, table in enumerate(tables)
        ]
        return cls(
            tuple(tables), count, np.array(ordered, np.bool_), np.array(alone, np.int64),
            np.array(common, np.bool_),
        )  # fmt: skip

    def kind(self, j: int, place: int) -> Literal["missing", "other", "rank"]:
        """What a slot of an ordered category holds."""
        behind = int(self.count[j]) - RANKS - place  # 1: the slot before the ranks
        if behind <= 0:
            return "rank"
        return "other" if behind == 1 else "missing"


def _users(unit: NDArray[np.int64], slot: NDArray[np.int32], width: int) -> NDArray[np.int64]:
    """How many units use each slot, shape (width,)."""
    return np.bincount(np.unique(unit * width + slot) % width, minlength=width)


def _alone(units: Units, j: int, column: EventColumn) -> int:
    """Of so many values of a category none follows itself, where by chance some would; else 0."""
    most = RANKS if column.how == "ranked" else column.tokens  # a rank's other values are many
    inner = units.previous[1:] >= 0
    now, last = units.cats[1:, j][inner], units.cats[:-1, j][inner]
    both = (now < most) & (last < most)
    share = np.bincount(now[both]) / max(both.sum(), 1)
    by_chance = both.sum() * (share**2).sum()
    return most if by_chance >= EXPECTED and (now != last)[both].all() else 0


def layout(coder: Coder, slots: Slots, given: tuple[str, ...]) -> tuple[Attribute, ...]:
    """The columns in the order in which they are drawn: the main category after the calendar."""
    out = [Attribute(name, "given") for name in given]
    out += [Attribute("weekday", "computed"), Attribute("n", "whole")]
    for j in range(1, len(coder.cats)):
        out += _shares(j, slots, given)
    # Of whole histories few share a leaf with the busiest or with those that start late: what
    # grows with the count, or with the days that are left, is drawn as a part of it.
    long = coder.mode == "whole"
    if coder.clock.horizon_days > 1:
        out.append(Attribute("days", "ratio" if long else "whole"))
    out += [Attribute("span", "ratio" if long else "drawn"), Attribute("first", "drawn")]
    out += [Attribute("even", "computed")] if long else []
    if coder.cats:
        out += _shares(0, slots, given)
    out += [Attribute("self", "drawn", j) for j, c in enumerate(coder.cats) if c.tokens > 1]
    out += [Attribute(n, "drawn") for n in ("gap", "night", "weekend", "hour_mean", "hour_std")]
    for j in range(len(coder.nums)):
        out += [Attribute("mean", "drawn", j), Attribute("std", "drawn", j)]
    return tuple(out)


def _shares(j: int, slots: Slots, given: tuple[str, ...]) -> list[Attribute]:
    """The slots of a category; whether one is used comes before how far, where all are common.

    Not for ranks, which are used in their order, nor for shares around a subject's own level. Where
    few units use a slot, leaves mix them with the others whose shares leave it no room.
    """
    count = int(slots.count[j])
    if count < 2:
        return []
    first = slots.common[j] and not slots.ordered[j] and f"stick{j}/0" not in given
    out = [Attribute("distinct", "ratio", j)]
    for k in range(count):
        if k < count - 1:
            out += [Attribute("some", "some", j, k)] if first else []
            out.append(Attribute("share", "share", j, k))
        if k < count - 2:
            out += [Attribute("left", "computed", j, k), Attribute("owed", "computed", j, k)]
    return [*out, Attribute("top", "computed", j)]


def measure(
    coder: Coder, slots: Slots, units: Units
) -> tuple[dict[str, Floats], list[NDArray[np.int64]]]:
    """Plain facts of each unit, and the counts of each category's slots.

    Returns:
        Name (with the column's number where it has one) -> values, shape (units,); and one array
        (units, slots) for each category.
    """
    lengths = units.lengths
    unit = np.repeat(np.arange(len(lengths)), lengths)
    facts, counts = _when(units, unit), []
    for j, table in enumerate(slots.of_token):
        width = int(slots.count[j])
        token = units.cats[:, j]
        same = np.zeros(len(token))
        same[1:] = token[1:] == token[:-1]
        same[units.previous < 0] = 0.0
        facts[f"self{j}"] = np.bincount(unit, same, len(lengths)) / np.maximum(lengths - 1, 1)
        flat = np.bincount(unit * width + table[token], minlength=len(lengths) * width)
        counts.append(flat.reshape(len(lengths), width).astype(np.int64))
    for j in range(len(coder.nums)):
        value = signed_log(units.values[:, j])
        known = ~np.isnan(value)
        have = np.maximum(np.bincount(unit, known, len(lengths)), 1)
        value = np.where(known, value, 0.0)
        average = np.bincount(unit, value, len(lengths)) / have
        spread = np.bincount(unit, known * (value - average[unit]) ** 2, len(lengths)) / have
        facts[f"mean{j}"], facts[f"std{j}"] = average, np.sqrt(spread)
    return facts, counts


def _when(units: Units, unit: NDArray[np.int64]) -> dict[str, Floats]:
    """How many events each unit has, and when they are; `unit` is that of each event."""
    lengths, some = units.lengths, units.lengths > 0
    at = units.offsets[:-1]
    n = np.maximum(lengths, 1)

    def mean(x: Floats) -> Floats:
        return np.bincount(unit, x, len(lengths)) / n

    first, last = np.zeros(len(lengths)), np.zeros(len(lengths))
    first[some], last[some] = units.t[at[some]], units.t[units.offsets[1:][some] - 1]
    day = np.floor(units.t / DAY_S)
    new_day = np.ones(len(day), bool)
    new_day[1:] = (np.diff(day) != 0) | (np.diff(unit) != 0)
    hour = (units.t - day * DAY_S) / 3600.0
    weekday = (units.anchor[unit] + day.astype(np.int64) + 3) % 7
    gaps = np.where(units.previous < 0, np.nan, units.t - units.previous)
    hour_mean = mean(hour)
    return {
        "weekday": ((units.anchor + 3) % 7).astype(float),
        "n": lengths.astype(float),
        "days": np.bincount(unit[new_day], minlength=len(lengths)).astype(float),
        "first": first / DAY_S,
        "span": (last - first) / DAY_S,
        "even": even_gap((last - first) / DAY_S, lengths.astype(float)),
        "gap": np.log1p(_median(gaps, units.offsets)),
        "night": mean((hour < 6).astype(float)),
        "weekend": mean((weekday > 4).astype(float)),
        "hour_mean": hour_mean,
        "hour_std": np.sqrt(mean((hour - hour_mean[unit]) ** 2)),
    }


def even_gap(span_days: Floats, n: Floats) -> Floats:
    """log(1 + s) of the gap between n events that fill a span evenly; shape (units,)."""
    return np.asarray(np.log1p(np.maximum(span_days, 0) * DAY_S / np.maximum(n - 1, 1)))


def room_days(anchor: Floats, last_day: int) -> Floats:
    """Days from a unit's first midnight to the end of the records; shape (units,)."""
    return np.asarray(np.maximum(last_day + 1 - anchor, 1.0))


def signed_log(values: Floats) -> Floats:
    """log(1 + |x|) with the sign of x, so that sentinels below zero stay finite."""
    return np.sign(values) * np.log1p(np.abs(values))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _median(gaps, offsets):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets) - 1)
    for i in range(len(out)):
        part = gaps[offsets[i] + 1 : offsets[i + 1]]
        if len(part):
            out[i] = np.median(part)
    return out


def table(
    columns: tuple[Attribute, ...], facts: dict[str, Floats], counts: list[NDArray[np.int64]]
) -> Floats:
    """Facts as a table, (units, columns); shares and what is left from the real counts."""
    n = facts["n"]
    out = np.zeros((len(n), len(columns)))
    for i, c in enumerate(columns):
        if c.name in ("some", "share", "left", "owed", "distinct", "top"):
            out[:, i] = _stick_fact(c, counts[c.column], n)
        else:
            out[:, i] = facts[c.name if c.column < 0 else f"{c.name}{c.column}"]
    return out


def _stick_fact(c: Attribute, counts: NDArray[np.int64], n: Floats) -> Floats:
    if c.name == "distinct":
        return np.asarray((counts > 0).sum(axis=1), dtype=np.float64)
    if c.name == "top":
        return np.asarray(counts.max(axis=1) / np.maximum(n, 1))
    if c.name == "some":
        return np.asarray(counts[:, c.place] > 0, dtype=np.float64)
    if c.name == "share":
        return np.asarray(counts[:, c.place] / np.maximum(counts[:, c.place :].sum(axis=1), 1))
    after = counts[:, c.place + 1 :]
    if c.name == "left":
        return np.asarray(after.sum(axis=1) / np.maximum(n, 1))
    return np.asarray((after > 0).sum(axis=1), dtype=np.float64)
