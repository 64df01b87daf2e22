"""Browsing: one row for each session, or for each host asked for.

Volumes and services stand in the packet switched charging records of 3GPP TS 32.298 as
listOfServiceData; host names do not, they come from probes and proxies.
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily

FAMILY = RecordFamily(
    name="browsing",
    about="Browsing sessions or requests by host or category.",
    shape="events",
    privacy_unit="subscriber_id",
    key="subscriber_id",
    time="started_at",
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
            name="started_at",
            kind="time",
            spark_type="timestamp_ntz",
            unit="local clock",
            required=True,
            standard="timeOfFirstUsage in listOfServiceData",
        ),
        Field(name="host", kind="category", spark_type="string", about="Host name, without path."),
        Field(
            name="category",
            kind="category",
            spark_type="string",
            standard="ratingGroup in listOfServiceData",
            about="Kind of service.",
        ),
        Field(
            name="duration_s",
            kind="number",
            spark_type="double",
            unit="s",
            low=0,
            high=7 * 86_400,
            standard="timeUsage in listOfServiceData",
        ),
        Field(
            name="uplink_bytes",
            kind="number",
            spark_type="bigint",
            unit="octets",
            low=0,
            standard="datavolumeFBCUplink in listOfServiceData",
        ),
        Field(
            name="downlink_bytes",
            kind="number",
            spark_type="bigint",
            unit="octets",
            low=0,
            standard="datavolumeFBCDownlink in listOfServiceData",
        ),
        Field(name="radio", kind="category", spark_type="string", standard="rATType"),
    ),
)

EXAMPLE = {
    "subscriber_id": np.array(["a", "a", "b", "b"], dtype=object),
    "started_at": np.array(
        ["2026-03-02T20:00:01", "2026-03-02T20:00:02", "2026-03-02T07:15", "2026-03-02T07:40"],
        dtype="datetime64[us]",
    ),
    "host": np.array(["news.example", "img.news.example", "bank.example", None], dtype=object),
    "category": np.array(["news", "news", "finance", "mail"], dtype=object),
    "duration_s": np.array([12.5, 0.5, 240.0, np.nan]),
    "uplink_bytes": np.array([900.0, 120.0, 15_000.0, 0.0]),
    "downlink_bytes": np.array([64_000.0, 512_000.0, 33_000.0, 0.0]),
    "radio": np.array(["eutran", "eutran", "wlan", None], dtype=object),
}
