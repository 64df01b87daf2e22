"""A small table of events and a flat one, written by hand, for the tests of the Spark room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synth_spark.core.batch import Records
from synth_spark.core.schema import Column, Schema

KEY = b"a key for tests only, 32 bytes.."
EVENTS = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="kind", kind="category"),
        Column(name="spent.eur", kind="number", source_type="double"),
        Column(name="other", kind="identifier", counterpart=True),
    ),
)
FLAT = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="plan", kind="category"),
        Column(name="age", kind="number", source_type="bigint"),
        Column(name="loyal", kind="category", source_type="boolean"),
    ),
)


def events(subjects: int = 60, rows: int = 3_000, seed: int = 0) -> pa.Table:
    """Calls of phones in January 2024, in no order; every phone has one at least."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(subjects), rng.integers(0, subjects, rows - subjects)])
    start = np.datetime64("2024-01-01T00:00:00", "us")
    at = start + rng.integers(0, 30 * 86_400, rows).astype("timedelta64[s]")
    return pa.table(
        {
            "phone": [f"phone-{i:04d}" for i in owner],
            "at": pa.array(at),
            "kind": pa.array(
                np.array(["call", "text", None], dtype=object)[rng.integers(0, 3, rows)]
            ),
            "spent.eur": rng.integers(0, 50, rows) / 2,
            "other": [f"other-{i:03d}" for i in rng.integers(0, 90, rows)],
        }
    )


def flat(rows: int = 400, seed: int = 0) -> pa.Table:
    """Subscribers; many rows are equal."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "plan": np.array(["pre", "post"], dtype=object)[rng.integers(0, 2, rows)],
            "age": rng.integers(20, 30, rows),
            "loyal": rng.random(rows) < 0.5,
        }
    )


def put(table: pa.Table, path: Path) -> str:
    """Write a table as Parquet and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)


def spent(records: Records) -> dict[str, Any]:
    """A state: subjects, rows, the sum of `spent.eur` by kind, and the longest history."""
    kinds = records.columns["kind"].texts()
    sums = {
        str(k): float(np.sum(np.asarray(records.columns["spent.eur"])[kinds == k]))
        for k in ("call", "text")
    }
    return {
        "subjects": records.subjects,
        "rows": records.rows,
        "longest": int(records.lengths.max()),
        **sums,
    }


def add_spent(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The state of two parts."""
    added = {k: left[k] + right[k] for k in left}
    return {**added, "longest": max(left["longest"], right["longest"])}
