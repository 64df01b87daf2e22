"""The attributes of a unit of events, drawn jointly before its events.

One row a unit. Columns come in a fixed order (`_events_facts.py`) and each is drawn by a forest of
trees on all columns before it (`_forest.py`). Shares are drawn by breaking a stick in whole events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators import _events_facts as facts
from synth_spark.generators._events_coder import RANKS, Coder, Units
from synth_spark.generators._events_facts import Attribute, Floats, Slots
from synth_spark.generators._events_scales import (
    SILENT,
    around,
    beside,
    counted,
    divided,
    own_levels,
    possible,
    slope_of,
)
from synth_spark.generators._events_stick import Stick
from synth_spark.generators._forest import Forest

LEAST_TAUGHT = 20  # units that teach a share; of fewer all do that have some of it
TURNS = 12  # draws of a count that must not be silent
GOLDEN = 0.6180339887  # of a circle: turns by it come near one another last
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The forests of all drawn columns."""

    columns: tuple[Attribute, ...]
    forests: dict[int, Forest]  # by position of the column
    slopes: dict[int, float]  # of a column on the level that it is drawn around
    slots: Slots
    mean: Floats  # (columns,), of the training table
    std: Floats  # (columns,), at least 1e-6
    horizon_days: int
    most_events: int
    last_day: int  # of the records

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
        slots: Slots | None = None,
    ) -> Self:
        """Fit all forests on the units of a sample of subjects.

        Args:
            coder: How the records are coded.
            units: The sample's units.
            given: Columns that are known before, each of shape (units,).
            leaf: Least units in a leaf.
            seed: The run's seed.
            trees: Trees a column.
            slots: Which share a token counts towards; None: by these units.
        """
        slots = slots or Slots.learn(coder, units)
        columns = facts.layout(coder, slots, tuple(given))
        measured, counts = facts.measure(coder, slots, units)
        table = facts.table(columns, {**measured, **given}, counts)
        some, level, n = units.lengths > 0, own_levels(columns), measured["n"]
        forests, slopes = {}, {}
        nominal = [j for j, c in enumerate(columns) if c.name in unordered(coder)]
        count = next(j for j, c in enumerate(columns) if c.name == "n")
        for j, column in enumerate(columns):
            if column.role not in ("drawn", "whole", "ratio", "some", "share"):
                continue
            rows = _asked(column, table, columns, some)
            goal = table[rows, j]
            if j in level:
                slopes[j] = slope_of(columns[level[j]], table[rows, level[j]], goal, n[rows])
                goal = goal - slopes[j] * table[rows, level[j]]
            if column.name == "n" and "level" in given:
                goal = beside(goal, given["level"], given["spread"])
            if column.role == "ratio":
                least, anchor = n[rows], given["anchor"][rows]
                if column.name == "distinct":
                    least = np.minimum(least, slots.count[column.column])
                goal = divided(column, goal, least, anchor, coder.last_day)
            forests[j] = Forest.fit(
                table[rows, :j], goal, leaf=leaf, seed=seed, name=f"{column.name}/{j}",
                exact=column.role in ("whole", "some") or column.name == "distinct", trees=trees,
                near=count if count < j else -1, nominal=tuple(c for c in nominal if c < j),
            )  # fmt: skip
        kept = table[some] if some.any() else table
        std = np.maximum(kept.std(axis=0), 1e-6)
        bounds = coder.clock.horizon_days, coder.most_events, coder.last_day
        return cls(columns, forests, slopes, slots, kept.mean(axis=0), std, *bounds)

    def table(self, coder: Coder, units: Units, given: dict[str, Floats]) -> Floats:
        """The real attributes of units, shape (units, columns)."""
        measured, counts = facts.measure(coder, self.slots, units)
        return facts.table(self.columns, {**measured, **given}, counts)

    def draw(
        self,
        given: dict[str, Floats],
        uniforms: Floats,
        held: Mapping[int, Bools] | None = None,
        together: NDArray[np.int64] | None = None,
    ) -> Floats:
        """Attributes of new units.

        Args:
            given: The known columns, each of shape (units,); "anchor" (days since 1970) too.
            uniforms: Shape (units, columns, 4), in [0, 1).
            held: Of some categories the slots that events may fall in, shape (slots,).
            together: Of each unit the group that is drawn evenly, shape (units,), see `_even.py`.

        Returns:
            The table, shape (units, columns); a unit with n = 0 is silent.
        """
        rows = len(uniforms)
        x = np.zeros((rows, len(self.columns)))
        stick, level = Stick(rows), own_levels(self.columns)
        for j, column in enumerate(self.columns):
            u, slots = uniforms[:, j].copy(), (held or {}).get(column.column)
            drawn = x[:, j]
            if j in self.forests:
                share = column.role == "share" and not self.slots.ordered[column.column]
                share &= j not in level and (slots is None or bool(slots[column.place]))
                if share and self.columns[j - 1].role != "some":
                    drawn = self.forests[j].draw(x[:, :j], u, together)
                    stick.used(np.where(stick.owed == 1, drawn >= 0.5, drawn > 0).astype(float))
                    u[:, 1:] = (u[:, 1:] + GOLDEN) % 1.0  # whether it is used told of them
                between = stick.between() if share else None
                drawn = self.forests[j].draw(x[:, :j], u, together, between)
                if column.name == "n" and "place" in given:
                    self._begun(j, x, u, drawn, given["place"] == 0)
            if j in level:
                drawn = around(column, self.slopes[j] * x[:, level[j]], drawn, stick.n, u[:, 3])
            match column.role:
                case "given":
                    x[:, j] = given[column.name]
                case "computed":
                    x[:, j] = self._computed(column, x, given, stick)
                case "some":
                    shut = slots is not None and not slots[column.place]
                    x[:, j] = 0.0 if shut else stick.used(drawn)
                case "share":
                    x[:, j] = self._taken(column, drawn, u[:, 3], stick, slots)
                case "ratio":
                    x[:, j] = self._scaled(column, x, given, drawn, u[:, 3], stick, slots)
                case _:
                    x[:, j] = self._bounded(column, x, drawn, stick)
            if column.column < 0:
                first, span = (x[:, self.index(name)] for name in ("first", "span"))
                x[:, j] = possible(column.name, x[:, j], stick.n, first, span)
        return x

    def _scaled(
        self, column: Attribute, x: Floats, given: dict[str, Floats], drawn: Floats, u: Floats,
        stick: Stick, slots: Bools | None,
    ) -> Floats:  # fmt: skip
        """A ratio as what it is a part of says; distinct values begin a category."""
        if column.name == "span":
            return drawn * facts.room_days(given["anchor"], self.last_day)
        j = column.column
        if column.name == "distinct":
            count = self.slots.count[j] if slots is None else slots.sum()
            ranks = RANKS if self._in_order(j, slots) else 0
            many = 1 + np.floor(drawn * (np.minimum(stick.n, count) - 1) + u)
            return stick.begin(many, int(count), ranks, ranks > 0 and self.slots.alone[j] > 0)
        return self._bounded(column, x, 1 + np.floor(drawn * (stick.n - 1) + u), stick)

    @property
    def own_nights(self) -> bool:
        """Whether the nights of a subject's episodes are to be its own over all of them."""
        return True

    def _begun(self, j: int, x: Floats, u: Floats, drawn: Floats, first: Bools) -> None:
        """Draw counts again, in place, until a subject's first unit is not silent."""
        for turn in range(1, TURNS):
            again = first & (drawn <= SILENT)
            if not again.any():
                return
            drawn[again] = self.forests[j].draw(x[again, :j], (u[again] + turn * GOLDEN) % 1.0)
        drawn[first & (drawn <= SILENT)] = 0.0  # at the subject's level

    def _in_order(self, j: int, slots: Bools | None) -> bool:
        """Whether a category's slots are ranks that come in order: none of them is closed."""
        return bool(self.slots.ordered[j]) and bool(slots is None or slots[-RANKS:].all())

    def _taken(
        self, column: Attribute, drawn: Floats, u: Floats, stick: Stick, slots: Bools | None
    ) -> Floats:
        """The part of what is left that one slot of a category takes."""
        if self._in_order(column.column, slots):
            if slots is not None and not slots[column.place]:
                return stick.skip()
            kind = self.slots.kind(column.column, column.place)
            last = column.place == self.slots.count[column.column] - 2
            return stick.take(drawn, u, last, kind)
        if slots is None:
            return stick.take(drawn, u, column.place == self.slots.count[column.column] - 2)
        if not slots[column.place]:
            return stick.skip()
        return stick.take(drawn, u, False) if slots[column.place + 1 :].any() else stick.take_all()

    def _computed(
        self, column: Attribute, x: Floats, given: dict[str, Floats], stick: Stick
    ) -> Floats:
        if column.name == "weekday":
            return np.asarray((given["anchor"] + 3) % 7)
        if column.name == "even":
            return facts.even_gap(x[:, self.index("span")], stick.n)
        if column.name == "left":
            return stick.left / np.maximum(stick.n, 1)
        return stick.owed if column.name == "owed" else stick.top / np.maximum(stick.n, 1)

    def _bounded(self, column: Attribute, x: Floats, drawn: Floats, stick: Stick) -> Floats:
        if column.name == "n":
            if self.index("level") >= 0:
                drawn = counted(drawn, x[:, self.index("level")], x[:, self.index("spread")])
            stick.n = np.clip(np.rint(drawn), 0, self.most_events)
            return stick.n
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
            out[:, k] = left * x[:, self._place("share", j, k)]
            left = left - out[:, k]
        out[:, count - 1] = left
        return np.where(out < 1e-9, 0.0, out)

    def put_shares(self, x: Floats, j: int, share: Floats) -> None:
        """Write shares of category j, shape (units, slots), into a table's units with events."""
        rows = np.flatnonzero(x[:, self.index("n")] > 0)
        share, left = share[rows], np.ones(len(rows))
        for k in range(int(self.slots.count[j]) - 1):
            x[rows, self._place("share", j, k)] = share[:, k] / np.maximum(left, 1e-12)
            left = np.maximum(left - share[:, k], 0)
            if (at := self._place("left", j, k)) >= 0:
                x[rows, at] = left
        x[rows, self.index("top", j)] = share.max(axis=1)

    def _place(self, name: str, j: int, k: int) -> int:
        key = (name, j, k)
        found = (i for i, c in enumerate(self.columns) if (c.name, c.column, c.place) == key)
        return next(found, -1)

    def standard(self, x: Floats) -> NDArray[np.float32]:
        """Columns centred and scaled, cut at 4; shape as `x`."""
        return np.clip((x - self.mean) / self.std, -4, 4).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "columns": [[c.name, c.role, c.column, c.place] for c in self.columns],
            "forests": {str(j): f.state() for j, f in self.forests.items()},
            "slopes": {str(j): s for j, s in self.slopes.items()},
            "slots": [
                list(self.slots.of_token),
                self.slots.count,
                self.slots.ordered,
                self.slots.alone,
                self.slots.common,
            ],
            "mean": self.mean,
            "std": self.std,
            "bounds": [self.horizon_days, self.most_events, self.last_day],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The attributes that `state` came from."""
        return cls(
            tuple(Attribute(*c) for c in state["columns"]),
            {int(j): Forest.from_state(f) for j, f in state["forests"].items()},
            {int(j): s for j, s in state["slopes"].items()},
            Slots(tuple(state["slots"][0]), *state["slots"][1:]),
            state["mean"],
            state["std"],
            *state["bounds"],
        )


def unordered(coder: Coder) -> set[str]:
    """Names of the subject's own columns whose tokens have no order."""
    return {f"own{j}" for j, c in enumerate(coder.subject) if c.unordered}


def _asked(
    column: Attribute, table: Floats, columns: tuple[Attribute, ...], some: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Rows that teach a column: all for n, else units with events and a stick left.

    Where it is drawn whether a slot is filled, only what could be otherwise teaches that, and how
    far.
    """
    if column.name == "n" or not some.any():
        return np.ones(len(table), bool)
    if column.role not in ("some", "share"):
        return some
    names = {(c.name, c.column, c.place): i for i, c in enumerate(columns)}
    j, k = column.column, column.place
    begun = some & (table[:, names["left", j, k - 1]] > 0) if k > 0 else some
    if ("some", j, k) in names:
        owed = table[:, names[("owed", j, k - 1) if k else ("distinct", j, -1)]]
        if column.role == "some":  # it may be either
            slots = 2 + sum(c.name == "share" and c.column == j and c.place > k for c in columns)
            free = begun & (owed > 0) & (owed < slots)
            if free.any():
                return free
        else:  # there is some of it, and of another
            used = begun & (table[:, names["some", j, k]] > 0)
            for rows in (used & (owed > 1), used):
                if rows.sum() >= LEAST_TAUGHT:
                    return rows
    return begun if begun.any() else some
