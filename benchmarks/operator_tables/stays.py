"""Stays of devices at cells: where, from when, for how long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ._draws import Floats, Ints, Rng, hashed, zipf
from ._people import DAY_S, START_S, CellMap, Row, cell_map, days_seen

DEVICES, DAYS, CELLS = 520, 21, 350
OFF = -1  # in place of a cell
KINDS = ("worker", "homebody", "driver", "shift", "visitor")
KIND_SHARE = (0.55, 0.17, 0.1, 0.08, 0.1)
COLUMNS = ["device", "arrival", "dwell_s", "cell", "lat", "lon", "entry", "ta"]
Moves = list[tuple[float, int]]  # time in seconds, cell


@dataclass(frozen=True)
class Person:
    """Where one lives, works and goes, and when."""

    kind: str
    home: int
    work: int
    path: list[int]  # cells on the way to work
    places: Ints
    share: Floats  # of each place
    leaves_h: float
    works_h: float
    jitter_h: float
    unsteady: float  # how often the phone flips between home and the next cell
    off_h: float | None  # when it is switched off for the night


def stays() -> pd.DataFrame:
    """520 devices for 21 days: each dwell ends at the next arrival, commutes, flips, nights off."""
    rng = np.random.default_rng(202)
    cells = cell_map(rng, CELLS, 6)
    names = [f"{21 + town}-{rng.integers(1000, 65_000)}" for town in cells.town]
    rows: list[Row] = []
    for s in range(DEVICES):
        device = 310_000_000 + int(hashed("st", s, digits=7), 16) % 89_999_999
        person = _person(rng, cells)
        moves = _cleaned(_moves(rng, person, cells))
        if person.kind != "driver" and rng.random() < 0.05:
            moves = moves[: rng.integers(1, 4)]
        for at_s, dwell_s, cell, entry, advance in _stays(rng, person, moves):
            lat, lon = cells.position[cell]
            rows.append((device, at_s, dwell_s, names[cell], lat, lon, entry, advance))
    t = pd.DataFrame(rows, columns=COLUMNS)
    t["arrival"] = pd.to_datetime(t["arrival"], unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
    t["dwell_s"] = t["dwell_s"].astype("Int64")
    return t.sort_values(["device", "arrival"], kind="stable").reset_index(drop=True)


def _person(rng: Rng, cells: CellMap) -> Person:
    home = int(rng.integers(CELLS))
    town = cells.of_town(home)
    work = int(rng.choice(town)) if rng.random() < 0.8 else int(rng.integers(CELLS))
    path = list(dict.fromkeys(map(int, rng.choice(town, rng.integers(1, 6)))))
    places = rng.choice(town, min(5, len(town)), replace=False)
    return Person(
        kind=str(rng.choice(KINDS, p=KIND_SHARE)),
        home=home,
        work=work,
        path=path if home != work else [],
        places=places,
        share=zipf(len(places), 1, rng),
        leaves_h=rng.normal(7.6, 0.8),
        works_h=rng.normal(8.7, 0.6),
        jitter_h=rng.uniform(0.05, 0.6),
        unsteady=rng.beta(1, 6),
        off_h=rng.uniform(22.5, 24) if rng.random() < 0.2 else None,
    )


def _moves(rng: Rng, person: Person, cells: CellMap) -> Moves:
    """All moves of a person, day by day, in no strict order."""
    days = days_seen(rng, DAYS)
    if person.kind == "visitor":
        days = days[: rng.integers(1, 3)]
    moves: Moves = []
    for i, day in enumerate(days):
        day_s = START_S + int(day) * DAY_S
        if i == 0 or day != days[i - 1] + 1:
            moves.append((day_s + int(rng.integers(1, 20_000)), person.home))
        moves += _day(rng, person, cells, day_s, weekend=day % 7 >= 5)
        if person.off_h and person.kind != "shift" and rng.random() < 0.8:
            moves.append((day_s + 3600 * (person.off_h + rng.normal(0, 0.2)), OFF))
            moves.append((day_s + DAY_S + 3600 * rng.normal(6.6, 0.2), person.home))
        for _ in range(rng.poisson(4 * person.unsteady)):
            moves += _flips(rng, person.home, int(cells.near[person.home][0]), day_s)
    return moves


def _day(rng: Rng, person: Person, cells: CellMap, day_s: int, *, weekend: bool) -> Moves:
    """What the kind of person does on such a day."""
    kind = person.kind
    if kind == "driver" and (not weekend or rng.random() < 0.4):
        return _drive(rng, person, cells, day_s)
    if kind == "visitor":
        route = rng.choice(CELLS, rng.integers(1, 4))
        return _along(rng, day_s + 3600 * rng.uniform(8, 18), route, 900)[0]
    works = kind == "worker" and not weekend and rng.random() < 0.93
    if works or (kind == "shift" and rng.random() < 0.7):
        return _work(rng, person, cells, day_s)
    if rng.random() < (0.8 if weekend else 0.5):
        at_s, moves = day_s + 3600 * rng.uniform(9.5, 18), []
        for place in rng.choice(person.places, rng.integers(1, 4), p=person.share):
            moves.append((at_s, int(place)))
            at_s += rng.lognormal(8, 0.8)
        return [*moves, (at_s, person.home)]
    return []


def _along(rng: Rng, at_s: float, route: Iterable[int], step_s: float = 120) -> tuple[Moves, float]:
    """A move to each cell of a route, and when the last of them is left."""
    moves = []
    for cell in route:
        moves.append((at_s, int(cell)))
        at_s += rng.lognormal(np.log(step_s), 0.6)
    return moves, at_s


def _drive(rng: Rng, person: Person, cells: CellMap, day_s: int) -> Moves:
    """A walk from cell to next cell, home by eight in the evening or so."""
    at_s = day_s + 3600 * (person.leaves_h + rng.normal(0, person.jitter_h))
    cell, moves = person.home, []
    for _ in range(rng.integers(15, 60)):
        cell = int(rng.choice(cells.near[cell]))
        moves.append((at_s, cell))
        at_s += rng.lognormal(6.3, 1.2)
        if at_s > day_s + 3600 * 20:
            break
    return [*moves, (at_s, person.home)]


def _work(rng: Rng, person: Person, cells: CellMap, day_s: int) -> Moves:
    """To work along one's path, some days lunch next door, back along it, some days elsewhere."""
    leaves_h = person.leaves_h + (13 if person.kind == "shift" else 0)
    out_s = day_s + 3600 * (leaves_h + rng.normal(0, person.jitter_h))
    moves, there_s = _along(rng, out_s, person.path)
    moves.append((there_s, person.work))
    if rng.random() < 0.3 and person.kind != "shift":
        lunch_s = day_s + 3600 * rng.normal(12.3, 0.25)
        moves.append((lunch_s, int(cells.near[person.work][1])))
        moves.append((lunch_s + rng.normal(2400, 500), person.work))
    back_s = day_s + 3600 * (leaves_h + person.works_h + rng.normal(0, person.jitter_h))
    back, end_s = _along(rng, back_s, person.path[::-1])
    if rng.random() < 0.25:
        back.append((end_s, int(rng.choice(person.places, p=person.share))))
        end_s += rng.lognormal(8, 0.6)
    return [*moves, *back, (end_s, person.home)]


def _flips(rng: Rng, home: int, other: int, day_s: int) -> Moves:
    """At home in the evening or at night: a few times to the next cell and back."""
    at_s = day_s + 3600 * rng.choice([rng.uniform(0, 6), rng.uniform(19, 24)])
    moves = []
    for _ in range(rng.integers(1, 6)):
        back_s = at_s + rng.exponential(40) + 2
        moves += [(at_s, other), (back_s, home)]
        at_s = back_s + rng.exponential(60) + 2
    return moves


def _cleaned(moves: Moves) -> list[tuple[int, int]]:
    """In order, whole seconds, each to another cell and later than the one before."""
    kept: list[tuple[int, int]] = []
    for at_s, cell in sorted((int(at_s), cell) for at_s, cell in moves):
        if not kept or (cell != kept[-1][1] and at_s > kept[-1][0]):
            kept.append((at_s, cell))
    return kept


def _stays(
    rng: Rng, person: Person, moves: list[tuple[int, int]]
) -> list[tuple[int, int | None, int, str, int]]:
    """Arrival, dwell, cell, way in and timing advance of each stay; the last dwell is unknown."""
    home_advance, found = int(rng.integers(0, 12)), []
    for i, (at_s, cell) in enumerate(moves):
        if cell == OFF:
            continue
        dwell_s = moves[i + 1][0] - at_s if i + 1 < len(moves) else None
        if dwell_s is not None and dwell_s > 3 * DAY_S:
            dwell_s = None  # silent for days
        before = moves[i - 1] if i else (0, OFF)
        entry = "TAU"
        if before[1] == OFF or at_s - before[0] > 3 * DAY_S:
            entry = "ATTACH"
        elif (dwell_s is not None and dwell_s < 900) or rng.random() < 0.3:
            entry = "HO"
        base = home_advance if cell == person.home else int(rng.poisson(5))
        advance = max(0, base + int(rng.integers(-1, 2)))
        if entry == "TAU" and rng.random() < 0.7:
            advance = -1
        found.append((at_s, dwell_s, cell, entry, advance))
    return found
