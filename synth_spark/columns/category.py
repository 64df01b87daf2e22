"""Categories: one token a label that enough subjects hold, one token for all rarer labels.

State: rows and subjects of each label. A column of a million distinct labels is cut to the
heaviest `MOST_LABELS` after every merge; what was cut is counted, not lost, and becomes RARE.

A rare label is drawn as one of as many made-up ones as were rare (`_RARE_0`, `_RARE_1`, ...), so
that a column with a long tail keeps one: a single label for all of it would be among the most
frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import RARE, Coded, Values

MOST_LABELS = 50_000  # labels kept in a state
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Category:
    """Labels as tokens, heaviest first; then RARE (if any label is rare), then missing."""

    labels: tuple[str, ...]  # kept labels, heaviest first, ties by name
    shares: NDArray[np.float64]  # (len(labels),), of the rows whose label is kept; sums to 1
    rare_token: int  # -1: no label was rare
    missing_token: int  # -1: nothing was missing
    rare_labels: int = 0  # that share the rare token (too many where parts cut some)
    rare: Literal["label", "kept"] = "label"  # "kept": RARE is drawn from the kept labels
    kind: ClassVar[str] = "category"

    @property
    def vocabulary(self) -> int:
        return len(self.labels) + (self.rare_token >= 0) + (self.missing_token >= 0)

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> State:
        coded = values if isinstance(values, Coded) else Coded.of(list(values))
        codes, size = coded.codes.astype(np.int64), len(coded.labels)
        rows = np.bincount(codes + 1, minlength=size + 1)
        subjects = _subjects(codes + 1, owners, size + 1)
        seen = np.flatnonzero(rows[1:])
        order = sorted(seen.tolist(), key=coded.labels.__getitem__)
        state: State = {
            "labels": [coded.labels[i] for i in order],
            "rows": rows[1:][order],
            "subjects": subjects[1:][order],
            "missing": [int(rows[0]), int(subjects[0])],
            "cut": [0, 0],
        }
        return _bounded(state)

    @staticmethod
    def merge(left: State, right: State) -> State:
        labels = sorted({*left["labels"], *right["labels"]})
        place = {label: i for i, label in enumerate(labels)}
        merged: State = {"labels": labels}
        for name in ("rows", "subjects"):
            total = np.zeros(len(labels), np.int64)
            for side in (left, right):
                total[[place[label] for label in side["labels"]]] += side[name]
            merged[name] = total
        for name in ("missing", "cut"):
            merged[name] = [a + b for a, b in zip(left[name], right[name], strict=True)]
        return _bounded(merged)

    @classmethod
    def finish(
        cls,
        state: State,
        *,
        min_subjects: int = 5,
        max_labels: int = 0,
        rare: Literal["label", "kept"] = "label",
    ) -> Self:
        """The codec of all parts.

        Args:
            state: What `merge` gave.
            min_subjects: A label held by fewer subjects becomes RARE.
            max_labels: At most so many labels are kept, the heaviest; 0 means no bound.
            rare: "label" decodes it to `RARE` and a number; "kept" draws one of the kept labels in
                proportion, for columns whose type cannot hold a text (missing if none is kept).
        """
        rows, labels = np.asarray(state["rows"]), state["labels"]
        kept = [i for i in range(len(labels)) if state["subjects"][i] >= min_subjects]
        kept.sort(key=lambda i: (-int(rows[i]), labels[i]))
        kept = kept[:max_labels] if max_labels else kept
        few, cut = len(labels) - len(kept), int(state["cut"][1])
        has_rare = few + cut > 0
        weights = rows[kept].astype(np.float64)
        shares = weights / weights.sum() if kept else weights
        return cls(
            labels=tuple(labels[i] for i in kept),
            shares=shares,
            rare_token=len(kept) if has_rare else -1,
            missing_token=len(kept) + has_rare if state["missing"][0] else -1,
            rare_labels=few + cut,
            rare=rare,
        )

    def encode(self, values: Values) -> NDArray[np.int32]:
        """Tokens, shape (rows,). Unseen labels are RARE, or the lightest label."""
        coded = values if isinstance(values, Coded) else Coded.of(list(values))
        other = self.rare_token if self.rare_token >= 0 else max(len(self.labels) - 1, 0)
        tokens = coded.recode(self.labels, other)
        missing = self.missing_token if self.missing_token >= 0 else other
        return np.where(tokens < 0, np.int32(missing), tokens)

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> Coded:
        kept = len(self.labels)
        names = self.labels
        codes = np.where(tokens < kept, tokens, -1).astype(np.int32)
        rare = tokens == self.rare_token if self.rare_token >= 0 else np.zeros(len(tokens), bool)
        if self.rare == "label" and rare.any():
            drawn = (inside[rare] * max(self.rare_labels, 1)).astype(np.int64)
            numbers, which = np.unique(drawn, return_inverse=True)
            codes[rare] = kept + which.ravel()
            one = self.rare_labels <= 1
            names = (*names, *(RARE if one else f"{RARE}{k}" for k in numbers.tolist()))
        elif rare.any() and kept:
            upper = np.cumsum(self.shares)
            codes[rare] = np.minimum(np.searchsorted(upper, inside[rare], "right"), kept - 1)
        return Coded(codes, names)

    def state(self) -> State:
        return {
            "labels": list(self.labels),
            "shares": self.shares,
            "rare_token": self.rare_token,
            "missing_token": self.missing_token,
            "rare_labels": self.rare_labels,
            "rare": self.rare,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(**{**state, "labels": tuple(state["labels"])})


def _subjects(codes: NDArray[np.int64], owners: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Distinct owners of each code in [0, size); shape (size,)."""
    if len(owners) < 2 or bool((np.diff(owners) > 0).all()):
        return np.bincount(codes, minlength=size)  # every row is a subject of its own
    order = np.lexsort((owners, codes))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(codes[order]) != 0) | (np.diff(owners[order]) != 0)
    return np.bincount(codes[order][first], minlength=size)


def _bounded(state: State, most: int = MOST_LABELS) -> State:
    """The state with at most `most` labels; what is left out is added to `cut`."""
    labels: Sequence[str] = state["labels"]
    if len(labels) <= most:
        return state
    rows = np.asarray(state["rows"])
    order = sorted(range(len(labels)), key=lambda i: (-int(rows[i]), labels[i]))
    kept, gone = sorted(order[:most]), order[most:]
    return {
        "labels": [labels[i] for i in kept],
        "rows": rows[kept],
        "subjects": np.asarray(state["subjects"])[kept],
        "missing": state["missing"],
        "cut": [state["cut"][0] + int(rows[gone].sum()), state["cut"][1] + len(gone)],
    }


CODEC = Category
EXAMPLE = (
    {"min_subjects": 2},
    Coded.of(["home", "home", "shop", "shop", None, "club", "home", "home"]),
    np.array([0, 0, 1, 2, 2, 3, 4, 5], dtype=np.int64),
)
