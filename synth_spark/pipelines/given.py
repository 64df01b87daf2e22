"""A table of conditions against the plan: what is refused before anything is learned."""

from __future__ import annotations

import math

from synth_spark.config import Plan
from synth_spark.core.conditions import CannotConditionError, Clause, Condition
from synth_spark.core.given import CLOCK, ROW, Asked, BadGivenError
from synth_spark.core.ports import FillsGaps
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError


def check_given(asked: Asked, rows: int, plan: Plan, schema: Schema) -> None:
    """Refuse what the plan's generator cannot draw under, and what the plan says twice.

    Args:
        asked: The table's columns.
        rows: Its rows.
        plan: With its generator settled.
        schema: Of the records.

    Raises:
        PlanError: Another number of subjects is asked for than the table has rows (SYN-100).
        BadGivenError: A column that `sample.where` names too, or a taken name (SYN-713).
        CannotConditionError: The generator cannot draw under a column by construction (SYN-712).
    """
    wanted = plan.sample.subjects
    if wanted is not None and wanted != rows:
        raise PlanError(
            f"sample.subjects is {wanted:,}, and sample.given has {rows:,} rows: one subject each.",
            hint="leave sample.subjects out",
            path="sample.subjects",
        )
    both = [
        c.field for c in Condition.parse(plan.sample.where, schema).clauses
        if c.field in asked.fields
    ]  # fmt: skip
    if both:
        raise BadGivenError(
            f"{both[0]} stands in sample.where and in sample.given.",
            hint="one of the two",
            field=both[0],
        )
    if ROW in plan.source_names().values():
        raise BadGivenError(
            f"The records have a column {ROW}, which is where the twin tells a subject's row.",
            hint=f"--drop {ROW}; in a plan records.drop: [{ROW}]",
            field=ROW,
        )
    name = plan.generator.name
    kind = GENERATORS.get(name)
    if isinstance(kind, FillsGaps) and schema.shape in kind.fills and not plan.sample.where:
        return
    for column in asked.schema.columns:
        why = (
            f"a condition cannot name values of kind {column.kind}"
            if column.kind == "place"
            else kind.objection(schema, _specimen(column))
        )
        if why:
            raise CannotConditionError(
                f"{name} cannot draw under the column {column.name} of sample.given: {why}.",
                hint="another generator, or leave the column out",
                generator=name,
                field=column.name,
            )


def _specimen(column: Column) -> Clause:
    """A clause on a column, as a row of the table could have it."""
    if column.kind == "category":
        return Clause(field=column.name, labels=("mon",) if column.source_type == CLOCK else ("",))
    return Clause(field=column.name, low=0.0, high=0.0 if column.kind == "number" else math.inf)
