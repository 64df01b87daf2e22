"""Tables in memory for a saved model: rows of a DataFrame as its records, and back.

Columns are found by the model's schema and turned into our values as ingest does (`cells.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.cells import array_of, values_of
from synth_spark.core.batch import Records, Values
from synth_spark.core.given import SHOWN, empty_like
from synth_spark.core.schema import Column
from synth_spark.errors import EmptyTableError, NotForShapeError, SynthError
from synth_spark.pipelines.model_folder import Saved

if TYPE_CHECKING:
    import pandas as pd


class WrongColumnsError(SynthError):
    """A table lacks columns of a model's, or has others."""

    code = "SYN-791"


class WrongCellsError(SynthError):
    """Cells of a table are not of their column's kind."""

    code = "SYN-792"


@dataclass(frozen=True, slots=True)
class Rows:
    """A table that fits a model: each of its columns, and what they hold in our form."""

    table: pa.Table  # as it came
    names: dict[str, str]  # column of the model's schema to its name in the table
    records: Records  # the columns that are there

    def whole(self, saved: Saved) -> Records:
        """The records with all that the model draws; what is not there is missing."""
        own = {c.name: empty_like(c, self.records.rows) for c in drawn_columns(saved)}
        return Records.flat({**own, **self.records.columns})


def records_of(
    frame: pd.DataFrame | pa.Table,
    saved: Saved,
    *,
    names: Mapping[str, str] | None = None,
    zone: str = "UTC",
    partial: bool = False,
) -> Records:
    """The rows of a table as records of a saved model of a flat table.

    Args:
        frame: A pandas DataFrame (its index does not count) or an Arrow table.
        saved: What `load_saved` gives.
        names: Column of the model to its name in the table, where they differ.
        zone: Of the records' local clock, for times that have a zone.
        partial: Whether columns may be lacking; they are then missing in every row.

    Returns:
        Records with every column that the model draws, and the others that the table has.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        NotForShapeError: The model is of a table of events (SYN-701).
        WrongColumnsError: A column is lacking, or is not one of the model's (SYN-791).
        WrongCellsError: Cells do not fit their column's kind (SYN-792).
    """
    return rows_of(frame, saved, names=names, zone=zone, partial=partial).whole(saved)


def frame_of(
    records: Records,
    saved: Saved,
    *,
    names: Mapping[str, str] | None = None,
    zone: str = "UTC",
) -> pd.DataFrame:
    """Records of a saved model as a DataFrame, in the source's order and types.

    Args:
        records: Of a flat table; columns that they lack are left out.
        saved: What `load_saved` gives.
        names: Column of the model to its name in the table, where they differ.
        zone: Of the records' local clock, for sources that hold instants.
    """
    made: pd.DataFrame = table_of(records, saved, names=names, zone=zone).to_pandas()
    return made


# ---- parts --------------------------------------------------------------------------------------


def rows_of(
    frame: Any,
    saved: Saved,
    *,
    names: Mapping[str, str] | None = None,
    zone: str = "UTC",
    partial: bool = False,
    drop: Sequence[str] = (),
) -> Rows:
    """As `records_of`, with the table itself; `drop` names columns that are not looked at."""
    if saved.schema.shape != "flat":
        raise NotForShapeError(
            "Known rows go with models of flat tables, and this one is of events.",
            hint="sample.where or sample.given, which draw subjects under a condition",
            shape=saved.schema.shape,
        )
    table = _as_table(frame)
    if not table.num_rows:
        raise EmptyTableError("The table has no rows.")
    matched = _matched(table.column_names, saved, names or {}, drop, partial)
    columns = {c.name: c for c in _columns(saved)}
    values: dict[str, Values] = {}
    faults: list[tuple[int, str, Column]] = []
    for name, source in matched.items():
        array = table.column(source)
        values[name], wrong = values_of(array, columns[name], zone)
        faults += [
            (row, f"{source}={array[row].as_py()}", columns[name])
            for row in np.flatnonzero(wrong)[:SHOWN].tolist()
        ]
    if faults:
        raise _wrong_cells(faults)
    return Rows(table, matched, Records(values, np.arange(table.num_rows + 1, dtype=np.int64)))


def table_of(
    records: Records,
    saved: Saved,
    *,
    names: Mapping[str, str] | None = None,
    zone: str = "UTC",
    ids: Mapping[str, Any] | None = None,
) -> pa.Table:
    """As `frame_of`, an Arrow table; `ids` are identifiers beside the records, as drawers give."""
    named, ids = names or {}, ids or {}
    arrays = {}
    for column in _columns(saved):
        values = ids.get("#key" if column is saved.schema.key else column.name)
        values = records.columns.get(column.name) if values is None else values
        if values is not None:
            arrays[named.get(column.name, column.name)] = array_of(values, column, zone=zone)
    return pa.table(arrays)


def drawn_columns(saved: Saved) -> tuple[Column, ...]:
    """The columns that a model draws: no ids, no log lines, none that is looked up."""
    own = saved.texts.rest(saved.determined.rest(saved.schema)).columns
    return tuple(c for c in own if c.kind not in ("identifier", "text"))


def _columns(saved: Saved) -> tuple[Column, ...]:
    key = (saved.schema.key,) if saved.schema.key else ()
    return (*key, *saved.schema.columns)


def _as_table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    arrays = []
    for place in range(frame.shape[1]):
        series = frame.iloc[:, place]
        try:
            arrays.append(pa.array(series, from_pandas=True))
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # of several types: as texts
            texts = [
                None if gone else str(v) for v, gone in zip(series, series.isna(), strict=True)
            ]
            arrays.append(pa.array(texts, pa.string()))
        if isinstance(arrays[-1], pa.ChunkedArray):
            arrays[-1] = arrays[-1].combine_chunks()
    return pa.Table.from_arrays(arrays, names=[str(n) for n in frame.columns])


def _matched(
    there: Sequence[str], saved: Saved, names: Mapping[str, str], drop: Sequence[str], partial: bool
) -> dict[str, str]:
    """Column of the model to its name in the table."""
    columns = [c.name for c in _columns(saved)]
    by_name = {**{n: n for n in columns}, **{names.get(n, n): n for n in columns}}
    unknown = [n for n in drop if n not in there]
    looked_at = [n for n in there if n not in drop]
    extra = [n for n in looked_at if n not in by_name]
    if unknown or extra:
        near = get_close_matches(extra[0], list(by_name), n=1) if extra else []
        raise WrongColumnsError(
            f"The table has no column {unknown[0]} to leave out."
            if unknown
            else f"The table has a column {', '.join(extra)}, which the model does not know.",
            hint=f"one of {', '.join(there)}"
            if unknown
            else (f"{near[0]!r}? " if near else "") + f"leave it out (--drop {extra[0]}), or name "
            f"it as the model does: {', '.join(columns)}",
            extra=extra,
        )
    twice = sorted({n for n in looked_at if looked_at.count(n) > 1})
    twice += [n for n in looked_at if by_name[n] != n and by_name[n] in looked_at]
    if twice:
        raise WrongColumnsError(
            f"The table has {', '.join(twice)} twice.", hint="take one out", columns=twice
        )
    matched = {by_name[n]: n for n in looked_at}
    places = {c.name: c.partner for c in _columns(saved) if c.partner}
    needed = [] if partial else [c.name for c in drawn_columns(saved)]
    needed += [p for half in places.items() for p in half if set(half) & set(matched)]
    lacks = [names.get(n, n) for n in dict.fromkeys(needed) if n not in matched]
    if lacks:
        raise WrongColumnsError(
            f"The table lacks {', '.join(lacks)}, which the model draws.",
            hint="add the column, with empty cells where a value is missing",
            missing=lacks,
        )
    return matched


def _wrong_cells(faults: list[tuple[int, str, Column]]) -> WrongCellsError:
    faults.sort(key=lambda f: f[0])
    kinds = {c.name: c for _, _, c in faults}
    wanted = "; ".join(
        f"{n} is a {c.kind} of type {c.source_type}"
        + (f", written {c.time_format}" if c.time_format else "")
        + (", with a decimal comma" if c.decimal_comma else "")
        for n, c in kinds.items()
    )
    said = "; ".join(f"row {row}: {cell}" for row, cell, _ in faults[:SHOWN])
    return WrongCellsError(
        f"Cells do not fit their columns (rows from 0): {said}.",
        hint=f"write them as the records have them ({wanted}); an empty cell is missing",
        rows=[row for row, _, _ in faults[:SHOWN]],
        columns=list(kinds),
    )
