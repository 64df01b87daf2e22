"""The kind of one column, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_spark.core.schema import EXACT, Column
from synth_spark.records import _names
from synth_spark.records._lines import lines_in
from synth_spark.records._profile import Profile
from synth_spark.records._roles import time_format
from synth_spark.records._times import compact_format_of
from synth_spark.records._within import NUMBER_SHARE, Owners, is_own_id

MANY = 1_000  # category values above which the report is told that rare ones are grouped
LONE_SHARE = 0.2  # values per row above which most values of a category would be grouped as rare
MANY_PARTIES = 100  # values from which a column of other parties counts as ids


def column_of(  # noqa: PLR0911 (a list of cases)
    column: Profile,
    profiles: Mapping[str, Profile],
    pairs: Mapping[str, str],
    *,
    key: str,
    events: bool,
    time: str,
) -> tuple[Column, str]:
    """One column of the schema and why; the key itself is not asked about.

    Args:
        column: The column, measured.
        profiles: All columns.
        pairs: Latitudes to longitudes, by name.
        key: The key column, or "".
        events: Whether the table holds events.
        time: The column that orders them.
    """
    if column.name == time:
        form = time_format(column, named=True)
        return _made(column, "time", f"orders the events{_as(form)}", time_format=form or "")
    if not len(column.labels):
        return _made(column, "category", "all missing in the sample: kept, always missing")
    place = _place(column, profiles, pairs)
    if place:
        return place
    if column.base == "boolean":
        return _made(column, "category", "true or false")
    form = time_format(column)
    if form is not None and not form.startswith("%H"):
        return _made(column, "time", f"holds times{_as(form)}", time_format=form)
    owners = Owners.of(profiles[key] if key and events else None)
    if column.is_number:
        return _number(column, owners, events=events)
    return _text(column, profiles, owners)


def _place(
    column: Profile, profiles: Mapping[str, Profile], pairs: Mapping[str, str]
) -> tuple[Column, str] | None:
    backwards = {lon: lat for lat, lon in pairs.items()}
    lat = column.name if column.name in pairs else backwards.get(column.name, "")
    if not lat:
        return None
    lon = pairs[lat]
    for name, bound in ((lat, 90.0), (lon, 180.0)):
        measured = profiles[name]
        values = measured.numbers() if measured.is_number else np.array([np.nan])
        good = np.abs(values) <= bound
        if measured.is_integer or not len(good) or good.mean() < 0.99:
            return None
    if column.name == lat:
        return _made(column, "place", f"latitudes; {lon} are their longitudes", partner=lon)
    return _made(column, "place", f"longitudes of {lat}")


def _number(  # noqa: PLR0911 (a list of cases)
    column: Profile, owners: Owners, *, events: bool
) -> tuple[Column, str]:
    if not _other_party(column) and is_own_id(column, owners):
        return _own_id(column, owners)
    if _beyond_exact(column):
        return _long_number(column)
    values = column.numbers()
    if column.is_integer and set(values.tolist()) <= {0.0, 1.0} and len(values) == 2:
        return _made(column, "category", "only 0 and 1: a flag")
    if not column.is_integer:
        return _made(column, "number", "numbers")
    repeats = len(values) <= max(30, 0.02 * column.rows)
    if not (_names.is_code(column.name) or (_names.may_be_code(column.name) and repeats)):
        if _names.is_id(column.name) and column.nearly_unique:
            return _made(column, "identifier", "an id, different in nearly every row: made anew")
        return _made(column, "number", "whole numbers")
    if column.nearly_unique and (_names.is_id(column.name) or not events):
        return _made(column, "identifier", "an id, different in nearly every row: made anew")
    if _names.is_line_number(column.name) and _dense(values) and len(values) > 20:
        return _made(column, "number", "a count of rows: whole numbers without gaps")
    if _other_party(column):
        return _counterpart(column, f"{column.distinct:,} ids of other parties")
    if column.distinct > LONE_SHARE * column.whole_rows and column.distinct > MANY_PARTIES:
        return _made(column, "number", "whole numbers; as names, most would be too rare to tell")
    return _category(column, "whole numbers that are names, by the column's name")


def _beyond_exact(column: Profile) -> bool:
    """Whether all values are whole numbers, and one lies beyond `EXACT`."""
    if column.base in {"float", "double"}:
        return False  # such a value has lost its digits before it came here
    if column.is_text:
        digits = [v.strip().lstrip("+-") for v in column.labels]
        whole = all(d.isdigit() for d in digits)
        return whole and max(map(len, digits)) > 15 and any(int(d) > EXACT for d in digits)
    return any(abs(v) > EXACT for v in column.labels) and all(v == int(v) for v in column.labels)


def _long_number(column: Profile) -> tuple[Column, str]:
    """Whole numbers of 16 digits and more: ids or codes, unless they count time."""
    if column.nearly_unique and not _names.is_time(column.name):
        reason = "whole numbers beyond 2^53 that differ in nearly every row: made anew"
        return _made(column, "identifier", reason)
    if column.distinct <= MANY and not _names.is_time(column.name):
        return _category(column, "whole numbers beyond 2^53, taken as names")
    return _made(column, "number", "whole numbers; beyond 2^53 their last digits are rounded")


def _text(  # noqa: PLR0911 (a list of cases)
    column: Profile, profiles: Mapping[str, Profile], owners: Owners
) -> tuple[Column, str]:
    like, events = column.looks_like_id(), bool(owners.name)
    if events and _shares_ids(column, profiles[owners.name].labels):
        return _counterpart(column, f"shares ids with {owners.name}: other parties")
    if _other_party(column) and (like or column.distinct > 10 * MANY_PARTIES):
        return _counterpart(column, f"{column.distinct:,} ids of other parties")
    if is_own_id(column, owners):
        return _own_id(column, owners)
    if _beyond_exact(column):
        return _long_number(column)
    coded = _names.is_code(column.name) or bool(compact_format_of(column.labels[:50]))
    if like and events and column.distinct > 10 * MANY_PARTIES and not coded:
        return _counterpart(column, f"{column.distinct:,} values like a {like}: other parties")
    if column.number_share() >= NUMBER_SHARE and not (
        like or coded or _flag(column) or _names.key_strength(column.name)
    ):
        blanks = column.blanks()
        more = f"; {blanks:,} blank texts in the sample count as missing" if blanks else ""
        if column.decimal_comma:
            reason = f"numbers held as text with a decimal comma{more}"
            return _made(column, "number", reason, decimal_comma=True, decimals=column.decimals)
        return _made(column, "number", f"numbers held as text{more}", decimals=column.decimals)
    said = lines_in(column)
    if said:
        return _made(column, "text", said)
    if column.nearly_unique and column.distinct > 20:
        return _made(
            column, "identifier", "text that differs in nearly every row: made anew, not learned"
        )
    return _category(column, "texts")


def _flag(column: Profile) -> bool:
    return {v.strip() for v in column.labels} <= {"0", "1"}


def _other_party(column: Profile) -> bool:
    return _names.other_party(column.name) and column.distinct > MANY_PARTIES


def _shares_ids(column: Profile, owners: tuple[Any, ...]) -> bool:
    """Whether values are also keys: an event of one subject that names another."""
    if len(owners) < 5 or _names.key_strength(column.name) >= 2:
        return False
    shared = len(set(owners) & set(column.labels))
    return shared >= 5 and shared >= 0.2 * len(owners)


def _dense(values: np.ndarray[Any, Any]) -> bool:
    return bool(values.max() - values.min() + 1 <= 1.05 * len(values))


def _counterpart(column: Profile, reason: str) -> tuple[Column, str]:
    return _made(column, "identifier", f"{reason}; hashed, made anew in the twin", counterpart=True)


def _own_id(column: Profile, owners: Owners) -> tuple[Column, str]:
    reason = f"an id within {owners.name}: nearly all of its {column.distinct:,} values"
    return _made(column, "identifier", f"{reason} belong to one {owners.name} only; made anew")


def _category(column: Profile, reason: str) -> tuple[Column, str]:
    if len(column.labels) == 1:
        return _made(column, "category", f"{reason}; one value in the whole sample")
    many = f"{column.distinct:,} values"
    rare = column.distinct > MANY or column.distinct > LONE_SHARE * column.whole_rows
    grouped = ", the rare ones are grouped" if rare else ""
    return _made(column, "category", f"{reason}, {many}{grouped}")


def _as(form: str | None) -> str:
    if not form:
        return ""
    return f", written as {form}" if form.startswith("%") else f", counted from 1970 ({form})"


def _made(column: Profile, kind: Any, reason: str, **rest: Any) -> tuple[Column, str]:
    made = Column(name=column.name, kind=kind, source_type=column.spark_type, **rest)
    return made, f"{kind}: {reason}"
