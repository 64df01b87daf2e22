"""Draws that several of the flat tables share, and the network that their rows stand in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Rng = np.random.Generator
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]

REGIONS = ("North", "Capital", "Coast", "Midlands", "South-West", "Highlands", "Islands")
REGION_SHARE = (0.15, 0.33, 0.17, 0.16, 0.11, 0.06, 0.02)
URBAN_SHARE = np.array([0.45, 0.9, 0.5, 0.5, 0.4, 0.12, 0.05])


def zipf(count: int, power: float, rng: Rng, shift: float = 1.0) -> Floats:
    """Shares that fall with the rank to a power, each a little off."""
    weight = (np.arange(count) + shift) ** -power * rng.lognormal(0, 0.4, count)
    return np.asarray(weight / weight.sum())


def sigmoid(x: ArrayLike) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, float))))


def pick(rng: Rng, rows: ArrayLike, table: ArrayLike) -> Ints:
    """A category for each row, by the weights in the line of the table that the row names."""
    upper = np.cumsum(np.asarray(table, float), axis=1)
    upper /= upper[:, -1:]
    codes = np.asarray(rows, np.int64)
    return np.asarray((rng.random(len(codes))[:, None] > upper[codes]).sum(axis=1))


def money(x: ArrayLike) -> Floats:
    """Rounded half up to cents, as billing systems do."""
    return np.asarray(np.floor(np.asarray(x, float) * 100 + 0.5 + 1e-7) / 100)


def labels(names: tuple[str, ...], codes: ArrayLike) -> Texts:
    """The name of each code."""
    return np.asarray(np.array(names, object)[np.asarray(codes, np.int64)])


def hashed(*parts: object, digits: int = 12) -> str:
    """An id that says nothing but is the same each time."""
    return hashlib.sha1("|".join(map(str, parts)).encode()).hexdigest()[:digits]


def finished(frame: pd.DataFrame, rng: Rng, copies: int = 0) -> pd.DataFrame:
    """The rows in no order, without what starts with `_`; some of them exported twice."""
    kept = frame[[name for name in frame.columns if not name.startswith("_")]]
    rows = np.concatenate([np.arange(len(kept)), rng.choice(len(kept), copies, replace=False)])
    return kept.iloc[rng.permutation(rows)].reset_index(drop=True)


@dataclass(frozen=True)
class Network:
    """Sites of regions, and the cells of each site."""

    region: Ints  # of a site, as are the next two
    urban: NDArray[np.bool_]
    site: Texts
    site_of: Ints  # of a cell, as are the rest
    cell: Texts
    band: Texts
    load: Floats
    quality: Floats

    def cell_urban(self) -> NDArray[np.bool_]:
        """Whether each cell stands in a town."""
        return np.asarray(self.urban[self.site_of])


@cache
def network(sites: int = 210) -> Network:
    """The network that tickets, calls and counters are about; the same for all of them."""
    rng = np.random.default_rng(7)
    region = rng.choice(7, sites, p=REGION_SHARE)
    cluster = rng.integers(1, 5, sites)
    urban = rng.random(sites) < URBAN_SHARE[region]
    site = [
        f"{REGIONS[r][:2].upper()}{c}{i:04d}"
        for i, (r, c) in enumerate(zip(region, cluster, strict=True))
    ]
    cells = []
    for i in range(sites):
        bands = ["L08", "L18"] + ["L26"] * bool(urban[i])
        bands += ["N35"] * bool(urban[i] and rng.random() < 0.5)
        for band in bands if rng.random() < 0.8 else bands[:1]:
            sectors = 3 if rng.random() < 0.85 else 2
            cells += [(i, f"{site[i]}_{band}_{s + 1}", band) for s in range(sectors)]
    site_of, cell, band_of = zip(*cells, strict=True)
    return Network(
        region, urban, np.array(site, object), np.array(site_of), np.array(cell, object),
        np.array(band_of, object), rng.lognormal(0, 0.5, len(cells)), rng.normal(0, 1, len(cells)),
    )  # fmt: skip
