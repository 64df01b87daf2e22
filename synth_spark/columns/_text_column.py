"""One column of log lines: learned from a sample, and written again beside drawn records.

Learned are the templates, which of them follows which, the columns that go with them, and how each
parameter of each template is drawn. Lines without a template that is told are left out of all of
it: their places are taken by told templates as these follow each other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from synth_spark.columns._text_chain import MOST_KEPT
from synth_spark.columns._text_made import STANDARD, Dice
from synth_spark.columns._text_mine import OTHER, Templates, mine
from synth_spark.columns._text_order import STRIDE, Order, Wanted
from synth_spark.columns._text_slots import Memory, Slot, use_of
from synth_spark.columns._text_ways import Use
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.masks import LOOKS, WORD
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import stream_key
from synth_spark.errors import SynthError

TRIALS = 2  # draws of a line's parameters before the standard ones
_REHEARSALS = 20  # draws of a template, to find parameters with which it can be read again


class NoTemplateError(SynthError):
    """No template of a text column is held by enough subjects."""

    code = "SYN-781"


@dataclass(frozen=True, slots=True)
class Text:
    """A column of lines. The template after the last one told stands for a missing line."""

    name: str
    templates: Templates
    slots: tuple[tuple[Slot, ...], ...]  # of each template
    standard: tuple[tuple[str, ...], ...]  # parameters with which each template reads again
    order: Order
    facts: dict[str, Any]
    _read: dict[tuple[Any, ...], bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def learn(
        cls, name: str, schema: Schema, sample: Records, *, min_subjects: int, relates: bool
    ) -> Self:
        """Learn from a sample of whole subjects.

        Args:
            name: The column.
            schema: Of the table.
            sample: The subjects.
            min_subjects: What fewer subjects hold is not told.
            relates: Whether lines may hang on each other and on other columns.

        Raises:
            NoTemplateError: There is nothing that may be told (SYN-781).
        """
        lines = _texts(sample.columns[name])
        templates, parsed, slots, standard = _told(lines, sample, min_subjects)
        if not len(templates):
            raise NoTemplateError(
                f"Column {name!r} holds no line whose like {min_subjects} subjects have.",
                hint="kind: identifier makes its values anew; kind: category keeps the frequent",
                column=name,
            )
        gone = len(templates)  # the template of missing lines
        ids = np.array(
            [gone if v is None else p[0] for v, p in zip(lines, parsed, strict=True)], np.int64
        )
        order = Order.learn(schema, sample, ids, min_subjects=min_subjects, relates=relates)
        facts = {
            "templates": len(templates),
            "lines": len(lines),
            "lines without a template": int((ids == OTHER).sum()),
            "parameters": sum(map(len, slots)),
        }
        return cls(name, templates, tuple(slots), standard, order, facts)

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that are written here."""
        return (self.name, *(b.name for b in self.order.beside))

    def complete(
        self, records: Records, schema: Schema, seed: int, first: int
    ) -> dict[str, Values]:
        """The lines and the columns beside them for drawn records, shape (rows,) each.

        Args:
            records: Drawn, without these columns.
            schema: Of the whole table.
            seed: Of the sampling.
            first: Number of the first subject; each has random numbers of its own.
        """
        drawn, beside = self.order.draw(records, stream_key(seed, f"order/{self.name}"), first)
        templates, times = drawn.tolist(), _microseconds(schema, records)
        key = stream_key(seed, f"text/{self.name}")
        lines: list[str | None] = []
        bounds = zip(records.offsets[:-1].tolist(), records.offsets[1:].tolist(), strict=True)
        for s, (a, b) in enumerate(bounds):
            dice, memory = Dice(key + (first + s) * STRIDE), Memory()
            for i in range(a, b):
                at_us = times[i] if times else None
                lines.append(self._line(templates[i], memory, dice, at_us))
        return {self.name: Coded.of(lines), **beside}

    def _line(self, t: int, memory: Memory, dice: Dice, at_us: int | None) -> str | None:
        """A line of a template; it reads again as this template with parameters of its types."""
        if not 0 <= t < len(self.templates):
            return None
        slots, line = self.slots[t], ""
        values: list[str] = []
        for _ in range(TRIALS):
            values, way = [], ""
            for j, slot in enumerate(slots):
                value, way = slot.draw((t, j), values, way, memory, dice, at_us)
                values.append(value)
            line = self.templates.written(t, values)
            if self._reads(t, values, line):
                break
        else:
            values = list(self.standard[t])
            line = self.templates.written(t, values)
        for j, slot in enumerate(slots):
            memory.note(t, j, slot.pool, values[j])
        memory.before = t
        return line

    def _reads(self, t: int, values: list[str], line: str) -> bool:
        """Whether a line reads again as its template and parameters.

        That hangs on the kinds of the characters alone, so lines of one look are read once.
        """
        looks = [
            v if slot.type == WORD else v.translate(LOOKS)
            for v, slot in zip(values, self.slots[t], strict=True)
        ]
        key = (t, *looks)
        known = self._read.get(key)
        if known is None:
            if len(self._read) >= MOST_KEPT:
                self._read.clear()
            known = self._read[key] = self.templates.parse(line) == (t, values)
        return known

    def under(self, wanted: Wanted) -> tuple[Text, tuple[str, ...]]:
        """This column where columns beside it have wanted labels, and the groups that have such."""
        order, groups = self.order.under(wanted)
        return replace(self, order=order), groups

    def in_words(self) -> str:
        """One line for the model card."""
        facts = self.facts
        return (
            f"{self.name}: {facts['templates']} templates with {facts['parameters']} parameters; "
            f"{facts['lines without a template']:,} of {facts['lines']:,} lines of the sample "
            f"have none that enough subjects hold{self.order.in_words()}"
        )

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "name": self.name,
            "templates": self.templates.state(),
            "slots": [[s.state() for s in slots] for slots in self.slots],
            "standard": [list(v) for v in self.standard],
            "order": self.order.state(),
            "facts": self.facts,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The column that `state` came from."""
        return cls(
            state["name"],
            Templates.from_state(state["templates"]),
            tuple(tuple(Slot.from_state(s) for s in slots) for slots in state["slots"]),
            tuple(tuple(v) for v in state["standard"]),
            Order.from_state(state["order"]),
            state["facts"],
        )


Parsed = list[tuple[int, list[str]]]


def _told(
    lines: list[str | None], sample: Records, min_subjects: int
) -> tuple[Templates, Parsed, list[tuple[Slot, ...]], tuple[tuple[str, ...], ...]]:
    """Templates that can be written and read again, the lines in them, and their parameters."""
    templates = mine(lines, sample.owners, min_subjects)
    while True:
        parsed = [(OTHER, []) if v is None else templates.parse(v) for v in lines]
        slots = _slots(templates, parsed, sample, min_subjects)
        standard = [_readable(templates, i, slots[i]) for i in range(len(templates))]
        good = tuple(w for w, v in zip(templates.words, standard, strict=True) if v is not None)
        if len(good) == len(templates):
            return templates, parsed, slots, tuple(v for v in standard if v is not None)
        templates = Templates(good)


def _slots(
    templates: Templates, parsed: Parsed, sample: Records, min_subjects: int
) -> list[tuple[Slot, ...]]:
    """How each parameter of each template is drawn, from the lines subject by subject."""
    types = [templates.types(i) for i in range(len(templates))]
    pools = [templates.pools(i) for i in range(len(templates))]
    uses: defaultdict[tuple[int, int], list[Use]] = defaultdict(list)
    bounds = zip(sample.offsets[:-1].tolist(), sample.offsets[1:].tolist(), strict=True)
    for owner, (a, b) in enumerate(bounds):
        memory = Memory()
        for i, values in parsed[a:b]:
            for j in range(len(values)):
                uses[i, j].append(use_of((i, j), pools[i][j], owner, values, memory))
            for j, value in enumerate(values):
                memory.note(i, j, pools[i][j], value)
            if i >= 0:
                memory.before = i
    out = []
    for i, kinds in enumerate(types):
        ways, slots = [""] * len(uses[i, 0]), []
        for j, kind in enumerate(kinds):
            slot, ways = Slot.learn(kind, pools[i][j], uses[i, j], min_subjects, ways)
            slots.append(slot)
        out.append(tuple(slots))
    return out


def _readable(templates: Templates, i: int, slots: tuple[Slot, ...]) -> tuple[str, ...] | None:
    """Parameters with which the template's line reads again as the template; None: none found."""
    dice, values = Dice(i), [STANDARD[slot.type] for slot in slots]
    for _ in range(_REHEARSALS):
        if templates.parse(templates.written(i, values)) == (i, values):
            return tuple(values)
        values = [slot.fresh(dice, None) for slot in slots]
    return None


def _microseconds(schema: Schema, records: Records) -> list[int] | None:
    if not schema.time:
        return None
    stamps = np.asarray(records.columns[schema.time]).astype("datetime64[us]").astype(np.int64)
    return [int(v) for v in stamps]


def _texts(values: Values) -> list[str | None]:
    return list(values.texts()) if isinstance(values, Coded) else list(values)
