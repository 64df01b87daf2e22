"""Edges, levels and parents of the tables of `markov`: what tells most about a column, in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators import _events_tables as tables
from synth_spark.generators._events_coder import Units
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._events_runs import GONE, NEW, SAME

TELLING = 0.02  # nats that a parent must tell to be one


def quantiles(values: Floats, edges: int) -> Floats:
    """So many inner quantiles, 0 where there are no values."""
    if not len(values):
        return np.zeros(edges)
    return np.asarray(np.quantile(values, np.linspace(0, 1, edges + 2)[1:-1]))


def gaps_of(units: Units) -> Floats:
    """Seconds from the event before, of all events but the first of a unit."""
    return (units.t - units.previous)[units.previous >= 0]


def gap_edges(units: Units, in_runs: NDArray[np.bool_]) -> Floats:
    """Edges of the gap by which values stay or change.

    Where ids come in runs, gaps between runs and within them count for half each, so that an edge
    lies where they part.
    """
    gaps, edges = gaps_of(units), tables.GAPS - 1
    inner = np.flatnonzero(units.previous >= 0)
    tokens = units.cats[:, in_runs]
    tokens, after_gone = tokens[inner], tokens[inner - 1] == GONE
    new, old = (((tokens == token) & ~after_gone).any(axis=1) for token in (NEW, SAME))
    if not new.any() or not old.any():
        return quantiles(gaps, edges)
    order = np.argsort(gaps, kind="stable")
    weight = (new / new.sum() + old / old.sum())[order]
    at = np.searchsorted(np.cumsum(weight), 2 * np.linspace(0, 1, edges + 2)[1:-1] + 1e-9)
    return np.asarray(gaps[order][np.minimum(at, len(order) - 1)])


def levels_of(tokens: NDArray[np.int32], missing: int, size: int) -> NDArray[np.int64]:
    """0 for missing, 1 to 4 for the quarters of the rows in the order of the tokens."""
    size = max(size, 1)
    rows = np.bincount(tokens, minlength=size).astype(float)
    if 0 <= missing < size:
        rows[missing] = 0
    before = np.cumsum(rows) - rows / 2
    out = 1 + np.minimum(before * 4 // max(rows.sum(), 1), 3).astype(np.int64)
    if 0 <= missing < size:
        out[missing] = 0
    return np.asarray(out)


def information(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mutual information of two columns of small integers in nats, less its bias."""
    if not len(a):
        return 0.0
    k, m = int(a.max()) + 1, int(b.max()) + 1
    counts, rows = np.bincount(a * m + b, minlength=k * m).reshape(k, m), len(a)
    joint = counts / rows
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    some = joint > 0
    bias = (some.sum() - (joint.sum(1) > 0).sum() - (joint.sum(0) > 0).sum() + 1) / (2 * rows)
    return float((joint[some] * np.log(joint[some] / alone[some])).sum() - bias)


def parent_of(
    cats: NDArray[np.int32], j: int, among: range, target: NDArray[np.int32] | None = None
) -> int:
    """The category that tells most about a column, -1 where none tells enough."""
    goal = (cats[:, j] if target is None else target).astype(np.int64)
    told = [(information(cats[:, k].astype(np.int64), goal), -k) for k in among]
    best = max(told, default=(0.0, 0))
    return -best[1] if best[0] > TELLING else -1


def number_parent(units: Units, j: int, levels: list[NDArray[np.int64]]) -> int:
    """What tells most about a number: an earlier one, its own last value (-1), or nothing (-2)."""
    goal = levels[j][units.nums[:, j]]
    inner = units.previous >= 0
    own = information(goal[:-1][inner[1:]], goal[1:][inner[1:]]) if len(goal) > 1 else 0.0
    told = [(information(levels[k][units.nums[:, k]], goal), k) for k in range(j)]
    best, k = max([*told, (own, -1)])
    return k if best > TELLING else -2
