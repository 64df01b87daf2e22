"""Shares and nights of a subject's episodes, moved so that over all of them they are its own.

An episode's shares are drawn around the subject's. Summed over its episodes they would scatter, and
subjects would differ more from one another than real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_attributes import Attributes
from synth_spark.generators._events_facts import Floats

ROUNDS = 3  # of scaling by subject, then by episode
MOST = 4.0  # times a share is scaled up in a round, at most; its inverse down


def kept_own(
    attributes: Attributes, x: Floats, owner: NDArray[np.int64], named: Mapping[str, Floats]
) -> Floats:
    """The table with each category's shares and the nights scaled, shape (units, columns).

    Args:
        attributes: Of the model.
        x: The drawn table, shape (units, columns).
        owner: Subject of each unit, shape (units,).
        named: Columns of the subjects, each of shape (subjects,).
    """
    out, n = x.copy(), x[:, attributes.index("n")]
    for j, slots in enumerate(attributes.slots.count):
        if slots < 2 or f"stick{j}/0" not in named:
            continue
        own, left = np.empty((len(named["level"]), slots)), np.ones(len(named["level"]))
        for k in range(slots - 1):
            own[:, k] = left * np.clip(named[f"stick{j}/{k}"], 0, 1)
            left = left - own[:, k]
        own[:, -1] = left
        share = attributes.shares(x, j)
        for _ in range(ROUNDS):
            total = np.zeros_like(own)
            np.add.at(total, owner, share * n[:, None])
            total /= np.maximum(total.sum(axis=1, keepdims=True), 1e-9)
            scale = np.clip((own + 1e-6) / (total + 1e-6), 1 / MOST, MOST)
            share = share * scale[owner]
            share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        attributes.put_shares(out, j, share)
    if attributes.own_nights:
        at = attributes.index("night")
        out[:, at] = parts_kept(out[:, at], n, owner, named["own_night"])
    return out


def parts_kept(part: Floats, n: Floats, owner: NDArray[np.int64], own: Floats) -> Floats:
    """Parts of each episode's events, in whole events, whose mean over a subject is its own.

    Args:
        part: As drawn, shape (episodes,).
        n: Events of each episode.
        owner: Subject of each episode, in order.
        own: Mean part of the subject's active episodes, shape (subjects,).
    """
    some = n > 0
    total = np.bincount(owner, part * some, len(own))
    active = np.bincount(owner, some, len(own))
    scale = np.clip(own * active / np.maximum(total, 1e-9), 1 / MOST, MOST)
    events = np.where(some, np.minimum(part * scale[owner], 1.0) * n, 0.0)
    upper = np.cumsum(events)  # rounded on the way, so that no subject loses or gains by it
    upper -= np.concatenate([[0.0], upper])[np.searchsorted(owner, owner)] - 0.5
    lower = upper - events
    whole = np.minimum(np.floor(upper + 1e-9) - np.floor(lower + 1e-9), n)
    return np.asarray(whole / np.maximum(n, 1))
