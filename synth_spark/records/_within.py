"""Ids within a subject (sessions, trips, SIMs): columns whose values nearly all have one owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.records import _names
from synth_spark.records._profile import BLANKS, Profile

OWN_SHARE = 0.9  # of the repeated values that must have one owner; two may share a phone or a trip
FEW = 5  # owners from which a value would be a label that is released
FEW_ROWS_SHARE = 0.9  # of the rows that must have values of fewer owners than that
CHANCE = 0.5  # of the repeated values that may have one owner by chance alone
MANY_OWN = 30  # values above which a column may hold ids; fewer, where subjects are fewer still
REPEATED = 10  # values that must stand in two rows of the sample: fewer prove nothing
NUMBER_SHARE = 0.99  # of the rows with a text, for a column of texts to be numbers
ROWS_A_VALUE = 1.5  # on average over the table; ids of single rows are not these


@dataclass(frozen=True, slots=True)
class Owners:
    """The subjects of a sample of events, and how many there are in the table."""

    name: str  # of the key; "": none is known, nothing is within a subject
    codes: NDArray[np.int32] = field(repr=False)  # (rows,), -1 missing
    subjects: int

    @classmethod
    def of(cls, key: Profile | None) -> Owners:
        """The owners that the key names."""
        none = np.zeros(0, np.int32)
        return cls(key.name, key.codes, key.distinct) if key else cls("", none, 0)


def have_one_owner(column: Profile, owners: Owners) -> bool:
    """Whether nearly all of many values that stand in several rows each belong to one subject.

    One label that all use for half of the rows makes a category, whatever the others are.
    Values seen once say nothing. The first rows of a table, where a subject's may stand together,
    find the repeats; rows from all over it find the values that subjects share. What would have
    one owner anyway, as where nearly all rows are of one subject, is no evidence.
    """
    many = column.distinct > MANY_OWN or column.distinct > owners.subjects
    there = column.whole_rows * (column.rows - column.missing) / column.rows
    if not owners.name or not many or there < ROWS_A_VALUE * column.distinct:
        return False
    there_is = np.array([str(v).strip().lower() not in BLANKS for v in column.labels], bool)
    known = (column.codes >= 0) & (owners.codes >= 0) & there_is[column.codes]
    value, owner = column.codes[known].astype(np.int64), owners.codes[known].astype(np.int64)
    size = len(column.labels)
    rows = np.bincount(value, minlength=size)
    held = np.bincount(np.unique(owner * size + value) % size, minlength=size)
    repeated = rows >= 2
    if repeated.sum() < REPEATED:
        return False
    held, weight = held[repeated], rows[repeated]
    plain = (held == 1).mean() >= OWN_SHARE
    plain &= weight[held < FEW].sum() >= FEW_ROWS_SHARE * weight.sum()
    return bool(plain and _by_chance(weight, np.bincount(owner)) <= CHANCE)


def _by_chance(weight: NDArray[np.int64], of_owner: NDArray[np.int64]) -> float:
    """Share of values with one owner if every row of a value fell to any subject by its rows."""
    share = of_owner / of_owner.sum()
    sizes, times = np.unique(weight, return_counts=True)
    return float(sum(n * (share**k).sum() for k, n in zip(sizes, times, strict=True)) / len(weight))


def is_own_id(column: Profile, owners: Owners) -> bool:
    """Whether a column of texts or whole numbers holds ids within the subject.

    Numbers, written as such or as texts, need a name that says so: an odometer's kilometres have
    one owner, too.
    """
    if not have_one_owner(column, owners):
        return False
    if column.is_text and column.number_share() < NUMBER_SHARE:
        return True
    whole = column.is_integer or _whole(column.numbers())
    return whole and _names.is_own_id(column.name) and not _names.is_time(column.name)


def _whole(values: NDArray[Any]) -> bool:
    there = values[~np.isnan(values)]
    return bool((there == np.floor(there)).all())
