"""The tables of columns that follow from another one: counted over all rows, then judged.

State, per candidate: its keys, and per key the rows, and of each child every value with its rows
and subjects, so that parts merge in any order. `finish` keeps what holds, and of it what enough
subjects hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.determined import Determined, Group, How, reals
from synth_spark.columns.formula import SLIPS, Formula, kept
from synth_spark.columns.survey import values_of
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Column, Schema

Codes = NDArray[np.int64]
EXCEPTIONS = 1e-4  # share of the rows that may disagree: a rare mark must not be smoothed away
MANY_VALUES = 20
COVERED = 0.8  # share of the rows whose key is held by enough subjects
COVERED_UNUSUAL = 0.5  # the same, of the rows without a child's usual value
MOST_KEYS = 65_536


@dataclass(frozen=True, slots=True)
class Candidate:
    """Children of one parent that followed from it in the sample."""

    parent: str
    part: str
    how: How
    children: tuple[str, ...]
    edges: tuple[float, ...] = ()  # by range
    second: str = ""  # by pair

    @property
    def parents(self) -> tuple[str, ...]:
        """The columns that they hang on."""
        return (self.parent, self.second) if self.second else (self.parent,)


def exceptions(values: int) -> float:
    """Share of the rows that may disagree, for a child of so many values."""
    return SLIPS if values >= MANY_VALUES else EXCEPTIONS


def codes_of(values: Values) -> tuple[Codes, int]:
    """Equal values as equal whole numbers from 0, missing among them; and how many there are."""
    if isinstance(values, Coded):
        there, codes = np.unique(values.codes, return_inverse=True)
        return codes.astype(np.int64), len(there)
    array = np.asarray(values)
    if array.ndim == 2:
        left, right = codes_of(array[:, 0]), codes_of(array[:, 1])
        return codes_of(left[0] * right[1] + right[0])
    there, codes = np.unique(array, return_inverse=True)  # NaN and NaT are one value each
    return codes.astype(np.int64), len(there)


def count(schema: Schema, candidates: Sequence[Candidate | Formula], records: Records) -> list[Any]:
    """Per candidate the keys, and per key its rows and the children's values."""
    return [_count(schema, c, records) for c in candidates]


def _count(schema: Schema, candidate: Candidate | Formula, records: Records) -> dict[str, Any]:
    if isinstance(candidate, Formula):
        return dict(candidate.counted(records))
    values = records.columns[candidate.parent]
    keys: list[Any]
    if candidate.how == "label":
        keys, codes = _labels(values)
    elif candidate.how == "pair":
        first, left = _labels(values)
        second, right = _labels(records.columns[candidate.second])
        there, codes = np.unique(left * len(second) + right, return_inverse=True)
        keys = [(first[i // len(second)], second[i % len(second)]) for i in there]
    else:
        x = reals(values, candidate.part)
        if candidate.how == "range":
            missing = ~np.isfinite(x)
            x = np.searchsorted(np.array(candidate.edges), x, "right").astype(np.float64)
            x[missing] = np.nan
        real, codes = np.unique(x, return_inverse=True)
        keys = [float(v) if np.isfinite(v) else None for v in real]
    told = [
        _values(codes.astype(np.int64), len(keys), values_of(schema.column(c), records), records)
        for c in candidate.children
    ]
    rows = np.bincount(codes, minlength=len(keys)).tolist()
    found: dict[str, Any] = {"keys": keys, "rows": rows, "children": told}
    return found if len(keys) <= MOST_KEYS else {"keys": None}


def _labels(values: Values) -> tuple[list[str | None], Codes]:
    """The labels that occur, None for missing, and each row's place among them."""
    assert isinstance(values, Coded)
    there, codes = np.unique(values.codes, return_inverse=True)
    return [values.labels[i] if i >= 0 else None for i in there], codes.astype(np.int64)


def _values(keys: Codes, size: int, values: Values, records: Records) -> list[dict[Any, list[int]]]:
    """Per key, each value with its rows and its subjects."""
    codes, many = codes_of(values)
    pair, subjects = keys * many + codes, max(records.subjects, 1)
    there, first, rows = np.unique(pair, return_index=True, return_counts=True)
    spoken = np.unique(pair * subjects + records.owners) // subjects
    held = np.unique(spoken, return_counts=True)[1]
    out: list[dict[Any, list[int]]] = [{} for _ in range(size)]
    named = _plain(values, first.astype(np.int64))
    for key, value, n, h in zip(there // many, named, rows.tolist(), held.tolist(), strict=True):
        out[key][value] = [n, h]
    return out


def _plain(values: Values, rows: NDArray[np.int64]) -> list[Any]:
    if isinstance(values, Coded):
        return list(values[rows].texts())
    array = np.asarray(values)[rows]
    if array.ndim == 2:
        return [tuple(None if np.isnan(v) else float(v) for v in pair) for pair in array]
    return [None if np.isnan(v) else float(v) for v in array]


def merge(left: list[Any], right: list[Any]) -> list[Any]:
    """The states of two parts with different subjects."""
    return [_merged(a, b) for a, b in zip(left, right, strict=True)]


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    if "off" in left:
        return {name: n + right[name] for name, n in left.items()}
    if left["keys"] is None or right["keys"] is None:
        return {"keys": None}
    place = {key: i for i, key in enumerate(left["keys"])}
    for j, key in enumerate(right["keys"]):
        if key not in place:
            place[key] = len(place)
            left["keys"].append(key)
            left["rows"].append(0)
            for child in left["children"]:
                if child is not None:
                    child.append({})
        left["rows"][place[key]] += right["rows"][j]
    left["children"] = [
        _joined(a, b, [place[key] for key in right["keys"]])
        for a, b in zip(left["children"], right["children"], strict=True)
    ]
    return left if len(left["keys"]) <= MOST_KEYS else {"keys": None}


def _joined(
    left: list[dict[Any, list[int]]] | None,
    right: list[dict[Any, list[int]]] | None,
    at: list[int],
) -> list[dict[Any, list[int]]] | None:
    """The values of two parts; None once they are too many for a column that follows."""
    if left is None or right is None:
        return None
    for i, values in zip(at, right, strict=True):
        for value, (rows, subjects) in values.items():
            mine = left[i].setdefault(value, [0, 0])
            mine[0] += rows
            mine[1] += subjects
    return left if sum(map(len, left)) <= 2 * MOST_KEYS else None


def finish(
    schema: Schema, candidates: Sequence[Candidate | Formula], state: list[Any], min_subjects: int
) -> Determined:
    """The candidates that hold over all rows, each with its table."""
    groups = [
        group
        for candidate, counted in zip(candidates, state, strict=True)
        if (group := _held(schema, candidate, counted, min_subjects)) is not None
    ]
    return Determined(tuple(groups))


def _held(
    schema: Schema, candidate: Candidate | Formula, counted: dict[str, Any], min_subjects: int
) -> Group | Formula | None:
    if isinstance(candidate, Formula):
        return candidate if kept(counted, min_subjects) else None
    return _group(schema, candidate, counted, min_subjects)


def _group(
    schema: Schema, candidate: Candidate, counted: dict[str, Any], min_subjects: int
) -> Group | None:
    parents = [p for p in (candidate.parent, candidate.second) if p]
    per_subject = all(schema.column(p).per == "subject" for p in parents)
    head = (candidate.parent, candidate.second, candidate.part, candidate.how, per_subject)
    if counted["keys"] is None:
        return None
    keys, rows = counted["keys"], np.array(counted["rows"], np.float64)
    held, best = np.ones(len(keys), bool), {}
    for name, child in zip(candidate.children, counted["children"], strict=True):
        chosen = None if child is None else [_heaviest(values) for values in child]
        if chosen is None:
            continue
        off = rows.sum() - sum(n for _, n, _ in chosen)
        told = np.array([h >= min_subjects for _, _, h in chosen])
        values = [value for value, _, _ in chosen]
        if off <= exceptions(len(set(values))) * rows.sum() and _tells(values, rows, told):
            best[name] = values
            held &= told
    order = sorted((i for i in range(len(keys)) if held[i]), key=lambda i: _rank(keys[i]))
    if candidate.how == "range" and (len(order) != len(keys) or not _whole(keys, candidate)):
        return None  # a range held by too few cannot be left out: the ones beside it would grow
    if not best or rows[order].sum() < COVERED * rows.sum():
        return None
    children = list(best)
    tables = [_table([best[n][i] for i in order], schema.column(n)) for n in children]
    if candidate.how == "range":
        missing = [np.nan] if None in keys else []
        real = np.array([*candidate.edges, *missing])
    else:
        plain = [keys[i] for i in order] if candidate.how == "value" else []
        real = np.array([np.nan if k is None else k for k in plain], np.float64)
    named = [keys[i] for i in order] if candidate.how in ("label", "pair") else []
    pairs = candidate.how == "pair"
    labels = tuple(key[0] if pairs else key for key in named)
    seconds = tuple(key[1] for key in named) if pairs else ()
    return Group(*head, tuple(children), labels, seconds, real, rows[order], tuple(tables))


def _tells(values: list[Any], rows: NDArray[np.float64], told: NDArray[np.bool_]) -> bool:
    """Whether the keys that are told cover half of the rows without the usual value too."""
    place = {value: i for i, value in enumerate(dict.fromkeys(values))}
    which = np.array([place[value] for value in values])
    unusual = which != np.bincount(which, rows).argmax()
    return bool(rows[told & unusual].sum() >= COVERED_UNUSUAL * rows[unusual].sum())


def _heaviest(values: dict[Any, list[int]]) -> tuple[Any, int, int]:
    """The value with the most rows (the last in order among equals), its rows and subjects."""
    value = max(values, key=lambda v: (values[v][0], repr(v)))
    return value, *values[value]


def _rank(key: Any) -> Any:
    """Keys in ascending order, missing last."""
    if isinstance(key, tuple):
        return tuple(_rank(half) for half in key)
    return (key is None, 0 if key is None else key)


def _whole(keys: list[Any], candidate: Candidate) -> bool:
    """Whether every range has rows."""
    return {k for k in keys if k is not None} == set(range(len(candidate.edges) + 1))


def _table(values: list[Any], column: Column) -> Values:
    if column.partner:
        return np.array([[np.nan if v is None else v for v in pair] for pair in values])
    if column.kind == "number" or not all(v is None or isinstance(v, str) for v in values):
        return np.array([np.nan if v is None else v for v in values], np.float64)
    return Coded.of(values)
