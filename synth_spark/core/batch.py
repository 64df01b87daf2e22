"""Records in memory: columns of whole subjects, laid end to end.

Three physical forms carry every kind of column:

* numbers (and the two halves of a place): float64, missing is NaN;
* times: datetime64[us], the source's local clock, missing is NaT;
* categories and identifiers: `Coded`, missing is code -1.

A flat table is the case in which every subject has one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Coded:
    """Text values as numbers: value i is `labels[codes[i]]`, missing where the code is -1."""

    codes: NDArray[np.int32]  # (rows,) in [-1, len(labels))
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Coded:
        return Coded(self.codes[rows], self.labels)

    def recode(self, labels: Sequence[str], other: int) -> NDArray[np.int32]:
        """Codes under another list of labels; a value not in it becomes `other`, missing stays -1.

        Args:
            labels: The labels to code by.
            other: The code of every value that is not among `labels`.

        Returns:
            Codes, shape (rows,).
        """
        place = {label: i for i, label in enumerate(labels)}
        table = np.array([*(place.get(label, other) for label in self.labels), -1], dtype=np.int32)
        return table[self.codes]  # code -1 reads the last entry

    def texts(self) -> NDArray[np.object_]:
        """The values as Python strings, None where missing; shape (rows,)."""
        table = np.array([*self.labels, None], dtype=object)
        return table[self.codes]

    @classmethod
    def of(cls, values: Sequence[str | None] | NDArray[np.object_]) -> Coded:
        """Code a sequence of strings; labels in sorted order, so equal values give equal codes."""
        labels = tuple(sorted({v for v in values if v is not None}))
        place: dict[str | None, int] = {label: i for i, label in enumerate(labels)}
        place[None] = -1
        return cls(np.fromiter((place[v] for v in values), np.int32, len(values)), labels)


RARE = "_RARE_"  # begins what a rare label decodes to; a number follows where many were rare
ID_MARK = (
    "@"  # begins the label of an id that is to be made anew: "@" its row's own, "@3/70" shared
)
SUBJECT_MARK = "#"  # begins the label of an other party that is itself a subject of the table


def told_label(label: str | None) -> str | None:
    """A label as a condition knows it: all rare ones are one."""
    return RARE if label is not None and label.startswith(RARE) else label


def subject_label(number: int) -> str:
    """The label of subject `number` of the table as the other party of an event."""
    return f"{SUBJECT_MARK}{number}"


Values = NDArray[Any] | Coded
Batch = Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Records:
    """Whole subjects: rows `offsets[i]` to `offsets[i + 1]` belong to subject i, in time order."""

    columns: dict[str, Values]  # each of length rows
    offsets: NDArray[np.int64]  # (subjects + 1,), first 0, last the number of rows

    @property
    def subjects(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> int:
        return int(self.offsets[-1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rows of each subject, shape (subjects,)."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The subject's position for each row, shape (rows,)."""
        return np.repeat(np.arange(self.subjects, dtype=np.int64), self.lengths)

    def take(self, subjects: NDArray[np.int64]) -> Records:
        """The named subjects (by position), in the order given."""
        lengths = self.lengths[subjects]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[subjects], lengths)
        return Records({name: v[rows] for name, v in self.columns.items()}, offsets)

    @classmethod
    def flat(cls, columns: dict[str, Values]) -> Records:
        """A table with one row a subject."""
        rows = len(next(iter(columns.values()))) if columns else 0
        return cls(columns, np.arange(rows + 1, dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """The subjects of all parts, in order.

        Raises:
            ValueError: There are no parts.
        """
        if not parts:
            raise ValueError("Records.joined needs at least one part.")
        columns = {name: _joined([p.columns[name] for p in parts]) for name in parts[0].columns}
        starts = np.cumsum([0, *(p.rows for p in parts)])
        offsets = [p.offsets[:-1] + start for p, start in zip(parts, starts, strict=False)]
        return cls(columns, np.concatenate([*offsets, starts[-1:]]).astype(np.int64))


def _joined(parts: Sequence[Values]) -> Values:
    first = parts[0]
    if not isinstance(first, Coded):
        return np.concatenate([np.asarray(p) for p in parts])
    coded = [p for p in parts if isinstance(p, Coded)]
    if all(a.labels == b.labels for a, b in pairwise(coded)):
        return Coded(np.concatenate([p.codes for p in coded]), first.labels)
    labels = tuple(sorted({label for p in coded for label in p.labels}))
    return Coded(np.concatenate([p.recode(labels, -1) for p in coded]), labels)


def missing(values: Values) -> NDArray[np.bool_]:
    """Which values are missing, shape (rows,); a place is where either half is."""
    if isinstance(values, Coded):
        return np.asarray(values.codes < 0)
    array = np.asarray(values)
    gone = np.isnat(array) if array.dtype.kind == "M" else np.isnan(array)
    return gone if gone.ndim == 1 else np.asarray(gone.any(axis=1))


def known_first(known: Values, drawn: Values) -> Values:
    """Known values, and drawn ones where they are missing; of equal length and form."""
    gone = missing(known)
    if isinstance(known, Coded):
        both = _joined([known, drawn])
        assert isinstance(both, Coded)
        rows = len(known.codes)
        return Coded(np.where(gone, both.codes[rows:], both.codes[:rows]), both.labels)
    a, b = np.asarray(known), np.asarray(drawn)
    return np.where(gone if a.ndim == 1 else gone[:, None], b, a)


MARK = "mark"  # a column of `Encoded.context` that stands for a subject's content, see its users


@dataclass(frozen=True, slots=True)
class Encoded:
    """Whole subjects as plain arrays, what a training rank reads from its shards.

    `context` arrays have one row a subject, `events` arrays one row an event (in the order and
    with the `offsets` of the records they come from). All are two-dimensional.
    """

    context: dict[str, NDArray[Any]]  # name -> (subjects, width)
    events: dict[str, NDArray[Any]]  # name -> (rows, width)
    offsets: NDArray[np.int64]  # (subjects + 1,)

    @property
    def subjects(self) -> int:
        return len(self.offsets) - 1

    def take(self, subjects: NDArray[np.int64]) -> Encoded:
        """The named subjects (by position), in the order given."""
        picked = Records(dict(self.events), self.offsets).take(subjects)
        events = {name: np.asarray(picked.columns[name]) for name in self.events}
        return Encoded({k: v[subjects] for k, v in self.context.items()}, events, picked.offsets)
