"""Requests of users to hosts, as a proxy writes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ._draws import Floats, Ints, Rng, hashed, zipf
from ._people import DAY_S, START_S, Row, days_seen, habit, times, wanted

USERS, DAYS, HOSTS = 1_900, 21, 380
CATEGORIES = (
    "news",
    "social",
    "shopping",
    "video",
    "search",
    "mail",
    "bank",
    "games",
    "adult",
    "travel",
    "sport",
    "ads_cdn",
    None,  # nobody has looked at the host
)
CATEGORY_SHARE = (0.13, 0.08, 0.16, 0.07, 0.03, 0.03, 0.05, 0.1, 0.05, 0.08, 0.08, 0.1, 0.04)
VIDEO, SEARCH, ADS = 3, 4, 11
WITH_ADS = {0, 2, 10}
COLUMNS = ["user", "ts", "host", "category", "referrer", "status", "bytes", "resp_ms"]


@dataclass(frozen=True)
class Web:
    """Hosts, the same for all users."""

    category: Ints  # of each host, as are the next four
    name: list[str]
    popular: Floats
    broken: Floats
    log_bytes: Floats
    fixed: dict[int, int]  # bytes of the hosts that always send as many

    def of(self, category: int) -> Ints:
        """The hosts of a category."""
        return np.asarray(np.flatnonzero(self.category == category))


@dataclass
class User:
    """Ways of one user and what is written of it."""

    name: str
    hosts: Ints
    share: Floats
    loyal: float  # how often the next request goes to the same host
    log_ms: float
    timed: bool  # whether the time to answer is written
    blocks_ads: bool
    log_think_s: float
    cached: float
    more_pages: float
    most: int
    rows: list[Row] = field(default_factory=list, init=False)

    def host(self, rng: Rng) -> int:
        """One of its own hosts."""
        return int(rng.choice(self.hosts, p=self.share))


def clicks() -> pd.DataFrame:
    """1,900 users for 21 days: referrers, reloads, video in parts, ads beside pages."""
    rng = np.random.default_rng(707)
    web = _web(rng)
    rows: list[Row] = []
    for s in range(USERS):
        count = wanted(rng, 26, 1.15, 1500, 0.1)
        user = _user(rng, s, web, count if count <= 3 else 4 * count)
        starts = count if count <= 3 else int(count / (1 + user.more_pages)) + 1
        _browse(rng, web, user, times(rng, habit(rng, 1.3), days_seen(rng, DAYS), starts))
        rows += user.rows
    t = pd.DataFrame(rows, columns=COLUMNS)
    t["ts"] = pd.to_datetime(t["ts"], unit="ms").dt.tz_localize("UTC")
    t = t.astype({"status": "int16", "resp_ms": "float64"})
    return t.sort_values(["user", "ts"], kind="stable").reset_index(drop=True)


def _web(rng: Rng) -> Web:
    category = rng.choice(13, HOSTS, p=CATEGORY_SHARE)
    starts, ends = ["www", "m", "api", "static", "cdn"], ["com", "net", "de", "io"]
    names = [
        f"{rng.choice(starts)}.{(CATEGORIES[c] or 'x')[:4]}{i}.{rng.choice(ends)}"
        for i, c in enumerate(category)
    ]
    fixed = {int(i): int(rng.integers(35, 4000)) for i in rng.choice(HOSTS, 60, replace=False)}
    popular, broken = zipf(HOSTS, 1.05, rng), rng.beta(0.5, 12, HOSTS)
    return Web(category, names, popular, broken, rng.normal(8.5, 1.3, HOSTS), fixed)


def _user(rng: Rng, s: int, web: Web, most: int) -> User:
    """Its hosts are popular ones of the categories that it likes."""
    name, count = hashed("w", s, digits=32), int(np.clip(rng.lognormal(2, 0.7), 1, 60))
    liked = web.popular * (rng.dirichlet(np.full(13, 0.35))[web.category] + 0.01)
    return User(
        name=f"{name[:8]}-{name[8:12]}-{name[12:16]}",
        hosts=rng.choice(HOSTS, count, replace=False, p=liked / liked.sum()),
        share=zipf(count, rng.uniform(0.7, 1.7), rng),
        loyal=rng.beta(5, 3),
        log_ms=rng.normal(4.6, 0.6),
        timed=rng.random() >= 0.15,
        blocks_ads=rng.random() < 0.25,
        log_think_s=rng.normal(3.0, 0.6),
        cached=rng.beta(2, 8),
        more_pages=rng.lognormal(1.6, 0.6),
        most=most,
    )


def _browse(rng: Rng, web: Web, user: User, starts: list[int]) -> None:
    """Sessions at least half an hour apart; most begin at one's first host or with a search."""
    end_s = 0.0
    for start_s in starts:
        begin_s = float(start_s)
        if end_s > begin_s - 1800:
            begin_s = max(begin_s, end_s + 1800 * rng.uniform(1, 1.5))
        if len(user.rows) >= user.most or begin_s > START_S + DAYS * DAY_S:
            break
        host = int(user.hosts[0])
        if rng.random() >= 0.55:
            host = int(rng.choice(web.of(SEARCH))) if rng.random() < 0.3 else user.host(rng)
        end_s = _session(rng, web, user, begin_s, host)


def _session(rng: Rng, web: Web, user: User, at_s: float, host: int) -> float:
    """Requests from host to host, each referred by the one before; when the last was."""
    referrer = None
    for _ in range(rng.geometric(1 / (1 + user.more_pages))):
        status = _status(rng, web, user, host)
        row = (web.name[host], CATEGORIES[web.category[host]], referrer, status)
        answer = _bytes(rng, web, host, status), _answer_ms(rng, user, status)
        user.rows.append((user.name, int(at_s * 1000), *row, *answer))
        if not user.blocks_ads and web.category[host] in WITH_ADS and rng.random() < 0.3:
            _ads(rng, web, user, int(at_s * 1000), web.name[host])
        if len(user.rows) >= user.most:
            break
        referrer = web.name[host]
        at_s, host = _next(rng, web, user, at_s, host, status)
    return at_s


def _next(rng: Rng, web: Web, user: User, at_s: float, host: int, status: int) -> tuple[float, int]:
    """When and where to: a reload, where it was redirected to, the next part or another page."""
    if status in {500, 0} and rng.random() < 0.7:
        return at_s + rng.uniform(0.5, 4), host
    if status == 302:
        wait_s = rng.uniform(0.05, 0.4)
        return at_s + wait_s, host if rng.random() < 0.6 else user.host(rng)
    if web.category[host] == VIDEO and status == 206 and rng.random() < 0.85:
        return at_s + rng.uniform(2, 11), host
    wait_s = min(rng.lognormal(user.log_think_s, 1.1), 1700)
    return at_s + wait_s, host if rng.random() < user.loyal else user.host(rng)


def _status(rng: Rng, web: Web, user: User, host: int) -> int:
    """Missing at some hosts more than at others, unchanged for who has a cache, 0 for no answer."""
    if rng.random() < web.broken[host]:
        return 404
    shares = [0.822 - 0.5 * user.cached, 0.5 * user.cached, 0.08, 0.04, 0.012, 0.006, 0.04]
    status = int(rng.choice([200, 304, 302, 206, 500, 403, 0], p=shares))
    video = web.category[host] == VIDEO and status == 200 and rng.random() < 0.6
    return 206 if video else status


def _bytes(rng: Rng, web: Web, host: int, status: int) -> int:
    """None where nothing was sent, little for errors, powers of two for parts."""
    if status in {304, 0}:
        return 0
    if status in {302, 404, 500, 403}:
        return int(rng.integers(150, 600))
    if status == 206:
        whole = int(rng.choice([1_048_576, 524_288, 262_144]))
        return whole if rng.random() < 0.8 else int(rng.integers(1000, 262_144))
    return web.fixed.get(host) or int(rng.lognormal(web.log_bytes[host], 1.2))


def _answer_ms(rng: Rng, user: User, status: int) -> int | None:
    if not user.timed or status == 0:
        return None
    return int(np.exp(user.log_ms + rng.normal(0, 0.5)) * (3 if status == 500 else 1))


def _ads(rng: Rng, web: Web, user: User, at_ms: int, page: str) -> None:
    """The hosts of ads that a page pulls within its half second."""
    for host in map(int, rng.choice(web.of(ADS), rng.integers(1, 4))):
        status = 200 if rng.random() < 0.9 else 204
        row = (web.name[host], "ads_cdn", page, status, web.fixed.get(host, 43))
        answer_ms = int(rng.integers(5, 90)) if user.timed else None
        user.rows.append((user.name, at_ms + int(rng.integers(3, 400)), *row, answer_ms))
