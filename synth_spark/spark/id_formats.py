"""The formats of a source's identifiers, so that made ones look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa

from synth_spark.core.schema import Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.spark.arrow import map_in_arrow, quoted, to_values
from synth_spark.spark.source import Source

FORMAT_ROWS = 100_000  # rows whose identifiers show the format
_WHOLE = ("tinyint", "smallint", "int", "bigint", "float", "double")


def identifier_states(
    source: Source,
    schema: Schema,
    names: Mapping[str, str],
    summarise: Callable[[Any, Any], Any],
    merge: Callable[[Any, Any], Any],
) -> dict[str, Any]:
    """The codec state of every identifier column ("#key" for the key), from the first rows.

    Only what the codec keeps of a format leaves the workers, never an id.
    """
    from pyspark.sql import functions as sf

    columns = {c.name: c for c in schema.of_kind("identifier")}
    if schema.key:
        columns["#key"] = schema.key
    if not columns:
        return {}
    picked = []
    for role, column in columns.items():
        name = names.get(column.name, column.name)
        number = source.types[name] in _WHOLE  # the codec reads numbers as whole ones
        picked.append(sf.col(quoted(name)).cast("double" if number else "string").alias(role))
    frame = source.frame.select(*picked).limit(FORMAT_ROWS)
    rows = (
        map_in_arrow(frame, partial(_format_states, summarise), "state binary")
        .toArrow()
        .column("state")
        .to_pylist()
    )
    states = [loads(row) for row in rows]
    return {role: reduce(merge, [s[role] for s in states]) for role in columns}


def _format_states(
    summarise: Callable[[Any, Any], Any], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        owners = np.arange(batch.num_rows, dtype=np.int64)
        state = {n: summarise(to_values(batch.column(n)), owners) for n in batch.schema.names}
        yield pa.RecordBatch.from_arrays([pa.array([dumps(state)], pa.binary())], names=["state"])
