"""The attributes of a unit of events: count, calendar, habits, drawn jointly before the events.

One row a unit. Columns come in a fixed order and each is drawn by a forest of trees on all columns
before it (`_forest.py`). Shares of a category are drawn by breaking a stick in whole events, so
that counts add up. Some columns are computed from those before (`computed`), others are known
beforehand (`given`: a subject's own attributes, the calendar of an episode).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_coder import DAY_S, Coder, Units
from synth_spark.generators._forest import Forest

SLOTS = (
    12  # shares of a category that are attributes: its heaviest values, the last slot for the rest
)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column of the table of attributes."""

    name: str
    role: str  # given, drawn, whole (drawn, integers), share, computed
    column: int = -1  # of the category or number
    place: int = -1  # of the share's slot


@dataclass(frozen=True, slots=True)
class Slots:
    """Which share a token counts towards, for each category."""

    of_token: tuple[NDArray[np.int32], ...]  # (tokens,) each
    count: NDArray[np.int64]  # (categories,)

    @classmethod
    def learn(cls, coder: Coder, units: Units) -> Self:
        """Heaviest values first, the rest in the last slot."""
        tables = []
        for j, column in enumerate(coder.cats):
            rows = np.bincount(units.cats[:, j], minlength=column.tokens)
            order = np.argsort(-rows, kind="stable")
            place = np.empty(column.tokens, np.int32)
            place[order] = np.minimum(np.arange(column.tokens), SLOTS - 1)
            tables.append(place)
        return cls(tuple(tables), np.array([t.max() + 1 for t in tables], np.int64))


def layout(coder: Coder, slots: Slots, given: tuple[str, ...]) -> tuple[Attribute, ...]:
    """The columns in the order in which they are drawn: the main category after the calendar."""
    out = [Attribute(name, "given") for name in given]
    out += [Attribute("weekday", "computed"), Attribute("n", "whole")]
    for j in range(1, len(coder.cats)):
        out += _shares(j, int(slots.count[j]))
    if coder.clock.horizon_days > 1:
        out.append(Attribute("days", "whole"))
    out += [Attribute("span", "drawn"), Attribute("first", "drawn")]
    if coder.cats:
        out += _shares(0, int(slots.count[0]))
    out += [Attribute("self", "drawn", j) for j, c in enumerate(coder.cats) if c.tokens > 1]
    out += [Attribute(n, "drawn") for n in ("gap", "night", "weekend", "hour_mean", "hour_std")]
    for j in range(len(coder.nums)):
        out += [Attribute("mean", "drawn", j), Attribute("std", "drawn", j)]
    return tuple(out)


def _shares(j: int, count: int) -> list[Attribute]:
    if count < 2:
        return []
    out = [Attribute("distinct", "whole", j)]
    for k in range(count):
        if k < count - 1:
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
    lengths, some = units.lengths, units.lengths > 0
    at = units.offsets[:-1]
    unit = np.repeat(np.arange(len(lengths)), lengths)
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
    facts = {
        "weekday": ((units.anchor + 3) % 7).astype(float),
        "n": lengths.astype(float),
        "days": np.bincount(unit[new_day], minlength=len(lengths)).astype(float),
        "first": first / DAY_S,
        "span": (last - first) / DAY_S,
        "gap": np.log1p(_median(gaps, units.offsets)),
        "night": mean((hour < 6).astype(float)),
        "weekend": mean((weekday > 4).astype(float)),
        "hour_mean": hour_mean,
        "hour_std": np.sqrt(mean((hour - hour_mean[unit]) ** 2)),
    }
    counts = []
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


@dataclass(frozen=True, slots=True)
class Attributes:
    """The forests of all drawn columns."""

    columns: tuple[Attribute, ...]
    forests: dict[int, Forest]  # by position of the column
    slots: Slots
    mean: Floats  # (columns,), of the training table
    std: Floats  # (columns,), at least 1e-6
    horizon_days: int
    most_events: int

    @classmethod
    def learn(
        cls,
        coder: Coder,
        units: Units,
        given: dict[str, Floats],
        *,
        leaf: int,
        seed: int,
        trees: int,
    ) -> Self:
        """Fit all forests on the units of a sample of subjects.

        Args:
            coder: How the records are coded.
            units: The sample's units.
            given: Columns that are known before, each of shape (units,).
            leaf: Least units in a leaf.
            seed: The run's seed.
            trees: Trees a column.
        """
        slots = Slots.learn(coder, units)
        columns = layout(coder, slots, tuple(given))
        facts, counts = measure(coder, slots, units)
        table = _table(columns, {**facts, **given}, counts)
        some = units.lengths > 0
        forests = {}
        level = own_levels(columns)
        for j, column in enumerate(columns):
            if column.role in ("drawn", "whole", "share"):
                rows = _asked(column, table, columns, some)
                x = table[rows]
                exact = column.role == "whole"
                forests[j] = Forest.fit(
                    x[:, :j],
                    x[:, j] - x[:, level[j]] if j in level else x[:, j],
                    leaf=leaf,
                    seed=seed,
                    name=f"{column.name}/{j}",
                    exact=exact,
                    trees=trees,
                )
        kept = table[some] if some.any() else table
        std = np.maximum(kept.std(axis=0), 1e-6)
        horizon, most = coder.clock.horizon_days, coder.most_events
        return cls(columns, forests, slots, kept.mean(axis=0), std, horizon, most)

    def table(self, coder: Coder, units: Units, given: dict[str, Floats]) -> Floats:
        """The real attributes of units, shape (units, columns)."""
        facts, counts = measure(coder, self.slots, units)
        return _table(self.columns, {**facts, **given}, counts)

    def draw(self, given: dict[str, Floats], uniforms: Floats) -> Floats:
        """Attributes of new units.

        Args:
            given: The known columns, each of shape (units,); "anchor" (days since 1970) too.
            uniforms: Shape (units, columns, 4), in [0, 1).

        Returns:
            The table, shape (units, columns); a unit with n = 0 is silent.
        """
        rows = len(uniforms)
        x = np.zeros((rows, len(self.columns)))
        stick, level = _Stick(rows), own_levels(self.columns)
        for j, column in enumerate(self.columns):
            drawn = x[:, j]
            if j in self.forests:
                drawn = self.forests[j].draw(x[:, :j], uniforms[:, j])
            if j in level:
                drawn = _around(column, x[:, level[j]], drawn, stick.n, uniforms[:, j, 3])
            match column.role:
                case "given":
                    x[:, j] = given[column.name]
                case "computed":
                    x[:, j] = self._computed(column, given, stick)
                case "share":
                    last = column.place == self.slots.count[column.column] - 2
                    x[:, j] = stick.take(drawn, uniforms[:, j, 3], last)
                case _:
                    x[:, j] = self._bounded(column, x, drawn, stick)
        return x

    def _computed(self, column: Attribute, given: dict[str, Floats], stick: _Stick) -> Floats:
        if column.name == "weekday":
            return np.asarray((given["anchor"] + 3) % 7)
        if column.name == "left":
            return stick.left / np.maximum(stick.n, 1)
        return stick.owed if column.name == "owed" else stick.top / np.maximum(stick.n, 1)

    def _bounded(self, column: Attribute, x: Floats, drawn: Floats, stick: _Stick) -> Floats:
        if column.name == "n":
            stick.n = np.clip(np.rint(drawn), 0, self.most_events)
            return stick.n
        if column.name == "distinct":
            return stick.begin(drawn, int(self.slots.count[column.column]))
        if column.name == "days":
            return np.clip(drawn, 1, np.minimum(np.maximum(stick.n, 1), self.horizon_days))
        if column.name == "first":
            span = x[:, self.index("span")]
            return np.clip(drawn, 0, np.maximum(self.horizon_days - span - 1e-5, 0))
        return drawn

    def index(self, name: str, column: int = -1) -> int:
        """Position of a column; -1 if there is none."""
        for j, c in enumerate(self.columns):
            if c.name == name and c.column == column:
                return j
        return -1

    def shares(self, x: Floats, j: int) -> Floats:
        """Share of each slot of category j in each unit, shape (units, slots)."""
        count = int(self.slots.count[j])
        out = np.ones((len(x), count))
        left = np.ones(len(x))
        for k in range(count - 1):
            at = next(
                i
                for i, c in enumerate(self.columns)
                if (c.name, c.column, c.place) == ("share", j, k)
            )
            out[:, k] = left * x[:, at]
            left = left - out[:, k]
        out[:, count - 1] = left
        return np.where(out < 1e-9, 0.0, out)

    def standard(self, x: Floats) -> NDArray[np.float32]:
        """Columns centred and scaled, cut at 4; shape as `x`."""
        return np.clip((x - self.mean) / self.std, -4, 4).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "columns": [[c.name, c.role, c.column, c.place] for c in self.columns],
            "forests": {str(j): f.state() for j, f in self.forests.items()},
            "slots": [list(self.slots.of_token), self.slots.count],
            "mean": self.mean,
            "std": self.std,
            "bounds": [self.horizon_days, self.most_events],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The attributes that `state` came from."""
        return cls(
            tuple(Attribute(*c) for c in state["columns"]),
            {int(j): Forest.from_state(f) for j, f in state["forests"].items()},
            Slots(tuple(state["slots"][0]), state["slots"][1]),
            state["mean"],
            state["std"],
            *state["bounds"],
        )


def own_levels(columns: tuple[Attribute, ...]) -> dict[int, int]:
    """Columns that are drawn around a level of the subject's own, and where that level stands.

    What is learned of them is the distance from the subject's level, so that a habit outlives the
    leaves: its level is the subject's, not the mean of the units that share a leaf.
    """
    place = {c.name: i for i, c in enumerate(columns) if c.role == "given"}
    out = {}
    for j, c in enumerate(columns):
        name = f"stick{c.column}/{c.place}" if c.role == "share" else f"own_{c.name}"
        name += str(c.column) if c.role == "drawn" and c.column >= 0 else ""
        if c.role in ("drawn", "share") and c.name not in ("span", "first") and name in place:
            out[j] = place[name]
    return out


def _around(column: Attribute, level: Floats, away: Floats, n: Floats, u: Floats) -> Floats:
    """A value by its distance from the subject's level, in the range that the column has."""
    value = level + away
    if column.role == "share":
        return np.clip(value, 0, 1)
    if column.name in ("night", "weekend", "self"):  # shares of the unit's events: whole events
        events = np.maximum(n, 1)
        return np.clip(np.floor(value * events + u), 0, events) / events
    if column.name == "hour_mean":
        return np.clip(value, 0, 24)
    return value if column.name == "mean" else np.maximum(value, 0)


class _Stick:
    """Breaks the events of units into counts of a category's slots, slot by slot."""

    def __init__(self, rows: int) -> None:
        self.n = np.zeros(rows)
        self.left, self.owed, self.top = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        self.slots_left = 0

    def begin(self, distinct: Floats, slots: int) -> Floats:
        """Start a category: all events left, `distinct` slots to be filled."""
        self.left, self.top, self.slots_left = self.n.copy(), np.zeros_like(self.n), slots
        self.owed = np.clip(np.rint(distinct), np.minimum(self.n, 1), np.minimum(self.n, slots))
        return self.owed.copy()

    def take(self, share: Floats, u: Floats, last: bool) -> Floats:
        """The next slot's part of what is left; the count is whole."""
        want = np.floor(share * self.left + u)
        low = np.where(self.owed >= self.slots_left, 1, 0)
        high = np.where(self.owed > 0, self.left - np.maximum(self.owed - 1, 0), 0)
        # With one slot to fill, this slot holds all that is left, or nothing.
        want = np.where(self.owed == 1, np.where(share >= 0.5, self.left, 0), want)
        count = np.minimum(np.clip(want, low, np.maximum(high, low)), self.left)
        part = count / np.maximum(self.left, 1)
        self.left = self.left - count
        self.owed = self.owed - (count > 0)
        self.top = np.maximum(self.top, count)
        self.slots_left -= 1
        if last:
            self.top = np.maximum(self.top, self.left)
        return np.asarray(part)


def _table(
    columns: tuple[Attribute, ...], facts: dict[str, Floats], counts: list[NDArray[np.int64]]
) -> Floats:
    """The training table; shares and what is left of the stick from the real counts."""
    n = facts["n"]
    table = np.zeros((len(n), len(columns)))
    for i, c in enumerate(columns):
        if c.name in ("share", "left", "owed", "distinct", "top"):
            table[:, i] = _stick_fact(c, counts[c.column], n)
        else:
            table[:, i] = facts[c.name if c.column < 0 else f"{c.name}{c.column}"]
    return table


def _stick_fact(c: Attribute, counts: NDArray[np.int64], n: Floats) -> Floats:
    if c.name == "distinct":
        return np.asarray((counts > 0).sum(axis=1), dtype=np.float64)
    if c.name == "top":
        return np.asarray(counts.max(axis=1) / np.maximum(n, 1))
    if c.name == "share":
        return np.asarray(counts[:, c.place] / np.maximum(counts[:, c.place :].sum(axis=1), 1))
    after = counts[:, c.place + 1 :]
    if c.name == "left":
        return np.asarray(after.sum(axis=1) / np.maximum(n, 1))
    return np.asarray((after > 0).sum(axis=1), dtype=np.float64)


def _asked(
    column: Attribute, table: Floats, columns: tuple[Attribute, ...], some: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Rows that teach a column: all for n, else units with events and a stick left."""
    if column.name == "n" or not some.any():
        return np.ones(len(table), bool)
    if column.role == "share" and column.place > 0:
        names = [(c.name, c.column, c.place) for c in columns]
        left = table[:, names.index(("left", column.column, column.place - 1))]
        return some & (left > 0) if (some & (left > 0)).any() else some
    return some
