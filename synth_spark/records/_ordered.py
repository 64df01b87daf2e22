"""Ids that run with another column: in a flat table, or with time within the subjects of events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.schema import EXACT, WHOLE_TYPES
from synth_spark.records import _names
from synth_spark.records._profile import Profile

GROUPS = 20  # of a column's rows, by value
ROWS = 10  # a group at least
RISING = 0.75  # of a subject's new ids that are above the one before
MANY_IDS = 100  # values, below which a column of ids holds labels
PAIRS = 200  # of new ids of one subject, below which nothing is said
DOUBT = 8.0  # standard deviations above what chance makes of a chi-square


def runs_with(profiles: Mapping[str, Profile], named: str = "") -> dict[str, str]:
    """Ids that are whole numbers and hang on another column, and the column that tells most.

    Args:
        profiles: Of the columns of one sample.
        named: The column that the user named as the key: it stays one.

    Returns:
        Id to other column.
    """
    ids = [n for n, p in profiles.items() if n != named and _is_serial(p)]
    out: dict[str, str] = {}
    for name in ids:
        order = _groups(profiles[name])
        told = {
            n: _excess(order, _groups(p))
            for n, p in profiles.items()
            if n not in ids and n != named
        }
        best = max(told, key=lambda n: told[n], default="")
        if best and told[best] > DOUBT:
            out[name] = best
    return out


def count_up(profiles: Mapping[str, Profile], key: str, time: str) -> frozenset[str]:
    """Ids of events that repeat and rise with time within their subjects: numbers of alarms.

    Two subjects may have the same ones, so that they look like labels that many share.

    Args:
        profiles: Of the columns of one sample.
        key: The column of the subjects.
        time: The column that orders their events.
    """
    order = _order(profiles[time])
    if order is None:
        return frozenset()
    at, owner = order[profiles[time].codes], profiles[key].codes
    rows = np.lexsort((at, owner))
    rows = rows[(profiles[time].codes[rows] >= 0) & (owner[rows] >= 0)]
    found = set()
    for name, column in profiles.items():
        known = column.is_integer and _names.is_id(column.name) and name not in (key, time)
        if known and column.distinct > MANY_IDS and not column.nearly_unique:
            codes = column.codes[rows]
            there, who = rows[codes >= 0], owner[rows[codes >= 0]].astype(np.int64)
            value = who * len(column.labels) + column.codes[there]
            first = np.sort(np.unique(value, return_index=True)[1])  # of each id of each subject
            number = column.numbers()[column.codes[there[first]]]
            of_one = who[first][1:] == who[first][:-1]
            if of_one.sum() >= PAIRS and (np.diff(number)[of_one] > 0).mean() >= RISING:
                found.add(name)
    return frozenset(found)


def _is_serial(column: Profile) -> bool:
    if not (column.is_integer and column.unique and column.rows >= GROUPS * ROWS):
        return False
    named = _names.is_id(column.name) or _names.key_strength(column.name) >= 2
    largest = max(abs(int(v)) for v in column.labels)
    room = min(WHOLE_TYPES.get(column.base, EXACT), EXACT)  # for a twin ten times as large
    return named and largest + 10 * column.whole_rows < room


def _groups(column: Profile) -> NDArray[np.int64]:
    """The group of each row: a twentieth of the rows by value, a frequent label, or none."""
    order = _order(column)
    if order is None:
        few = column.counts < max(column.rows / GROUPS / 2, ROWS)
        kept = np.where(few, len(few), np.arange(len(few)))
        return np.append(kept, len(few) + 1)[column.codes]
    there = column.codes >= 0
    values = order[column.codes[there]]
    out = np.full(column.rows, GROUPS, np.int64)
    count = min(GROUPS, len(values) // ROWS)
    if count > 1:
        cuts = np.unique(np.quantile(values, np.arange(1, count) / count))
        out[there] = np.searchsorted(cuts, values, side="right")
    return out


def _order(column: Profile) -> NDArray[np.float64] | None:
    """Where each label of the sample stands among the others, shape (labels,); None: nowhere."""
    labels = column.labels
    if column.is_number and len(labels) > GROUPS:
        return column.numbers()
    form = column.time_format() if column.is_text else ""
    if not column.is_time and not form:
        return None
    times = [_time(label, form) for label in labels]
    rank = np.zeros(len(labels))
    rank[sorted(range(len(labels)), key=lambda i: times[i])] = np.arange(len(labels))
    return rank


def _time(label: Any, form: str) -> Any:
    """What a time sorts by; a text that is none comes first."""
    if not form:
        return label
    try:
        return datetime.strptime(label.strip(), form)
    except ValueError:
        return datetime.min


def _excess(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    """Chi-square of two groupings beyond its mean, in its standard deviations."""
    (rows, left), (columns, right) = (_counted(g) for g in (left, right))
    freedom = (len(rows) - 1) * (len(columns) - 1)
    if not freedom:
        return 0.0
    seen = np.zeros((len(rows), len(columns)))
    np.add.at(seen, (left, right), 1)
    expected = np.outer(rows, columns) / len(left)
    return float((((seen - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom))


def _counted(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return counts, codes
