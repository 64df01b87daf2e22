"""Locations: one row for each fix of a phone, or for each stay at a cell.

A source gives either coordinates or a cell, or both. Coordinates are WGS 84 degrees
(3GPP TS 23.032, section 2).
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily, Rule, missing

FAMILY = RecordFamily(
    name="location",
    about="Position fixes or stays at cells.",
    shape="events",
    privacy_unit="subscriber_id",
    key="subscriber_id",
    time="seen_at",
    fields=(
        Field(
            name="subscriber_id",
            kind="identifier",
            spark_type="string",
            per="subject",
            required=True,
            standard="servedMSISDN or servedIMSI",
        ),
        Field(
            name="seen_at",
            kind="time",
            spark_type="timestamp_ntz",
            unit="local clock",
            required=True,
            standard="changeTime of ChangeLocation",
            about="Time of the fix, or when the stay began.",
        ),
        Field(
            name="latitude",
            kind="place",
            spark_type="double",
            unit="° north, WGS 84",
            partner="longitude",
            low=-90,
            high=90,
        ),
        Field(
            name="longitude",
            kind="place",
            spark_type="double",
            unit="° east, WGS 84",
            low=-180,
            high=180,
        ),
        Field(
            name="cell_id",
            kind="category",
            spark_type="string",
            standard="cellIdentifier, or userLocationInformation",
        ),
        Field(
            name="dwell_s",
            kind="number",
            spark_type="double",
            unit="s",
            low=0,
            high=31 * 86_400,
            about="Length of the stay.",
        ),
        Field(
            name="accuracy_m", kind="number", spark_type="double", unit="m", low=0, about="Radius."
        ),
        Field(name="speed_m_s", kind="number", spark_type="double", unit="m/s", low=0, high=350),
        Field(name="fix_source", kind="category", spark_type="string", about="gps, network, ..."),
    ),
    own_rules=(
        Rule(
            sentence="latitude and longitude are both there or both missing",
            columns=("latitude", "longitude"),
            holds=lambda rows: missing(rows["latitude"]) == missing(rows["longitude"]),
        ),
    ),
)

EXAMPLE = {
    "subscriber_id": np.array(["a", "a", "b", "b"], dtype=object),
    "seen_at": np.array(
        ["2026-03-02T08:00", "2026-03-02T09:30", "2026-03-02T08:05", "2026-03-03T08:05"],
        dtype="datetime64[us]",
    ),
    "latitude": np.array([14.6937, 14.7167, np.nan, 14.7645]),
    "longitude": np.array([-17.4441, -17.4677, np.nan, -17.366]),
    "cell_id": np.array(["c1", "c2", "c2", None], dtype=object),
    "dwell_s": np.array([3_600.0, 60.0, 86_400.0, np.nan]),
    "accuracy_m": np.array([20.0, 35.5, 1_500.0, 8.0]),
    "speed_m_s": np.array([0.0, 1.4, np.nan, 0.0]),
    "fix_source": np.array(["network", "gps", "network", "gps"], dtype=object),
}
