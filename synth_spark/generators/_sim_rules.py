"""The rules of each record family: what they make, and how a block of it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from synth_spark.core.batch import Values
from synth_spark.generators import _sim_cdr as cdr
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_facts import Facts, Labels
from synth_spark.generators._sim_params import SimulationParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One family's. `draw` leaves sorted events; `columns` makes the columns in `makes`."""

    makes: frozenset[str]
    labels: Callable[[SimulationParams], Mapping[str, Labels]]  # stated shares, where no records
    ready: Callable[[Facts], Facts]  # what is derived from the facts once
    draw: Callable[[Draft], None]
    columns: Callable[[Draft], dict[str, Values]]


def _cdr_labels(params: SimulationParams) -> dict[str, Labels]:
    access = Labels(("internet", "ims", "corporate"), np.array([0.9, 0.07, 0.03]), theta=0.1)
    return {"event_type": cdr.TYPES, "direction": cdr.DIRECTIONS, "access_point": access}


def _cdr_ready(facts: Facts) -> Facts:
    types = facts.labels.get("event_type", cdr.TYPES)
    ways = facts.labels.get("direction", cdr.DIRECTIONS)
    out = ways.labels.index("out") if "out" in ways.labels else 0
    more = {"roles": cdr.roles_of(types.labels), "out": np.array([out])}
    return replace(facts, tables={**more, **facts.tables})


RULES = {
    "cdr": Rules(
        makes=frozenset(
            {
                "event_at", "event_type", "direction", "correspondent_id", "duration_s", "cell_id",
                "uplink_bytes", "downlink_bytes", "end_cause", "radio", "access_point",
            }
        ),
        labels=_cdr_labels,
        ready=_cdr_ready,
        draw=cdr.draw,
        columns=cdr.columns,
    ),
}  # fmt: skip
