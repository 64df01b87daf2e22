"""Use of each subscriber on each day, as a warehouse keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ._draws import Rng, hashed
from ._people import DAY_S, START_S, Habit, Row, days_seen, habit

SUBSCRIBERS, DAYS = 1_100, 91
ALLOWANCE_MB = {
    "PRE_S": 500,
    "PRE_M": 3_000,
    "POST_10": 10_240,
    "POST_25": 25_600,
    "UNLTD": 0,  # no limit
    "DATA_ONLY": 51_200,
}
PLANS = tuple(ALLOWANCE_MB)
PLAN_SHARE = (0.22, 0.25, 0.22, 0.13, 0.12, 0.06)
NEXT_PLAN = {
    "PRE_S": "PRE_M",
    "PRE_M": "POST_10",
    "POST_10": "POST_25",
    "POST_25": "UNLTD",
    "UNLTD": "POST_25",
    "DATA_ONLY": "DATA_ONLY",
}
OUTAGE = "2024-04-17"  # the feed of voice and texts failed for most
COLUMNS = [
    "sub_id",
    "usage_date",
    "plan",
    "voice_min",
    "sms_cnt",
    "data_mb",
    "data_left_mb",
    "roaming",
    "bill_day",
]


@dataclass
class Account:
    """A subscriber's ways, and where its month stands."""

    habit: Habit
    plan: str
    bill_day: int
    written: float  # share of the days that are written
    log_mb: float
    log_min: float
    texts: float  # a day
    memory: float  # of yesterday's level
    change_day: int  # of the plan; -1: none
    used_mb: float = field(default=0.0, init=False)
    swing: float = field(default=0.0, init=False)
    trip_days: int = field(default=0, init=False)


def daily_usage() -> pd.DataFrame:
    """1,100 subscribers for 91 days: what is left counts down, gaps, trips, an outage."""
    rng = np.random.default_rng(404)
    rows: list[Row] = []
    for s in range(SUBSCRIBERS):
        name = f"SUB{int(hashed('u', s, digits=8), 16) % 10**8:08d}"
        days, account = days_seen(rng, DAYS), _account(rng)
        if rng.random() < 0.06:
            days = days[: rng.integers(1, 4)]
        found = (_day(rng, account, int(day)) for day in days)
        rows += [(name, *row) for row in found if row]
    t = pd.DataFrame(rows, columns=COLUMNS)
    t["sms_cnt"] = t["sms_cnt"].astype("Int64")
    lost = t["usage_date"].eq(OUTAGE) & (rng.random(len(t)) < 0.8)
    t.loc[lost, ["voice_min", "sms_cnt"]] = pd.NA
    return t.sort_values(["usage_date", "sub_id"]).reset_index(drop=True)


def _account(rng: Rng) -> Account:
    plan = str(rng.choice(PLANS, p=PLAN_SHARE))
    return Account(
        habit=habit(rng),
        plan=plan,
        bill_day=int(rng.choice([1, 5, 10, 15, 20, 25])),
        written=float(rng.choice([1.0, 0.97, 0.8, 0.35], p=[0.35, 0.35, 0.2, 0.1])),
        log_mb=rng.normal(4.6, 1.4) + 0.25 * PLANS.index(plan),
        log_min=rng.normal(1.6, 1.2),
        texts=0.0 if rng.random() < 0.3 else rng.lognormal(0.1, 1),
        memory=rng.uniform(0.3, 0.85),
        change_day=int(rng.integers(5, 85)) if rng.random() < 0.22 else -1,
    )


def _day(rng: Rng, account: Account, day: int) -> Row | None:
    """One day of an account; None if it is not written, as most days without any use are."""
    date = pd.Timestamp(START_S + day * DAY_S, unit="s")
    if date.day == account.bill_day:
        account.used_mb = 0.0
    if day == account.change_day:
        other = str(rng.choice(PLANS[:3]))
        account.plan = NEXT_PLAN[account.plan] if rng.random() < 0.75 else other
        account.log_mb += 0.5
    if account.trip_days == 0 and rng.random() < 0.004:
        account.trip_days = int(rng.integers(2, 12))
    roams = account.trip_days > 0
    account.trip_days = max(0, account.trip_days - 1)
    mb, (minutes, texts) = _data_mb(rng, account, day, roams=roams), _voice(rng, account, day)
    idle = not (mb or minutes or texts)
    if rng.random() > account.written or (idle and rng.random() < 0.7):
        return None
    allowance = ALLOWANCE_MB[account.plan]
    left = round(max(allowance - account.used_mb, 0), 2) if allowance else -1
    head = date.strftime("%Y-%m-%d"), account.plan
    return (*head, minutes, texts, mb, left, "Y" if roams else "N", account.bill_day)


def _data_mb(rng: Rng, account: Account, day: int, *, roams: bool) -> float:
    """Data of a day: a level that swings, slowed down or cut off above the allowance."""
    account.swing = account.memory * account.swing + rng.normal(0, 0.6)
    mb = float(np.exp(account.log_mb + account.swing)) * account.habit.day_level(day)
    mb *= 0.3 if roams else 1
    left = ALLOWANCE_MB[account.plan] - account.used_mb
    if ALLOWANCE_MB[account.plan]:
        if account.plan.startswith("PRE"):
            mb = min(mb, max(left, 0.0))
        elif left <= 0:
            mb = min(mb, rng.uniform(5, 60))
    mb = round(mb, 2)
    account.used_mb = round(account.used_mb + mb, 2)
    return mb


def _voice(rng: Rng, account: Account, day: int) -> tuple[float | None, int | None]:
    """Minutes and texts of a day, which a plan for data only does not have."""
    if account.plan == "DATA_ONLY":
        return None, None
    level = account.habit.day_level(day)
    minutes = rng.gamma(0.6, np.exp(account.log_min) / 0.6) * level if rng.random() < 0.75 else 0.0
    return round(float(minutes), 1), int(rng.poisson(account.texts * level))
