"""Numbers that come again exactly: a price, a speed or a plan's limit that stays for many events.

A number's token is a bin of values. Where the token is the same as before, so may be the value: of
the event before, or of the last event with the same value of the main category. How often is
learned for each number, and the draws inside its tokens are kept as often.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

DOUBT = 20  # cases that say nothing
LEAST = 0.02  # of the cases beyond chance, below which nothing is kept


def repeats(
    offsets: NDArray[np.int64], category: NDArray[np.int32], tokens: NDArray[np.int32],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """How often each number is what it was where its token is, beyond what chance would do.

    By chance two values of one token are the same as often as any two of the sample.

    Args:
        offsets: Of the units, shape (units + 1,).
        category: Of the main category, of each event; shape (events,).
        tokens: Shape (events, numbers).
        values: Real ones, NaN where missing; shape (events, numbers).

    Returns:
        Shape (numbers, 2): as at the event before; else as at the last with the same category.
    """
    out = np.zeros((tokens.shape[1], 2))
    size = int(category.max(initial=0)) + 1
    for j in range(tokens.shape[1]):
        chance = _chance(tokens[:, j], values[:, j])
        cases, same, lucky = _counted(offsets, category, size, tokens[:, j], values[:, j], chance)
        lucky /= np.maximum(cases, 1)
        out[j] = (same / np.maximum(cases, 1) - lucky) / np.maximum(1 - lucky, 1e-9)
        out[j] *= cases / (cases + DOUBT)
    return np.where(out < LEAST, 0.0, out)


def kept(
    offsets: NDArray[np.int64], category: NDArray[np.int32], tokens: NDArray[np.int32],
    share: NDArray[np.float64], inside: NDArray[np.float64], rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Draws inside one number's tokens, of which some are as before.

    Args:
        offsets: Of the units, shape (units + 1,).
        category: Of the main category, of each event; shape (events,).
        tokens: Of the number, shape (events,).
        share: Of `repeats`, shape (2,).
        inside: A draw in [0, 1) for each event; shape (events,).
        rng: Of the block; not drawn from where nothing is kept.
    """
    if not share.any():
        return inside
    out = inside.copy()
    size = int(category.max(initial=0)) + 1
    _kept(offsets, category, size, tokens, share, rng.random((len(tokens), 2)), out)
    return out


def _chance(tokens: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the events with each event's token that have its value, on average by token."""
    known = ~np.isnan(values)
    _, of = np.unique(values[known], return_inverse=True)
    size = int(tokens.max(initial=0)) + 1
    of_token = np.bincount(tokens[known], minlength=size).astype(float)
    pairs, counts = np.unique(of.ravel() * size + tokens[known], return_counts=True)
    same = np.bincount(pairs % size, counts.astype(float) ** 2, size)
    return np.asarray((same / np.maximum(of_token, 1) ** 2)[tokens])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _counted(offsets, category, size, tokens, values, chance):  # type: ignore[no-untyped-def]
    cases, same, lucky = np.zeros(2), np.zeros(2), np.zeros(2)
    last = np.full(size, -1)
    for u in range(len(offsets) - 1):
        last[:] = -1
        for e in range(offsets[u], offsets[u + 1]):
            before, here = e - 1, last[category[e]]
            last[category[e]] = e
            if np.isnan(values[e]):
                continue
            if before >= offsets[u] and tokens[before] == tokens[e]:
                cases[0] += 1
                lucky[0] += chance[e]
                if values[before] == values[e]:
                    same[0] += 1
                    continue
            if 0 <= here < before and tokens[here] == tokens[e]:
                cases[1] += 1
                lucky[1] += chance[e]
                same[1] += values[here] == values[e]
    return cases, same, lucky


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _kept(offsets, category, size, tokens, share, u, inside):  # type: ignore[no-untyped-def]
    last = np.full(size, -1)
    for k in range(len(offsets) - 1):
        last[:] = -1
        for e in range(offsets[k], offsets[k + 1]):
            before, here = e - 1, last[category[e]]
            last[category[e]] = e
            if before >= offsets[k] and tokens[before] == tokens[e] and u[e, 0] < share[0]:
                inside[e] = inside[before]
            elif 0 <= here < before and tokens[here] == tokens[e] and u[e, 1] < share[1]:
                inside[e] = inside[here]
