"""The loops of `transform` that NumPy cannot do in one pass: trees of strata and their walk."""

# ruff: noqa: PLR0912, PLR0915 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

import numpy as np
from numba import njit

COUNT_WEIGHT = 5.0  # of the number of events against each other measure of a history
LEVELS = 64  # of a column when a split is searched: a set of levels fits into 64 bits


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _square(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for d in range(len(x)):
        total += x[d] * x[d]
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _sort_by_mean(turn, sums, sizes, main):  # type: ignore[no-untyped-def]
    """Put levels in the order of their mean score (by insertion, few have rows)."""
    for k in range(1, len(turn)):
        level = turn[k]
        mean = sums[level, main] / max(sizes[level], 1e-9)
        i = k
        while i > 0 and sums[turn[i - 1], main] / max(sizes[turn[i - 1]], 1e-9) > mean:
            turn[i] = turn[i - 1]
            i -= 1
        turn[i] = level


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def grow(  # type: ignore[no-untyped-def]
    codes, ordered, scores, leaf, usable, column, left, child, start, count, order
):
    """One tree whose leaves hold at least `leaf` rows, grown to make the scores alike in a leaf.

    A split is a set of levels that go to the left: for an ordered column all up to a limit, for
    labels those with the lowest mean of the score that varies most in the node (Fisher, "On
    Grouping for Maximum Homogeneity", JASA 1958).

    Args:
        codes: (columns, rows) levels in [0, LEVELS), uint8.
        ordered: (columns,) whether a column's levels have an order.
        scores: (rows, dims), what shall be alike.
        leaf: Least rows of a leaf.
        usable: (columns,) whether a column may be split on.
        column: (most nodes,), overwritten as all that follow: -1 in a leaf.
        left: (most nodes,) bits of the levels that go to the left.
        child: (most nodes,), the left one, the right one follows.
        start: (most nodes,) of the node's rows in `order`.
        count: (most nodes,) of them.
        order: (rows,).

    Returns:
        How many nodes there are.
    """
    rows, dims = scores.shape
    most, spare = len(column), np.empty(rows, np.int64)
    for i in range(rows):
        order[i] = i
    sums, sizes = np.zeros((LEVELS, dims)), np.zeros(LEVELS)
    total, square = np.zeros(dims), np.zeros(dims)
    part, rest, turn = np.zeros(dims), np.zeros(dims), np.zeros(LEVELS, np.int64)
    column[0], start[0], count[0] = -1, 0, rows
    made, node = 1, 0
    while node < made:
        a, n = start[node], count[node]
        if n >= 2 * leaf and made + 2 <= most:
            for d in range(dims):
                total[d] = square[d] = 0.0
            for i in range(a, a + n):
                for d in range(dims):
                    v = scores[order[i], d]
                    total[d] += v
                    square[d] += v * v
            widest, main = -1.0, made - made  # no literal: those are compiled twice
            for d in range(dims):
                spread = square[d] - total[d] * total[d] / n
                if spread > widest:
                    main, widest = d, spread
            base = _square(total) / n
            best, best_column, best_set = base + 1e-9 * n, -1, np.uint64(0)
            for j in range(len(codes)):
                if not usable[j]:
                    continue
                for k in range(LEVELS):
                    turn[k] = k
                    sizes[k] = 0.0
                    for d in range(dims):
                        sums[k, d] = 0.0
                for i in range(a, a + n):
                    c = codes[j, order[i]]
                    sizes[c] += 1.0
                    for d in range(dims):
                        sums[c, d] += scores[order[i], d]
                if not ordered[j]:
                    _sort_by_mean(turn, sums, sizes, main)
                for d in range(dims):
                    part[d] = 0.0
                m, bits = 0.0, np.uint64(0)
                for k in range(LEVELS - 1):
                    c = turn[k]
                    bits |= np.uint64(1) << np.uint64(c)
                    if sizes[c] == 0.0:
                        continue
                    for d in range(dims):
                        part[d] += sums[c, d]
                    m += sizes[c]
                    if m < leaf:
                        continue
                    if n - m < leaf:
                        break
                    for d in range(dims):
                        rest[d] = total[d] - part[d]
                    gain = _square(part) / m + _square(rest) / (n - m)
                    if gain > best:
                        best, best_column, best_set = gain, j, bits
            if best_column >= 0:
                i, k = a, 0
                for r in range(a, a + n):
                    c = np.uint64(codes[best_column, order[r]])
                    if (best_set >> c) & np.uint64(1):
                        order[i] = order[r]
                        i += 1
                    else:
                        spare[k] = order[r]
                        k += 1
                for r in range(k):
                    order[i + r] = spare[r]
                column[node], left[node], child[node] = best_column, best_set, made
                column[made] = column[made + 1] = -1
                start[made], count[made] = a, i - a
                start[made + 1], count[made + 1] = i, a + n - i
                made += 2
        node += 1
    return made


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def redraw(codes, roots, column, left, child, start, count, held, u, moved, out):  # type: ignore[no-untyped-def]
    """Give each row the token of a random donor in its stratum.

    Args:
        codes: (columns, rows) levels of the rows as they are now, uint8.
        roots: (trees,) first node of each tree.
        column: (nodes,), see `grow`.
        left: (nodes,).
        child: (nodes,).
        start: (nodes,), where a leaf begins in `held`.
        count: (nodes,).
        held: Tokens of the donors, leaf by leaf.
        u: (2, rows) uniforms: which tree, which donor.
        moved: (rows,) whether the row takes part.
        out: (rows,) tokens, overwritten where a row takes part.
    """
    for r in range(codes.shape[1]):
        if not moved[r]:
            continue
        node = roots[int(u[0, r] * len(roots))]
        while column[node] >= 0:
            bit = (left[node] >> np.uint64(codes[column[node], r])) & np.uint64(1)
            node = child[node] + (0 if bit else 1)
        out[r] = held[start[node] + int(u[1, r] * count[node])]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _used_up(donor_of, first, at, donor, segments):  # type: ignore[no-untyped-def]
    """Whether one more segment would make more than half of a history come from a donor."""
    used = 1
    for k in range(first, at):
        if donor_of[k] == donor:
            used += 1
    return 2 * used > max(segments, 2)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _nearest_piece(  # type: ignore[no-untyped-def]
    segment, order, begin, size, starts, piece_segment, donor_of, first, at, segments
):
    """A piece of a donor that is not used up, from the nearest segment; any donor if all are."""
    best, best_donor, best_piece = np.inf, order[begin], starts[order[begin]]
    for k in range(begin, begin + size):
        m = order[k]
        late = 1e9 if _used_up(donor_of, first, at, m, segments) else 0.0
        for q in range(starts[m], starts[m + 1]):
            far = late + abs(piece_segment[q] - segment)
            if far < best:
                best, best_donor, best_piece = far, m, q
    return best_donor, best_piece


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _found(segment, low, high, wanted):  # type: ignore[no-untyped-def]
    """Where a segment stands among ascending ones, from `low` up to `high`; -1: nowhere."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if segment[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and segment[low] == wanted else -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def choose(  # type: ignore[no-untyped-def]
    frame, begin, size, order, piece_starts, piece_segment, piece_sums, wanted, spread,
    counts, first, u, donor_of, piece_of,
):  # fmt: skip
    """For each segment of each history, the piece that brings its sums nearest to what is wanted.

    Args:
        frame: (subjects,) donor whose segments have events.
        begin: (subjects,) where the stratum's donors begin in `order`.
        size: (subjects,) how many they are.
        order: (donors,).
        piece_starts: (donors + 1,).
        piece_segment: (pieces,), ascending within a donor.
        piece_sums: (pieces, measures), the first is the number of events.
        wanted: (subjects, measures) sums over the whole history.
        spread: (measures,) of the log of the events, and of means.
        counts: (measures,) whether a measure counts events: a sum then has a Poisson's spread.
        first: (subjects,) where a history begins in the output.
        u: (segments, choices) uniforms.
        donor_of: (segments,), overwritten.
        piece_of: (segments,), overwritten.
    """
    measures = wanted.shape[1]
    run = np.zeros(measures)
    for i in range(len(frame)):
        for d in range(measures):
            run[d] = 0.0
        a, b = piece_starts[frame[i]], piece_starts[frame[i] + 1]
        whole, sofar = 0.0, 0.0
        for p in range(a, b):
            whole += piece_sums[p, 0]
        for p in range(a, b):
            sofar += piece_sums[p, 0]
            part, at = sofar / whole, first[i] + p - a
            best, best_donor, best_piece = np.inf, -1, -1
            for c in range(u.shape[1]):
                m = order[begin[i] + int(u[at, c] * size[i])]
                q = _found(piece_segment, piece_starts[m], piece_starts[m + 1], piece_segment[p])
                if q < 0:
                    continue
                if _used_up(donor_of, first[i], at, m, b - a):
                    continue
                far = 0.0
                n = wanted[i, 0]
                for d in range(measures):
                    miss = run[d] + piece_sums[q, d] - wanted[i, d] * part
                    scale = (n * spread[d]) ** 2
                    if counts[d]:
                        scale = min(scale, wanted[i, d] + 1.0)
                    far += (COUNT_WEIGHT if d == 0 else 1.0) * miss * miss / scale
                if far < best:
                    best, best_donor, best_piece = far, m, q
            if best_donor < 0:
                best_donor, best_piece = _nearest_piece(
                    piece_segment[p], order, begin[i], size[i], piece_starts,
                    piece_segment, donor_of, first[i], at, b - a,
                )  # fmt: skip
            donor_of[at], piece_of[at] = best_donor, best_piece
            for d in range(measures):
                run[d] += piece_sums[best_piece, d]
