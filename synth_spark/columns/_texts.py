"""Log lines and types of event: taken out before a generator learns, written after it has drawn.

What goes with the lines (levels, components) is taken out too, so every generator of events or of
flat tables makes tables with log lines, and none has to know of them. So are categories of events
whose many labels are types and no habits (`_text_codes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from synth_spark.columns._text_codes import Codes, code_columns
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
    coded = [c for c in schema.of_kind("category") if c.per == "event"]
    if not columns and not (relates and coded and schema.shape == "events"):
        return Texts()
    sample: Records = yield Take(subjects=SAMPLE_SUBJECTS, rows=SAMPLE_ROWS)
    found: list[Text | Codes] = []
    for column in columns:  # what goes with one column is not asked for again
        rest = Texts(tuple(found)).rest(schema)
        found.append(
            Text.learn(column.name, rest, sample, min_subjects=min_subjects, relates=relates)
        )
    for name in code_columns(Texts(tuple(found)).rest(schema), sample, min_subjects) * relates:
        made = Texts(tuple(found))
        if name not in made.made:
            found.append(Codes.learn(name, made.rest(schema), sample, min_subjects=min_subjects))
    return Texts(tuple(found))


def without_text(schema: Schema) -> Schema:
    """The schema without columns of log lines."""
    return replace(schema, columns=tuple(c for c in schema.columns if c.kind != "text"))


@dataclass(frozen=True, slots=True)
class Texts:
    """The columns of log lines and of types of a table, in the order in which they are drawn."""

    columns: tuple[Text | Codes, ...] = ()

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that are written here: lines, and what goes with them."""
        return tuple(n for t in self.columns for n in t.made)

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
        found: list[Text | Codes] = []
        for text in self.columns:
            own = [c for c in clauses if c.field in text.made]
            if not own:
                found.append(text)
                continue
            wanted = {c.field: frozenset({None} if c.missing else c.labels) for c in own}
            under, groups = text.under(wanted)
            clauses = [c for c in clauses if c not in own]
            group = text.order.group
            if not under.order.chain.mass or (group and not groups):
                raise _impossible(own)
            if group:
                clauses = _narrowed(clauses, group, groups, own)
            found.append(under)
        return Texts(tuple(found)), Condition(tuple(clauses))

    def in_words(self) -> list[str]:
        """One line a column, for the model card."""
        return [t.in_words() for t in self.columns]

    def state(self) -> list[Any]:
        """A tree for the wire."""
        return [t.state() for t in self.columns]

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        """What `state` came from."""
        kinds = (Text if "templates" in t else Codes for t in state)
        return cls(tuple(k.from_state(t) for k, t in zip(kinds, state, strict=True)))


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
