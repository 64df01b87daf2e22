"""One relation: a number as a simple function of other columns, plus a residual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._lattice import snap
from synth_spark.core.batch import Values
from synth_spark.generators._flat_linear import Linear

Array = NDArray[np.float64]
Form = Literal[
    "scale", "square", "root", "log", "log1p", "exp",
    "product", "ratio", "sum", "difference", "total", "linear",
]  # fmt: skip
CURVES: tuple[Form, ...] = ("square", "log", "log1p")  # of one number
INVERSES: tuple[Form, ...] = ("root", "exp")


@dataclass(frozen=True, slots=True)
class Relation:
    """y = f(parents) + residual * s(parents), on the lattice of y."""

    child: str
    form: Form
    parents: tuple[str, ...]  # numbers; for "linear" the categories are in `linear`
    factor: float = 1.0
    weights: tuple[float, ...] = ()  # total: of each parent
    base: float = 0.0  # total: what is added
    powers: tuple[float, ...] = ()  # of s, one a parent
    floors: tuple[float, ...] = ()  # least size of each parent inside s
    exact: bool = False
    grid: tuple[int, int, int] = (0, 0, 0)  # lattice of y
    bounds: tuple[float, float] = (-np.inf, np.inf)  # of y
    linear: Linear | None = None
    single: bool = False  # whether y is on no lattice but that of float32

    @property
    def needs(self) -> tuple[str, ...]:
        """Every field that must be known before the child."""
        return (*self.parents, *(self.linear.names if self.linear else ()))

    def center(self, values: Mapping[str, Values]) -> Array:
        """f(parents), NaN where a parent is missing; shape (rows,)."""
        x = [np.asarray(values[p], np.float64) for p in self.parents]
        with np.errstate(all="ignore"):
            if self.linear is not None:
                return self.linear.center(values)
            if self.form == "total":
                return np.asarray(self.base + np.column_stack(x) @ np.array(self.weights))
            return np.asarray(self.factor * _FORMS[self.form](x), np.float64)

    def size(self, values: Mapping[str, Values]) -> Array | float:
        """s(parents), positive; shape (rows,) or 1."""
        out: Array | float = 1.0
        for name, power, floor in zip(self.parents, self.powers, self.floors, strict=False):
            if power:
                x = np.abs(np.asarray(values[name], np.float64))
                out = out * np.maximum(x, floor) ** power
        return out

    def residual(self, values: Mapping[str, Values]) -> Array:
        """(y - f) / s; NaN where y or a parent is missing."""
        y = np.asarray(values[self.child], np.float64)
        with np.errstate(all="ignore"):
            r = (y - self.center(values)) / self.size(values)
        return np.where(np.isfinite(r), r, np.nan)

    def value(self, values: Mapping[str, Values], residual: Array | float = 0.0) -> Array:
        """Y from the parents and the residual, on y's lattice and within its bounds."""
        y = self.center(values) + residual * self.size(values)
        with np.errstate(invalid="ignore", over="ignore"):
            y = np.clip(snap(y, *self.grid), *self.bounds)
            return y.astype(np.float32).astype(np.float64) if self.single else y

    def left_for(self, parent: str) -> Callable[[Mapping[str, Values]], Array] | None:
        """What the relation leaves for one of its parents, as a function of the other fields.

        None where it leaves nothing certain. The function gives (rows,), NaN or infinite where
        another field is missing or 0.
        """
        known = self.linear is None and len(set(self.parents)) == len(self.parents)
        if parent not in self.parents or not known or self.form == "square":
            return None
        at = self.parents.index(parent)
        others = [p for p in self.parents if p != parent]

        def value(values: Mapping[str, Values]) -> Array:
            y = np.asarray(values[self.child], np.float64)
            x = [np.asarray(values[p], np.float64) for p in others]
            with np.errstate(all="ignore"):
                if self.form == "total":
                    weights = [w for i, w in enumerate(self.weights) if i != at]
                    rest = sum((w * v for w, v in zip(weights, x, strict=True)), np.zeros(len(y)))
                    return np.asarray((y - self.base - rest) / self.weights[at])
                return np.asarray(_LEFT[self.form](y / self.factor, x, at), np.float64)

        return value

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        data = {k: getattr(self, k) for k in self.__slots__}
        return {**data, "linear": asdict(self.linear) if self.linear else None}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Relation:
        """The relation that `state` came from."""
        linear = Linear.from_state(state["linear"]) if state["linear"] else None
        tuples = {k: tuple(v) for k, v in state.items() if isinstance(v, list | tuple)}
        return cls(**{**state, **tuples, "linear": linear})


_FORMS: dict[str, Any] = {
    "scale": lambda x: x[0],
    "square": lambda x: x[0] ** 2,
    "root": lambda x: np.sqrt(np.where(x[0] < 0, np.nan, x[0])),
    "log": lambda x: np.log(np.where(x[0] <= 0, np.nan, x[0])),
    "log1p": lambda x: np.log1p(np.where(x[0] <= -1, np.nan, x[0])),
    "exp": lambda x: np.exp(np.where(x[0] > 700, np.nan, x[0])),
    "product": lambda x: x[0] * x[1],
    "ratio": lambda x: x[0] / np.where(x[1] == 0, np.nan, x[1]),
    "sum": lambda x: x[0] + x[1],
    "difference": lambda x: x[0] - x[1],
}
_LEFT: dict[str, Any] = {  # of y / factor, the other parent and the place of the wanted one
    "scale": lambda y, x, at: y,
    "root": lambda y, x, at: y**2,
    "log": lambda y, x, at: np.exp(y),
    "log1p": lambda y, x, at: np.expm1(y),
    "exp": lambda y, x, at: np.log(y),
    "product": lambda y, x, at: y / x[0],
    "ratio": lambda y, x, at: x[0] / y if at else y * x[0],
    "sum": lambda y, x, at: y - x[0],
    "difference": lambda y, x, at: x[0] - y if at else y + x[0],
}
