"""From drawn tokens and times back to records: what markov and the net have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.time import DAY_US
from synth_spark.core.batch import Records, Values
from synth_spark.core.conditions import Clause
from synth_spark.core.ports import Fold, Known, Learning, Take
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator
from synth_spark.generators._events_again import kept as as_before
from synth_spark.generators._events_again import repeats
from synth_spark.generators._events_choice import learn_coder
from synth_spark.generators._events_clock import CUT_S
from synth_spark.generators._events_coder import DAY_S, Coder, EventColumn, Units
from synth_spark.generators._events_episodes import Drawn, Histories
from synth_spark.generators._events_evidence import Events, Said, decode_order, told_levels
from synth_spark.generators._events_labels import decode_ranked, made_up
from synth_spark.generators._events_places import Places
from synth_spark.generators._events_runs import Runs, decode_runs
from synth_spark.generators._events_sites import Sites
from synth_spark.generators._events_told import Told, block_size, told_by, told_from

OPENINGS = 50  # subjects from which it tells something that all begin alike


@dataclass(frozen=True, slots=True)
class Base:
    """What every event model starts from."""

    coder: Coder
    histories: Histories
    identities: tuple[Told, ...]  # one a category column
    block_size: int
    facts: dict[str, Any]
    again: NDArray[np.float64]  # (numbers, 2), see `_events_again.repeats`

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "coder": self.coder.state(),
            "histories": self.histories.state(),
            "identities": [None if i is None else i.state() for i in self.identities],
            "block_size": self.block_size,
            "facts": self.facts,
            "again": self.again,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The base that `state` came from."""
        coder = Coder.from_state(state["coder"])
        return cls(
            coder,
            Histories.from_state(state["histories"]),
            told_from(coder, state["identities"]),
            state["block_size"],
            state["facts"],
            state["again"],
        )


def learn_base(
    schema: Schema, *, min_subjects: int, bins: int, leaf: int, trees: int, seed: int,
    cut_s: float = CUT_S, cannot: Callable[[Coder, Clause], str] | None = None,
) -> Learning:  # fmt: skip
    """The first chapters of every event generator's story; returns (Base, the sample).

    `cannot` says why no event can be drawn under a clause where columns are coded so.
    """
    from functools import partial

    from synth_spark.columns.survey import Survey, merge_surveys, survey_state

    state = yield Fold(partial(survey_state, schema), merge_surveys, "survey")
    survey = Survey.of(state, schema)
    sample: Records = yield Take(subjects=20_000, rows=400_000)
    coder = learn_coder(schema, survey, sample, min_subjects=min_subjects, bins=bins, cut_s=cut_s)
    if cannot is not None:
        yield Known(partial(cannot, coder))
    histories, units = Histories.learn(coder, sample, leaf=leaf, seed=seed, trees=trees)
    identities = told_by(coder, sample, units, min_subjects)
    every = (*coder.cats, *coder.nums, *coder.subject, *coder.dwells)
    facts = {
        "unit": coder.mode,
        "episodes": coder.episodes,
        "subjects": survey.subjects,
        "events": survey.rows,
        "events_of_the_sample": sample.rows,
        "units_of_the_sample": len(units.anchor),
        "longest": survey.longest,
        "columns": {c.name: [c.how, c.tokens] for c in every},
        "hours": _hours(sample.columns[schema.time or ""]),
        "openers": _openers(coder, units),
    }
    again = repeats(units.offsets, _main(units.cats), units.nums, units.values)
    return Base(coder, histories, identities, block_size(survey.mean_length), facts, again), sample


def _hours(times: Values) -> list[float]:
    """Share of the events in each hour of the day."""
    hour = np.asarray(times, "datetime64[h]").astype(np.int64) % 24
    return [round(float(n) / max(len(hour), 1), 5) for n in np.bincount(hour, minlength=24)]


def _openers(coder: Coder, units: Units) -> list[int]:
    """Of each category the label that all subjects' first events have, -1: they have several.

    Only of labels that most events have not: a phone attaches first, and then seldom.
    """
    first = np.flatnonzero(np.append(True, units.owner[1:] != units.owner[:-1])[: len(units.owner)])
    first = first[units.lengths[first] > 0]
    rows = units.cats[units.offsets[first]] if len(first) else units.cats[:0]
    out = []
    for j, column in enumerate(coder.cats):
        label = np.unique(rows[:, j])
        alone = len(rows) >= OPENINGS and len(label) == 1 and column.how == "plain"
        out.append(int(label[0]) if alone and (units.cats[:, j] == label[0]).mean() < 0.5 else -1)
    return out


def freely_begun(base: Base) -> Base:
    """The same for events of which some are left out: a subject's first need not be its first."""
    return replace(base, facts={**base.facts, "openers": []})


def _opened(base: Base, cats: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    """The categories with the labels that all subjects begin with, swapped with the next such."""
    out, some = cats.copy(), np.diff(offsets) > 0
    first = offsets[:-1][some]
    for j, label in enumerate(base.facts.get("openers", ())):
        if label < 0 or not len(cats):
            continue
        at = np.flatnonzero(cats[:, j] == label)
        found = np.append(at, len(cats))[np.searchsorted(at, first)]
        swap = (found > first) & (found < offsets[1:][some])
        out[found[swap], j] = cats[first[swap], j]  # so that the subject has as many as it had
        out[first, j] = label
    return out


def _main(cats: NDArray[np.int32]) -> NDArray[np.int32]:
    """The main category of events; one value for all where there is none."""
    return cats[:, 0] if cats.shape[1] else np.zeros(len(cats), np.int32)


def decode(
    base: Base,
    drawn: Drawn,
    lengths: NDArray[np.int64],
    t: NDArray[np.float64],
    cats: NDArray[np.int32],
    nums: NDArray[np.int32],
    *,
    block: int,
    seed: int,
) -> Records:
    """Records of one block.

    Args:
        base: The model's base.
        drawn: The block's units.
        lengths: Events of each unit, shape (units,).
        t: Seconds since each unit's start, shape (events,), in order.
        cats: Tokens, shape (events, category columns).
        nums: Tokens, shape (events, number columns).
        block: The block's number.
        seed: The seed of the sampling.
    """
    coder, rng = base.coder, generator(seed, "values", block)
    kept = within(base, drawn, lengths, t)
    unit = np.repeat(np.arange(len(lengths)), lengths)[kept]
    t, cats, nums = t[kept], cats[kept], nums[kept]
    lengths = np.bincount(unit, minlength=len(lengths)).astype(np.int64)
    subjects = len(drawn.subject)
    owners = drawn.owner[unit]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=subjects))])
    stamps = stamps_of(coder, drawn.anchor[unit], t)
    columns: dict[str, Values] = {coder.schema.time: stamps.astype("datetime64[us]")}
    before = block * base.block_size
    cats = _opened(base, cats, offsets)
    events = Events(owners, stamps / 1e6, cats.copy(), nums)
    for j in decode_order(coder):
        column, identity = coder.cats[j], base.identities[j]
        if identity is None:
            columns[column.name] = column.codec.decode(cats[:, j], rng.random(len(t)))
        elif isinstance(identity, Runs):
            token = identity.settled(cats[:, j], drawn.owner, lengths, stamps / 1e6, rng)
            columns[column.name] = decode_runs(column, token, offsets, before)
        elif isinstance(identity, Places):
            place = identity.decode(
                column.codec, cats[:, j], offsets, events.seconds, column.missing, rng
            )
            _put(columns, coder, column.name, place)
            _tell(events, column, j, place)
        else:
            said = Said(drawn.subject, offsets, cats[:, j], events)
            of = (cats[:, j], offsets, events.seconds)
            value = (
                identity.decode(column, *of, said, rng)
                if isinstance(identity, Sites)
                else decode_ranked(column, coder, identity, *of, before, rng, said)
            )
            _put(columns, coder, column.name, value)
            _tell(events, column, j, value)
    each = np.concatenate([[0], np.cumsum(lengths)])
    for j, column in enumerate(coder.nums):
        inside = rng.random(len(t))
        inside = as_before(each, _main(cats), nums[:, j], base.again[j], inside, rng)
        value = column.codec.decode(nums[:, j], inside)
        columns[column.name] = _moved(column, value, stamps)
    for column in coder.dwells:
        kinds = column.codec.told.of(cats, offsets)
        columns[column.name] = column.codec.decode(stamps / 1e6, offsets, kinds, rng)
    _put_subject(columns, coder, drawn, owners, before, rng)
    names = [c.name for c in coder.schema.columns if c.name in columns]
    return Records({name: columns[name] for name in names}, offsets)


def _tell(events: Events, column: EventColumn, j: int, value: Values) -> None:
    """Put the levels of a column's labels where the columns after it see them."""
    levels = told_levels(column)
    if levels is not None:
        events.cats[:, j] = levels[np.asarray(column.codec.encode(value), np.int64)]


def stamps_of(coder: Coder, anchor: NDArray[np.int64], t: NDArray[np.float64]) -> NDArray[np.int64]:
    """Microseconds since 1970 of events, in whole steps of the source.

    Args:
        coder: How the records are coded.
        anchor: First day of each event's unit, days since 1970, shape (events,).
        t: Seconds since that day began, shape (events,).
    """
    stamps = anchor * DAY_US + np.floor(t * 1e6 + 0.5).astype(np.int64)
    return np.asarray(stamps - stamps % coder.step_us)


def within(
    base: Base, drawn: Drawn, lengths: NDArray[np.int64], t: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which events stay, shape (events,).

    Those up to the records' last day, as the records are cut there, but for a subject's first; and
    no more of a subject than the busiest has.
    """
    owner, anchor = np.repeat(drawn.owner, lengths), np.repeat(drawn.anchor, lengths)
    at = np.arange(len(t))
    first = np.append(True, owner[1:] != owner[:-1])[: len(t)]
    place = at - np.maximum.accumulate(np.where(first, at, 0))
    kept = (anchor + t // DAY_S <= base.coder.last_day) | (place == 0)
    return np.asarray(kept & (place < base.histories.longest))


def _put_subject(
    columns: dict[str, Values], coder: Coder, drawn: Drawn, owners: NDArray[np.int64],
    before: int, rng: np.random.Generator,
) -> None:  # fmt: skip
    """The columns that are the subject's own, the same in all its rows."""
    for j, column in enumerate(coder.subject):
        if column.how == "own":
            gone = drawn.subject[owners, j] > 0
            once = np.zeros(len(owners), np.int64)
            columns[column.name] = made_up(once, gone, owners, before, "c")
            continue
        value = column.codec.decode(drawn.subject[:, j], rng.random(len(drawn.subject)))
        _put(columns, coder, column.name, value[owners])


def _put(columns: dict[str, Values], coder: Coder, name: str, value: Any) -> None:
    """A column's values; a place fills its partner too."""
    partner = coder.schema.column(name).partner
    if not partner:
        columns[name] = value
        return
    columns[name], columns[partner] = value[:, 0].copy(), value[:, 1].copy()


def _moved(column: EventColumn, value: NDArray[np.float64], stamps: NDArray[np.int64]) -> Values:
    """A number as it is; a second time back from its distance to the event's time."""
    if column.how == "number":
        return value
    gone = np.isnan(value)
    other = stamps + np.rint(np.where(gone, 0, value) * 1e6).astype(np.int64)
    return np.where(gone, np.datetime64("NaT", "us"), other.astype("datetime64[us]"))
