"""Call detail records: one row for each call, text or data session of a subscriber.

Field names of the standard: 3GPP TS 32.298, Charging Data Record parameter description; circuit
switched records (MOCallRecord, MTCallRecord, MOSMSRecord, MTSMSRecord) and packet switched ones
(SGWRecord, PGWRecord). docs/ref-records.md lists them side by side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.records.base import Field, RecordFamily, Rows, Rule, missing


def _only_data_has_volume(rows: Rows) -> NDArray[np.bool_]:
    volume = np.asarray(rows["downlink_bytes"], dtype=np.float64)
    return np.asarray(missing(volume) | (volume == 0) | (rows["event_type"] == "data"))


FAMILY = RecordFamily(
    name="cdr",
    about="Calls, texts and data sessions of subscribers.",
    shape="events",
    privacy_unit="subscriber_id",
    key="subscriber_id",
    time="event_at",
    fields=(
        Field(
            name="subscriber_id",
            kind="identifier",
            spark_type="string",
            per="subject",
            required=True,
            standard="servedMSISDN or servedIMSI",
            about="Who is charged; replaced by a keyed hash at ingest.",
        ),
        Field(
            name="event_at",
            kind="time",
            spark_type="timestamp_ntz",
            unit="local clock",
            required=True,
            standard="answerTime (call), originationTime / deliveryTime (SMS), "
            "recordOpeningTime (data)",
            about="When it began.",
        ),
        Field(
            name="event_type",
            kind="category",
            spark_type="string",
            standard="recordType, without the direction",
            about="call, sms or data.",
        ),
        Field(
            name="direction",
            kind="category",
            spark_type="string",
            standard="recordType: mo... is out, mt... is in",
            about="out or in, seen from the subscriber.",
        ),
        Field(
            name="correspondent_id",
            kind="identifier",
            spark_type="string",
            counterpart=True,
            standard="calledNumber / callingNumber (call), destinationNumber (SMS)",
            about="The other party; hashed with the same key, so links within the table stay.",
        ),
        Field(
            name="duration_s",
            kind="number",
            spark_type="bigint",
            unit="s",
            low=0,
            high=7 * 86_400,
            standard="callDuration (call), duration (data)",
        ),
        Field(
            name="cell_id",
            kind="category",
            spark_type="string",
            standard="location (call, SMS), userLocationInformation (data)",
            about="Serving cell at the beginning.",
        ),
        Field(
            name="uplink_bytes",
            kind="number",
            spark_type="bigint",
            unit="octets",
            low=0,
            standard="dataVolumeGPRSUplink in listOfTrafficVolumes",
        ),
        Field(
            name="downlink_bytes",
            kind="number",
            spark_type="bigint",
            unit="octets",
            low=0,
            standard="dataVolumeGPRSDownlink in listOfTrafficVolumes",
        ),
        Field(
            name="end_cause",
            kind="category",
            spark_type="string",
            standard="causeForTerm (call), causeForRecClosing (data)",
        ),
        Field(
            name="radio",
            kind="category",
            spark_type="string",
            standard="rATType (data)",
            about="Radio access technology.",
        ),
        Field(
            name="access_point",
            kind="category",
            spark_type="string",
            standard="accessPointNameNI (data)",
        ),
    ),
    own_rules=(
        Rule(
            sentence="only data sessions carry a volume",
            columns=("event_type", "downlink_bytes"),
            holds=_only_data_has_volume,
        ),
    ),
)

EXAMPLE = {
    "subscriber_id": np.array(["a", "a", "a", "b", "b"], dtype=object),
    "event_at": np.array(
        [
            "2026-03-02T08:10:00",
            "2026-03-02T08:31:12",
            "2026-03-03T19:02:40",
            "2026-03-02T23:59:59",
            "2026-03-04T06:00:00",
        ],
        dtype="datetime64[us]",
    ),
    "event_type": np.array(["call", "sms", "data", "call", "data"], dtype=object),
    "direction": np.array(["out", "in", "out", "in", "out"], dtype=object),
    "correspondent_id": np.array(["b", "c", None, "a", None], dtype=object),
    "duration_s": np.array([61.0, np.nan, 300.0, 0.0, 20.0]),
    "cell_id": np.array(["c1", "c1", "c2", "c3", "c3"], dtype=object),
    "uplink_bytes": np.array([np.nan, np.nan, 1_200.0, np.nan, 80.0]),
    "downlink_bytes": np.array([np.nan, np.nan, 64_000.0, np.nan, 900.0]),
    "end_cause": np.array(["normalRelease", None, "normalRelease", None, None], dtype=object),
    "radio": np.array([None, None, "eutran", None, "eutran"], dtype=object),
    "access_point": np.array([None, None, "internet", None, "internet"], dtype=object),
}
