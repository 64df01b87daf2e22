"""Alarms of sites: raised, acknowledged, cleared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ._draws import Floats, Ints, Rng, hashed, zipf
from ._people import DAY_S, START_S, Row

SITES, DAYS = 210, 60
LINK_DOWN, MAINS_FAIL, BATTERY_LOW, CELL_DOWN, CELL_DEGRADED = 7401, 1101, 1102, 3001, 3002
HIGH_TEMP, DOOR_OPEN, SYNC_LOST, CONFIG_CHANGE, VSWR_HIGH = 2050, 2060, 9001, 9100, 4007
CATALOGUE = {
    LINK_DOWN: ("LINK_DOWN", "MAJOR"),
    MAINS_FAIL: ("MAINS_FAIL", "MAJOR"),
    BATTERY_LOW: ("BATTERY_LOW", "CRITICAL"),
    CELL_DOWN: ("CELL_DOWN", "CRITICAL"),
    CELL_DEGRADED: ("CELL_DEGRADED", "MINOR"),
    HIGH_TEMP: ("HIGH_TEMP", "MAJOR"),
    DOOR_OPEN: ("DOOR_OPEN", "WARNING"),
    SYNC_LOST: ("SYNC_LOST", "MAJOR"),
    CONFIG_CHANGE: ("CONFIG_CHANGE", "WARNING"),
    VSWR_HIGH: ("VSWR_HIGH", "MINOR"),
}
COLUMNS = [
    "site",
    "event_time",
    "alarm_id",
    "code",
    "cause",
    "severity",
    "state",
    "object",
    "outage_s",
]


@dataclass
class Site:
    """What is weak at a site, and the events written of it."""

    rng: Rng
    name: str
    catalogue: dict[int, tuple[str, str]]
    cells: list[str]
    rate: float  # troubles a day
    hardware: Ints  # codes that this site has
    share: Floats  # of each
    hot: bool
    weak_power: bool
    flaps: bool
    period_s: int  # of a link that flaps
    alarm_id: int
    rows: list[tuple[Any, ...]] = field(default_factory=list, init=False)

    def event(self, at_s: float) -> None:
        """A change of the configuration: no alarm, nothing to clear."""
        self.alarm_id += 1
        name, severity = self.catalogue[CONFIG_CHANGE]
        row = (self.alarm_id, CONFIG_CHANGE, name, severity, "EVENT", "OMC", None)
        self.rows.append((self.name, int(at_s), *row))

    def alarm(
        self,
        at_s: float,
        code: int,
        part: str,
        hold_s: float,
        clears: float = 0.97,
        ack: float = 0.1,
    ) -> float:
        """Raise, perhaps acknowledge, mostly clear; when it ends. The end has the outage."""
        rng, raised_s, cleared_s = self.rng, int(at_s), int(at_s + hold_s)
        self.alarm_id += int(rng.choice([1, 1, 1, 2, 7]))
        name, severity = self.catalogue[code]
        head = (self.alarm_id, code, name)
        self.rows.append((self.name, raised_s, *head, severity, "RAISE", part, None))
        if severity != "WARNING" and hold_s > 120 and rng.random() < ack:
            seen_s = int(at_s + rng.uniform(30, min(hold_s, 7200)))
            self.rows.append((self.name, seen_s, *head, severity, "ACK", part, None))
        if rng.random() < clears:
            outage_s = cleared_s - raised_s
            self.rows.append((self.name, cleared_s, *head, "CLEARED", "CLEAR", part, outage_s))
        return at_s + hold_s


def alarms() -> pd.DataFrame:
    """210 sites for 60 days: pairs by id, cascades of power, flapping links, afternoon heat."""
    rng = np.random.default_rng(606)
    catalogue = CATALOGUE | _hardware(rng)
    rows: list[Row] = []
    for s in range(SITES):
        site = _site(rng, s, catalogue)
        quiet = rng.random() < 0.08
        for day in range(DAYS):
            _day(site, day, updates=not quiet)
        if not site.rows:
            site.alarm(START_S + rng.uniform(0, DAYS * DAY_S), DOOR_OPEN, "CABINET", 900)
        events = sorted(site.rows, key=lambda row: int(row[1]))
        rows += events[: rng.integers(1, 4)] if quiet else events
    t = pd.DataFrame(rows, columns=COLUMNS)
    t["event_time"] = pd.to_datetime(t["event_time"], unit="s")
    t = t.astype({"outage_s": "float64", "code": "int32"})
    return t.sort_values("event_time", kind="stable").reset_index(drop=True)


def _hardware(rng: Rng) -> dict[int, tuple[str, str]]:
    """45 codes of hardware, each of a severity of its own."""
    levels = rng.choice(["MINOR", "MAJOR", "WARNING"], 45, p=[0.5, 0.2, 0.3])
    return {
        5000 + int(rng.integers(1, 60)) * 10 + i % 7: (f"HW_{i:02d}", str(level))
        for i, level in enumerate(levels)
    }


def _site(rng: Rng, s: int, catalogue: dict[int, tuple[str, str]]) -> Site:
    codes = [code for code in catalogue if 5000 <= code < 6000]
    hardware = rng.choice(codes, rng.integers(1, 6), replace=False)
    area = rng.choice(["NOR", "SUD", "EST", "OVE"])
    return Site(
        rng=rng,
        name=f"{area}{int(hashed('a', s, digits=8), 16) % 10_000:04d}_{s % 10}",
        catalogue=catalogue,
        cells=[f"CELL{i + 1}" for i in range(rng.choice([1, 3, 3, 3, 6, 9]))],
        rate=min(rng.lognormal(-0.1, 1.3), 7),
        hardware=hardware,
        share=zipf(len(hardware), 1.2, rng),
        hot=rng.random() < 0.3,
        weak_power=rng.random() < 0.25,
        flaps=rng.random() < 0.25,
        period_s=int(rng.choice([60, 120, 300, 900])),
        alarm_id=int(rng.integers(1, 9000)),
    )


def _day(site: Site, day: int, *, updates: bool) -> None:
    """Troubles of a day; heat in the afternoon; people on weekdays; updates on Tuesday nights."""
    rng, day_s = site.rng, START_S + day * DAY_S
    for _ in range(rng.poisson(site.rate * rng.gamma(0.5, 2) * 0.8)):
        _trouble(site, day_s + rng.uniform(0, DAY_S))
    if site.hot and rng.random() < 0.5:
        at_s = day_s + 3600 * rng.normal(14, 1.2)
        site.alarm(at_s, HIGH_TEMP, "CABINET", rng.lognormal(8.6, 0.5), 1)
    if day % 7 < 5 and rng.random() < 0.04 + 0.02 * min(site.rate, 3):
        at_s = day_s + 3600 * rng.uniform(8, 15.5)
        site.alarm(at_s, DOOR_OPEN, "CABINET", rng.lognormal(7.5, 0.6), 1)
        for _ in range(rng.integers(0, 6)):
            site.event(at_s + rng.uniform(100, 3000))
    if updates and day % 7 == 1 and site.rate > 0.6:
        site.event(day_s + 3 * 3600 + int(rng.integers(0, 20)))


def _trouble(site: Site, at_s: float) -> None:
    """One trouble of some kind; power and links only a little where they are sound."""
    rng, kind = site.rng, site.rng.random()
    cell = str(rng.choice(site.cells))
    if kind < (0.4 if site.weak_power else 0.08):
        _power(site, at_s)
    elif kind < (0.65 if site.flaps else 0.2):
        _flapping(site, at_s)
    elif kind < 0.72:
        code = int(rng.choice(site.hardware, p=site.share))
        site.alarm(at_s, code, cell, rng.lognormal(6, 1.8), 0.92)
    elif kind < 0.82:
        end_s = site.alarm(at_s, CELL_DEGRADED, cell, rng.lognormal(6.5, 1))
        if rng.random() < 0.3:
            site.alarm(at_s + 60, CELL_DOWN, cell, max(end_s - at_s - 60, 10))
    elif kind < 0.9:
        site.alarm(at_s, SYNC_LOST, "BB", rng.lognormal(4, 1))
    else:
        site.alarm(at_s, VSWR_HIGH, cell, rng.lognormal(9, 1), 0.85)


def _power(site: Site, at_s: float) -> None:
    """The mains fail; after an hour the battery is low, after two all cells are down."""
    rng = site.rng
    hold_s = rng.lognormal(8.2, 1.1)
    site.alarm(at_s, MAINS_FAIL, "POWER", hold_s, 1, 0.5)
    if hold_s > 5400:
        after_s = rng.uniform(3600, 5400)
        site.alarm(at_s + after_s, BATTERY_LOW, "POWER", hold_s - after_s + 600, 1)
    if hold_s > 9000:
        after_s = rng.uniform(7000, 8800)
        for cell in site.cells:
            down_s = hold_s - after_s + rng.uniform(60, 240)
            site.alarm(at_s + after_s + rng.integers(0, 3), CELL_DOWN, cell, down_s, 1, 0.3)


def _flapping(site: Site, at_s: float) -> None:
    """A link that goes down and up again and again, at some sites with a strict period."""
    rng, part = site.rng, f"TRX{site.rng.integers(1, 3)}"
    for _ in range(min(int(rng.geometric(0.14 if site.flaps else 0.35)), 120)):
        hold_s = float(rng.integers(1, 12)) if rng.random() < 0.8 else rng.exponential(60) + 1
        end_s = site.alarm(at_s, LINK_DOWN, part, hold_s, 1, 0)
        pause_s = site.period_s + rng.integers(0, 4) if site.flaps else rng.exponential(90) + 1
        at_s = end_s + pause_s
