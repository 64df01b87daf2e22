"""Prompts: the decoder under a condition, by what it draws from and never by drawing again.

Columns of the subject are restricted where they are drawn, before anything else. Events are
restricted token by token: the softmax of every event is masked, so that each event obeys. A label
behind a subject's ranks is restricted where labels are given to ranks, a number within its bin
where tokens become values. The attributes of units follow: shares move to the values that are
left, and under `hour` or `weekday` a unit gets as many events as fall there by the records' clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Look, Narrowed, hours_of_week, part_of
from synth_spark.core.conditions import (
    CLOCK_FIELDS,
    CannotConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.schema import Schema
from synth_spark.generators._events_coder import Coder
from synth_spark.generators._events_decode import Base, freely_begun
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_sites import Sites
from synth_spark.generators._gpt_subjects import ClockShares, PromptedAttributes, PromptedHistories
from synth_spark.generators._gpt_window import Allowed

LOOK = Look(places=4_096, whole=64)  # at a number's tokens


def objection_to(schema: Schema, clause: Clause) -> str:
    """Why events of this schema cannot be drawn under the clause; empty if they can."""
    for column in schema.columns:
        if column.name == clause.field and column.kind == "time" and column.per == "event":
            return (
                "the transformer draws an event's time from the one before it; "
                "ask for hour= or weekday="
            )
    return ""


def undrawn(coder: Coder, clause: Clause) -> str:
    """Why no event can be drawn under a clause where columns are coded so; empty if they can."""
    known = {c.name for c in (*coder.subject, *coder.cats, *coder.nums)}
    if clause.field in known or (
        clause.field in CLOCK_FIELDS and all(c.name != clause.field for c in coder.schema.columns)
    ):
        return ""
    return f"{clause.field} is not drawn by the transformer: it follows from other columns"


def prompted(model: Any, condition: Condition) -> Any:
    """The model under a condition.

    Args:
        model: A `TransformerModel`.
        condition: Clauses without an objection.

    Raises:
        CannotConditionError: A column is not drawn but follows from others (SYN-712).
        ImpossibleConditionError: The model gives it no chance (SYN-711).
    """
    if not condition.clauses:
        return model
    base, allowed = model.base, model.allowed or Allowed.all(model.sight)
    subject: dict[int, NDArray[np.bool_]] = {}
    for clause in condition.clauses:
        why = undrawn(base.coder, clause)
        if clause.field not in _columns(base) and not why:
            allowed = _at_clock(clause, allowed, model, condition)
            continue
        if why:
            raise CannotConditionError(
                f"{why}.",
                hint="a clause on the columns that it follows from",
                field=clause.field,
            )
        part, j = _columns(base)[clause.field]
        column = getattr(base.coder, part)[j]
        if part == "cats" and column.how != "plain":
            base, mask = _ranked(base, j, clause, condition)
            allowed = replace(allowed, cats=_put(allowed.cats, j, mask))
            continue
        found = part_of(column.codec, clause, LOOK)
        mask = _some(found.share > 0, clause, condition)
        if part == "subject":
            subject[j] = mask
        else:
            allowed = replace(allowed, **{part: _put(getattr(allowed, part), j, mask)})
        if not clause.labels:  # of a label nothing is left to choose inside its token
            base = _with_codec(base, part, j, Narrowed(column.codec, found))
    allowed = _pruned(allowed, model.support, condition)
    base = replace(base, histories=_histories(model, base, allowed, subject, condition))
    return replace(model, base=freely_begun(base), allowed=allowed, _walker=None)


def _columns(base: Base) -> dict[str, tuple[str, int]]:
    """Where each column of the records stands in the coder."""
    return {
        column.name: (part, j)
        for part in ("subject", "cats", "nums")
        for j, column in enumerate(getattr(base.coder, part))
    }


def impossible(condition: Condition, why: str, hint: str = "", **facts: object) -> Exception:
    """The error for a condition without a chance."""
    text = condition.text()
    return ImpossibleConditionError(
        f"{text}: {why}", hint=hint or "fewer or wider clauses", condition=text, **facts
    )


def _some(mask: NDArray[np.bool_], clause: Clause, condition: Condition) -> NDArray[np.bool_]:
    if not mask.any():
        raise impossible(
            condition,
            f"the model draws no value of {clause.field} that holds {clause.text()}.",
            hint="a value that enough subjects of the records hold",
            field=clause.field,
        )
    return mask


def _put(masks: tuple[Any, ...], j: int, mask: Any) -> tuple[Any, ...]:
    return (*masks[:j], masks[j] & mask, *masks[j + 1 :])


def _with_codec(base: Base, part: str, j: int, codec: Any) -> Base:
    columns = list(getattr(base.coder, part))
    columns[j] = replace(columns[j], codec=codec)
    changed: dict[str, Any] = {part: tuple(columns)}
    return replace(base, coder=replace(base.coder, **changed))


def _ranked(
    base: Base, j: int, clause: Clause, condition: Condition
) -> tuple[Base, NDArray[np.bool_]]:
    """A column drawn as ranks: labels are restricted behind the ranks, missing by its token."""
    column, identity = base.coder.cats[j], base.identities[j]
    if isinstance(identity, Sites):  # among the labels that are asked for, as others are
        identity = identity.identity
    mask = np.zeros(column.tokens, bool)
    if clause.missing:
        if column.missing >= 0:
            mask[column.missing] = True
        return base, _some(mask, clause, condition)
    labels = _some(part_of(column.codec, clause).share > 0, clause, condition)
    mask[:] = True
    if column.missing >= 0:
        mask[column.missing] = False
    assert isinstance(identity, Identity)
    together = identity.first + identity.popular + identity.other
    if not (together * labels).sum() > 0:
        raise impossible(condition, f"no subject has {clause.text()}.", field=clause.field)

    def cut(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        kept = shares * labels if (shares * labels).sum() > 1e-6 else together * labels
        return np.asarray(kept / kept.sum() * (1 + 1e-12))  # no draw falls behind the last one

    identity = replace(
        identity,
        first=cut(identity.first),
        popular=cut(identity.popular),
        other=cut(identity.other),
        pair_share=identity.pair_share * labels[identity.pair_label],
        rare=identity.rare if identity.rare >= 0 and labels[identity.rare] else -1,
    )
    return replace(base, identities=_replaced(base.identities, j, identity)), mask


def _replaced(items: tuple[Any, ...], j: int, item: Any) -> tuple[Any, ...]:
    return (*items[:j], item, *items[j + 1 :])


def _at_clock(clause: Clause, allowed: Allowed, model: Any, condition: Condition) -> Allowed:
    """Hours or weekdays of events; some real event must stand in them."""
    opened, seen = hours_of_week(clause), model.clock_seen > 0
    hours, weekdays = allowed.hours & opened.any(axis=0), allowed.weekdays & opened.any(axis=1)
    if not ((hours & seen[:24]).any() and (weekdays & seen[24:]).any()):
        raise impossible(condition, "no event of the records stands there.", field=clause.field)
    return replace(allowed, hours=hours, weekdays=weekdays)


def _pruned(allowed: Allowed, support: Any, condition: Condition) -> Allowed:
    """Earlier categories lose the values that leave a later column nothing that met them."""
    cats = list(allowed.cats)
    for k, mask in enumerate(allowed.nums):
        if not mask.all():
            for e in range(len(cats)):
                met = support.nums[k][e][: len(cats[e])]
                cats[e] = cats[e] & (met & mask).any(axis=1)
    for j in range(len(cats) - 1, 0, -1):
        for e in range(j):
            if not cats[j].all():
                cats[e] = cats[e] & (support.cats[j][e][: len(cats[e])] & cats[j]).any(axis=1)
    if not all(mask.any() for mask in cats):
        raise impossible(condition, "no event of the records holds all of it.")
    return replace(allowed, cats=tuple(cats))


def _histories(
    model: Any, base: Base, allowed: Allowed, subject: dict[int, NDArray[np.bool_]],
    condition: Condition,
) -> PromptedHistories:  # fmt: skip
    """Subjects and units under the condition."""
    slots = base.histories.attributes.slots
    kept: dict[int, NDArray[np.bool_]] = {}
    single: set[int] = set()
    for j, mask in enumerate(allowed.cats):
        if not mask.all():
            kept[j] = np.bincount(slots.of_token[j][mask], minlength=int(slots.count[j])) > 0
            if mask.sum() == 1:
                single.add(j)
    clock = None
    if allowed.clocked:
        clock = ClockShares.of(model.clock_seen, allowed.hours, allowed.weekdays)
    attributes = PromptedAttributes.over(
        base.histories.attributes, kept, single, clock, episodes=base.histories.episodes
    )
    histories = PromptedHistories.over(
        base.histories, attributes, subject, allowed.weekdays, base.coder.clock.horizon_days
    )
    if not histories.chance():
        raise impossible(condition, "no subject of the model holds all of it.")
    return histories
