"""Boosted trees on top of the network, for columns whose dependence it has not found.

A label that hangs on a conjunction of limits (a churn mark behind three of them) is what trees
learn from a few thousand rows and a small network does not. After the training each column of few
tokens is tried: trees are grown on four fifths of a sample, from the network's own logits on (of a
small one every fifth is left out in turn). Where they clearly lower the nats of what was left out,
they are grown again on all of it and added to
the network's logits in every draw. Combinations that never occur stay forbidden.

Friedman, "Greedy Function Approximation: a Gradient Boosting Machine", Annals of Statistics 2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._trees_kernels import grow, walk

Tokens = NDArray[np.int32]
Scores = NDArray[np.float32]
ROWS = 20_000  # on which trees are grown
_FEWEST_ROWS = 100
_FEW_ROWS = 4_000  # below it every fifth is checked in turn: one fifth alone says little
_PARTS = 5
_MOST_TOKENS = 12  # a column with more is left to the network
_MOST_INPUTS = 40  # columns that trees look at, those nearest before
_LEAVES, _LEAF_ROWS = 8, 20
_RATE = 0.1
_ROUNDS, _PATIENCE = 300, 30
_GAIN_NATS = 0.004
_DOUBT = 2.5  # standard errors that a gain must exceed
_MOST_TREES = 2_000  # of all columns together
_MOST_WORK = 3e9  # rows times inputs times trees, of all trials together: about half a minute


@dataclass(frozen=True, slots=True)
class Boosted:
    """The trees of one column, as `walk` reads them."""

    column: int  # position among the drawn columns
    tokens: NDArray[np.int64]  # (k,) whose logits they change: one for two tokens, else all
    roots: NDArray[np.int32]
    nodes: NDArray[np.int32]
    leaves: NDArray[np.float32]
    sets: NDArray[np.bool_]

    def add(self, tokens: Tokens, logits: Scores) -> None:
        """Add the trees' scores to the logits.

        Args:
            tokens: (token columns, rows), known up to this column.
            logits: (rows, vocabulary), changed.
        """
        scores = np.zeros((tokens.shape[1], len(self.tokens)), np.float32)
        walk(tokens, self.roots, self.nodes, self.leaves, self.sets, scores)
        logits[:, self.tokens] += scores

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The trees that `state` came from."""
        return cls(**state)


def candidates(coder: Coder, tokens: Tokens) -> list[int]:
    """Columns of few tokens, of which two at least are heavy enough to be told apart."""
    if len(tokens) < _FEWEST_ROWS:
        return []
    out = []
    for c, drawn in enumerate(coder.drawn):
        if c and drawn.relation is None and drawn.field.kind != "place":
            counts = np.bincount(tokens[:, c])
            counts = counts[counts > 0]
            if 2 <= len(counts) <= _MOST_TOKENS and np.sort(counts)[-2] >= 2 * _LEAF_ROWS:
                out.append(c)
    return out


def boosted(
    coder: Coder, tokens: Tokens, logits: Mapping[int, Scores], seed: int
) -> tuple[Boosted, ...]:
    """The trees of the columns that they help, those that help most first.

    Args:
        coder: What made the tokens.
        tokens: (rows, token columns) of a sample, at most `ROWS` rows.
        logits: The network's, (rows, vocabulary), for each of the `candidates`.
        seed: Of the split into fitting and checking parts.
    """
    part = generator(seed, "boost").permutation(len(tokens)) * _PARTS // max(len(tokens), 1)
    parts = part if len(tokens) < _FEW_ROWS else np.where(part == 0, 0, -1)
    useful, budget = [], _MOST_WORK
    work = [_Boosting.of(coder, tokens, column, start) for column, start in logits.items()]
    for column in sorted(work, key=lambda w: (len(w.own), w.column)):  # the cheapest first
        gain, rounds, tried = column.trial(parts, int(budget // (column.x.size * len(column.own))))
        budget -= tried * column.x.size * len(column.own)
        if rounds:
            useful.append((-gain, column.column, column, rounds))
    out, left = [], _MOST_TREES
    for _, _, column, rounds in sorted(useful, key=lambda u: u[:2]):
        kept = min(rounds, left // len(column.own))
        left -= kept * len(column.own)
        if kept:
            out.append(column.grown(kept))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Boosting:
    """One column, ready to be boosted."""

    column: int
    slots: NDArray[np.int64]  # token columns that are known before it
    x: NDArray[np.uint8]  # (rows, slots)
    sizes: NDArray[np.int64]
    labels: NDArray[np.bool_]
    own: NDArray[np.int64]  # (k,) tokens with a score
    start: NDArray[np.float64]  # (rows, vocabulary) logits
    truth: NDArray[np.int64]  # (rows,)

    @classmethod
    def of(cls, coder: Coder, tokens: Tokens, column: int, start: Scores) -> Self:
        count = len(coder.drawn)
        seen = [count + i for i, c in enumerate(coder.seen) if c < column]
        slots = np.array([*range(column), *seen][-_MOST_INPUTS:], np.int64)
        x = np.minimum(tokens[:, slots], 255).astype(np.uint8)
        numbers = [s >= count or coder.drawn[s].field.kind == "number" for s in slots]
        there, rows = np.unique(tokens[:, column], return_counts=True)
        own = there[rows >= _LEAF_ROWS].astype(np.int64)
        return cls(
            column, slots, x, x.max(axis=0).astype(np.int64) + 1, ~np.array(numbers, bool),
            own[1:] if len(there) == 2 else own, start.astype(np.float64),
            tokens[:, column].astype(np.int64),
        )  # fmt: skip

    def trial(self, parts: NDArray[np.int64], most: int) -> tuple[float, int, int]:
        """Grow trees on the rows outside each part, and look at its own, round by round.

        Args:
            parts: Which part checks each row, shape (rows,); -1: none does.
            most: Rounds at most.

        Returns:
            Nats gained on the checked rows; after how many rounds (0: nothing to speak of); and
            how many rounds it took to see it.
        """
        names = np.unique(parts[parts >= 0])
        most = min(most // len(names), _ROUNDS, _MOST_TREES // len(self.own))
        logits = [self.start.copy() for _ in names]
        checked = [np.flatnonzero(parts == k) for k in names]
        before = [_nats(self.start[c], self.truth[c]) for c in checked]
        growing = [self._rounds(parts != k, out) for k, out in zip(names, logits, strict=True)]
        best, rounds, tried = (0.0, np.zeros(1)), 0, 0
        for _ in islice(zip(*growing, strict=True), most):
            tried += 1
            gains = np.concatenate([
                was - _nats(out[c], self.truth[c])
                for was, out, c in zip(before, logits, checked, strict=True)
            ])  # fmt: skip
            if gains.mean() > best[0]:
                best, rounds = (float(gains.mean()), gains), tried
            if tried - rounds >= _PATIENCE:
                break
        doubt = _DOUBT * best[1].std() / np.sqrt(len(best[1]))
        worth = best[0] > max(_GAIN_NATS, doubt)
        return (best[0], rounds, tried * len(names)) if worth else (0.0, 0, tried * len(names))

    def grown(self, rounds: int) -> Boosted:
        """Trees on all rows."""
        roots, nodes, leaves, sets = [], [], [], []
        at = 0
        some = np.ones(len(self.x), bool)
        for trees in islice(self._rounds(some, self.start.copy()), rounds):
            for node, leaf, left in trees:
                moved = node.copy()
                inner = node[:, 0] >= 0
                moved[inner, 0] = self.slots[node[inner, 0]]
                moved[inner, 1:] += at
                roots.append(at)
                nodes.append(moved)
                leaves.append(leaf)
                sets.append(left)
                at += len(node)
        return Boosted(
            self.column, self.own, np.array(roots, np.int32), np.concatenate(nodes),
            np.concatenate(leaves), np.concatenate(sets),
        )  # fmt: skip

    def _rounds(self, some: NDArray[np.bool_], logits: NDArray[np.float64]) -> Any:
        """Endless rounds of trees grown on `some` rows; the logits of all rows move along."""
        rows, x = np.flatnonzero(some), self.x[some]
        every = np.ascontiguousarray(self.x.T.astype(np.int32))
        size = 2 * _LEAVES - 1
        while True:
            shares = _shares(logits[rows])
            trees = []
            for token in self.own:
                p = shares[:, token]
                nodes, leaves = np.empty((size, 3), np.int32), np.empty(size)
                sets = np.empty((size, 256), np.bool_)
                count = grow(
                    x, self.sizes, self.labels, p - (self.truth[rows] == token), p * (1 - p),
                    _LEAVES, _LEAF_ROWS, nodes, leaves, sets,
                )  # fmt: skip
                trees.append(
                    (nodes[:count], (_RATE * leaves[:count]).astype(np.float32), sets[:count])
                )
            for token, tree in zip(self.own, trees, strict=True):
                moved = np.zeros((len(self.x), 1), np.float32)
                walk(every, np.zeros(1, np.int32), *tree, moved)
                logits[:, token] += moved[:, 0]
            yield trees


def _shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _nats(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return np.asarray(total - logits[np.arange(len(truth)), truth])
