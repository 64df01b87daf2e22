"""What a simulation knows: its settings (fitted or stated), rhythm, cells and columns by share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import Scenario
from synth_spark.core.conditions import WEEKDAYS, Clause, Condition, ImpossibleConditionError
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import CODECS
from synth_spark.generators._sim_params import HOURS_OF_WEEK, SimulationParams
from synth_spark.generators._sim_town import Town

MONDAY = np.datetime64("1970-01-05", "h")


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of labels: their shares, and how a subject keeps to what it chose before."""

    labels: tuple[str, ...]
    shares: NDArray[np.float64]  # (labels,), sum to 1
    missing: float = 0.0  # share of the rows without a value
    theta: float = 1.0  # weight of new choices, in events; inf: no habit
    stay: float = 0.0  # probability of what stood in the event before

    def only(self, clause: Clause | None) -> Labels:
        """The labels that a clause allows, in proportion.

        Raises:
            ImpossibleConditionError: None of them occurs (SYN-711).
        """
        if clause is None:
            return self
        kept = np.where(np.isin(np.array(self.labels, object), list(clause.labels)), self.shares, 0)
        if not kept.sum() > 0:
            raise ImpossibleConditionError(
                f"No record has {clause.text()}.",
                hint=f"one of {', '.join(self.labels[:8])}",
                clause=clause.text(),
            )
        return replace(self, shares=kept / kept.sum(), missing=0.0)

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {**asdict(self), "labels": list(self.labels), "shares": self.shares}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        return cls(**{**state, "labels": tuple(state["labels"])})


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers, times or places as tokens of its codec, by the group of the row."""

    kind: str  # number or place: the codec on the shelf
    codec: Any
    upper: NDArray[np.float64]  # (groups, vocabulary), cumulative
    whole: bool  # values are rounded

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "kind": self.kind, "codec": self.codec.state(), "upper": self.upper, "whole": self.whole
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        return cls(**{**state, "codec": CODECS.get(state["kind"]).from_state(state["codec"])})


@dataclass(frozen=True)
class Facts:
    """Everything that a draw needs but the block and the seed."""

    schema: Schema  # of the records, without what the simulation adds
    params: SimulationParams  # fitted where there were records
    rhythm: NDArray[np.float64]  # (168,) intensity by hour of the week, mean 1
    town: Town
    labels: dict[str, Labels] = field(default_factory=dict)
    numbers: dict[str, Numbers] = field(default_factory=dict)
    main: str = ""  # the column of labels by which numbers are grouped
    fitted: dict[str, Any] = field(default_factory=dict)  # setting -> value, for the card
    tables: dict[str, NDArray[Any]] = field(default_factory=dict)  # of a family's own
    rule: str = ""  # whose rules draw: the family, or "events" or "flat" where records were learned
    own: tuple[str, ...] = ()  # columns that a rule could make, drawn from their own shares
    condition: Condition = Condition(())  # noqa: RUF009 (frozen and empty)

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios as typed models."""
        return self.params.told()

    @cached_property
    def start(self) -> np.datetime64:
        """The first moment."""
        return np.datetime64(self.params.start, "us")

    @property
    def hours(self) -> int:
        """Hours of the simulated time."""
        return 24 * self.params.days

    @cached_property
    def hour_of_week(self) -> NDArray[np.int64]:
        """Of each hour of the simulated time, from Monday 0 h; shape (hours,)."""
        first = int((self.start.astype("datetime64[h]") - MONDAY).astype(int))
        return np.asarray((first + np.arange(self.hours)) % HOURS_OF_WEEK)

    @cached_property
    def intensity(self) -> NDArray[np.float64]:
        """Of each hour of the simulated time, 0 where the condition rules it out; (hours,).

        Raises:
            ImpossibleConditionError: No hour is left (SYN-711).
        """
        found = self.rhythm[self.hour_of_week] * self.open_hours()
        if not found.sum() > 0:
            raise ImpossibleConditionError(
                f"No hour of the simulated time has {self.condition.text()}.",
                hint=f"{self.params.start} and {self.params.days} days",
            )
        return np.asarray(found)

    def open_hours(self) -> NDArray[np.bool_]:
        """Which hours of the simulated time the condition allows; shape (hours,)."""
        allowed = np.ones(self.hours, bool)
        if clause := self.condition.of("hour"):
            allowed &= clause.holds((self.hour_of_week % 24).astype(float))
        if clause := self.condition.of("weekday"):
            days = [WEEKDAYS.index(v) for v in clause.labels]
            allowed &= np.isin(self.hour_of_week // 24, days)
        if self.schema.time and (clause := self.condition.of(self.schema.time)):
            begins = self.start.astype("datetime64[s]").astype(np.int64) + 3_600 * np.arange(
                self.hours
            )
            allowed &= (begins >= clause.low) & (begins + 3_599 <= clause.high)
        return allowed

    @cached_property
    def clock(self) -> NDArray[np.float64]:
        """Cumulative intensity at the hours of the simulated time, first 0; (hours + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.intensity)])

    @cached_property
    def raster(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of the town; see `Town.raster`."""
        return self.town.raster()

    def column(self, name: str) -> Labels | None:
        """A column's labels under the condition."""
        found = self.labels.get(name)
        return found.only(self.condition.of(name)) if found else None

    def under(self, condition: Condition) -> Facts:
        """The same under a condition, tried at once.

        Raises:
            ImpossibleConditionError: It has no chance (SYN-711).
        """
        town = self.town
        clause = condition.of("cell_id")
        if clause is not None and "cell_id" not in self.labels:
            kept = np.isin(np.array(town.labels, object), list(clause.labels))
            if not (kept & (town.homes > 0)).any():
                raise ImpossibleConditionError(f"No record has {clause.text()}.")
            town = town.only(kept)
        found = replace(self, condition=condition, town=town)
        for name in self.labels:
            found.column(name)
        if self.schema.shape == "events":
            _ = found.intensity
        return found

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "schema": self.schema.to_json(),
            "params": asdict(self.params),
            "rhythm": self.rhythm,
            "town": self.town.state(),
            "labels": {n: c.state() for n, c in self.labels.items()},
            "numbers": {n: c.state() for n, c in self.numbers.items()},
            "main": self.main,
            "rule": self.rule,
            "own": list(self.own),
            "fitted": self.fitted,
            "tables": dict(self.tables),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        params = state["params"]
        tariffs = {k: tuple(v) for k, v in params["tariffs"].items()}
        more = {"tariffs": tariffs, "scenarios": tuple(params["scenarios"])}
        return cls(
            schema=Schema.from_json(state["schema"]),
            params=SimulationParams(**{**params, **more, "keep": tuple(params["keep"])}),
            rhythm=state["rhythm"],
            town=Town.from_state(state["town"]),
            labels={n: Labels.from_state(s) for n, s in state["labels"].items()},
            numbers={n: Numbers.from_state(s) for n, s in state["numbers"].items()},
            main=state["main"],
            rule=state["rule"],
            own=tuple(state["own"]),
            fitted=state["fitted"],
            tables=state["tables"],
        )
