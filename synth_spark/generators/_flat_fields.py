"""A flat table as fields: what the network draws one after the other.

A category or number is one field. A time is two: the day, and the second of the day unless it is
always midnight; the week day comes first where the table keeps time with the week. A time that
stays close to an earlier column's, or never lies before (or never after) it, is one: the seconds
after it. A place with coordinates is one field of the place codec.
Identifiers that differ in every row are left out. Of the others it is drawn whether there is one,
and which: a number, for which whoever writes the table makes an id anew.
A serial number that runs with another column is how far it lies off what goes with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.survey import Survey, surveyed, values_of
from synth_spark.core.batch import ID_MARK, Coded, Records, Values
from synth_spark.core.schema import Schema
from synth_spark.generators._flat_serial import Curve, expected, follows
from synth_spark.generators._flat_week import keeps_week, week_days

_DAY_US = 86_400_000_000
_CLOSE = 0.15  # a gap with less of the spread that the days have is drawn instead of the time
_CROSSING = 0.02  # share of pairs of unrelated rows that would stand the wrong way round
_MANY_CLOCKS = 60  # distinct values: by chance two in five numbers each end in 60 to 99
CLOCKS: Mapping[str, int] = {"hhmm": 1, "hhmmss": 2}
_TEXTS = ("string", "varchar", "char")
_REPEATED = 1.4  # rows of a row's id, from which ids are shared by rows


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to be drawn."""

    name: str  # unique; of the column, with "#day", "#second", "#week day", "#gap" for a time's
    column: str
    kind: Literal["category", "number", "place"]
    part: Literal["", "day", "second", "week day", "gap", "hhmm", "hhmmss", "id", "serial"] = ""
    after: str = ""  # gap, serial: the column of times (or numbers) that it is counted from
    text: bool = True  # category: the source's type can hold the word for rare labels
    shared: bool = False  # id: rows share them, else each has its own
    curve: Curve = ()  # serial: its mean at some values of `after`

    def to_json(self) -> dict[str, Any]:
        """Plain data; `Field(**data)` reads it back."""
        return asdict(self)


def fields_of(
    schema: Schema, survey: Survey, sample: Records, weeks: bool = False
) -> tuple[Field, ...]:
    """The fields of a table, in the order of its columns; `weeks`: also week days that tell."""
    out: list[Field] = []
    others = tuple(c.name for c in surveyed(schema) if c.kind in ("category", "number"))
    for column in surveyed(schema):
        name = column.name
        if column.kind == "identifier":
            codes = ids_of(sample, name).codes
            known = int((codes >= 0).sum())
            shared = _rows_an_id(codes[codes >= 0], survey.rows / max(sample.rows, 1)) >= _REPEATED
            if known and (shared or known < len(codes)):
                out.append(Field(name, name, "category", "id", shared=shared))
            continue
        if column.unique:
            continue  # below: what it runs with comes first
        if column.kind == "time":
            times = np.asarray(sample.columns[name])
            after = _close_to(times, sample, [f.column for f in out if f.part == "day"])
            if after:
                out.append(Field(f"{name}#gap", name, "number", "gap", after))
                continue
            if weeks and keeps_week(times, sample, others):
                out.append(Field(f"{name}#week day", name, "category", "week day"))
            out.append(Field(f"{name}#day", name, "number", "day"))
            if not _of_days(times):
                out.append(Field(f"{name}#second", name, "number", "second"))
        elif column.kind == "place" and column.partner:
            out.append(Field(name, name, "place"))
        elif column.kind == "number":
            part = _clock(np.asarray(sample.columns[name]))
            out.append(Field(f"{name}#{part}" if part else name, name, "number", part))
        else:
            text = column.source_type.lower().startswith(_TEXTS)
            out.append(Field(name, name, "category", text=text))
    return (*out, *_serial_fields(schema, out, sample))


def _serial_fields(schema: Schema, fields: list[Field], sample: Records) -> list[Field]:
    """The serial numbers, each beside the column that it runs with, if there is one."""
    numbers = [f for f in fields if f.kind == "number" and f.part in ("", "day", "gap")]
    out: list[Field] = []
    for column in schema.columns:
        if column.unique:
            after, curve = follows(column.name, [f.column for f in numbers], sample)
            name = f"{column.name}#beside" if after else column.name
            part: Literal["", "serial"] = "serial" if after else ""
            out.append(Field(name, column.name, "number", part, after, curve=curve))
    return out


def split(schema: Schema, fields: tuple[Field, ...], records: Records) -> dict[str, Values]:
    """The values of every field, each of shape (rows,); places (rows, 2)."""
    out: dict[str, Values] = {}
    for field in fields:
        if field.part == "id":
            ids = ids_of(records, field.column)
            there = Coded(np.where(ids.codes < 0, -1, 0).astype(np.int32), (ID_MARK,))
            out[field.name] = ids if field.shared else there
            continue
        values = records.columns[field.column]
        if field.part == "day":
            out[field.name] = _day(np.asarray(values))
        elif field.part == "second":
            out[field.name] = _second(np.asarray(values))
        elif field.part == "week day":
            out[field.name] = week_days(np.asarray(values))
        elif field.part == "gap":
            out[field.name] = _gap(np.asarray(values), np.asarray(records.columns[field.after]))
        elif field.part == "serial":
            along = expected(field.curve, records.columns[field.after])
            out[field.name] = np.asarray(values, np.float64) - along
        elif field.part in CLOCKS:
            out[field.name] = from_clock(np.asarray(values), field.part)
        elif field.kind == "place":
            out[field.name] = values_of(schema.column(field.column), records)
        elif field.kind == "category" and not isinstance(values, Coded):
            out[field.name] = Coded.of([None if v is None else str(v) for v in values])
        else:
            out[field.name] = values
    return out


def join(
    schema: Schema, fields: tuple[Field, ...], values: Mapping[str, Values]
) -> dict[str, Values]:
    """The columns that `split` took apart; times in whole microseconds."""
    out: dict[str, Values] = {}
    for field in fields:
        value = values[field.name]
        if field.part == "day":
            out[field.column] = time_of(values, field.column)
        elif field.part in ("second", "week day", "gap", "serial"):
            continue  # gaps below, once all days are there
        elif field.part in CLOCKS:
            out[field.column] = to_clock(np.asarray(value), field.part)
        elif field.kind == "place":
            pair = np.asarray(value)
            out[field.column] = pair[:, 0]
            out[schema.column(field.column).partner] = pair[:, 1]
        else:
            out[field.column] = value
    for field in fields:
        if field.part == "gap":
            out[field.column] = _later(np.asarray(out[field.after]), np.asarray(values[field.name]))
    for field in fields:
        if field.part == "serial":
            along = expected(field.curve, out[field.after])
            out[field.column] = np.rint(np.asarray(values[field.name], np.float64) + along)
    return out


def time_of(values: Mapping[str, Values], column: str) -> NDArray[Any]:
    """A time whose day, and second unless it has none, were drawn; shape (rows,)."""
    return _time(np.asarray(values[f"{column}#day"]), values.get(f"{column}#second"))


def _rows_an_id(codes: NDArray[np.int32], times: float) -> float:
    """Rows of a row's id in a table so many times the sample, by the pairs in the sample."""
    counts = np.unique(codes, return_counts=True)[1]
    return 1 + times * float((counts * (counts - 1)).sum()) / max(len(codes), 1)


def ids_of(records: Records, name: str) -> Coded:
    """The ids of a column, all missing where the records have none; shape (rows,)."""
    values = records.columns.get(name)
    if values is None:
        return Coded(np.full(records.rows, -1, np.int32), ())
    if isinstance(values, Coded):
        return values
    return Coded.of([None if v is None or v != v else str(v) for v in values])  # noqa: PLR0124


def _close_to(times: NDArray[Any], sample: Records, earlier: list[str]) -> str:
    """An earlier column that these times stay close to, or else on one side of; "" if none.

    It has to be there whenever they are.
    """
    day, known = _day(times), ~np.isnat(times)
    if known.sum() < 20:
        return ""
    on_one_side = ""
    for name in earlier:
        other = np.asarray(sample.columns[name])
        gap = _gap(times, other) / 86_400
        lone = int((known & np.isnat(other)).sum())  # they become missing
        if lone > 0.01 * known.sum():
            continue
        if _of_days(times) and not _of_days(other):
            continue  # a number of seconds would not lead back to a midnight
        if _width(gap) < _CLOSE * _width(day):
            return name
        if not on_one_side and not lone and _never_crosses(gap, day, _day(other)):
            on_one_side = name
    return on_one_side


def _clock(values: NDArray[np.float64]) -> Literal["", "hhmm", "hhmmss"]:
    """Whether whole numbers are clock times: of hundreds of values none has a 60th minute."""
    seen = np.unique(values[np.isfinite(values)])
    if len(seen) < _MANY_CLOCKS or seen[0] < 0 or (seen != np.rint(seen)).any():
        return ""
    for part, places in CLOCKS.items():
        low = seen % 100 if places == 1 else np.maximum(seen % 100, seen // 100 % 100)
        if 24 * 100**places >= seen[-1] >= 10 * 100**places and low.max() < 60:
            return "hhmm" if part == "hhmm" else "hhmmss"
    return ""


def from_clock(values: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """Minutes (hhmm) or seconds (hhmmss) since midnight, NaN where missing; shape (rows,)."""
    if part == "hhmm":
        return np.asarray(values // 100 * 60 + values % 100)
    return np.asarray((values // 10_000 * 60 + values // 100 % 100) * 60 + values % 100)


def to_clock(value: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """The number that shows a clock at so many minutes or seconds; shape (rows,)."""
    places = CLOCKS[part]
    whole = np.clip(np.rint(value), 0, 24 * 60**places)
    if part == "hhmm":
        return np.asarray(whole // 60 * 100 + whole % 60)
    return np.asarray(whole // 3_600 * 10_000 + whole // 60 % 60 * 100 + whole % 60)


def clock_ends(low: float, high: float, part: str) -> tuple[float, float]:
    """The first and last minute or second since midnight whose number lies in a range.

    Example:
        >>> clock_ends(900, 1175, "hhmm")  # 09:00 to 11:59
        (540.0, 719.0)
    """
    shown = to_clock(np.arange(24 * 60 ** CLOCKS[part] + 1, dtype=np.float64), part)
    first = np.searchsorted(shown, low) if low > 0 else -np.inf
    last = np.searchsorted(shown, high, "right") - 1 if high < shown[-1] else np.inf
    return float(first), float(last)


def _of_days(times: NDArray[Any]) -> bool:
    second = _second(times)
    return not (second[np.isfinite(second)] != 0).any()


def _never_crosses(
    gap: NDArray[np.float64], day: NDArray[np.float64], other: NDArray[np.float64]
) -> bool:
    """Whether gaps (days) keep one sign although the times' ranges overlap."""
    both = np.isfinite(gap)
    gap, apart = gap[both], day[both] - np.roll(other[both], 1)  # as if the rows were mixed
    if len(gap) < 100:
        return False
    crossed = min((apart < 0).mean(), (apart > 0).mean())
    return bool(crossed >= _CROSSING and min((gap < 0).sum(), (gap > 0).sum()) == 0)


def _width(x: NDArray[np.float64]) -> float:
    x = x[np.isfinite(x)]
    return float(np.quantile(x, 0.95) - np.quantile(x, 0.05)) if len(x) else 0.0


def _gap(times: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds from `other` to `times`, NaN where one is missing; shape (rows,)."""
    both = ~(np.isnat(times) | np.isnat(other))
    us = times.astype("datetime64[us]").astype(np.int64)
    us = us - other.astype("datetime64[us]").astype(np.int64)
    return np.where(both, us / 1e6, np.nan)


def _later(times: NDArray[Any], gap: NDArray[np.float64]) -> NDArray[Any]:
    known = np.isfinite(gap) & ~np.isnat(times)
    us = np.rint(np.where(known, gap, 0) * 1e6).astype(np.int64).astype("timedelta64[us]")
    out: NDArray[Any] = times.astype("datetime64[us]") + us
    out[~known] = np.datetime64("NaT")
    return out


def _day(times: NDArray[Any]) -> NDArray[np.float64]:
    known = ~np.isnat(times)
    us = times.astype("datetime64[us]").astype(np.int64)
    return np.where(known, us // _DAY_US, np.nan)


def _second(times: NDArray[Any]) -> NDArray[np.float64]:
    known = ~np.isnat(times)
    us = times.astype("datetime64[us]").astype(np.int64)
    return np.where(known, (us % _DAY_US) / 1e6, np.nan)


def _time(day: NDArray[np.float64], second: Values | None) -> NDArray[Any]:
    inside = np.zeros(len(day)) if second is None else np.asarray(second, np.float64)
    known = np.isfinite(day)
    inside = np.where(np.isfinite(inside), np.clip(inside, 0, 86_399.999999), 0.0)
    us = np.where(known, np.rint(day), 0) * _DAY_US + np.rint(inside * 1e6)
    out = us.astype(np.int64).astype("datetime64[us]")
    out[~known] = np.datetime64("NaT")
    return out
