"""A drawer: a model that draws whole rows, identifiers included, ready on a worker.

Models draw what was learned. Identifiers are not learned but made anew in the source's format
(`columns/identifier.py`): the key from the subject's number, other ids from the row's, and the
other parties of a subject's events from the labels that the model gave them within a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.identifier import Identifier
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition
from synth_spark.core.schema import Column
from synth_spark.pipelines.model_folder import Saved, load_saved

WHOLE_TYPES = ("tinyint", "smallint", "int", "bigint")
PARTIES_PER_BLOCK_BITS = 22  # other parties of one block: at most four million
EVENTS_PER_SUBJECT_BITS = 20


@dataclass(frozen=True, slots=True)
class ModelDrawer:
    """A saved model with its identifier formats."""

    saved: Saved

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.saved.model.block_size

    def conditioned(self, condition: Condition) -> ModelDrawer:
        """The same, drawing only subjects that hold a condition.

        Raises:
            ImpossibleConditionError: The model gives it no chance (SYN-711).
            CannotConditionError: It cannot be drawn under (SYN-712).
        """
        asked = self.saved.determined.asked(condition, self.saved.schema)
        if not asked.clauses:
            return self
        return replace(self, saved=replace(self.saved, model=self.saved.model.conditioned(asked)))

    def draw(self, block: int, subjects: int, seed: int) -> tuple[Records, dict[str, Any]]:
        """The records of the first `subjects` subjects of one block, and their identifiers.

        Returns:
            The records, and by column its ids: "#key" one text a subject, others one text a row.
        """
        schema, first = self.saved.schema, block * self.block_size
        records = self.saved.model.sample(block, subjects, seed)
        records = self.saved.determined.complete(records, schema, seed, block)
        made: dict[str, Any] = {}
        if schema.key:
            numbers = np.arange(first, first + subjects, dtype=np.uint64)
            top = first + (
                self.block_size if block else subjects
            )  # one block: no wider than need be
            made["#key"] = self._ids("#key", schema.key, numbers, top, seed)
        for column in schema.of_kind("identifier"):
            made[column.name] = self._column(column, records, block, seed)
        return records, made

    def _column(
        self, column: Column, records: Records, block: int, seed: int
    ) -> NDArray[np.object_]:
        """The ids of one column, shape (rows,)."""
        drawn = records.columns.get(column.name)
        if isinstance(drawn, Coded):
            start, used = (
                np.uint64(block << PARTIES_PER_BLOCK_BITS),
                drawn.codes.max(initial=-1) + 1,
            )
            numbers = start + np.arange(used, dtype=np.uint64)
            top = (block + 1) << PARTIES_PER_BLOCK_BITS
            if not column.counterpart and not block and records.subjects < self.block_size:
                top = int(used)  # one block: no wider than need be
            ids = self._ids(column.name, column, numbers, top, seed)
            table = np.empty(len(ids) + 1, dtype=object)  # code -1, missing, reads the last: None
            table[:-1] = ids
            return np.asarray(table[drawn.codes])
        owners = records.owners.astype(np.uint64) + np.uint64(block * self.block_size)
        top = (block + 1) * self.block_size
        if column.per == "event" and self.saved.schema.shape == "events":
            events = np.arange(records.rows) - records.offsets[:-1][records.owners]
            owners = (owners << np.uint64(EVENTS_PER_SUBJECT_BITS)) + events.astype(np.uint64)
            top <<= EVENTS_PER_SUBJECT_BITS
        return self._ids(column.name, column, owners, top, seed)

    def _ids(
        self, role: str, column: Column, numbers: NDArray[np.uint64], top: int, seed: int
    ) -> NDArray[np.object_]:
        """Ids of numbers below `top`."""
        return self._format(role, column.source_type in WHOLE_TYPES, top).ids(
            numbers, seed, column.name
        )

    def _format(self, role: str, whole: bool, top: int) -> Identifier:
        state = self.saved.identifiers.get(role)
        made = Identifier.from_state(state) if state else Identifier.finish(None)
        return replace(made, whole=whole or made.whole).widened(top)


def load_drawer(folder: str) -> ModelDrawer:
    """The drawer of a model folder, read anew: another run may have put another model there."""
    return ModelDrawer(load_saved(folder))
