"""Rare values come as often as in the records: their output biases are set once more at the end.

What is drawn of a rare value hangs on two stages, on how many units the attributes give it to and
on how often the decoder then draws it; neither is exact where a value has a few dozen events. Only
units that were given the value can have it, so its rate is measured on those alone, out of many
drawn units, and the bias moves by the logarithm of the true rate over it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_episodes import Drawn

RARE = 0.02  # share of the events up to which a slot's rate is set
LEAST_EVENTS = 8  # of a slot in the records; fewer say too little
MOST_UNITS = 60_000  # whose attributes are drawn, and
UNITS_A_REAL = 20  # for each real unit of the sample at most so many
HOLDING = 4_000  # units that events are drawn for, over all slots; at least 100 of each
ROUNDS = 3
MOST_BLOCKS = 64


@dataclass(frozen=True, slots=True)
class _Rare:
    """One rare slot of a category, and drawn units that were given it."""

    category: int
    tokens: NDArray[np.int64]
    true: float  # share of the events
    units: NDArray[np.int64]  # positions among those kept
    weight: float  # drawn units that hold it, for each one kept, over all drawn events


def with_true_rates(model: Any, counts: dict[str, NDArray[np.float64]], seed: int) -> Any:
    """Set the biases of rare values.

    Args:
        model: A trained `TransformerModel`.
        counts: Events of each token of each output layer, over all records.
        seed: The run's seed.

    Returns:
        The model with changed weights, or itself where nothing is rare.
    """
    kept, rare = _holding(model, _rare_slots(model, counts), seed)
    for _ in range(ROUNDS if rare else 0):
        lengths, _, tokens, _ = model.events(kept, seed, 0)
        unit = np.repeat(np.arange(len(lengths)), lengths)
        weights = dict(model.weights)
        for slot in rare:
            name = f"cat_out.{slot.category}.bias"
            hit = np.isin(tokens[:, slot.category], slot.tokens)
            made = np.bincount(unit[hit], minlength=len(lengths))[slot.units].sum() * slot.weight
            step = np.log(slot.true / max(made, slot.true / 4))
            bias = weights[name].copy()
            bias[slot.tokens] += np.float32(np.clip(step, -1.0, 1.0))
            weights[name] = bias
        model = replace(model, weights=weights, _walker=None)
    return model


def _rare_slots(
    model: Any, counts: dict[str, NDArray[np.float64]]
) -> list[tuple[int, int, NDArray[np.int64], float]]:
    """Category, slot, tokens and share of the events of each rare slot."""
    out: list[tuple[int, int, NDArray[np.int64], float]] = []
    for j, slots in enumerate(model.sight.slots):
        events = counts[f"cat_out.{j}"]
        total = np.bincount(slots, events)
        few = np.flatnonzero((total >= LEAST_EVENTS) & (total < RARE * total.sum())).tolist()
        out += [(j, k, np.flatnonzero(slots == k), float(total[k] / total.sum())) for k in few]
    return out


def _holding(
    model: Any, slots: list[tuple[int, int, NDArray[np.int64], float]], seed: int
) -> tuple[Drawn, list[_Rare]]:
    """Drawn units that hold rare slots, and which of them hold each."""
    histories = model.base.histories
    attributes = histories.attributes
    at, per = attributes.index("n"), max(HOLDING // max(len(slots), 1), 100)
    parts: list[Drawn] = []
    wanted: list[list[NDArray[np.int64]]] = [[] for _ in slots]
    found, events, units, begin = np.zeros(len(slots)), 0.0, 0, 0
    goal = min(MOST_UNITS, UNITS_A_REAL * model.base.facts["units_of_the_sample"])
    for block in range(MOST_BLOCKS if slots else 0):
        drawn = histories.draw(model.block_size, seed, block)
        share = {j: attributes.shares(drawn.table, j) for j, *_ in slots}
        some = drawn.table[:, at] > 0
        events, units = events + float(drawn.table[:, at].sum()), units + len(some)
        keep = np.zeros(len(some), bool)
        holds = [some & (share[j][:, k] > 0) for j, k, *_ in slots]
        for i, held in enumerate(holds):
            room = per - sum(len(w) for w in wanted[i])
            holds[i] = held & (np.cumsum(held) <= room)
            found[i] += held.sum()
            keep |= holds[i]
        place = begin + np.cumsum(keep) - 1
        for i, held in enumerate(holds):
            wanted[i].append(place[held])
        rows = np.flatnonzero(keep)
        parts.append(Drawn(drawn.owner[rows], drawn.anchor[rows], drawn.table[rows], drawn.subject))
        begin += len(rows)
        if units >= goal:
            break
    rare = []
    for (j, _, tokens, true), taken, all_ in zip(slots, wanted, found, strict=True):
        places = np.concatenate(taken)
        if len(places) >= 30:
            rare.append(_Rare(j, tokens, true, places, float(all_ / len(places) / events)))
    if not rare:
        none = np.zeros(0, np.int64)
        return Drawn(none, none, np.zeros((0, 0)), np.zeros((0, 0), np.int32)), []
    owner, anchor, table = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("owner", "anchor", "table")
    )
    return Drawn(owner, anchor, table, parts[0].subject), rare
