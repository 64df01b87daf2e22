"""Which texts are lines that programs write."""

from __future__ import annotations

import pyarrow as pa
import pytest

from synth_spark.records._lines import lines_in
from synth_spark.records._profile import profile
from synth_spark.records.detect import detect


def said(values: list[str]) -> str:
    return lines_in(profile("line", pa.chunked_array([pa.array(values)]), "string"))


def test_lines_that_differ_in_their_parameters_are_told_with_a_reason() -> None:
    lines = [f"user u{i % 50} got {i} bytes" for i in range(400)]
    assert "lines that programs write: 400 different ones" in said(lines)


@pytest.mark.parametrize(
    "values",
    [
        [f"{chr(97 + i % 26)}{chr(97 + i // 26)} said something new" for i in range(400)],  # prose
        [f"ID{i}" for i in range(400)],  # one word: an id
        [f"plan {i % 90} of many" for i in range(400)],  # few values: a category
        ["call ended", "call began"] * 200,
    ],
)
def test_prose_ids_and_categories_are_no_lines(values: list[str]) -> None:
    assert said(values) == ""


def test_a_table_of_logs_is_events_with_a_text() -> None:
    n = 600
    table = pa.table(
        {
            "host_id": [f"h{i // 20}" for i in range(n)],
            "time": pa.array([i * 1_000_000 for i in range(n)], pa.timestamp("us")),
            "message": [f"job {7 * i} done in {i % 13} ms" for i in range(n)],
        }
    )
    types = {"host_id": "string", "time": "timestamp_ntz", "message": "string"}
    found = detect(table, types=types, key="host_id", time="time")
    assert found.schema.column("message").kind == "text"
    assert found.why["message"].startswith("text: lines that programs write")
