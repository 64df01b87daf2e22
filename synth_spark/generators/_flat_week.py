"""Week days: drawn before the day where a table keeps time with the week.

A token of days is a few days to a few years wide, so that it tells nothing of the week. Where a
day's rows or what stands in them hang on the week day, the week day is a field of its own, drawn
first: the day's tokens that hold no such day are shut, and the day is one of its token's that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values

WEEK_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LEAST_DAYS = 28
MOST_DAYS = 20_000  # from the first to the last
_LEAST_F = 8.0  # of 6 and 21 degrees of freedom 1 in 7,000 by chance, of many 1 in two million
_MOST_COLUMNS = 60
_MOST_LABELS = 12

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]


def week_day(day: Whole) -> Whole:
    """Of days since 1970, 0 is Monday; shape as `day`."""
    return np.asarray((day + 3) % 7)  # 1970-01-01 was a Thursday


def week_days(times: NDArray[Any]) -> Coded:
    """Of times, missing where they are; shape (rows,)."""
    day = times.astype("datetime64[D]").astype(np.int64)
    return Coded(np.where(np.isnat(times), -1, week_day(day)).astype(np.int32), WEEK_DAYS)


def keeps_week(times: NDArray[Any], sample: Records, names: tuple[str, ...]) -> bool:
    """Whether the rows of a day, or what stands in them, hang on its week day.

    Days are compared and not rows, so that rows that come together count once.

    Args:
        times: Of the sample's rows, (rows,).
        sample: Some rows of the table.
        names: The columns that may hang on it.
    """
    known = ~np.isnat(times)
    stamps = times[known].astype("datetime64[us]")
    days, which = np.unique(stamps.astype("datetime64[D]").astype(np.int64), return_inverse=True)
    if len(days) < _LEAST_DAYS or days[-1] - days[0] > MOST_DAYS:
        return False
    every = np.zeros(days[-1] - days[0] + 1)
    every[days - days[0]] = np.bincount(which)
    calendar = week_day(days[0] + np.arange(len(every)))
    if _f(np.sqrt(every), np.ones(len(every)), calendar) >= _LEAST_F:
        return True
    rows, of_week = np.bincount(which).astype(np.float64), week_day(days)
    columns = [(stamps - stamps.astype("datetime64[D]")).astype(np.float64)]
    columns += [y[known] for n in names[:_MOST_COLUMNS] for y in _reals(sample.columns[n])]
    for y in columns:  # days as their rows, for rows of their own; days alike, for rows that are
        sums = np.bincount(which, y)
        if _f(sums, rows, of_week) >= _LEAST_F <= _f(sums / rows, np.ones(len(rows)), of_week):
            return True
    return False


def _f(sums: NDArray[Any], rows: Reals, of_week: Whole) -> float:
    """Fisher's F between week days of the means of days that weigh as their rows."""
    total, per_week = rows.sum(), np.bincount(of_week, rows, 7)
    if (per_week == 0).any() or len(rows) <= 7:
        return 0.0
    week = (np.bincount(of_week, sums, 7) ** 2 / per_week).sum()
    between = week - sums.sum() ** 2 / total
    within = (sums**2 / np.maximum(rows, 1e-12)).sum() - week
    return float(between / 6 / max(within / (len(rows) - 7), 1e-12 * max(total, 1.0)))


def _reals(values: Values) -> Iterator[Reals]:
    """A column as numbers: ranks from 0 to 1, or whether each of its usual labels stands there."""
    if isinstance(values, Coded):
        counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.labels))
        for code in np.argsort(-counts, kind="stable")[:_MOST_LABELS].tolist():
            yield (values.codes == code).astype(np.float64)
        return
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        return
    x = array.astype(np.float64)
    there, place = np.unique(x, return_inverse=True)
    share = np.cumsum(np.bincount(place)) / max(len(x), 1)
    yield np.where(np.isfinite(x), share[place] if len(there) else 0.0, 0.5)
