"""Growing and walking small regression trees over tokens; the loops of `_flat_boost.py`.

A split is a set of tokens that go to the left: for an ordered column all up to a limit, for labels
those with the lowest gradient (Fisher, "On Grouping for Maximum Homogeneity", JASA 1958).
"""

from __future__ import annotations

import numpy as np
from numba import njit

SETTLE = 1.0  # added to every sum of second derivatives: few rows move a leaf less


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _parted(x, left, order):  # type: ignore[no-untyped-def]
    """Put the rows whose token goes to the left first, in `order`; gives how many they are."""
    part, at = order.copy(), 0
    for goes in (True, False):
        for r in part:
            if left[x[r]] == goes:
                order[at] = r
                at += 1
        if goes:
            middle = at
    return middle


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _step(g, h, part):  # type: ignore[no-untyped-def]
    """The Newton step of some rows."""
    total_g, total_h = 0.0, SETTLE
    for r in part:
        total_g += g[r]
        total_h += h[r]
    return -total_g / total_h


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def grow(x, sizes, labels, g, h, most_leaves, least_rows, nodes, leaves, sets):  # type: ignore[no-untyped-def]
    """One tree, best split first; its leaves are Newton steps.

    Args:
        x: (rows, columns) tokens, uint8.
        sizes: (columns,) vocabularies.
        labels: (columns,) whether a column's tokens have no order.
        g: (rows,) first derivatives of the loss by the score.
        h: (rows,) second ones.
        most_leaves: Of the tree.
        least_rows: In a leaf.
        nodes: (2 * most_leaves - 1, 3), overwritten: column (-1: a leaf), left, right.
        leaves: (nodes,), overwritten: the step of each leaf.
        sets: (nodes, 256), overwritten: tokens that go to the left.

    Returns:
        How many nodes the tree has.
    """
    rows, count = len(x), 1
    order = np.arange(rows)
    start, stop = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    gain = np.zeros(len(nodes))
    split = np.full(len(nodes), -1, np.int64)
    stop[0] = rows
    sets[:] = False
    nodes[:] = -1
    gain[0], split[0] = _best(x, sizes, labels, g, h, order, least_rows, sets[0])
    grown = 1
    while grown < most_leaves:
        best = -1
        for i in range(count):
            if nodes[i, 0] < 0 and gain[i] > 1e-9 and (best < 0 or gain[i] > gain[best]):
                best = i
        if best < 0:
            break
        column = split[best]
        at = start[best]
        middle = at + _parted(x[:, column], sets[best], order[at : stop[best]])
        nodes[best, 0], nodes[best, 1], nodes[best, 2] = column, count, count + 1
        for child, a, b in ((count, at, middle), (count + 1, middle, stop[best])):
            start[child], stop[child] = a, b
            gain[child], split[child] = _best(
                x, sizes, labels, g, h, order[a:b], least_rows, sets[child]
            )
        count += 2
        grown += 1
    leaves[:] = 0.0
    for i in range(count):
        if nodes[i, 0] < 0:
            sets[i] = False
            leaves[i] = _step(g, h, order[start[i] : stop[i]])
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best(x, sizes, labels, g, h, part, least_rows, chosen):  # type: ignore[no-untyped-def]
    """The best split of some rows: its gain and column; writes `chosen`, the tokens to the left."""
    best, at = 0.0, -1
    if len(part) < 2 * least_rows:
        return best, at
    sums = np.zeros((256, 3))
    total_g, total_h = 0.0, 0.0
    for r in part:
        total_g += g[r]
        total_h += h[r]
    whole = total_g * total_g / (total_h + SETTLE)
    for column in range(x.shape[1]):
        size = sizes[column]
        sums[:size] = 0.0
        for r in part:
            token = x[r, column]
            sums[token, 0] += g[r]
            sums[token, 1] += h[r]
            sums[token, 2] += 1.0
        if labels[column]:
            turn = np.argsort(sums[:size, 0] / (sums[:size, 1] + 10.0 * SETTLE))
        else:
            turn = np.arange(size)
        left_g, left_h, left_n = 0.0, 0.0, 0.0
        for k in range(size - 1):
            token = turn[k]
            left_g += sums[token, 0]
            left_h += sums[token, 1]
            left_n += sums[token, 2]
            if sums[token, 2] == 0.0 or left_n < least_rows or len(part) - left_n < least_rows:
                continue
            right_g, right_h = total_g - left_g, total_h - left_h
            gain = left_g * left_g / (left_h + SETTLE) + right_g * right_g / (right_h + SETTLE)
            if gain - whole > best:
                best, at = gain - whole, column
                chosen[:] = False
                for j in range(k + 1):
                    chosen[turn[j]] = True
    return best, at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk(tokens, roots, nodes, leaves, sets, scores):  # type: ignore[no-untyped-def]
    """Add each tree's leaf to a row's scores, the trees in turn for each score.

    Args:
        tokens: (token columns, rows), int32; from 255 on tokens share a place in the sets.
        roots: (trees,) first node of each.
        nodes: (nodes, 3): token column (-1: a leaf), left, right.
        leaves: (nodes,).
        sets: (nodes, 256).
        scores: (rows, scores), added to.
    """
    for k in range(len(roots)):  # a tree stays near while all rows go down it
        score = k % scores.shape[1]
        for r in range(tokens.shape[1]):
            at = roots[k]
            while nodes[at, 0] >= 0:
                token = min(tokens[nodes[at, 0], r], 255)
                at = nodes[at, 1] if sets[at, token] else nodes[at, 2]
            scores[r, score] += leaves[at]
