"""Fields of a flat table as tokens, and drawn tokens back to values.

Most fields are one token. A number with a relation is *drawn* as the token of its residual, and
*seen* by later fields as that token and the bin of its value. Where a parent of the relation is
missing there is no residual: such rows draw a bin of the value itself, and a gate tells the
network which of the two vocabularies is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.core.batch import ID_MARK, Coded, Records, Values
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import CODECS
from synth_spark.generators._flat_days import Days, Week
from synth_spark.generators._flat_fields import Field, split, time_of
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_week import WEEK_DAYS

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A field that the network draws."""

    field: Field
    codec: Any  # of the values, or of the residuals
    relation: Relation | None = None
    plain: Number | None = None  # with a relation: coarse bins of the values
    open_plain: bool = False  # whether rows without a residual but with a value occur
    days: Days | None = None  # of a time: the seconds behind another, or a day with a week day

    @property
    def vocabulary(self) -> int:
        """Tokens of the codec, then those of `plain` if they can be drawn."""
        extra = self.plain.vocabulary if self.plain is not None and self.open_plain else 0
        return int(self.codec.vocabulary) + extra

    def tokens(self, values: Mapping[str, Values]) -> Tokens:
        """What is drawn, shape (rows,)."""
        value = values[self.field.name]
        if self.relation is None:
            return np.asarray(self.codec.encode(value), np.int32)
        assert self.plain is not None
        residual = self.relation.residual(values)
        out = self.codec.encode(residual)
        lone = np.isnan(residual) & np.isfinite(np.asarray(value, np.float64))
        if self.open_plain and lone.any():
            offset = np.int32(self.codec.vocabulary)
            out = np.where(lone, offset + self.plain.encode(value), out)
        return np.asarray(out, np.int32)

    def gate(self, values: Mapping[str, Values]) -> Tokens:
        """1 where a parent is missing, so that there is no residual; shape (rows,)."""
        assert self.relation is not None
        return (~np.isfinite(self.relation.center(values))).astype(np.int32)

    def drawn_values(
        self, tokens: Tokens, inside: NDArray[np.float64], known: Mapping[str, Values]
    ) -> Values:
        """As `values`, where nothing is asked of a row: times come to lie on the table's days."""
        if self.days is None:
            return self.values(tokens, inside, known)
        if self.field.part == "day":
            week_day = known[f"{self.field.column}#week day"]
            assert isinstance(week_day, Coded)
            wanted = week_day.recode(WEEK_DAYS, -1)
            return Week.of(self.days, self.codec).drawn(self.codec, tokens, inside, wanted)
        other = time_of(known, self.field.after)
        return self.days.seconds(self.codec, tokens, inside, other)

    def values(
        self, tokens: Tokens, inside: NDArray[np.float64], known: Mapping[str, Values]
    ) -> Values:
        """Drawn values, shape (rows,); `known` holds the parents."""
        if self.field.part == "id":
            return self._marked(tokens, inside)
        if self.relation is None:
            return self.codec.decode(tokens, inside)  # type: ignore[no-any-return]
        assert self.plain is not None
        own = int(self.codec.vocabulary)
        residual = self.codec.decode(np.minimum(tokens, own - 1), inside)
        value = self.relation.value(known, residual)
        lone = tokens >= own
        if lone.any():
            value = value.copy()
            value[lone] = self.plain.decode(tokens[lone] - np.int32(own), inside[lone])
        return value

    def _marked(self, tokens: Tokens, inside: NDArray[np.float64]) -> Coded:
        """Drawn ids as the numbers for which ids are made anew, see `ID_MARK`; shape (rows,)."""
        gone, kept = tokens == self.codec.missing_token, len(self.codec.labels)
        if not self.field.shared:  # labels: the mark alone
            return Coded(np.where(gone, -1, 0).astype(np.int32), (ID_MARK,))
        rare = max(int(self.codec.rare_labels), 1)
        number = np.where(tokens < kept, tokens, kept + (inside * rare).astype(np.int64))
        numbers, codes = np.unique(number[~gone], return_inverse=True)
        out = np.full(len(tokens), -1, np.int32)
        out[~gone] = codes.ravel()
        return Coded(out, tuple(f"{ID_MARK}{n}/{kept + rare}" for n in numbers.tolist()))

    def state(self) -> dict[str, Any]:
        """A tree for the wire; of ids no label is in it."""
        codec = self.codec.state()
        if self.field.part == "id":
            codec = {**codec, "labels": [str(k) for k in range(len(codec["labels"]))]}
        return {
            "field": self.field.to_json(),
            "codec": codec,
            "relation": self.relation.state() if self.relation else None,
            "plain": self.plain.state() if self.plain else None,
            "open_plain": self.open_plain,
            "days": self.days.state() if self.days else None,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Drawn:
        """The drawn field that `state` came from."""
        field = Field(**state["field"])
        relation, plain = state["relation"], state["plain"]
        return cls(
            field,
            CODECS.get(field.kind).from_state(state["codec"]),
            Relation.from_state(relation) if relation else None,
            Number.from_state(plain) if plain else None,
            state["open_plain"],
            Days(**state["days"]) if state["days"] else None,
        )


@dataclass(frozen=True, slots=True)
class Coder:
    """A whole table as tokens: one column a drawn field, then the bins of values, then gates."""

    schema: Schema
    fields: tuple[Field, ...]
    drawn: tuple[Drawn, ...]  # in the order of drawing
    computed: tuple[Relation, ...]  # in an order that can be computed

    @property
    def seen(self) -> tuple[int, ...]:
        """Positions in `drawn` of the fields that are also seen as bins of their value."""
        return tuple(i for i, d in enumerate(self.drawn) if d.plain is not None)

    @property
    def gated(self) -> tuple[int, ...]:
        """Positions in `drawn` of the fields with a gate."""
        return tuple(i for i, d in enumerate(self.drawn) if d.open_plain)

    def encode(self, records: Records) -> Tokens:
        """Tokens of whole records, shape (rows, drawn + seen + gated)."""
        return self.encode_values(split(self.schema, self.fields, records))

    def encode_values(self, values: Mapping[str, Values]) -> Tokens:
        """The same from fields that were split before."""
        columns = [d.tokens(values) for d in self.drawn]
        for i in self.seen:
            plain = self.drawn[i].plain
            assert plain is not None
            columns.append(plain.encode(values[self.drawn[i].field.name]))
        columns += [self.drawn[i].gate(values) for i in self.gated]
        return np.ascontiguousarray(np.column_stack(columns), np.int32)

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "schema": self.schema.to_json(),
            "fields": [f.to_json() for f in self.fields],
            "drawn": [d.state() for d in self.drawn],
            "computed": [r.state() for r in self.computed],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Coder:
        """The coder that `state` came from."""
        return cls(
            Schema.from_json(state["schema"]),
            tuple(Field(**f) for f in state["fields"]),
            tuple(Drawn.from_state(d) for d in state["drawn"]),
            tuple(Relation.from_state(r) for r in state["computed"]),
        )


# ---- what a second pass over the records counts -------------------------------------------------


def second_pass(
    schema: Schema, fields: tuple[Field, ...], relations: tuple[Relation, ...], records: Records
) -> dict[str, Any]:
    """States of residuals and of the halves of times; rows whose residual cannot be had."""
    values, owners = split(schema, fields, records), records.owners
    halves = {
        f.name: (Number if f.kind == "number" else Category).summarise(values[f.name], owners)
        for f in fields
        if f.part
    }
    days = {
        f.name: Days.summarise(
            np.asarray(records.columns[f.column]),
            np.asarray(values[f.name]) if f.part == "gap" else None,
        )
        for f in fields
        if f.part == "gap" or (f.part == "day" and f"{f.column}#week day" in values)
    }
    residuals, lone = {}, {}
    for relation in relations:
        y = np.asarray(values[relation.child], np.float64)
        r = relation.residual(values)
        lone[relation.child] = int((np.isnan(r) & np.isfinite(y)).sum())
        residuals[relation.child] = Number.summarise(r, owners)
    return {"halves": halves, "residuals": residuals, "lone": lone, "days": days}


def merge_second(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The state of two parts."""
    numbers = {
        part: {
            n: (Category if "labels" in s else Number).merge(s, right[part][n])
            for n, s in left[part].items()
        }
        for part in ("halves", "residuals")
    }
    lone = {n: k + right["lone"][n] for n, k in left["lone"].items()}
    days = {n: Days.merge(s, right["days"][n]) for n, s in left["days"].items()}
    return {**numbers, "lone": lone, "days": days}


def in_order(
    fields: tuple[Field, ...],
    residual: Mapping[str, Relation],
    computed: Mapping[str, Relation],
    first: Sequence[str] = (),
) -> tuple[list[Field], list[Relation]]:
    """The order of drawing (`first`, residuals last, after their parents), and of computing."""
    rank = {"week day": -1, "number": 0, "place": 1, "category": 2}
    base = [f for f in fields if f.name not in residual and f.name not in computed]
    head = {n: i for i, n in enumerate(first)}
    order = sorted(
        base,
        key=lambda f: (head.get(f.name, len(head)), rank[f.part if f.part in rank else f.kind]),
    )
    waiting = [f for f in fields if f.name in residual]
    known = {f.name for f in order}
    while waiting:
        ready = [f for f in waiting if known.issuperset(residual[f.name].needs)]
        order += ready
        known |= {f.name for f in ready}
        waiting = [f for f in waiting if f.name not in known]
    sums: list[Relation] = []
    left = list(computed.values())
    while left:
        ready_sums = [r for r in left if known.issuperset(r.needs)]
        sums += ready_sums
        known = reduce(lambda k, r: k | {r.child}, ready_sums, known)
        left = [r for r in left if r.child not in known]
    return order, sums
