"""Plans: what to run, as strict typed models. YAML = `--section.field value` = Python.

A plan is read whole before anything starts: an unknown key, a wrong type or a value out of range is
refused with its dotted path, all faults at once. No secret may stand in a plan: plans are copied
into run folders and reports.

    plan = read_plan(Path("conf/plans/demo.yaml"), ["--sample.subjects", "500"])
    plan = plan_from({"source": {"path": "calls.parquet"}, "fit": {"ranks": 2}})
    tables = read_plans(Path("conf/plans/two_tables.yaml"))  # a Plan, or Tables with one each
"""

from __future__ import annotations

from synth_spark.config.faults import (
    NoSourceError,
    OverrideError,
    PlanFileError,
    SecretInPlanError,
    UnknownSettingError,
    settings,
)
from synth_spark.config.plan import AUTO, STEPS, Plan, Step, generator_params, json_schema
from synth_spark.config.reading import changed, parse_overrides, plan_from, read_plan
from synth_spark.config.reference import reference, scenario_reference
from synth_spark.config.sections import ColumnPlan, Gate, Quota, Sample
from synth_spark.config.tables import Tables, UnknownTableError, in_table, read_plans

__all__ = [
    "AUTO",
    "STEPS",
    "ColumnPlan",
    "Gate",
    "NoSourceError",
    "OverrideError",
    "Plan",
    "PlanFileError",
    "Quota",
    "Sample",
    "SecretInPlanError",
    "Step",
    "Tables",
    "UnknownSettingError",
    "UnknownTableError",
    "changed",
    "generator_params",
    "in_table",
    "json_schema",
    "parse_overrides",
    "plan_from",
    "read_plan",
    "read_plans",
    "reference",
    "scenario_reference",
    "settings",
]
