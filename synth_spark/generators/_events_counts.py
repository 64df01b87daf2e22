"""Counting for `markov`: the lifts of the main category, and the tables of a part of records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.generators._events_coder import DAY_S, Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_levels import information
from synth_spark.generators._events_plan import Contexts, rhythms, token_shares
from synth_spark.generators._events_steps import Steps, suited
from synth_spark.generators._events_tables import count

Arrays = dict[str, NDArray[Any]]


def learn_steps(base: Base, contexts: Contexts, sample: Records, weight: float) -> Steps:
    """The lifts of the main category and how hours suit all values, from the sample."""
    units = base.coder.units(sample)
    histories = base.histories
    x = histories.attributes.table(base.coder, units, histories.given(base.coder, sample, units))
    width = int(contexts.widths[0]) if len(contexts.widths) else 0
    suits = suited(units, contexts.starts, int(contexts.widths.sum()), weight)
    if not width or contexts.in_runs[0]:
        none = np.zeros((len(x), 1))
        steps = Steps.learn(units, none, 0, told=0.0, weight=weight, size=max(width, 1))
        return replace(steps, suits=suits)
    shares = np.ascontiguousarray(token_shares(histories.attributes, contexts, x)[:, :width])
    gap = units.t - units.previous
    inner = np.flatnonzero(units.previous >= 0)
    level = np.minimum(np.log2(1 + gap[inner]), 30).astype(np.int64)
    told = information(units.cats[inner - 1, 0].astype(np.int64), level)
    alone = int(histories.attributes.slots.alone[0])
    steps = Steps.learn(units, shares, width, told=told, weight=weight, alone=alone)
    return replace(steps, suits=suits)


def count_state(base: Base, contexts: Contexts, steps: Steps, records: Records) -> Arrays:
    """The tables' counts of one part."""
    units = base.coder.units(records)
    histories = base.histories
    given = histories.given(base.coder, records, units)
    x = histories.attributes.table(base.coder, units, given)
    empty = contexts.empty(base.coder, steps.states)
    _add(base, contexts, steps, units, x, empty)
    return {**empty, "week": _week(units)}


def _add(
    base: Base, c: Contexts, steps: Steps, units: Units, x: NDArray[np.float64], out: Arrays
) -> None:
    attributes, clock = base.histories.attributes, base.coder.clock
    token, hour, slot = clock.encode(units.t, units.previous)
    first, span = x[:, attributes.index("first")], x[:, attributes.index("span")]
    count(
        units.offsets, units.anchor, rhythms(attributes, x), (first + span) * DAY_S,
        units.t, token, hour, slot, units.cats, units.nums, token_shares(attributes, c, x),
        c.selfs(attributes, x), c.mean_levels(attributes, x), c.starts, c.in_runs, c.cat_parent,
        c.num_cat, c.num_num, c.num_level, c.pace_edges, c.last_edges, c.gap_edges,
        steps.state_of, steps.suits, out["time"], out["hours"], out["first_hours"], out["slots"],
        out["stays"], out["moves"], out["lifts"], out["numbers"], out["chain"], out["dwell"],
        c.num_start,
    )  # fmt: skip


def _week(units: Units) -> NDArray[np.float64]:
    """Events by hour of the week, shape (7, 24)."""
    hours = np.repeat(units.anchor + 3, units.lengths) * 24 + (units.t // 3_600).astype(np.int64)
    return np.bincount(hours % 168, minlength=168).reshape(7, 24).astype(np.float64)


def add_counts(left: Arrays, right: Arrays) -> Arrays:
    """The counts of two parts."""
    return {name: left[name] + right[name] for name in left}
