"""Which columns follow from others: looked up by one or two of them, or computed.

A candidate is found on a sample and then counted over all rows. It has to hold on all but one row
in 10,000, and to be told by subjects that agree with each other: a parent whose every key is held
by one subject determines everything and tells nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._calendar import DAY_US, PARTS
from synth_spark.columns._determined_tables import (
    COVERED,
    COVERED_UNUSUAL,
    MOST_KEYS,
    Candidate,
    Codes,
    codes_of,
    count,
    exceptions,
    finish,
    merge,
)
from synth_spark.columns._formula_search import added, written
from synth_spark.columns.determined import Determined, How, reals
from synth_spark.columns.formula import Formula
from synth_spark.columns.survey import surveyed, values_of
from synth_spark.core.batch import Coded, Records
from synth_spark.core.ports import Fold, Learning, Take
from synth_spark.core.schema import Column, Schema

SAMPLE_ROWS = 50_000
_SCREEN_ROWS = 2_000
_EVIDENCE_NATS = 30.0
_MOST_VALUES = 512  # of a number that is a key
_MOST_RANGES = 64
_MOST_HALF = 4_096  # labels of a column that is half of a pair
_MOST_PAIRED = 24  # columns that are tried in pairs
_STEPS = (*(10.0**k for k in range(9, -7, -1)),)
_STEPS_US = (float(DAY_US), 3.6e9, 6e7, 1e6, 1.0)


def determined(schema: Schema, min_subjects: int) -> Learning:
    """Tell the story of the search; returns a `Determined`.

    Args:
        schema: Of the table.
        min_subjects: A key held by fewer subjects is not told.
    """
    schema = replace(schema, columns=tuple(c for c in schema.columns if not c.unique))  # made anew
    sample: Records = yield Take(subjects=SAMPLE_ROWS, rows=SAMPLE_ROWS)
    candidates = search(schema, sample, min_subjects)
    if not candidates:
        return Determined()
    if schema.shape == "flat" and sample.rows < SAMPLE_ROWS:  # the sample is the table
        return finish(schema, candidates, count(schema, candidates, sample), min_subjects)
    state = yield Fold(partial(count, schema, candidates), merge, "determined")
    return finish(schema, candidates, state, min_subjects)


@dataclass(frozen=True, slots=True)
class _Key:
    """A column, a part of one, or two of them, as whole numbers."""

    parent: str
    part: str
    how: How
    codes: Codes
    size: int
    real: NDArray[np.float64]  # by range: the values
    second: str = ""  # by pair: the other column


def search(schema: Schema, sample: Records, min_subjects: int) -> tuple[Candidate | Formula, ...]:
    """Candidates in an order in which they can be completed; no two for one child, no cycles."""
    if not sample.rows:
        return ()
    columns = surveyed(schema)
    coded = {c.name: codes_of(values_of(c, sample)) for c in columns if c.kind != "identifier"}
    computed = written(schema, sample, min_subjects)
    removed: dict[str, Candidate | Formula] = {f.child: f for f in computed}
    every = [key for column in columns for key in _keys(schema, column, sample, coded)]
    every = [k for k in every if k.how == "range" or _covers(k, sample.owners, min_subjects)]
    keys = [k for k in every if k.parent not in removed]
    wanted = [c for c in columns if _may_follow(schema, c) and coded[c.name][1] >= 2]
    # what is removed first may hang on what is removed later, never the other way round
    wanted.sort(key=lambda c: (coded[c.name][1], c.kind == "category", -columns.index(c)))
    pairs = _pairs(every, sample.owners, min_subjects)
    for some, these in ((keys, wanted), (pairs, wanted[::-1])):  # of three, the finest follows
        for child in these:
            if child.name not in removed:
                usable = [k for k in some if _usable(schema, k, child, removed)]
                best = _best(usable, *coded[child.name], sample.owners, min_subjects, removed)
                if best:
                    removed[child.name] = best
    looked_up = {n: c for n, c in removed.items() if isinstance(c, Candidate)}
    return _ordered(
        [*added(schema, sample, removed, min_subjects), *_grouped(looked_up), *computed]
    )


def _usable(
    schema: Schema, key: _Key, child: Column, removed: Mapping[str, Candidate | Formula]
) -> bool:
    parents = [p for p in (key.parent, key.second) if p]
    if not key.second and key.parent in removed:
        return False
    if any(child.name in _above(p, removed) for p in parents):
        return False
    return child.per == "event" or all(schema.column(p).per == "subject" for p in parents)


def _above(name: str, removed: Mapping[str, Candidate | Formula]) -> set[str]:
    """A column and all that it hangs on."""
    out, more = set[str](), [name]
    while more:
        out.add(one := more.pop())
        more += [p for p in removed[one].parents if p not in out] if one in removed else []
    return out


def _best(
    keys: Sequence[_Key], child: Codes, size: int, owners: Codes, min_subjects: int,
    removed: Collection[str],
) -> Candidate | None:  # fmt: skip
    """The coarsest key that the child follows from; children are named later.

    One with a column that is looked up itself has to be twice as coarse as one of drawn columns.
    """
    options = []
    for i, key in enumerate(keys):
        edges = _follows(key, child, size, owners, min_subjects)
        if edges is not None and _tells(key, child, owners, min_subjects):
            found = Candidate(key.parent, key.part, key.how, (), edges, key.second)
            width = len(edges) if key.how == "range" else key.size
            twice = any(p in removed for p in found.parents)
            options.append((2 * width if twice else width, i, found))
    return min(options, key=lambda o: o[:2])[2] if options else None


def _grouped(removed: dict[str, Candidate]) -> list[Candidate]:
    """One candidate a key."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for child in reversed(removed):
        c = removed[child]
        groups.setdefault((c.parent, c.part, c.how, c.edges, c.second), []).append(child)
    return [Candidate(k[0], k[1], k[2], tuple(v), *k[3:]) for k, v in groups.items()]


def _ordered(waiting: list[Candidate | Formula]) -> tuple[Candidate | Formula, ...]:
    """Parents before their children."""
    found: list[Candidate | Formula] = []
    children = {c for w in waiting for c in w.children}
    while waiting:
        ready = [w for w in waiting if children.isdisjoint(w.parents)]
        found += ready
        children -= {c for w in ready for c in w.children}
        waiting = [w for w in waiting if w not in ready]
    return tuple(found)


def _may_follow(schema: Schema, column: Column) -> bool:
    return column.kind in ("category", "number", "place") and column.name != schema.time


def _keys(
    schema: Schema, column: Column, sample: Records, coded: Mapping[str, tuple[Codes, int]]
) -> list[_Key]:
    """What a column can be a parent by."""
    name, none = column.name, np.zeros(0)
    values = sample.columns[name]
    if column.kind == "identifier" or column.partner:
        return []
    if isinstance(values, Coded):
        codes, size = coded[name]
        return [_Key(name, "", "label", codes, size, none)] if 2 <= size <= MOST_KEYS else []
    whole = reals(values)
    if column.kind == "time":
        parts = [(p, *codes_of(reals(values, p))) for p in PARTS]
        found = [_Key(name, p, "value", c, n, none) for p, c, n in parts if 2 <= n <= MOST_KEYS]
        return [*found, _Key(name, "", "range", *coded[name], whole)]
    if schema.shape == "events":
        return []  # there a number is drawn after its category: a duration after the type
    codes, size = coded[name]
    by_value = [_Key(name, "", "value", codes, size, none)] if 2 <= size <= _MOST_VALUES else []
    return [*by_value, _Key(name, "", "range", codes, size, whole)]


def _pairs(keys: Sequence[_Key], owners: Codes, min_subjects: int) -> list[_Key]:
    """Pairs of labels that enough subjects hold together, the column with more labels first."""
    single = [k for k in keys if k.how == "label" and k.size <= _MOST_HALF][:_MOST_PAIRED]
    out = []
    for a, b in combinations(sorted(single, key=lambda k: -k.size), 2):
        codes, size = codes_of(a.codes * b.size + b.codes)
        key = _Key(a.parent, "", "pair", codes, size, a.real, b.parent)
        if max(a.size, b.size) < size <= MOST_KEYS and _covers(key, owners, min_subjects):
            out.append(key)
    return out


def _covers(key: _Key, owners: Codes, min_subjects: int) -> bool:
    """Whether the keys that enough subjects hold cover the rows."""
    return bool(_known(key, owners, min_subjects).mean() >= COVERED)


def _known(key: _Key, owners: Codes, min_subjects: int) -> NDArray[np.bool_]:
    """Whether enough subjects hold a row's key; shape (rows,)."""
    subjects = int(owners.max(initial=0)) + 1
    holders = np.bincount(np.unique(key.codes * subjects + owners) // subjects, minlength=key.size)
    return np.asarray(holders[key.codes] >= min_subjects)


def _tells(key: _Key, child: Codes, owners: Codes, min_subjects: int) -> bool:
    """Whether the keys that enough subjects hold cover rows without the child's usual value too.

    An overage is looked up by its charge in all rows without one, and in few of the others.
    """
    if key.how == "range":
        return True
    if len(owners) >= SAMPLE_ROWS:  # of a larger table: `finish` counts all that hold a key
        min_subjects = min(min_subjects, 2)
    unusual = child != np.bincount(child).argmax()
    return bool(_known(key, owners, min_subjects)[unusual].mean() >= COVERED_UNUSUAL)


def _follows(
    key: _Key, child: Codes, size: int, owners: Codes, min_subjects: int
) -> tuple[float, ...] | None:
    """The edges (none unless by range) if the child follows from the key, else None."""
    if key.how == "value" and not key.part and size >= key.size:
        return None  # another number as fine as this one: a formula's work, not a table's
    few, most = slice(0, _SCREEN_ROWS), exceptions(size) * len(child)
    if _disagree(key.codes[few], child[few], size) > max(1, 3 * exceptions(size) * _SCREEN_ROWS):
        return None
    if _disagree(key.codes, child, size) > most:
        return None
    edges: tuple[float, ...] = ()
    codes = key.codes
    if key.how == "range":
        found = _edges(key, child, size, min_subjects)
        if found is None:
            return None
        edges = found
        codes = np.searchsorted(np.array(edges), key.real, "right").astype(np.int64)
        codes[~np.isfinite(key.real)] = len(edges) + 1
        if _disagree(codes, child, size) > most:
            return None
    return edges if _evidence_nats(codes, child, size, owners) >= _EVIDENCE_NATS else None


def _disagree(keys: Codes, child: Codes, size: int) -> int:
    """Rows that do not have the most frequent value of their key."""
    pairs, counts = np.unique(keys * size + child, return_counts=True)
    if not len(pairs):
        return 0
    starts = np.flatnonzero(np.diff(pairs // size, prepend=-1))
    return int(len(keys) - np.maximum.reduceat(counts, starts).sum())


def _evidence_nats(keys: Codes, child: Codes, size: int, owners: Codes) -> float:
    """How unlikely the agreement of different subjects within keys is by chance.

    A subject speaks once for a key and a value; the first of each key tells nothing.
    """
    surprise = -np.log(np.bincount(child, minlength=size).clip(1) / len(child))
    pair = keys * size + child
    subjects = int(owners.max(initial=0)) + 1
    spoken = np.unique(pair * subjects + owners) // subjects
    firsts = np.unique(spoken)
    return float(surprise[spoken % size].sum() - surprise[firsts % size].sum())


def _edges(key: _Key, child: Codes, size: int, min_subjects: int) -> tuple[float, ...] | None:
    """Thresholds between the ranges of one value each; None if they are many or small."""
    known = np.isfinite(key.real)
    if size > _MOST_RANGES or not known.any():
        return None
    order = np.argsort(key.real[known], kind="stable")
    x, c = key.real[known][order], child[known][order]
    cuts = np.flatnonzero(np.diff(c)) + 1
    least = max(min_subjects, 10)
    lengths = np.diff([0, *cuts, len(x)])
    if not 1 <= len(cuts) < _MOST_RANGES or lengths.min() < least or (x[cuts] == x[cuts - 1]).any():
        return None
    steps = _STEPS_US if np.abs(x).max() > 1e14 else _STEPS
    return tuple(_roundest(float(x[i - 1]), float(x[i]), steps) for i in cuts)


def _roundest(low: float, high: float, steps: Sequence[float]) -> float:
    """A number above `low`, at most `high`, with few digits: it does not tell a record's value."""
    for step in steps:
        candidate = float(np.floor(high / step) * step)
        if low < candidate < high or (candidate == high and step >= 1 and step in _STEPS):
            return candidate
        if candidate == high:
            break
    return (low + high) / 2
