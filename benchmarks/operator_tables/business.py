"""Contracts of companies, and the bill run of all customers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import Rng, finished, labels, money, pick, sigmoid, zipf

CONTRACTS = 380
SEGMENTS = ("SOHO", "SME", "CORP")
INDUSTRIES = ("Retail", "Services", "Logistics", "Construction", "Hospitality", "Public sector")
PRODUCTS = ("MOBILE", "MOBILE+FIXED", "SD-WAN", "PRIVATE 5G")
SLA_SHARES = [
    [0.95, 0.05, 0, 0],
    [0.5, 0.4, 0.1, 0],
    [0.55, 0.35, 0.1, 0],
    [0.1, 0.5, 0.35, 0.05],
    [0.1, 0.3, 0.45, 0.15],
    [0, 0.1, 0.4, 0.5],
]  # by segment, and whether it is a product for companies only

BILLS, ACCOUNTS = 17_500, 2_600
TARIFFS = ("Start 100", "Smart 500", "Max 1000", "Flat", "Biz 2000", "Biz Flat")
FEE = np.array([8.4, 16.76, 25.17, 33.57, 29.0, 45.0])
MINUTES = np.array([100, 500, 1000, 99_999, 2000, 99_999])
PER_MINUTE = np.array([0.19, 0.15, 0.12, 0, 0.08, 0])
TARIFF_SHARES = [
    [0.65, 0.3, 0.05, 0, 0, 0],
    [0.12, 0.45, 0.3, 0.13, 0, 0],
    [0.02, 0.1, 0.35, 0.53, 0, 0],
    [0, 0, 0.03, 0, 0.5, 0.47],
]


def b2b_contracts() -> pd.DataFrame:
    """380 contracts: exact totals, ends by the calendar, nullable integers, empty columns."""
    rng = np.random.default_rng(503)
    segment = rng.choice(3, CONTRACTS, p=[0.62, 0.29, 0.09])
    t = pd.DataFrame({"_segment": segment})
    t["segment"] = pd.Categorical(np.array(SEGMENTS)[segment], SEGMENTS, ordered=True)
    shares = [
        [0.3, 0.25, 0.05, 0.2, 0.2, 0],
        [0.2, 0.2, 0.25, 0.15, 0.15, 0.05],
        [0.05, 0.15, 0.3, 0.05, 0.1, 0.35],
    ]
    t["_industry"] = pick(rng, segment, shares)
    t["industry"] = labels(INDUSTRIES, t["_industry"])
    _add_price(t, rng)
    _add_dates(t, rng)
    _add_end(t, rng)
    managers = np.array([f"AM{k:02d}" for k in range(26)], object)
    of_industry = pick(rng, t["_industry"], rng.dirichlet(np.full(26, 0.25), 6))
    t["account_manager"] = pd.Series(managers[of_industry]).where(segment != 0, None)
    t["auto_renew"] = rng.random(CONTRACTS) < np.where(segment == 0, 0.85, 0.3)
    t["is_reseller"] = rng.random(CONTRACTS) < 0.012
    return finished(t, rng)


def _add_price(t: pd.DataFrame, rng: Rng) -> None:
    """Discounts in steps of 2.5 % by lines and term; the total is the sum over the term."""
    segment = t["_segment"].to_numpy()
    size = rng.normal(0, 1, CONTRACTS) * np.array([0.6, 0.7, 0.9])[segment]
    lines = np.maximum(1, np.round(np.exp(np.array([0.8, 2.9, 5.4])[segment] + size)))
    product = pick(
        rng, segment, [[0.75, 0.2, 0.05, 0], [0.45, 0.3, 0.2, 0.05], [0.2, 0.2, 0.3, 0.3]]
    )
    term = pick(rng, segment, [[0.35, 0.6, 0.05, 0], [0.1, 0.55, 0.33, 0.02], [0, 0.2, 0.6, 0.2]])
    months = np.array([12, 24, 36, 60])[term]
    off = 3.2 * np.log(lines) + 0.15 * (months - 12) + rng.normal(0, 3, CONTRACTS)
    discount = np.clip(np.round(off / 2.5) * 2.5, 0, 35)
    discount[(rng.random(CONTRACTS) < 0.35) & (segment == 0)] = 0
    once = np.round(rng.lognormal(7.3 + 0.4 * segment, 0.6) / 50) * 50
    t["_product"], t["product"] = product, pd.Categorical(np.array(PRODUCTS)[product])
    t["lines"], t["term_months"] = lines.astype("int32"), months.astype("int16")
    t["discount_pct"] = discount
    t["mrc_eur"] = money(lines * np.array([19.0, 27.5, 41.0, 58.0])[product] * (1 - discount / 100))
    t["one_off_eur"] = np.where(product >= 2, once, 0.0)
    t["tcv_eur"] = money(t["mrc_eur"] * months + t["one_off_eur"])
    t["sla"] = labels(
        ("Basic", "Silver", "Gold", "Platinum"), pick(rng, segment * 2 + (product >= 2), SLA_SHARES)
    )


def _add_dates(t: pd.DataFrame, rng: Rng) -> None:
    """Most start on the first of a month; all end a term later less a day; the id has the year."""
    month = np.datetime64("2019-01", "M") + (rng.beta(1.6, 1.1, CONTRACTS) * 65).astype(int)
    into = np.where(rng.random(CONTRACTS) < 0.7, 0, rng.integers(0, 28, CONTRACTS))
    start = month.astype("datetime64[D]") + into
    end = (month + t["term_months"].to_numpy(int)).astype("datetime64[D]") + into - 1
    long, short = rng.integers(20, 120, CONTRACTS), rng.integers(0, 15, CONTRACTS)
    signed = start - np.where(t["_product"] >= 2, long, short)
    years = start.astype("datetime64[Y]")
    numbers = rng.choice(99_999, CONTRACTS, replace=False)
    t["contract_id"] = [f"B2B-{y}-{i:05d}" for y, i in zip(years, numbers, strict=True)]
    t["signed_on"] = signed.tolist()  # dates, not times
    t["start_date"], t["end_date"] = pd.to_datetime(start), pd.to_datetime(end)


def _add_end(t: pd.DataFrame, rng: Rng) -> None:
    """Ended contracts were renewed or lapsed; a fee stands only at the few that broke off."""
    liked = 0.4 + 0.6 * t["_segment"] - 0.06 * t["discount_pct"] + 0.3 * (t["sla"] == "Gold")
    renewed = np.where(rng.random(CONTRACTS) < sigmoid(liked), "RENEWED", "LAPSED")
    ended = t["end_date"] < pd.Timestamp("2024-06-01")
    broken = ~ended & (rng.random(CONTRACTS) < 0.035)
    t["status"] = np.where(ended, renewed, np.where(broken, "TERMINATED", "ACTIVE")).astype(object)
    fee = np.round(t["mrc_eur"] * np.clip(t["term_months"] * 0.3, 1, 12)).astype("Int64")
    t["early_term_fee"] = fee.where(broken)
    late = (
        -0.9 + 0.8 * (t["_industry"] == 4) - 0.3 * t["_segment"] + 0.9 * (t["status"] == "LAPSED")
    )
    t["late_invoices"] = rng.poisson(np.exp(late)).astype("int8")


def bills() -> pd.DataFrame:
    """17,500 bills: exact sums and tax, use right below the allowance, numbers as text, NULL."""
    rng = np.random.default_rng(504)
    segment = rng.choice(4, BILLS, p=[0.4, 0.33, 0.17, 0.1])
    tariff = pick(rng, segment, TARIFF_SHARES)
    t = pd.DataFrame({"_segment": segment, "_tariff": tariff})
    t["Postcode"] = _postcodes(rng)
    t["Segment"] = labels(("Basic", "Standard", "Premium", "Business"), segment)
    t["Tariff"] = labels(TARIFFS, tariff)
    _add_use(t, rng)
    _add_sums(t, rng)
    _add_bill_dates(t, rng)
    _add_payment(t, rng)
    return finished(t, rng)


def _postcodes(rng: Rng) -> list[str]:
    """The postcode of one of the accounts, some of which have more bills than others."""
    account = rng.choice(ACCOUNTS, BILLS, p=zipf(ACCOUNTS, 0.35, rng))
    place = account * 7919 % 330
    return [
        f"{1011 + int(330 * (p / 330) ** 2) * 24:04d} {'ABCDEHKLMN'[p % 10]}{'XKWA'[p % 4]}"
        for p in place
    ]


def _add_use(t: pd.DataFrame, rng: Rng) -> None:
    """Who would use more than is included mostly stops right below it."""
    segment, tariff = t["_segment"].to_numpy(), t["_tariff"].to_numpy()
    many = np.minimum(1 + np.floor(rng.lognormal(1.1, 1.1, BILLS)), 80)
    lines = np.where(segment == 3, many, 1 + (segment > 0) * rng.binomial(3, 0.13, BILLS))
    mean = np.array([3.9, 5.5, 6.2, 6.8])[segment]
    wanted = np.exp(mean + rng.normal(0, 0.8, BILLS)) * lines**0.9
    included = MINUTES[tariff] * lines
    stops = (wanted > included * 0.85) & (rng.random(BILLS) < 0.6)
    below = np.floor(included * (1 - 0.07 * rng.random(BILLS) ** 2))
    used = np.round(np.where(stops, below, wanted))
    used[rng.random(BILLS) < np.array([0.13, 0.03, 0.01, 0.01])[segment]] = 0
    t["Lines"], t["Minutes used"] = lines.astype(int), used.astype(int)
    t["Overage min"] = np.maximum(used - included, 0).astype(int)


def _add_sums(t: pd.DataFrame, rng: Rng) -> None:
    """Fees, charges, discounts and tax; each sum holds to the cent."""
    segment, tariff = t["_segment"].to_numpy(), t["_tariff"].to_numpy()
    fee = FEE[tariff] * t["Lines"]
    t["Monthly fee"] = money(fee)
    t["Overage charge"] = money(t["Overage min"] * PER_MINUTE[tariff])
    texts = np.where(rng.random(BILLS) < 0.55, 0, rng.negative_binomial(1, 0.06, BILLS))
    t["SMS charge"] = money(texts * np.where(tariff >= 2, 0, 0.09))
    abroad = rng.random(BILLS) < np.array([0.03, 0.07, 0.13, 0.25])[segment]
    t["Roaming"] = np.where(abroad, money(rng.lognormal(1.7, 1.3, BILLS)), 0.0)
    rates, shares = [8.33, 12.5, 20.79, 29.13, 37.46, 45.79], [0.2, 0.25, 0.2, 0.18, 0.12, 0.05]
    device = rng.random(BILLS) < np.array([0.1, 0.4, 0.5, 0.55])[segment]
    t["Device instalment"] = np.where(device, rng.choice(rates, BILLS, p=shares), 0.0)
    promo = (rng.random(BILLS) < 0.18) & (segment != 3)
    off = rng.choice([0.1, 0.25, 0.5], BILLS, p=[0.5, 0.35, 0.15])
    t["Discount"] = -money(fee * np.where(segment == 3, 0.05, np.where(promo, off, 0))) + 0.0
    parts = [
        "Monthly fee",
        "Overage charge",
        "SMS charge",
        "Roaming",
        "Device instalment",
        "Discount",
    ]
    t["Net amount"] = money(t[parts].sum(axis=1))
    t["VAT 21%"] = money(t["Net amount"] * 0.21)
    t["Total incl VAT"] = money(t["Net amount"] + t["VAT 21%"])
    t["Promo"] = np.where(promo, "Y", "")


def _add_bill_dates(t: pd.DataFrame, rng: Rng) -> None:
    """Four cycles a month; the bill's number starts with its month; companies have 30 days."""
    shares = [[0.4, 0.25, 0.2, 0.15], [0.3, 0.25, 0.25, 0.2], [0.25] * 4, [1.0, 0, 0, 0]]
    cycle = np.array([1, 8, 15, 22])[pick(rng, t["_segment"], shares)]
    month = np.datetime64("2023-05", "M") + rng.integers(0, 12, BILLS)
    day = month.astype("datetime64[D]") + cycle - 1
    t["_day"], t["_terms"] = day, np.where(t["_segment"] == 3, 30, 14)
    numbers = rng.choice(9_999_999, BILLS, replace=False)
    t["Bill No"] = [
        f"{str(m).replace('-', '')}{i:07d}" for m, i in zip(month, numbers, strict=True)
    ]
    t["Bill date"] = day.astype(str)
    t["Due date"] = (day + t["_terms"].to_numpy()).astype(str)


def _add_payment(t: pd.DataFrame, rng: Rng) -> None:
    """Debits are taken on the due day, others come by a hidden risk; steps follow the delay."""
    segment, terms, total = t["_segment"], t["_terms"].to_numpy(), t["Total incl VAT"]
    shares = [[0.5, 0.3, 0.2], [0.72, 0.18, 0.1], [0.8, 0.15, 0.05], [0.45, 0.05, 0.5]]
    method = pick(rng, segment, shares)
    risk = rng.normal(0, 1, BILLS) + 0.012 * (total - 40) * (segment < 2) + 0.8 * (method == 2)
    risk = np.asarray(risk - 0.9 * (method == 0) + 0.5 * (t["Roaming"] > 20))
    slow = np.round(terms - 3 + rng.gamma(1.5, 3, BILLS) * np.exp(0.25 * risk))
    days = np.select([method == 0, method == 1], [terms, rng.integers(0, terms)], slow)
    second = terms + rng.choice([7, 14, 21, 28], BILLS, p=[0.4, 0.3, 0.2, 0.1])
    bounced = rng.random(BILLS) < sigmoid(-4 + 0.9 * risk)
    days = np.where(bounced, second + rng.integers(0, 6, BILLS), days).astype(int)
    paid_on = t["_day"].to_numpy("datetime64[D]") + days
    unpaid = rng.random(BILLS) < sigmoid(-4.8 + 1.25 * risk)
    still = unpaid | (paid_on > np.datetime64("2024-05-02"))
    part = unpaid & (rng.random(BILLS) < 0.12)
    late = np.where(still, 0, np.maximum(days - terms, 0))
    some = np.where(part, money(total * rng.choice([0.25, 0.5], BILLS)), 0.0)
    t["Paid date"] = np.where(still, "NULL", paid_on.astype(str))
    t["Amount paid"] = [f"{x:,.2f}" for x in np.where(still, some, total)]
    t["Payment method"] = labels(("SEPA DD", "Card", "Transfer"), method)
    states = [part, unpaid, still, late > 0]
    t["Status"] = np.select(states, ["PARTIAL", "UNPAID", "OPEN", "PAID LATE"], "PAID")
    t["Days late"] = late
    steps = rng.choice([1, 2, 3], BILLS, p=[0.2, 0.3, 0.5])
    by_delay = np.select([late > 20, late > 10, late > 5], [3, 2, 1], 0)
    t["Dunning level"] = np.where(unpaid, steps, by_delay)
