"""Where subjects are: homes, places of work, and the cell of every event along their way."""

from __future__ import annotations

import numpy as np

from synth_spark.config.scenarios import FraudRing, Stadium
from synth_spark.core.seeds import generator
from synth_spark.generators._sim_draft import Draft, Ints
from synth_spark.generators._sim_kernels import roam
from synth_spark.generators._sim_scenarios import at_cells, in_window
from synth_spark.generators._sim_town import closed

NIGHT = (22, 6)  # hours of the day, from and to
OFFICE = (9, 17)  # from and to, Monday to Friday


def homes_of(draft: Draft) -> tuple[Ints, Ints]:
    """Cell of each subject's home and of its work (the home for those who have none)."""
    town, p = draft.facts.town, draft.facts.params
    rng = draft.rng("homes")
    home = np.searchsorted(closed(town.homes), rng.random(draft.size), "right")
    work = np.searchsorted(closed(town.works), rng.random(draft.size), "right")
    works = rng.random(draft.size) < p.working_share
    return home, np.where(works, work, home)


def put_places(draft: Draft) -> None:
    """Fill in `cell` for sorted events."""
    facts, p = draft.facts, draft.facts.params
    town, week = facts.town, facts.hour_of_week
    day, hour = week // 24, week % 24
    night = (hour >= NIGHT[0]) | (hour < NIGHT[1])
    office = (day < 5) & (hour >= OFFICE[0]) & (hour < OFFICE[1])
    home, work = homes_of(draft)
    cell = np.zeros(len(draft.owner), np.int64)
    near, step = facts.raster
    only = bool((town.homes == 0).any())  # then a jump must end in the cells allowed
    roam(
        draft.key("roam"), draft.offsets, draft.t, night, office, home, work, p.home_pull,
        p.work_pull, p.explore, p.explore_fading, p.stay_low_h, p.stay_exponent, p.stay_cut_h,
        only or not town.placed, near, step, town.x, town.y, town.upper(), 20.0 * p.jump_cut_km,
        p.jump_low_km, p.jump_exponent, p.jump_cut_km, cell,
    )  # fmt: skip
    draft.values["cell"] = cell
    _gathered(draft)


def _gathered(draft: Draft) -> None:
    """Put a stadium's crowd and the boxes of SIMs where they are."""
    town = draft.facts.town
    for k, scenario in enumerate(draft.facts.scenarios):
        member = draft.which[draft.owner] == k
        if isinstance(scenario, Stadium):
            there = np.flatnonzero(at_cells(town, scenario))
            rows = np.flatnonzero(member & in_window(draft, scenario))
            draft.values["cell"][rows] = there[draft.owner[rows] % len(there)]
            draft.mark[rows] = k + 1
        elif isinstance(scenario, FraudRing) and scenario.style == "sim_box":
            box = draft.place[draft.owner] // scenario.ring_size
            for number in np.unique(box[member]).tolist():
                rng = generator(draft.seed, f"simulation/box/{k}", number)
                cell = int(np.searchsorted(town.upper(), rng.random(), "right"))
                draft.values["cell"][member & (box == number)] = cell
