"""What scenarios do to a block's events: more of them, elsewhere, lost and tried again, marked.

Whatever is counted is exact: subjects by their number (`_sim_quota.py`), extra events as a factor
of the usual ones in the window, rare events by the block's rows. An event of a scenario has its
mark, the scenario's place + 1.
"""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import Emergency, Outage, Rare, Scenario, Stadium, Storm
from synth_spark.core.batch import Coded, Values
from synth_spark.errors import SynthError
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_facts import Facts
from synth_spark.generators._sim_quota import among
from synth_spark.generators._sim_town import Town

Mask = NDArray[np.bool_]
FAILED = 2  # place of networkFailure among the causes


class ScenarioFitError(SynthError):
    """A scenario does not fit what is simulated: its family, its cells, its time, its columns."""

    code = "SYN-762"


def check_scenarios(facts: Facts) -> None:
    """Refuse scenarios that cannot take place.

    Raises:
        ScenarioFitError: The family has no such thing, or a cell, time or column is not there.
    """
    family = "events" if facts.rule == "events" else facts.schema.family
    for s in facts.scenarios:
        if family not in s.families:
            raise ScenarioFitError(
                f"{s.label}: {s.kind} does not happen to {_called(facts)}.",
                hint=f"records of {', '.join(sorted(s.families))}",
                scenario=s.label,
            )
        starts = getattr(s, "starts_h", 0.0)
        if starts >= facts.hours and facts.schema.shape == "events":
            raise ScenarioFitError(
                f"{s.label} starts {starts:g} h after the start of {facts.hours} simulated hours.",
                hint="days, or an earlier starts_h",
                scenario=s.label,
            )
        wrong = [c for c in getattr(s, "cells", ()) if c not in facts.town.labels]
        known: tuple[str, ...] = facts.town.labels
        if not wrong and isinstance(s, Rare):
            known = tuple(c.name for c in facts.schema.columns)
            wrong = [c for c in s.values if c not in known]
        if wrong:
            near = get_close_matches(wrong[0], known, n=1)
            raise ScenarioFitError(
                f"{s.label} names {wrong[0]}, which is not there.",
                hint=f"{near[0]!r}?" if near else f"such as {', '.join(known[:3])}",
                scenario=s.label,
            )


def _called(facts: Facts) -> str:
    """What is simulated, in words."""
    learned = facts.rule == "events" and facts.schema.family != "events"
    return f"records of {facts.schema.family}{', learned as any events' if learned else ''}"


def in_window(draft: Draft, s: Scenario) -> Mask:
    """Which events lie in a scenario's window."""
    low = s.starts_h * 3_600.0  # type: ignore[union-attr]
    return (draft.t >= low) & (draft.t < low + s.lasts_h * 3_600.0)  # type: ignore[union-attr]


def at_cells(town: Town, s: Scenario) -> Mask:
    """Which cells a scenario is about: those it names, else the busiest."""
    names: tuple[str, ...] = s.cells  # type: ignore[union-attr]
    if names:
        return np.asarray(np.isin(np.array(town.labels, object), list(names)))
    count = max(int(np.rint(s.cells_share * town.size)), 1)  # type: ignore[union-attr]
    mask = np.zeros(town.size, bool)
    mask[np.argsort(-town.weights, kind="stable")[:count]] = True
    return mask


def before_rows(draft: Draft) -> None:
    """More events where an emergency or a stadium has them, before they get their columns."""
    for k, s in enumerate(draft.facts.scenarios):
        if not isinstance(s, Emergency | Stadium):
            continue
        hit = in_window(draft, s)
        if isinstance(s, Stadium):
            hit &= draft.which[draft.owner] == k
        rows, rng = np.flatnonzero(hit), draft.rng(f"more/{k}")
        more = int(np.rint(len(rows) * (s.factor - 1)))
        if not more:
            continue
        low, high = s.starts_h * 3_600.0, (s.starts_h + s.lasts_h) * 3_600.0
        spread = rng.normal(0.0, 300.0, more) + draft.t[rows[rng.integers(len(rows), size=more)]]
        owner = draft.owner[rows[np.arange(more) * len(rows) // more]]
        draft.add(owner, np.clip(spread, low, np.nextafter(high, low)), k + 1)


def after_places(draft: Draft) -> bool:
    """Outages and storms, for sorted events with cells; whether times were changed."""
    changed = False
    for k, s in enumerate(draft.facts.scenarios):
        if isinstance(s, Outage | Storm):
            down = at_cells(draft.facts.town, s)
            rows = np.flatnonzero(in_window(draft, s) & down[draft.values["cell"]])
            rng = draft.rng(f"down/{k}")
            near = draft.facts.town.nearest(down)
            moved = (rng.random(len(rows)) < s.moved_share) & (
                near[draft.values["cell"][rows]] >= 0
            )
            kept = rows[moved]
            draft.values["cell"][kept] = near[draft.values["cell"][kept]]
            draft.mark[kept] = k + 1
            if isinstance(s, Outage):
                _lose(draft, k, s, rows[~moved])
                changed = True
    return changed


def _lose(draft: Draft, k: int, s: Outage, rows: NDArray[np.int64]) -> None:
    """Lost events: a call made leaves a failed record; both ends of a retry come after the end."""
    if not len(rows):
        return
    v, rng = draft.values, draft.rng(f"retry/{k}")
    if "pair" not in v:  # nothing is tried again
        keep = np.ones(len(draft.owner), bool)
        keep[rows] = False
        draft.take(keep | _only_one(draft, keep))
        return
    pairs = np.unique(v["pair"][rows])
    again = rng.random(len(pairs)) < s.retry_share
    wait = rng.exponential(60.0 * s.retry_mean_min, len(pairs))
    place = np.minimum(np.searchsorted(pairs, v["pair"]), len(pairs) - 1)
    lost = pairs[place] == v["pair"]
    retried = np.flatnonzero(lost & again[place])
    end = (s.starts_h + s.lasts_h) * 3_600.0
    values = {n: c[retried] for n, c in v.items()}
    times = end + wait[place[retried]]
    attempt = lost & (v["role"] == 0) & (v["way"] == draft.facts.tables["out"][0])
    v["seconds"][attempt], v["cause"][attempt], draft.mark[attempt] = 0.0, FAILED, k + 1
    keep = ~lost | attempt
    owners = draft.owner[retried]
    draft.take(keep | _only_one(draft, keep))
    inside = times < draft.facts.hours * 3_600.0
    draft.add(owners[inside], times[inside], k + 1, **{n: c[inside] for n, c in values.items()})


def _only_one(draft: Draft, keep: Mask) -> Mask:
    """The first row of each subject that would have none left."""
    left = np.bincount(draft.owner[keep], minlength=draft.size)
    first = np.zeros(len(keep), bool)
    first[np.unique(draft.owner, return_index=True)[1]] = True
    return np.asarray(first & (left[draft.owner] == 0))


def put_rare(draft: Draft) -> None:
    """Mark exact shares of the events, and the events of exact shares of the subjects."""
    for k, s in enumerate(draft.facts.scenarios):
        if not isinstance(s, Rare):
            continue
        if s.subjects is not None:
            draft.mark[draft.which[draft.owner] == k] = k + 1
        elif s.events is not None:
            free = np.flatnonzero(draft.mark == 0)
            rows = among(len(draft.owner), s.events, draft.block, draft.rng(f"rare/{k}"))
            draft.mark[free[np.minimum(rows, len(free) - 1)]] = k + 1


def with_values(draft: Draft, columns: dict[str, Values]) -> dict[str, Values]:
    """The columns with the values that rare scenarios give to what they marked."""
    for k, s in enumerate(draft.facts.scenarios):
        if not isinstance(s, Rare):
            continue
        rows = np.flatnonzero(draft.mark == k + 1)
        for name, value in s.values.items():
            if draft.facts.condition.of(name):
                continue
            column = columns.get(name)
            if isinstance(column, Coded):
                labels = (
                    column.labels if str(value) in column.labels else (*column.labels, str(value))
                )
                codes = column.codes.copy()
                codes[rows] = labels.index(str(value))
                columns[name] = Coded(codes, labels)
            elif column is not None and np.asarray(column).dtype.kind == "f":
                numbers = np.array(column)
                numbers[rows] = float(value)
                columns[name] = numbers
    return columns
