"""docs/ref-plan.md and docs/ref-scenarios.md, made from the models."""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from synth_spark.config.faults import settings
from synth_spark.config.plan import Plan
from synth_spark.config.scenarios import KINDS
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

_TABLES = """## Several tables

```yaml
name: shop
seed: 7                       # what stands beside `tables` holds for each of them
run: {folder: runs/shop}
tables:
  people:                     # generator auto
    source: {path: people.parquet}
    sample: {out: shop/people.parquet}
  calls:
    source: {path: calls.parquet}
    records: {key: subscriber_id, time: event_at}
    generator: {name: markov}
    sample: {out: shop/calls.parquet, subjects: 500}
```

Under `tables` each name has a plan of its own: the rest of the file, and over it what stands there,
section by section. A key of a section counts whole (a list of columns, `generator.params`);
`generator.params` of the file hold only for tables that have the file's generator. `name` and `run`
belong to all. Every verb and job takes such a file (`run`, `ingest`, `fit`, `sample`, `evaluate`,
`plan check`; `--dry-run` too) and carries out one table after the other, in the order of the file.

- **Where.** `RUN_FOLDER/NAME` is a run folder like any other: its own plan, model, twin and report.
- **`--section.field value`** holds for each table, `--tables.NAME.section.field value` for one, and
  wins.
- **`--table NAME`** runs this one only; an unknown name is refused with the nearest (SYN-108).
- **Refused before anything starts:** a fault in any table, which is named, and places of two tables
  that meet (SYN-136).
- **A table that is refused later** ends the run with its error; those before it are complete, the
  rest is not begun.
- **`--resume if-possible`** skips what is complete, table by table; `always` needs one to be there.
- **Exit code:** 0 all done, 2 refused, 3 a gate of some table was not passed (the others run on).
- **`RUN_FOLDER/tables.json`** lists of each table its state, exit code, run folder, generator,
  rows, subjects, twin and report; `--json` prints it too.

The tables know nothing of each other: no key of one is a key of another, each makes its subjects
anew, and the twins of two tables cannot be joined.

"""


_SCENARIOS = """# Scenarios of the simulation

A scenario says what happens in simulated records: to whom, when, how strongly. It is a YAML file
(examples: `conf/scenarios/`), named by `synth-spark simulate ... --scenario FILE` or in a plan by
`generator.params.scenarios`, a list of files or of mappings. An unknown kind or setting is refused
with the nearest one (SYN-761), one that cannot take place too (SYN-762), also because it would take
none of the subjects.

**Labels.** Records get a column `scenario` (`generator.params.label`) with the name of the scenario
that an event or subscriber belongs to; missing: none. Where two meet, the later one in the list
counts; rare events are taken from those that belong to none.

**Rates are exact.** `subjects: 0.001` takes subject n where round(n / 1,000) goes up: of the first
N subjects there are exactly round(N / 1,000), whatever the partitions and blocks. Nobody is in two
scenarios. Extra events of an emergency or a stadium are `factor` - 1 times the usual ones, to half
an event a block. `events: 0.0001` marks that share of each block's rows, rounded so that what is
left over comes in a later block.

**Rings are as whole as there are members.** The members of a `fraud_ring` fill one ring after the
other: `subjects: 0.001` of 2,000 subjects are 2 of a ring of 8, whose calls to the other six go to
numbers that are not in the table. The run says so on the screen, in its report and in
`steps/sample.json` (`notes`), with the subjects that the next whole ring needs (here 7,500). Under
quotas and a table of conditions subjects are numbered part by part, and nothing is said.

`starts_h` counts hours from the start of the simulated time (midnight of `generator.params.start`).
This page is made from the models: `synth-spark scenarios --markdown`.

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
    return "\n".join([*parts, _TABLES]).rstrip()


def scenario_reference() -> str:
    """The page of scenarios as Markdown."""
    parts = [_SCENARIOS]
    for kind, model in KINDS.items():
        about = (model.__doc__ or "").strip()
        families = ", ".join(sorted(model.families))
        rows = [_row(path, field) for path, field in settings(model) if path != "kind"]
        parts.append(f"## {kind}\n\n{about} Records of {families}.\n\n" + _table(rows))
    return "\n".join(parts).rstrip()


def _table(rows: list[str]) -> str:
    return "| setting | type | default | what it does |\n| --- | --- | --- | --- |\n" + "".join(
        rows
    )


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """A type without the limits that stand inside it, and the limits."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return inner[0], [m for note in inner[1:] for m in getattr(note, "metadata", [note])]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, []
    parts = [_bare(a) for a in inner]
    limits = [m for _, found in parts for m in found]
    return (reduce(or_, (a for a, _ in parts)), limits) if limits else (annotation, [])


def _row(path: str, field: Any) -> str:
    annotation, inside = _bare(field.annotation)
    kind = re.sub(r"synth_spark\.[\w.]*\.|typing\.|<class '|'>", "", str(annotation))
    kind = kind.replace("Literal", "one of ").replace("NoneType", "none").replace("|", "or")
    limits = [re.sub(r"^(\w+)\((.*)\)$", r"\2", str(m)) for m in (*field.metadata, *inside)]
    limits = [t for t in limits if "=" in t and "None" not in t]
    kind = ", ".join([kind, *limits])
    default = "needed"
    if field.default is not PydanticUndefined:
        default = f"`{json.dumps(_plain(field.default))}`"
    return f"| `{path}` | {kind} | {default} | {field.description or ''} |\n"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
