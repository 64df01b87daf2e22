"""Any flat table: one row a subject, any columns. Its rules are those of every table."""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import RecordFamily

FAMILY = RecordFamily(
    name="table",
    about="Any flat table, one row a subject.",
    shape="flat",
    privacy_unit="",  # every row is its own owner
)

EXAMPLE = {
    "plan": np.array(["S", "M", None, "S"], dtype=object),
    "charge": np.array([9.99, 19.99, np.nan, 9.99]),
}
