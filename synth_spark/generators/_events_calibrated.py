"""What drawing on its own gets wrong, set after the training of an event network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._events_clock import DAY_S, HOUR_S
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_paces import (
    gap_tokens,
    gaps_of,
    hurried,
    moved_gaps,
    near_knots,
)
from synth_spark.generators._events_plan import token_shares
from synth_spark.generators._events_stays import counted, groups_of, moved_stays

if TYPE_CHECKING:
    from synth_spark.generators._events_net import EventsModel
    from synth_spark.generators._events_support import Support

STEP, DOUBTED = 0.7, 30.0  # part of the way that biases move, events that say nothing
MORE = 2.0  # times that, where the network is told what was drawn and works against its biases
CALIBRATION = 80_000  # events of the units that it is set on


def calibrated(model: EventsModel, seed: int, *, by_shares: bool = True) -> EventsModel:
    """Set what drawing on its own gets wrong: the pace of units, how often values and hours come.

    A network that is a little slow or quick would else leave units short, or crowd their last
    hours; the count shown sets its pace from the first event on, and is larger or smaller until
    units are as long as their drawn counts, on average. A number that hangs on the one before it
    drifts by a little at each event: its tokens' biases move until each is as frequent as in the
    records, as far as so few subjects can tell. Those of the categories' values move until each
    comes as often as the drawn shares of the same units say, and what is added to the value before
    until values come twice running as often as real ones, and to short gaps until they are as
    frequent in units of every size and as long as real ones, all if `by_shares`; the biases of the
    hours of the day until each has its part of the events.
    """
    drawn = _some_drawn(model, seed)
    attributes = model.base.histories.attributes
    want = drawn.table[:, attributes.index("n")]
    shares = token_shares(attributes, model.seen.contexts, drawn.table)
    near = near_knots(want)
    goal = near @ want
    doubt = 0.02 * want.sum()
    tried: list[tuple[float, int, NDArray[np.float64], dict[str, NDArray[Any]], Support]] = []
    support = model.support
    for _ in range(5):
        lengths, t, cats, numbers = model.events(drawn, seed, 0)
        got = near @ lengths
        off = float(np.abs(got - goal).sum() / max(goal.sum(), 1))
        drift, weights = _drift(model, numbers, np.repeat(drawn.owner, lengths))
        if by_shares:
            astray, weights = _astray(model, weights, shares, drawn.owner, lengths, cats)
            drift += astray
            broken, support = _broken(model, lengths, t, cats)
            slow, hurry = hurried(
                support.hurry, support.gaps, gaps_of(t, lengths, model.base.coder.clock.cut_s)
            )
            support = replace(support, hurry=hurry)
            uneven, weights = _uneven(model, weights, t, lengths)
            drift += broken + uneven + slow / max(len(t), 1)
        late, weights = _late(model, weights, t)
        tried.append((off + drift + late, len(tried), model.pace, model.weights, model.support))
        if max(off, late) < 0.01 and drift == 0:
            break
        if off >= 0.01:
            model.pace = np.clip(model.pace * (goal + doubt) / (got + doubt), 0.6, 2.5)
        model.weights, model.support, model._walker = weights, support, None
    _, _, model.pace, model.weights, model.support = min(tried, key=lambda one: one[:2])
    model._walker = None
    return model


def _drift(
    model: EventsModel, drawn: NDArray[np.int32], owner: NDArray[np.int64]
) -> tuple[float, dict[str, NDArray[Any]]]:
    """How far the shares of the numbers' tokens are off, and weights that bring them nearer.

    What lies within two standard errors is left alone: the events of a subject are alike, so that
    its tokens say less than as many subjects' would (the design effect of Kish, Survey Sampling,
    1965).

    Args:
        model: What drew.
        drawn: Tokens, shape (events, numbers).
        owner: Subject of each event, shape (events,).
    """
    weights, far, events = dict(model.weights), 0.0, max(len(drawn), 1)
    owner = np.unique(owner, return_inverse=True)[1].ravel()
    n = np.bincount(owner)[:, None]
    for j, column in enumerate(model.base.coder.nums):
        real, tokens = np.asarray(column.codec.shares), np.maximum(drawn[:, j], 0)
        size = len(real)
        if size < 2 or not len(drawn):
            continue
        each = np.bincount(owner * size + tokens, minlength=len(n) * size).reshape(len(n), size)
        made = each.sum(axis=0) / events
        even = np.maximum((n * made * (1 - made)).sum(axis=0), 1e-9)
        away = ((each - n * made) ** 2).sum(axis=0)  # none of its own says nothing of a token
        alike = np.maximum(away / even, max(float(away.sum() / even.sum()), 1.0))
        error = 2 * np.sqrt(real * (1 - real) * alike / events)
        beyond = np.sign(made - real) * np.maximum(np.abs(made - real) - error, 0.0)
        far += float(np.abs(beyond).sum() / 2)
        doubt = DOUBTED / events
        step = np.clip(np.log((real + doubt) / (real + beyond + doubt)), -1.0, 1.0)
        name = f"num_out.{j}.bias"
        weights[name] = (weights[name] + STEP * step).astype(np.float32)
    return far, weights


def _astray(
    model: EventsModel, weights: dict[str, NDArray[Any]], shares: NDArray[np.float64],
    owner: NDArray[np.int64], lengths: NDArray[np.int64], cats: NDArray[np.int32],
) -> tuple[float, dict[str, NDArray[Any]]]:  # fmt: skip
    """How far the categories' values are from the units' drawn shares, and weights nearer to them.

    What lies within two standard errors is left alone, by how far subjects are apart.

    Args:
        model: What drew.
        weights: Of its network.
        shares: Drawn share of each value in each unit, shape (units, values).
        owner: Subject of each unit, shape (units,).
        lengths: Events of each unit.
        cats: Tokens, shape (events, categories).
    """
    contexts, events, far = model.seen.contexts, max(len(cats), 1), 0.0
    some, owner = lengths > 0, np.unique(owner, return_inverse=True)[1].ravel()
    of_event, weights = np.repeat(owner, lengths), dict(weights)
    for c, (start, width) in enumerate(zip(contexts.starts, contexts.widths, strict=True)):
        if width < 2 or contexts.in_runs[c] or not len(cats):
            continue
        want = np.zeros((int(owner.max()) + 1, int(width)))
        of_units = shares[some, start : start + width] * lengths[some, None]
        np.add.at(want, owner[some], of_units)
        got = np.bincount(of_event * width + cats[:, c], minlength=want.size).reshape(want.shape)
        away = (got - want).sum(axis=0)
        error = 2 * np.sqrt(((got - want) ** 2).sum(axis=0))
        far += float(np.maximum(np.abs(away) - error, 0.0).sum() / 2 / events)
        all_of = want.sum(axis=0) + DOUBTED
        moved = np.where(np.abs(away) > error, away, 0.0)
        step = np.clip(np.log(all_of / (all_of + moved)), -1.0, 1.0)
        name = f"cat_out.{c}.bias"
        bias = weights[name].copy()
        bias[:width] += (MORE * STEP * step).astype(np.float32)
        weights[name] = bias
    return far, weights


def _broken(
    model: EventsModel, lengths: NDArray[np.int64], t: NDArray[np.float64], cats: NDArray[np.int32]
) -> tuple[float, Support]:
    """How far repeats of values are off, as a part of all events, and what brings them nearer.

    Args:
        model: What drew.
        lengths: Events of each unit.
        t: Seconds since the unit's first midnight, shape (events,).
        cats: Tokens, shape (events, categories).
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    far, stay = 0.0, list(model.support.stay)
    for j, column in enumerate(model.base.coder.cats):
        if model.seen.contexts.in_runs[j] or not len(cats):
            continue
        made = counted(cats[:, j], t, offsets, groups_of(column))
        off, stay[j] = moved_stays(stay[j], model.support.stayed[j], made)
        far += off / len(cats)
    return far, replace(model.support, stay=tuple(stay))


def _uneven(
    model: EventsModel, weights: dict[str, NDArray[Any]], t: NDArray[np.float64],
    lengths: NDArray[np.int64],
) -> tuple[float, dict[str, NDArray[Any]]]:  # fmt: skip
    """How far the lengths of short gaps are off, as a part of all events; weights nearer to them.

    Args:
        model: What drew.
        weights: Of its network.
        t: Seconds since the unit's first midnight, shape (events,).
        lengths: Events of each unit.
    """
    real, clock = model.support.short, model.base.coder.clock
    if not real.sum() or not len(t):
        return 0.0, weights
    far, step = moved_gaps(real, gap_tokens(clock, t, lengths))
    bias = weights["time_out.bias"].copy()
    bias[: clock.gaps] += step.astype(np.float32)
    return far / len(t), {**weights, "time_out.bias": bias}


def _late(
    model: EventsModel, weights: dict[str, NDArray[Any]], t: NDArray[np.float64]
) -> tuple[float, dict[str, NDArray[Any]]]:
    """How far the hours of the day are off, and weights that bring them nearer.

    Args:
        model: What drew.
        weights: Of its network.
        t: Seconds since a midnight, shape (events,).
    """
    real = np.asarray(model.base.facts["hours"])
    made = np.bincount((t % DAY_S // HOUR_S).astype(np.int64), minlength=24) / max(len(t), 1)
    doubt = DOUBTED / max(len(t), 1)
    step = np.clip(np.log((real + doubt) / (made + doubt)), -1.0, 1.0)
    bias = (weights["hour_out.bias"] + MORE * STEP * step).astype(np.float32)
    return float(np.abs(made - real).sum() / 2), {**weights, "hour_out.bias": bias}


def _some_drawn(model: EventsModel, seed: int) -> Drawn:
    """Units of a block, as many as hold about `CALIBRATION` events."""
    drawn = model.base.histories.draw(min(model.block_size, 1_024), seed, 0)
    n = drawn.table[:, model.base.histories.attributes.index("n")]
    order = generator(seed, "calibration").permutation(len(n))
    keep = np.sort(order[: int(np.searchsorted(np.cumsum(n[order]), CALIBRATION)) + 1])
    return Drawn(drawn.owner[keep], drawn.anchor[keep], drawn.table[keep], drawn.subject)
