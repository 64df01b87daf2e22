"""Distances between two samples of a number, and how real subjects are cut in two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 7

Floats = NDArray[np.float64]


def wasserstein(a: Any, b: Any) -> float:
    """Area between the two distribution functions, in the numbers' own unit.

    Vallender, Calculation of the Wasserstein distance between probability distributions on the
    line, Theory of Probability and its Applications 1974.
    """
    a, b = np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float))
    every = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(x, every[:-1], side="right") / len(x) for x in (a, b)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(every)))


def kolmogorov(a: Any, b: Any) -> float:
    """Greatest distance between the two distribution functions."""
    a, b = np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float))
    every = np.concatenate([a, b])
    below = [np.searchsorted(x, every, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def total_variation(a: NDArray[np.int64], b: NDArray[np.int64], size: int) -> float:
    """Half the summed distance between the shares of the values 0 to size - 1."""
    p, q = (np.bincount(x, minlength=size) / max(len(x), 1) for x in (a, b))
    return float(np.abs(p - q).sum() / 2)


def halves(subjects: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Subjects in two random halves, the same each time."""
    names = np.unique(subjects)
    mixed = np.random.default_rng(SEED).permutation(names)
    middle = len(names) // 2
    return mixed[:middle], mixed[middle:]
