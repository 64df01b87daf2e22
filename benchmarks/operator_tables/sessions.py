"""Data sessions of subscribers: application, volume, access and quality of the signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._draws import Floats, Ints, Rng, hashed, zipf
from ._people import (
    DAY_S,
    START_S,
    CellMap,
    Row,
    at_work,
    cell_map,
    days_seen,
    habit,
    times,
    wanted,
)

SUBSCRIBERS, DAYS, CELLS = 900, 14, 260
KNOWN = [
    "youtube",
    "whatsapp",
    "instagram",
    "tiktok",
    "facebook",
    "chrome",
    "netflix",
    "spotify",
    "maps",
    "gmail",
    "dns",
    "ios_update",
    "play_store",
    "telegram",
    "snapchat",
    "zoom",
    "teams",
    "waze",
    "twitch",
    "unknown",
]
PART_S, LONGEST_S = 3600, 5 * 3600  # a longer session is written in parts
SPEED = {"3G": -1.2, "4G": 0.0, "5G": 0.5}  # of the logarithm of the bytes
COLUMNS = [
    "imsi",
    "start_epoch",
    "app",
    "bytes_up",
    "bytes_down",
    "duration_s",
    "rat",
    "cell",
    "rsrp_dbm",
]


@dataclass(frozen=True)
class World:
    """Applications and cells, the same for all subscribers."""

    apps: list[str]
    popular: Floats  # of each application, as are the next three
    log_bytes: Floats
    log_ratio: Floats
    log_s: Floats
    cells: CellMap
    signal_dbm: Floats  # of each cell, as are the next two
    fast: NDArray[np.bool_]
    slow: NDArray[np.bool_]


@dataclass(frozen=True)
class User:
    """One phone, its owner's applications and places."""

    imsi: int
    apps: Ints
    share: Floats
    fast: bool  # a 5G phone
    old: bool  # a 3G phone
    silent: bool  # never reports the signal
    home: int
    work: int
    signal_dbm: float  # beside the cell's
    log_bytes: float


def data_sessions() -> pd.DataFrame:
    """900 subscribers for 14 days: epoch seconds, no order, parts of an hour, meters."""
    rng = np.random.default_rng(303)
    world = _world(rng)
    rows: list[Row] = []
    for s in range(SUBSCRIBERS):
        user = _user(rng, s, world)
        days = days_seen(rng, DAYS)
        count = wanted(rng, 60, 1.1, 2500, 0.07)
        if rng.random() < 0.05:
            rows += _meter(rng, user, world, days, count)
            continue
        starts = count if count <= 3 else int(count / 1.75) + 1
        at = times(rng, habit(rng, 1.4), days, starts)
        rows += _sessions(rng, user, world, at, count if count <= 3 else 3 * count)
    t = pd.DataFrame(rows, columns=COLUMNS)
    t["cell"] = [f"eNB{1000 + c // 3}_{c % 3 + 1}" for c in t["cell"]]
    t = t.astype({"rsrp_dbm": "int16", "duration_s": "int32"})
    return t.sample(frac=1, random_state=3).reset_index(drop=True)


def _world(rng: Rng) -> World:
    """Videos and updates are large, names are small, meetings go both ways."""
    apps = KNOWN + [f"app_{i:03d}" for i in rng.choice(900, 50, replace=False)]
    count, at = len(apps), KNOWN.index
    size, ratio = rng.normal(11, 2, count), rng.normal(-2, 0.7, count)
    length = rng.normal(3.6, 0.7, count)
    size[[at("youtube"), at("netflix"), at("twitch")]] = 16.5
    size[[at("tiktok"), at("dns"), at("ios_update")]] = 16, 6, 19
    ratio[[at("zoom"), at("teams")]] = -0.1
    length[[at(name) for name in ("youtube", "netflix", "spotify", "zoom", "teams")]] = 6.3
    return World(
        apps,
        zipf(count, 1.0, rng),
        size,
        ratio,
        length,
        cell_map(rng, CELLS),
        rng.normal(-98, 8, CELLS),
        rng.random(CELLS) < 0.3,
        rng.random(CELLS) < 0.05,
    )


def _user(rng: Rng, s: int, world: World) -> User:
    count = int(np.clip(rng.lognormal(2, 0.5), 2, 30))
    home = int(rng.integers(CELLS))
    return User(
        imsi=262_010_000_000_000 + int(hashed("d", s, digits=11), 16) % 9_999_999_999,
        apps=rng.choice(len(world.apps), count, replace=False, p=world.popular),
        share=zipf(count, rng.uniform(0.6, 1.9), rng),
        fast=rng.random() < 0.45,
        old=rng.random() < 0.06,
        silent=rng.random() < 0.08,
        home=home,
        work=int(rng.choice(world.cells.of_town(home))),
        signal_dbm=rng.normal(0, 5),
        log_bytes=rng.normal(0, 0.9),
    )


def _meter(rng: Rng, user: User, world: World, days: Ints, count: int) -> list[Row]:
    """One application, a strict period, the same bytes nearly each time."""
    step_s, span_s = int(rng.choice([3600, 7200, 900])), len(days) * DAY_S
    late = int(rng.integers(0, max(1, span_s // step_s - count)))
    phase_s = int(rng.integers(0, step_s)) + step_s * late
    app = world.apps[int(rng.choice(user.apps))]
    up, down = int(rng.integers(200, 900)), int(rng.integers(100, 400))
    slow = bool(world.slow[user.home])
    rows: list[Row] = []
    for j in range(min(count, (span_s - phase_s) // step_s)):
        at_s = START_S + int(days[0]) * DAY_S + phase_s + j * step_s + int(rng.integers(0, 3))
        signal = round(world.signal_dbm[user.home] + user.signal_dbm + rng.normal(0, 1))
        more = 64 * int(rng.random() < 0.03)
        access, signal = ("3G", -1) if slow else ("4G", -1 if user.silent else signal)
        rows.append((user.imsi, at_s, app, up + more, down, 2, access, user.home, signal))
    return rows


def _sessions(rng: Rng, user: User, world: World, starts: list[int], most: int) -> list[Row]:
    """From each start a run of sessions: the same application often, the next cell sometimes."""
    rows: list[Row] = []
    end_s = 0
    for start_s in starts:
        if len(rows) >= most:
            break
        at_s = max(start_s, end_s)
        cell = _cell(rng, user, world, at_s)
        signal = world.signal_dbm[cell] + user.signal_dbm + rng.normal(0, 3)
        app = int(rng.choice(user.apps, p=user.share))
        for _ in range(26):
            signal += rng.normal(0, 1.5)
            parts, end_s = _session(rng, user, world, at_s, app, cell, signal)
            rows += parts
            if rng.random() > 0.45 or len(rows) >= most:
                break
            at_s = end_s + (0 if rng.random() < 0.2 else int(rng.exponential(40)))
            if rng.random() < 0.5:
                app = int(rng.choice(user.apps, p=user.share))
            if rng.random() < 0.08:
                cell = int(rng.choice(world.cells.near[cell]))
                signal = world.signal_dbm[cell] + user.signal_dbm
    return rows


def _cell(rng: Rng, user: User, world: World, at_s: int) -> int:
    if at_work(at_s) and rng.random() < 0.8:
        return user.work
    if rng.random() < 0.75:
        return user.home
    near = rng.random() < 0.7
    return int(rng.choice(world.cells.near[user.home])) if near else int(rng.integers(CELLS))


def _session(
    rng: Rng, user: User, world: World, at_s: int, app: int, cell: int, signal: float
) -> tuple[list[Row], int]:
    """The rows of one session, each an hour at most, and its end; 3 % bring nothing."""
    length_s = min(int(rng.lognormal(world.log_s[app], 1.1)), LONGEST_S)
    access = "3G" if user.old or world.slow[cell] else "4G"
    if access == "4G" and user.fast and world.fast[cell] and rng.random() < 0.85:
        access = "5G"
    size = world.log_bytes[app] + user.log_bytes + SPEED[access] + 0.5 * np.log1p(length_s / 60)
    down = rng.lognormal(size, 1.1)
    up = down * np.exp(world.log_ratio[app] + rng.normal(0, 0.5))
    if rng.random() < 0.03:
        down, up = 0.0, float(rng.choice([0, 40, 52, 104]))
    rows: list[Row] = []
    for part in range(max(1, -(-length_s // PART_S))):
        part_s = min(length_s - part * PART_S, PART_S)
        share = part_s / length_s if length_s > PART_S else 1
        hidden = access == "3G" or user.silent or rng.random() < 0.03
        dbm = -1 if hidden else int(np.clip(round(signal), -140, -44))
        name, begin_s = world.apps[app], at_s + part * PART_S
        volumes = int(up * share), int(down * share)
        rows.append((user.imsi, begin_s, name, *volumes, part_s, access, cell, dbm))
    return rows, at_s + length_s
