"""Columns that follow from other columns: not learned, but looked up in the finished rows.

A cell's coordinates follow from its id, a region from a cell, a price from a plan, an age group
from an age, a date, a week day or a peak mark from a time. A network that draws such a column next
to its parent gets it right most of the time; a table of all pairs gets it right always, and what is
left to be learned is smaller. `_determined_search.py` finds them.

    by label   a category or cell id -> values; the key is the label
    by pair    two of them together -> values, as area and cell id, origin and destination
    by value   a number with few values, or a part of a time -> values; the nearest key counts
    by range   a number or a time, cut at a few thresholds -> values

What is computed and not looked up, such as an end from a start and a duration, is in `formula.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._calendar import PARTS
from synth_spark.columns.formula import Formula
from synth_spark.core.batch import RARE, Coded, Records, Values
from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key

How = Literal["label", "pair", "value", "range"]
MOST_HINTED = 50  # values of a column that is drawn before the one that it follows
MOST_KEYS = 200  # of that one: above it no pair of labels is shut
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """The children of one parent (or two), and what they are for each of its keys."""

    parent: str  # column; of two the one with more labels
    second: str  # by pair: the other column
    part: str  # of a time, see PARTS; "" for the column itself
    how: How
    per_subject: bool
    children: tuple[str, ...]
    labels: tuple[str | None, ...]  # by label or pair: the keys; None stands for missing
    seconds: tuple[str | None, ...]  # by pair: the other half of each key
    keys: Reals  # by value: ascending, NaN last for missing; by range: thresholds, ascending
    rows: Reals  # (keys,) rows of each in the records
    tables: tuple[Values, ...]  # per child, (keys,) or (keys, 2)

    @property
    def parents(self) -> tuple[str, ...]:
        """The columns that it hangs on."""
        return (self.parent, self.second) if self.second else (self.parent,)

    def keyed(self, records: Records) -> NDArray[np.int64]:
        """Position of each row's key, -1 where it has none; shape (rows,)."""
        values = records.columns[self.parent]
        if self.how == "label":
            return _placed(values, self.labels)
        if self.how == "pair":
            return self._paired(values, records.columns[self.second])
        x = reals(values, self.part)
        known = np.isfinite(x)
        has_missing = bool(len(self.keys)) and bool(np.isnan(self.keys[-1]))
        keys = self.keys[:-1] if has_missing else self.keys
        out = np.full(len(x), len(self.keys) - 1 if has_missing else -1, np.int64)
        if self.how == "range":  # the first range has no threshold; missing is a range of its own
            out[~known] = len(keys) + 1 if has_missing else -1
            out[known] = np.searchsorted(keys, x[known], "right")
            return out
        if len(keys):
            right = np.clip(np.searchsorted(keys, x[known]), 0, len(keys) - 1)
            left = np.maximum(right - 1, 0)
            nearer = np.abs(x[known] - keys[left]) < np.abs(keys[right] - x[known])
            out[known] = np.where(nearer, left, right)
        return out

    def _paired(self, left: Values, right: Values) -> NDArray[np.int64]:
        """Position of each row's pair; of a pair never told, the heaviest with its first half."""
        firsts, seconds = tuple(dict.fromkeys(self.labels)), tuple(dict.fromkeys(self.seconds))
        places = [{v: i for i, v in enumerate(half)} for half in (firsts, seconds)]
        told = np.array([places[0][v] for v in self.labels], np.int64) * len(seconds)
        told += np.array([places[1][v] for v in self.seconds], np.int64)
        order = np.argsort(told)
        a, b = _placed(left, firsts), _placed(right, seconds)
        wanted = a * len(seconds) + b
        found = order[np.minimum(np.searchsorted(told[order], wanted), len(told) - 1)]
        hit = (a >= 0) & (b >= 0) & (told[found] == wanted)
        heaviest = np.full(len(firsts) + 1, -1, np.int64)  # position -1, not told, reads the last
        by_weight = np.argsort(self.rows, kind="stable")
        heaviest[told[by_weight] // len(seconds)] = by_weight  # the last written is the heaviest
        return np.where(hit, found, heaviest[a])

    def completed(self, records: Records, seed: int, block: int) -> dict[str, Values]:
        """The children's values, shape (rows,); a row without a key gets those of some key.

        Of a label without a key it is the same one wherever the label stands, but of the one that
        stands for all rare ones.
        """
        keyed = self.keyed(records)
        # one number a row or subject, in order: the first subjects do not depend on the later ones
        rng = generator(seed, f"determined/{self.parent}", block)
        u = rng.random(records.subjects)[records.owners] if self.per_subject else rng.random(
            records.rows
        )  # fmt: skip
        if self.how in ("label", "pair"):
            u = self._by_label(records, keyed < 0, u, seed)
        upper = np.cumsum(self.rows) / self.rows.sum()
        some = np.minimum(np.searchsorted(upper, u, "right"), len(upper) - 1)
        keyed = np.where(keyed < 0, some, keyed)
        return {c: t[keyed] for c, t in zip(self.children, self.tables, strict=True)}

    def _by_label(self, records: Records, rows: NDArray[np.bool_], u: Reals, seed: int) -> Reals:
        """The uniforms `u` (rows,), with one of its own for each label of the rows told."""
        values = records.columns[self.parent]
        assert isinstance(values, Coded)
        shared = [code for code, label in enumerate(values.labels) if label == RARE]
        rows = rows & (values.codes >= 0) & ~np.isin(values.codes, shared)
        there, which = np.unique(values.codes[rows], return_inverse=True)
        names = [f"determined/{self.parent}/{values.labels[code]}" for code in there]
        own = np.array([stream_key(seed, name) >> 75 for name in names], np.float64) * 2.0**-53
        out = u.copy()
        out[rows] = own[which]
        return out

    def coarser(self) -> list[str]:
        """The children that have much fewer values than there are keys."""
        if self.how != "label" or len(self.rows) > MOST_KEYS:
            return []
        out, most = [], min(MOST_HINTED, len(self.rows) // 2)
        for child, table in zip(self.children, self.tables, strict=True):
            values = table.codes if isinstance(table, Coded) else np.asarray(table)
            plain = values.ndim == 1 and values.dtype.kind in "if"
            if plain and 2 <= len(np.unique(values)) <= most:
                out.append(child)
        return out

    def asked(self, clause: Clause) -> Clause:
        """A clause on a child as one on the parent; see `Determined.asked`."""
        table = self.tables[self.children.index(clause.field)]
        if (
            self.how != "label"
            or np.ndim(table if not isinstance(table, Coded) else table.codes) > 1
        ):
            raise CannotConditionError(
                f"{clause.field} is looked up from {self.parent}"
                f"{f' and {self.second}' if self.second else ''}.",
                hint=f"a condition on {self.parent}",
                field=clause.field,
            )
        held = _held(clause, table)
        labels = [v for v, ok in zip(self.labels, held, strict=True) if ok]
        if not labels:
            raise ImpossibleConditionError(
                f"{clause.text()}: no {self.parent} has such a {clause.field}.",
                hint="another value, or a wider range",
                field=clause.field,
            )
        named = tuple(v for v in labels if v is not None)
        return Clause(field=self.parent, labels=named, missing=not named, loose=True)

    def in_words(self) -> str:
        """As a line for the model card."""
        beside = f" and {self.second}" if self.second else f" ({self.part})" if self.part else ""
        verb = "follows" if len(self.children) == 1 else "follow"
        text = f"{', '.join(self.children)} {verb} from {self.parent}{beside}"
        return f"{text}, by {self.how}, {len(self.rows)} keys"

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        plain = {k: getattr(self, k) for k in self.__slots__}
        tables = [
            {"codes": t.codes, "labels": list(t.labels)} if isinstance(t, Coded) else t
            for t in self.tables
        ]
        return {
            **plain,
            "children": list(self.children),
            "labels": list(self.labels),
            "seconds": list(self.seconds),
            "tables": tables,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Group:
        """The group that `state` came from."""
        tables = tuple(
            Coded(t["codes"], tuple(t["labels"])) if isinstance(t, dict) else t
            for t in state["tables"]
        )
        tuples = {k: tuple(state[k]) for k in ("children", "labels", "seconds")}
        return cls(**{**state, **tuples, "tables": tables})


@dataclass(frozen=True, slots=True)
class Determined:
    """All groups of a table, in an order in which they can be completed."""

    groups: tuple[Group | Formula, ...] = ()

    @property
    def children(self) -> tuple[str, ...]:
        """The columns that are looked up or computed."""
        return tuple(c for g in self.groups for c in g.children)

    @property
    def hints(self) -> frozenset[str]:
        """Columns that a model of a flat table should draw all the same, before what they follow.

        Of a few values where their parent has many: makers of models, plans of prices. They tell
        what a label of a few rows cannot, of the columns that come after them. What is drawn of
        them is put right by the table.
        """
        groups = [g for g in self.groups if isinstance(g, Group)]
        return frozenset(n for g in groups for n in g.coarser())

    def rest(self, schema: Schema) -> Schema:
        """The schema without the columns that are looked up, but for a flat table's `hints`.

        Of events it says which labels have a place that is looked up (`Schema.sites`).
        """
        gone = set(self.children)
        if schema.shape == "flat":
            gone -= self.hints
        gone |= {c.partner for c in schema.columns if c.name in gone and c.partner}
        columns = tuple(c for c in schema.columns if c.name not in gone)
        sites = self._sites(schema) if schema.shape == "events" else ()
        return replace(schema, columns=columns, sites=sites)

    def _sites(self, schema: Schema) -> tuple[tuple[str, ...], ...]:
        """Labels by which a place is looked up, each with the columns of the place."""
        labels = [g for g in self.groups if isinstance(g, Group) and g.how == "label"]
        places = {c.name: c.partner for c in schema.columns if c.partner}
        return tuple((g.parent, c, places[c]) for g in labels for c in g.children if c in places)

    def complete(self, records: Records, schema: Schema, seed: int, block: int) -> Records:
        """Drawn records with the columns that were left out, a function of seed and block."""
        columns = dict(records.columns)
        for group in self.groups:
            found = group.completed(Records(columns, records.offsets), seed, block)
            for name, values in found.items():
                partner = schema.column(name).partner
                if partner:
                    pair = np.asarray(values)
                    columns[name], columns[partner] = pair[:, 0], pair[:, 1]
                else:
                    columns[name] = values
        return Records(columns, records.offsets)

    def asked(self, condition: Condition, schema: Schema) -> Condition:
        """A condition with its clauses on looked-up columns as clauses on what they follow from.

        Raises:
            ImpossibleConditionError: No key has such a value (SYN-711).
            CannotConditionError: What it asks of the parent is no list of labels (SYN-712).
        """
        clauses = {c.field: c for c in condition.clauses}
        for group in reversed(self.groups):  # a child may be another's parent
            for child in group.children:
                if child in clauses:
                    of_parent = group.asked(clauses.pop(child))
                    clauses[group.parent] = _both(clauses.get(group.parent), of_parent)
        return Condition(tuple(clauses.values()))

    def in_words(self) -> list[str]:
        """One line a group, for the model card."""
        return [g.in_words() for g in self.groups]

    def state(self) -> list[Any]:
        """A tree for the wire."""
        return [g.state() for g in self.groups]

    @classmethod
    def from_state(cls, state: list[Any]) -> Determined:
        """What `state` came from."""
        return cls(
            tuple(Formula.from_state(g) if "formula" in g else Group.from_state(g) for g in state)
        )


def _held(clause: Clause, table: Values) -> NDArray[np.bool_]:
    """Which values of a table hold a clause, shape (keys,)."""
    if isinstance(table, Coded):
        wanted = [label in clause.labels for label in table.labels]
        return np.array([*wanted, clause.missing], bool)[table.codes]
    seconds = reals(table)
    if np.asarray(table).dtype.kind == "M":
        seconds = seconds / 1e6
    return np.asarray(clause.holds(seconds))


def _both(left: Clause | None, right: Clause) -> Clause:
    """Two clauses on one column as one."""
    if left is None:
        return right
    if left.labels and right.labels:
        labels = tuple(v for v in left.labels if v in right.labels)
        if labels:
            return replace(left, labels=labels)
    elif not left.labels and not right.labels and not (left.missing or right.missing):
        low, high = max(left.low, right.low), min(left.high, right.high)
        if low <= high:
            return replace(left, low=low, high=high)
    raise ImpossibleConditionError(
        f"{left.text()} and {right.text()} cannot both hold.", hint="fewer clauses"
    )


def reals(values: Values, part: str = "") -> Reals:
    """Numbers, or a time (or a part of it, see `PARTS`) as numbers; missing is NaN; (rows,)."""
    array = np.asarray(values)
    if array.dtype.kind != "M":
        return array.astype(np.float64)
    us = array.astype("datetime64[us]").astype(np.int64)
    known = ~np.isnat(array)
    counted = PARTS[part](np.where(known, us, 0)) if part else us
    return np.where(known, counted, np.nan).astype(np.float64)


def _placed(values: Values, labels: tuple[str | None, ...]) -> NDArray[np.int64]:
    """Position of each row's label among the given ones, -1 where it is not; shape (rows,)."""
    assert isinstance(values, Coded)
    place = {label: i for i, label in enumerate(labels)}
    table = [place.get(label, -1) for label in (*values.labels, None)]
    return np.array(table, np.int64)[values.codes]
