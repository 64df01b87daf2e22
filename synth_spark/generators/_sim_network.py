"""Network elements: load by the hour, throughput and radio quality from load, faults from load.

Throughput of a user in a shared cell is its capacity times (1 - load): processor sharing, Bonald
and Proutière, "Wireless downlink data channels: user performance and cell dimensioning", MobiCom
2003, section 3. Calls are blocked by Erlang's formula B (Erlang, 1917) with `CHANNELS` channels.
Alarms are a Poisson process whose rate grows with the cube of the load.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import Emergency, Outage, Stadium, Storm
from synth_spark.core.batch import Coded, Values
from synth_spark.generators._sim_draft import Draft, Floats
from synth_spark.generators._sim_scenarios import at_cells, in_window, put_rare

EVENTS = ("KPI_HOUR", "CALL_BLOCKED", "CONGESTION", "HARDWARE_FAULT", "LINK_DOWN", "CELL_UP")
COMPONENTS = ("pm", "rrc", "rrc", "power", "transport", "transport")
LEVELS = ("INFO", "WARN", "WARN", "ERROR", "ERROR", "INFO")
KPI, BLOCKED, CONGESTED, FAULT, DOWN, UP = range(6)
CHANNELS = 60  # of a cell, for calls
CALLS_A_CHANNEL_H = 4.0  # attempts
CAPACITY_KBIT_S = 90_000.0
CONGESTED_FROM = 0.9  # load
SURGE = 0.7  # a factor of events raises the load by this power of it


def erlang_b(channels: int, offered: Floats) -> Floats:
    """Share of calls that find no free channel; `offered` in erlangs, any shape.

    Example:
        >>> float(np.round(erlang_b(2, np.array([1.0]))[0], 3))
        0.2
    """
    inverse = np.ones_like(offered)
    for k in range(1, channels + 1):
        inverse = 1.0 + inverse * k / np.maximum(offered, 1e-9)
    return np.asarray(1.0 / inverse)


def draw(draft: Draft) -> None:
    """The hours and the faults of a block's elements, sorted."""
    facts, rng = draft.facts, draft.rng("load")
    hours, town = facts.hours, facts.town
    cell = (draft.first + np.arange(draft.size)) % town.size
    load = _load(draft, cell)
    mark, down = np.zeros((draft.size, hours), np.int64), np.zeros((draft.size, hours), bool)
    faults = facts.params.fault_per_day / 24.0 * (load / 0.5) ** 3
    for k, s in enumerate(facts.scenarios):
        if isinstance(s, Outage | Stadium | Storm | Emergency):
            begins = np.arange(hours)
            now = (begins + 1 > s.starts_h) & (begins < s.starts_h + s.lasts_h)
            here = np.ones(town.size, bool) if isinstance(s, Emergency) else at_cells(town, s)
            hit = here[cell][:, None] & now[None, :]
            mark[hit] = k + 1
            if isinstance(s, Emergency | Stadium):
                load[hit] = np.minimum(load[hit] * s.factor**SURGE, 0.99)
            elif isinstance(s, Storm):
                faults[hit] *= s.faults_factor
            else:
                down |= hit
    load[down] = 0.0
    _hours(draft, load, mark, down)
    blocked = CHANNELS * load * erlang_b(CHANNELS, CHANNELS * load) * CALLS_A_CHANNEL_H
    _happen(draft, rng, blocked, BLOCKED, load, mark)
    _happen(draft, rng, np.where(load > CONGESTED_FROM, 1.0, 0.0), CONGESTED, load, mark)
    _happen(draft, rng, np.where(down, 0.0, faults), FAULT, load, mark)
    _switched(draft)
    draft.take(draft.inside())
    draft.sort()
    draft.values["cell"] = cell[draft.owner]
    put_rare(draft)


def _load(draft: Draft, cell: NDArray[np.int64]) -> Floats:
    """Load of each element in each hour, in [0, 0.99]; shape (subjects, hours)."""
    facts, rng = draft.facts, draft.rng("profile")
    profile = facts.rhythm[facts.hour_of_week]
    level = facts.params.load_peak * np.exp(0.35 * rng.standard_normal(draft.size))
    noise = rng.standard_normal((draft.size, facts.hours))
    for h in range(1, facts.hours):  # what an hour is off lasts into the next
        noise[:, h] = 0.8 * noise[:, h - 1] + 0.6 * noise[:, h]
    load = level[:, None] * (profile / facts.rhythm.max())[None, :] * np.exp(0.15 * noise)
    return np.asarray(np.clip(load, 0.01, 0.99))


def _hours(draft: Draft, load: Floats, mark: NDArray[np.int64], down: NDArray[np.bool_]) -> None:
    size, hours = load.shape
    draft.owner = np.repeat(np.arange(size), hours)
    draft.t = np.tile(3_600.0 * np.arange(hours), size)
    draft.mark = mark.ravel()
    draft.values = {
        "event": np.full(size * hours, KPI), "load": load.ravel(), "down": down.ravel()
    }  # fmt: skip


def _happen(
    draft: Draft, rng: np.random.Generator, mean: Floats, event: int, load: Floats,
    mark: NDArray[np.int64],
) -> None:  # fmt: skip
    """Poisson many events of a kind in each element and hour."""
    count = rng.poisson(mean)
    owner, hour = (np.repeat(i, count.ravel()) for i in np.indices(count.shape).reshape(2, -1))
    t = 3_600.0 * (hour + rng.random(len(hour)))
    draft.add(owner, t, mark[owner, hour], event=np.full(len(owner), event), load=load[owner, hour])


def _switched(draft: Draft) -> None:
    """Each element that an outage takes down says so at its beginning and at its end."""
    for k, s in enumerate(draft.facts.scenarios):
        if isinstance(s, Outage):
            hit = np.unique(draft.owner[(draft.mark == k + 1) & in_window(draft, s)])
            for event, moment in ((DOWN, s.starts_h), (UP, s.starts_h + s.lasts_h)):
                events = np.full(len(hit), event)
                draft.add(hit, np.full(len(hit), 3_600.0 * moment), k + 1, event=events)


def columns(draft: Draft) -> dict[str, Values]:
    """The family's columns from the draft; measures stand in the hours' rows only."""
    v, facts = draft.values, draft.facts
    event, load, kpi = v["event"], v["load"], v["event"] == KPI
    rows, rng = len(event), draft.rng("kpi")
    z = rng.standard_normal((5, rows))
    site = draft.rng("site").standard_normal(draft.size)[draft.owner]
    up = kpi & ~v["down"].astype(bool)
    rate = CAPACITY_KBIT_S * (1.0 - load) * np.exp(0.2 * z[0])
    names = dict(zip(("component", "level", "event_id"), (COMPONENTS, LEVELS, EVENTS), strict=True))
    found: dict[str, Values] = {"logged_at": draft.moments()}
    for name, table in names.items():
        labels = tuple(dict.fromkeys(table))
        codes = np.array([labels.index(t) for t in table], np.int32)[event]
        found[name] = Coded(codes, labels)
    town = facts.town
    elements = town.names(draft.first + np.arange(draft.size), "NE-")
    found["element_id"] = Coded(draft.owner.astype(np.int32), tuple(elements))
    radios = tuple(dict.fromkeys(town.radios))
    radio = np.array([radios.index(r) for r in town.radios], np.int32)
    found["cell_id"] = Coded(v["cell"].astype(np.int32), town.labels)
    found["radio"] = Coded(radio[v["cell"]], radios)
    measures = {
        "rsrp_dbm": np.clip(-95.0 + 7.0 * site + 2.0 * z[1], -156, -31),
        "rsrq_db": np.clip(-8.0 - 7.0 * load + 1.2 * z[2], -43, 20),
        "sinr_db": np.clip(18.0 - 14.0 * load + 2.5 * z[3], -40, 60),
        "downlink_kbit_s": rate,
        "uplink_kbit_s": rate * 0.25 * np.exp(0.2 * z[4]),
    }
    found |= {n: np.round(np.where(up, m, np.nan), 1) for n, m in measures.items()}
    found["load_share"] = np.round(np.where(kpi, load, np.nan), 4)
    return found
