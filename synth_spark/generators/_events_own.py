"""Shares of a subject's episodes, moved so that over all of them they are the subject's own.

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
    """The table with each category's shares scaled, shape (units, columns).

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
    return out
