"""Exact shares: which subjects and events a scenario takes, by number and not by chance.

Subject n belongs to a share r where the rounded sum of shares goes up: round((n + 1) r) above
round(n r). Among the first N subjects there are then exactly round(N r), whatever the blocks are
(the largest remainder, one subject after the other). Several scenarios share one such count for all
of them together and divide its members the same way, so that nobody is in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

NONE = -1
GOLDEN = 0.6180339887498949  # steps of a block's phase, so that what is rounded off evens out


def exact(rate: float) -> Fraction:
    """A rate as the fraction that was meant: 0.001 is 1 in 1,000."""
    return Fraction(repr(float(rate))).limit_denominator(1_000_000_000)


def counted(numbers: NDArray[np.int64], rate: Fraction) -> NDArray[np.int64]:
    """Members among the first `numbers` subjects, round(n r) with halves up; shape as `numbers`."""
    p, q = rate.numerator, rate.denominator
    whole, rest = np.divmod(np.asarray(numbers, np.int64), q)  # so that nothing overflows
    return np.asarray(whole * p + (2 * rest * p + q) // (2 * q), np.int64)


def members(
    numbers: NDArray[np.int64], rates: Sequence[Fraction]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which share each subject belongs to, NONE for most, and its place among its members.

    Example:
        >>> which, place = members(np.arange(1000), [exact(0.01), exact(0.002)])
        >>> [int((which == k).sum()) for k in (0, 1)], int(place[which == 0].max())
        ([10, 2], 9)
    """
    which = np.full(len(numbers), NONE, np.int64)
    place = np.zeros(len(numbers), np.int64)
    left, position = np.arange(len(numbers)), np.asarray(numbers, np.int64)
    total = sum(rates, Fraction(0))
    if not total:
        return which, place
    before = counted(position, total)
    taken = counted(position + 1, total) > before
    left, position = left[taken], before[taken]
    for k, rate in enumerate(rates):
        if not total or not len(left):
            break
        share = rate / total
        before = counted(position, share)
        taken = counted(position + 1, share) > before
        which[left[taken]], place[left[taken]] = k, before[taken]
        left, position = left[~taken], (position - before)[~taken]
        total -= rate
    return which, place


def member_number(k: int, place: int, rates: Sequence[Fraction]) -> int:
    """The subject number of one member: the inverse of `members`."""
    totals = [sum(rates[j:], Fraction(0)) for j in range(len(rates))]
    position = _first(place, rates[k] / totals[k])
    for j in range(k - 1, -1, -1):  # back through the shares that were served before
        position = _skipped(position, rates[j] / totals[j])
    return _first(position, totals[0])


def count(n: int, rate: Fraction) -> int:
    """Members among the first n subjects, as `counted` has them."""
    p, q = rate.numerator, rate.denominator
    return (2 * n * p + q) // (2 * q)


def _first(place: int, rate: Fraction) -> int:
    """The number of the member at `place`: the smallest n with more than `place` up to it."""
    n = max(int((Fraction(2 * place + 1, 2)) / rate) - 2, 0)
    while count(n + 1, rate) <= place:
        n += 1
    return n


def _skipped(place: int, rate: Fraction) -> int:
    """The number of the subject at `place` among those that are no members."""
    n = max(int(place / (1 - rate)) - 2, 0) if rate < 1 else 0
    while n + 1 - count(n + 1, rate) <= place:
        n += 1
    return n


def among(rows: int, rate: float, block: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of a share of one block's rows, ascending, their number exact but for rounding.

    What is rounded off in one block comes in another: the phase steps by the golden ratio.
    """
    phase = (0.5 + block * GOLDEN) % 1.0
    count = min(int(rows * float(rate) + phase), rows)
    return np.sort(rng.choice(rows, count, replace=False)) if count else np.zeros(0, np.int64)
