"""Which column names the subject, which orders its events, and which never change within it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.records import _names
from synth_spark.records._profile import Profile
from synth_spark.records._times import compact_format_of, epoch_unit_of

MIN_ROWS_A_SUBJECT = 3.0  # on average in the sample, for a column to be a key of events
MIN_SUBJECTS = 10  # that must agree with themselves before a column is per subject
MIN_PAIRS = 100  # pairs of rows of one subject that must agree before a column is per subject


def time_format(column: Profile, *, named: bool = False) -> str | None:
    """How a column holds times: "" typed, a format, or None if it holds none.

    Args:
        column: The column.
        named: The caller says that it is a time, whatever its name.
    """
    if column.is_time:
        return ""
    sounds = named or _names.is_time(column.name)
    if column.is_text:
        form = column.time_format()
        if not form and sounds:
            form = compact_format_of([str(v) for v in column.labels[:500]])
        return form or None
    if column.is_number and sounds and column.base != "decimal" and len(column.labels):
        unit = epoch_unit_of(column.numbers())
        if not unit and column.is_integer:
            unit = compact_format_of([str(v) for v in column.labels[:500]])
        return unit or None
    return None


def find_time(profiles: Mapping[str, Profile], key: str) -> str:
    """The column that best orders events: complete, by name, with many values; "" for none."""
    best: tuple[tuple[float, ...], str] | None = None
    for place, (name, column) in enumerate(profiles.items()):
        if name == key or column.missing > 0.05 * column.rows:
            continue
        form = time_format(column)
        if form is None or form.startswith("%H") or column.distinct < 2:
            continue
        fine = column.base != "date" and ("%H" in form or not form.startswith("%"))
        sounds = bool({"time", "timestamp", "ts", "datetime", "at"} & set(_names.words(name)))
        later = bool({"end", "ended", "updated", "until", "birth"} & set(_names.words(name)))
        rank = (float(fine), float(not later), float(sounds), -float(column.missing), -float(place))
        if best is None or rank > best[0]:
            best = (rank, name)
    return best[1] if best else ""


def find_key(profiles: Mapping[str, Profile], time: str) -> str:
    """The column that sounds like the subject of events and repeats; "" for none.

    A table with an id of a person or a unit that differs in every row is flat, whatever repeats.
    A unit by its bare name (`device`) counts only where times have a clock: a table of customers
    with their device and the date they joined holds no events.
    """
    if any(c.unique and _names.key_strength(n) >= 2 for n, c in profiles.items()):
        return ""
    form = time_format(profiles[time], named=True) or ""
    daily = profiles[time].base == "date" or (form.startswith("%") and "%H" not in form)
    best: tuple[tuple[float, ...], str] | None = None
    for place, (name, column) in enumerate(profiles.items()):
        strength = _names.key_strength(name)
        if name == time or not strength or not (column.is_text or column.is_integer):
            continue
        if strength == 1 and daily:
            continue
        if column.missing > 0.01 * column.rows or time_format(column) is not None:
            continue
        in_sample = len(column.labels)
        if in_sample > column.rows / MIN_ROWS_A_SUBJECT or column.distinct < 3:
            continue
        rank = (float(strength), -float(place))
        if best is None or rank > best[0]:
            best = (rank, name)
    return best[1] if best else ""


def flat_key(profiles: Mapping[str, Profile]) -> str:
    """The id of a flat table: differs in every row and sounds or looks like an id; "" for none."""
    for name, column in profiles.items():
        if not column.unique or not (column.is_text or column.is_integer):
            continue
        if time_format(column) is not None:
            continue
        named = _names.is_id(name) or _names.key_strength(name) >= 2
        if named or (column.is_text and column.looks_like_id()):
            return name
    return ""


def constant_within(profiles: Mapping[str, Profile], key: str, time: str) -> frozenset[str]:
    """The columns that are the same in all rows of each subject of the sample.

    `MIN_SUBJECTS` subjects with several rows (or all that there are, but two) and `MIN_PAIRS` pairs
    of rows (or a small sample's half) must speak for it; a column with one value in the whole
    sample says nothing and is left.
    """
    owners = profiles[key].codes
    order = np.argsort(owners, kind="stable")
    same_owner = owners[order][1:] == owners[order][:-1]
    pairs = int(same_owner.sum())
    subjects = len(np.unique(owners[order][1:][same_owner])) if pairs else 0
    wanted = max(2, min(MIN_SUBJECTS, profiles[key].distinct))
    if subjects < wanted or pairs < min(MIN_PAIRS, len(owners) // 2):
        return frozenset()
    found = []
    for name, column in profiles.items():
        values = column.codes[order]
        varied = len(np.unique(values)) > 1
        if name not in (key, time) and varied and _same(values, same_owner):
            found.append(name)
    return frozenset(found)


def _same(values: NDArray[np.int32], same_owner: NDArray[np.bool_]) -> bool:
    return bool((values[1:][same_owner] == values[:-1][same_owner]).all())
