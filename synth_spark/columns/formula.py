"""Columns that are computed from others in the finished rows, not learned.

The end of a call is its start and its duration, the volume of a session its uplink and its
downlink, a clock written as HHMM the planned time and the delay. A network that draws such a column
gets it nearly right, and nearly is wrong. `_formula_search.py` finds them.

    time     a time, with a number added, rounded down: end = start + duration
    part     a number that a time, with a number added, is written as: HHMM, the day of the year
    apart    the time between two times, in some unit
    sum      of some numbers, each added or taken away
    product  of two numbers, times a constant
    scale    a number times a constant: bytes and kilobytes, minutes begun
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._calendar import SECOND_US, WRITTEN
from synth_spark.core.batch import Records, Values
from synth_spark.core.conditions import CannotConditionError, Clause, ImpossibleConditionError

Form = Literal["time", "part", "apart", "sum", "product", "scale"]
Rounding = Literal["nearest", "down", "up"]
Reals = NDArray[np.float64]
SLIPS = 2e-3  # share of the telling rows that may be off
LEAST_TELLING = 50
_FAR_US = 2.0**60  # 36,500 years
_SLACK = 1e-6  # of the grid: sums of decimals are not exact
_ROUNDED: Mapping[str, Any] = {
    "nearest": lambda x: np.floor(x + 0.5),
    "down": lambda x: np.floor(x + _SLACK),
    "up": lambda x: np.ceil(x - _SLACK),
}
_WORDS = {"nearest": "rounded", "down": "rounded down", "up": "rounded up"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """One column as a function of others."""

    child: str
    form: Form
    parents: tuple[str, ...]  # of time and part: the time, then the number that is added, if any
    part: str = ""  # of part: see `_calendar.WRITTEN`
    unit: float = 1.0  # of time, part and apart: microseconds of 1 of the number; else a factor
    signs: tuple[float, ...] = ()  # of sum: 1 or -1 for each
    offset: float = 0.0  # added: microseconds to a time, else in the child's unit
    grid: float = 0.0  # the child is a multiple of it: microseconds of a time, else its own unit
    rounding: Rounding = "nearest"
    zeros: bool = False  # a missing number counts as 0

    @property
    def children(self) -> tuple[str, ...]:
        """The column that is computed."""
        return (self.child,)

    @property
    def parent(self) -> str:
        """The first of the parents."""
        return self.parents[0]

    def completed(self, records: Records, seed: int = 0, block: int = 0) -> dict[str, Values]:
        """The child's values, shape (rows,); `seed` and `block` as a lookup has them."""
        del seed, block
        if self.form == "time":
            us, known = self.moved(records)
            grid = max(int(self.grid), 1)
            whole = (us + int(self.offset)) // grid * grid
            out = np.where(known, whole, np.iinfo(np.int64).min).astype("datetime64[us]")
            return {self.child: out}
        return {self.child: self._number(records)}

    def off(self, records: Records) -> NDArray[np.bool_]:
        """The rows whose child is something else, shape (rows,)."""
        own = np.asarray(records.columns[self.child])
        made = np.asarray(self.completed(records)[self.child])
        if self.form == "time":
            times = own.astype("datetime64[us]")
            return np.asarray(~((times == made) | (np.isnat(times) & np.isnat(made))))
        x, y = own.astype(np.float64), made
        size = np.abs(x)
        near = np.abs(x - y) <= np.maximum(np.minimum(self.grid * 1e-3, 1e-6 * size), 1e-9 * size)
        return np.asarray(~(near | (np.isnan(x) & np.isnan(y))))

    def counted(self, records: Records) -> dict[str, int]:
        """Rows that tell something (the child is there and not 0), their subjects, rows off."""
        own = np.asarray(records.columns[self.child])
        telling = ~np.isnat(own) if own.dtype.kind == "M" else np.nan_to_num(own) != 0
        subjects = len(np.unique(records.owners[telling]))
        off = int(self.off(records).sum())
        return {"rows": int(telling.sum()), "subjects": subjects, "off": off}

    def _number(self, records: Records) -> Reals:
        if self.form == "part":
            us, known = self.moved(records)
            return np.where(known, WRITTEN[self.part](us) + self.offset, np.nan)
        if self.form == "apart":
            (a, known), (b, also) = (_us(records.columns[p]) for p in self.parents)
            exact = np.where(known & also, (a - b) / self.unit + self.offset, np.nan)
        else:
            numbers = [self._addend(records.columns[p]) for p in self.parents]
            if self.form == "sum":
                exact = sum((s * x for s, x in zip(self.signs, numbers, strict=True)), np.zeros(1))
            else:
                exact = self.unit * np.prod(numbers, axis=0)
            exact = exact + self.offset
        if not self.grid:
            return np.asarray(exact)
        if self.grid >= 1:
            return np.asarray(_ROUNDED[self.rounding](exact / self.grid) * self.grid)
        steps = np.rint(1 / self.grid)  # of 0.01 a hundred: 12 / 100 is 0.12, 12 * 0.01 is not
        return np.asarray(_ROUNDED[self.rounding](exact * steps) / steps)

    def _addend(self, values: Values) -> Reals:
        x = np.asarray(values).astype(np.float64)
        return np.nan_to_num(x, nan=0.0) if self.zeros else x

    def moved(self, records: Records) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The time with the number added, in microseconds, and where both are known."""
        us, known = _us(records.columns[self.parents[0]])
        if len(self.parents) == 1:
            return us, known
        step = self._addend(records.columns[self.parents[1]]) * self.unit
        known = known & (np.abs(step) < _FAR_US)
        return us + np.rint(np.where(known, step, 0)).astype(np.int64), known

    def asked(self, clause: Clause) -> Clause:
        """A clause on the child as one on its parent.

        Raises:
            CannotConditionError: It hangs on more than one (SYN-712).
            ImpossibleConditionError: It has no value in the range (SYN-711).
        """
        if clause.missing and len(self.parents) == 1 and not self.zeros:
            return replace(clause, field=self.parent)
        if self.form == "time" and len(self.parents) == 1 and not self.offset:
            step = self.grid / SECOND_US
            low, high = np.ceil(clause.low / step) * step, np.floor(clause.high / step) * step
            return self._on(clause, low, high + step - 1 / SECOND_US)
        if self.form == "scale" and self.unit > 0 and self.grid and not clause.labels:
            low, high = (
                f(v / self.grid - way * _SLACK) * self.grid
                for f, v, way in ((np.ceil, clause.low, 1), (np.floor, clause.high, -1))
            )
            before, after = {"nearest": (0.5, 0.5), "down": (0, 1), "up": (1, 0)}[self.rounding]
            edge = 10 * _SLACK * self.grid  # a value at the edge may be rounded either way
            low += edge * (before > 0) - before * self.grid
            high += after * self.grid - edge * (after > 0)
            return self._on(clause, low / self.unit, high / self.unit)
        raise CannotConditionError(
            f"{clause.field} is computed from {' and '.join(self.parents)}.",
            hint=f"a condition on {' or '.join(self.parents)}",
            field=clause.field,
        )

    def _on(self, clause: Clause, low: float, high: float) -> Clause:
        """A range of the parent."""
        if low > high:
            raise ImpossibleConditionError(
                f"{clause.text()}: {self.child} has no such value.",
                hint=f"a range that holds a multiple of {self.grid:g}",
                field=clause.field,
            )
        return replace(clause, field=self.parent, low=float(low), high=float(high))

    def in_words(self) -> str:
        """As a line for the model card."""
        first = self.parents[0]
        if self.form in ("time", "part"):
            added = f" + {self.unit:g} us x {self.parents[1]}" if len(self.parents) > 1 else ""
            text = f"{first}{added}"
            text = f"{self.part} of {text}" if self.part else text
        elif self.form == "apart":
            text = f"({first} - {self.parents[1]}) / {self.unit:g} us"
        elif self.form == "sum":
            terms = zip(self.signs, self.parents, strict=True)
            text = " ".join(f"{'-' if s < 0 else '+'} {p}" for s, p in terms).removeprefix("+ ")
        else:
            text = " x ".join([f"{self.unit:.12g}", *self.parents]).removeprefix("1 x ")
        text += f" {'-' if self.offset < 0 else '+'} {abs(self.offset):g}" if self.offset else ""
        ways = [_WORDS[self.rounding]] if self.rounding != "nearest" else []
        ways += ["missing counts as 0"] if self.zeros else []
        beside = f" ({', '.join(ways)})" if ways else ""
        return f"{self.child} = {text}{beside}"

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        tuples = {"parents": list(self.parents), "signs": list(self.signs)}
        return {"formula": {**{k: getattr(self, k) for k in self.__slots__}, **tuples}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Formula:
        """The formula that `state` came from."""
        tree = state["formula"]
        return cls(**{**tree, "parents": tuple(tree["parents"]), "signs": tuple(tree["signs"])})


def kept(counted: Mapping[str, int], min_subjects: int) -> bool:
    """Whether rows so counted, of enough subjects, speak for a formula; see `Formula.counted`."""
    enough = counted["rows"] >= LEAST_TELLING and counted["subjects"] >= min_subjects
    return enough and counted["off"] <= SLIPS * counted["rows"]


def _us(times: Values) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole microseconds (0 where missing), and where there is a time."""
    array = np.asarray(times).astype("datetime64[us]")
    known = ~np.isnat(array)
    return np.where(known, array.astype(np.int64), 0), known
