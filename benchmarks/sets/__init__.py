"""Reference sets, one file each: `benchmarks/sets/NAME.py` is the set NAME.

A file has two functions and may say more:

    prepare(data_folder, out_folder)      writes NAME_train.parquet and NAME_holdout.parquet
    score(train, holdout, synthetic)      numbers of one synthetic table, as name -> float; all
                                          three are paths of Parquet files
    floor(train, holdout)                 the same numbers for real records that took no part; the
                                          holdout in the synthetic table's place if not said
    TWIN                                  what `synth-spark twin` is told besides the file
    GENERATORS                            which generators are measured
    FAMILY                                the record family that the records are of
    GOALS                                 generator -> number -> `Goal`
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

Numbers = dict[str, float]
Score = Callable[[Path, Path, Path], Numbers]


@dataclass(frozen=True)
class Goal:
    """What a number is to reach."""

    kind: Literal["at most", "at least", "times floor", "above floor"]
    value: float

    def bound(self, floor: float | None) -> float | None:
        """The number itself, None where it hangs on a floor that is not known."""
        if self.kind in ("at most", "at least"):
            return self.value
        if floor is None:
            return None
        return floor * self.value if self.kind == "times floor" else floor + self.value

    def met(self, number: float, floor: float | None) -> bool | None:
        """Whether a number reaches it, to three decimals."""
        bound = self.bound(floor)
        if bound is None:
            return None
        if self.kind == "at least":
            return round(number, 3) >= round(bound, 3)
        return round(number, 3) <= round(bound, 3)


Goals = Mapping[str, Mapping[str, Goal]]


@dataclass(frozen=True)
class BenchSet:
    """One reference set."""

    name: str
    prepare: Callable[[Path, Path], None]
    score: Score
    floor: Callable[[Path, Path], Numbers]
    generators: tuple[str, ...]
    twin: tuple[str, ...] = ()
    goals: Goals = field(default_factory=dict)
    family: str = "table"


def names() -> list[str]:
    """The sets that there are."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str) -> BenchSet:
    """The set of that name."""
    module = import_module(f"{__name__}.{name}")
    score: Score = module.score

    def floor(train: Path, holdout: Path) -> Numbers:
        return score(train, holdout, holdout)

    return BenchSet(
        name,
        module.prepare,
        score,
        getattr(module, "floor", floor),
        getattr(module, "GENERATORS", ("autoregressive",)),
        getattr(module, "TWIN", ()),
        getattr(module, "GOALS", {}),
        getattr(module, "FAMILY", "table"),
    )


def at_most(value: float) -> Goal:
    """The number is to be no larger."""
    return Goal("at most", value)


def at_least(value: float) -> Goal:
    """The number is to be no smaller."""
    return Goal("at least", value)


def times_floor(value: float) -> Goal:
    """The number is to be no larger than so many times the floor."""
    return Goal("times floor", value)


def above_floor(value: float) -> Goal:
    """The number is to be no larger than the floor and this."""
    return Goal("above floor", value)
