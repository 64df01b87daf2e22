"""What is drawn first: labels from which other columns follow, and these behind them.

A model of phones tells the maker, the system and the price. They are looked up in the finished rows
(`columns/determined.py`), but drawn right after the label too, where nothing else is left to them:
what comes later learns from the maker what the few rows of one model cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.determined import MOST_HINTED, MOST_KEYS
from synth_spark.core.batch import Coded, Values
from synth_spark.generators._flat_fields import Field

_LEAST_KEYS = 4
_EXCEPTIONS = 1e-3  # of the rows; labels that are too rare to tell are not looked at here


def heads(fields: tuple[Field, ...], values: Mapping[str, Values]) -> list[str]:
    """Names of fields, each label before what follows from it.

    Args:
        fields: Of the table.
        values: Theirs in a sample of rows.
    """
    whole = [f for f in fields if f.kind != "place" and not f.part]  # parts hang on one another
    codes = {f.name: _codes(values[f.name]) for f in whole}
    sizes = {n: int(c.max(initial=0)) + 1 for n, c in codes.items()}
    labels = [f.name for f in fields if f.kind == "category" and not f.part]
    parents = [n for n in labels if _LEAST_KEYS <= sizes[n] <= 2 * MOST_KEYS]
    out: list[str] = []
    for parent in sorted(parents, key=lambda n: (-sizes[n], n)):
        if parent in out:
            continue
        told = [
            n
            for n, size in sizes.items()
            if n not in out and 2 <= size <= min(MOST_HINTED, sizes[parent] // 2)
            and _follows(codes[parent], codes[n], size)
        ]  # fmt: skip
        out += [parent, *told] if told else []
    return out


def _codes(values: Values) -> NDArray[np.int64]:
    """Whole numbers from 0, one a value and one where missing; shape (rows,)."""
    plain = values.codes if isinstance(values, Coded) else np.asarray(values)
    codes: NDArray[np.int64] = np.unique(plain, return_inverse=True)[1].astype(np.int64).ravel()
    return codes


def _follows(parent: NDArray[np.int64], child: NDArray[np.int64], size: int) -> bool:
    """Whether each label goes with one value, and more than one value with several labels."""
    both, rows = np.unique(parent * size + child, return_counts=True)
    if rows.max() == len(parent):
        return False
    best = np.zeros(int(parent.max()) + 1, np.int64)
    np.maximum.at(best, both // size, rows)
    return bool(len(parent) - best.sum() <= _EXCEPTIONS * len(parent)) and len(both) > 2
