"""Whole numbers that a time is written as: its hour, its week day, 20251031, seconds since 1970.

Each takes whole microseconds since 1970, shape (n,), and gives whole numbers of that shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Whole = NDArray[np.int64]
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
SECOND_US = 1_000_000
_LEAP_STARTS = np.cumsum([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30])  # of its months


def _counted(us: _Whole, unit: str) -> _Whole:
    """Whole years or months since 1970."""
    return us.astype("datetime64[us]").astype(f"datetime64[{unit}]").astype(np.int64)


def _year(us: _Whole) -> _Whole:
    return _counted(us, "Y") + 1970


def _since(us: _Whole, whole: str, part: str) -> _Whole:
    """Months or days since the start of the year or the month, from 0."""
    times = us.astype("datetime64[us]")
    start = times.astype(f"datetime64[{whole}]").astype(f"datetime64[{part}]")
    return np.asarray((times.astype(f"datetime64[{part}]") - start).astype(np.int64))


def _leap_day(us: _Whole) -> _Whole:
    """Day of the year, from 0, as if each year had a 29th of February."""
    return np.asarray(_LEAP_STARTS[_since(us, "Y", "M")] + _since(us, "M", "D"))


def _date(us: _Whole) -> _Whole:
    return _year(us) * 10_000 + (_since(us, "Y", "M") + 1) * 100 + _since(us, "M", "D") + 1


def _clock(us: _Whole) -> _Whole:
    minutes = us // MINUTE_US
    return minutes // 60 % 24 * 10_000 + minutes % 60 * 100 + us // SECOND_US % 60


def _iso_week(us: _Whole) -> _Whole:
    """Of ISO 8601: the week that holds the year's first Thursday is 1."""
    day = us // DAY_US
    thursday = (day - (day + 3) % 7 + 3) * DAY_US
    return _since(thursday, "Y", "D") // 7 + 1


PARTS: Mapping[str, Any] = {  # what other columns may be looked up by
    "hour": lambda us: us // HOUR_US % 24,
    "week day": lambda us: (us // DAY_US + 3) % 7,  # Monday is 0; 1970-01-01 was a Thursday
    "hour of week": lambda us: (us // HOUR_US + 72) % 168,
    "day of month": lambda us: _since(us, "M", "D") + 1,
    "month": lambda us: _since(us, "Y", "M") + 1,
    "minute": lambda us: us // MINUTE_US % 60,
    "minute of day": lambda us: us // MINUTE_US % 1_440,
    "day": lambda us: us // DAY_US,
}
WRITTEN: Mapping[str, Any] = {  # what a number may be, but for a constant added to it
    **PARTS,
    "week day from Sunday": lambda us: (us // DAY_US + 4) % 7,
    "day of year": lambda us: _since(us, "Y", "D"),
    "day of leap year": _leap_day,
    "MMDD": lambda us: _date(us) % 10_000,
    "week of year": _iso_week,
    "quarter": lambda us: _since(us, "Y", "M") // 3,
    "year": lambda us: _counted(us, "Y"),
    "months": lambda us: _counted(us, "M"),
    "second": lambda us: us // SECOND_US % 60,
    "second of day": lambda us: us // SECOND_US % 86_400,
    "five minutes of day": lambda us: us // (5 * MINUTE_US) % 288,
    "ten minutes of day": lambda us: us // (10 * MINUTE_US) % 144,
    "quarter of an hour of day": lambda us: us // (15 * MINUTE_US) % 96,
    "half an hour of day": lambda us: us // (30 * MINUTE_US) % 48,
    "HHMM": lambda us: us // HOUR_US % 24 * 100 + us // MINUTE_US % 60,
    "HHMMSS": _clock,
    "YYYYMM": lambda us: _year(us) * 100 + _since(us, "Y", "M") + 1,
    "YYYYMMDD": _date,
    "YYYYMMDDHH": lambda us: _date(us) * 100 + us // HOUR_US % 24,
    "YYYYMMDDHHMM": lambda us: _date(us) * 10_000 + us // HOUR_US % 24 * 100 + us // MINUTE_US % 60,
    "YYYYMMDDHHMMSS": lambda us: _date(us) * 1_000_000 + _clock(us),
    "hours since 1970": lambda us: us // HOUR_US,
    "minutes since 1970": lambda us: us // MINUTE_US,
    "seconds since 1970": lambda us: us // SECOND_US,
    "milliseconds since 1970": lambda us: us // 1_000,
}
