"""Forests of conditional trees: one column of numbers drawn given the columns before it.

Each column has `TREES` regression trees, each grown on a random part of the rows towards the
column's rank. A draw picks one tree, drops to a leaf, takes one of the leaf's values and moves it
towards a sorted neighbour in the same leaf, so that no continuous value is handed out as it was.
After: Watson et al., "Adversarial random forests for density estimation and generative
modeling", AISTATS 2023 (leaf-wise draws); Breiman, "Random forests", 2001.
"""

# ruff: noqa: PLR0912 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.core.seeds import generator

TREES = 20
LEVELS = 32  # bins of a column when a split is searched
MOST_ROWS = 4_000  # rows of one tree
ROW_SHARE = 0.63  # of all rows that one tree is grown on, as many as a bootstrap would hold
FEATURE_SHARE = 0.7
AROUND = 0.25  # of a leaf, to each side of a row


@dataclass(frozen=True, slots=True)
class Forest:
    """The trees of one column, end to end: tree k has nodes `roots[k]` to `roots[k + 1]`."""

    feature: NDArray[np.int32]  # (nodes,), the column a node splits on; -1 in a leaf
    threshold: NDArray[np.float32]  # (nodes,), values up to it go to `child`
    child: NDArray[np.int32]  # (nodes,), the left child; the right one follows it
    start: NDArray[np.int32]  # (nodes,), where a leaf's values begin
    count: NDArray[np.int32]  # (nodes,), how many values a leaf has
    roots: NDArray[np.int32]  # (trees + 1,)
    values: NDArray[np.float32]  # sorted within each leaf
    still: NDArray[np.float32]  # sorted values that are never moved (spikes)
    exact: bool  # no value is moved
    near: int  # the given column by which a leaf's values are looked at, -1: none
    place: NDArray[np.float32]  # (values,), that column of the rows of each leaf, sorted
    nearby: NDArray[np.int32]  # (values,), where in the leaf the value of that row stands

    @classmethod
    def fit(
        cls,
        given: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        leaf: int,
        seed: int,
        name: str,
        exact: bool = False,
        trees: int = TREES,
        near: int = -1,
    ) -> Self:
        """Grow the trees of one column.

        Args:
            given: The columns before it, shape (rows, columns); no NaN.
            target: The column, shape (rows,); no NaN.
            leaf: Least rows in a leaf.
            seed: The run's seed.
            name: The stream's name; two columns must not share one.
            exact: Values are integers and stay as they are.
            trees: Number of trees.
            near: A given column that matters within a leaf too: what is drawn is a value of one
                of the rows around in it, half of the leaf or fewer. Leaves with many rows flatten
                what a column tells, most of all at its ends.
        """
        rng = generator(seed, f"forest/{name}")
        edges = _edges(given)
        codes = np.empty(given.shape, np.uint8)
        for j in range(given.shape[1]):
            codes[:, j] = np.searchsorted(edges[j], given[:, j], side="left")
        rank = np.argsort(np.argsort(target, kind="stable"), kind="stable")
        goal = _tied(target, rank.astype(np.float64))
        place = given[:, near] if near >= 0 else np.zeros(len(target))
        parts = [_tree(codes, edges, goal, target, place, leaf, rng) for _ in range(trees)]
        nodes = np.cumsum([0, *(len(p[0]) for p in parts)])
        sizes = np.cumsum([0, *(len(p[5]) for p in parts)])
        return cls(
            np.concatenate([p[0] for p in parts]).astype(np.int32),
            np.concatenate([p[1] for p in parts]).astype(np.float32),
            np.concatenate([p[2] + n for p, n in zip(parts, nodes, strict=False)]).astype(np.int32),
            np.concatenate([p[3] + n for p, n in zip(parts, sizes, strict=False)]).astype(np.int32),
            np.concatenate([p[4] for p in parts]).astype(np.int32),
            nodes.astype(np.int32),
            np.concatenate([p[5] for p in parts]).astype(np.float32),
            _spikes(target),
            exact,
            near,
            np.concatenate([p[6] for p in parts]).astype(np.float32),
            np.concatenate([p[7] for p in parts]).astype(np.int32),
        )

    def draw(
        self, given: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """One value a row.

        Args:
            given: The columns before it, shape (rows, columns).
            uniforms: Shape (rows, 4), in [0, 1): tree, value, neighbour, how far.

        Returns:
            Values, shape (rows,).
        """
        return np.asarray(
            _draw(
                np.ascontiguousarray(given, np.float32),
                uniforms,
                self.feature,
                self.threshold,
                self.child,
                self.start,
                self.count,
                self.roots,
                self.values,
                self.still,
                self.exact,
                self.near,
                self.place,
                self.nearby,
            )
        )

    def draw_among(
        self,
        given: NDArray[np.float64],
        uniforms: NDArray[np.float64],
        allowed: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One allowed value a row, of a column of whole numbers from 0.

        Args:
            given: The columns before it, shape (rows, columns).
            uniforms: Shape (rows, 4), in [0, 1).
            allowed: Which values are, shape (values,).

        Returns:
            Values, and the share of each row's leaf that is allowed (0: none, and the value is
            not to be used); both of shape (rows,).
        """
        values = np.empty(len(given))
        share = np.empty(len(given))
        _draw_among(
            np.ascontiguousarray(given, np.float32), uniforms, self.feature, self.threshold,
            self.child, self.start, self.count, self.roots, self.values, allowed, values, share,
        )  # fmt: skip
        return values, share

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The forest that `state` came from."""
        return cls(**state)


def _edges(given: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper edges of the bins of each column, padded with inf: shape (columns, LEVELS - 1)."""
    edges = np.full((given.shape[1], LEVELS - 1), np.inf)
    for j in range(given.shape[1]):
        levels = np.unique(given[:, j])
        if len(levels) > LEVELS:
            at = np.linspace(0, 1, LEVELS + 1)[1:-1]
            levels = np.unique(np.quantile(given[:, j], at, method="lower"))
            edges[j, : len(levels)] = levels
        else:
            edges[j, : len(levels) - 1] = levels[:-1]
    return edges


def _tied(target: NDArray[np.float64], rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean rank of equal values, scaled to [0, 1]."""
    _, inverse, counts = np.unique(target, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=rank) / counts
    return np.asarray(means[inverse] / max(len(target), 1))


def _spikes(target: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values that at least 3 % of the rows hold."""
    values, counts = np.unique(target.astype(np.float32), return_counts=True)
    return np.asarray(values[counts >= max(0.03 * len(target), 2)])


def _tree(
    codes: NDArray[np.uint8],
    edges: NDArray[np.float64],
    goal: NDArray[np.float64],
    target: NDArray[np.float64],
    place: NDArray[np.float64],
    leaf: int,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], ...]:
    most = min(int(np.ceil(ROW_SHARE * len(target))), MOST_ROWS)
    rows = rng.permutation(len(target))[:most]  # none twice, so that a leaf holds `leaf` of them
    picks = rng.random((4 * (len(rows) // max(leaf, 1)) + 8, codes.shape[1]))
    feature, level, child, start, count, order = _grow(codes[rows], goal[rows], max(leaf, 1), picks)
    rows = rows[order]
    nearby, beside = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    leaves = np.flatnonzero(feature < 0)
    for node in leaves:  # sorted, so that a value's neighbours in the leaf are its neighbours here
        own = slice(start[node], start[node] + count[node])
        rows[own] = rows[own][np.argsort(target[rows[own]], kind="stable")]
        nearby[own] = np.argsort(place[rows[own]], kind="stable")
        beside[own] = place[rows[own]][nearby[own]]
    threshold = np.where(feature >= 0, edges[np.maximum(feature, 0), level] if edges.size else 0, 0)
    return feature, threshold, child, start, count, target[rows], beside, nearby


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _grow(codes, goal, leaf, picks):  # type: ignore[no-untyped-def]
    rows, columns = codes.shape
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
            total = 0.0
            for i in range(a, b):
                total += goal[order[i]]
            base = total * total / (b - a)
            best, best_column, best_level = base + 1e-6, -1, 0
            for j in range(columns):
                if picks[node, j] > FEATURE_SHARE and columns > 1:
                    continue
                sums[:] = 0.0
                sizes[:] = 0
                for i in range(a, b):
                    sums[codes[order[i], j]] += goal[order[i]]
                    sizes[codes[order[i], j]] += 1
                left, n = 0.0, 0
                for k in range(LEVELS - 1):
                    left += sums[k]
                    n += sizes[k]
                    m = b - a - n
                    if n < leaf or sizes[k] == 0:
                        continue
                    if m < leaf:
                        break
                    score = left * left / n + (total - left) * (total - left) / m
                    if score > best:
                        best, best_column, best_level = score, j, k
            if best_column >= 0:
                i, k = a, 0
                for r in range(a, b):
                    if codes[order[r], best_column] <= best_level:
                        order[i] = order[r]
                        i += 1
                    else:
                        spare[k] = order[r]
                        k += 1
                order[i:b] = spare[:k]
                feature[node], level[node], child[node] = best_column, best_level, made
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
def _draw(  # type: ignore[no-untyped-def]
    given, uniforms, feature, threshold, child, start, count, roots, values, still, exact, column,
    place, nearby,
):  # fmt: skip
    rows, trees = given.shape[0], len(roots) - 1
    drawn = np.empty(rows)
    for i in range(rows):
        node = roots[min(int(uniforms[i, 0] * trees), trees - 1)]
        while feature[node] >= 0:
            step = 0 if given[i, feature[node]] <= threshold[node] else 1
            node = child[node] + step
        n = count[node]
        at = min(int(uniforms[i, 1] * n), n - 1)
        if column >= 0:
            own = place[start[node] : start[node] + n]
            low = np.searchsorted(own, given[i, column], side="left")
            high = np.searchsorted(own, given[i, column], side="right")
            wide = max(AROUND * n, 5.0)
            goal = low - wide + uniforms[i, 1] * (high - low + 2 * wide)
            if goal < 0:
                goal = -goal
            if goal >= n:
                goal = 2 * n - goal
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
def _draw_among(  # type: ignore[no-untyped-def]
    given, uniforms, feature, threshold, child, start, count, roots, values, allowed, drawn, share
):
    trees = len(roots) - 1
    for i in range(given.shape[0]):
        node = roots[min(int(uniforms[i, 0] * trees), trees - 1)]
        while feature[node] >= 0:
            step = 0 if given[i, feature[node]] <= threshold[node] else 1
            node = child[node] + step
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
