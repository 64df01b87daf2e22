"""Trouble tickets of the network and of customers, as a ticket system exports them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import REGIONS, Rng, Texts, finished, labels, network, pick, zipf

TICKETS = 6_400
KINDS = {
    "RADIO": ("Cell down", "Degraded throughput", "VSWR alarm", "Interference", "Sleeping cell"),
    "TRANSPORT": ("Fibre cut", "MW link flap", "Packet loss"),
    "POWER": ("Mains failure", "Rectifier fault", "Battery low"),
    "CUSTOMER": (
        "No service",
        "Slow data",
        "Voice quality",
        "SIM problem",
        "Billing query",
        "Roaming",
    ),
    "CORE": ("Signalling storm", "DB replication"),
}
RADIO, TRANSPORT, POWER, CUSTOMER, CORE = range(5)
PRIORITY_SHARES = [
    [0.04, 0.3, 0.5, 0.16],
    [0.18, 0.45, 0.3, 0.07],
    [0.12, 0.4, 0.4, 0.08],
    [0.005, 0.06, 0.5, 0.435],
    [0.6, 0.3, 0.1, 0],
]
CAUSES = (
    "Hardware",
    "Software",
    "Third party",
    "Configuration",
    "Power utility",
    "User error",
    "No fault found",
)
CAUSE_SHARES = [
    [0.4, 0.25, 0.02, 0.2, 0.05, 0, 0.08],
    [0.2, 0.05, 0.6, 0.1, 0.02, 0, 0.03],
    [0.2, 0.02, 0.03, 0.02, 0.7, 0, 0.03],
    [0.03, 0.1, 0.02, 0.2, 0.01, 0.3, 0.34],
    [0.1, 0.6, 0, 0.3, 0, 0, 0],
]


def trouble_tickets() -> pd.DataFrame:
    """6,400 tickets: closed after opened, columns empty until closed, storm days, 70 rows twice."""
    rng, net = np.random.default_rng(505), network()
    kind = rng.choice(5, TICKETS, p=[0.27, 0.1, 0.12, 0.495, 0.015])
    site = rng.choice(len(net.site), TICKETS, p=zipf(len(net.site), 0.9, rng, 6))
    t = pd.DataFrame({"_kind": kind, "_network": kind != CUSTOMER, "_urban": net.urban[site]})
    _add_category(t, rng)
    t["Site"] = np.where(t["_network"], net.site[site], "N/A")
    t["Region"] = labels(REGIONS, net.region[site])
    _add_opening(t, rng)
    _add_team(t, rng)
    _add_duration(t, rng)
    _add_state(t, rng)
    _add_outcome(t, rng)
    return finished(t, rng, copies=70)


def _add_category(t: pd.DataFrame, rng: Rng) -> None:
    """A kind has kinds of its own; 4 % are spelt otherwise; the time allowed is the priority's."""
    kind = t["_kind"].to_numpy()
    narrower: Texts = np.empty(TICKETS, object)
    for code, names in enumerate(KINDS.values()):
        rows = kind == code
        shares = zipf(len(names), 1.0, rng)
        narrower[rows] = labels(names, rng.choice(len(names), rows.sum(), p=shares))
    name = labels(tuple(KINDS), kind)
    titled = labels(tuple(k.title() for k in KINDS), kind)
    t["Category"] = np.where(rng.random(TICKETS) < 0.04, titled, name)
    t["Subcategory"] = narrower
    t["_priority"] = pick(rng, kind, PRIORITY_SHARES)
    t["Priority"] = labels(("P1", "P2", "P3", "P4"), t["_priority"])
    t["SLA min"] = np.array([240, 480, 1440, 4320])[t["_priority"]]


def _add_opening(t: pd.DataFrame, rng: Rng) -> None:
    """Customers call by day, the network fails at any hour, and masts and links fail in storms."""
    kind, of_network = t["_kind"], t["_network"]
    day = rng.integers(0, 366, TICKETS)
    moved = ~of_network & (day % 7 >= 5) & (rng.random(TICKETS) < 0.65)
    day = np.where(moved, day - 2, day)
    storms = rng.choice(366, 9, replace=False)
    stormy = kind.isin([TRANSPORT, POWER]) & (rng.random(TICKETS) < 0.3)
    day = np.where(stormy, storms[rng.integers(0, 9, TICKETS)], day)
    early = rng.random(TICKETS) < 0.45
    called = np.where(early, rng.normal(624, 75, TICKETS), rng.normal(990, 140, TICKETS))
    minute = np.where(
        of_network, rng.integers(0, 1440, TICKETS), np.clip(called, 0, 1439).astype(int)
    )
    offset = pd.to_timedelta(np.clip(day, 0, None) * 1440 + minute, unit="m")
    t["_opened"], t["_minute"] = pd.Timestamp("2023-06-05") + offset, minute
    rank = t["_opened"].rank(method="first").astype(int)
    number = 400_000 + rank * 3 + rng.integers(0, 3, TICKETS)  # grows with the opening time
    t["TicketNo"] = [f"INC{x:09d}" for x in number]
    t["Opened"] = t["_opened"].dt.strftime("%d/%m/%Y %H:%M")


def _add_team(t: pd.DataFrame, rng: Rng) -> None:
    """The team follows from kind and priority; alarms open tickets of the network only."""
    kind = t["_kind"].to_numpy()
    care = np.where(t["_priority"] <= 1, "L2-CARE", "L1-CARE")
    teams = labels(("NOC-RAN", "FIELD-TX", "FIELD-PWR", "", "NOC-CORE"), kind)
    t["Assigned team"] = np.where(kind == CUSTOMER, care, teams).astype(object)
    automatic = rng.random(TICKETS) < np.array([0.7, 0.5, 0.9, 0, 0.4])[kind]
    t["_automatic"] = t["_network"] & automatic
    shares = [[0.55, 0.2, 0.15, 0.1], [0.4, 0.38, 0.02, 0.2]]
    way = labels(("Phone", "App", "Shop", "Chat"), pick(rng, t["_minute"] > 1080, shares))
    t["Channel"] = np.select([t["_automatic"], t["_network"]], ["ALARM", "NOC"], way)


def _add_duration(t: pd.DataFrame, rng: Rng) -> None:
    """About the time allowed; some alarms clear themselves, some calls are solved at once."""
    night = (t["_minute"] > 1080) | (t["_minute"] < 360)
    mean = np.log(t["SLA min"]) - 0.9 + 0.55 * ((t["_kind"] == POWER) & ~t["_urban"])
    mean += 0.5 * (t["Subcategory"] == "Fibre cut") + 0.25 * (night & t["_network"])
    mean -= 0.5 * t["_automatic"]
    minutes = np.maximum(1, np.round(np.exp(mean + rng.normal(0, 0.75, TICKETS))))
    cleared = t["_automatic"] & (rng.random(TICKETS) < 0.3)
    at_once = (t["_kind"] == CUSTOMER) & (rng.random(TICKETS) < 0.18)
    short = [rng.integers(1, 16, TICKETS), rng.integers(2, 12, TICKETS)]
    t["_cleared"], t["_at_once"] = cleared, at_once
    t["_minutes"] = np.select([cleared, at_once], short, minutes).astype(int)


def _add_state(t: pd.DataFrame, rng: Rng) -> None:
    """Open ones have no end, duration, cause or breach; the breach is computed."""
    closed = t["_opened"] + pd.to_timedelta(t["_minutes"], unit="m")
    is_open = closed > pd.Timestamp("2024-06-06 08:00")
    pending = rng.random(TICKETS) < 0.03
    cancelled = t["_at_once"] & (rng.random(TICKETS) < 0.3)
    states = ["OPEN", "PENDING CUSTOMER", "CANCELLED"]
    t["Status"] = np.select([is_open, pending, cancelled], states, "CLOSED")
    done = t["Status"].isin(["CLOSED", "CANCELLED"])
    cause = labels(CAUSES, pick(rng, t["_kind"], CAUSE_SHARES))
    cause[t["_cleared"]] = "No fault found"
    t["_cause"], t["_late"] = cause, t["_minutes"] > t["SLA min"]
    t["Closed"] = closed.dt.strftime("%d/%m/%Y %H:%M").where(done, "")
    t["Resolution min"] = t["_minutes"].astype(str).where(done, "")
    t["SLA breached"] = np.where(done, np.where(t["_late"], "Y", "N"), "")
    t["Root cause"] = np.where(done, cause, "")


def _add_outcome(t: pd.DataFrame, rng: Rng) -> None:
    """Reopened where nothing was found; who was late is scored low; -1 is no answer."""
    closed, of_network = t["Status"] == "CLOSED", t["_network"]
    often = np.where(t["_cause"] == "No fault found", 0.35, 0.06)
    t["Reopened"] = np.where(closed, rng.poisson(often), 0)
    hands_on = t["_cause"].isin(["Hardware", "Power utility", "Third party"])
    sent = of_network & ~t["_cleared"] & hands_on & (rng.random(TICKETS) < 0.75)
    t["Truck roll"] = sent.astype(int)
    size = rng.normal(5.2, 1.1, TICKETS) + 0.9 * t["_urban"] + 0.7 * (t["_priority"] == 0)
    size -= t["Subcategory"] == "VSWR alarm"
    affected = np.where(of_network, np.round(np.exp(size)), 1).astype(int)
    affected[of_network & (rng.random(TICKETS) < 0.08)] = 0
    t["Customers affected"] = affected
    score = 4.4 - 1.7 * t["_late"] - 0.9 * np.minimum(t["Reopened"], 2)
    score = score - 0.25 * np.log10(t["_minutes"]) + rng.normal(0, 0.9, TICKETS)
    answers = ~of_network & closed & (rng.random(TICKETS) < 0.34)
    t["CSAT"] = np.where(answers, np.clip(np.round(score), 1, 5), -1).astype(int)
