"""One pass over all records that learns what every column needs: the codecs' states together.

`survey_state` and `merge_surveys` go into a `Fold`; `Survey.of` makes the answer easy to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records, Values
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import CODECS
from synth_spark.errors import EmptyTableError

State = dict[str, Any]
_EXACT_LENGTHS = 1_000  # rows per subject are counted exactly below this, then to 3 digits


def surveyed(schema: Schema) -> tuple[Column, ...]:
    """The columns that are summarised: all but the longitudes, which go with their latitudes."""
    partners = {c.partner for c in schema.columns if c.partner}
    return tuple(c for c in schema.columns if c.name not in partners)


def values_of(column: Column, records: Records) -> Values:
    """The values of one column; latitude and longitude together, shape (rows, 2)."""
    values = records.columns[column.name]
    if not column.partner:
        return values
    pair = (np.asarray(values), np.asarray(records.columns[column.partner]))
    return np.column_stack(pair).astype(np.float64)


def subject_rows(schema: Schema, column: Column, records: Records) -> NDArray[np.int64]:
    """The rows that speak for a column: all, or the first of each subject."""
    if schema.shape == "flat" or column.per == "event":
        return np.arange(records.rows, dtype=np.int64)
    return records.offsets[:-1][records.lengths > 0]


def survey_state(schema: Schema, records: Records) -> State:
    """The state of one part: counts, rows per subject, and per column the state of its kind."""
    owners, columns, spans = records.owners, {}, {}
    for column in surveyed(schema):
        rows = subject_rows(schema, column, records)
        values = values_of(column, records)
        values = values if len(rows) == records.rows else values[rows]
        columns[column.name] = CODECS.get(column.kind).summarise(values, owners[rows])
        if column.kind == "time":
            spans[column.name] = _span(np.asarray(values))
    lengths, counts = np.unique(_rounded(records.lengths), return_counts=True)
    return {
        "subjects": records.subjects,
        "rows": records.rows,
        "longest": int(records.lengths.max(initial=0)),
        "lengths": lengths,
        "counts": counts,
        "columns": columns,
        "kinds": {c.name: c.kind for c in surveyed(schema)},
        "spans": spans,
    }


def merge_surveys(left: State, right: State) -> State:
    """The state of two parts with different subjects."""
    lengths, where = np.unique(
        np.concatenate([left["lengths"], right["lengths"]]), return_inverse=True
    )
    counts = np.bincount(where, np.concatenate([left["counts"], right["counts"]]))
    return {
        "subjects": left["subjects"] + right["subjects"],
        "rows": left["rows"] + right["rows"],
        "longest": max(left["longest"], right["longest"]),
        "lengths": lengths,
        "counts": counts.astype(np.int64),
        "columns": {
            name: CODECS.get(left["kinds"][name]).merge(state, right["columns"][name])
            for name, state in left["columns"].items()
        },
        "kinds": left["kinds"],
        "spans": {name: _wider(s, right["spans"][name]) for name, s in left["spans"].items()},
    }


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass told about the records."""

    schema: Schema
    subjects: int
    rows: int
    longest: int  # rows of the longest subject
    lengths: NDArray[np.int64]  # (k,) distinct rows per subject (to 3 digits above 1,000)
    counts: NDArray[np.int64]  # (k,) subjects of each length
    columns: dict[str, Any]  # name -> state of the column's kind
    spans: dict[str, tuple[int, int, int, int]]  # time: first and last (us), rows, missing rows

    @classmethod
    def of(cls, state: State | None, schema: Schema) -> Self:
        """Read the answer of a `Fold` of surveys.

        Raises:
            EmptyTableError: There were no rows (SYN-201).
        """
        if state is None or not state["rows"]:
            raise EmptyTableError("There are no records to learn from.", rows=0)
        spans = {name: (s[0], s[1], s[2], s[3]) for name, s in state["spans"].items()}
        named = {
            k: state[k] for k in ("subjects", "rows", "longest", "lengths", "counts", "columns")
        }
        return cls(schema=schema, spans=spans, **named)

    @property
    def mean_length(self) -> float:
        """Mean rows per subject."""
        return self.rows / self.subjects

    def codec(self, name: str, **settings: Any) -> Any:
        """The finished codec of one column; `settings` are those of its kind."""
        return CODECS.get(self.schema.column(name).kind).finish(self.columns[name], **settings)


def _rounded(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    digits = np.floor(np.log10(np.maximum(lengths, 1)))
    unit = (10 ** np.maximum(digits - 2, 0)).astype(np.int64)
    return np.where(lengths < _EXACT_LENGTHS, lengths, lengths // unit * unit)


def _span(values: NDArray[Any]) -> list[int]:
    kept = values[~np.isnat(values)].astype("datetime64[us]").astype(np.int64)
    if not len(kept):
        return [0, 0, 0, len(values)]
    return [int(kept.min()), int(kept.max()), len(kept), len(values) - len(kept)]


def _wider(left: list[int], right: list[int]) -> list[int]:
    if not left[2] or not right[2]:
        kept = left if left[2] else right
        return [kept[0], kept[1], kept[2], left[3] + right[3]]
    ends = [min(left[0], right[0]), max(left[1], right[1])]
    return [*ends, left[2] + right[2], left[3] + right[3]]
