"""Between Arrow and arrays: subjects as list columns become `Records` and come back as row batches.

Numbers and times cross without a copy; texts cross as dictionaries, so that Python never touches
a single value. `cast_batch` gives Spark exactly the types it was promised: it accepts nothing near
them, and its message does not name the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Encoded, Records, Values
from synth_spark.core.schema import Column, Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ARROW = {
    "number": pa.float64(),
    "place": pa.float64(),
    "time": pa.timestamp("us"),
    "category": pa.string(),
    "identifier": pa.string(),
    "text": pa.string(),
}
_SPARK = {
    "number": "double",
    "place": "double",
    "time": "timestamp_ntz",
    "category": "string",
    "identifier": "string",
    "text": "string",
}


def quoted(name: str) -> str:
    """A column name for SQL, whatever it holds."""
    return "`" + name.replace("`", "``") + "`"


def spark_type(column: Column) -> str:
    """The Spark type in which our own tables hold a column of this kind."""
    return _SPARK[column.kind]


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of `spark_type`."""
    return _ARROW[column.kind]


def ddl(columns: Sequence[Column], **more: str) -> str:
    """A Spark schema: `more` first (name=type), then the columns in our own types."""
    parts = [f"{quoted(name)} {kind}" for name, kind in more.items()]
    return ", ".join(parts + [f"{quoted(c.name)} {spark_type(c)}" for c in columns])


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch's columns in the order and exact types of `schema`; dictionaries spelled out.

    Raises:
        pa.ArrowInvalid: A value does not fit; the message names the column.
    """
    arrays = []
    for field in schema:
        array = batch.column(field.name)
        try:
            arrays.append(array if array.type == field.type else pc.cast(array, field.type))
        except pa.ArrowInvalid as error:
            raise pa.ArrowInvalid(f"column {field.name!r}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


Work = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_in_arrow(frame: DataFrame, work: Work, ddl: str) -> DataFrame:
    """`frame.mapInArrow` for any column names: Spark's own does not find names that hold a dot."""
    plain = frame.toDF(*[f"c{i}" for i in range(len(frame.columns))])
    return plain.mapInArrow(partial(_renamed, tuple(frame.columns), work), ddl)


def _renamed(
    names: tuple[str, ...], work: Work, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    whole = (pa.RecordBatch.from_arrays(b.columns, names=list(names)) for b in batches)
    return work(whole)


# ---- Arrow to arrays ----------------------------------------------------------------------------


def to_values(array: pa.Array | pa.ChunkedArray) -> Values:
    """One Arrow column as one of the three physical forms of `core/batch.py`."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if (
        pa.types.is_dictionary(array.type)
        or pa.types.is_string(array.type)
        or pa.types.is_large_string(array.type)
    ):
        return to_coded(array)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        micros = pc.cast(array, pa.timestamp("us"))
        return np.asarray(micros.to_numpy(zero_copy_only=False), dtype="datetime64[us]")
    numbers = pc.cast(array, pa.float64()) if array.type != pa.float64() else array
    return numbers.to_numpy(zero_copy_only=numbers.null_count == 0)


def to_coded(array: pa.Array) -> Coded:
    """Texts as codes; labels in sorted order, so that equal values give equal codes."""
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    labels = np.array(array.dictionary.to_pylist(), dtype=object)
    order = np.argsort(labels) if len(labels) else np.zeros(0, dtype=np.int64)
    place = np.empty(len(labels) + 1, dtype=np.int32)
    place[order] = np.arange(len(labels), dtype=np.int32)
    place[-1] = -1
    codes = pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False)
    return Coded(place[codes], tuple(labels[order].tolist()))


def to_records(batch: pa.RecordBatch | pa.Table, schema: Schema) -> Records:
    """Rows of a histories table (one a subject) as `Records`.

    Event columns arrive as lists of equal length; columns of a flat table as plain values.
    """
    if schema.shape == "flat":
        columns = {c.name: to_values(batch.column(c.name)) for c in schema.columns}
        return Records(columns, np.arange(batch.num_rows + 1, dtype=np.int64))
    offsets = np.zeros(batch.num_rows + 1, dtype=np.int64)
    np.cumsum(batch.column("_length").to_numpy(), out=offsets[1:])
    columns = {}
    for column in schema.columns:
        lists = batch.column(column.name)
        if isinstance(lists, pa.ChunkedArray):
            lists = lists.combine_chunks()
        columns[column.name] = to_values(lists.flatten())
    return Records(columns, offsets)


# ---- arrays to Arrow ----------------------------------------------------------------------------


def from_values(values: Values, column: Column) -> pa.Array:
    """One column of `Records` in the type that our own tables hold it in."""
    if isinstance(values, Coded):
        codes = pa.array(values.codes, mask=values.codes < 0)
        labels = pa.array(values.labels, pa.string())
        return pa.DictionaryArray.from_arrays(codes, labels).cast(pa.string())
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return pa.array(array.astype("datetime64[us]"), pa.timestamp("us"))
    if array.dtype.kind in "OU":
        return pa.array(array, pa.string())
    array = array.astype(np.float64, copy=False)
    return pa.array(array, arrow_type(column), mask=np.isnan(array))


def from_records(records: Records, columns: Sequence[Column], **more: Any) -> pa.RecordBatch:
    """Rows of records as one batch: `more` first (name=array), then the columns, in this order."""
    arrays = {
        name: values if isinstance(values, pa.Array) else pa.array(values)
        for name, values in more.items()
    }
    arrays |= {c.name: from_values(records.columns[c.name], c) for c in columns}
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def lists_of(
    arrays: Mapping[str, NDArray[Any]], offsets: NDArray[np.int64], types: Mapping[str, pa.DataType]
) -> dict[str, pa.Array]:
    """Two-dimensional arrays as one flat list a subject; `offsets` count rows, not values."""
    out = {}
    for name, array in arrays.items():
        width = array.shape[1]
        ends = pa.array((offsets * width).astype(np.int32))
        values = pa.array(np.ascontiguousarray(array).reshape(-1)).cast(types[name])
        out[name] = pa.ListArray.from_arrays(ends, values)
    return out


def encoded_batch(encoded: Encoded, types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """`Encoded` as list columns: `c.NAME` of the context, `e.NAME` of the events."""
    ones = np.arange(encoded.subjects + 1, dtype=np.int64)
    context = {f"c.{k}": v for k, v in encoded.context.items()}
    events = {f"e.{k}": v for k, v in encoded.events.items()}
    return lists_of(context, ones, types) | lists_of(events, encoded.offsets, types)
