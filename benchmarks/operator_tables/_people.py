"""What the tables of events share: habits of a subject, its days, and a map of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._draws import Floats, Ints, Rng, zipf

DAY_S = 86_400
START_S = int(pd.Timestamp("2024-03-04").timestamp())  # a Monday, by the clock on the wall
Row = tuple[object, ...]
BY_HOUR = np.array(
    [
        *(1, 0.5, 0.3, 0.2, 0.2, 0.5, 1.5, 4, 6, 6, 6, 6.5),
        *(7, 6.5, 6, 6, 6.5, 7.5, 8.5, 9, 8.5, 7, 4.5, 2.2),
    ]
)


@dataclass(frozen=True)
class Habit:
    """Hours of the day and level of each weekday of one subject."""

    weekday: Floats  # (24,), shares
    weekend: Floats
    level: Floats  # (7,), from Monday

    def day_level(self, day: int) -> float:
        """How much is done on a day, beside the mean."""
        return float(self.level[day % 7])

    def times(self, rng: Rng, day: int, count: int) -> Ints:
        """So many sorted times of a day, in seconds."""
        share = self.weekend if day % 7 >= 5 else self.weekday
        hour = rng.choice(24, count, p=share)
        second = day * DAY_S + hour * 3600 + rng.integers(0, 3600, count)
        return np.asarray(np.sort(START_S + second))


def habit(rng: Rng, sharpness: float = 1.0) -> Habit:
    """Office hours, late, early or at night, with one to three favourite hours of one's own."""
    shift = (0, 4, -2, 11)[rng.choice(4, p=[0.62, 0.14, 0.14, 0.10])] + rng.normal(0, 1)
    hours = np.arange(24)
    share = np.interp((hours - shift) % 24, np.arange(25), np.append(BY_HOUR, BY_HOUR[0]))
    for peak in rng.uniform(6, 24, rng.integers(1, 4)):
        away = np.minimum((hours - peak) % 24, (peak - hours) % 24)
        share = share + sharpness * rng.uniform(2, 18) * np.exp(-(away**2))
    weekend = np.roll(share, rng.integers(0, 3)) ** 0.7
    level = rng.lognormal(0, 0.2, 7)
    level[5:] *= rng.choice([0.25, 0.7, 1, 1.5], p=[0.2, 0.35, 0.3, 0.15])
    return Habit(share / share.sum(), weekend / weekend.sum(), level)


def days_seen(rng: Rng, days: int) -> Ints:
    """Most are there all the time, some join late or leave early, some are away for a while."""
    first, end = 0, days
    if rng.random() < 0.15:
        first = int(rng.integers(0, days))
    if rng.random() < 0.12:
        end = int(rng.integers(first + 1, days + 1))
    seen = np.arange(first, end)
    if rng.random() < 0.2 and len(seen) > 8:
        away = int(rng.integers(1, len(seen) - 4))
        seen = np.delete(seen, np.s_[away : away + int(rng.integers(3, 10))])
    return seen


def wanted(rng: Rng, median: float, spread: float, most: int, rare: float = 0.06) -> int:
    """How many events a subject is to have; a few subjects have one to three."""
    if rng.random() < rare:
        return int(rng.integers(1, 4))
    return min(max(1, int(rng.lognormal(np.log(median), spread))), most)


def times(rng: Rng, own: Habit, days: Ints, count: int) -> list[int]:
    """Sorted times over the days; some days have many, by chance."""
    level = np.array([own.day_level(int(d)) for d in days]) * rng.gamma(1.5, 1, len(days))
    counts = rng.multinomial(count, level / level.sum())
    drawn = [own.times(rng, int(d), n) for d, n in zip(days, counts, strict=True)]
    return [int(at) for part in drawn for at in part]


def at_work(at_s: int) -> bool:
    """Whether a time is on a weekday between 9 and 17."""
    since_s = at_s - START_S
    return since_s // DAY_S % 7 < 5 and 9 <= since_s // 3600 % 24 < 17


@dataclass(frozen=True)
class CellMap:
    """Cells of some towns."""

    town: Ints
    position: Floats  # (cells, 2), degrees
    near: NDArray[np.int64]  # (cells, 6), the nearest first

    def of_town(self, cell: int) -> Ints:
        """All cells of the town that a cell is in."""
        return np.asarray(np.flatnonzero(self.town == self.town[cell]))


def cell_map(rng: Rng, cells: int, towns: int = 8) -> CellMap:
    """So many cells around the centres of towns of different size."""
    centre = rng.normal(0, 0.5, (towns, 2)) * [1, 1.6] + [48.3, 11.2]
    town = rng.choice(towns, cells, p=zipf(towns, 0.8, rng))
    position = np.round(centre[town] + rng.normal(0, 0.035, (cells, 2)), 5)
    distance = ((position[:, None] - position[None]) ** 2).sum(axis=-1)
    return CellMap(town, position, np.argsort(distance, axis=1)[:, 1:7])
