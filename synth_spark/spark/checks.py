"""The pass over the raw rows on the workers: rules, hashes of ids, and what a bad row held.

Here, and only here, raw ids are seen. What leaves a worker is typed columns with hashed ids, or
a bad row as JSON with its reason, its ids hashed too.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth_spark.core.schema import Column, Schema
from synth_spark.records.base import Rule, first_broken
from synth_spark.spark.arrow import arrow_type, cast_batch, quoted, spark_type, to_values

HASH_CHARACTERS = 24  # 96 bits: 10^9 subjects collide with a chance below 10^-11


def all_columns(schema: Schema) -> list[Column]:
    """The columns, the key first."""
    return [*([schema.key] if schema.key else []), *schema.columns]


def _stage_fields(schema: Schema) -> dict[str, tuple[str, pa.DataType]]:
    return {
        "_row": ("bigint", pa.int64()),
        "_hash": ("bigint", pa.int64()),
        "_same": ("bigint", pa.int64()),
        "_draw": ("bigint", pa.int64()),
        "_reason": ("string", pa.string()),
        "_column": ("string", pa.string()),
        "_raw": ("string", pa.string()),
        **{c.name: (spark_type(c), arrow_type(c)) for c in all_columns(schema)},
    }


def stage_ddl(schema: Schema) -> str:
    """The Spark schema of what `check` gives back."""
    return ", ".join(
        f"{quoted(name)} {spark}" for name, (spark, _) in _stage_fields(schema).items()
    )


def check(
    schema: Schema,
    rules: tuple[Rule, ...],
    key: bytes,
    named: Mapping[str, str],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Find each row's first fault, hash the ids, and keep a bad row's values as JSON."""
    target = pa.schema([pa.field(n, arrow) for n, (_, arrow) in _stage_fields(schema).items()])
    columns = all_columns(schema)
    hashed = [c.name for c in columns if c.kind == "identifier" or c is schema.key]
    for batch in batches:
        reasons, places = _faults(batch, columns, rules)
        data = {n: batch.column(n) for n in batch.schema.names}
        for name in hashed:
            data[name] = hash_ids(data[name], key)
        bad = np.flatnonzero(reasons != "")
        texts = _as_json(data, columns, named, bad)
        data["_reason"] = pa.array(np.where(reasons == "", None, reasons), pa.string())
        data["_column"] = pa.array(np.where(reasons == "", None, places), pa.string())
        data["_raw"] = texts
        out = pa.RecordBatch.from_arrays([data[f.name] for f in target], names=target.names)
        yield cast_batch(out, target)


def _faults(
    batch: pa.RecordBatch, columns: Sequence[Column], rules: tuple[Rule, ...]
) -> tuple[Any, Any]:
    """The reason (empty for a good row) and the column of each row's first fault."""
    reasons = np.full(batch.num_rows, "", dtype=object)
    places = np.full(batch.num_rows, "", dtype=object)
    names = set(batch.schema.names)
    if "_line" in names:
        bad = pc.is_valid(batch.column("_line")).to_numpy(zero_copy_only=False)
        reasons[bad] = "the line does not fit the table's columns"
    words = {"number": "a number", "place": "a number of degrees", "time": "a time in its format"}
    for i, column in enumerate(columns):
        if f"_raw{i}" in names:
            bad = pc.is_valid(batch.column(f"_raw{i}")).to_numpy(zero_copy_only=False) & (
                reasons == ""
            )
            reasons[bad], places[bad] = f"{column.name} is not {words[column.kind]}", column.name
    used = {c for rule in rules for c in rule.columns} & {c.name for c in columns}
    rows = {c: _plain(batch.column(c)) for c in sorted(used)}
    if rows:
        broken = np.where(reasons == "", first_broken(tuple(rules), rows), -1)
        for place in np.unique(broken[broken >= 0]):
            hit = broken == place
            reasons[hit], places[hit] = rules[place].sentence, (*rules[place].columns, "")[0]
    return reasons, places


def _plain(array: pa.Array) -> Any:
    """A column as the rules take it: texts as objects with None."""
    return (
        array.to_numpy(zero_copy_only=False) if pa.types.is_string(array.type) else to_values(array)
    )


def hash_ids(values: pa.Array, key: bytes) -> pa.Array:
    """Keyed hashes of ids: the first 24 hex characters of HMAC-SHA256; missing stays missing."""
    coded = pc.dictionary_encode(values)
    hashes = [
        hmac.digest(key, v.encode(), "sha256").hex()[:HASH_CHARACTERS]
        for v in coded.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(coded.indices, pa.array(hashes, pa.string())).cast(
        pa.string()
    )


def _as_json(
    data: Mapping[str, pa.Array], columns: Sequence[Column], named: Mapping[str, str], bad: Any
) -> pa.Array:
    """The bad rows' values as JSON by source column: the raw text where it did not fit."""
    texts: list[str | None] = [None] * len(data["_row"])
    at = pa.array(bad)
    picked = {c.name: data[c.name].take(at).to_pylist() for c in columns}
    raw = {
        c.name: data[f"_raw{i}"].take(at).to_pylist()
        for i, c in enumerate(columns)
        if f"_raw{i}" in data
    }
    for j, row in enumerate(bad.tolist()):
        whole = {}
        for name, values in picked.items():
            text = raw[name][j] if name in raw else None
            whole[named[name]] = text if text is not None else values[j]
        texts[row] = json.dumps(whole, default=str, ensure_ascii=False)
    return pa.array(texts, pa.string())
