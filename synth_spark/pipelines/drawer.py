"""A drawer: a model that draws whole rows, identifiers included, ready on a worker.

Models draw what was learned. Identifiers are not learned but made anew in the source's format
(`columns/identifier.py`): the key from the subject's number, other ids from the row's, and the
other parties of a subject's events from the labels that the model gave them within a block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._determined_given import among, fillable
from synth_spark.columns.identifier import Identifier, TooManyIdsError
from synth_spark.columns.serial import Serial
from synth_spark.core.batch import ID_MARK, SUBJECT_MARK, Coded, Records, known_first
from synth_spark.core.conditions import Condition
from synth_spark.core.given import empty_like
from synth_spark.core.ports import Completes, FillsGaps, Tempers
from synth_spark.core.schema import EXACT, WHOLE_TYPES, Column
from synth_spark.core.seeds import generator
from synth_spark.core.shelf import GENERATORS
from synth_spark.pipelines.model_folder import Saved, load_saved

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

        What is asked of looked-up columns becomes a clause on what they follow from; what is asked
        of the levels of log lines and the like is met where the lines are written; the rest by the
        model.

        Raises:
            ImpossibleConditionError: The model gives it no chance (SYN-711).
            CannotConditionError: It cannot be drawn under (SYN-712).
        """
        saved = self.saved
        asked = saved.determined.asked(condition, saved.schema)
        texts, rest = saved.texts.conditioned(asked)
        model = saved.model.conditioned(rest) if rest.clauses else saved.model
        return replace(self, saved=replace(saved, model=model, texts=texts))

    def draw(self, block: int, subjects: int, seed: int) -> tuple[Records, dict[str, Any]]:
        """The records of the first `subjects` subjects of one block, and their identifiers.

        Returns:
            The records, and by column its ids: "#key" one text a subject, others one text a row.
        """
        drawn = self.saved.model.sample(block, subjects, seed)
        records = self.beside(drawn, block, seed)
        return records, self.made(records, block, seed)

    def beside(self, drawn: Records, block: int, seed: int) -> Records:
        """What a model drew of a block with the columns that it leaves out."""
        schema, saved = self.saved.schema, self.saved
        drawn = self._serial(drawn, block, seed)
        records = saved.texts.complete(drawn, schema, seed, block * self.block_size)
        return saved.determined.complete(records, schema, seed, block)

    def _serial(self, drawn: Records, block: int, seed: int) -> Records:
        """The records, each row with numbers of its own in the columns that have such."""
        columns = dict(drawn.columns)
        for column in self.saved.schema.columns:
            if not column.unique or column.name not in columns:
                continue
            values = np.asarray(columns[column.name], np.float64)
            state = self.saved.identifiers.get(column.name)
            if state:
                rng = generator(seed, f"serial/{column.name}", block)
                made = Serial.from_state(state).numbers(values, block, self.block_size, rng)
            else:  # so few ids that they tell no order
                made = np.arange(len(values), dtype=np.float64) + (block * self.block_size + 1)
            top = min(WHOLE_TYPES.get(column.source_type, EXACT), EXACT) - 1
            if np.nanmax(made, initial=0.0) > top:
                raise TooManyIdsError(
                    f"{column.name} of type {column.source_type} has no room for so many numbers.",
                    hint=f"fewer subjects, or kind: identifier for {column.name} in the plan",
                    room=top,
                )
            columns[column.name] = made
        return replace(drawn, columns=columns)

    def made(self, records: Records, block: int, seed: int) -> dict[str, Any]:
        """The identifiers of a block's records; see `draw`."""
        schema, first, subjects = self.saved.schema, block * self.block_size, records.subjects
        made: dict[str, Any] = {}
        if schema.key:
            numbers = np.arange(first, first + subjects, dtype=np.uint64)
            top = first + (
                self.block_size if block else subjects
            )  # one block: no wider than need be
            drawn = records.columns.get(schema.key.name)
            if isinstance(drawn, Coded):  # the model names its subjects itself, as cells have names
                made["#key"] = drawn.texts()[records.offsets[:-1]]
            else:
                made["#key"] = self._ids("#key", schema.key, numbers, top, seed)
        for column in schema.of_kind("identifier"):
            made[column.name] = self._column(column, records, block, seed)
        return made

    def _column(
        self, column: Column, records: Records, block: int, seed: int
    ) -> NDArray[np.object_]:
        """The ids of one column, shape (rows,)."""
        drawn = records.columns.get(column.name)
        if isinstance(drawn, Coded) and all(t[:1] == ID_MARK for t in drawn.labels):
            return self._numbered(column, drawn, block, seed)
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
            self._put_subjects(ids, drawn.labels, block, records.subjects, seed)
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

    def _numbered(self, column: Column, drawn: Coded, block: int, seed: int) -> NDArray[np.object_]:
        """Ids of numbers that a flat model drew, or of the rows' own; None where there is none."""
        out, there = np.full(len(drawn.codes), None, object), drawn.codes >= 0
        if drawn.labels == (ID_MARK,):
            first = block * self.block_size
            numbers = (first + np.flatnonzero(there)).astype(np.uint64)
            out[there] = self._ids(column.name, column, numbers, first + self.block_size, seed)
        elif there.any():
            shared = [label[len(ID_MARK) :].split("/") for label in drawn.labels]
            numbers = np.array([int(number) for number, _ in shared], np.uint64)
            ids = self._ids(column.name, column, numbers, int(shared[0][1]), seed)
            out[there] = ids[drawn.codes[there]]
        return out

    def _put_subjects(
        self, ids: NDArray[np.object_], labels: tuple[str, ...], block: int, drawn: int, seed: int
    ) -> None:
        """Give other parties that are subjects of the table the subjects' own ids.

        A subject that a table with one part-full block does not reach stays somebody else.
        """
        key = self.saved.schema.key
        marked = [i for i, t in enumerate(labels[: len(ids)]) if t[:1] == SUBJECT_MARK]
        if key is None or not marked:
            return
        numbers = np.array([int(labels[i][1:]) for i in marked], np.uint64)
        places, size = np.array(marked), self.block_size
        alone = not block and drawn < size
        for its in np.unique(numbers // np.uint64(size)).tolist():
            mine = numbers // np.uint64(size) == its
            top = (its + 1) * size
            if alone:
                top = drawn if its == 0 else 0
            mine &= numbers < top
            if mine.any():
                ids[places[mine]] = self._ids("#key", key, numbers[mine], top, seed)

    def _ids(
        self, role: str, column: Column, numbers: NDArray[np.uint64], top: int, seed: int
    ) -> NDArray[np.object_]:
        """Ids of numbers below `top`."""
        return self._format(role, column.source_type, top).ids(numbers, seed, column.name)

    def _format(self, role: str, source_type: str, top: int) -> Identifier:
        """How ids are written; only of flat tables, whose ids are numbered in order, with a range.

        In a table of events the numbers of ids leave gaps, and other parties share the subjects'.
        """
        state, whole = self.saved.identifiers.get(role), source_type in WHOLE_TYPES
        made = Identifier.from_state(state) if state else Identifier.finish(None)
        made = replace(made, whole=whole or made.whole)
        flat = self.saved.schema.shape == "flat"
        return made.limited(WHOLE_TYPES[source_type] - 1 if whole and flat else 0).widened(top)


@dataclass(frozen=True, slots=True)
class Filler:
    """A drawer that fills the gaps of known rows of a flat table."""

    drawer: ModelDrawer
    completer: Completes

    @classmethod
    def of(cls, drawer: ModelDrawer, fields: Iterable[str]) -> Filler | None:
        """The filler for rows that give these columns; None where the model has no way to."""
        saved, there = drawer.saved, set(fields)
        kind = GENERATORS.get(saved.generator)
        if not isinstance(kind, FillsGaps) or saved.schema.shape not in kind.fills:
            return None
        if not there.isdisjoint(saved.texts.made):
            return None
        completer: Completes = saved.model.completer()  # type: ignore[attr-defined]
        can = fillable(saved.determined, there, completer.bounds)
        return cls(drawer, completer) if can else None

    def fill(self, block: int, known: Records, seed: int) -> tuple[Records, dict[str, Any]]:
        """The rows of one block, every gap drawn given the row's other cells; see `draw`."""
        options, _ = among(self.drawer.saved.determined, known)
        drawn = self.completer.complete(self._whole(known), seed, block, options)
        records = self.drawer.beside(drawn, block, seed)
        held = {n: known_first(v, records.columns[n]) for n, v in known.columns.items()}
        records = replace(records, columns={**records.columns, **held})
        return records, self.drawer.made(records, block, seed)

    def unknown(self, known: Records) -> dict[str, NDArray[np.bool_]]:
        """By column, the rows whose cell has no chance under the model; each of shape (rows,)."""
        _, wrong = among(self.drawer.saved.determined, known)
        found = self.completer.unknown(self._whole(known))
        return {n: found.get(n, False) | wrong.get(n, np.zeros(known.rows, bool)) for n in
                known.columns}  # fmt: skip

    def _whole(self, known: Records) -> Records:
        """The rows with all columns that the model draws."""
        saved = self.drawer.saved
        own = saved.texts.rest(saved.determined.rest(saved.schema)).columns
        return Records.flat(
            {c.name: known.columns.get(c.name, empty_like(c, known.rows)) for c in own}
        )


def load_filler(folder: str, fields: tuple[str, ...]) -> Filler | None:
    """The filler of a model folder, None where rows that give these columns are drawn instead."""
    return Filler.of(load_drawer(folder), fields)


@dataclass(frozen=True, slots=True)
class Tempered:
    """Reads a model folder as `load_drawer` does, to draw under another temperature or nucleus."""

    temperature: float | None = None  # None: as fitted
    top_p: float | None = None  # None: as fitted

    def __call__(self, folder: str) -> ModelDrawer:
        drawer = load_drawer(folder)
        fitted: Tempers = drawer.saved.model  # type: ignore[assignment] # plans are checked for it
        model = fitted.tempered(
            temperature=fitted.temperature if self.temperature is None else self.temperature,
            top_p=fitted.top_p if self.top_p is None else self.top_p,
        )
        return replace(drawer, saved=replace(drawer.saved, model=model))


def load_drawer(folder: str) -> ModelDrawer:
    """The drawer of a model folder, read anew: another run may have put another model there."""
    return ModelDrawer(load_saved(folder))
