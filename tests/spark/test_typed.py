"""Values of the source in our types, and back in the source's form."""

from __future__ import annotations

import pyarrow as pa

from synth_spark.core.schema import Column, Schema
from synth_spark.spark.source import open_source
from synth_spark.spark.twin_out import _as_source
from synth_spark.spark.typed import as_kind, typed
from tests.spark_world import put


def test_numbers_with_a_decimal_comma_are_read_and_written_as_such(spark) -> None:
    """Values by hand; a text that is none of them does not fit."""
    texts = ["3,50", "1.234,5", "12.345.678,85", "-0,25", "7", "", "NA", "-", "x", "12.75"]
    frame = spark.createDataFrame([(t,) for t in texts], "charge string")
    column = Column(name="charge", kind="number", decimal_comma=True)
    value, fits = as_kind(frame["charge"], column, "string", "UTC")
    rows = frame.select(value.alias("charge"), fits.alias("fits"))
    read = [3.5, 1234.5, 12345678.85, -0.25, 7.0, None, None, None, None, None]
    fitting = [True] * 8 + [False] * 2
    assert [tuple(r) for r in rows.collect()] == list(zip(read, fitting, strict=True))
    back = rows.select(_as_source(column, "string", "UTC").alias("text"))
    written = ["3,5", "1234,5", "12345678,85", "-0,25", "7", *[None] * 5]
    assert [r.text for r in back.collect()] == written


def test_numbers_of_two_decimals_keep_them_and_commas_between_thousands_are_read(spark) -> None:
    """Values by hand; 1,2345 and 12,34.5 are no numbers."""
    texts = ["9.90", "0.00", "1,234.50", "-12,345,678.25", "1,2345", "12,34.5", ""]
    frame = spark.createDataFrame([(t,) for t in texts], "paid string")
    column = Column(name="paid", kind="number", decimals=2)
    value, fits = as_kind(frame["paid"], column, "string", "UTC")
    rows = frame.select(value.alias("paid"), fits.alias("fits"))
    read = [9.9, 0.0, 1234.5, -12345678.25, None, None, None]
    fitting = [True] * 4 + [False, False, True]
    assert [tuple(r) for r in rows.collect()] == list(zip(read, fitting, strict=True))
    back = rows.select(_as_source(column, "string", "UTC").alias("text"))
    written = ["9.90", "0.00", "1234.50", "-12345678.25", None, None, None]
    assert [r.text for r in back.collect()] == written


def test_ids_within_a_subject_that_are_marked_as_missing_are_missing(spark, tmp_path) -> None:
    """The key and other parties keep their texts: a rule, or nobody, may take them for missing."""
    texts = ["s1", "-", "", "s2"]
    names = ("who", "session", "other")
    table = pa.table({**dict.fromkeys(names, texts), "at": pa.array([1, 2, 3, 4], pa.int64())})
    source = open_source(spark, put(table, tmp_path / "visits.parquet"))
    schema = Schema(
        family="events",
        shape="events",
        key=Column(name="who", kind="identifier"),
        time="at",
        columns=(
            Column(name="at", kind="time", time_format="epoch_s"),
            Column(name="session", kind="identifier"),
            Column(name="other", kind="identifier", counterpart=True),
        ),
    )
    named = {name: name for name in (*names, "at")}
    rows = typed(source, schema, named, seed=1, zone="UTC").select(*names).collect()
    assert [tuple(r) for r in rows] == [(t, t if t in ("s1", "s2") else None, t) for t in texts]
