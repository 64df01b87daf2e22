"""What is known of a unit before its events: a profile, the units before, the calendar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.seeds import generator
from synth_spark.generators._events_coder import RANKS, Coder, Units, subject_tokens
from synth_spark.generators._events_facts import Floats, Slots, measure


def own_columns_of(coder: Coder, records: Records) -> dict[str, Floats]:
    """Tokens of the columns that belong to the subject, each of shape (subjects,)."""
    tokens = subject_tokens(coder, records).T
    return {f"own{j}": column.astype(float) for j, column in enumerate(tokens)}


def profile_of(coder: Coder, units: Units, slots: Slots) -> dict[str, Floats]:
    """What is a subject's own over all its units, each of shape (subjects,)."""
    subjects = int(units.owner.max(initial=-1)) + 1
    facts, counts = measure(coder, slots, units)
    some = units.lengths > 0
    owner = units.owner[some]
    active = np.maximum(np.bincount(owner, minlength=subjects), 1)

    def mean(x: Floats) -> Floats:
        return np.asarray(np.bincount(owner, x[some], subjects) / active)

    level = np.log1p(facts["n"])
    count = np.bincount(units.owner, minlength=subjects)
    first = np.searchsorted(units.owner, np.arange(subjects))
    out = {
        "start": units.anchor[first].astype(float),
        "count": count.astype(float),
        "active": np.bincount(owner, minlength=subjects) / np.maximum(count, 1),
        "total": np.log1p(np.bincount(owner, facts["n"][some], subjects)),
        "level": mean(level),
        "spread": np.sqrt(np.maximum(mean(level**2) - mean(level) ** 2, 0)),
    }
    for j, table in enumerate(counts):
        total = np.zeros((subjects, table.shape[1]))
        np.add.at(total, units.owner, table)
        if coder.cats[j].how == "ranked":
            ranks = slots.of_token[j][:RANKS]
            out[f"values{j}"] = (total[:, ranks] > 0).sum(axis=1).astype(float)
        for k in range(table.shape[1] - 1):
            left = total[:, k:].sum(axis=1)
            # Of nothing it is all: what a draw leaves over goes to the next slot, not to the last.
            out[f"stick{j}/{k}"] = np.where(left > 0, total[:, k] / np.maximum(left, 1), 1.0)
        out[f"distinct{j}"] = mean((table > 0).sum(axis=1).astype(float))
    names = ["night", "weekend", "hour_mean", "hour_std", "gap", "days", "span"]
    names += [n for n in facts if n[:4] in ("self", "mean")]
    return {**out, **{f"own_{n}": mean(facts[n]) for n in names}}


def given_of(subject: dict[str, Floats], units: Units) -> dict[str, Floats]:
    """Known columns of each unit: the profile, the units before, the calendar."""
    n, owner = units.lengths.astype(float), units.owner
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    before, that = np.zeros(len(n)), np.zeros(len(n))
    before[1:], that[2:] = n[:-1], n[:-2]
    before[place < 1], that[place < 2] = 0, 0
    last = np.where(n > 0, np.arange(len(n)), -1)
    latest = np.concatenate([[-1], np.maximum.accumulate(last)[:-1]])
    silent = np.where(latest >= 0, np.arange(len(n)) - latest - 1, 0)
    silent = np.minimum(silent, place).astype(float)
    return {
        **{name: column[owner] for name, column in subject.items()},
        "n_before": before,
        "n_before_that": that,
        "silent": silent,
        "place": place
        / np.maximum(subject.get("count", np.ones(1))[owner] if "count" in subject else 1, 1),
        "anchor": units.anchor.astype(float),
    }


def some_units(
    units: Units, given: dict[str, Floats], most: int, seed: int
) -> tuple[Units, dict[str, Floats]]:
    """At most `most` units for the forests, at random."""
    if len(units.anchor) <= most:
        return units, given
    pick = np.sort(generator(seed, "units").permutation(len(units.anchor))[:most])
    events: dict[str, NDArray[Any]] = {
        "t": units.t[:, None],
        "c": units.cats,
        "n": units.nums,
        "v": units.values,
    }
    cut = Encoded({}, events, units.offsets).take(pick)
    kept = Units(
        units.owner[pick],
        units.anchor[pick],
        cut.offsets,
        cut.events["t"][:, 0],
        cut.events["c"],
        cut.events["n"],
        cut.events["v"],
    )
    return kept, {name: column[pick] for name, column in given.items()}
