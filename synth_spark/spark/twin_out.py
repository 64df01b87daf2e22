"""The twin as its readers want it: the source's columns, order and types, in one file or a table.

A name that ends in `.parquet` or `.csv` becomes one file, any other a Delta folder. A file is
written beside its place and renamed there, so it is whole or not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from synth_spark.core.paths import address, local_path
from synth_spark.core.schema import Column, Schema
from synth_spark.errors import SynthError
from synth_spark.spark import tables, times
from synth_spark.spark.arrow import quoted
from synth_spark.spark.failures import clear_errors
from synth_spark.spark.source import Source
from synth_spark.spark.tables import TableTakenError

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

FILE_ENDINGS = (".parquet", ".csv", ".tsv")
_ROW_GROUP = 131_072
_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


class FarFileError(SynthError):
    """One file is wanted at an address that only Spark reaches."""

    code = "SYN-218"


def in_source_form(
    twin: DataFrame,
    schema: Schema,
    types: Mapping[str, str],
    names: Mapping[str, str],
    zone: str = "UTC",
) -> DataFrame:
    """The twin's columns under the source's names, in its order and types.

    Args:
        twin: A sampled table (`fanout.py`).
        schema: Of the twin.
        types: Source column to Spark type, in the source's order.
        names: Canonical column to the source's; the same name if left out.
        zone: Of the twin's clock, for sources that hold instants.
    """
    columns = [*([schema.key] if schema.key else []), *schema.columns]
    by_source = {names.get(c.name, c.name): c for c in columns}
    picked = [
        _as_source(by_source[n], t, zone).alias(n) for n, t in types.items() if n in by_source
    ]
    return twin.select(*picked)


def _as_source(column: Column, source_type: str, zone: str) -> SparkColumn:
    from pyspark.sql import functions as sf

    value = sf.col(quoted(column.name))
    if column.kind == "time":
        return times.from_clock(value, source_type, column.time_format, zone)
    if column.kind in ("number", "place"):
        if source_type == "string":
            whole = (value == sf.floor(value)) & (sf.abs(value) < sf.lit(1e15))
            digits = value.try_cast("decimal(30,10)").cast("string")  # 12345678.85, not 1.2E7
            text = (
                sf.when(whole, value.cast("bigint").cast("string"))
                .when(sf.abs(value) >= sf.lit(1e7), sf.regexp_replace(digits, r"\.?0+$", ""))
                .otherwise(value.cast("string"))
            )
            if column.decimals is not None:
                text = value.try_cast(f"decimal(30,{column.decimals})").cast("string")
            comma = sf.replace(text, sf.lit("."), sf.lit(","))
            return comma if column.decimal_comma else text
        if source_type == "boolean":
            return value.cast("int").cast("boolean")
        if source_type in _BITS:
            limit = 2.0 ** (_BITS[source_type] - 1)
            top = limit - 1 if limit < 2**53 else float(2**63 - 1024)  # the last double below
            bounded = sf.least(sf.greatest(sf.round(value), sf.lit(-limit)), sf.lit(top))
            return sf.when(value.isNotNull(), bounded).try_cast(source_type)
    return value.try_cast(source_type) if source_type != "string" else value


def ordered(twin: DataFrame) -> DataFrame:
    """The rows subject by subject and event by event, in one partition."""
    return twin.coalesce(1).sortWithinPartitions("_subject", "_event")


def check_target(place: str | Path, *, replace: bool) -> None:
    """Refuse early what would fail late: a place that is taken, or cannot be written.

    Raises:
        FarFileError: One file is wanted where only Spark writes (SYN-218).
        TableTakenError: Something is there and `replace` is not said (SYN-215).
        NoWriteError: The folder around it cannot be written to (SYN-211).
    """
    out = local_path(place)
    if out is None:
        if str(place).lower().endswith(FILE_ENDINGS):
            raise FarFileError(
                f"{place} is one file, and those are written on this machine only.",
                hint="a name without an ending, for a Delta folder, or a path of this machine",
                path=str(place),
            )
        return
    if out.exists() and not replace:
        raise TableTakenError(
            f"{out} is there already.",
            hint="another name, or say that it may be replaced",
            path=str(out),
        )
    one_file = out.suffix.lower() in FILE_ENDINGS
    if out.exists() and (out.is_dir() if one_file else not tables.exists(out)):
        kind = "a folder" if out.is_dir() else "a file"
        raise TableTakenError(
            f"{out} is {kind} that no twin is written over.", hint="another name", path=str(out)
        )
    tables.check_writable(out.parent)


def deliver(
    twin: DataFrame,
    schema: Schema,
    source: Source,
    names: Mapping[str, str],
    place: str | Path,
    *,
    zone: str = "UTC",
    replace: bool = False,
) -> None:
    """Write the twin where it is wanted; whole or not at all.

    Args:
        twin: A sampled table, with `_subject` and `_event`.
        schema: Of the twin.
        source: Whose columns, order and types the twin gets; a Parquet file its very Arrow types.
        names: Canonical column to the source's; the same name if left out.
        place: File (`.parquet`, `.csv`) or Delta folder, which may be an address (`s3a://...`).
        zone: Of the twin's clock.
        replace: Whether `place` may be there and is then replaced.

    Raises:
        TableTakenError: Something is there (SYN-215).
        NoWriteError, DiskFullError: Of the place (SYN-211, SYN-212).
    """
    check_target(place, replace=replace)
    out = local_path(place)
    with clear_errors(place):
        if out is None or out.suffix.lower() not in FILE_ENDINGS:
            tables.write(in_source_form(twin, schema, source.types, names, zone), place)
            return
        frame = in_source_form(ordered(twin), schema, source.types, names, zone)
        _one_file(frame, out.absolute(), source)  # pyarrow takes a:b for an address


def _one_file(frame: DataFrame, out: Path, source: Source) -> None:
    """Spark writes one Parquet part beside the place; it is copied batch by batch into the file."""
    beside = out.with_name(f".{out.name}.parts")
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        frame.write.mode("overwrite").parquet(address(beside))
        parts = sorted(beside.glob("part-*.parquet"))
        parquet = out.suffix.lower() == ".parquet"
        schema = _target(pq.read_schema(parts[0]), source.arrow if parquet else None)
        if parquet:
            writer = pq.ParquetWriter(fresh, schema, compression="zstd")
        else:
            options = pa_csv.WriteOptions(
                delimiter="\t" if out.suffix == ".tsv" else source.delimiter, quoting_style="needed"
            )
            schema = pa.schema(f.with_name(source.header.get(f.name, f.name)) for f in schema)
            writer = pa_csv.CSVWriter(fresh, schema, write_options=options)
        with writer:
            for part in parts:
                for batch in pq.ParquetFile(part).iter_batches(_ROW_GROUP):
                    writer.write_batch(_cast(batch, schema))
        fresh.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        fresh.unlink(missing_ok=True)


def _target(written: pa.Schema, source: pa.Schema | None) -> pa.Schema:
    """The source's type of each column where it has one, and pandas' notes on types and index."""
    fields = []
    for field in written:
        found = (
            source.field(field.name).type
            if source is not None and source.get_field_index(field.name) >= 0
            else field.type
        )
        if not source and pa.types.is_timestamp(found) and found.tz:
            found = pa.timestamp(found.unit)  # CSV: no zone behind every time
        fields.append(pa.field(field.name, found))
    whole = source is not None and source.names == written.names
    return pa.schema(fields, _pandas_notes(source) if source is not None and whole else None)


def _pandas_notes(source: pa.Schema) -> dict[bytes, bytes] | None:
    """What pandas keeps of dtypes and its index; notes of the records' owner are left behind."""
    try:
        notes = json.loads((source.metadata or {})[b"pandas"])
    except (KeyError, ValueError):
        return None
    kept = {k: v for k, v in notes.items() if k != "attributes"}
    return {b"pandas": json.dumps(kept).encode()}


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch's columns, by place, in the target's names and types."""
    arrays = [_as(a, f.type) for a, f in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """One column in another type; an integer beyond a narrow type takes the type's limit."""
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if pa.types.is_dictionary(kind):
        return pc.cast(pc.dictionary_encode(pc.cast(array, kind.value_type)), kind)
    if pa.types.is_integer(kind) and pa.types.is_integer(array.type) and array.type != kind:
        limits = np.iinfo(kind.to_pandas_dtype())
        low = pa.scalar(max(limits.min, np.iinfo(array.type.to_pandas_dtype()).min), array.type)
        high = pa.scalar(min(limits.max, np.iinfo(array.type.to_pandas_dtype()).max), array.type)
        bounded = pc.max_element_wise(array, low, skip_nulls=False)
        array = pc.min_element_wise(bounded, high, skip_nulls=False)
    return array if array.type == kind else pc.cast(array, kind, safe=False)
