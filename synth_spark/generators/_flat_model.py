"""What was learned of a flat table, and how rows are drawn from it: a block at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records, Values
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_boost import Boosted
from synth_spark.generators._flat_fields import join
from synth_spark.generators._flat_tables import ColumnTables
from synth_spark.generators._flat_tokens import Coder

_CEILING = np.float32(60.0)  # logits above the row's largest minus this count


class Pass:
    """One pass of the network over a block, column after column in their order.

    `tokens`, (token columns, rows), is read as it stands: whoever draws fills it on the way.
    """

    def __init__(self, tables: tuple[ColumnTables, ...], tokens: NDArray[np.int32]) -> None:
        width, rows = len(tables[0].hidden_bias) if tables else 0, tokens.shape[1]
        self.tables, self.tokens, self.width = tables, tokens, width
        self.first = np.zeros((rows, len(tables) * width), np.float32)
        self.second = np.zeros((rows, len(tables) * width), np.float32)

    def logits(self, c: int) -> NDArray[np.float32]:
        """Of the next column, shape (rows, vocabulary); gates and earlier tokens must be there."""
        from synth_spark.generators._flat_kernels import add_rows

        t, rows, end = self.tables[c], self.tokens.shape[1], (c + 1) * self.width
        block = np.empty((rows, self.width), np.float32)
        add_rows(self.tokens, t.hidden_slots, t.hidden_starts, t.hidden, t.hidden_bias, block)
        np.maximum(block, 0, out=self.first[:, end - self.width : end])
        block = self.first[:, end - len(t.second) : end] @ t.second
        block += t.second_bias
        np.maximum(block, 0, out=self.second[:, end - self.width : end])
        out = np.empty((rows, len(t.bias)), np.float32)
        add_rows(self.tokens, t.direct_slots, t.direct_starts, t.direct, t.bias, out)
        out += self.second[:, end - len(t.up) : end] @ t.up
        if len(t.out):
            out = out @ t.out
            out += t.out_bias
        return out


@dataclass(frozen=True, slots=True)
class FlatModel:
    """Draws whole blocks of rows, column after column."""

    coder: Coder
    tables: tuple[ColumnTables, ...]
    facts: Mapping[str, Any]  # for the model card
    block_size: int = 4_096
    trees: tuple[Boosted, ...] = ()

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        values = self._values(self.block_size, generator(seed, "flat", block))
        columns = join(self.coder.schema, self.coder.fields, values)
        kept = slice(0, subjects)
        return Records.flat({name: v[kept] for name, v in columns.items()})

    def _values(self, rows: int, rng: np.random.Generator) -> dict[str, Values]:
        from synth_spark.generators._flat_kernels import pick

        drawn, seen, gated = self.coder.drawn, self.coder.seen, self.coder.gated
        count = len(drawn)
        tokens = np.zeros((count + len(seen) + len(gated), rows), np.int32)
        net, trees = Pass(self.tables, tokens), {t.column: t for t in self.trees}
        values: dict[str, Values] = {}
        for c, column in enumerate(drawn):
            if c in gated:
                tokens[count + len(seen) + gated.index(c)] = column.gate(values)
            logits = net.logits(c)
            if c in trees:
                trees[c].add(tokens, logits)
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            pick(logits, rng.random(rows), tokens[c])
            value = column.values(tokens[c], rng.random(rows), values)
            values[column.field.name] = value
            if c in seen:
                assert column.plain is not None
                tokens[count + seen.index(c)] = column.plain.encode(value)
        for relation in self.coder.computed:
            values[relation.child] = relation.value(values)
        return values

    def state(self) -> dict[str, Any]:
        return {
            "shape": "flat",
            "coder": self.coder.state(),
            "tables": [t.state() for t in self.tables],
            "facts": dict(self.facts),
            "block_size": self.block_size,
            "trees": [t.state() for t in self.trees],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> FlatModel:
        return cls(
            Coder.from_state(state["coder"]),
            tuple(ColumnTables(**t) for t in state["tables"]),
            state["facts"],
            state["block_size"],
            tuple(Boosted.from_state(t) for t in state["trees"]),
        )

    def about(self) -> dict[str, Any]:
        return dict(self.facts)


def relations_in_words(coder: Coder) -> list[str]:
    """One line a relation, for the model card."""
    residual = [d.relation for d in coder.drawn if d.relation is not None]
    lines = []
    for relation in (*coder.computed, *residual):
        how = "is computed from" if relation.exact else "follows"
        names = ", ".join(relation.needs)
        lines.append(f"{relation.child} {how} {names} ({relation.form})")
    return lines


def parameters(tables: tuple[ColumnTables, ...]) -> int:
    """Numbers in all tables."""
    arrays: list[NDArray[Any]] = [a for t in tables for a in t.state().values()]
    return int(sum(a.size for a in arrays))
