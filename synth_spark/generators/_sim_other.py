"""Columns that no rule of a family makes: drawn from their own shares, by subject or by habit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values
from synth_spark.core.schema import Column
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_facts import Labels, Numbers
from synth_spark.generators._sim_kernels import habits

EPOCH = np.datetime64(0, "us")


def add_others(draft: Draft, columns: dict[str, Values]) -> None:
    """Put the schema's columns that are not there yet into `columns`; ids are made elsewhere."""
    schema, facts = draft.facts.schema, draft.facts
    partners = {c.partner for c in schema.columns if c.partner}
    main = facts.main
    order = sorted(schema.columns, key=lambda c: (c.name != main, c.per != "subject"))
    for column in order:
        if column.name in columns or column.name in partners:
            continue
        if found := facts.column(column.name):
            columns[column.name] = _labels(draft, column, found, columns)
        elif column.name in facts.numbers:
            _numbers(draft, column, facts.numbers[column.name], columns)
        elif column.kind == "identifier" and column.counterpart:
            columns[column.name] = _parties(draft, column.name)


def _labels(draft: Draft, column: Column, found: Labels, columns: dict[str, Values]) -> Coded:
    upper = draft.facts.tables.get(f"by/{column.name}")
    if upper is not None:
        return _by_main(draft, column.name, found, upper, columns)
    if column.per == "subject":
        return draft.once(column.name, found)[draft.owner]
    return Coded(draft.chosen(column.name, found).astype(np.int32), found.labels)


def _by_main(
    draft: Draft,
    name: str,
    found: Labels,
    upper: NDArray[np.float64],
    columns: dict[str, Values],
) -> Coded:
    """Labels of a flat table by the main column's label; only those that the condition allows."""
    group = groups_of(columns, draft.facts.main, len(upper), len(draft.owner))
    shares = np.diff(upper, axis=1, prepend=0.0)
    if draft.facts.condition.of(name):
        shares[:, :-1] = np.where(found.shares > 0, shares[:, :-1], 0.0)
        shares[:, -1] = 0.0
        none = shares.sum(axis=1) <= 0
        shares[none, :-1] = found.shares
    sums = np.cumsum(shares, axis=1)
    goal = draft.rng(f"label/{name}").random(len(group)) * sums[group, -1]
    codes = (goal[:, None] >= sums[group]).sum(axis=1)
    codes = np.minimum(codes, shares.shape[1] - 1)
    return Coded(np.where(codes == len(found.labels), -1, codes).astype(np.int32), found.labels)


def groups_of(columns: dict[str, Values], main: str, groups: int, rows: int) -> NDArray[np.int64]:
    """The group of each row by the main column: its code; the last group where it is missing."""
    found = columns.get(main)
    if not isinstance(found, Coded):
        return np.zeros(rows, np.int64)
    return np.where(found.codes < 0, groups - 1, found.codes).astype(np.int64)


def _numbers(draft: Draft, column: Column, found: Numbers, columns: dict[str, Values]) -> None:
    """Numbers, times behind the event and places, by the main column's label in the row."""
    rng, once = draft.rng(f"number/{column.name}"), column.per == "subject"
    rows = draft.size if once else len(draft.owner)
    group = np.zeros(rows, np.int64)
    if not once and len(found.upper) > 1:
        group = groups_of(columns, draft.facts.main, len(found.upper), rows)
    u = rng.random(rows)
    tokens = np.zeros(rows, np.int32)
    for g in range(len(found.upper)):
        mine = np.flatnonzero(group == g) if len(found.upper) > 1 else slice(None)
        tokens[mine] = np.searchsorted(found.upper[g], u[mine], "right")
    tokens = np.minimum(tokens, found.upper.shape[1] - 1)
    values = found.codec.decode(tokens, rng.random(rows))
    values = values[draft.owner] if once else values
    if found.kind == "place":
        columns[column.name], columns[column.partner] = values[:, 0], values[:, 1]
    elif column.kind == "time":
        columns[column.name] = _moments(draft, values, once=once)
    else:
        columns[column.name] = np.rint(values) if found.whole else values


def _moments(draft: Draft, values: NDArray[np.float64], *, once: bool) -> NDArray[np.datetime64]:
    """Times: since 1970 for a subject's, behind the event for an event's."""
    known = ~np.isnan(values)
    micros = np.rint(np.where(known, values, 0.0) * 1e6).astype("timedelta64[us]")
    made = (EPOCH if once else draft.moments()) + micros
    return np.where(known, made, np.datetime64("NaT", "us"))


def _parties(draft: Draft, name: str) -> Coded:
    """Other parties without ranks: now and then a new one, mostly one of those before."""
    out = np.zeros(len(draft.owner), np.int64)
    theta = draft.facts.tables.get(f"theta/{name}", np.array([4.0]))[0]
    fresh = np.full(len(draft.owner), -1, np.int64)
    habits(draft.key(name), draft.offsets, fresh, float(theta), 0.0, out)
    most = int(out.max(initial=0)) + 1
    used, codes = np.unique(draft.owner * most + out, return_inverse=True)
    labels = tuple(f"c{i // most}-{i % most}" for i in used.tolist())
    return Coded(codes.astype(np.int32), labels)
