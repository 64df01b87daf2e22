"""Stays at 500 m cells: how they are cut from fixes, and how two tables of them are compared.

A stay begins with a fix at another cell than the one before, and lasts until the next fix
elsewhere, but at most an hour beyond its own last fix. Columns: the key, `arrived` (local time),
the cell's centre as `latitude` and `longitude` (degrees), `stay_s`.

The numbers are Wasserstein-1 distances between a real and a synthetic sample: for what has a heavy
tail (kilometres, seconds) of the logarithm to base 10, where 0.1 means that values are off by a
quarter on average; places a day in places, shares as they are. Jumps, radius and stays are those of
Gonzalez, Hidalgo and Barabasi, Understanding individual human mobility patterns, Nature 2008.
`grams_in_train` is the share of the synthetic runs of three cells that train has as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import Goal, Goals, Numbers, above_floor, times_floor
from ._distance import Floats, halves, wasserstein

CELL_KM = 0.5
KM_A_DEGREE = 111.195
GRACE_S = 3_600.0  # a stay is over so long after its last fix, if nothing is heard
HEAVY = {"radius_km": 0.1, "jump_km": 0.1, "day_km": 0.1, "stay_s": 60.0, "away_s": 60.0}
PLAIN = ("places_a_day", "home_visits", "home_time")
TWIN = ("--key", "subject", "--time", "arrived")


def goals(*generators: str) -> Goals:
    """Twice the floor, and no more runs of cells out of train than the holdout has and .03."""
    wanted: dict[str, Goal] = {name: times_floor(2) for name in (*HEAVY, *PLAIN)}
    return {g: {**wanted, "grams_in_train": above_floor(0.03)} for g in generators}


def cells(latitude: Floats, longitude: Floats) -> NDArray[np.int64]:
    """Row and column of each place on a grid of 500 m, shape (rows, 2)."""
    row = np.rint(latitude * KM_A_DEGREE / CELL_KM)
    wide = np.cos(np.radians(row * CELL_KM / KM_A_DEGREE))
    return np.column_stack([row, np.rint(longitude * KM_A_DEGREE * wide / CELL_KM)]).astype(int)


def centres(cell: NDArray[np.int64]) -> Floats:
    """Latitude and longitude of cells in degrees, shape (rows, 2)."""
    latitude = cell[:, 0] * CELL_KM / KM_A_DEGREE
    longitude = cell[:, 1] * CELL_KM / KM_A_DEGREE / np.cos(np.radians(latitude))
    return np.round(np.column_stack([latitude, longitude]), 5)


def stays(fixes: pd.DataFrame) -> pd.DataFrame:
    """Stays of fixes with the columns subject, at, latitude, longitude."""
    d = fixes.sort_values(["subject", "at"], kind="stable").reset_index(drop=True)
    cell = cells(d["latitude"].to_numpy(), d["longitude"].to_numpy())
    subject, at = d["subject"].to_numpy(), d["at"].to_numpy().astype("datetime64[s]")
    new = np.ones(len(d), bool)
    new[1:] = (cell[1:] != cell[:-1]).any(axis=1) | (subject[1:] != subject[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(d)) - 1
    follows = np.append(subject[first[1:]] == subject[first[:-1]], False)
    seconds = at.astype(np.int64).astype(float)
    held = seconds[last] - seconds[first]
    until = np.full(len(first), np.inf)
    until[:-1] = np.where(follows[:-1], seconds[first[1:]] - seconds[first[:-1]], np.inf)
    place = centres(cell[first])
    return pd.DataFrame(
        {
            "subject": subject[first],
            "arrived": at[first].astype("datetime64[us]"),
            "latitude": place[:, 0],
            "longitude": place[:, 1],
            "stay_s": np.minimum(until, held + GRACE_S),
        }
    )


def write(table: pd.DataFrame, owner: pd.Series, name: str, out: Path) -> None:
    """Train and holdout: two halves of the people, so that their distance is the floor."""
    for part, people in zip(("train", "holdout"), halves(owner.to_numpy()), strict=True):
        kept = table[owner.isin(people)].reset_index(drop=True)
        kept.to_parquet(out / f"{name}_{part}.parquet")


def kilometres(a: Floats, b: Floats) -> Floats:
    """Great-circle distance between places (rows, 2) in degrees."""
    p, q = np.radians(a), np.radians(b)
    half = np.sin((q - p) / 2) ** 2
    angle = half[:, 0] + np.cos(p[:, 0]) * np.cos(q[:, 0]) * half[:, 1]
    return np.asarray(2 * np.degrees(np.arcsin(np.sqrt(np.minimum(angle, 1)))) * KM_A_DEGREE)


def facts(table: pd.DataFrame) -> dict[str, Floats]:
    """Samples of what is compared: of each subject, subject and day, jump, stay or return."""
    d = table.dropna(subset=["arrived", "latitude", "longitude"])
    d = d.sort_values(["subject", "arrived"], kind="stable").reset_index(drop=True)
    cell = cells(d["latitude"].to_numpy(), d["longitude"].to_numpy())
    d["cell"] = cell[:, 0] * 1_000_000 + cell[:, 1]
    place = centres(cell)
    jump = np.zeros(len(d))
    jump[1:] = kilometres(place[:-1], place[1:])
    subject = d["subject"].to_numpy()
    inner = np.append(False, subject[1:] == subject[:-1])
    d["jump"] = np.where(inner, jump, 0.0)
    days = d.groupby(["subject", d["arrived"].dt.floor("D")])
    home = _homes(d)
    return {
        "radius_km": _radius(d, place),
        "jump_km": d["jump"].to_numpy()[inner & (jump > 0)],
        "day_km": days["jump"].sum().to_numpy(),
        "stay_s": d["stay_s"].dropna().to_numpy(),
        "away_s": _away(d, home),
        "places_a_day": days["cell"].nunique().to_numpy().astype(float),
        "home_visits": home.groupby(d["subject"]).mean().to_numpy(),
        "home_time": _share_of_time(d, home),
    }


def _homes(d: pd.DataFrame) -> pd.Series:
    """Whether each stay is at its subject's most visited cell (the first of those in a tie)."""
    visits = d.groupby(["subject", "cell"])["arrived"].agg(["size", "min"]).reset_index()
    visits = visits.sort_values(["subject", "size", "min"], ascending=[True, False, True])
    top = visits.groupby("subject")["cell"].first()
    return d["cell"] == d["subject"].map(top)


def _radius(d: pd.DataFrame, place: Floats) -> Floats:
    """Root of the mean squared distance from a subject's mean position, in km."""
    flat = place * KM_A_DEGREE
    flat[:, 1] *= np.cos(np.radians(place[:, 0]))
    xy = pd.DataFrame({"x": flat[:, 0], "y": flat[:, 1]})
    return np.sqrt(xy.groupby(d["subject"]).var(ddof=0).sum(axis=1).to_numpy())


def _away(d: pd.DataFrame, home: pd.Series) -> Floats:
    """Seconds from the arrival elsewhere to the next arrival at home, of every return."""
    at = d["arrived"].to_numpy().astype("datetime64[s]").astype(np.int64).astype(float)
    subject, here = d["subject"].to_numpy(), home.to_numpy()
    left = np.append(False, here[:-1] & ~here[1:] & (subject[1:] == subject[:-1]))
    since = pd.Series(np.where(left, at, np.nan)).groupby(subject).ffill().to_numpy()
    back = np.append(False, ~here[:-1] & here[1:] & (subject[1:] == subject[:-1]))
    gone = (at - since)[back]
    return np.asarray(gone[~np.isnan(gone)])


def _share_of_time(d: pd.DataFrame, home: pd.Series) -> Floats:
    total = d.groupby("subject")["stay_s"].sum()
    at_home = d["stay_s"].where(home, 0.0).groupby(d["subject"]).sum()
    return np.asarray((at_home / total.clip(lower=1)).to_numpy())


def grams(table: pd.DataFrame) -> list[tuple[int, int, int]]:
    """Runs of three cells in the order of time, of all subjects."""
    d = table.dropna(subset=["arrived", "latitude", "longitude"])
    d = d.sort_values(["subject", "arrived"], kind="stable")
    cell = cells(d["latitude"].to_numpy(), d["longitude"].to_numpy())
    code, subject = cell[:, 0] * 1_000_000 + cell[:, 1], d["subject"].to_numpy()
    whole = subject[2:] == subject[:-2]
    return list(zip(code[:-2][whole], code[1:-1][whole], code[2:][whole], strict=True))


def compare(train: pd.DataFrame, synthetic: pd.DataFrame) -> Numbers:
    """All numbers of one synthetic table against train."""
    real, made = facts(train), facts(synthetic)
    numbers = {}
    for name, unit in HEAVY.items():
        numbers[name] = wasserstein(np.log10(real[name] + unit), np.log10(made[name] + unit))
    for name in PLAIN:
        numbers[name] = wasserstein(real[name], made[name])
    known, found = set(grams(train)), grams(synthetic)
    numbers["grams_in_train"] = float(np.mean([g in known for g in found])) if found else 0.0
    return numbers


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The numbers of one synthetic table."""
    del holdout  # stands in the synthetic table's place for the floor
    return compare(pd.read_parquet(train), pd.read_parquet(synthetic))
