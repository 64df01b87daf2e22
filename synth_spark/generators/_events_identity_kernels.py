"""The inner loops of `_events_identity.py`: one label after the other, none twice."""

from __future__ import annotations

import numpy as np
from numba import njit

BACKOFF = 5.0  # weight of overall popularity against the pairs seen


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def assign(u, first, popular, start, label, share, rare):  # type: ignore[no-untyped-def]
    """A label for each rank by popularity and company, (subjects, ranks)."""
    subjects, ranks, tries = u.shape[0], u.shape[1], u.shape[2] // 2
    size = len(first)
    out = np.zeros((subjects, ranks), np.int64)
    for i in range(subjects):
        top = min(np.searchsorted(first, u[i, 0, 0] * first[-1], side="right"), size - 1)
        out[i, 0] = top
        total = 0.0
        for p in range(start[top], start[top + 1]):
            total += share[p]
        for k in range(1, ranks):
            for q in range(tries):
                a, b = u[i, k, 2 * q], u[i, k, 2 * q + 1]
                found = min(np.searchsorted(popular, b * popular[-1], side="right"), size - 1)
                if a * (total + BACKOFF) < total:
                    goal, sofar = b * total, 0.0
                    for p in range(start[top], start[top + 1]):
                        sofar += share[p]
                        if goal < sofar:
                            found = label[p]
                            break
                out[i, k] = found
                again = False
                for r in range(k):
                    again = again or (out[i, r] == found and found != rare)
                if not again:
                    break
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def assign_by(  # type: ignore[no-untyped-def]
    u, nats, beside, table, first, popular, start, label, share, rare
):
    """As `assign`, each label's chance times the exponential of its nats, (subjects, ranks).

    A rank of which events stand beside those of an earlier one gets that label's row of `table`,
    `beside` times.
    """
    subjects, ranks, size = nats.shape
    out = np.zeros((subjects, ranks), np.int64)
    weight, said = np.empty(size), np.empty(size)
    for i in range(subjects):
        for k in range(ranks):
            if k == 0:
                weight[:] = first
            else:
                weight[:] = BACKOFF * popular
                top = out[i, 0]
                for p in range(start[top], start[top + 1]):
                    weight[label[p]] += share[p]
            left = weight.sum()
            for r in range(k):
                if out[i, r] != rare:
                    left -= weight[out[i, r]]
            for r in range(k):
                if out[i, r] != rare and left > 1e-12:  # else one that is there already
                    weight[out[i, r]] = 0.0
            said[:] = nats[i, k]
            for r in range(k):
                if beside[i, k, r] > 0:
                    said += beside[i, k, r] * table[out[i, r]]
            out[i, k] = _picked(weight, said, u[i, k])
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _picked(weight, nats, u):  # type: ignore[no-untyped-def]
    """A label by weight times the exponential of its nats; 0 if none has a weight."""
    most = -np.inf
    for m in range(len(weight)):
        if weight[m] > 0:
            most = max(most, nats[m])
    total = 0.0
    for m in range(len(weight)):
        if weight[m] > 0:
            weight[m] *= np.exp(nats[m] - most)
            total += weight[m]
    goal, sofar, found = u * total, 0.0, 0
    for m in range(len(weight)):
        if weight[m] > 0:
            sofar += weight[m]
            found = m
            if goal < sofar:
                break
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def wild(owner, labels, other, rare, u):  # type: ignore[no-untyped-def]
    """A label for each other value, none that the subject has already; shape (values,)."""
    size = other.shape[1]
    taken = np.full(size, -1, np.int64)
    out = np.zeros(len(owner), np.int64)
    before = -1
    for i in range(len(owner)):
        if owner[i] != before:
            before = owner[i]
            for label in labels[before]:
                taken[label] = before
        found = rare
        own = other[min(before, len(other) - 1)]
        for q in range(u.shape[1]):
            token = min(np.searchsorted(own, u[i, q] * own[-1], side="right"), size - 1)
            if token == rare or taken[token] != before:
                found = token
                break
        if found < 0:  # all have been tried: one that is there already
            found = min(np.searchsorted(own, u[i, 0] * own[-1], side="right"), size - 1)
        taken[found] = before
        out[i] = found
    return out
