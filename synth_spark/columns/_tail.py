"""The generalised-Pareto tail beyond the last value that enough subjects hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AT = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99)  # shares of the tail at which it has knots


def fit(excesses: NDArray[np.float64], rows: NDArray[np.int64]) -> tuple[float, float]:
    """Scale and shape xi by probability-weighted moments.

    Source: Hosking and Wallis, Technometrics 29 (1987), section 4, equations for k and alpha
    (our xi is their -k), with plotting positions (i - 0.35) / n.

    Args:
        excesses: Distinct excesses over the threshold, ascending, shape (m,).
        rows: Rows of each, shape (m,).

    Returns:
        (scale, xi), with xi held in [-1, 0.9] so that a mean exists.
    """
    n, mass = float(rows.sum()), rows.astype(np.float64)
    if n < 3 or excesses[-1] <= 0:
        return 0.0, 0.0
    position = (np.cumsum(mass) - mass / 2 + 0.5 - 0.35) / n  # mean of (i - 0.35) / n over equals
    a0 = float((mass * excesses).sum() / n)
    a1 = float((mass * excesses * (1 - position)).sum() / n)
    gap = max(a0 - 2 * a1, a0 / 3)  # a ratio above 3 is a tail shorter than a uniform one
    xi = min(2 - a0 / gap, 0.9)
    return a0 * (1 - xi), xi


def knots(scale: float, xi: float, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares in [0, 1] and the excesses there; the far end is the quantile 1 - 1 / (2 rows).

    The end depends on the fit and the count only: it tells nothing about the largest value.
    """
    share = np.array([s for s in _AT if s < 1 - 0.5 / rows] + [1 - 0.5 / rows])
    if abs(xi) < 1e-6:
        excess = -scale * np.log1p(-share)
    else:
        excess = scale / xi * ((1 - share) ** -xi - 1)
    return share / share[-1], excess


def segments(x: NDArray[np.float64], rows: NDArray[np.int64]) -> list[tuple[float, float, float]]:
    """Segments (low, high, rows) of a tail over the ascending values `x` that starts at x[0]."""
    total = int(rows.sum())
    scale, xi = fit(x - x[0], rows)
    if scale <= 0:
        return [(float(x[0]), float(x[0]), float(total))]
    share, excess = knots(scale, xi, total)
    values = x[0] + excess
    masses = np.diff(share) * total
    ends = zip(values[:-1], values[1:], masses, strict=True)
    return [(float(a), float(b), float(m)) for a, b, m in ends]
