"""What the metrics of log lines share: sparse counts, and their distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_LINES = "no column of log lines"


def counts(values: NDArray[np.int64]) -> dict[int, int]:
    """How often each whole number stands there."""
    found, times = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), times.tolist(), strict=True))


def merged(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    """Sums of the counts of each column."""
    out = {}
    for name, one in left.items():
        two = right[name]
        out[name] = {k: one.get(k, 0) + two.get(k, 0) for k in sorted({*one, *two})}
    return out


def distance(real: Mapping[int, int], synthetic: Mapping[int, int]) -> float:
    """Total variation distance of two counts, neither of them empty.

    Example:
        >>> distance({1: 3, 2: 1}, {1: 1, 3: 1})
        0.5
    """
    a, b = sum(real.values()), sum(synthetic.values())
    both = {*real, *synthetic}
    return sum(abs(real.get(k, 0) / a - synthetic.get(k, 0) / b) for k in both) / 2
