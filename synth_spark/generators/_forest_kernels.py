"""Compiled growth of one tree, and draws from the leaves of many."""

from __future__ import annotations

import numpy as np
from numba import njit

LEVELS = 32  # bins of a column when a split is searched
AROUND = 0.4  # of a leaf, to each side of a row: with less, twins lie nearer to the records (DCR)
LEAST_AROUND = 15.0  # rows
FEATURE_SHARE = 0.7


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _split(codes, goal, rows, leaf, gain, picks, sums, sizes):  # type: ignore[no-untyped-def]
    """Column and level of the split of some rows that tells most, -1: none tells more than chance.

    Of the columns picked for the node first.
    """
    size, total, square = len(rows), 0.0, 0.0
    for i in rows:
        total += goal[i]
        square += goal[i] * goal[i]
    base = total * total / size
    best, best_column, best_level = base + 1e-6, -1, 0
    for turn in range(2):  # where no picked column tells enough, the others
        for j in range(codes.shape[1]):
            if codes.shape[1] > 1 and (picks[j] > FEATURE_SHARE) != (turn == 1):
                continue
            sums[:] = 0.0
            sizes[:] = 0
            for i in rows:
                sums[codes[i, j]] += goal[i]
                sizes[codes[i, j]] += 1
            left, n = 0.0, 0
            for k in range(LEVELS - 1):
                left += sums[k]
                n += sizes[k]
                if n < leaf or sizes[k] == 0:
                    continue
                if size - n < leaf:
                    break
                score = left * left / n + (total - left) * (total - left) / (size - n)
                if score > best:
                    best, best_column, best_level = score, j, k
        if best - base > gain * max(square - best, 1e-12) / max(size - 2, 1):
            return best_column, best_level
    return -1, 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def grow(codes, goal, leaf, gain, picks):  # type: ignore[no-untyped-def]
    """Nodes of one tree: column and level of each split, children, and where rows begin.

    A node is split where that takes away `gain` variances of what is left: more than the best of
    all splits does by chance. Leaves of rows that do not differ would only remember them (DCR).
    """
    rows = codes.shape[0]
    most = picks.shape[0]
    feature, level = np.full(most, -1, np.int32), np.zeros(most, np.int32)
    child, start = np.zeros(most, np.int32), np.zeros(most, np.int32)
    count = np.zeros(most, np.int32)
    order = np.arange(rows)
    spare = np.empty(rows, np.int64)
    count[0] = rows
    made, node = 1, 0
    sums, sizes = np.zeros(LEVELS), np.zeros(LEVELS, np.int64)
    while node < made:
        a, b = start[node], start[node] + count[node]
        if b - a >= 2 * leaf and made + 2 <= most:
            column, at = _split(codes, goal, order[a:b], leaf, gain, picks[node], sums, sizes)
            if column >= 0:
                i, k = a, 0
                for r in range(a, b):
                    if codes[order[r], column] <= at:
                        order[i] = order[r]
                        i += 1
                    else:
                        spare[k] = order[r]
                        k += 1
                order[i:b] = spare[:k]
                feature[node], level[node], child[node] = column, at, made
                start[made], count[made] = a, i - a
                start[made + 1], count[made + 1] = i, b - i
                made += 2
        node += 1
    return feature[:made], level[:made], child[:made], start[:made], count[:made], order


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _other(values, start, n, at, side):  # type: ignore[no-untyped-def]
    """The nearest place in a leaf whose value differs (rows may be equal); -1: none."""
    near = at + side
    while 0 <= near < n:
        if values[start + near] != values[start + at]:
            return near
        near += side
    return -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def leaves_of(given, trees, feature, threshold, child, roots):  # type: ignore[no-untyped-def]
    """The leaf that each row falls into, by the tree that its number in [0, 1) picks."""
    out = np.empty(given.shape[0], np.int64)
    for i in range(given.shape[0]):
        node = roots[min(int(trees[i] * (len(roots) - 1)), len(roots) - 2)]
        while feature[node] >= 0:
            step = 0 if given[i, feature[node]] <= threshold[node] else 1
            node = child[node] + step
        out[i] = node
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _among(leaf, place, nearby, to, around, u, low_at, high_at):  # type: ignore[no-untyped-def]
    """A value of a leaf between two, of the rows around if there are some; -1: all are, or none."""
    n = len(leaf)
    least = np.searchsorted(leaf, low_at, side="left")
    most = np.searchsorted(leaf, high_at, side="right")
    if least >= most or (least == 0 and most == n):
        return -1
    if around:
        wide = int(min(max(AROUND * n, LEAST_AROUND), 0.5 * n))
        low = max(np.searchsorted(place, to, side="left") - wide, 0)
        high = min(np.searchsorted(place, to, side="right") + wide, n)
        held = 0
        for k in range(low, high):
            held += least <= nearby[k] < most
        goal = int(u * held)
        for k in range(low, high):
            if least <= nearby[k] < most:
                if goal == 0:
                    return nearby[k]
                goal -= 1
    return min(least + int(u * (most - least)), most - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_values(  # type: ignore[no-untyped-def]
    given,
    leaves,
    uniforms,
    start,
    count,
    values,
    still,
    exact,
    column,
    place,
    nearby,
    low_at,
    high_at,
):
    """One value a row, of its leaf, moved towards a neighbour.

    With `low_at` and `high_at` one between the two, where the leaf has some.
    """
    drawn = np.empty(len(leaves))
    for i in range(len(leaves)):
        node = leaves[i]
        n = count[node]
        at = min(int(uniforms[i, 1] * n), n - 1)
        found = -1
        if len(low_at):
            own = slice(start[node], start[node] + n)
            to = given[i, column] if column >= 0 else 0.0
            found = _among(
                values[own], place[own], nearby[own], to, column >= 0, uniforms[i, 1], low_at[i],
                high_at[i],
            )  # fmt: skip
        if found >= 0:
            at = found
        elif column >= 0:  # one of the rows around in that column
            own = place[start[node] : start[node] + n]
            low = np.searchsorted(own, given[i, column], side="left")
            high = np.searchsorted(own, given[i, column], side="right")
            wide = min(
                max(AROUND * n, LEAST_AROUND), 0.5 * n
            )  # so that one turn at an end is enough
            goal = abs(low - wide + uniforms[i, 1] * (high - low + 2 * wide))
            goal = 2 * n - goal if goal >= n else goal
            at = nearby[start[node] + min(max(int(goal), 0), n - 1)]
        value = values[start[node] + at]
        if not exact:
            k = np.searchsorted(still, value)
            if not (k < len(still) and still[k] == value):
                side = 1 if uniforms[i, 2] < 0.5 else -1
                near = _other(values, start[node], n, at, side)
                if near < 0:
                    near = _other(values, start[node], n, at, -side)
                if near >= 0:
                    other = values[start[node] + near]
                    k = np.searchsorted(still, other)
                    if not (k < len(still) and still[k] == other):
                        value = value + (other - value) * uniforms[i, 3]
        drawn[i] = value
    return drawn


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw_among(  # type: ignore[no-untyped-def]
    leaves, uniforms, start, count, values, allowed, drawn, share
):
    """The same among allowed values only; `share` is how much of the leaf they are."""
    for i in range(len(leaves)):
        node = leaves[i]
        held = 0
        for k in range(start[node], start[node] + count[node]):
            held += allowed[int(values[k])]
        share[i] = held / count[node]
        drawn[i] = 0
        wanted = int(uniforms[i, 1] * held)
        for k in range(start[node], start[node] + count[node]):
            if allowed[int(values[k])]:
                if wanted == 0:
                    drawn[i] = values[k]
                    break
                wanted -= 1
