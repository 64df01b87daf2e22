"""All text columns of a table: taken out before a generator learns, written after it has drawn.

What goes with the lines (levels, components) is taken out too, so every generator of events or of
flat tables makes tables with log lines, and none has to know of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from synth_spark.columns._text_column import Text
from synth_spark.core.batch import Records
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.core.ports import Learning, Take
from synth_spark.core.schema import Schema

SAMPLE_SUBJECTS, SAMPLE_ROWS = 20_000, 400_000


def texts(schema: Schema, *, min_subjects: int, relates: bool) -> Learning:
    """Tell the story of the lines; returns `Texts`.

    Args:
        schema: Of the table.
        min_subjects: What fewer subjects hold is not told.
        relates: Whether the generator lets columns hang together.
    """
    columns = schema.of_kind("text")
    if not columns:
        return Texts()
    sample: Records = yield Take(subjects=SAMPLE_SUBJECTS, rows=SAMPLE_ROWS)
    found: list[Text] = []
    for column in columns:  # what goes with one column is not asked for again
        rest = Texts(tuple(found)).rest(schema)
        found.append(
            Text.learn(column.name, rest, sample, min_subjects=min_subjects, relates=relates)
        )
    return Texts(tuple(found))


@dataclass(frozen=True, slots=True)
class Texts:
    """The text columns of a table, in order."""

    columns: tuple[Text, ...] = ()

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that are written here: lines, and what goes with them."""
        return tuple(n for t in self.columns for n in (t.name, *(b.name for b in t.beside)))

    def rest(self, schema: Schema) -> Schema:
        """The schema that a generator learns: without the columns that are written here."""
        gone = {*self.made, *(c.name for c in schema.of_kind("text"))}
        return replace(schema, columns=tuple(c for c in schema.columns if c.name not in gone))

    def complete(self, records: Records, schema: Schema, seed: int, first: int) -> Records:
        """Drawn records with the columns that were left out; subject i has the number first + i."""
        columns = dict(records.columns)
        for text in self.columns:
            now = Records(columns, records.offsets)
            columns |= text.complete(now, schema, seed, first)
        return Records(columns, records.offsets)

    def conditioned(self, condition: Condition) -> tuple[Texts, Condition]:
        """These columns under a condition, and the part of it that a model has to meet.

        A clause on a column that goes with the lines is met here: by templates that can have the
        label, and by subjects of groups that have such templates.

        Raises:
            ImpossibleConditionError: No template, or none of the groups left, can (SYN-711).
        """
        clauses = list(condition.clauses)
        found = []
        for text in self.columns:
            own = [c for c in clauses if c.field in {b.name for b in text.beside}]
            if not own:
                found.append(text)
                continue
            wanted = {c.field: frozenset({None} if c.missing else c.labels) for c in own}
            under, groups = text.under(wanted)
            clauses = [c for c in clauses if c not in own]
            if not under.chain.mass or (text.group and not groups):
                raise _impossible(own)
            if text.group:
                clauses = _narrowed(clauses, text.group, groups, own)
            found.append(under)
        return Texts(tuple(found)), Condition(tuple(clauses))

    def in_words(self) -> list[str]:
        """One line a column, for the model card."""
        return [
            f"{t.name}: {t.facts['templates']} templates with {t.facts['parameters']} parameters; "
            f"{t.facts['lines without a template']:,} of {t.facts['lines']:,} lines of the sample "
            f"have none that enough subjects hold"
            + (f"; by {t.group}" if t.group else "")
            + (f"; with {', '.join(b.name for b in t.beside)}" if t.beside else "")
            for t in self.columns
        ]

    def state(self) -> list[Any]:
        """A tree for the wire."""
        return [t.state() for t in self.columns]

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        """What `state` came from."""
        return cls(tuple(Text.from_state(t) for t in state))


def _narrowed(
    clauses: list[Clause], group: str, groups: tuple[str, ...], own: list[Clause]
) -> list[Clause]:
    """The clauses with the group among those that can."""
    before = next((c for c in clauses if c.field == group), None)
    labels = groups if before is None else tuple(v for v in before.labels if v in groups)
    if not labels:
        raise _impossible(own)
    return [*(c for c in clauses if c is not before), Clause(field=group, labels=labels)]


def _impossible(own: list[Clause]) -> ImpossibleConditionError:
    said = " ".join(c.text() for c in own)
    return ImpossibleConditionError(
        f"No log line that is told can hold {said}.", hint="another label", condition=said
    )
