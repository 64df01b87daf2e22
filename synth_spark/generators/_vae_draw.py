"""The columns of a block of rows, one after the other, from the decoder's answer to their codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Values
from synth_spark.generators._flat_conditions import Part
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._vae_net import Array, VaeNet


def draw_columns(
    coder: Coder, net: VaeNet | None, h: Array, rng: Any, limits: Mapping[int, Part] | None = None
) -> tuple[dict[str, Values], NDArray[np.float64]]:
    """Values of all fields, each (rows,), and the logarithm of the chance of the limits, (rows,).

    Args:
        coder: Of the table.
        net: The decoder; None where no column is drawn.
        h: What it made of the codes, (rows, units).
        rng: Gives two uniforms a column and row, as `generator` or `Repeated` do.
        limits: By position among the drawn columns.
    """
    from synth_spark.generators._flat_kernels import pick

    drawn, seen, gated = coder.drawn, coder.seen, coder.gated
    count, rows = len(drawn), len(h)
    tokens = np.zeros((count + len(seen) + len(gated), rows), np.int32)
    values: dict[str, Values] = {}
    chance = np.zeros(rows)
    for c, column in enumerate(drawn):
        assert net is not None
        if c in gated:
            tokens[count + len(seen) + gated.index(c)] = column.gate(values)
        weights = net.heads[c].logits(h, tokens)
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        limit = limits.get(c) if limits else None
        if limit is not None:
            chance += limited(weights, limit.shares(values).astype(np.float32))
        pick(weights, rng.random(rows), tokens[c])
        value = column.drawn_values if limit is None else limit.values
        values[column.field.name] = value(tokens[c], rng.random(rows), values)
        if c in seen:
            assert column.plain is not None
            tokens[count + seen.index(c)] = column.plain.encode(values[column.field.name])
    for relation in coder.computed:
        values[relation.child] = relation.value(values)
    return values, chance


def limited(weights: Array, shares: NDArray[np.float32]) -> NDArray[np.float64]:
    """Multiply weights by what a limit leaves of them.

    Args:
        weights: (rows, vocabulary), changed; where nothing is left, to the shares themselves.
        shares: (vocabulary,) or (rows, vocabulary).

    Returns:
        Logarithm of the share of the weight that is left, -inf where nothing is; (rows,).
    """
    total = weights.sum(axis=1, dtype=np.float64)
    weights *= shares
    left = weights.sum(axis=1, dtype=np.float64)
    none = left <= 0
    weights[none] = np.broadcast_to(shares, weights.shape)[none]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(left / total))
