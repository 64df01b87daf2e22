"""Conditions of a plan: who draws how many subjects under which, and what they are compared with.

`sample.where` holds for every subject, a quota's clauses for its part of them. Shares of the
subjects become whole numbers by largest remainder, so quotas are met exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from synth_spark.config import Sample
from synth_spark.core.batch import Records
from synth_spark.core.conditions import CannotConditionError, Condition, Share, held_rows
from synth_spark.core.ports import Engine, Fold, Known, RecordGenerator, Request, Take
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError, SynthError


class CannotTemperError(SynthError):
    """The generator's models have no temperature and no nucleus."""

    code = "SYN-715"


def check_taste(kind: RecordGenerator, name: str, sample: Sample) -> None:
    """Refuse a temperature or a nucleus for a generator that has none.

    Raises:
        CannotTemperError: It draws as it learned and no other way (SYN-715).
    """
    asked = {"temperature": sample.temperature, "top_p": sample.top_p}
    said = [setting for setting, value in asked.items() if value is not None]
    if said and not hasattr(kind.Model, "tempered"):
        able = [n for n in GENERATORS.names() if hasattr(GENERATORS.get(n).Model, "tempered")]
        raise CannotTemperError(
            f"{name} has no {' and no '.join(said)} to draw under.",
            hint=f"leave sample.{said[0]} out, or --generator.name {' or '.join(able)}",
            generator=name,
            settings=said,
        )


def shares_of(sample: Sample, schema: Schema, subjects: int) -> tuple[Share, ...]:
    """The conditions of a plan, each with its number of subjects; the last is for all others.

    Raises:
        BadConditionError: A clause names no field of the records, or cannot be read (SYN-710).
        PlanError: The quotas ask for more subjects than there are (SYN-100).
    """
    every = Condition.parse(sample.where, schema)
    conditions = [Condition.parse([*sample.where, *q.where], schema) for q in sample.quotas]
    counts = _counts(
        [q.subjects for q in sample.quotas], [q.share for q in sample.quotas], subjects
    )
    left = subjects - sum(counts)
    if left < 0:
        raise PlanError(
            f"The quotas ask for {sum(counts):,} subjects, and {subjects:,} are drawn.",
            hint="more sample.subjects, or smaller quotas",
            path="sample.quotas",
        )
    shares = [Share(c, n) for c, n in zip(conditions, counts, strict=True) if n]
    return (*shares, *((Share(every, left),) if left or not shares else ()))


def _counts(fixed: list[int | None], parts: list[float | None], subjects: int) -> list[int]:
    """Whole subjects of each quota: shares by largest remainder, earlier quotas first in a tie."""
    wanted = np.array([0.0 if p is None else p * subjects for p in parts])
    whole = np.floor(wanted + 1e-9).astype(int)
    spare = round(float(wanted.sum())) - int(whole.sum())
    for k in np.argsort(-(wanted - whole), kind="stable")[: max(spare, 0)]:
        whole[k] += parts[k] is not None
    return [int(n) if f is None else f for f, n in zip(fixed, whole, strict=True)]


def check_conditions(kind: RecordGenerator, name: str, sample: Sample, schema: Schema) -> None:
    """Refuse, before anything starts, conditions that the generator cannot meet.

    Raises:
        BadConditionError: A clause names no field of the records, or cannot be read (SYN-710).
        CannotConditionError: The generator cannot draw under a clause by construction (SYN-712).
    """
    for condition in _conditions(sample, schema):
        for clause in condition.clauses:
            why = kind.objection(schema, clause)
            if why:
                raise CannotConditionError(
                    f"{name} cannot draw under {clause.text()}: {why}.",
                    hint="another generator, or a condition on another column",
                    generator=name,
                    clause=clause.text(),
                )


def check_known(
    known: Known,
    name: str,
    sample: Sample,
    schema: Schema,
    left: Callable[[Condition], Condition],
) -> None:
    """Refuse, before the dear part of the learning, what the model will not draw under.

    Args:
        known: What the story of the learning can be asked for.
        name: Of the generator.
        sample: The plan's section.
        schema: Of the records.
        left: What of a condition the model has to meet, beside looked-up columns and log lines.

    Raises:
        CannotConditionError: A column is coded so that it cannot be asked for (SYN-712).
        ImpossibleConditionError: No key or no line has such a value (SYN-711).
    """
    for condition in _conditions(sample, schema):
        for clause in left(condition).clauses:
            why = known.objection(clause)
            if why:
                raise CannotConditionError(
                    f"{name} cannot draw under {clause.text()}: {why}.",
                    hint="transformer, a condition on another column, or a filter on the twin",
                    generator=name,
                    clause=clause.text(),
                    field=clause.field,
                )


def _conditions(sample: Sample, schema: Schema) -> list[Condition]:
    """What holds for all, and what holds for each quota beside it."""
    texts = (sample.where, *((*sample.where, *q.where) for q in sample.quotas))
    return [Condition.parse(t, schema) for t in texts]


@dataclass(frozen=True, slots=True)
class Holding:
    """An engine over the records that hold a condition; the others are passed over."""

    engine: Engine
    condition: Condition
    schema: Schema

    def answer(self, request: Request) -> Any:
        """The answer to one request over what holds the condition; see `core/ports.py`."""
        held = partial(held_rows, self.condition, self.schema)
        match request:
            case Fold(state, merge, title):
                folded = Fold(partial(_some_state, held, state), partial(_merged, merge), title)
                return self.engine.answer(folded)
            case Take():
                taken = self.engine.answer(request)
                return None if taken is None else held(taken)
        return self.engine.answer(request)


def _some_state(held: Callable[[Records], Records], state: Any, records: Records) -> Any:
    """The state of what holds the condition; None where nothing does."""
    some = held(records)
    return state(some) if some.rows else None


def _merged(merge: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return merge(left, right)
