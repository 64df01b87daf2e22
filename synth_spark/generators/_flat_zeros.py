"""Combinations that never occur: forbidden while training and while sampling.

Every field is seen in classes: a category's labels, a number's heavy spikes, "any other value",
missing. A pair of classes that no row has, although independence would give at least
`_EXPECTED` rows, is a structural zero. Such a pair is absent by chance, under independence, with
probability exp(-expected).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.core.batch import Records
from synth_spark.generators._flat_tokens import Coder, Drawn

_EXPECTED = 3.0  # rows
_EXPECTED_MANY = 8.0  # rows, for pairs of fields with more than 400 pairs of classes
_MOST_LABELS = 200  # a category with more has no classes
_MOST_CLASSES = 1_000  # of all fields; the fields with the fewest come first
_KEYS = 4  # labels at least of a field that another follows from
_SPIKE = 0.01  # share of the rows that gives a spike a class


def classes_of(drawn: Drawn) -> NDArray[np.int32]:
    """The class of each token of a field, shape (vocabulary,); one class only means: not used."""
    size = drawn.vocabulary
    if drawn.field.kind != "number":
        some = size <= _MOST_LABELS
        return np.arange(size, dtype=np.int32) if some else np.zeros(size, np.int32)
    out = np.zeros(size, np.int32)
    codec = drawn.codec
    assert isinstance(codec, Number)
    special: list[int] = []
    if drawn.relation is None:
        special = [t for t in codec.spike_tokens.tolist() if codec.shares[t] >= _SPIKE]
    if codec.missing_token >= 0:
        special.append(codec.missing_token)
    if len(special) == size:
        special = special[:-1]  # the last one is "any other"
    out[special] = np.arange(1, len(special) + 1)
    return out


def all_classes(coder: Coder) -> list[NDArray[np.int32]]:
    """The classes of all fields, within `_MOST_CLASSES`."""
    out = [classes_of(d) for d in coder.drawn]
    total = 0
    for i in sorted(range(len(out)), key=lambda i: (int(out[i].max(initial=0)), i)):
        total += int(out[i].max(initial=0)) + 1
        if total > _MOST_CLASSES:
            out[i] = np.zeros(len(out[i]), np.int32)
    return out


def count_pairs(coder: Coder, records: Records) -> dict[str, Any]:
    """Rows of every pair of classes, shape (classes, classes) over all fields."""
    return {"pairs": pairs_of_tokens(coder, coder.encode(records))}


def pairs_of_tokens(coder: Coder, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
    """The same from tokens."""
    classes = all_classes(coder)
    starts = offsets(classes)
    pairs = np.zeros((starts[-1], starts[-1]), np.int64)
    for cut in range(0, len(tokens), 8_192):
        part = tokens[cut : cut + 8_192]
        hot = np.zeros((len(part), starts[-1]), np.float32)
        for i, of_token in enumerate(classes):
            hot[np.arange(len(part)), starts[i] + of_token[part[:, i]]] = 1
        pairs += np.rint(hot.T @ hot).astype(np.int64)
    return pairs


def merge_pairs(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The counts of two parts."""
    return {"pairs": left["pairs"] + right["pairs"]}


def token_counts(coder: Coder, tokens: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Rows of every token of each drawn column, shape (vocabulary,) each."""
    sizes = [d.vocabulary for d in coder.drawn]
    return [np.bincount(tokens[:, c], minlength=size) for c, size in enumerate(sizes)]


def count_tokens(coder: Coder, records: Records) -> dict[str, Any]:
    """The same of one part."""
    return {"tokens": token_counts(coder, coder.encode(records))}


def merge_tokens(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The counts of two parts."""
    return {"tokens": [a + b for a, b in zip(left["tokens"], right["tokens"], strict=True)]}


def offsets(classes: list[NDArray[np.int32]]) -> NDArray[np.int64]:
    """Where each field's classes start, and their number; shape (fields + 1,)."""
    return np.cumsum([0, *(int(c.max(initial=0)) + 1 for c in classes)])


def forbidden(classes: list[NDArray[np.int32]], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of classes are structural zeros, shape (classes, classes)."""
    starts = offsets(classes)
    rows = np.diag(pairs).astype(np.float64)
    total = rows[: starts[1]].sum()
    sizes = np.repeat(np.diff(starts), np.diff(starts))
    least = np.where(np.outer(sizes, sizes) > 400, _EXPECTED_MANY, _EXPECTED)
    zero = (pairs == 0) & (np.outer(rows, rows) / max(total, 1.0) >= least)
    for a, b in pairwise(starts):
        for c, d in pairwise(starts):
            if b - a > 2 * (d - c) > 2:
                shut = _follows(pairs[a:b, c:d])
                zero[a:b, c:d] |= shut
                zero[c:d, a:b] |= shut.T
    for a, b in pairwise(starts):
        zero[a:b, a:b] = False  # classes of one field exclude each other anyway
    return np.asarray(zero)


def _follows(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pairs that cannot be where each class of the first field goes with one of the second.

    One class in twenty may go with several: that of rare labels does. Nothing is shut for it, nor
    for a class that no row has; shape as `pairs`.
    """
    used = pairs.sum(axis=1) > 0
    alone = (pairs > 0).sum(axis=1) == 1
    shared = (pairs > 0).sum(axis=0) > 1
    follows = used.sum() >= _KEYS and alone[used].mean() > 0.95 and shared.sum() >= 2
    return np.asarray((pairs == 0) & (alone & used & bool(follows))[:, None])
