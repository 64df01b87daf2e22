"""Any table of events: a key, a time, and any other columns.

Its rules are those of every table of events (`RecordFamily.rules_for`); the source's own names
stand in for `key` and `time`.
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily

FAMILY = RecordFamily(
    name="events",
    about="Any events of subjects: a key, a time and any columns.",
    shape="events",
    privacy_unit="key",
    key="key",
    time="time",
    fields=(
        Field(name="key", kind="identifier", spark_type="string", per="subject"),
        Field(name="time", kind="time", spark_type="timestamp_ntz"),
    ),
)

EXAMPLE = {
    "key": np.array(["a", "a", "b"], dtype=object),
    "time": np.array(
        ["2026-03-02T08:00", "2026-03-02T09:00", "2026-03-02T08:00"], "datetime64[us]"
    ),
}
