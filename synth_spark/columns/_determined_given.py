"""Known cells of looked-up columns: what they leave for the columns that they follow from.

A row that gives a region and no cell id wants a cell of that region, one that gives an age group an
age in it: `among` says which values of the parent are left, row by row, and which rows ask for what
no key has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.determined import Determined, Group, reals
from synth_spark.columns.formula import Formula
from synth_spark.core.batch import Coded, Records, Values, missing
from synth_spark.core.given import Among

Bools = NDArray[np.bool_]


def fillable(determined: Determined, fields: Iterable[str], bounds: Callable[[str], bool]) -> bool:
    """Whether rows that give these columns can be completed around what is looked up.

    A given child of a category or a number narrows its parent; any other needs its parents given.

    Args:
        determined: The groups of a table.
        fields: The columns that are given.
        bounds: Whether the values of a missing column can be bounded, row by row.
    """
    there, left = set(fields), set(fields)
    for group in reversed(determined.groups):
        if left.isdisjoint(group.children):
            continue
        if _narrows(group) and (group.parent in determined.children or bounds(group.parent)):
            left.add(group.parent)
        elif not there.issuperset(group.parents):
            return False
    return True


def _narrows(group: Group | Formula) -> TypeGuard[Group]:
    return isinstance(group, Group) and group.how != "pair" and not group.part


def among(determined: Determined, known: Records) -> tuple[dict[str, Among], dict[str, Bools]]:
    """The labels that known children leave for their parents, and cells that nothing can have.

    Args:
        determined: The groups of a table.
        known: Rows of a flat table with some of its columns.

    Returns:
        By parent what each row may take; by child the rows (rows,) that no key fits.
    """
    left: dict[str, Among] = {}
    wrong: dict[str, Bools] = {}
    for group in reversed(determined.groups):  # a child may be another's parent
        told = [c for c in group.children if c in known.columns or c in left]
        if not told:
            continue
        if _narrows(group):
            left[group.parent], never = _of_parent(group, told, known, left)
        else:
            never = _without_parents(group, told, known)
        child = next((c for c in told if c in known.columns), told[0])
        wrong[child] = never | wrong.get(child, False)
    return {n: a for n, a in left.items() if n not in determined.children}, wrong


def _of_parent(
    group: Group, told: list[str], known: Records, left: Mapping[str, Among]
) -> tuple[Among, Bools]:
    """What is left of a group's parent, and the rows that fit no key, or not the key they give."""
    codes, fits = [], []
    for child in told:
        table = group.tables[group.children.index(child)]
        code, fit = _held(table, known.columns.get(child), left.get(child), known.rows)
        codes.append(code)
        fits.append(fit)
    combined, which = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    keys = np.ones((len(combined), len(group.rows)), bool)
    for j, fit in enumerate(fits):
        keys &= fit[combined[:, j]]  # code -1, nothing known, reads the last: every key
    which = which.ravel().astype(np.int64)
    free = (combined == -1).all(axis=1)
    some_key = np.asarray(keys.any(axis=1))
    never = ~some_key[which]
    if group.parent in known.columns:
        place = group.keyed(known)
        is_told = ~missing(known.columns[group.parent])
        kept = keys[which, np.maximum(place, 0)]
        never = np.where(is_told, (place >= 0) & ~kept, never)
    which = np.where(free[which], -1, which)
    if group.how != "label":
        return Among(which, holds=tuple(partial(_has_key, group, row) for row in keys)), never
    sets = tuple(
        frozenset(label for label, ok in zip(group.labels, row, strict=True) if ok) for row in keys
    )
    return Among(which, sets), never


def _has_key(group: Group, keys: Bools, values: NDArray[np.float64]) -> Bools:
    """Which values of a group's parent have one of some keys; shape as `values`."""
    place = group.keyed(Records.flat({group.parent: values.ravel()})).reshape(values.shape)
    return (place >= 0) & keys[np.maximum(place, 0)]


def _held(
    table: Values, values: Values | None, bound: Among | None, rows: int
) -> tuple[NDArray[np.int64], Bools]:
    """A code of what each row knows of a child, (rows,), and the keys of each, (codes + 1, keys).

    Code -1 is a row that knows nothing of it; the last row of the keys is for them.
    """
    code = np.full(rows, -1, np.int64)
    fits: list[Any] = []
    if bound is not None:
        if isinstance(table, Coded):
            labels = table.texts()
            fits += [np.array([v in wanted for v in labels], bool) for wanted in bound.sets]
        else:
            fits += [holds(reals(table)) for holds in bound.holds]
        code = bound.which.copy()
    if values is not None:
        there = np.flatnonzero(~missing(values))
        if isinstance(values, Coded):
            assert isinstance(table, Coded)
            used, at = np.unique(values.codes[there], return_inverse=True)
            labels = table.texts()
            own = [labels == values.labels[i] for i in used.tolist()]
        else:
            used, at = np.unique(reals(values)[there], return_inverse=True)
            plain = np.asarray(table)
            keys = reals(plain if plain.ndim == 1 else plain[:, 0])  # of a place its latitude
            own = [np.isclose(keys, x, rtol=1e-9, atol=1e-9) for x in used.tolist()]
        code[there] = len(fits) + at.ravel()
        fits += own
    fits.append(np.ones(len(table), bool))
    return code, np.array(fits, bool)


def _without_parents(group: Group | Formula, told: list[str], known: Records) -> Bools:
    """Rows that give a child and not all that it follows from."""
    child, parents = np.zeros(known.rows, bool), np.ones(known.rows, bool)
    for name in told:
        if name in known.columns:
            child |= ~missing(known.columns[name])
    for parent in group.parents:
        there = parent in known.columns
        parents &= ~missing(known.columns[parent]) if there else np.zeros(known.rows, bool)
    return child & ~parents
