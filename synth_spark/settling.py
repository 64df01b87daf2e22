"""What a run's records are: the plan's own schema, a resumed run's, or a detected one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from synth_spark.config import Plan
from synth_spark.core.schema import Schema
from synth_spark.records.detect import Counts, Detection, apart_from_marks
from synth_spark.records.detect import detect as guess

if TYPE_CHECKING:
    import pyarrow as pa

    from synth_spark.spark.source import Source

SAMPLE_ROWS = 50_000  # that detection looks at


@dataclass(frozen=True, slots=True)
class Settled:
    """What a run is about once its records are known."""

    plan: Plan  # with the schema spelled out
    schema: Schema
    asked: dict[str, Any]  # what the schema was detected from
    source: Source | None = None  # where it was opened already
    found: Detection | None = None
    chosen: dict[str, str] | None = None  # the generator and why, where the plan says `auto`


def settle(
    opened: Callable[[Plan], Source], plan: Plan, spelled: Schema | None, *, anew: bool
) -> Settled:
    """The plan with its schema: its own, what its run had before unless `anew`, or a detected one.

    Steps that build on an ingest take what that one did: its schema, and what `auto` chose.
    """
    asked = _asked(plan)
    before = {} if anew else _before(plan, asked)
    if spelled:
        return Settled(plan, spelled, asked, chosen=before.get("chosen"))
    if before:
        schema = Schema.from_json(before["schema"])
        known = plan.with_schema(schema, before["names"])
        return Settled(known, schema, asked, chosen=before.get("chosen"))
    source = opened(plan)
    found = detected(source, plan.records.key, plan.records.time)
    schema, names = apart_from_marks(found.schema)
    return Settled(plan.with_schema(schema, names), schema, asked, source, found)


def _before(plan: Plan, asked: dict[str, Any]) -> dict[str, Any]:
    """What a run had found, if it was about the same; else nothing."""
    kept = plan.folder / "detected.json"
    if not kept.exists():
        return {}
    found: dict[str, Any] = json.loads(kept.read_text())
    return found if found.get("asked") == asked else {}


def looked_at(opened: Callable[[Plan], Source], settled: Settled) -> Settled:
    """The same with its source opened, so that it is refused before anything is written.

    Raises:
        NoColumnError: A column of the schema is not there (SYN-223).
        SynthError: The source cannot be read; see `spark/source.py`.
    """
    from synth_spark.spark.checks import all_columns

    source = settled.source or opened(settled.plan)
    names = settled.plan.source_names()
    source.need([names.get(c.name, c.name) for c in all_columns(settled.schema)])
    return replace(settled, source=source)


def _asked(plan: Plan) -> dict[str, Any]:
    """What a detection hangs on; with anything else it is done again."""
    return {
        "source": plan.source.model_dump(mode="json"),
        "records": plan.records.model_dump(mode="json"),
    }


def detected(source: Source, key: str, time: str) -> Detection:
    """What the columns of a source are taken for: a sample is looked at, values are counted."""
    from pyspark.sql import functions as sf

    from synth_spark.spark.arrow import quoted

    texts = [c for c, kind in source.types.items() if kind in ("string", "bigint", "int")]
    counted = [sf.approx_count_distinct(quoted(c)).alias(f"n{i}") for i, c in enumerate(texts)]
    row = source.frame.agg(sf.count(sf.lit(1)).alias("rows"), *counted).first()
    distinct = {c: int(row[f"n{i}"]) for i, c in enumerate(texts)}
    counts = Counts(rows=int(row["rows"]), distinct=distinct)
    sample = _spread_sample(source, counts.rows)
    return guess(sample, types=source.types, key=key, time=time, counts=counts)


def _spread_sample(source: Source, rows: int) -> pa.Table:
    """The first rows, where a subject's stand together, and as many from all over the table."""
    import pyarrow as pa

    if rows <= SAMPLE_ROWS:
        return source.head(SAMPLE_ROWS)
    share = min(1.0, 0.55 * SAMPLE_ROWS / rows)
    spread = replace(source, frame=source.frame.sample(share, seed=1))
    return pa.concat_tables([source.head(SAMPLE_ROWS // 2), spread.head(SAMPLE_ROWS // 2)])
