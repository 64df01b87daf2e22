"""Position fixes and stays: where a subject is at its moments, by the same walk as calls."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Values
from synth_spark.core.seeds import uniforms
from synth_spark.generators._sim_draft import Draft, Floats
from synth_spark.generators._sim_facts import Labels
from synth_spark.generators._sim_moves import put_places
from synth_spark.generators._sim_scenarios import after_places, before_rows, put_rare
from synth_spark.generators._sim_town import KM_A_DEGREE

FIXES = Labels(("network", "gps"), np.array([0.7, 0.3]), theta=1.0)
DWELL_MEDIAN_S, DWELL_SIGMA = 1_500.0, 1.2
SPOT_KM = 0.4  # a subject's spot in a cell lies so far from its middle at most
FASTEST_M_S = 45.0


def draw(draft: Draft) -> None:
    """All events of a block, sorted, with cells."""
    draft.arrive(draft.rates_a_day())
    before_rows(draft)
    draft.take(draft.inside())
    draft.sort(draft.facts.tables["step_s"][0])
    put_places(draft)
    after_places(draft)
    put_rare(draft)


def columns(draft: Draft) -> dict[str, Values]:
    """The family's columns from the draft."""
    facts, cell, rows = draft.facts, draft.values["cell"], len(draft.owner)
    found: dict[str, Values] = {
        "seen_at": draft.moments(),
        "cell_id": Coded(cell.astype(np.int32), facts.town.labels),
    }
    source = draft.chosen("fix_source", facts.column("fix_source") or FIXES)
    names = (facts.labels.get("fix_source") or FIXES).labels
    found["fix_source"] = Coded(source.astype(np.int32), names)
    gps = source == (names.index("gps") if "gps" in names else len(names))
    rng = draft.rng("fixes")
    accuracy = np.where(gps, 8.0, 600.0) * np.exp(0.5 * rng.standard_normal(rows))
    found["accuracy_m"] = np.round(accuracy, 1)
    found["dwell_s"] = _dwell(draft)
    if facts.town.placed:
        x, y = _spots(draft)
        noise = rng.standard_normal((2, rows)) * accuracy / 1_500.0  # km, a part of the radius
        x, y = x + noise[0], y + noise[1]
        latitude, longitude = facts.town.middle
        east = KM_A_DEGREE * np.cos(np.radians(latitude))
        found["latitude"] = np.round(np.clip(latitude + y / KM_A_DEGREE, -90, 90), 5)
        found["longitude"] = np.round(np.clip(longitude + x / east, -180, 180), 5)
        found["speed_m_s"] = _speed(draft, x, y)
    return found


def _spots(draft: Draft) -> tuple[Floats, Floats]:
    """Each subject's own spot in each cell, km: the same whenever it comes back."""
    town, cell = draft.facts.town, draft.values["cell"]
    number = (draft.first + draft.owner).astype(np.uint64) * np.uint64(town.size)
    number += cell.astype(np.uint64)
    far = SPOT_KM * np.sqrt(uniforms(draft.seed, "simulation/spot/far", number))
    turn = 2 * np.pi * uniforms(draft.seed, "simulation/spot/turn", number)
    return town.x[cell] + far * np.cos(turn), town.y[cell] + far * np.sin(turn)


def _next_gap(draft: Draft) -> Floats:
    """Seconds until the subject's next event; infinite for its last."""
    gap = np.full(len(draft.owner), np.inf)
    same = draft.owner[1:] == draft.owner[:-1]
    gap[:-1] = np.where(same, np.diff(draft.t), np.inf)
    return gap


def _dwell(draft: Draft) -> Floats:
    """Lengths of stays: none goes on beyond the next fix."""
    stay = draft.lognormal("dwell", DWELL_MEDIAN_S, DWELL_SIGMA)
    return np.asarray(np.rint(np.minimum(stay, _next_gap(draft))))


def _speed(draft: Draft, x: Floats, y: Floats) -> Floats:
    """Metres a second on the way from the fix before; 0 at a subject's first."""
    gap = np.concatenate([[np.inf], _next_gap(draft)[:-1]])
    far = np.hypot(np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1])) * 1_000.0
    moving = np.concatenate([[False], np.diff(draft.values["cell"]) != 0])
    speed = np.where(moving, far / np.maximum(gap, 60.0), 0.0)
    return np.asarray(np.round(np.minimum(speed, FASTEST_M_S), 1))
