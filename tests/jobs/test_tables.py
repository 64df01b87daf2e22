"""A plan of two tables through the door of spark-submit: two runs, two generators, one summary."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

JOBS = Path(__file__).resolve().parents[2] / "jobs"


def test_two_tables_of_one_plan_are_two_runs_and_finished_ones_are_skipped(
    spark: Any, tmp_path: Path
) -> None:
    rows = 18  # too few to learn how columns hang together: auto takes independent
    people = {"plan": [("a", "b")[i % 2] for i in range(rows)], "n": list(range(rows))}
    pa_csv.write_csv(pa.table(people), tmp_path / "people.csv")
    file = tmp_path / "shop.yaml"
    file.write_text(
        "evaluate: {enabled: false}\n"
        f"run: {{folder: {tmp_path}/run}}\n"
        "tables:\n"
        f"  people: {{source: {{path: {tmp_path}/people.csv}}, sample: {{subjects: 7,"
        f" out: {tmp_path}/people.parquet}}}}\n"
        "  calls:\n"
        "    source: {path: 'world:cdr?subscribers=40&days=2&seed=3'}\n"
        "    records: {key: subscriber_id, time: event_at}\n"
        "    generator: {name: markov}\n"
        f"    sample: {{out: {tmp_path}/calls.parquet}}\n"
    )
    job = runpy.run_path(str(JOBS / "run.py"))["main"]
    assert job(["--plan", str(file), "--table", "people"]) == 0
    assert not (tmp_path / "calls.parquet").exists()
    first = (tmp_path / "run" / "people" / "steps" / "sample.json").read_text()
    assert job(["--plan", str(file), "--resume", "if-possible"]) == 0
    assert (tmp_path / "run" / "people" / "steps" / "sample.json").read_text() == first
    assert pq.read_table(tmp_path / "people.parquet").num_rows == 7
    assert len(pq.read_table(tmp_path / "calls.parquet")["subscriber_id"].unique()) == 40
    listed = json.loads((tmp_path / "run" / "tables.json").read_text())["tables"]
    assert [(e["table"], e["generator"], e["subjects"], e["exit_code"]) for e in listed] == [
        ("people", "independent", 7, 0),
        ("calls", "markov", 40, 0),
    ]
    for name in ("people", "calls"):
        assert (tmp_path / "run" / name / "models" / "twin" / "model.json").exists()
