"""Scenarios of the simulation as strict typed models: what happens, to whom, when, how strongly.

A scenario is a YAML file (conf/scenarios/) or a mapping in a plan:

    kind: outage
    starts_h: 66        # hours after the start of the simulated time
    lasts_h: 4
    cells: [C-0007, C-0012]

Shares of subjects and events are exact: see `generators/_sim_quota.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from synth_spark.config.faults import settings
from synth_spark.config.sections import Section
from synth_spark.errors import SynthError

Share = Annotated[float, Field(gt=0, le=0.5)]


class ScenarioFileError(SynthError):
    """A scenario file cannot be read as a YAML mapping."""

    code = "SYN-760"


class ScenarioError(SynthError):
    """A scenario has an unknown setting, a wrong value, or a name that another one has."""

    code = "SYN-761"


class _Scenario(Section):
    """What all scenarios have."""

    families: ClassVar[frozenset[str]] = frozenset()

    name: str = Field(default="", description="Label in the output; empty: the kind.")

    @property
    def label(self) -> str:
        """What stands in the label column."""
        return self.name or str(getattr(self, "kind", ""))


class _InTime(_Scenario):
    """What takes place in a window of the simulated time."""

    starts_h: float = Field(ge=0, description="Hours after the start of the simulated time.")
    lasts_h: float = Field(gt=0, description="Length, hours.")


class _AtCells(_InTime):
    """What takes place at cells in a window."""

    cells: tuple[str, ...] = Field(default=(), description="Names; empty: by cells_share.")
    cells_share: Share = Field(
        default=0.05, description="Of the cells, beginning with the busiest."
    )


class Outage(_AtCells):
    """Cells are down: events there are moved to neighbours or lost, and tried again after."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "location", "network_log"})

    kind: Literal["outage"]
    moved_share: float = Field(
        default=0.6, ge=0, le=1, description="Served by the nearest cell up."
    )
    retry_share: float = Field(default=0.7, ge=0, le=1, description="Of the lost, tried again.")
    retry_mean_min: float = Field(
        default=6.0, gt=0, description="Mean wait after the end, minutes."
    )


class Stadium(_AtCells):
    """A crowd comes to cells and uses the network more."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "location", "network_log"})

    kind: Literal["stadium"]
    subjects: Share = Field(default=0.02, description="Of the subjects, who come.")
    factor: float = Field(default=3.0, ge=1, le=100, description="Their events to the usual ones.")
    cells_share: Share = Field(
        default=0.01, description="Of the cells, beginning with the busiest."
    )


class Emergency(_InTime):
    """Everybody calls."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "browsing", "events", "network_log"})

    kind: Literal["emergency"]
    factor: float = Field(default=4.0, gt=1, le=100, description="Events to the usual ones.")


class Storm(_AtCells):
    """Faults become more, and events are led over neighbouring cells."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "location", "network_log"})

    kind: Literal["storm"]
    cells_share: Share = Field(default=0.3, description="Of the cells, beginning with the busiest.")
    faults_factor: float = Field(default=10.0, ge=1, le=1_000, description="Faults at the height.")
    moved_share: float = Field(default=0.2, ge=0, le=1, description="Led over neighbours.")


class FraudRing(_Scenario):
    """Subscribers who call each other and premium numbers, or boxes of SIMs that only call out."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "subscriber"})

    kind: Literal["fraud_ring"]
    subjects: Share = Field(default=0.001, description="Of the subjects.")
    style: Literal["ring", "sim_box"] = Field(
        default="ring", description="Who call each other, or SIMs in a box that only call out."
    )
    ring_size: int = Field(default=8, ge=2, le=256, description="Members of one ring.")
    calls_a_day: float = Field(default=20.0, gt=0, le=2_000, description="Of a member, made.")
    premium_share: float = Field(default=0.3, ge=0, le=1, description="Ring: calls to premium.")
    premium_numbers: int = Field(default=5, ge=1, le=1_000, description="Of one ring.")
    duration_s: float = Field(default=240.0, gt=0, description="Median.")


class RoboCalls(_Scenario):
    """Callers with a high fan-out and short calls in office hours."""

    families: ClassVar[frozenset[str]] = frozenset({"cdr", "subscriber"})

    kind: Literal["robo_calls"]
    subjects: Share = Field(default=0.0005, description="Of the subjects.")
    calls_a_day: float = Field(default=200.0, gt=0, le=10_000, description="Of one caller.")
    duration_s: float = Field(default=9.0, gt=0, description="Median of the answered.")
    answered_share: float = Field(default=0.4, ge=0, le=1, description="Of the calls.")
    from_hour: int = Field(default=9, ge=0, le=23, description="First hour of the day.")
    to_hour: int = Field(
        default=19, ge=1, le=24, description="Hour that no call begins in or after."
    )

    @model_validator(mode="after")
    def _in_order(self) -> RoboCalls:
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must lie before to_hour")
        return self


class Rare(_Scenario):
    """An exact share of subjects or events, with values of its own in some columns."""

    families: ClassVar[frozenset[str]] = frozenset(
        {"cdr", "location", "browsing", "subscriber", "cell", "network_log", "events"}
    )

    kind: Literal["rare"]
    subjects: Share | None = Field(
        default=None, description="Of the subjects, with all their events; this or events."
    )
    events: Share | None = Field(default=None, description="Of the events; this or subjects.")
    values: dict[str, str | float | int] = Field(default={}, description="Column to its value.")

    @model_validator(mode="after")
    def _one_share(self) -> Rare:
        if (self.subjects is None) == (self.events is None):
            raise ValueError("say one of subjects and events")
        return self


Scenario = Outage | Stadium | Emergency | Storm | FraudRing | RoboCalls | Rare
KINDS: dict[str, type[_Scenario]] = {
    "outage": Outage,
    "stadium": Stadium,
    "emergency": Emergency,
    "storm": Storm,
    "fraud_ring": FraudRing,
    "robo_calls": RoboCalls,
    "rare": Rare,
}


def scenario_from(data: Mapping[str, Any], where: str = "the scenario") -> Scenario:
    """One scenario from plain data.

    Raises:
        ScenarioError: An unknown kind or setting, or a wrong value (SYN-761).
    """
    kind = data.get("kind")
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        raise ScenarioError(
            f"{where}: no scenario is of the kind {kind!r}.",
            hint=f"{near[0]!r}?" if near else f"kind: one of {', '.join(KINDS)}",
            kind=kind,
        )
    model = KINDS[kind]
    known = [path for path, _ in settings(model)]
    unknown = [name for name in data if name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        raise ScenarioError(
            f"{where}: {unknown[0]} is not a setting of {kind}.",
            hint=f"{near[0]!r}?" if near else f"one of {', '.join(known)}",
            setting=unknown[0],
        )
    try:
        made = TypeAdapter(model).validate_json(json.dumps(dict(data)), strict=True)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, f['loc'])) or kind}: {f['msg'].removeprefix('Value error, ')}"
            for f in error.errors(include_url=False)
        )
        raise ScenarioError(f"{where}: {faults}.", hint="docs/ref-scenarios.md") from None
    return cast(Scenario, made)


def scenarios_from(entries: Sequence[Mapping[str, Any]]) -> tuple[Scenario, ...]:
    """All scenarios of a plan, each with a label of its own.

    Raises:
        ScenarioError: One is refused, two have the same label, or all subjects are taken (SYN-761).
    """
    made = tuple(scenario_from(e, f"scenario {i + 1}") for i, e in enumerate(entries))
    labels = [s.label for s in made]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ScenarioError(
            f"Two scenarios are called {twice[0]}.", hint="name: another one", name=twice[0]
        )
    if sum(getattr(s, "subjects", None) or 0.0 for s in made) > 1:
        raise ScenarioError("The scenarios take more subjects than there are.", hint="fewer")
    return made


def read_scenario(path: str | Path) -> dict[str, Any]:
    """A scenario file as plain data, checked.

    Raises:
        ScenarioFileError: It cannot be read as a YAML mapping (SYN-760).
        ScenarioError: It is refused (SYN-761).
    """
    from synth_spark.config.reading import load_yaml

    try:
        data = load_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise ScenarioFileError(
            f"The scenario {path} cannot be read: {text}.",
            hint="see conf/scenarios",
            path=str(path),
        ) from error
    if not isinstance(data, dict):
        raise ScenarioFileError(
            f"The scenario {path} holds no settings.", hint="kind: outage, ...", path=str(path)
        )
    scenario_from(data, Path(path).name)
    return dict(data)


def with_scenarios_read(data: dict[str, Any]) -> dict[str, Any]:
    """Plan data in which the files that `generator.params.scenarios` names stand spelled out.

    So the plan's fingerprint covers them, and a changed file makes another run.
    """
    generator = data.get("generator")
    params = generator.get("params") if isinstance(generator, dict) else None
    entries = params.get("scenarios") if isinstance(params, dict) else None
    if isinstance(params, dict) and isinstance(entries, list):
        params["scenarios"] = [read_scenario(e) if isinstance(e, str) else e for e in entries]
    return data
