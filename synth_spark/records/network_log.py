"""Network logs: system and radio events and KPIs of network elements.

The subject is the element (a node, a cell, a measuring phone), not a person; where a log line
carries a subscriber's id, use the family `events` with that id as the key. Radio measures follow
3GPP TS 36.133, section 9.1 (RSRP, RSRQ).
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily

FAMILY = RecordFamily(
    name="network_log",
    about="System events, radio events and KPIs of network elements.",
    shape="events",
    privacy_unit="element_id",
    key="element_id",
    time="logged_at",
    fields=(
        Field(
            name="element_id",
            kind="identifier",
            spark_type="string",
            per="subject",
            required=True,
            standard="recordingEntity or nodeID",
        ),
        Field(
            name="logged_at",
            kind="time",
            spark_type="timestamp_ntz",
            unit="local clock",
            required=True,
        ),
        Field(name="component", kind="category", spark_type="string"),
        Field(name="level", kind="category", spark_type="string", about="INFO, WARN, ERROR, ..."),
        Field(name="event_id", kind="category", spark_type="string", about="Template or alarm."),
        Field(
            name="line",
            kind="text",
            spark_type="string",
            about="The message; its templates are mined, no line is copied.",
        ),
        Field(
            name="cell_id",
            kind="category",
            spark_type="string",
            standard="cellIdentifier, or userLocationInformation",
        ),
        Field(name="radio", kind="category", spark_type="string", standard="rATType"),
        Field(name="rsrp_dbm", kind="number", spark_type="double", unit="dBm", low=-156, high=-31),
        Field(name="rsrq_db", kind="number", spark_type="double", unit="dB", low=-43, high=20),
        Field(name="sinr_db", kind="number", spark_type="double", unit="dB", low=-40, high=60),
        Field(name="downlink_kbit_s", kind="number", spark_type="double", unit="kbit/s", low=0),
        Field(name="uplink_kbit_s", kind="number", spark_type="double", unit="kbit/s", low=0),
        Field(name="load_share", kind="number", spark_type="double", unit="1", low=0, high=1),
    ),
)

EXAMPLE = {
    "element_id": np.array(["n1", "n1", "n2", "n2"], dtype=object),
    "logged_at": np.array(
        ["2026-03-02T00:00:00", "2026-03-02T00:00:01", "2026-03-02T00:00:00", "2026-03-02T01:00"],
        dtype="datetime64[us]",
    ),
    "component": np.array(["rrc", "rrc", "power", None], dtype=object),
    "level": np.array(["INFO", "WARN", "ERROR", "INFO"], dtype=object),
    "event_id": np.array(["E1", "E7", "E3", "E1"], dtype=object),
    "line": np.array(
        ["attach of 7 done", "release, cause 12", "supply at 38.5 V", "attach of 9 done"],
        dtype=object,
    ),
    "cell_id": np.array(["c1", "c1", "c2", "c2"], dtype=object),
    "radio": np.array(["eutran", "nr", "eutran", None], dtype=object),
    "rsrp_dbm": np.array([-92.0, -101.5, np.nan, -80.0]),
    "rsrq_db": np.array([-11.0, -15.0, np.nan, -8.0]),
    "sinr_db": np.array([2.0, -3.0, np.nan, 17.5]),
    "downlink_kbit_s": np.array([29.0, 0.0, 12_000.0, 55.0]),
    "uplink_kbit_s": np.array([13.0, 0.0, 900.0, 4.0]),
    "load_share": np.array([0.2, 0.25, 0.97, np.nan]),
}
