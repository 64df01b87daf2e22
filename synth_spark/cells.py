"""Cells of a table in memory as our values and back, without Spark; there `spark/typed.py` does it.

A text, a number, a truth value or a time becomes what its column's kind and source type say; what
does not fit is told apart from what is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values
from synth_spark.core.given import empty_like
from synth_spark.core.schema import WHOLE_TYPES, Column
from synth_spark.records._profile import BLANKS, COMMA_NUMBER, THOUSANDS
from synth_spark.spark.arrow import to_coded, to_values
from synth_spark.spark.csv_text import MISSING_WORDS

Bools = NDArray[np.bool_]
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ZONED = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_LONGER = {"%T": "%H:%M:%S", "%D": "%m/%d/%y", "%F": "%Y-%m-%d", "%R": "%H:%M", "%e": "%-d"}
_MILLION = 1_000_000
_MOST_DECIMAL = Decimal(10) ** 38  # Spark's decimals have 38 digits


def values_of(array: pa.Array, column: Column, zone: str = "UTC") -> tuple[Values, Bools]:
    """One column in our form, and which cells do not fit its kind; both of shape (rows,).

    Args:
        array: Of any type that holds single values; null is missing.
        column: Of the model's schema.
        zone: Of the records' local clock, for instants.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_null(kind):
        return empty_like(column, len(array)), np.zeros(len(array), bool)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.string())
        kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _of_times(array, column, zone)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(array, column, zone)
    if not is_text(kind):
        return empty_like(column, len(array)), np.asarray(array.is_valid())
    return _read(to_coded(array.cast(pa.string())), column, _reader(column, zone))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _of_times(array: pa.Array, column: Column, zone: str) -> tuple[Values, Bools]:
    if column.kind != "time":
        return empty_like(column, len(array)), np.asarray(array.is_valid())
    if pa.types.is_timestamp(array.type) and array.type.tz:
        array = pc.local_timestamp(array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(
            pa.timestamp("us", zone)
        ))  # fmt: skip
    return to_values(array.cast(pa.timestamp("us"), safe=False)), np.zeros(len(array), bool)


def _of_numbers(array: pa.Array, column: Column, zone: str) -> tuple[Values, Bools]:
    numbers = np.asarray(to_values(array.cast(pa.float64(), safe=False)))
    if column.kind in ("number", "place"):
        wrong = np.isinf(numbers)
        return np.where(wrong, np.nan, numbers), np.asarray(wrong)
    whole = pa.types.is_integer(array.type)
    texts = [
        None if x != x else str(int(x)) if x == int(x) else repr(x)  # noqa: PLR0124
        for x in np.where(np.isinf(numbers), np.nan, numbers).tolist()
    ]
    if whole:  # to the last digit
        texts = [None if x is None else str(x) for x in array.to_pylist()]
    if column.kind == "time" and not column.time_format:
        return empty_like(column, len(array)), ~np.isnan(numbers)
    values, wrong = _read(Coded.of(texts), column, _reader(column, zone))
    return values, wrong | np.isinf(numbers)


Reader = Callable[[str], Any]  # a value, None where the text means missing; else ValueError


def _read(texts: Coded, column: Column, reader: Reader) -> tuple[Values, Bools]:
    """Every distinct text read once."""
    found: list[Any] = []
    wrong = np.zeros(len(texts.labels) + 1, bool)  # code -1, missing, reads the last
    for i, text in enumerate(texts.labels):
        try:
            found.append(reader(text))
        except (ValueError, ArithmeticError, OSError):  # OSError: a clock beyond the system's
            found.append(None)
            wrong[i] = True
    found.append(None)
    if column.kind in ("number", "place"):
        table = np.array([np.nan if v is None else v for v in found], np.float64)
        return table[texts.codes], wrong[texts.codes]
    if column.kind == "time":
        stamps = np.array([np.datetime64(v or "NaT", "us") for v in found], "datetime64[us]")
        return stamps[texts.codes], wrong[texts.codes]
    labels = np.array(found, dtype=object)
    return Coded.of(labels[texts.codes]), wrong[texts.codes]


def _reader(column: Column, zone: str) -> Reader:
    if column.kind in ("number", "place"):
        return lambda text: _number(text, column)
    if column.kind == "time":
        return lambda text: _time(text, column, zone)
    if column.kind == "category" and not column.source_type.startswith(("string", "var", "char")):
        return lambda text: _label(text, column.source_type)
    return lambda text: text or None


def _number(text: str, column: Column) -> float | None:
    """As ingest reads it: 1,234.5 has thousands, 1.234,5 where the column has decimal commas."""
    text = text.strip()
    if text.lower() in BLANKS:
        return None
    if column.source_type == "boolean":
        return float(_TRUTH[text.lower()]) if text.lower() in _TRUTH else _none(text)
    if column.decimal_comma:
        if not COMMA_NUMBER.fullmatch(text):
            _none(text)  # 12.75 is not 1275
        text = text.replace(".", "").replace(",", ".")
    elif THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif text.lower() in ("true", "false"):
        return float(_TRUTH[text.lower()])
    number = float(text) if _NUMBER.fullmatch(text) else _none(text)
    return number if math.isfinite(number) else _none(text)  # 1e999


def _none(text: str) -> Any:
    raise ValueError(text)


def _label(text: str, source_type: str) -> str | None:
    """A label as Spark writes a value of the source's type: true, 1, 0.5."""
    text = text.strip()
    if text in MISSING_WORDS:
        return None
    if source_type == "boolean":
        return str(_TRUTH[text.lower()]).lower() if text.lower() in _TRUTH else _none(text)
    if source_type in WHOLE_TYPES or source_type.startswith(("float", "double", "decimal")):
        if not _NUMBER.fullmatch(text):
            _none(text)
        exact = Decimal(text)
        if exact == exact.to_integral_value() and abs(exact) < 10**19:
            return str(int(exact))
        if source_type in WHOLE_TYPES:
            _none(text)
        if source_type.startswith("decimal"):
            if abs(exact) >= _MOST_DECIMAL:
                _none(text)
            places = source_type.rstrip(")").rpartition(",")[2]
            return f"{exact:.{int(places)}f}"
        return _as_java(float(text))
    return text


def _as_java(value: float) -> str:
    """A number as Spark writes a double: 0.001, 1.0E-4, 1.25E7."""
    if 1e-3 <= abs(value) < 1e7:
        return repr(value)
    digits, _, power = f"{Decimal(repr(value)):E}".partition("E")
    return f"{digits if '.' in digits else digits + '.0'}E{int(power)}"


# ---- times --------------------------------------------------------------------------------------


def _time(text: str, column: Column, zone: str) -> str | None:
    """A local clock as ISO text."""
    text = text.strip()
    if text.lower() in BLANKS:
        return None
    form = column.time_format
    if form in ("epoch_s", "epoch_ms"):
        if not _NUMBER.fullmatch(text):
            _none(text)
        scale = _MILLION if form == "epoch_s" else 1_000
        micros = int((Decimal(text) * scale).to_integral_value())
        instant = datetime.fromtimestamp(micros // _MILLION, UTC).replace(
            microsecond=micros % _MILLION
        )
        return _local(instant, zone)
    if form:
        return _local(datetime.strptime(text, _for_reading(form)), zone)
    found = datetime.fromisoformat(text)
    return _local(found, zone) if _ZONED.search(text) else found.isoformat()


def _local(found: datetime, zone: str) -> str:
    if found.tzinfo is not None:
        found = found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return found.isoformat()


def _for_reading(form: str) -> str:
    for short, long in _LONGER.items():
        form = form.replace(short, long)
    return form.replace("%-", "%").replace("%:z", "%z")


def _time_text(value: np.datetime64, column: Column, zone: str) -> str:
    """A local clock as the source writes it."""
    clock: datetime = value.astype("datetime64[us]").item()
    form = column.time_format
    if form in ("epoch_s", "epoch_ms"):
        instant = clock.replace(tzinfo=ZoneInfo(zone))
        micros = round((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * _MILLION)
        return str(micros // (_MILLION if form == "epoch_s" else 1_000))
    if form:
        for short, long in _LONGER.items():
            form = form.replace(short, long)
        aware = clock.replace(tzinfo=ZoneInfo(zone))
        offset = aware.strftime("%z")
        return aware.strftime(form.replace("%:z", f"{offset[:3]}:{offset[3:]}"))
    if column.source_type == "date":
        return clock.date().isoformat()
    return clock.isoformat(" ")


# ---- back ---------------------------------------------------------------------------------------


def texts_of(values: Values, column: Column, zone: str = "UTC") -> list[str | None]:
    """Our values as the texts that a source of the column's type would hold; None where missing."""
    if isinstance(values, Coded):
        return list(values.texts())
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return [None if np.isnat(v) else _time_text(v, column, zone) for v in array]
    if array.dtype.kind == "O":
        return [None if v is None else str(v) for v in array.tolist()]
    return [None if x != x else _number_text(x, column) for x in array.tolist()]  # noqa: PLR0124


def _number_text(value: float, column: Column) -> str:
    if column.source_type == "boolean":
        return "true" if value else "false"
    whole = value == int(value) and abs(value) < 1e15
    text = str(int(value)) if whole else repr(value)
    if column.decimals is not None:
        text = f"{value:.{column.decimals}f}"
    return text.replace(".", ",") if column.decimal_comma else text


def array_of(
    values: Values, column: Column, kind: pa.DataType | None = None, zone: str = "UTC"
) -> pa.Array:
    """Our values in the type of the source, or in another that the column may have.

    Args:
        values: Of shape (rows,).
        column: Of the schema.
        kind: The Arrow type; by the source's type if not said.
        zone: Of the local clock.
    """
    kind = _usual(column) if kind is None else kind
    if pa.types.is_dictionary(kind):
        return array_of(values, column, kind.value_type, zone).dictionary_encode()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _times_array(values, kind, zone)
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    plain = None if isinstance(values, Coded) else np.asarray(values)
    if numbers and plain is not None and plain.dtype.kind == "f":
        rounded = np.rint(plain) if pa.types.is_integer(kind) else plain
        return pa.array(rounded, from_pandas=True).cast(kind, safe=False)
    texts = texts_of(values, column, zone)
    read: dict[bool, Callable[[str], Any]] = {
        bool(pa.types.is_boolean(kind)): lambda text: _TRUTH.get(text.lower()),
        bool(pa.types.is_integer(kind)): int,
        bool(pa.types.is_floating(kind)): float,
        bool(pa.types.is_decimal(kind)): Decimal,
    }
    as_is = pa.string() if pa.types.is_null(kind) else kind
    return pa.array([t if t is None or True not in read else read[True](t) for t in texts], as_is)


def _times_array(values: Values, kind: pa.DataType, zone: str) -> pa.Array:
    times = pa.array(np.asarray(values, "datetime64[us]"))
    if pa.types.is_timestamp(kind) and kind.tz:
        times = pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent="earliest")
    return times.cast(kind, safe=False)


def _usual(column: Column) -> pa.DataType:
    """The Arrow type of the source's."""
    name = column.source_type.partition("(")[0]
    if column.kind == "time":
        if column.time_format.startswith("epoch"):
            return pa.int64() if name in WHOLE_TYPES else pa.string()
        plain = {"date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}
        plain["timestamp_ntz"] = pa.timestamp("us")
        return pa.string() if column.time_format else plain.get(name, pa.string())
    known = {
        "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
        "float": pa.float32(), "double": pa.float64(), "decimal": pa.float64(),
        "boolean": pa.bool_(),
    }  # fmt: skip
    return known.get(name, pa.string())
