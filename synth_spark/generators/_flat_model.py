"""What was learned of a flat table, and how rows are drawn from it: a block at a time."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import Condition
from synth_spark.core.given import refuse_cells
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_boost import Boosted
from synth_spark.generators._flat_fields import join
from synth_spark.generators._flat_tables import ColumnTables
from synth_spark.generators._flat_tokens import Coder

if TYPE_CHECKING:
    from synth_spark.generators._flat_complete import Completer
    from synth_spark.generators._flat_given import GivenModel

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

    def taken(self, which: NDArray[np.int64], tokens: NDArray[np.int32]) -> Pass:
        """The pass of some of the rows, whose tokens are given."""
        out = copy(self)
        out.tokens, out.first, out.second = tokens, self.first[which], self.second[which]
        return out

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
        if len(t.beside):
            out += t.beside[self.tokens[t.beside_slot]]
        return out


class Drawing:
    """Rows on their way through the columns."""

    def __init__(self, model: FlatModel, rows: int, rng: np.random.Generator) -> None:
        self.model, self.rng = model, rng
        coder = model.coder
        self.tokens = np.zeros((model.width, rows), np.int32)
        self.net = Pass(model.tables, self.tokens)
        self.trees = {t.column: t for t in model.trees}
        self.values: dict[str, Values] = {}
        self.count = len(coder.drawn)

    @property
    def rows(self) -> int:
        """How many."""
        return self.tokens.shape[1]

    def weights(self, c: int) -> NDArray[np.float32]:
        """Of the tokens of the next column, in proportion to their chances; (rows, vocabulary)."""
        coder = self.model.coder
        if c in coder.gated:
            gate = self.count + len(coder.seen) + coder.gated.index(c)
            self.tokens[gate] = coder.drawn[c].gate(self.values)
        logits = self.net.logits(c)
        if c in self.trees:
            self.trees[c].add(self.tokens, logits)
        logits -= logits.max(axis=1, keepdims=True)
        return np.exp(logits, out=logits)

    def draw(self, c: int, weights: NDArray[np.float32] | None = None) -> None:
        """The next column of all rows; its weights, if they are known."""
        from synth_spark.generators._flat_kernels import pick

        pick(
            self.weights(c) if weights is None else weights,
            self.rng.random(self.rows),
            self.tokens[c],
        )
        column = self.model.coder.drawn[c]
        self.put(c, column.drawn_values(self.tokens[c], self.rng.random(self.rows), self.values))

    def put(self, c: int, value: Values) -> None:
        """The value of the column whose token was drawn."""
        coder = self.model.coder
        self.values[coder.drawn[c].field.name] = value
        plain = coder.drawn[c].plain
        if plain is not None:
            self.tokens[self.count + coder.seen.index(c)] = plain.encode(value)

    def compute(self) -> None:
        """The fields that follow from the drawn ones."""
        for relation in self.model.coder.computed:
            self.values[relation.child] = relation.value(self.values)

    def replace(self, rows: NDArray[np.int64], others: Drawing) -> None:
        """Put other rows, as far along, in the place of some."""
        self.tokens[:, rows] = others.tokens
        self.net.first[rows], self.net.second[rows] = others.net.first, others.net.second
        for name, value in others.values.items():
            own = self.values[name]
            if isinstance(own, Coded):
                assert isinstance(value, Coded)
                codes = own.codes.copy()
                codes[rows] = value.codes  # of the same codec, so under the same labels
                self.values[name] = Coded(codes, own.labels)
            else:
                own = np.array(own)
                own[rows] = value
                self.values[name] = own

    def taken(self, which: NDArray[np.int64]) -> Drawing:
        """Some of the rows, as far as they have come."""
        out = copy(self)
        out.tokens = np.ascontiguousarray(self.tokens[:, which])
        out.net = self.net.taken(which, out.tokens)
        out.values = {name: v[which] for name, v in self.values.items()}
        return out


@dataclass(frozen=True, slots=True)
class FlatModel:
    """Draws whole blocks of rows, column after column."""

    coder: Coder
    tables: tuple[ColumnTables, ...]
    facts: Mapping[str, Any]  # for the model card
    block_size: int = 4_096
    trees: tuple[Boosted, ...] = ()

    @property
    def width(self) -> int:
        """Token columns: drawn ones, bins of values, gates."""
        return len(self.coder.drawn) + len(self.coder.seen) + len(self.coder.gated)

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        drawing = Drawing(self, self.block_size, generator(seed, "flat", block))
        for c in range(len(self.coder.drawn)):
            drawing.draw(c)
        drawing.compute()
        return self.records(drawing.values, subjects)

    def records(self, values: Mapping[str, Values], subjects: int) -> Records:
        """The first rows of drawn fields as a table."""
        columns = join(self.coder.schema, self.coder.fields, values)
        kept = slice(0, subjects)
        return Records.flat({name: v[kept] for name, v in columns.items()})

    def conditioned(self, condition: Condition) -> GivenModel:
        """The same model under a condition; see `_flat_given.py`."""
        from synth_spark.generators._flat_given import GivenModel

        return GivenModel.of(self, condition)

    def completed(self, records: Records, seed: int, block: int = 0) -> Records:
        """Rows with their missing cells drawn given the others; see `_flat_complete.py`.

        Args:
            records: Rows with every column that the model draws; ids may be left out.
            seed: Of the drawing.
            block: The number of these rows among others that are completed with the same seed.

        Raises:
            MissingColumnError: A column is not there (SYN-790).
            ImpossibleConditionError: A cell that the model could never draw (SYN-711).
        """
        from synth_spark.generators._flat_chance import needed

        needed(self.coder, records)
        completer = self.completer()
        refuse_cells(completer.unknown(records), records)
        return completer.complete(records, seed, block)

    def completer(self) -> Completer:
        """What fills gaps, block after block: what it has to count first it counts once."""
        from synth_spark.generators._flat_complete import Completer

        return Completer.of(self)

    def log_probability(self, records: Records) -> NDArray[np.float64]:
        """Nats that the model gives to whole rows, shape (rows,); see `_flat_chance.py`.

        A row that the model could never draw has -inf.

        Raises:
            MissingColumnError: A column is not there (SYN-790).
        """
        from synth_spark.generators._flat_chance import log_probability

        return log_probability(self, records)

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
    return int(sum(np.size(a) for t in tables for n, a in t.state().items() if n != "beside_slot"))
