"""Calls and texts of subscribers, each with the other party and the cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ._draws import Floats, Rng, hashed, zipf
from ._people import CellMap, Row, at_work, cell_map, days_seen, habit, times, wanted

SUBSCRIBERS, DAYS, CELLS, POOLS = 1_400, 28, 420, 45
SERVICES = ("10086", "333", "22155", "1177", "50505")  # bank, voice mail, taxi: known to all
SERVICE_SHARE = (0.4, 0.25, 0.2, 0.1, 0.05)
VOICE_MAIL, ANSWERED = "333", "16"
COLUMNS = [
    "subscriber_id",
    "start_time",
    "record_type",
    "direction",
    "peer_hash",
    "duration_s",
    "cause",
    "cell_id",
]


@dataclass(frozen=True)
class Caller:
    """What one subscriber does, and whom it knows."""

    name: str
    contacts: list[str]
    share: Floats  # of each contact, as is the next
    talk: Floats
    text_share: float
    outgoing: float
    answers: float
    log_talk: float
    centre: bool  # a call centre: strangers, short and outgoing
    home: int
    work: int
    favourites: list[int]


class Peer(NamedTuple):
    """The other party of an event."""

    name: str
    talk: float = 1.0
    service: bool = False


class Step(NamedTuple):
    """One event, or a few of one second, and what may follow with the same people."""

    rows: list[Row]
    end_s: int
    gap_s: int
    again: float


def cdr() -> pd.DataFrame:
    """1,400 subscribers for 28 days: bursts, calls back, texts in parts, 0.2 % of rows twice."""
    rng = np.random.default_rng(101)
    cells = cell_map(rng, CELLS)
    numbers = rng.choice(np.arange(10_001, 65_000), CELLS, replace=False)
    pools = [[hashed("c", k, i, digits=10) for i in range(160)] for k in range(POOLS)]
    rows: list[Row] = []
    for s in range(SUBSCRIBERS):
        count = wanted(rng, 36, 1.0, 1800)
        caller = _caller(rng, s, pools[rng.integers(POOLS)], cells)
        if caller.centre and count > 3:
            count *= 3
        starts = times(
            rng, habit(rng), days_seen(rng, DAYS), count if count <= 3 else int(count / 1.7) + 1
        )
        rows += _events(rng, caller, cells, starts, count if count <= 3 else 3 * count)
    t = pd.DataFrame(rows, columns=COLUMNS)
    t = pd.concat([t, t.sample(frac=0.002, random_state=1)])  # mediation repeats some
    t["start_time"] = pd.to_datetime(t["start_time"], unit="s")
    t["duration_s"] = t["duration_s"].astype("Int32")
    lost = rng.random(len(t)) < 0.01
    t["cell_id"] = np.where(lost, 0, numbers[t["cell_id"].to_numpy(int)]).astype("int32")
    return t.sort_values("start_time", kind="stable").reset_index(drop=True)


def _caller(rng: Rng, s: int, pool: list[str], cells: CellMap) -> Caller:
    """Contacts are some of a pool that others share, and some of one's own."""
    known = int(np.clip(rng.lognormal(2.3, 0.7), 2, 60))
    contacts = [str(name) for name in rng.choice(pool, known, replace=False)]
    contacts += [hashed("p", s, i, digits=10) for i in range(max(2, known // 3))]
    rng.shuffle(contacts)
    centre = rng.random() < 0.02
    home = int(rng.integers(CELLS))
    work = int(rng.choice(cells.of_town(home)))
    favourites = [home, work, *map(int, rng.choice(cells.near[home], 2)), int(rng.integers(CELLS))]
    return Caller(
        name=hashed("cdr", s),
        contacts=contacts,
        share=zipf(len(contacts), rng.uniform(0.7, 1.8), rng),
        talk=rng.lognormal(0, 0.5, len(contacts)),
        text_share=0.02 if centre else rng.beta(0.9, 1.3),
        outgoing=0.98 if centre else rng.beta(5, 4),
        answers=rng.beta(6, 2),
        log_talk=rng.normal(4.0, 0.6),
        centre=centre,
        home=home,
        work=work,
        favourites=favourites,
    )


def _events(rng: Rng, caller: Caller, cells: CellMap, starts: list[int], most: int) -> list[Row]:
    """From each start a burst of events, which mostly stay with one party."""
    rows: list[Row] = []
    end_s = -1
    for start_s in starts:
        if len(rows) >= most:
            break
        at_s = max(start_s, end_s + 1)
        cell, peer = _cell(rng, caller, at_s), _peer(rng, caller, at_s)
        while len(rows) < most:
            texts = rng.random() < caller.text_share or (peer.service and peer.name != VOICE_MAIL)
            step = (_text if texts else _call)(rng, caller, peer, at_s, cell)
            rows += step.rows
            end_s = step.end_s
            if rng.random() > step.again:
                break
            at_s = end_s + step.gap_s
            if rng.random() < 0.1:
                cell = int(rng.choice(cells.near[cell]))
            if rng.random() < 0.25:
                peer = _peer(rng, caller, at_s)
    return rows[:most]


def _cell(rng: Rng, caller: Caller, at_s: int) -> int:
    if at_work(at_s) and rng.random() < 0.8:
        return caller.work
    return caller.home if rng.random() < 0.7 else int(rng.choice(caller.favourites))


def _peer(rng: Rng, caller: Caller, at_s: int) -> Peer:
    """A service, a stranger or a contact."""
    if rng.random() < 0.06:
        return Peer(str(rng.choice(SERVICES, p=SERVICE_SHARE)), service=True)
    if caller.centre or rng.random() < 0.04:
        return Peer(hashed("r", caller.name, at_s, digits=10))
    i = int(rng.choice(len(caller.contacts), p=caller.share))
    return Peer(caller.contacts[i], float(caller.talk[i]))


def _text(rng: Rng, caller: Caller, peer: Peer, at_s: int, cell: int) -> Step:
    """A long text is several rows of one second."""
    way = "MO" if rng.random() < caller.outgoing and not peer.service else "MT"
    parts = 1 + int(rng.random() < 0.05) + int(rng.random() < 0.02)
    row = (caller.name, at_s, "SMS", way, peer.name, None, None, cell)
    return Step([row] * parts, at_s, int(rng.exponential(70)) + 2, 0.55)


def _call(rng: Rng, caller: Caller, peer: Peer, at_s: int, cell: int) -> Step:
    """A call that is taken, or one that is not and mostly followed by a call back."""
    way = "MO" if rng.random() < caller.outgoing or peer.service else "MT"
    head = (caller.name, at_s, "VOICE", way, peer.name)
    if rng.random() < (0.99 if peer.service else caller.answers):
        talk_s = int(np.clip(rng.lognormal(caller.log_talk, 1.0) * peer.talk, 1, 7200))
        if talk_s > 3600 and rng.random() < 0.8:
            talk_s = 3600  # the plan cuts it
        talk_s = min(talk_s, 240) if caller.centre else talk_s
        row = (*head, talk_s, ANSWERED, cell)
        return Step([row], at_s + talk_s, int(rng.exponential(400)) + 5, 0.18)
    cause = str(rng.choice(["19", "17", "31", "127"], p=[0.6, 0.28, 0.1, 0.02]))
    missed = (*head, 0, cause, cell)
    gap_s = int(rng.exponential(90)) + 8
    if peer.service or rng.random() >= 0.6:
        return Step([missed], at_s, gap_s, 0.7)
    back_s = at_s + gap_s
    talk_s = min(int(rng.lognormal(caller.log_talk, 0.9)), 3600) if rng.random() < 0.75 else 0
    cause = ANSWERED if talk_s else "19"
    back = (caller.name, back_s, "VOICE", "MO", peer.name, talk_s, cause, cell)
    return Step([missed, back], back_s + talk_s, int(rng.exponential(200)) + 3, 0.3)
