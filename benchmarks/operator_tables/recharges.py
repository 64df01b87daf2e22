"""Prepaid accounts: recharges, bundles and loans, with the balance before and after."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ._draws import Ints, Rng, hashed
from ._people import DAY_S, START_S, Habit, Row, days_seen, habit, wanted

ACCOUNTS, DAYS = 2_800, 120
VALUES = (1, 2, 3, 5, 10, 15, 20, 25, 50, 100)
VALUE_SHARE = np.array([12, 16, 8, 30, 20, 4, 6, 1.5, 1.5, 0.3]) / 99.3
BUNDLES = {
    "DAY_1GB": 100,
    "WEEK_3GB": 350,
    "MONTH_10GB": 999,
    "NIGHT": 50,
    "VOICE_60": 199,
}  # cents
CHANNELS = ("VOUCHER", "APP", "USSD", "BANK", "POS")
CHANNEL_SHARE = (0.34, 0.26, 0.15, 0.1, 0.15)
MONEY = ["amount", "balance_before", "balance_after"]
COLUMNS = ["account", "event_ts", "event_type", "channel", "product", *MONEY]


@dataclass
class Account:
    """Ways of one account, its balance in cents and what is written of it."""

    rng: Rng
    name: str
    habit: Habit
    usual: int  # cents, as is the next
    other: int
    loyal: float  # share of recharges with the usual value
    channel: str
    bundle: str
    bundles: float  # share of recharges that a bundle follows
    borrows: bool
    batch: bool  # recharged by a nightly run
    pay_day: int
    most: int
    balance: int
    loan: int = field(default=0, init=False)
    rows: list[Row] = field(default_factory=list, init=False)

    @property
    def full(self) -> bool:
        """Whether it has as many events as it is to have."""
        return len(self.rows) >= self.most

    def add(
        self, at_s: int, kind: str, channel: str | None, cents: int, product: str | None = None
    ) -> None:
        """Write one event, unless there are enough."""
        if not self.full:
            after = self.balance + cents
            self.rows.append((self.name, at_s, kind, channel, product, cents, self.balance, after))
            self.balance = after


def recharges() -> pd.DataFrame:
    """2,800 accounts for 120 days: after is before and amount, few values, loans are paid back."""
    rng = np.random.default_rng(505)
    rows: list[Row] = []
    for s in range(ACCOUNTS):
        account = _account(rng, s)
        _live(account, days_seen(rng, DAYS))
        rows += account.rows
    t = pd.DataFrame(rows, columns=COLUMNS)
    t[MONEY] = (t[MONEY] / 100).round(2)
    t["event_ts"] = pd.to_datetime(t["event_ts"], unit="s")
    return t.sort_values("event_ts", kind="stable").reset_index(drop=True)


def _account(rng: Rng, s: int) -> Account:
    return Account(
        rng=rng,
        name=f"A{int(hashed('r', s, digits=8), 16) % 10**9:09d}",
        habit=habit(rng),
        usual=100 * int(rng.choice(VALUES, p=VALUE_SHARE)),
        other=100 * int(rng.choice(VALUES, p=VALUE_SHARE)),
        loyal=rng.beta(4, 1.5),
        channel=str(rng.choice(CHANNELS, p=CHANNEL_SHARE)),
        bundle=str(rng.choice(list(BUNDLES))),
        bundles=rng.beta(1.6, 1.4),
        borrows=rng.random() < 0.3,
        batch=rng.random() < 0.08,
        pay_day=int(rng.choice([1, 15, 25, 28])),
        most=wanted(rng, 14, 0.95, 400, 0.12),
        balance=int(rng.integers(0, 600)),
    )


def _live(account: Account, days: Ints) -> None:
    """From recharge to recharge; between them the balance is used up, unseen."""
    rng, seen = account.rng, set(days.tolist())
    gap_days = max(0.7, len(days) / account.most * (1.8 if account.bundles > 0.4 else 1.2))
    late = max(1, int(gap_days)) if account.most > 1 else len(days)
    day = int(days[0] + rng.integers(0, late))
    last_s = START_S + int(days[0]) * DAY_S
    burn = account.usual / max(1.0, DAYS / account.most * 1.2)  # cents a day
    while not account.full and day < DAYS:
        if day not in seen:
            day += 1
            continue
        at_s = int(account.habit.times(rng, day, 1)[0])
        if account.batch:
            at_s = START_S + day * DAY_S + 7500 + int(rng.integers(0, 30))
        at_s = max(at_s, last_s + 1)
        used = int(rng.exponential(1) * burn * (at_s - last_s) / DAY_S)
        emptied = rng.random() < 0.25
        account.balance = 0 if emptied else max(0, account.balance - used)
        last_s = _bundle(account, _recharge(account, _borrow(account, at_s)))
        day = _next_day(account, day, gap_days)


def _borrow(account: Account, at_s: int) -> int:
    """A loan when little is left, mostly used at once; when the recharge may come."""
    rng = account.rng
    low = account.borrows and account.balance < 30 and not account.loan
    if not (low and rng.random() < 0.4 and len(account.rows) < account.most - 1):
        return at_s
    account.loan = int(rng.choice([50, 100, 200]))
    account.add(at_s, "LOAN", "USSD", account.loan)
    account.balance = max(0, account.balance - int(rng.integers(0, account.loan + 1)))
    return at_s + int(rng.exponential(20_000)) + 60


def _recharge(account: Account, at_s: int) -> int:
    """One recharge, or two or three in a row; a bonus and the loan's repayment in its second."""
    rng = account.rng
    if rng.random() < 0.015:
        cents = int(rng.choice([-50, 100, 250, -17, 33])) if account.balance >= 50 else 100
        account.add(at_s, "ADJUST", None, cents)
        return at_s + 1
    repeats = 1 + int(rng.random() < 0.07) + int(rng.random() < 0.03)
    for _ in range(repeats):
        cents = _value(account)
        channel = (
            account.channel if rng.random() < 0.88 else str(rng.choice(["VOUCHER", "APP", "POS"]))
        )
        account.add(at_s, "RECHARGE", "AUTO" if account.batch else channel, cents)
        if repeats == 1 and cents >= 1000 and rng.random() < 0.3:
            account.add(at_s, "BONUS", None, cents // 10)
        if account.loan:
            owed = account.loan + account.loan // 10
            account.add(at_s, "LOAN_REPAY", None, -min(account.balance, owed))
            account.loan = 0
        at_s += int(rng.integers(15, 90))
    return at_s


def _value(account: Account) -> int:
    """Cents of a recharge: mostly the usual value; apps and banks take odd ones too."""
    rng = account.rng
    if account.channel in {"APP", "BANK"} and rng.random() < 0.02:
        return int(rng.integers(100, 3000))
    if rng.random() < account.loyal:
        return account.usual
    return account.other if rng.random() < 0.6 else 100 * int(rng.choice(VALUES, p=VALUE_SHARE))


def _bundle(account: Account, at_s: int) -> int:
    """A bundle, if the balance pays for it; the time of the last event."""
    rng = account.rng
    if rng.random() >= account.bundles:
        return at_s
    product = account.bundle if rng.random() < 0.8 else str(rng.choice(list(BUNDLES)))
    if account.balance < BUNDLES[product]:
        return at_s
    at_s += int(rng.exponential(60))
    account.add(
        at_s, "BUNDLE", "APP" if account.channel == "APP" else "USSD", -BUNDLES[product], product
    )
    return at_s


def _next_day(account: Account, day: int, gap_days: float) -> int:
    """The day of the next recharge: a month later by the batch, or on pay day if it is large."""
    rng = account.rng
    after = day + (30 if account.batch else round(rng.gamma(2, gap_days / 2)))
    if after == day and rng.random() < 0.8:
        after += 1
    if account.usual >= 1500 and rng.random() < 0.6:
        while after < DAYS and _day_of_month(after) != account.pay_day:
            after += 1
    return after


def _day_of_month(day: int) -> int:
    return pd.Timestamp(START_S + day * DAY_S, unit="s").day
