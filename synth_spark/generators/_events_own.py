"""Counts, shares and nights of a subject's episodes, moved until over all of them they are its own.

An episode's count and shares are drawn around the subject's. Over its episodes they would scatter,
and subjects would differ more from one another than real ones do; a few episodes far above a high
level would hold more events than any real subject has.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_attributes import Attributes
from synth_spark.generators._events_coder import RANKS
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._events_scales import possible

MIXED = 0.02  # share of a slot that is the subject's and empty in all episodes, in one of them
GOLDEN = 0.6180339887498949  # its multiples lie evenly in [0, 1)
ROUNDS = 3  # of scaling by subject, then by episode
MOST = 4.0  # times a share is scaled up in a round, at most; its inverse down


def kept_own(
    attributes: Attributes, x: Floats, owner: NDArray[np.int64], named: Mapping[str, Floats],
    longest: int,
) -> Floats:  # fmt: skip
    """The table with the counts, each category's shares and the nights moved, (units, columns).

    Args:
        attributes: Of the model.
        x: The drawn table, shape (units, columns).
        owner: Subject of each unit, shape (units,).
        named: Columns of the subjects, each of shape (subjects,).
        longest: Events of a subject, at most.
    """
    out, at = x.copy(), attributes.index("n")
    n = counts_kept(x[:, at], owner, named["spread"], np.expm1(named["total"]))
    n = _no_more(np.minimum(n, attributes.most_events), owner, longest)
    out[:, at] = n
    for j, column in enumerate(attributes.columns):
        if column.name in ("days", "distinct"):
            out[:, j] = np.minimum(out[:, j], np.maximum(n, 1))
    for j, slots in enumerate(attributes.slots.count):
        if slots < 2 or f"stick{j}/0" not in named:
            continue
        own, share = _own_shares(named, j, int(slots)), attributes.shares(x, j)
        if f"values{j}" in named:
            events = np.bincount(owner, n, len(own)).astype(np.float64)
            own = _of_ranks(own, attributes.slots.of_token[j], named[f"values{j}"], events)
        else:
            own = _as_drawn(own, share, owner, n)
        share = _somewhere(share, own, owner, n)
        for _ in range(ROUNDS):
            total = _events_of(share, owner, n, len(own))
            total /= np.maximum(total.sum(axis=1, keepdims=True), 1e-9)
            scale = np.clip((own + 1e-6) / (total + 1e-6), 1 / MOST, MOST)
            share = share * scale[owner]
            share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        attributes.put_shares(out, j, _whole(share, n, owner))
    if attributes.own_nights:
        at = attributes.index("night")
        out[:, at] = parts_kept(out[:, at], n, owner, named["own_night"])
        first, span = attributes.index("first"), attributes.index("span")
        for j, column in enumerate(attributes.columns):  # the counts are others than before
            if column.column < 0:
                out[:, j] = possible(column.name, out[:, j], n, out[:, first], out[:, span])
    return out


def _events_of(share: Floats, owner: NDArray[np.int64], n: Floats, subjects: int) -> Floats:
    """Events of each slot over all of a subject's episodes, shape (subjects, slots)."""
    out = np.zeros((subjects, share.shape[1]))
    np.add.at(out, owner, share * n[:, None])
    return out


def _own_shares(named: Mapping[str, Floats], j: int, slots: int) -> Floats:
    """Share of each slot over all of a subject's episodes, shape (subjects, slots)."""
    own, left = np.empty((len(named["level"]), slots)), np.ones(len(named["level"]))
    for k in range(slots - 1):
        own[:, k] = left * np.clip(named[f"stick{j}/{k}"], 0, 1)
        left = left - own[:, k]
    own[:, -1] = left
    return own


def _as_drawn(own: Floats, share: Floats, owner: NDArray[np.int64], n: Floats) -> Floats:
    """The subjects' own shares; of labels that they have none of what their episodes have.

    A label that all have now and then is in a busy subject, and not in one of few events. A profile
    is drawn from leaves of both, and says of the busy too often that there is none; the episodes,
    drawn by how many events they have, know better.

    Args:
        own: Share of each slot, shape (subjects, slots).
        share: Of each slot in each unit, shape (units, slots).
        owner: Subject of each unit.
        n: Events of each unit.
    """
    there = _events_of(share, owner, n, len(own))
    there /= np.maximum(there.sum(axis=1, keepdims=True), 1e-9)
    out = np.where(own > 0, own, there)
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-12))


def _somewhere(share: Floats, own: Floats, owner: NDArray[np.int64], n: Floats) -> Floats:
    """The shares, with a little of each slot that is the subject's own and in no episode.

    In one episode, by how many events it has, and in more only as far as one cannot hold it: what a
    subject does seldom comes at one time, not a little of it in every week. Slots of a subject go
    to different ones.

    Args:
        share: Of each slot, shape (units, slots).
        own: The same over all of a subject's episodes, shape (subjects, slots).
        owner: Subject of each unit, in order.
        n: Events of each unit.
    """
    there = _events_of(share, owner, n, len(own))
    subject, slot = np.nonzero((there <= 0) & (own > 0))
    upper = np.concatenate([[0.0], np.cumsum(n)])
    start, end = (upper[np.searchsorted(owner, subject, side=s)] for s in ("left", "right"))
    active = np.bincount(owner, n > 0, minlength=len(own))[subject]
    times = np.where(end > start, np.ceil(own[subject, slot] * active), 0)
    out = share.copy()
    for i in range(int(times.max(initial=0))):
        some = times > i
        part = (slot[some] + 1) * GOLDEN % 1 + i / times[some]
        goal = start[some] + (end - start)[some] * (part % 1)
        out[np.searchsorted(upper[1:], goal, side="right"), slot[some]] = MIXED
    return out


def _of_ranks(own: Floats, slot: NDArray[np.int32], values: Floats, events: Floats) -> Floats:
    """Shares under which a subject has as many ranks as it has values, each with an event.

    Args:
        own: Share of each slot, shape (subjects, slots).
        slot: Of each token: own 1st, ..., then other, then missing.
        values: Ranks of each subject that have an event.
        events: Of each subject.
    """
    if len(np.unique(slot)) < len(slot):
        return own  # some ranks share a slot
    out, some = own.copy(), np.clip(np.rint(values), 1, RANKS)[:, None]
    first = own[:, slot[:1]]  # stays as drawn: the mean with a second above it would be more
    ranks = np.hstack([first, np.minimum(falling(own[:, slot[1:RANKS]]), first)])
    there = np.arange(RANKS) < some
    least = np.minimum(1 / np.maximum(events, 1), 1 / some[:, 0])[:, None]
    out[:, slot[:RANKS]] = np.where(there, np.maximum(ranks, least), 0.0)
    out[:, slot[RANKS]] *= some[:, 0] == RANKS
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-12))


def falling(shares: Floats) -> Floats:
    """The nearest shares that do not rise from rank to rank, with the same sum; shape as given.

    By means over neighbours (Barlow, Bartholomew, Bremner and Brunk, Statistical inference under
    order restrictions, 1972, theorem 1.4): of rank i the least over its starts of the greatest mean
    up to any end.
    """
    upper = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(shares, axis=1)], axis=1)
    ranks = shares.shape[1]
    least = np.full_like(shares, np.inf)
    for start in range(ranks):
        ends = np.arange(start + 1, ranks + 1)
        means = (upper[:, ends] - upper[:, [start]]) / (ends - start)
        greatest = np.maximum.accumulate(means[:, ::-1], axis=1)[:, ::-1]  # up to an end at i or on
        least[:, start:] = np.minimum(least[:, start:], greatest)
    return least


def _whole(share: Floats, n: Floats, owner: NDArray[np.int64]) -> Floats:
    """Shares in whole events, of which a subject keeps as many of each slot as it had.

    Rounded on the way from episode to episode; what an episode then has too many or too few of is
    made up by its heaviest slot.
    """
    events = share * n[:, None]
    upper = np.cumsum(events, axis=0)
    before = np.vstack([np.zeros((1, upper.shape[1])), upper])[np.searchsorted(owner, owner)]
    upper = upper - before + 0.5
    whole = np.floor(upper + 1e-9) - np.floor(upper - events + 1e-9)
    rows = np.arange(len(n))
    for _ in range(2):  # the heaviest may have fewer than are too many
        heaviest = whole.argmax(axis=1)
        whole[rows, heaviest] = np.maximum(whole[rows, heaviest] + n - whole.sum(axis=1), 0)
    total = whole.sum(axis=1, keepdims=True)
    return np.where(total > 0, whole / np.maximum(total, 1), share)


def counts_kept(n: Floats, owner: NDArray[np.int64], spread: Floats, total: Floats) -> Floats:
    """Whole counts with the subject's total, whose logarithms have its deviation.

    An episode of one event stays one, unless a subject has no others: it has no span to fill.

    Args:
        n: As drawn, shape (episodes,); 0 stays.
        owner: Subject of each episode, in order.
        spread: Deviation of log(1 + n) over the subject's active episodes, shape (subjects,).
        total: Events of the subject.
    """
    some, subjects = n > 0, len(total)
    active = np.maximum(np.bincount(owner, some, subjects), 1)
    y = np.where(some, np.log1p(n), 0.0)
    away = np.where(some, y - (np.bincount(owner, y, subjects) / active)[owner], 0.0)
    deviation = np.sqrt(np.bincount(owner, away**2, subjects) / active)
    scale = np.where(deviation > 0, spread / np.maximum(deviation, 1e-9), 0.0)
    single = n == 1
    moving = some & (~single | ~(np.bincount(owner, n > 1, subjects) > 0)[owner])
    held = np.bincount(owner, some & ~moving, subjects)
    part = np.where(moving, np.exp(np.minimum(scale, MOST)[owner] * away), 0.0)
    room = total + np.bincount(owner, moving, subjects) - held
    factor = np.maximum(room, 0) / np.maximum(np.bincount(owner, part, subjects), 1e-9)
    return np.where(moving, np.maximum(np.rint(factor[owner] * part - 1), 1), some * 1.0)


def _no_more(n: Floats, owner: NDArray[np.int64], longest: int) -> Floats:
    """Counts of which a subject has so many events at most; the later episodes lose them."""
    upper = np.cumsum(n)
    upper -= np.concatenate([[0.0], upper])[np.searchsorted(owner, owner)]
    return np.clip(n - np.maximum(upper - longest, 0), 0, None)


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
