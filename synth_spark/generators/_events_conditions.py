"""Conditions on events: what of the subjects, the categories, the numbers and the clock is open.

A clause on a subject's own column bounds the first thing that is drawn of it. A clause on a column
of events bounds every event: values that are not asked for get no share of a unit's events and no
weight in any draw. A clause on the clock closes hours and week days: no gap and no jump leads
into them, and a unit whose open hours are over ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Narrowed, within
from synth_spark.core.conditions import (
    CLOCK_FIELDS,
    CannotConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator
from synth_spark.generators._events_coder import Coder, EventColumn
from synth_spark.generators._events_decode import Base, freely_begun
from synth_spark.generators._events_episodes import Held
from synth_spark.generators._events_support import Support
from synth_spark.generators._open_hours import open_hours

Bools = NDArray[np.bool_]
TRIAL_SUBJECTS = 4_096
RANKED = ("ranked", "runs", "own")  # how a column is drawn of which no value can be asked for


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition as what each part of the drawing may give."""

    held: Held
    cats: Mapping[int, Bools]  # by category, its tokens
    nums: Mapping[int, Bools]  # by number, its tokens
    open: Bools  # (7, 24), hours of the week, Monday first

    @property
    def clocked(self) -> bool:
        """Whether any hour is closed."""
        return not bool(self.open.all())

    def shares(self, drawn: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
        """Drawn shares of all values, (units, values), those that are not asked for at 0."""
        out = drawn
        for j, allowed in self.cats.items():
            a = int(starts[j])
            out = out.copy() if out is drawn else out
            out[:, a : a + len(allowed)] *= allowed
        return out

    def support(self, support: Support) -> Support:
        """What may meet in one event, without the numbers that are not asked for."""
        nums = list(support.nums)
        for k, allowed in self.nums.items():
            nums[k] = nums[k] & allowed
        return replace(support, nums=tuple(nums))


def objection(schema: Schema, clause: Clause) -> str:
    """Why events of this schema cannot be drawn under a clause; empty if they can."""
    if clause.field in CLOCK_FIELDS and all(c.name != clause.field for c in schema.columns):
        return ""
    column = schema.column(clause.field)
    if column.name == schema.time:
        return (
            "an event's time is drawn from the one before it; name hours or week days "
            "(hour=18..20, weekday=sat), or filter the twin"
        )
    if column.kind == "time" and column.per == "event":
        return "a second time is drawn as its distance from the event's time"
    return ""


def coded_objection(coder: Coder, clause: Clause) -> str:
    """Why no event can be drawn under a clause where columns are coded so; empty if they can.

    Args:
        coder: How the records are coded.
        clause: One that `objection` let pass.
    """
    place = _place(coder, clause.field)
    if place is None:
        return _undrawn(coder, clause.field)
    part, j = place
    if getattr(coder, part)[j].how in RANKED:
        return f"{clause.field} is drawn as the place that a value has among the subject's own"
    return ""


def _undrawn(coder: Coder, field: str) -> str:
    """Why a field that is no drawn column cannot be asked for; empty for the clock."""
    if any(c.name == field for c in coder.schema.columns):
        return f"{field} is not drawn but follows from other columns and the time to the next event"
    return ""


def asked_of(base: Base, support: Support, condition: Condition) -> tuple[Base, Asked]:
    """What a condition asks of a model's parts; the base then decodes to values that hold it.

    Args:
        base: The model's base.
        support: What met in one event of the sample.
        condition: Clauses that `objection` let pass.

    Raises:
        ImpossibleConditionError: No chance under the model (SYN-711).
        CannotConditionError: A column that is drawn as a rank for the subject, or follows from
            others (SYN-712).
    """
    coder = base.coder
    own: dict[int, Bools] = {}
    cats: dict[int, Bools] = {}
    nums: dict[int, Bools] = {}
    hours = np.ones((7, 24), bool)
    changed: dict[str, EventColumn] = {}
    for clause in condition.clauses:
        why, place = coded_objection(coder, clause), _place(coder, clause.field)
        if why:
            raise CannotConditionError(
                f"{why}.",
                hint="a condition on another column, or a filter on the twin",
                field=clause.field,
            )
        if place is None:
            hours &= open_hours([clause])
            continue
        part, j = place
        column = getattr(coder, part)[j]
        found = within(column.codec, clause)
        {"subject": own, "cats": cats, "nums": nums}[part][j] = found.share > 0
        changed[clause.field] = replace(column, codec=Narrowed(column.codec, found))
    for k, allowed in nums.items():
        _met(coder, cats, support.nums[k] & allowed, condition)
    slots = {j: _slots(base, j, allowed) for j, allowed in cats.items()}
    asked = Asked(Held(own, slots), cats, nums, hours)
    _try_subjects(base, own, condition)

    def those(columns: tuple[EventColumn, ...]) -> tuple[EventColumn, ...]:
        return tuple(changed.get(c.name, c) for c in columns)

    told = replace(
        coder, cats=those(coder.cats), nums=those(coder.nums), subject=those(coder.subject)
    )
    return freely_begun(replace(base, coder=told)), asked


def _place(coder: Coder, field: str) -> tuple[str, int] | None:
    for part in ("subject", "cats", "nums"):
        for j, column in enumerate(getattr(coder, part)):
            if column.name == field:
                return part, j
    return None


def _slots(base: Base, j: int, allowed: Bools) -> Bools:
    """Which slots of a category hold an allowed token."""
    table = base.histories.attributes.slots
    out = np.zeros(int(table.count[j]), bool)
    out[table.of_token[j][allowed]] = True
    return out


def _met(coder: Coder, cats: dict[int, Bools], met: Bools, condition: Condition) -> None:
    """Leave only values of the categories that met an allowed token of a number."""
    for j, column in enumerate(coder.cats):
        some = met[j, : column.tokens].any(axis=1)
        if some.all():
            continue
        cats[j] = cats.get(j, np.ones(column.tokens, bool)) & some
        if not cats[j].any():
            raise never(condition, f"{column.name} never came with it")


def _try_subjects(base: Base, own: Mapping[int, Bools], condition: Condition) -> None:
    if own:
        rng = generator(0, "events given/trial")
        if not base.histories.own_columns(TRIAL_SUBJECTS, rng, own)[1].any():
            raise never(condition, f"none of {TRIAL_SUBJECTS:,} subjects could hold it")


def never(condition: Condition, why: str) -> ImpossibleConditionError:
    return ImpossibleConditionError(
        f"{condition.text()}: {why}.", hint="fewer clauses", condition=condition.text()
    )
