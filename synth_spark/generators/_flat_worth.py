"""Whether a relation holds to the digit, or is worth its residual in nats of other rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._lattice import lattice
from synth_spark.core.batch import Coded, Values
from synth_spark.generators._flat_relation import Array, Relation

_ROWS = 6_000  # rows of the search
_GAIN_NATS = 0.1
NOISE = 2.5e-7  # of a value: it and what it follows from may be float32 read as float64


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of the search, halved into a fitting and a checking part."""

    values: dict[str, Values]
    distinct: dict[str, int]
    known: dict[str, NDArray[np.bool_]]
    ranks: dict[str, Array]
    grids: dict[str, tuple[int, int, int]]
    fitting: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Mapping[str, Values], numbers: tuple[str, ...]) -> Table:
        rows = len(next(iter(values.values())))
        kept = np.unique(np.linspace(0, rows - 1, min(rows, _ROWS)).astype(np.int64))
        cut = {n: v[kept] for n, v in values.items()}
        fields = {n: np.asarray(cut[n], np.float64) for n in numbers}
        known = {n: np.isfinite(x) for n, x in fields.items()}
        seen = {n: np.unique(x[known[n]]) for n, x in fields.items()}
        return cls(
            values=cut,
            distinct={n: len(u) for n, u in seen.items()},
            known=known,
            ranks={n: _rank(x) for n, x in fields.items()},
            grids={n: lattice(u) for n, u in seen.items()},
            fitting=np.arange(len(kept)) % 2 == 0,
        )

    def number(self, name: str) -> Array:
        return np.asarray(self.values[name], np.float64)


def is_exact(relation: Relation, values: Mapping[str, Values]) -> bool:
    """Whether all but one row in 10,000 follow, missing values included."""
    y, centre = np.asarray(values[relation.child], np.float64), relation.center(values)
    lone = np.isfinite(y) != np.isfinite(centre)
    return bool(off(relation, y, centre).sum() + lone.sum() <= 1e-4 * len(y))


def off(relation: Relation, y: Array, centre: Array) -> NDArray[np.bool_]:
    """Where a number lies off what its relation gives, both being there; shape (rows,)."""
    both = np.isfinite(y) & np.isfinite(centre)
    scale, step, _ = relation.grid
    half = 0.5 * step / scale if scale else 0.0
    out = np.zeros(len(y), bool)
    out[both] = np.abs(y - centre)[both] > half * 1.0001 + NOISE * np.abs(y[both])
    return out


def is_worth(table: Table, relation: Relation, near: list[str]) -> bool:
    """Whether held-back rows cost fewer nats with the relation than without it."""
    y, r = table.number(relation.child), relation.residual(table.values)
    fit, check = table.fitting & np.isfinite(r), ~table.fitting & np.isfinite(r)
    if fit.sum() < 50 or check.sum() < 50:
        return False
    grid = table.grids[relation.child]
    width = grid[1] / grid[0] if grid[0] else spread_of(y[np.isfinite(y)]) * 1e-3
    size = np.broadcast_to(relation.size(table.values), y.shape)
    with_relation = _nats(np.sort(r[fit]), r[check], 0.5 * width / size[check])
    without = np.inf
    for cells in _groupings(table, relation, near):
        total = 0.0
        for cell in np.unique(cells[check]):
            here, there = check & (cells == cell), fit & (cells == cell)
            pool = np.sort(y[there if there.sum() >= 25 else fit])
            total += here.sum() * _nats(pool, y[here], np.full(here.sum(), 0.5 * width))
        without = min(without, total / check.sum())
    return with_relation + _GAIN_NATS < without


def _groupings(table: Table, relation: Relation, near: list[str]) -> list[NDArray[np.int64]]:
    """Cells of rows by each of what may tell about the child: sixteenths of numbers, labels."""
    numbers = dict.fromkeys([*relation.parents, *near[:3]])
    cells = [(table.ranks[n] * 16).astype(np.int64) for n in numbers]
    for name in relation.linear.names if relation.linear else ():
        column = table.values[name]
        assert isinstance(column, Coded)
        cells.append(column.codes.astype(np.int64))
    return cells or [np.zeros(len(table.fitting), np.int64)]


def _nats(pool: Array, x: Array, half: Array) -> float:
    """Mean negative log share of the pool within `half` of each x, smoothed by a wide window."""
    n = len(pool)
    slack = 1e-9 * np.abs(x)
    inside = np.searchsorted(pool, x + half + slack, "right") - np.searchsorted(
        pool, x - half - slack
    )
    wide = np.maximum(half * 8, spread_of(pool) / 30)
    around = np.searchsorted(pool, x + wide, "right") - np.searchsorted(pool, x - wide)
    share = 0.6 * inside / n + 0.38 * around / n * np.minimum(half / wide, 1) + 0.02 / n * 0.1
    return float(-np.log(share).mean())


def spread_of(x: Array) -> float:
    """Between the outer twentieths."""
    return float(np.quantile(x, 0.95) - np.quantile(x, 0.05)) if len(x) else 0.0


def _rank(x: Array) -> Array:
    """Mid-ranks in [0, 1); missing last."""
    order = np.sort(x)
    low, high = np.searchsorted(order, x, "left"), np.searchsorted(order, x, "right")
    return (low + high) / (2 * len(x) + 1)
