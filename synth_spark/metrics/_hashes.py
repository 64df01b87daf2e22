"""Rows as 64-bit hashes that do not depend on how a part codes its labels."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values
from synth_spark.metrics._view import Seen

Hashes = NDArray[np.uint64]
_STEP = np.uint64(0x9E3779B97F4A7C15)


def mixed(z: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17)."""
    z = z + _STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def value_hashes(values: Values) -> Hashes:
    """A hash of each value, shape (rows,); equal values have equal hashes in every part."""
    if isinstance(values, Coded):
        digests = [hashlib.blake2b(x.encode(), digest_size=8).digest() for x in values.labels]
        table = np.frombuffer(b"".join([*digests, bytes(8)]), dtype=np.uint64)
        return table[values.codes]  # code -1 reads the last entry
    x = np.asarray(values)
    if x.dtype.kind == "M":
        return mixed(x.astype("datetime64[us]").astype(np.int64).astype(np.uint64))
    number = x.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    number = np.where(np.isnan(number), np.nan, number)  # one NaN for all
    return mixed(number.view(np.uint64))


def row_hashes(seen: Seen, without: str = "") -> Hashes:
    """A hash of each row over all scored columns but `without`; shape (rows,)."""
    found = np.zeros(seen.records.rows, dtype=np.uint64)
    for name in seen.view.forms:
        if name != without:
            found = mixed(found ^ value_hashes(seen.raw.columns[name]))
    return found
