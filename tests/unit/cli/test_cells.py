"""Cells of tables in memory: read as ingest reads them, written as the source writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.cells import array_of, texts_of, values_of
from synth_spark.core.batch import Coded
from synth_spark.core.schema import Column


def column(kind: Any, source_type: str = "string", **more: Any) -> Column:
    return Column(name="c", kind=kind, source_type=source_type, **more)


def plain(values: Any) -> list[Any]:
    if isinstance(values, Coded):
        return list(values.texts())
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return [None if np.isnat(v) else str(v)[:19] for v in array]
    return [None if np.isnan(v) else v for v in array.tolist()]


@pytest.mark.parametrize(
    ("kind", "cells", "wanted"),
    [
        (column("number"), ["1,234.5", " 7 ", "NA", "", "-1e3"], [1234.5, 7, None, None, -1000]),
        (column("number", decimal_comma=True), ["1.234,5", "3,5", "-"], [1234.5, 3.5, None]),
        (column("number", "boolean"), ["True", "0", ""], [1, 0, None]),
        (column("category", "boolean"), ["TRUE", "false", "1", "0.0"], ["true", "false"] * 2),
        (column("category", "bigint"), ["1", "2.0", "", "NA"], ["1", "2", None, None]),
        (column("category", "double"), ["1", "0.50", "0.0001"], ["1", "0.5", "1.0E-4"]),
        (column("category", "decimal(5,2)"), ["1.5", "2"], ["1.50", "2"]),
        (column("category"), ["007", "NA", ""], ["007", "NA", None]),
        (
            column("time", time_format="%d/%m/%Y"),
            ["5/1/2024", "25/02/2024", ""],
            ["2024-01-05T00:00:00", "2024-02-25T00:00:00", None],
        ),
        (column("time", time_format="epoch_s"), ["86400"], ["1970-01-02T01:00:00"]),
        (column("time", "timestamp"), ["2024-06-01T12:00:00Z"], ["2024-06-01T14:00:00"]),
        (
            column("time", time_format="%Y-%m-%d %H:%M:%S%:z"),
            ["2024-06-01 12:00:00+00:00"],
            ["2024-06-01T14:00:00"],
        ),
    ],
)
def test_texts_are_read_as_ingest_reads_them(
    kind: Column, cells: list[str], wanted: list[Any]
) -> None:
    values, wrong = values_of(pa.array(cells), kind, "Europe/Berlin")
    assert plain(values) == wanted
    assert not wrong.any()


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (column("number"), "abc"),
        (column("number"), "1_000"),
        (column("number", decimal_comma=True), "12.75"),
        (column("category", "boolean"), "maybe"),
        (column("category", "bigint"), "1.5"),
        (column("time", time_format="%d/%m/%Y"), "2024-01-05"),
        (column("time", "timestamp"), "yesterday"),
        (column("number"), "1e999"),
        (column("number", decimal_comma=True), "9" * 400),
        (column("category", "int"), "1e99999999999"),
        (column("category", "double"), "1e999"),
        (column("category", "decimal(5,2)"), "1e9999999"),
        (column("category", "decimal(5,2)"), "1e99999"),
        (column("time", time_format="epoch_s"), "99999999999999999"),
        (column("time", time_format="epoch_s"), "1e999999999"),
        (column("time", "bigint", time_format="epoch_ms"), "9223372036854775807"),
    ],
)
def test_a_text_that_is_none_of_its_kind_is_told_from_a_missing_one(
    kind: Column, cell: str
) -> None:
    values, wrong = values_of(pa.array([cell, None]), kind)
    assert wrong.tolist() == [True, False]
    assert plain(values) == [None, None]


@pytest.mark.parametrize(
    ("kind", "cells", "wanted"),
    [
        (column("number", "bigint"), pa.array([1, None]), [1, None]),
        (column("category"), pa.array([1.0, 2.5, None]), ["1", "2.5", None]),
        (column("category", "bigint"), pa.array([1.0, None]), ["1", None]),
        (column("category", "bigint"), pa.array([2**60 + 1]), [str(2**60 + 1)]),
        (column("category", "boolean"), pa.array([True, None]), ["true", None]),
        (column("category"), pa.array(["x", None]).dictionary_encode(), ["x", None]),
        (column("time", "date"), pa.array([date(2024, 1, 5)]), ["2024-01-05T00:00:00"]),
        (column("time", "bigint", time_format="%Y%m%d"), pa.array([20240105]), None),
        (column("time", "timestamp"), pa.array([datetime(2024, 6, 1, 12, tzinfo=UTC)]), None),
    ],
)
def test_values_of_other_types_are_taken_for_what_their_column_holds(
    kind: Column, cells: pa.Array, wanted: list[Any] | None
) -> None:
    values, wrong = values_of(cells, kind, "Europe/Berlin")
    assert not wrong.any()
    clock = "2024-01-05T00:00:00" if kind.time_format else "2024-06-01T14:00:00"
    assert plain(values) == ([clock] if wanted is None else wanted)


def test_a_time_is_no_number_and_a_number_without_a_format_no_time() -> None:
    for kind, cells in (
        (column("number", "double"), pa.array([datetime(2024, 1, 5)])),
        (column("time", "timestamp"), pa.array([5])),
    ):
        assert values_of(cells, kind)[1].tolist() == [True]


def test_an_instant_past_all_calendars_is_no_time() -> None:
    seconds = column("time", "bigint", time_format="epoch_s")
    values, wrong = values_of(pa.array([99999999999999999, None, 0]), seconds)
    assert wrong.tolist() == [True, False, False]
    assert plain(values) == [None, None, "1970-01-01T00:00:00"]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (column("number", decimals=2), ["1.50", "3.00"]),
        (column("number", decimal_comma=True), ["3,5", "4"]),
        (column("number", "boolean"), ["true", "false"]),
        (column("time", time_format="%-d.%m.%Y %H:%M"), ["5.01.2024 07:30"]),
        (column("time", time_format="%Y-%m-%dT%H:%M:%S%:z"), ["2024-06-01T12:00:00+02:00"]),
        (column("time", time_format="epoch_ms"), ["1717236000000"]),
        (column("time", "date"), ["2024-01-05"]),
    ],
)
def test_what_is_read_is_written_again_as_it_was(kind: Column, texts: list[str]) -> None:
    values, _ = values_of(pa.array(texts), kind, "Europe/Berlin")
    assert texts_of(values, kind, "Europe/Berlin") == texts


def test_values_come_back_in_the_sources_types() -> None:
    whole = array_of(np.array([3.0, np.nan]), column("number", "bigint"))
    assert (str(whole.type), whole.to_pylist()) == ("int64", [3, None])
    truth = array_of(Coded.of(["true", None]), column("category", "boolean"))
    assert (str(truth.type), truth.to_pylist()) == ("bool", [True, None])
    label = array_of(Coded.of(["7", None]), column("category", "int"))
    assert (str(label.type), label.to_pylist()) == ("int32", [7, None])
    clock = np.array(["2024-06-01T14:00:00", "NaT"], "datetime64[us]")
    instant = array_of(clock, column("time", "timestamp"), zone="Europe/Berlin")
    assert instant.to_pylist() == [datetime(2024, 6, 1, 12, tzinfo=UTC), None]
