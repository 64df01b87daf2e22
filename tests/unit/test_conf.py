"""What ships in conf/ and jobs/ works with the code it ships with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from synth_spark.config import Plan, read_plans
from synth_spark.core.shelf import FAMILIES
from synth_spark.places import check_apart
from synth_spark.records import world

ROOT = Path(__file__).parents[2]
PLANS = sorted((ROOT / "conf" / "plans").glob("*.yaml"))


def tables_of(path: Path) -> dict[str, Plan]:
    """The plan of each table of a file, by the name that it must have."""
    read = read_plans(path)
    if isinstance(read, Plan):
        return {path.stem: read}
    check_apart(read.plans)
    return {f"{path.stem}.{name}": plan for name, plan in read.plans.items()}


TABLES = {name: plan for path in PLANS for name, plan in tables_of(path).items()}
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_plan_that_ships_is_read_and_has_a_schema_of_its_family(name: str) -> None:
    plan = TABLES[name]
    schema = plan.schema_of()
    assert plan.name == name
    assert schema is not None
    assert schema.family in FAMILIES.names()
    used = {c.name for c in schema.columns} & {f.name for f in FAMILIES.get(schema.family).fields}
    assert used


def test_a_plan_of_several_tables_ships_with_a_chosen_generator_and_an_automatic_one() -> None:
    named = [p.generator.name for n, p in TABLES.items() if n.startswith("two_tables.")]
    assert named == ["auto", "markov"]


@pytest.mark.parametrize("name", TABLES)
def test_a_plan_that_ships_names_columns_that_its_source_has(name: str) -> None:
    import pyarrow.parquet as pq

    plan = TABLES[name]
    if plan.cold:
        family = FAMILIES.get(plan.records.family)
        assert plan.schema_of() == family.schema()
        return
    if plan.source.path.startswith("world:"):
        table = plan.source.path.removeprefix("world:").partition("?")[0]
        there = set(getattr(world.make(subscribers=20, days=1), table))
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
