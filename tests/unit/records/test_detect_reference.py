"""Detection on the reference records: shape, key, time and the columns that are easy to get wrong."""

from __future__ import annotations

from pathlib import Path

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
        *("Id", ""),
        {"Cell Tower Lat": "place", "Comm Timestamp": "time", "Comm Date": "time"},
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
    counts = Counts(table.num_rows, {"user_id": 66, "user": 150} if "/g" in name else {})
    step = 1 if part == "head" else max(1, table.num_rows // 15_000)
    sample = table.slice(0, 15_000) if part == "head" else table.take(range(0, table.num_rows, step))
    if part == "head" and name in {"browsing/campus_proxy_150_users", "location/geolife_users"}:
        pytest.skip("the first rows are of one or two people: the key has to be named")
    schema = detect(sample, counts=counts if "/g" in name else None).schema
    assert (schema.key.name if schema.key else "", schema.time) == (key, time)
    assert schema.shape == ("events" if time else "flat")
    found = {c.name: c.kind for c in schema.columns}
    if part == "head" and name.startswith("subscriber/expresso_churn_58k"):
        kinds = {k: v for k, v in kinds.items() if k != "CHURN"}  # the first 15,000 all left
    assert {n: found[n] for n in kinds} == kinds
