"""The register of devices: what is in the network, and what it did in 30 days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import Rng, finished, labels, pick, sigmoid, zipf

DEVICES = 4_700
MAKERS = (
    "Apple",
    "Samsung",
    "Xiaomi",
    "Huawei",
    "Google",
    "OnePlus",
    "Nokia",
    "Teltonika",
    "Quectel",
    "ZTE",
)
MAKER_SHARE = (0.31, 0.3, 0.11, 0.06, 0.04, 0.03, 0.05, 0.04, 0.03, 0.03)
MODELS = (22, 60, 38, 20, 9, 12, 16, 7, 6, 14)
PREFIX = ("iPhone ", "SM-", "Redmi ", "P", "Pixel ", "CPH", "TA-", "RUT", "EC", "MF")
PLAN_SHARES = [
    [0.8, 0.17, 0.02, 0.01],
    [0.55, 0.28, 0.14, 0.03],
    [0.25, 0.45, 0.22, 0.08],
    [0.08, 0.5, 0.24, 0.18],
]  # by tier
STORAGE_SHARES = [
    [1.0, 0, 0, 0],
    [0.55, 0.43, 0.02, 0],
    [0.1, 0.65, 0.23, 0.02],
    [0.04, 0.42, 0.38, 0.16],
]
AS_OF = pd.Timestamp("2024-05-31")


def devices() -> pd.DataFrame:
    """4,700 devices: a code decides maker, model, price; dates as integers; 999 is unknown."""
    rng = np.random.default_rng(506)
    models = _models(rng)
    weight = np.concatenate(
        [s * zipf(n, 1.1, rng, 2) for s, n in zip(MAKER_SHARE, MODELS, strict=True)]
    )
    t = models.iloc[rng.choice(len(models), DEVICES, p=weight / weight.sum())]
    t = t.reset_index(drop=True)
    _add_software(t, rng)
    _add_ownership(t, rng)
    _add_use(t, rng)
    _add_instalments(t, rng)
    t["source"] = "EIR"
    unknown = rng.random(DEVICES) < 0.015
    t.loc[unknown, ["manufacturer", "model", "os"]] = "UNKNOWN"
    t.loc[unknown, "list_price"] = 0
    return finished(t, rng)


def _models(rng: Rng) -> pd.DataFrame:
    """The catalogue of models, each with its code, tier, age in years and price."""
    return pd.DataFrame(
        [_model(maker, j, rng) for maker, count in enumerate(MODELS) for j in range(count)]
    )


def _model(maker: int, j: int, rng: Rng) -> dict[str, object]:
    """One model: meters and routers have no price, plain phones a small one."""
    age = rng.beta(1.2, 1.4) * 8
    iot = maker in {7, 8} or (maker == 9 and j < 5)
    plain = maker == 6 and j < 9
    tier = 3 if maker == 0 else 0
    if maker and not (plain or iot):
        tier = int(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))
    price = (0, 179, 379, 899)[tier] + 50 * int(rng.integers(-1, 6))
    if iot or plain:
        price = 0 if iot else 35 + 5 * int(rng.integers(0, 8))
    ending = rng.choice(["", " Pro", " Lite", "B"]) if maker < 6 else ""
    fast = not (iot or plain) and age < 4 and rng.random() < (0, 0.35, 0.8, 1)[tier]
    return {
        "tac": int(35_000_000 + rng.integers(1, 999_999) + maker * 12_000),
        "manufacturer": MAKERS[maker],
        "model": f"{PREFIX[maker]}{100 + j * 7 + maker}{ending}",
        "device_type": "Router/IoT" if iot else "Feature phone" if plain else "Smartphone",
        "is_5g": int(fast),
        "list_price": price,
        "_maker": maker,
        "_tier": tier,
        "_age": age,
        "_iot": iot,
        "_plain": plain,
    }


def _add_software(t: pd.DataFrame, rng: Rng) -> None:
    """Old models stopped at an old version; storage and kind of SIM come by tier."""
    apple, iot, plain = t["_maker"] == 0, t["_iot"], t["_plain"]
    t["os"] = np.select([iot, plain, apple], ["RTOS", "S30+", "iOS"], "Android")
    kept_years = np.where(apple, 5, 2 + t["_tier"])
    behind = np.floor(np.maximum(t["_age"] - kept_years, 0))
    version = np.maximum(np.where(apple, 17, 14) - behind, np.where(apple, 12, 8)).astype(int)
    minor = rng.choice(["0", "1", "2", "4.1"], DEVICES, p=[0.4, 0.25, 0.2, 0.15])
    text = [f"{a}.{b}" for a, b in zip(version, minor, strict=True)]
    t["os_version"] = np.where(iot | plain, "", text)
    size = np.array([64, 128, 256, 512])[pick(rng, t["_tier"], STORAGE_SHARES)]
    t["storage_gb"] = np.where(iot | plain, 0, size)
    machine = rng.choice(["M2M", "pSIM"], DEVICES, p=[0.8, 0.2])
    new = (t["_tier"] >= 2) & (t["_age"] < 4) & (rng.random(DEVICES) < 0.45)
    t["sim_type"] = np.where(iot, machine, np.where(new, "eSIM", "pSIM"))
    plans = ("PREPAID", "POSTPAID", "FAMILY", "BUSINESS")
    t["plan_type"] = np.where(iot, "IOT", labels(plans, pick(rng, t["_tier"], PLAN_SHARES)))


def _add_ownership(t: pd.DataFrame, rng: Rng) -> None:
    """Last seen is not before first seen; the days between first seen and today are exact."""
    owned = np.minimum(rng.gamma(1.6, 330, DEVICES), t["_age"] * 347 + 10).astype(int)
    away = np.minimum(rng.gamma(0.7, 90, DEVICES), owned)
    idle = np.where(rng.random(DEVICES) < 0.78, 0, away).astype(int)
    for name, days in (("first_seen", owned), ("last_seen", idle)):
        date = AS_OF - pd.to_timedelta(pd.Series(days), unit="D")
        t[name] = date.dt.strftime("%Y%m%d").astype(int)
    t["days_owned"], t["_seen_days"] = owned, np.maximum(30 - idle, 0)
    worn = 9.0 * (owned / 365) ** 1.15 + rng.gamma(1.4, 1.8, DEVICES) * (1 + (t["_tier"] == 1))
    health = np.clip(np.round(100 - worn), 48, 100).astype(int)
    smart = (t["_maker"] <= 4) & ~(t["_iot"] | t["_plain"])
    t["battery_health"] = np.where(smart & (rng.random(DEVICES) < 0.9), health, 999)


def _add_use(t: pd.DataFrame, rng: Rng) -> None:
    """Use of 30 days: many zeros, a ratio of two columns, a share that only 5G devices have."""
    iot, plain, fast = t["_iot"], t["_plain"], t["is_5g"] == 1
    level = 1.2 + 0.28 * t["_tier"] + 0.75 * fast + 0.35 * (t["plan_type"] == "FAMILY")
    level = level - 0.7 * (t["plan_type"] == "PREPAID") + rng.normal(0, 1, DEVICES)
    sizes = [rng.gamma(0.6, 0.02, DEVICES), np.full(DEVICES, 0.0004)]
    gb = np.select([iot, plain], sizes, np.exp(level)) * t["_seen_days"] / 30
    gb = np.where(rng.random(DEVICES) < 0.09, 0, gb)
    mb = np.round(gb * 1024).astype(int)
    talk = rng.gamma(0.9, 95, DEVICES) * (1 + 0.8 * plain) * t["_seen_days"] / 30
    voice = np.where(iot, 0, np.round(talk)).astype(int)
    often = sigmoid(-0.6 + 0.75 * np.log1p(gb * 3 + voice / 60))
    active = rng.binomial(30, np.where(iot, 0.97, often))
    active = np.clip(active, 1, np.maximum(t["_seen_days"], 1))
    t["active_days_30d"] = np.where(mb + voice == 0, 0, active)
    t["data_mb_30d"], t["voice_min_30d"] = mb, voice
    share = np.where(rng.random(DEVICES) < 0.8, 100 * rng.beta(2.2, 3.2, DEVICES), 0)
    t["pct_data_5g"] = np.where(fast & (mb > 0), np.round(share, 1), np.nan)
    days = t["active_days_30d"].where(t["active_days_30d"] > 0)
    t["avg_mb_per_active_day"] = (mb / days).round(1)


def _add_instalments(t: pd.DataFrame, rng: Rng) -> None:
    """A 24th of the price, for dear and new devices with a plan; what is left goes by the days."""
    pays = (t["list_price"] >= 300) & (t["plan_type"] != "PREPAID") & (t["days_owned"] < 730)
    pays &= rng.random(DEVICES) < 0.62
    t["instalment"] = np.where(pays, np.round(t["list_price"] / 24, 2), 0)
    t["instalments_left"] = np.where(pays, np.maximum(24 - t["days_owned"] // 30, 0), 0)
