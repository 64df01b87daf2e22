"""How a run meets its table of conditions: checked, then filled by row or drawn by condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import Plan
from synth_spark.core.conditions import Clause
from synth_spark.core.given import BLOCK_ROWS
from synth_spark.core.schema import Schema
from synth_spark.pipelines.drawer import ModelDrawer, load_drawer, load_filler
from synth_spark.pipelines.given import check_given
from synth_spark.pipelines.model_folder import Saved
from synth_spark.spark.blocks import Recipe
from synth_spark.spark.fanout import RowsOf, recipe_for
from synth_spark.spark.given import Given, kept, open_given
from synth_spark.spark.given_alike import Alike, drawn, numbered_blocks, refuse_impossible
from synth_spark.spark.given_filled import filled, refuse_unknown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def given_table(spark: SparkSession, plan: Plan, schema: Schema, folder: Path) -> Given | None:
    """The plan's table of conditions, checked; None where it has none.

    The run's own copy counts, where it goes on with one; else the table as it lies now.

    Raises:
        SynthError: It does not fit the records or the plan; see `spark/given.py` and
            `pipelines/given.py`.
    """
    if not plan.sample.given:
        return None
    if plan.run.resume != "never":
        found = kept(spark, folder / "given", plan.fingerprint("sample"))
        if found is not None:
            return found
    zone = plan.source.time_zone or "UTC"
    fresh = open_given(spark, plan.sample.given, schema, plan.source_names(), zone=zone)
    check_given(fresh.asked, fresh.rows, plan, schema)
    return fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the rows of a table are met by one model."""

    recipe: Recipe
    rows: RowsOf
    how: str  # in words


def way_of(
    spark: SparkSession,
    model: Path,
    given: Given,
    rows: int,
    more: tuple[Clause, ...],
    *,
    saved: Saved,
    seed: int,
    load: Callable[[str], ModelDrawer] = load_drawer,
) -> Way:
    """How a model draws a subject for each of the first rows of a table; impossible ones refused.

    Args:
        spark: The session.
        model: Its folder.
        given: The table, as the run keeps it.
        rows: How many of its rows count.
        more: Clauses that hold for every row.
        saved: The model.
        seed: Of the sampling.
        load: Reads a model folder where subjects are drawn by condition.

    Raises:
        TooManyGivenError: Too many rows differ for this model (SYN-714).
        ImpossibleConditionError: The model gives a row no chance (SYN-711).
        CannotConditionError: It cannot draw under a row (SYN-712).
    """
    common: Any = {
        "sha256": saved.sha256, "load": load, "schema": saved.schema, "seed": seed,
    }  # fmt: skip
    if not more and load_filler(str(model), given.asked.fields) is not None:
        recipe = recipe_for(spark, model, subjects=rows, most=BLOCK_ROWS, **common)
        refuse_unknown(given, recipe)
        return Way(
            recipe=recipe, rows=partial(filled, given), how="gaps filled, each row on its own"
        )
    alike = Alike.of(given, rows, more)
    recipe = recipe_for(spark, model, subjects=alike.shares, tried=False, **common)
    refuse_impossible(given.asked, alike, spark, recipe)
    numbered = numbered_blocks(given, alike, recipe).persist()
    how = f"{len(alike.shares):,} conditions, one for each distinct row"
    return Way(recipe=recipe, rows=partial(drawn, given, numbered), how=how)
