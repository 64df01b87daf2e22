"""Subscribers: profile, usage from rates, charges from usage by tariff, churn by hazard.

Churn is a proportional hazard (Cox, "Regression models and life-tables", Journal of the Royal
Statistical Society B 34, 1972): the setting's hazard, falling with tenure, times what prepaid and
a bill beyond the plan's price make of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import FraudRing, RoboCalls
from synth_spark.core.batch import Coded, Values
from synth_spark.generators._sim_draft import Draft, Floats
from synth_spark.generators._sim_facts import Labels
from synth_spark.generators._sim_params import SimulationParams
from synth_spark.generators._sim_scenarios import put_rare

GENDERS = Labels(("f", "m"), np.array([0.5, 0.5]), missing=0.02)
DEVICES = Labels(("basic", "smart", "flagship"), np.array([0.2, 0.6, 0.2]))
PAYMENTS = Labels(("prepaid", "postpaid"), np.array([0.6, 0.4]))
CHURN = ("false", "true")
MEAN_TENURE = 30.0  # months
DATA_MB_A_DAY = 180.0  # median of a smart phone
RECHARGE = 5.0  # currency
TENURE_FADES = 24.0  # months in which the hazard falls by e
PREPAID, SURPRISED = 1.8, 1.5  # what they make of the hazard


def labels_of(params: SimulationParams) -> dict[str, Labels]:
    """Stated shares of the profile's columns."""
    plans = tuple(params.tariffs)
    falling = 0.6 ** np.arange(len(plans))
    regions = ("centre", "inner", "suburb", "industry", "village")
    return {
        "gender": GENDERS,
        "device_type": DEVICES,
        "payment": PAYMENTS,
        "churned": Labels(CHURN, np.array([0.97, 0.03])),  # a hazard, unless a condition names one
        "plan": Labels(plans, falling / falling.sum()),
        "region": Labels(regions, np.array([0.2, 0.35, 0.3, 0.03, 0.12])),
    }


def draw(draft: Draft) -> None:
    """One row a subject."""
    draft.owner, draft.t = np.arange(draft.size), np.zeros(draft.size)
    draft.mark = draft.which + 1
    put_rare(draft)


def _ranked(draft: Draft, name: str, score: Floats) -> Coded:
    """A column of labels in which a higher score has a later label, with the column's shares."""
    found = draft.facts.column(name)
    assert found is not None
    place = np.argsort(np.argsort(score)) + 0.5
    codes = np.searchsorted(np.cumsum(found.shares) - 1e-12, place / len(score), "right")
    last = int(np.flatnonzero(found.shares)[-1])
    return Coded(np.minimum(codes, last).astype(np.int32), found.labels)


def columns(draft: Draft) -> dict[str, Values]:
    """The family's columns."""
    facts, p, rng = draft.facts, draft.facts.params, draft.rng("people")
    z = rng.standard_normal((6, draft.size))
    age = np.clip(np.rint(16 + 70 * rng.beta(1.6, 2.6, draft.size)), 16, 95)
    wealth = z[0] - 0.01 * (age - 40)
    device = _ranked(draft, "device_type", wealth + 0.6 * z[1])
    tier = device.codes / max(len(device.labels) - 1, 1)
    usage = _usage(draft, tier, age)
    busy = np.log1p(np.asarray(usage["call_s"])) + np.log1p(np.asarray(usage["data_mb"]))
    plan = _ranked(draft, "plan", 0.6 * wealth + 0.3 * (busy - busy.mean()) + 0.4 * z[2])
    payment = _ranked(draft, "payment", wealth + 0.8 * z[3])
    prepaid = np.array(["pre" in label.lower() for label in payment.labels])[payment.codes]
    tenure = np.floor(np.minimum(rng.exponential(MEAN_TENURE, draft.size), 180.0))
    charge, beyond = _charges(p, plan, usage)
    hazard = p.churn_a_month * np.exp(-tenure / TENURE_FADES)
    hazard = hazard * np.where(prepaid, PREPAID, 1.0) * np.where(beyond > 0, SURPRISED, 1.0)
    left = rng.random(draft.size) < 1 - np.exp(-hazard * p.days / 30.0)
    churned = facts.column("churned")
    if churned and np.count_nonzero(churned.shares) == 1:  # a condition names one of the two
        left[:] = churned.labels[int(np.argmax(churned.shares))] == "true"
    total = charge * tenure * rng.uniform(0.97, 1.03, draft.size)
    found: dict[str, Values] = {
        "gender": draft.once("gender", facts.column("gender") or GENDERS),
        "age_years": age,
        "region": draft.once("region", facts.column("region") or labels_of(p)["region"]),
        "device_type": device, "plan": plan, "payment": payment, "tenure_months": tenure,
        **usage,
        "recharges": np.where(prepaid, np.ceil(charge / RECHARGE), 0.0),
        "monthly_charge": np.round(charge, 2),
        "total_charge": np.round(total, 2),
        "churned": Coded(left.astype(np.int32), CHURN),
    }  # fmt: skip
    return found


def _usage(draft: Draft, tier: Floats, age: NDArray[np.float64]) -> dict[str, Values]:
    """Calls, seconds, texts and MB over the period."""
    p, rng = draft.facts.params, draft.rng("usage")
    rates = draft.rates_a_day()
    calls = rng.poisson(0.5 * rates * p.days).astype(float)
    sms = rng.poisson(0.2 * rates * p.days * np.exp(-(age - 25).clip(0) / 30)).astype(float)
    mean_s = p.call_median_s * np.exp(p.call_sigma**2 / 2 - 0.4)
    for k, s in enumerate(draft.facts.scenarios):
        if isinstance(s, FraudRing | RoboCalls):
            mine = draft.which == k
            calls[mine] = np.rint(s.calls_a_day * p.days)
    talk = calls * mean_s * np.exp(0.4 * rng.standard_normal(draft.size))
    spread = np.exp(1.2 * rng.standard_normal(draft.size) + tier - 0.5)
    data = np.where(tier > 0, DATA_MB_A_DAY * p.days * spread, 0.0)
    return {"calls": calls, "call_s": np.round(talk, 1), "sms": sms, "data_mb": np.round(data, 1)}


def _charges(p: SimulationParams, plan: Coded, usage: dict[str, Values]) -> tuple[Floats, Floats]:
    """A month's charge and the part of it beyond the plan's price."""
    table = np.array([p.tariffs.get(label, (0.0,) * 7) for label in plan.labels], float)[plan.codes]
    month = p.days / 30.0
    used = [np.asarray(usage[n]) / month for n in ("call_s", "sms", "data_mb")]
    used[0] = used[0] / 60.0
    beyond = sum(np.maximum(u - table[:, 1 + i], 0.0) * table[:, 4 + i] for i, u in enumerate(used))
    return table[:, 0] + beyond, np.asarray(beyond)


# ---- cells --------------------------------------------------------------------------------------


def cell_columns(draft: Draft) -> dict[str, Values]:
    """The reference table of cells: subject n is the town's cell n, again with a further sector."""
    town, rng = draft.facts.town, draft.rng("sites")
    number = draft.first + np.arange(draft.size)
    cell, sector = number % town.size, number // town.size % 3
    latitude, longitude = town.degrees()
    area = np.array([f"{50_100 + abs(hash_of(r)) % 40}" for r in town.regions], object)
    radio = draft.facts.column("radio")
    radios = np.array(town.radios, object)[cell]
    found: dict[str, Values] = {
        "cell_id": Coded(np.arange(draft.size, dtype=np.int32), tuple(town.names(number))),
        "radio": draft.once("radio", radio) if radio else Coded.of(radios.tolist()),
        "network": Coded(np.zeros(draft.size, np.int32), ("99901",)),
        "area_code": Coded.of(area[cell].tolist()),
        "latitude": np.round(latitude[cell], 5),
        "longitude": np.round(longitude[cell], 5),
        "range_m": np.rint(900.0 * np.exp(0.5 * rng.standard_normal(draft.size))),
        "azimuth_deg": (120.0 * sector + 60.0 * (cell % 2)) % 360.0,
        "region": Coded.of(np.array(town.regions, object)[cell].tolist()),
    }
    return found


def hash_of(text: str) -> int:
    """A small number of a text, the same everywhere."""
    return sum((i + 1) * ord(c) for i, c in enumerate(text))
