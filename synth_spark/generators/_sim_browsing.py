"""Browsing: sessions of pages, bursts of requests within a second, hosts by Zipf and by habit.

Barford and Crovella, "Generating representative web workloads for network and server performance
evaluation", SIGMETRICS 1998, section 2 (sessions, pages, embedded requests, lognormal sizes);
Breslau et al., "Web caching and Zipf-like distributions", INFOCOM 1999, section III (hosts).
"""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Values
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_facts import Labels
from synth_spark.generators._sim_params import SimulationParams
from synth_spark.generators._sim_scenarios import before_rows, put_rare
from synth_spark.generators._sim_sessions import as_sessions

KINDS = ("social", "video", "news", "mail", "shopping", "games", "finance", "maps", "other")
RADIOS = Labels(("eutran", "nr", "wlan"), np.array([0.6, 0.2, 0.2]), theta=2.0, stay=0.9)
SAME_HOST = 0.45  # of requests, as the one before


def hosts_of(params: SimulationParams) -> Labels:
    """The hosts of a made web: the first is asked for most."""
    rank = np.arange(1, params.hosts + 1, dtype=float)
    shares = rank**-params.host_exponent
    count = len(KINDS)
    names = tuple(f"{KINDS[i % count]}{i // count:03d}.example" for i in range(params.hosts))
    return Labels(names, shares / shares.sum(), theta=params.host_taste, stay=SAME_HOST)


def kind_of(host: str) -> int:
    """The kind of a host of the made web, by its name."""
    return next((i for i, kind in enumerate(KINDS) if host.startswith(kind)), len(KINDS) - 1)


def draw(draft: Draft) -> None:
    """All requests of a block, sorted."""
    p = draft.facts.params
    draft.arrive(draft.rates_a_day() / (p.pages * p.requests))
    before_rows(draft)
    as_sessions(draft)
    draft.take(draft.inside())
    draft.sort(draft.facts.tables["step_s"][0])
    put_rare(draft)


def columns(draft: Draft) -> dict[str, Values]:
    """The family's columns from the draft."""
    facts, p = draft.facts, draft.facts.params
    found: dict[str, Values] = {"started_at": draft.moments()}
    hosts, radios = facts.column("host"), facts.column("radio")
    if hosts:
        host = draft.chosen("host", hosts)
        found["host"] = Coded(host.astype(np.int32), hosts.labels)
        if "kinds" in facts.tables:
            kind = np.where(host < 0, -1, facts.tables["kinds"][host])
            found["category"] = Coded(kind.astype(np.int32), KINDS)
    if radios:
        found["radio"] = Coded(draft.chosen("radio", radios).astype(np.int32), radios.labels)
    size = draft.lognormal("size", 24_000.0, 1.6)
    found["downlink_bytes"] = np.rint(size)
    found["uplink_bytes"] = np.rint(size * p.up_share * draft.lognormal("up", 1.0, 0.6))
    found["duration_s"] = np.round(draft.lognormal("length", 0.4, 1.2), 2)
    return found
