"""The rules of each record family: what they make, and how a block of it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from synth_spark.core.batch import Values
from synth_spark.generators import _sim_browsing as browsing
from synth_spark.generators import _sim_cdr as cdr
from synth_spark.generators import _sim_network as network
from synth_spark.generators import _sim_people as people
from synth_spark.generators import _sim_plain as plain
from synth_spark.generators import _sim_trails as trails
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_facts import Facts, Labels
from synth_spark.generators._sim_params import SimulationParams


def _nothing(params: SimulationParams) -> Mapping[str, Labels]:
    return {}


def _as_is(facts: Facts) -> Facts:
    return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One family's. `draw` leaves sorted events; `columns` makes the columns in `makes`."""

    makes: frozenset[str]
    draw: Callable[[Draft], None]
    columns: Callable[[Draft], dict[str, Values]]
    labels: Callable[[SimulationParams], Mapping[str, Labels]] = _nothing  # stated shares
    ready: Callable[[Facts], Facts] = _as_is  # what is derived from the facts once
    step_s: float = 1.0  # of times


def _cdr_labels(params: SimulationParams) -> dict[str, Labels]:
    access = Labels(("internet", "ims", "corporate"), np.array([0.9, 0.07, 0.03]), theta=0.1)
    return {"event_type": cdr.TYPES, "direction": cdr.DIRECTIONS, "access_point": access}


def _cdr_ready(facts: Facts) -> Facts:
    types = facts.labels.get("event_type", cdr.TYPES)
    ways = facts.labels.get("direction", cdr.DIRECTIONS)
    out = ways.labels.index("out") if "out" in ways.labels else 0
    more = {"roles": cdr.roles_of(types.labels), "out": np.array([out])}
    return replace(facts, tables={**more, **facts.tables})


def _browsing_labels(params: SimulationParams) -> dict[str, Labels]:
    return {"host": browsing.hosts_of(params), "radio": browsing.RADIOS}


def _browsing_ready(facts: Facts) -> Facts:
    hosts = facts.labels.get("host")
    if hosts is None or not all(label.endswith(".example") for label in hosts.labels):
        return facts
    kinds = np.array([browsing.kind_of(label) for label in hosts.labels])
    return replace(facts, tables={**facts.tables, "kinds": kinds})


RULES = {
    "cdr": Rules(
        makes=frozenset(
            {
                "event_at", "event_type", "direction", "correspondent_id", "duration_s", "cell_id",
                "uplink_bytes", "downlink_bytes", "end_cause", "radio", "access_point",
            }
        ),
        labels=_cdr_labels, ready=_cdr_ready, draw=cdr.draw, columns=cdr.columns,
    ),
    "location": Rules(
        makes=frozenset(
            {
                "seen_at", "latitude", "longitude", "cell_id", "dwell_s", "accuracy_m", "speed_m_s",
                "fix_source",
            }
        ),
        labels=lambda params: {"fix_source": trails.FIXES},
        draw=trails.draw, columns=trails.columns,
    ),
    "browsing": Rules(
        makes=frozenset(
            {
                "started_at", "host", "category", "duration_s", "uplink_bytes", "downlink_bytes",
                "radio",
            }
        ),
        labels=_browsing_labels, ready=_browsing_ready, draw=browsing.draw,
        columns=browsing.columns, step_s=0.001,
    ),
    "network_log": Rules(
        makes=frozenset(
            {
                "logged_at", "component", "level", "event_id", "cell_id", "radio", "rsrp_dbm",
                "rsrq_db", "sinr_db", "downlink_kbit_s", "uplink_kbit_s", "load_share",
            }
        ),
        draw=network.draw, columns=network.columns,
    ),
    "subscriber": Rules(
        makes=frozenset(
            {
                "gender", "age_years", "region", "device_type", "plan", "payment", "tenure_months",
                "call_s", "calls", "sms", "data_mb", "recharges", "monthly_charge", "total_charge",
                "churned",
            }
        ),
        labels=people.labels_of, draw=people.draw, columns=people.columns,
    ),
    "cell": Rules(
        makes=frozenset(
            {
                "radio", "network", "area_code", "latitude", "longitude", "range_m", "azimuth_deg",
                "region",
            }
        ),
        draw=people.draw, columns=people.cell_columns,
    ),
    "events": Rules(makes=frozenset(), draw=plain.draw, columns=plain.columns),
    "flat": Rules(makes=frozenset(), draw=people.draw, columns=plain.nothing),
}  # fmt: skip


def makes(facts: Facts) -> frozenset[str]:
    """The columns that rules make, the time included."""
    return (RULES[facts.rule].makes - set(facts.own)) | {facts.schema.time}
