"""Where cells stand: a made town, a table of cells, or cells seen in records.

A made town has five districts with a density of their own (Clark, "Urban population densities",
Journal of the Royal Statistical Society A 114, 1951: density falls exponentially from the centre);
more cells stand where more people live or work. Without coordinates cells have popularities only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.errors import SynthError

KM_A_DEGREE = 111.32
RASTER = 96  # squares of a side
#            name, share of the cells, inner and outer radius (shares of the town's), homes, work
DISTRICTS = (
    ("centre", 0.20, 0.00, 0.15, 0.6, 3.0),
    ("inner", 0.30, 0.15, 0.40, 1.4, 1.0),
    ("suburb", 0.30, 0.40, 1.00, 1.3, 0.4),
    ("industry", 0.10, 0.35, 0.60, 0.1, 1.6),
    ("village", 0.10, 1.00, 2.20, 0.5, 0.2),
)
RADIOS = (("eutran", 0.65), ("nr", 0.2), ("utran", 0.15))


class CellsFileError(SynthError):
    """The table of cells cannot be read, or lacks names or coordinates."""

    code = "SYN-763"


@dataclass(frozen=True, slots=True)
class Town:
    """Cells with their places; km east and north of the middle. All arrays have shape (cells,)."""

    labels: tuple[str, ...]
    regions: tuple[str, ...]  # of each cell
    radios: tuple[str, ...]  # of each cell
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    homes: NDArray[np.float64]  # weight as a home
    works: NDArray[np.float64]  # weight as a place of work
    middle: tuple[float, float]  # latitude, longitude
    placed: bool  # False: no coordinates are known

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.labels)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Popularity: homes and work together, summing to 1."""
        both = self.homes / self.homes.sum() + self.works / max(self.works.sum(), 1e-12)
        return np.asarray(both / both.sum())

    def upper(self) -> NDArray[np.float64]:
        """Cumulative popularity, last entry 1."""
        return closed(self.weights)

    def degrees(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitudes and longitudes of the cells."""
        latitude, longitude = self.middle
        east = KM_A_DEGREE * np.cos(np.radians(latitude))
        return latitude + self.y / KM_A_DEGREE, longitude + self.x / east

    def raster(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest cell of each square of a raster, and the raster's corner and side in km."""
        low = np.array([self.x.min(), self.y.min()]) - 1.0
        high = np.array([self.x.max(), self.y.max()]) + 1.0
        side = float((high - low).max()) / RASTER
        at = (np.arange(RASTER) + 0.5) * side
        near = np.empty((RASTER, RASTER), np.int64)
        for row, north in enumerate(at + low[1]):
            far = (self.y - north)[None, :] ** 2 + (self.x[None, :] - (at + low[0])[:, None]) ** 2
            near[row] = far.argmin(axis=1)
        return near, np.array([low[0], low[1], side])

    def names(self, numbers: NDArray[np.int64], prefix: str = "") -> list[str]:
        """Names of elements, shape as `numbers`: the cell's, with a number where it has more."""
        cells = [prefix + self.labels[n % self.size] for n in numbers.tolist()]
        more = (numbers // self.size).tolist()
        return [f"{c}-{m + 1}" if m else c for c, m in zip(cells, more, strict=True)]

    def nearest(self, down: NDArray[np.bool_]) -> NDArray[np.int64]:
        """For each cell the nearest one that is not down (itself if it is up), shape (cells,)."""
        up = np.flatnonzero(~down & (self.homes > 0))  # those that a condition leaves
        if not len(up):
            return np.full(self.size, -1, np.int64)
        if not self.placed:  # by popularity: the cell that stands next in that order
            return np.where(down, up[np.arange(self.size) % len(up)], np.arange(self.size))
        far = (self.x[:, None] - self.x[up]) ** 2 + (self.y[:, None] - self.y[up]) ** 2
        return np.where(down, up[far.argmin(axis=1)], np.arange(self.size))

    def only(self, kept: NDArray[np.bool_]) -> Town:
        """The same cells, of which only some are used."""
        homes, works = np.where(kept, self.homes, 0.0), np.where(kept, self.works, 0.0)
        return Town(**{**self.state(), "homes": homes, "works": works + 1e-9 * homes})

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        tuples = ("labels", "regions", "radios", "middle")
        return cls(**{**state, **{k: tuple(state[k]) for k in tuples}})


def closed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative shares, last entry exactly 1."""
    upper = np.cumsum(weights) / weights.sum()
    upper[upper >= upper[-1]] = 1.0
    return np.asarray(upper)


def made_town(cells: int, radius_km: float, middle: tuple[float, float], seed: int) -> Town:
    """A town plan: cells dealt to districts, at random places of their rings."""
    rng = generator(seed, "simulation/town")
    share = np.array([d[1] for d in DISTRICTS])
    district = np.searchsorted(closed(share), (np.arange(cells) + 0.5) / cells)
    inner, outer = (np.array([d[k] for d in DISTRICTS])[district] for k in (2, 3))
    far = radius_km * np.sqrt(inner**2 + rng.random(cells) * (outer**2 - inner**2))
    turn = 2 * np.pi * rng.random(cells)
    turn = np.where(district == 3, 0.6 + 0.9 * rng.random(cells), turn)  # industry: one side
    spread = rng.lognormal(0.0, 0.4, (2, cells))
    names = tuple(r for r, _ in RADIOS)
    radio = np.searchsorted(closed(np.array([s for _, s in RADIOS])), rng.random(cells))
    return Town(
        labels=tuple(f"C-{i:05d}" for i in range(cells)),
        regions=tuple(DISTRICTS[d][0] for d in district),
        radios=tuple(names[r] for r in radio),
        x=far * np.cos(turn),
        y=far * np.sin(turn),
        homes=np.array([d[4] for d in DISTRICTS])[district] * spread[0],
        works=np.array([d[5] for d in DISTRICTS])[district] * spread[1],
        middle=middle,
        placed=True,
    )


def seen_town(labels: tuple[str, ...], shares: NDArray[np.float64]) -> Town:
    """Cells of records, without coordinates: what is known is how often each was used."""
    none = np.zeros(len(labels))
    return Town(
        labels, ("",) * len(labels), ("",) * len(labels), none, none, shares, shares, (0.0, 0.0),
        placed=False,
    )  # fmt: skip


def town_at(
    labels: tuple[str, ...],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    weights: NDArray[np.float64],
    regions: tuple[str, ...] = (),
    radios: tuple[str, ...] = (),
) -> Town:
    """Cells at known places."""
    middle = (float(np.median(latitude)), float(np.median(longitude)))
    east = KM_A_DEGREE * np.cos(np.radians(middle[0]))
    return Town(
        labels,
        regions or ("",) * len(labels),
        radios or ("",) * len(labels),
        (longitude - middle[1]) * east,
        (latitude - middle[0]) * KM_A_DEGREE,
        weights,
        weights,
        middle,
        placed=True,
    )


def town_of_file(path: str) -> Town:
    """A table of cells, CSV or Parquet: cell_id, latitude, longitude; region and radio at will.

    Raises:
        CellsFileError: It cannot be read, or a column is missing (SYN-763).
    """
    import pyarrow.csv
    import pyarrow.parquet

    try:
        parquet = path.endswith(".parquet")
        table = pyarrow.parquet.read_table(path) if parquet else pyarrow.csv.read_csv(path)
    except (OSError, ValueError) as error:  # Arrow's own errors are among them
        raise CellsFileError(
            f"The cells {path} cannot be read: {error}.", hint="CSV or Parquet", path=path
        ) from error
    found = {n: table.column(n).to_pylist() for n in table.column_names}
    missing = [n for n in ("cell_id", "latitude", "longitude") if n not in found]
    needed = [] if missing else [found[n] for n in ("cell_id", "latitude", "longitude")]
    rows = [i for i in range(table.num_rows) if needed and all(c[i] is not None for c in needed)]
    if missing or not rows:
        raise CellsFileError(
            f"The cells {path} hold no {missing[0] if missing else 'row with coordinates'}.",
            hint="columns cell_id, latitude, longitude",
            path=path,
        )
    more = {
        n: tuple(str(found[n][i] or "") for i in rows) if n in found else ()
        for n in ("region", "radio")
    }
    north, east = (np.array([float(c[i]) for i in rows]) for c in needed[1:])
    names = tuple(str(found["cell_id"][i]) for i in rows)
    return town_at(names, north, east, np.ones(len(rows)), more["region"], more["radio"])
