"""What ships in conf/ and jobs/ works with the code it ships with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from synth_spark.config import read_plan
from synth_spark.core.shelf import FAMILIES
from synth_spark.records import world

ROOT = Path(__file__).parents[2]
PLANS = sorted((ROOT / "conf" / "plans").glob("*.yaml"))
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_a_plan_that_ships_is_read_and_has_a_schema_of_its_family(path: Path) -> None:
    plan = read_plan(path)
    schema = plan.schema_of()
    assert plan.name == path.stem
    assert schema is not None
    assert schema.family in FAMILIES.names()
    used = {c.name for c in schema.columns} & {f.name for f in FAMILIES.get(schema.family).fields}
    assert used


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_a_plan_that_ships_names_columns_that_its_source_has(path: Path) -> None:
    import pyarrow.parquet as pq

    plan = read_plan(path)
    if plan.cold:
        family = FAMILIES.get(plan.records.family)
        assert plan.schema_of() == family.schema()
        return
    if plan.source.path.startswith("world:"):
        there = set(world.make(subscribers=20, days=1).cdr)
    else:
        source = ROOT / plan.source.path
        if not source.exists():
            pytest.skip(f"the reference records are not here: {plan.source.path}")
        there = set(pq.read_schema(source).names)
    assert set(plan.source_names().values()) | set(plan.records.drop) == there


@pytest.mark.parametrize(
    "path", sorted((ROOT / "conf" / "clusters").glob("*.conf")), ids=lambda p: p.stem
)
def test_cluster_settings_are_key_value_lines_with_delta_and_utc(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]
    pairs = dict(line.split(None, 1) for line in lines)
    assert len(pairs) == len(lines)
    assert {k: pairs[k] for k in DELTA} == DELTA
    assert pairs["spark.sql.session.timeZone"] == "UTC"


@pytest.mark.parametrize("name", ["run", "ingest", "fit", "sample", "evaluate"])
def test_a_job_is_short_and_calls_the_verb_of_its_name(name: str) -> None:
    text = (ROOT / "jobs" / f"{name}.py").read_text()
    assert len(text.splitlines()) < 60
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.List) and n.elts]
    assert any(isinstance(e, ast.Constant) and e.value == name for c in calls for e in c.elts)
