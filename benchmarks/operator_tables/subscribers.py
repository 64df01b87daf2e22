"""Subscribers, a month of each, and whether they left."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import Rng, finished, labels, money, pick, sigmoid

SUBSCRIBERS = 7_600
STUDENT, FAMILY, SENIOR, WORKER, LOW_USE = range(5)
ALLOWANCE_GB = np.array([2, 5, 10, 20, 50, 9999])  # the last is no limit
FEE = np.array([9.99, 14.99, 19.99, 24.99, 34.99, 44.99])
TARIFF_SHARES = [
    [0.02, 0.1, 0.28, 0.35, 0.15, 0.1],
    [0.05, 0.15, 0.3, 0.3, 0.12, 0.08],
    [0.5, 0.33, 0.13, 0.03, 0.01, 0],
    [0.01, 0.05, 0.14, 0.25, 0.25, 0.3],
    [0.7, 0.25, 0.05, 0, 0, 0],
]
PAYMENT_SHARES = [
    [0.45, 0.3, 0.02, 0.23],
    [0.75, 0.17, 0.05, 0.03],
    [0.66, 0.04, 0.3, 0],
    [0.55, 0.4, 0.03, 0.02],
    [0.5, 0.3, 0.1, 0.1],
]
REASONS = ("Price", "Network", "Service", "Competitor offer", "Moved")
REASON_SHARES = [
    [0.35, 0.05, 0.05, 0.45, 0.1],
    [0.1, 0.65, 0.1, 0.12, 0.03],
    [0.12, 0.1, 0.6, 0.15, 0.03],
]


def churn() -> pd.DataFrame:
    """7,600 subscribers of five hidden kinds: use right below the allowance, age 0 is unknown."""
    rng = np.random.default_rng(507)
    kind = rng.choice(5, SUBSCRIBERS, p=[0.24, 0.27, 0.2, 0.17, 0.12])
    ids = rng.choice(1 << 47, SUBSCRIBERS)
    t = pd.DataFrame({"msisdn_hash": [f"{x:012x}" for x in ids], "_kind": kind})
    t["_prepaid"] = (kind == LOW_USE) | (rng.random(SUBSCRIBERS) < 0.04)
    _add_person(t, rng)
    _add_contract(t, rng)
    _add_use(t, rng)
    _add_bill(t, rng)
    _add_care(t, rng)
    _add_leaving(t, rng)
    return finished(t, rng)


def _add_person(t: pd.DataFrame, rng: Rng) -> None:
    """Age by kind; prepaid ones mostly gave neither age nor gender."""
    kind, prepaid = t["_kind"], t["_prepaid"]
    ages = [rng.normal(mean, sd, SUBSCRIBERS) for mean, sd in ((22, 3), (42, 7), (71, 7), (37, 9))]
    age = np.select([kind == k for k in range(4)], ages, rng.uniform(18, 80, SUBSCRIBERS))
    hidden = rng.random(SUBSCRIBERS) < np.where(prepaid, 0.55, 0.02)
    t["age"] = np.where(hidden, 0, np.round(age).clip(16, 97)).astype("int16")
    sex = np.where(rng.random(SUBSCRIBERS) < 0.5, "F", "M")
    unsaid = prepaid & (rng.random(SUBSCRIBERS) < 0.6)
    t["gender"] = pd.Categorical(np.where(unsaid, "U", sex))
    pay = labels(
        ("Direct debit", "Credit card", "Bank transfer", "Wallet"), pick(rng, kind, PAYMENT_SHARES)
    )
    t["payment"] = np.where(prepaid, "Voucher", pay)
    old = (kind == SENIOR) & (rng.random(SUBSCRIBERS) < 0.5)
    t["paper_bill"] = old | (rng.random(SUBSCRIBERS) < 0.05)


def _add_contract(t: pd.DataFrame, rng: Rng) -> None:
    """Months left come of tenure and term; -1 where there is no contract; TV needs fibre."""
    kind, prepaid = t["_kind"].to_numpy(), t["_prepaid"].to_numpy()
    young = rng.random(SUBSCRIBERS) < 0.3
    other = np.where(young, rng.integers(1, 14, SUBSCRIBERS), rng.gamma(1.6, 26, SUBSCRIBERS))
    tenure = (
        np.where(kind == SENIOR, rng.gamma(3.5, 30, SUBSCRIBERS), other).clip(1, 216).astype(int)
    )
    shares = [[0.5, 0.2, 0.3], [0.1, 0.3, 0.6], [0.35, 0.15, 0.5], [0.07, 0.18, 0.75]]
    group = (tenure < 24).astype(int) + 2 * (kind == WORKER)
    term = np.where(prepaid, 0, np.array([1, 12, 24])[pick(rng, group, shares)])
    renewed = (term - tenure % np.maximum(term, 1)) * (rng.random(SUBSCRIBERS) < 0.6)
    left = np.where(term > 1, np.where(tenure < term, term - tenure, renewed), 0)
    t["tenure_months"], t["contract_months"] = tenure, term.astype("int8")
    t["months_left"] = np.where(prepaid, -1, left).astype("int8")
    more = np.where(
        kind == FAMILY, rng.binomial(4, 0.42, SUBSCRIBERS), rng.random(SUBSCRIBERS) < 0.07
    )
    t["lines"] = 1 + more
    fibre = rng.random(SUBSCRIBERS) < np.array([0.12, 0.6, 0.34, 0.45, 0.02])[kind]
    t["has_fibre"] = ~prepaid & fibre
    viewer = rng.random(SUBSCRIBERS) < np.array([0.15, 0.7, 0.6, 0.3, 0.2])[kind]
    t["has_tv"] = t["has_fibre"] & viewer


def _add_use(t: pd.DataFrame, rng: Rng) -> None:
    """Who wants more than the allowance mostly ends right below it; packs are whole GB above."""
    kind = t["_kind"].to_numpy()
    tariff = pick(rng, kind, TARIFF_SHARES)
    cap = ALLOWANCE_GB[tariff].astype(float)
    level = np.array([2.6, 2.0, -0.2, 2.5, -0.9])[kind] + 0.25 * (tariff - 2)
    wanted = np.exp(level + rng.normal(0, 0.75, SUBSCRIBERS))
    below = cap * (1 - 0.09 * rng.beta(1, 4, SUBSCRIBERS))
    above = np.minimum(wanted, cap * (1 + rng.exponential(0.18, SUBSCRIBERS)))
    near = np.where(rng.random(SUBSCRIBERS) < 0.72, below, above)
    used = np.where(wanted > cap * 0.88, near, wanted)
    used[rng.random(SUBSCRIBERS) < np.array([0.01, 0.03, 0.27, 0.01, 0.4])[kind]] = 0
    used = np.round(used, 2)
    t["tariff_gb"], t["plan_fee"] = cap.astype("int32"), FEE[tariff]
    t["data_gb"] = used
    t["overage_packs"] = np.ceil(np.maximum(used - cap, 0) - 1e-9).astype(int)
    share = np.round(np.minimum(100 * used / cap, 999), 1)
    t["data_use_pct"] = np.where(cap == 9999, np.nan, share)


def _add_bill(t: pd.DataFrame, rng: Rng) -> None:
    """The bill is exact: fees, bundle, discount, packs; all charges are about bill times tenure."""
    fees = t["plan_fee"] * t["lines"] + np.where(t["has_fibre"], 24.95 + 10.0 * t["has_tv"], 0)
    bundled = t["has_fibre"] & (t["lines"] >= 2)
    t["bundle_discount"] = np.where(bundled, np.round(0.1 * fees, 2), 0)
    t["monthly_bill"] = money(fees - t["bundle_discount"] + 3.0 * t["overage_packs"])
    about = np.round(rng.lognormal(0, 0.03, SUBSCRIBERS), 3)
    t["total_charges"] = money(t["monthly_bill"] * t["tenure_months"] * about)


def _add_care(t: pd.DataFrame, rng: Rng) -> None:
    """Complaints are of the calls, both grow with dropped calls; 22 % say how they like it."""
    senior = t["_kind"] == SENIOR
    bursts = 0.5 * (rng.random(SUBSCRIBERS) < 0.08) * rng.gamma(2, 3, SUBSCRIBERS)
    dropped = np.clip(rng.gamma(1.3, 0.7, SUBSCRIBERS) + bursts, 0, 25)
    mean = np.exp(-1.1 + 0.16 * dropped + 0.35 * (t["overage_packs"] > 0) + 0.3 * senior)
    calls = np.where(rng.random(SUBSCRIBERS) < 0.3, 0, rng.poisson(mean))
    complaints = rng.binomial(calls, np.clip(0.12 + 0.03 * dropped, 0, 0.8))
    score = 8.3 - 0.35 * dropped - 0.9 * complaints + 0.2 * senior
    score = np.clip(np.round(score + rng.normal(0, 1.6, SUBSCRIBERS)), 0, 10)
    t["_dropped"], t["drop_rate_pct"] = dropped, np.round(dropped, 2)
    t["care_calls_90d"], t["complaints_90d"] = calls, complaints
    t["nps"] = np.where(rng.random(SUBSCRIBERS) < 0.22, score, np.nan)


def _add_leaving(t: pd.DataFrame, rng: Rng) -> None:
    """Rare, mostly near a contract's end; only who left has a reason, which follows the trouble."""
    kind, left, term = t["_kind"], t["months_left"], t["contract_months"]
    odds = -3.85 + 1.9 * (left.between(0, 1) & (term > 1)) + 0.9 * (term == 1)
    odds += 0.7 * t["complaints_90d"] + 0.13 * t["_dropped"]
    odds += 0.9 * ((kind == STUDENT) & (t["overage_packs"] > 0)) - 0.8 * t["has_fibre"]
    odds += -0.35 * (t["lines"] - 1) - 0.012 * t["tenure_months"]
    odds += 1.1 * (t["_prepaid"] & (t["data_gb"] == 0))
    odds += 0.02 * (t["monthly_bill"] - 30) * (kind != WORKER)
    gone = rng.random(SUBSCRIBERS) < sigmoid(odds)
    trouble = np.select([t["_dropped"] > 3, t["complaints_90d"] > 0], [1, 2], 0)
    t["churned"] = gone.astype("int8")
    reason = pd.Series(labels(REASONS, pick(rng, trouble, REASON_SHARES)))
    t["churn_reason"] = reason.where(gone, None)
