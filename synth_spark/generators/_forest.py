"""Forests of conditional trees: one column of numbers drawn given the columns before it.

Each column has `TREES` regression trees, each grown on a random part of the rows towards the
column's rank. A draw picks one tree, drops to a leaf, takes one of the leaf's values and moves it
towards a sorted neighbour in the same leaf, so that no continuous value is handed out as it was.
After: Watson et al., "Adversarial random forests for density estimation and generative
modeling", AISTATS 2023 (leaf-wise draws); Breiman, "Random forests", 2001; Hothorn et al.,
"Unbiased recursive partitioning", JCGS 2006 (no split that chance would make).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._even import even
from synth_spark.generators._forest_kernels import LEVELS, draw_among, draw_values, grow, leaves_of

TREES = 20
MOST_ROWS = 4_000  # rows of one tree
GAIN = 16.0  # variances of what is left, that a split takes away: chance does in a node of 25
DOUBT = 5.0  # rows at the overall mean that a token's mean is mixed with
ANY = np.zeros(0)  # no bound
ROW_SHARE = 0.63  # of all rows that one tree is grown on, as many as a bootstrap would hold


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
    nominal: NDArray[np.int64]  # given columns that are tokens without an order
    order: NDArray[np.float64]  # (nominal, tokens), where a token stands among the others

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
        nominal: tuple[int, ...] = (),
        gain: float = GAIN,
    ) -> Self:
        """Grow the trees of one column.

        Args:
            given: The columns before it, shape (rows, columns); no NaN.
            target: The column, shape (rows,); no NaN.
            leaf: Least rows in a leaf.
            seed: The run's seed.
            name: The stream's name; two columns must not share one.
            exact: Values stay as they are.
            trees: Number of trees.
            near: A given column that matters within a leaf too: what is drawn is a value of one
                of the rows around in it (`AROUND`). Leaves with many rows flatten what a column
                tells, most of all at its ends.
            nominal: Given columns of tokens (whole numbers from 0) without an order. They are put
                in that of their mean ranks, by which the best split into two sets is a cut
                (Fisher, JASA 1958).
            gain: What a split must take away. 0 where the column itself is of tokens without an
                order: their ranks say little of what a split tells.
        """
        rng = generator(seed, f"forest/{name}")
        rank = np.argsort(np.argsort(target, kind="stable"), kind="stable")
        goal = _tied(target, rank.astype(np.float64))
        order = _order(given, goal, nominal)
        given = _placed(given, np.array(nominal, np.int64), order)
        edges = _edges(given)
        codes = np.empty(given.shape, np.uint8)
        for j in range(given.shape[1]):
            codes[:, j] = np.searchsorted(edges[j], given[:, j], side="left")
        place = given[:, near] if near >= 0 else np.zeros(len(target))
        parts = [_tree(codes, edges, goal, target, place, leaf, gain, rng) for _ in range(trees)]
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
            spikes(target),
            exact,
            near,
            np.concatenate([p[6] for p in parts]).astype(np.float32),
            np.concatenate([p[7] for p in parts]).astype(np.int32),
            np.array(nominal, np.int64),
            order,
        )

    def draw(
        self,
        given: NDArray[np.float64],
        uniforms: NDArray[np.float64],
        together: NDArray[np.int64] | None = None,
        between: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:
        """One value a row.

        Args:
            given: The columns before it, shape (rows, columns).
            uniforms: Shape (rows, 4), in [0, 1): tree, value, neighbour, how far.
            together: Of each row the group whose values are spread evenly, see `_even.py`,
                shape (rows,); None: each row for itself.
            between: Least and greatest value of each row, shape (rows,) each; where a row's leaf
                has none between them it is drawn as if there were none.

        Returns:
            Values, shape (rows,).
        """
        known = self._known(given)
        leaves = self._leaves(known, uniforms)
        if together is not None:
            middle = self.values[self.start[leaves] + self.count[leaves] // 2]
            uniforms = uniforms.copy()
            uniforms[:, 1] = even(middle, together, uniforms[:, 1])
        return np.asarray(
            draw_values(
                known, leaves, uniforms, self.start, self.count, self.values, self.still,
                self.exact, self.near, self.place, self.nearby, *(between or (ANY, ANY)),
            )
        )  # fmt: skip

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
        draw_among(
            self._leaves(self._known(given), uniforms), uniforms, self.start, self.count,
            self.values, allowed, values, share,
        )  # fmt: skip
        return values, share

    def _known(self, given: NDArray[np.float64]) -> NDArray[np.float32]:
        """The columns before, as the trees were grown on them, shape as `given`."""
        return np.ascontiguousarray(_placed(given, self.nominal, self.order), np.float32)

    def _leaves(
        self, known: NDArray[np.float32], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Node of the leaf that each row falls into, shape (rows,)."""
        trees = self.feature, self.threshold, self.child, self.roots
        return np.asarray(leaves_of(known, uniforms[:, 0], *trees))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The forest that `state` came from."""
        return cls(**state)


def _order(
    given: NDArray[np.float64], goal: NDArray[np.float64], nominal: tuple[int, ...]
) -> NDArray[np.float64]:
    """Where each token of the nominal columns stands among the others, shape (nominal, tokens)."""
    tokens = [given[:, c].astype(np.int64) for c in nominal]
    size = max((int(t.max(initial=0)) + 1 for t in tokens), default=0)
    out = np.zeros((len(nominal), size))
    middle = goal.mean() if len(goal) else 0.0
    for row, token in zip(out, tokens, strict=True):
        rows = np.bincount(token, minlength=size)
        total = np.bincount(token, goal, minlength=size)
        means = (total + DOUBT * middle) / (rows + DOUBT)
        row[np.argsort(means, kind="stable")] = np.arange(size)
    return out


def _placed(
    given: NDArray[np.float64], nominal: NDArray[np.int64], order: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The given columns with tokens as their places."""
    if not len(nominal):
        return given
    out = given.copy()
    for c, row in zip(nominal.tolist(), order, strict=True):
        out[:, c] = row[np.clip(given[:, c].astype(np.int64), 0, len(row) - 1)]
    return out


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


def spikes(target: NDArray[np.float64]) -> NDArray[np.float32]:
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
    gain: float,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], ...]:
    most = min(int(np.ceil(ROW_SHARE * len(target))), MOST_ROWS)
    rows = rng.permutation(len(target))[:most]  # none twice, so that a leaf holds `leaf` of them
    picks = rng.random((4 * (len(rows) // max(leaf, 1)) + 8, codes.shape[1]))
    grown = grow(codes[rows], goal[rows], max(leaf, 1), gain, picks)
    feature, level, child, start, count, order = grown
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
