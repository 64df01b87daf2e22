"""Records made by rules through the command: from no data at all, and beside data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from synth_spark.cli import main as command
from synth_spark.records.world import materialise

RING = "kind: fraud_ring\nsubjects: 0.02\nring_size: 4\n"


def test_simulated_calls_need_no_data_and_have_an_exact_share_of_fraud(
    spark: Any, tmp_path: Path
) -> None:
    (tmp_path / "ring.yaml").write_text(RING)
    out = tmp_path / "calls.parquet"
    args = ["simulate", "cdr", "--out", str(out), "--subjects", "200", "--days", "3"]
    assert command([*args, "--scenario", str(tmp_path / "ring.yaml"), "--seed", "5"]) == 0
    made = pq.read_table(out)
    assert pc.count_distinct(made["subscriber_id"]).as_py() == 200
    ring = made.filter(pc.equal(made["scenario"], "fraud_ring"))
    assert pc.count_distinct(ring["subscriber_id"]).as_py() == 4  # 2 in 100
    between = pc.is_in(ring["correspondent_id"], value_set=ring["subscriber_id"].unique())
    assert pc.sum(between).as_py() > 0
    assert made.schema.field("duration_s").type == "int64"
    steps = sorted(p.stem for p in (tmp_path / "calls.run" / "steps").glob("*.json"))
    assert steps == ["fit", "sample"]
    again = tmp_path / "again.parquet"
    args[3] = str(again)
    assert command([*args, "--scenario", str(tmp_path / "ring.yaml"), "--seed", "5"]) == 0
    assert pq.read_table(again).equals(made)


def test_a_plan_with_records_gets_the_label_column_beside_those_of_its_source(
    spark: Any, tmp_path: Path
) -> None:
    source = materialise("world:cdr?subscribers=60&days=4&seed=3", tmp_path / "world")
    columns = {n: None for n in pq.read_schema(source).names if n not in ("region", "plan")}
    own = {"kind": "category", "per": "subject"}
    plan = {
        "name": "labelled",
        "source": {"path": str(source)},
        "records": {
            "family": "cdr", "key": "subscriber_id", "time": "event_at",
            "columns": {**columns, "region": own, "plan": own},
        },
        "generator": {
            "name": "simulation",
            "params": {"block_size": 64, "scenarios": [{"kind": "rare", "events": 0.01}]},
        },
        "sample": {"out": str(tmp_path / "twin.parquet")},
        "run": {"folder": str(tmp_path / "run")},
    }  # fmt: skip
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(plan, sort_keys=False))
    assert command(["run", "--plan", str(file)]) == 0
    made, real = pq.read_table(tmp_path / "twin.parquet"), pq.read_table(source)
    assert made.column_names == [*real.column_names, "scenario"]
    marked = pc.sum(pc.equal(made["scenario"], "rare")).as_py()
    assert marked == pytest.approx(made.num_rows / 100, abs=made.num_rows / 1_000 + 1)
    about = json.loads((tmp_path / "run" / "steps" / "fit.json").read_text())
    assert about["facts"]["twin"]["about"]["fitted"]["days"] == 4
