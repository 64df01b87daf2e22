"""Flat tables: protected donors, taken through the chain again for every draw.

The model's donors are not records: their numbers are bins and spikes, their rare labels one, and
they have been through the chain once. With `copula` in the chain it holds no donors at all.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.place import Place
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.seeds import generator
from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._flat_fields import join
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._transform_steps import Flags, Steps, Tokens, Watch

POOL_ROWS = 65_536  # drawn once for a condition; those that hold it are its donors


@dataclass(frozen=True, slots=True)
class Held:
    """Donors of a condition: what it is about stays as it is in the pool."""

    tokens: Tokens  # (columns, pool)
    values: Mapping[str, Values]  # of the fields that stay, (pool,)
    moved: Flags  # (columns,), what may change


@dataclass(frozen=True, slots=True)
class FlatTwin:
    """Draws rows from donors or a copula, by a chain of operations."""

    coder: Coder
    steps: Steps
    donors: Tokens  # (columns, donors); none where a copula is the source
    root: NDArray[np.float64]  # (columns, columns) of the copula, or (0, 0)
    ticks_s: Mapping[str, float]  # time field that is jittered -> its precision
    jitter: tuple[float, float]  # minutes, metres; 0: none
    facts: Mapping[str, Any]
    block_size: int = 4_096
    held: Held | None = None  # under a condition

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        rng = generator(seed, "transform", block)
        drawn = self.block(self.block_size, rng)
        columns = join(self.coder.schema, self.coder.fields, drawn[1])
        return Records.flat({name: v[:subjects] for name, v in columns.items()})

    def block(
        self, rows: int, rng: np.random.Generator, watch: Watch | None = None
    ) -> tuple[Tokens, dict[str, Values]]:
        """Tokens (columns, rows) and the values of all fields."""
        moved = np.ones(len(self.steps.ordered), np.bool_)
        kept: dict[str, Values] = {}
        if self.held is not None:
            picks = rng.integers(0, self.held.tokens.shape[1], rows)
            tokens, moved = self.held.tokens[:, picks], self.held.moved
            kept = {name: v[picks] for name, v in self.held.values.items()}
        elif len(self.root):
            tokens = ops.copula(rows, self.root, list(self.steps.shares), rng)
        else:
            tokens = self.donors[:, rng.integers(0, self.donors.shape[1], rows)]
        if watch is not None:
            watch("copula" if len(self.root) else "bootstrap", tokens)
        tokens = self.steps.run(tokens, moved, rng, watch)
        values = self.values(tokens, rng, kept)
        self._jitter(values, kept, rng)
        return tokens, values

    def values(
        self, tokens: Tokens, rng: np.random.Generator, kept: Mapping[str, Values]
    ) -> dict[str, Values]:
        """Values of all fields; those in `kept` are taken over."""
        values: dict[str, Values] = {}
        for column, drawn in zip(tokens, self.coder.drawn, strict=True):
            inside, name = rng.random(len(column)), drawn.field.name
            values[name] = kept[name] if name in kept else drawn.values(column, inside, values)
        for relation in self.coder.computed:
            values[relation.child] = relation.value(values)
        return values

    def _jitter(
        self, values: dict[str, Values], kept: Mapping[str, Values], rng: np.random.Generator
    ) -> None:
        """Move times and places in place; what a condition is about stays."""
        minutes, metres = self.jitter
        for name, tick_s in self.ticks_s.items():
            fresh = ops.jitter_seconds(np.asarray(values[name]), minutes, tick_s, rng)
            if name not in kept:
                values[name] = fresh
        if not metres:
            return
        for drawn in self.coder.drawn:
            if isinstance(drawn.codec, Place):
                name = drawn.field.name
                place = np.asarray(values[name])
                values[name] = ops.jitter_places(place, metres, drawn.codec.decimals, rng)

    def conditioned(self, condition: Condition) -> FlatTwin:
        """The model whose donors hold the condition; see `Model.conditioned`."""
        rng = generator(0, f"transform/pool/{condition.text()}")
        free = replace(self, held=None)
        tokens, values = free.block(POOL_ROWS, rng)
        columns = join(self.coder.schema, self.coder.fields, values)
        holds = np.ones(POOL_ROWS, np.bool_)
        for clause in condition.clauses:
            known(clause, columns)
            holds &= clause_holds(clause, columns[clause.field])
        least = self.steps.amounts.group
        pool = np.flatnonzero(holds)
        distinct = len(np.unique(tokens[:, pool], axis=1).T) if len(pool) else 0
        if distinct < least:
            raise ImpossibleConditionError(
                f"Of {POOL_ROWS} records that the model draws {distinct} different ones hold "
                f"{condition.text()}; {least} are needed.",
                hint="a wider condition, or a smaller `group`",
                holding=distinct,
                needed=least,
            )
        stay = self._fields_of({c.field for c in condition.clauses})
        names = [d.field.name for d in self.coder.drawn]
        return replace(
            self,
            held=Held(
                np.ascontiguousarray(tokens[:, pool]),
                {name: values[name][pool] for name in stay if name in names},
                np.array([name not in stay for name in names]),
            ),
        )

    def _fields_of(self, columns: set[str]) -> set[str]:
        """The fields of some columns and every field that those are worked out from."""
        needs: dict[str, set[str]] = {f.name: set() for f in self.coder.fields}
        for relation in (
            *self.coder.computed, *(d.relation for d in self.coder.drawn if d.relation),
        ):  # fmt: skip
            needs[relation.child] |= set(relation.needs)
        for field in self.coder.fields:
            if field.after:
                needs[field.name] |= {f.name for f in self.coder.fields if f.column == field.after}
        todo = [f.name for f in self.coder.fields if f.column in columns]
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += sorted(needs.get(name, ()))
        return found

    def state(self) -> dict[str, Any]:
        return {
            "shape": "flat",
            "coder": self.coder.state(),
            "steps": self.steps.state(),
            "donors": self.donors,
            "root": self.root,
            "ticks_s": dict(self.ticks_s),
            "jitter": self.jitter,
            "facts": dict(self.facts),
            "block_size": self.block_size,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> FlatTwin:
        rest = {n: state[n] for n in ("donors", "root", "ticks_s", "jitter", "facts", "block_size")}
        return cls(Coder.from_state(state["coder"]), Steps.from_state(state["steps"]), **rest)

    def about(self) -> dict[str, Any]:
        return dict(self.facts)


def known(clause: Clause, columns: Container[str]) -> None:
    """Refuse a clause on a column that the model does not draw.

    Raises:
        CannotConditionError: It is looked up or made anew elsewhere (SYN-712).
    """
    if clause.field not in columns:
        raise CannotConditionError(
            f"{clause.field} is not drawn by this model.",
            hint="a condition on the column that it follows from",
            field=clause.field,
        )


def clause_holds(clause: Clause, values: Values) -> Flags:
    """Which values of one column hold a clause, shape (rows,)."""
    if isinstance(values, Coded):
        if clause.missing:
            return np.asarray(values.codes < 0)
        wanted = np.array([*clause.names(values.labels), False])
        return np.asarray(wanted[values.codes])
    if values.dtype.kind == "M":
        us = values.astype("datetime64[us]").astype(np.int64) / 1e6
        values = np.where(np.isnat(values), np.nan, us)
    return np.asarray(clause.holds(values))


def precision_s(values: Values) -> float:
    """The tick of a time of day in seconds, from those of a sample; NaN is missing."""
    from synth_spark.columns.time import precision_us, tidy_precision_us

    x = np.asarray(values, np.float64)
    clocks = np.rint(x[np.isfinite(x)] * 1e6).astype(np.int64)
    return tidy_precision_us(precision_us(clocks)) / 1e6 if len(clocks) else 1.0


__all__ = ["POOL_ROWS", "FlatTwin", "Held", "clause_holds", "known", "precision_s"]
