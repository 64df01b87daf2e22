"""Subscribers: one row each with profile, plan, usage, billing and churn.

Usage and billing are sums over one period, the same for all rows; the source says which. Where a
profile value also stands in a charging record, the field of 3GPP TS 32.298 is named.
"""

from __future__ import annotations

import numpy as np

from synth_spark.records.base import Field, RecordFamily, Rule

FAMILY = RecordFamily(
    name="subscriber",
    about="One row a subscriber: profile, plan, usage, billing, churn.",
    shape="flat",
    privacy_unit="subscriber_id",
    key="subscriber_id",
    fields=(
        Field(
            name="subscriber_id",
            kind="identifier",
            spark_type="string",
            per="subject",
            standard="servedMSISDN or servedIMSI",
        ),
        Field(name="gender", kind="category", spark_type="string"),
        Field(name="age_years", kind="number", spark_type="int", unit="years", low=0, high=130),
        Field(name="region", kind="category", spark_type="string", about="Home region."),
        Field(
            name="device_type",
            kind="category",
            spark_type="string",
            standard="type allocation code of servedIMEI, 8 digits",
            about="Model or class of the phone.",
        ),
        Field(name="plan", kind="category", spark_type="string", about="Tariff."),
        Field(
            name="payment",
            kind="category",
            spark_type="string",
            standard="chargingCharacteristics (prepaid, normal, hot billing, flat rate)",
            about="prepaid, postpaid, ...",
        ),
        Field(
            name="tenure_months", kind="number", spark_type="int", unit="months", low=0, high=1_200
        ),
        Field(name="call_s", kind="number", spark_type="double", unit="s a period", low=0),
        Field(name="calls", kind="number", spark_type="bigint", unit="calls a period", low=0),
        Field(name="sms", kind="number", spark_type="bigint", unit="messages a period", low=0),
        Field(name="data_mb", kind="number", spark_type="double", unit="MB a period", low=0),
        Field(name="recharges", kind="number", spark_type="bigint", unit="a period", low=0),
        Field(
            name="monthly_charge",
            kind="number",
            spark_type="double",
            unit="currency a month",
            low=0,
        ),
        Field(name="total_charge", kind="number", spark_type="double", unit="currency", low=0),
        Field(
            name="churned", kind="category", spark_type="boolean", about="Left after the period."
        ),
    ),
    own_rules=(
        Rule(
            sentence="a subscriber with no calls has no call time",
            columns=("calls", "call_s"),
            holds=lambda rows: ~((rows["calls"] == 0) & (rows["call_s"] > 0)),
        ),
    ),
)

EXAMPLE = {
    "subscriber_id": np.array(["a", "b", "c", "d"], dtype=object),
    "gender": np.array(["f", "m", None, "f"], dtype=object),
    "age_years": np.array([31.0, 54.0, np.nan, 19.0]),
    "region": np.array(["north", "coast", "coast", "north"], dtype=object),
    "device_type": np.array(["smart", "basic", "smart", "smart"], dtype=object),
    "plan": np.array(["S", "M", "M", "L"], dtype=object),
    "payment": np.array(["prepaid", "postpaid", "postpaid", "prepaid"], dtype=object),
    "tenure_months": np.array([3.0, 40.0, 12.0, 0.0]),
    "call_s": np.array([1200.0, 0.0, 310.5, 77.0]),
    "calls": np.array([12.0, 0.0, 5.0, 1.0]),
    "sms": np.array([3.0, 0.0, 0.0, 44.0]),
    "data_mb": np.array([2048.5, 0.0, 512.25, 9000.0]),
    "recharges": np.array([4.0, 0.0, 0.0, 2.0]),
    "monthly_charge": np.array([9.99, 19.99, 19.99, 29.99]),
    "total_charge": np.array([29.97, 799.6, 239.88, 0.0]),
    "churned": np.array(["true", "false", "false", "true"], dtype=object),
}
