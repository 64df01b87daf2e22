"""docs/ref-plan.md, made from the models of a plan."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from synth_spark.config.faults import settings
from synth_spark.config.plan import Plan
from synth_spark.config.sections import ColumnPlan, Gate

_HEAD = """# Plans

A plan says what to run, never how. It is a YAML file; every setting can also follow a command as
`--section.field value`, or be given in Python (`plan_from`). What is left out takes its default. An
unknown key is refused, and so is anything that looks like a secret: keys belong in the environment
(`SYNTH_SPARK_ID_KEY`, `SYNTH_SPARK_ID_KEY_FILE`) or in spark-defaults.conf. YAML is read by its 1.2
rules: `no` is a text, `1e-3` a number.

`synth-spark plan check --plan FILE` prints a plan whole, `synth-spark plan schema --json` the JSON
schema. This page is made from the models: `synth-spark plan schema`.

"""


def reference() -> str:
    """The page as Markdown."""
    rows = [_row(path, field) for path, field in settings(Plan)]
    parts = [_HEAD + _table(rows)]
    for title, model in (
        ("One of `records.columns`", ColumnPlan),
        ("One of `evaluate.gates`", Gate),
    ):
        parts.append(f"## {title}\n\n" + _table([_row(p, f) for p, f in settings(model)]))
    return "\n".join(parts).rstrip()


def _table(rows: list[str]) -> str:
    return "| setting | type | default | what it does |\n| --- | --- | --- | --- |\n" + "".join(
        rows
    )


def _row(path: str, field: Any) -> str:
    kind = re.sub(r"synth_spark\.[\w.]*\.|typing\.|<class '|'>", "", str(field.annotation))
    kind = kind.replace("Literal", "one of ").replace("NoneType", "none").replace("|", "or")
    limits = [re.sub(r"^(\w+)\((.*)\)$", r"\2", str(m)) for m in field.metadata]
    limits = [t for t in limits if "=" in t and "None" not in t]
    kind = ", ".join([kind, *limits])
    default = "needed"
    if field.default is not PydanticUndefined:
        default = f"`{json.dumps(_plain(field.default))}`"
    return f"| `{path}` | {kind} | {default} | {field.description or ''} |\n"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
