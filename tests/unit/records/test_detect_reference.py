"""Detection on the reference records: shape, key, time and columns that are easy to get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from synth_spark.records.detect import Counts, detect

DATA = Path(__file__).parents[4] / "shared" / "data"
CASES = {
    "browsing/campus_proxy_150_users": ("user", "timestamp", {"site": "category"}),
    "cdr/friends_family_attributes": ("user_id", "", {"gender": "category"}),
    "cdr/friends_family_clean_records": (
        *("user_id", "datetime"),
        {"correspondent_id": "identifier", "call_duration": "number", "direction": "category"},
    ),
    "cdr/friends_family_records": ("user_id", "datetime", {"antenna_id": "category"}),
    "cdr/ockenden_one_subscriber": (
        *("", ""),  # its Id runs with time
        {"Id": "number", "Cell Tower Lat": "place", "Comm Timestamp": "time", "Comm Date": "time"},
    ),
    "location/geolife_users": ("user_id", "datetime_gmt", {"latitude": "place"}),
    "location/opencellid_ecuador_cells": (
        *("", ""),
        {"net": "category", "lat": "place", "created": "time", "range": "number"},
    ),
    "location/studentlife_gps": ("user_id", "time", {"accuracy": "number", "latitude": "place"}),
    "subscriber/expresso_churn_58k": ("", "", {"CHURN": "category", "REGULARITY": "number"}),
    "subscriber/expresso_churn_2k_raw": ("user_id", "", {"TOP_PACK": "category"}),
    "subscriber/ibm_telco_churn_FICTIONAL": (
        *("customerID", ""),
        {"TotalCharges": "number", "SeniorCitizen": "category", "tenure": "number"},
    ),
    "network/ucc_5g_traces": ("trace_file", "Timestamp", {"CellID": "category", "RSRP": "number"}),
    "network/loghub_16_systems_2k": ("", "", {"LineId": "number", "EventId": "category"}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("part", ["head", "spread"])
def test_reference_records_are_read_as_what_they_are(name: str, part: str) -> None:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"the reference records are not here: {name}")
    key, time, kinds = CASES[name]
    table = pq.read_table(path)
    plain = [
        f.name for f in table.schema if pa.types.is_large_string(f.type) or f.type == pa.int64()
    ]
    whole = {n: pc.count_distinct(table.column(n)).as_py() for n in plain}
    rows = np.linspace(0, table.num_rows - 1, 15_000).astype(int)
    sample = table.slice(0, 15_000) if part == "head" else table.take(np.unique(rows))
    schema = detect(sample, counts=Counts(table.num_rows, whole)).schema
    assert (schema.key.name if schema.key else "", schema.time) == (key, time)
    assert schema.shape == ("events" if time else "flat")
    found = {c.name: c.kind for c in schema.columns}
    if part == "head":  # sorted files: the first 15,000 subscribers of one have all left
        kinds = {k: v for k, v in kinds.items() if k not in {"CHURN", "EventId", "net"}}
    assert {n: found[n] for n in kinds} == kinds
