"""Counters of cells: one row for each cell and hour that was sampled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import REGIONS, Rng, finished, network, pick, sigmoid

ROWS, DAYS = 38_000, 56
CAUSES = np.array(["S1 LINK", "POWER", "RF UNIT", "PLANNED WORK"], object)
COUNTS = ("avg_users", "max_users", "rrc_att", "rrc_succ", "drops", "ho_att", "ho_succ")


def cell_kpi() -> pd.DataFrame:
    """38,000 hours of cells: counts within counts, ratios of them, outages, a rare silent fault."""
    rng, net = np.random.default_rng(502), network()
    hours = DAYS * 24
    drawn = rng.choice(len(net.cell) * hours, ROWS, replace=False)  # a cell has an hour once
    cell, hour = drawn // hours, drawn % hours
    site, band = net.site_of[cell], net.band[cell]
    t = pd.DataFrame({"ts": pd.Timestamp("2024-03-04") + pd.to_timedelta(hour, unit="h")})
    t["region"] = pd.Categorical(np.array(REGIONS)[net.region[site]])
    t["site"], t["cell"], t["band"] = net.site[site], net.cell[cell], band
    width = np.select([band == "L08", band == "N35"], [10, 100], 20)
    t["bandwidth_mhz"] = width.astype("int16")
    t["_urban"], t["_quality"] = net.urban[site], net.quality[cell]
    _add_demand(t, rng, net.load[cell], hour)
    _add_radio(t, rng)
    _add_counts(t, rng)
    _add_faults(t, rng)
    _round(t)
    return finished(t, rng)


def _add_demand(t: pd.DataFrame, rng: Rng, load: np.ndarray, hour: np.ndarray) -> None:
    """What people ask of a cell: by its hour, weekend and place; rare events make it fourfold."""
    of_day, urban = hour % 24, t["_urban"]
    weekend = np.isin(hour // 24 % 7, [5, 6])
    noon = np.exp(-0.5 * ((of_day - 13) / 3.6) ** 2)
    evening = np.exp(-0.5 * ((of_day - 20.2) / 2.6) ** 2)
    town = np.where(weekend, 0.5, 1.0) * 0.8 * noon + 0.75 * evening
    shape = 0.07 + np.where(urban, town, 0.45 * noon + 0.95 * evening)
    t["_crowd"] = (rng.random(ROWS) < 0.006) & urban & (of_day >= 17)
    spread = rng.lognormal(0, 0.33, ROWS) * np.where(t["_crowd"], 4, 1)
    t["_demand"] = load * shape * np.where(urban, 1.4, 0.7) * spread


def _add_radio(t: pd.DataFrame, rng: Rng) -> None:
    """Utilisation grows with demand up to 100, and what is left of the width is the speed."""
    low, width, demand = t["band"] == "L08", t["bandwidth_mhz"], t["_demand"]
    cqi = 9.2 + 0.9 * t["_quality"] - 1.1 * (low & ~t["_urban"]) + 0.8 * (t["band"] == "N35")
    t["avg_cqi"] = np.clip(cqi - 0.55 * np.log1p(demand) + rng.normal(0, 0.45, ROWS), 2, 15)
    per_hz = 0.22 * t["avg_cqi"]
    narrow = np.where(width == 100, 0.45, np.where(width == 10, 1.2, 0.9))
    used = 100 * (1 - np.exp(-demand * 2.9 / per_hz * narrow))
    used = np.clip(used + rng.normal(0, 1.4, ROWS), 0.4, 100)
    t["prb_util_pct"] = used.mask(used > 97.5, 100)
    share = t["prb_util_pct"] / 100
    free = np.clip(1 - share / 1.08, 0.04, 1)
    t["dl_thr_mbps"] = width * per_hz * free * rng.lognormal(0, 0.13, ROWS)
    t["dl_gb"] = share * width * per_hz * 3600 / 8 / 1000 * rng.lognormal(0, 0.07, ROWS)
    t["ul_gb"] = t["dl_gb"] * rng.beta(6, 50, ROWS) * np.where(t["_crowd"], 2.2, 1)
    noise = -117.5 + 5.5 * share + 0.9 * low + rng.normal(0, 1, ROWS)
    disturbed = (rng.random(ROWS) < 0.02) & low
    t["ul_rssi_dbm"] = noise + disturbed * rng.gamma(3, 3, ROWS)


def _add_counts(t: pd.DataFrame, rng: Rng) -> None:
    """Successes are of the attempts and drops are of the successes; both get worse under load."""
    used, quality = t["prb_util_pct"], t["_quality"]
    users = rng.poisson(t["_demand"] * 21 * np.where(t["bandwidth_mhz"] == 100, 0.6, 1))
    t["avg_users"] = users
    t["max_users"] = users + rng.poisson(2 + 1.6 * np.sqrt(users + 1))
    tries = rng.poisson(users * 31 + 4)
    fails = -6.3 + 0.045 * np.maximum(used - 70, 0) - 0.6 * quality + 0.5 * (t["band"] == "L08")
    t["rrc_att"], t["rrc_succ"] = tries, tries - rng.binomial(tries, sigmoid(fails))
    lost = sigmoid(-5.9 + 0.035 * np.maximum(used - 60, 0) - 0.75 * quality)
    t["drops"] = rng.binomial(t["rrc_succ"], lost)
    t["ho_att"] = rng.poisson(users * 9 * np.where(t["_urban"], 1.3, 0.6) + 0.5)
    t["ho_succ"] = rng.binomial(t["ho_att"], np.clip(0.985 + 0.006 * quality, 0.9, 0.999))


def _add_faults(t: pd.DataFrame, rng: Rng) -> None:
    """Outages have a cause; a dead cell counts nothing; a sleeping one is up and counts nothing."""
    lost = np.round(100 - np.minimum(rng.exponential(9, ROWS), 100), 2)
    up = np.where(rng.random(ROWS) < 0.972, 100.0, lost)
    out = up < 100
    alarm = np.full(ROWS, "NONE", object)
    shares = [[0.2, 0.12, 0.33, 0.35], [0.34, 0.34, 0.2, 0.12]]
    alarm[out] = CAUSES[pick(rng, ~t["_urban"].to_numpy()[out], shares)]
    dead = out & (rng.random(ROWS) < 0.22)
    up[dead] = 0
    sleeping = ~dead & (rng.random(ROWS) < 0.004)
    silent = dead | sleeping
    t.loc[silent, list(COUNTS)] = 0
    t["availability_pct"], t["alarm"] = up.astype("float32"), alarm
    for volume in ("dl_gb", "ul_gb"):
        t[volume] = np.where(sleeping, 0, t[volume] * up / 100)
    t["prb_util_pct"] = np.where(dead, np.nan, np.where(sleeping, 0.4, t["prb_util_pct"]))
    slow = t["dl_thr_mbps"] < 3
    t["congested"] = ((t["prb_util_pct"] > 90) & slow).astype("int8")
    t["dl_thr_mbps"] = np.where(silent, 0, t["dl_thr_mbps"])
    t["avg_cqi"] = np.where(silent, np.nan, t["avg_cqi"])
    t["ul_rssi_dbm"] = np.where(dead, np.nan, t["ul_rssi_dbm"])
    t["sleeping_cell"] = sleeping.astype("int8")


def _round(t: pd.DataFrame) -> None:
    """Digits and types as the vendor writes them, and the ratios of the counts."""
    digits = {
        "prb_util_pct": 2,
        "dl_gb": 3,
        "ul_gb": 3,
        "dl_thr_mbps": 1,
        "avg_cqi": 1,
        "ul_rssi_dbm": 1,
    }
    for name, kept in digits.items():
        t[name] = t[name].round(kept)
    for name in COUNTS:
        t[name] = t[name].astype("int32")
    tries, made = (t[name].where(t[name] > 0) for name in ("rrc_att", "rrc_succ"))
    t["rrc_sr_pct"] = (100 * t["rrc_succ"] / tries).round(2)
    t["drop_rate_pct"] = (100 * t["drops"] / made).round(3)
