"""The register of sites: one row for each, with its equipment, its rent and its place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import REGION_SHARE, REGIONS, URBAN_SHARE, Rng, finished, labels, pick, sigmoid

SITES = 640
TYPES = ("Rooftop", "Greenfield tower", "Small cell", "Indoor (DAS)")
VENDORS = ("Ericsson", "Nokia", "Huawei")
VENDOR_SHARES = [
    [0.9, 0.08, 0.02],
    [0.1, 0.85, 0.05],
    [0.85, 0.1, 0.05],
    [0.12, 0.8, 0.08],
    [0.88, 0.1, 0.02],
    [0.05, 0.05, 0.9],
    [0, 0.3, 0.7],
]  # by region
CENTRES = np.array(
    [[52.9, 4.9], [52.1, 5.1], [51.6, 3.9], [52.2, 6.1], [51.4, 5.4], [50.9, 5.9], [53.2, 5.2]]
)


def site_inventory() -> pd.DataFrame:
    """640 sites: sums of counts, dates as dd.mm.yyyy, two spellings of a vendor, lost positions."""
    rng = np.random.default_rng(501)
    region = rng.choice(7, SITES, p=REGION_SHARE)
    urban = rng.random(SITES) < URBAN_SHARE[region]
    kind = pick(rng, urban, [[0.08, 0.84, 0.05, 0.03], [0.56, 0.1, 0.22, 0.12]])
    numbers = rng.permutation(SITES)
    names = [
        f"{REGIONS[r][:2].upper()}{rng.integers(1, 5)}{i:04d}"
        for r, i in zip(region, numbers, strict=True)
    ]
    t = pd.DataFrame({"SITE ID": names, "Region": labels(REGIONS, region)})
    t = t.assign(_region=region, _urban=urban, _type=kind, _vendor=pick(rng, region, VENDOR_SHARES))
    _add_place(t, rng)
    _add_equipment(t, rng)
    _add_history(t, rng)
    _add_costs(t, rng)
    _add_backhaul(t, rng)
    t["Country"] = "NL"
    return finished(t, rng)


def _add_place(t: pd.DataFrame, rng: Rng) -> None:
    """Postcodes are numbers of their region; 1 % of the positions are 0, 0."""
    region = t["_region"].to_numpy()
    block = (rng.beta(0.8, 2, SITES) * 60).astype(int) * 10
    postcode = region * 1300 + 310 + block + np.where(t["_urban"], 0, 5)
    t["Postcode"] = [f"{code:05d}" for code in postcode]
    spread = np.where(region == 1, 0.06, 0.22)[:, None]
    position = CENTRES[region] + rng.normal(0, 1, (SITES, 2)) * spread
    position[rng.random(SITES) < 0.012] = 0.0
    t["Lat"], t["Lon"] = np.round(position, 5).T


def _add_equipment(t: pd.DataFrame, rng: Rng) -> None:
    """Heights and counts of cells hang on the type; one count is the sum of the others."""
    kind, macro = t["_type"], t["_type"] <= 1
    t["Site type"] = labels(TYPES, kind)
    name = labels(VENDORS, t["_vendor"])
    t["Vendor"] = np.where(
        (t["_vendor"] == 0) & (rng.random(SITES) < 0.03), "ERICSSON ", name.astype(object)
    )
    tower_m = rng.choice([30.0, 40.0, 45.0, 60.0], SITES, p=[0.3, 0.4, 0.2, 0.1])
    other_m = np.select(
        [kind == 0, kind == 2], [rng.normal(27, 6, SITES), rng.normal(8, 1.5, SITES)]
    )
    t["Height (m)"] = np.where(kind == 1, tower_m, np.clip(np.round(other_m * 2) / 2, 0, 55))
    t["Cells 2G"] = np.where(macro, rng.choice([0, 3], SITES, p=[0.15, 0.85]), 0)
    sizes = [rng.choice([6, 9, 12], SITES, p=[0.35, 0.45, 0.2]), rng.choice([1, 2], SITES)]
    t["Cells 4G"] = np.select([macro, kind == 2], sizes, rng.choice([2, 4, 6], SITES))
    likely = sigmoid(-2.2 + 2.6 * t["_urban"] + 0.9 * (t["_vendor"] == 1) - 2 * (kind == 3))
    many = np.where(macro, 3 * rng.choice([1, 2], SITES, p=[0.75, 0.25]), 1)
    t["Cells 5G"] = np.where(rng.random(SITES) < likely, many, 0)
    t["Cells total"] = t["Cells 2G"] + t["Cells 4G"] + t["Cells 5G"]


def _add_history(t: pd.DataFrame, rng: Rng) -> None:
    """An audit follows the first day on air, is never in the future and spares small cells."""
    small = t["_type"] == 2
    age_days = np.where(
        small, 7300 + 2200 * rng.beta(2, 1.3, SITES), 9490 * rng.beta(1.3, 2.2, SITES)
    )
    on_air = pd.Series(pd.Timestamp("1998-01-01") + pd.to_timedelta(np.round(age_days), unit="D"))
    audit = on_air + pd.to_timedelta(np.round(rng.gamma(2, 600, SITES) + 60), unit="D")
    audit = audit.where((audit <= pd.Timestamp("2024-05-31")) & ~small)
    t["Commissioned"] = on_air.dt.strftime("%d.%m.%Y")
    t["Last audit"] = audit.dt.strftime("%d.%m.%Y")


def _add_costs(t: pd.DataFrame, rng: Rng) -> None:
    """Rent is empty for own sites; energy is computed of the power; batteries have a sentinel."""
    kind, urban = t["_type"], t["_urban"]
    shares = [[0.12, 0.3, 0.58], [0.38, 0.55, 0.07], [0.05, 0, 0.95], [0.02, 0, 0.98]]
    owner = pick(rng, kind, shares)
    t["Ownership"] = labels(("Own", "TowerCo", "Landlord"), owner)
    dear = 0.75 * urban * (t["_region"] == 1) + 0.45 * (kind == 0) + 0.25 * (owner == 1)
    rent = np.exp(6.1 + dear - 0.9 * (kind == 2) + rng.normal(0, 0.28, SITES))
    t["Rent EUR/month"] = np.where(owner == 0, np.nan, np.round(rent / 5) * 5)
    cells_kw = 0.35 + 0.29 * t["Cells 4G"] + 0.85 * t["Cells 5G"] + 0.22 * t["Cells 2G"]
    thirst = np.array([1, 1.12, 0.86])[t["_vendor"]] * rng.lognormal(0, 0.09, SITES)
    t["Avg power kW"] = np.round(cells_kw * thirst, 2)
    town_h = rng.choice([2, 4], SITES, p=[0.4, 0.6])
    land_h = rng.choice([4, 8, 12], SITES, p=[0.4, 0.5, 0.1])
    t["Battery h"] = np.where(kind >= 2, -1, np.where(urban, town_h, land_h))
    t["Energy EUR/month"] = np.round(t["Avg power kW"] * 730 * 0.21).astype(int)


def _add_backhaul(t: pd.DataFrame, rng: Rng) -> None:
    """The capacity is that of the medium, and fibre is faster where there is 5G."""
    fibre = rng.random(SITES) < np.where(t["_urban"], 0.83, 0.35)
    medium = np.where(fibre, "Fibre", "Microwave").astype(object)
    medium[(t["_region"] == 6) & (rng.random(SITES) < 0.6)] = "Satellite"
    radio = rng.choice([200, 400, 1000], SITES, p=[0.3, 0.5, 0.2])
    lit = np.where(t["Cells 5G"] > 0, 10_000, 1_000)
    t["Backhaul"] = medium
    t["Backhaul Mbit/s"] = np.select([medium == "Fibre", medium == "Microwave"], [lit, radio], 50)
