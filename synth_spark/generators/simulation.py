"""Simulation by rules from the literature: with no records at all, with aggregates, and scenarios.

Calls and texts follow a two-state Markov-modulated Poisson process with the rhythm of the week and
go along the ties of ego networks; places follow exploration and preferential return over cells;
browsing comes in sessions of pages; bills follow from usage by tariff; faults follow from load.
Each rule names its source in its file (`_sim_*.py`); docs/ref-generators-simulation.md tells all.

With records every setting that aggregates tell is fitted, and the card says to which value; without
any the stated defaults hold. Columns that no rule makes are drawn from their own shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import CLOCK_FIELDS, Clause, Condition
from synth_spark.core.ports import Learning
from synth_spark.core.schema import Column, Schema, Shape
from synth_spark.generators._sim_cold import cold_facts, in_words
from synth_spark.generators._sim_draft import Draft, shaped
from synth_spark.generators._sim_facts import Facts
from synth_spark.generators._sim_learn import learned_facts
from synth_spark.generators._sim_other import add_others
from synth_spark.generators._sim_params import SimulationParams
from synth_spark.generators._sim_reach import check_reach, few_events, shortfalls
from synth_spark.generators._sim_rules import RULES
from synth_spark.generators._sim_scenarios import (
    ScenarioFitError,
    check_scenarios,
    with_values,
)


@dataclass(frozen=True)
class SimulationModel:
    """Facts, and the rules of their family."""

    facts: Facts

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.facts.params.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        facts = self.facts
        rules, draft = RULES[facts.rule], Draft(facts, block, seed)
        rules.draw(draft)
        made = rules.columns(draft)
        key = facts.schema.key
        names = [*([key.name] if key else []), *(c.name for c in facts.schema.columns)]
        columns = {n: v for n, v in made.items() if n in names and n not in facts.own}
        add_others(draft, columns)
        columns = with_values(draft, columns)
        if facts.scenarios:
            columns[facts.params.label] = draft.marks()
        named = {c.name: c for c in facts.schema.columns}
        plain = {n: _typed(named.get(n), v) for n, v in columns.items()}
        ordered: dict[str, Values] = {n: plain.pop(n) for n in names if n in plain}
        records = draft.records(ordered | plain)
        return records if subjects == self.block_size else records.take(np.arange(subjects))

    def conditioned(self, condition: Condition) -> SimulationModel:
        return replace(self, facts=self.facts.under(condition))

    def state(self) -> dict[str, Any]:
        return self.facts.state()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(Facts.from_state(state))

    def about(self) -> dict[str, Any]:
        return in_words(self.facts)


def _typed(column: Column | None, values: Values) -> Values:
    """Numbers as the column's type can hold them; all else as it is."""
    if column is None or column.kind != "number" or isinstance(values, Coded):
        return values
    return shaped(column, values)


class Simulation:
    """Makes records by rules, fitted to aggregates or with none; scenarios with exact rates."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat", "events"})
    min_subjects: ClassVar[int] = 0
    relates: ClassVar[bool] = True
    families: ClassVar[frozenset[str]] = frozenset(RULES) - {"flat"}
    Params: ClassVar[type[Any]] = SimulationParams
    Model: ClassVar[type[Any]] = SimulationModel

    def learn(self, schema: Schema, params: SimulationParams, seed: int) -> Learning:
        rest = schema
        if params.scenarios:
            kept = tuple(c for c in schema.columns if c.name != params.label)
            rest = replace(schema, columns=kept)
        facts = yield from learned_facts(rest, params, seed)
        if facts is not None and rest != schema:
            raise ScenarioFitError(
                f"The records have a column {params.label} of their own, where labels would go.",
                hint="another generator.params.label",
                column=params.label,
            )
        if facts is None:
            facts = cold_facts(rest, params, seed)
        check_scenarios(facts)
        return SimulationModel(facts)

    def made(self, schema: Schema, params: SimulationParams) -> Schema:
        """The schema with the column of labels, where there are scenarios."""
        if not params.scenarios or any(c.name == params.label for c in schema.columns):
            return schema
        label = Column(name=params.label, kind="category", source_type="string")
        return replace(schema, columns=(*schema.columns, label))

    def check_reach(self, params: SimulationParams, subjects: int) -> None:
        """Refuse scenarios that take none of the subjects (SYN-762)."""
        check_reach(params.told(), subjects)

    def short(self, params: SimulationParams, subjects: int, rows: int) -> tuple[str, ...]:
        """Sentences on rings that are not whole, and on shares of less than one event."""
        happen = params.told()
        return shortfalls(happen, subjects) + few_events(happen, rows)

    def objection(self, schema: Schema, clause: Clause) -> str:
        if clause.missing:
            return f"the rules make no records for the sake of a missing {clause.field}"
        if clause.field in CLOCK_FIELDS or clause.field == schema.time:
            return ""
        column = schema.column(clause.field)
        if column.kind != "category":
            return f"{clause.field} follows from other columns by rules; name those instead"
        return ""


GENERATOR = Simulation()
EXAMPLE = SimulationParams(min_subjects=2, block_size=256, days=7, cells=30)
