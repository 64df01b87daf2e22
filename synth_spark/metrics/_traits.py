"""What one subject's events add up to: how many, how spread, how nightly, how varied.

These numbers are where generators of single events fail: each row may look right while no
subject behaves like one. Indicators after de Montjoye, Rocher and Pentland, "bandicoot",
JMLR 17(175), 2016.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Schema

Numbers = NDArray[np.float64]


def traits(
    schema: Schema, forms: Mapping[str, str], records: Records, gaps_s: Numbers
) -> dict[str, Numbers]:
    """Numbers of each subject, NaN where a subject has too few events; each of shape (subjects,).

    Args:
        schema: Of the records; a flat table has no traits.
        forms: The physical form of each column to be read.
        records: Whole subjects.
        gaps_s: Seconds since the previous event, shape (rows,).
    """
    if schema.shape != "events":
        return {}
    times = np.asarray(records.columns[schema.time]).astype("datetime64[us]")
    seconds = np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1e6)
    found = _clock(records, seconds, gaps_s)
    fixed = {c.name for c in schema.columns if c.per == "subject"}
    for name, form in forms.items():
        values = records.columns[name]
        if name in fixed or name == schema.time:
            continue
        if isinstance(values, Coded):
            found |= _variety(name, records, values)
        elif form == "number":
            x = np.asarray(values, dtype=np.float64)
            found[f"{name}: mean"], found[f"{name}: spread"] = _moments(records, x, least=1)
    return found


def _clock(records: Records, seconds: Numbers, gaps_s: Numbers) -> dict[str, Numbers]:
    mean_gap, _ = _moments(records, gaps_s, least=1)
    logs = np.log10(np.maximum(gaps_s, 0.0) + 1.0)
    hour = np.floor(seconds / 3_600) % 24
    weekday = (np.floor(seconds / 86_400) + 3) % 7
    known = np.isfinite(seconds)
    night, _ = _moments(records, np.where(known, hour < 6, np.nan), least=1)
    weekend, _ = _moments(records, np.where(known, weekday >= 5, np.nan), least=1)
    gap_sum, _ = _sums(records, gaps_s)
    return {
        "events": records.lengths.astype(np.float64),
        "span (h)": gap_sum / 3_600,
        "mean gap (s)": mean_gap,
        "spread of log gaps": _moments(records, logs, least=3)[1],
        "share at night": night,
        "share at weekends": weekend,
    }


def _sums(records: Records, values: Numbers) -> tuple[Numbers, NDArray[np.int64]]:
    known = np.isfinite(values)
    owners = records.owners[known]
    total = np.bincount(owners, weights=values[known], minlength=records.subjects)
    count = np.bincount(owners, minlength=records.subjects)
    return total.astype(np.float64), count.astype(np.int64)


def _moments(records: Records, values: Numbers, least: int) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each subject's known values, NaN below `least` of them."""
    total, count = _sums(records, values)
    enough = count >= least
    some = np.maximum(count, 1)
    mean = np.where(enough, total / some, np.nan)
    owners = records.owners
    squares, _ = _sums(records, (values - mean[owners]) ** 2)
    spread = np.sqrt(squares / some)
    return mean, np.where(enough & (count >= 2), spread, np.nan)


def _variety(name: str, records: Records, values: Coded) -> dict[str, Numbers]:
    """Distinct values, the share of the favourite, and how often a value repeats at once."""
    known = values.codes >= 0
    owners, width = records.owners, max(len(values.labels), 1)
    keys = owners[known] * width + values.codes[known]
    found, held = np.unique(keys, return_counts=True)
    subject = found // width
    count = np.bincount(owners[known], minlength=records.subjects)
    some = np.where(count > 0, count, np.nan)
    distinct = np.bincount(subject, minlength=records.subjects)
    top = np.zeros(records.subjects)
    np.maximum.at(top, subject, held.astype(np.float64))
    stays = (values.codes[1:] == values.codes[:-1]) & (owners[1:] == owners[:-1])
    stayed = np.bincount(owners[1:], weights=stays.astype(np.float64), minlength=records.subjects)
    steps = np.where(records.lengths > 1, records.lengths - 1, np.nan)
    return {
        f"{name}: distinct": np.where(count > 0, distinct, np.nan),
        f"{name}: favourite's share": top / some,
        f"{name}: repeated at once": stayed / steps,
    }
