"""Cells: the reference table of sites, one row a cell.

Names of the parts of a cell's identity: 3GPP TS 23.003, sections 4.3 and 19.6.
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily

FAMILY = RecordFamily(
    name="cell",
    about="Reference table of cells and their sites.",
    shape="flat",
    privacy_unit="",  # no person stands behind a cell
    key="cell_id",
    fields=(
        Field(
            name="cell_id",
            kind="identifier",
            spark_type="string",
            per="subject",
            required=True,
            standard="cellIdentifier, or userLocationInformation",
        ),
        Field(name="radio", kind="category", spark_type="string", standard="rATType"),
        Field(name="network", kind="category", spark_type="string", about="PLMN: MCC and MNC."),
        Field(
            name="area_code",
            kind="category",
            spark_type="string",
            standard="locationAreaCode",
            about="Location or tracking area.",
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
        Field(name="range_m", kind="number", spark_type="double", unit="m", low=0),
        Field(name="azimuth_deg", kind="number", spark_type="double", unit="°", low=0, high=360),
        Field(name="region", kind="category", spark_type="string"),
    ),
)

EXAMPLE = {
    "cell_id": np.array(["c1", "c2", "c3"], dtype=object),
    "radio": np.array(["eutran", "utran", "eutran"], dtype=object),
    "network": np.array(["60801", "60801", "60802"], dtype=object),
    "area_code": np.array(["50404", "50404", "50112"], dtype=object),
    "latitude": np.array([14.6937, 14.7167, 14.7645]),
    "longitude": np.array([-17.4441, -17.4677, -17.366]),
    "range_m": np.array([1_000.0, 700.0, np.nan]),
    "azimuth_deg": np.array([0.0, 120.0, 240.0]),
    "region": np.array(["coast", "coast", "inland"], dtype=object),
}
