"""Encoded shards: what training ranks read, written once by Spark tasks into the run folder.

The format, for readers without Spark (`training/shards.py`). A folder holds

* `manifest.json`, written last, so a folder without it is not finished:

      {"version": 1,
       "context": {NAME: {"dtype": "int32", "width": 3}, ...},   # arrays of one row a subject
       "events":  {NAME: {"dtype": "float32", "width": 1}, ...}, # arrays of one row an event
       "subjects": 900, "rows": 41000,              # all, training and validation together
       "valid_subjects": 90, "valid_rows": 4000,
       "files": [{"path": "part-00000.parquet", "subjects": 900, "rows": 41000,
                  "valid_subjects": 90, "valid_rows": 4000}, ...],
       "digest": "..."}                             # of the orders and lengths, see below

* the files it names (others are leftovers of a lost task and are not to be read). Parquet, one row
  a subject, columns

      order   int64       hash of the subject's content and the seed; rows ascend by it, over all
                          files in the order of the manifest
      valid   bool        of the validation split
      length  int32       events of the subject (1 in a flat table)
      c.NAME  list<dtype> `width` values
      e.NAME  list<dtype> `length * width` values, event by event (row-major)

  The dtype in the manifest is the array's; a file may hold a wider integer (uint8 is stored as
  int16): cast after reading. Row groups hold at most 8,192 subjects.

How ranks share (`training/rows.py`): examples that fit in memory are held whole by every rank,
which takes its share of each batch, so that the steps do not depend on the number of ranks; larger
sets are spilled file by file and read through a bounded shuffle buffer. Content and order depend
on the records and the seed only, never on ids, partitions or machines. A second write of the same
shards gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.spark.arrow import cast_batch, encoded_batch, map_in_arrow, to_records

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EVENTS_PER_FILE = 250_000
ROW_GROUP_SUBJECTS = 8_192
_COUNTS = ("subjects", "rows", "valid_subjects", "valid_rows")
_PART_DDL = ", ".join(["file int", *(f"{c} bigint" for c in _COUNTS), "digest string"])
_STORED = {
    "float32": ("float", pa.float32()),
    "float64": ("double", pa.float64()),
    "int8": ("tinyint", pa.int8()),
    "int16": ("smallint", pa.int16()),
    "int32": ("int", pa.int32()),
    "int64": ("bigint", pa.int64()),
    "uint8": ("smallint", pa.int16()),
    "bool": ("boolean", pa.bool_()),
}


class ShardTypeError(SynthError):
    """An encoded array has a type that shards do not hold."""

    code = "SYN-210"


Layout = dict[str, dict[str, dict[str, Any]]]


def layout_of(encoded: Encoded) -> Layout:
    """Names, dtypes and widths of encoded arrays, as the manifest holds them.

    Raises:
        ShardTypeError: An array has not two dimensions or an unfit type (SYN-210).
    """
    out: Layout = {"context": {}, "events": {}}
    for part, arrays in (("context", encoded.context), ("events", encoded.events)):
        for name, array in arrays.items():
            if array.ndim != 2 or str(array.dtype) not in _STORED:
                raise ShardTypeError(
                    f"Encoded array {name!r} is {array.dtype} with {array.ndim} dimensions.",
                    hint=f"two dimensions and one of {', '.join(_STORED)}",
                    name=name,
                    dtype=str(array.dtype),
                )
            out[part][name] = {"dtype": str(array.dtype), "width": int(array.shape[1])}
    return out


def write_shards(
    histories: DataFrame,
    schema: Schema,
    encode: Callable[[Records], Encoded],
    layout: Layout,
    folder: Path,
    *,
    rows: int,
    valid: str,
) -> dict[str, Any]:
    """Encode whole subjects on the workers and write them to `folder`; returns the manifest.

    Args:
        histories: One row a subject, with `_order`, `_length` and the columns (`histories.py`).
        schema: Of the records.
        encode: Pickled to the workers.
        layout: From `layout_of` on a few subjects.
        folder: On storage that workers and driver share; replaced if it is there.
        rows: Events in all, which decides the number of files.
        valid: SQL condition over `_order` that names the validation split.
    """
    from pyspark.sql import functions as sf

    files = max(1, -(-rows // EVENTS_PER_FILE))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # the signed hash, shifted to start at 0, cut into `files` ranges of equal width
    place = f"int(floor((`order` / {2.0**64!r} + 0.5D) * {files}))"
    split = histories.withColumn("_valid", sf.expr(valid))
    work = partial(_encode, schema, encode, layout)
    encoded = map_in_arrow(split, work, _shard_ddl(layout))
    file = sf.expr(f"least({place}, {files - 1})")
    ordered = encoded.repartitionById(files, file).sortWithinPartitions("order")
    written = map_in_arrow(ordered, partial(_write, str(folder), files), _PART_DDL)
    parts = written.toArrow().to_pylist()
    return _manifest(folder, layout, sorted(parts, key=lambda p: p["file"]))


def _stored_fields(layout: Layout) -> list[tuple[str, str, pa.DataType]]:
    fields = []
    for prefix, part in (("c", "context"), ("e", "events")):
        for name, about in layout[part].items():
            fields.append((f"{prefix}.{name}", *_STORED[about["dtype"]]))
    return fields


def _shard_ddl(layout: Layout) -> str:
    lists = [f"`{name}` array<{spark}>" for name, spark, _ in _stored_fields(layout)]
    return ", ".join(["`order` bigint", "valid boolean", "length int", *lists])


def _shard_schema(layout: Layout) -> pa.Schema:
    lists = [pa.field(name, pa.list_(arrow)) for name, _, arrow in _stored_fields(layout)]
    head = [("order", pa.int64()), ("valid", pa.bool_()), ("length", pa.int32())]
    return pa.schema([*(pa.field(*h) for h in head), *lists])


def _encode(
    schema: Schema,
    encode: Callable[[Records], Encoded],
    layout: Layout,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    types = {name: arrow for name, _, arrow in _stored_fields(layout)}
    target = _shard_schema(layout)
    for batch in batches:
        if not batch.num_rows:
            continue
        encoded = encode(to_records(batch, schema))
        columns = {
            "order": batch.column("_order"),
            "valid": batch.column("_valid"),
            "length": pa.array(np.diff(encoded.offsets).astype(np.int32)),
            **encoded_batch(encoded, types),
        }
        yield cast_batch(
            pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), target
        )


def _write(folder: str, files: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Write this partition's file under a name of its own, then give it its final name."""
    from pyspark import TaskContext

    context = TaskContext.get()
    file = context.partitionId() if context else 0
    kept = [b for b in batches if b.num_rows]
    if not kept or file >= files:
        return
    table = pa.Table.from_batches(kept)
    final = Path(folder) / f"part-{file:05d}.parquet"
    attempt = final.with_suffix(f".{context.taskAttemptId() if context else 0}.tmp")
    pq.write_table(
        table, attempt, row_group_size=ROW_GROUP_SUBJECTS, compression="zstd", use_dictionary=False
    )
    attempt.replace(final)
    lengths = table.column("length").to_numpy().astype(np.int64)
    valid = table.column("valid").to_numpy()
    digest = hashlib.blake2b(
        table.column("order").to_numpy().tobytes() + lengths.tobytes(), digest_size=16
    )
    row = {
        "file": pa.array([file], pa.int32()),
        "subjects": pa.array([len(lengths)], pa.int64()),
        "rows": pa.array([int(lengths.sum())], pa.int64()),
        "valid_subjects": pa.array([int(valid.sum())], pa.int64()),
        "valid_rows": pa.array([int(lengths[valid].sum())], pa.int64()),
        "digest": pa.array([digest.hexdigest()]),
    }
    yield pa.RecordBatch.from_arrays(list(row.values()), names=list(row))


def _manifest(folder: Path, layout: Layout, parts: list[dict[str, Any]]) -> dict[str, Any]:
    files = [{"path": f"part-{p['file']:05d}.parquet", **{c: p[c] for c in _COUNTS}} for p in parts]
    digest = hashlib.blake2b(
        "".join(p["digest"] for p in parts).encode(), digest_size=16
    ).hexdigest()
    manifest = {
        "version": 1,
        **layout,
        **{c: sum(p[c] for p in parts) for c in _COUNTS},
        "files": files,
        "digest": digest,
    }
    (folder / "manifest.tmp").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    (folder / "manifest.tmp").replace(folder / "manifest.json")
    return manifest
