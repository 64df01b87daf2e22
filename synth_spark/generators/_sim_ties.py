"""Who knows whom in a block: ego networks with strong and weak ties, some of them between subjects.

A subject's ties have ranks, and the share of its calls to rank r falls as in social signatures
(Saramäki et al., PNAS 111, 2014). Ties between subjects join half-ties of similar rank, most of
them inside a community, so that a strong tie is strong from both ends and lies among common
friends (Onnela et al., PNAS 104, 2007). Both ends see every call: the caller's record goes out, the
other's comes in, at the same time and with the same length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._sim_draft import Draft

RANKS = 256  # most contacts of a subject
OUTSIDE = 1 << 40  # ids of other parties begin here; below stand the numbers of subjects
STRIDE = 1 << 20  # ids of other parties of one subject
PREMIUM = 1 << 32  # numbers of lines that are no subjects' but the same from everywhere

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ties:
    """The ties of a block's subjects, one subject after the other, strongest first."""

    starts: Ints  # (subjects + 1,)
    peer: Ints  # (ties,) subject in the block at the other end; -1: outside
    upper: NDArray[np.float64]  # (RANKS,) sums of the weights of the ranks

    def ranks(self, owner: Ints, rng: np.random.Generator, steep: NDArray[np.float64]) -> Ints:
        """A rank for each event, strong ones more often; `steep` makes it more so, (subjects,)."""
        most = np.diff(self.starts)[owner]
        goal = rng.random(len(owner)) ** steep[owner] * self.upper[most - 1]
        return np.asarray(np.minimum(np.searchsorted(self.upper, goal, "right"), most - 1))

    def inside_share(self, rates: NDArray[np.float64]) -> float:
        """The share of all contacts made that go to subjects."""
        weights = np.diff(self.upper, prepend=0.0)
        owner = np.repeat(np.arange(len(rates)), np.diff(self.starts))
        rank = np.arange(len(owner)) - self.starts[owner]
        share = weights[rank] / self.upper[np.diff(self.starts)[owner] - 1]
        return float((share * rates[owner] * (self.peer >= 0)).sum() / rates.sum())


def signature(exponent: float, cut: float) -> NDArray[np.float64]:
    """Sums of the weights of ranks 1, 2, ...; shape (RANKS,)."""
    rank = np.arange(1, RANKS + 1, dtype=float)
    return np.asarray(np.cumsum(rank**-exponent * np.exp(-rank / cut)))


def make_ties(draft: Draft, rates: NDArray[np.float64]) -> Ties:
    """The ties of a block."""
    p, rng, size = draft.facts.params, draft.rng("ties"), draft.size
    lively = 0.3 * np.log(rates / rates.mean())  # who calls more knows more people
    wish = np.log(p.contacts) - p.contacts_sigma**2 / 2 + lively
    wish = wish + p.contacts_sigma * rng.standard_normal(size)
    known = np.clip(np.rint(np.exp(wish)), 1, RANKS).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(known)])
    ties = int(starts[-1])
    owner = np.repeat(np.arange(size), known)
    rank = np.arange(ties) - starts[owner]
    ends = np.flatnonzero(rng.random(ties) < p.contacts_inside)
    groups = max(size // p.community, 1)
    group = rng.permutation(size)[owner[ends]] % groups
    near = rng.random(len(ends)) < p.community_share
    group = np.where(near, group, groups + rng.integers(groups, size=len(ends)))
    order = np.lexsort((rank[ends] + 6.0 * rng.random(len(ends)), group))
    ends = ends[order][: len(ends) // 2 * 2]
    left, right = ends[::2], ends[1::2]
    good = owner[left] != owner[right]
    peer = np.full(ties, -1, np.int64)
    peer[left[good]], peer[right[good]] = owner[right[good]], owner[left[good]]
    return Ties(starts, peer, signature(p.tie_exponent, p.tie_cut))


def party_ids(draft: Draft, ties: Ties, owner: Ints, rank: Ints) -> Ints:
    """Ids of the other parties: a subject's number in the table, or one from OUTSIDE on."""
    peer = ties.peer[ties.starts[owner] + rank]
    return np.where(peer >= 0, draft.first + peer, OUTSIDE + owner * STRIDE + rank)
