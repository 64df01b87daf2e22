"""Which generator learns where the plan says `auto`: by the records' shape and size, and why.

The rules follow docs/explanation-which-generator.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from synth_spark.config import AUTO, Plan
from synth_spark.core.schema import Schema
from synth_spark.errors import TooFewSubjectsError
from synth_spark.settling import Settled

if TYPE_CHECKING:
    from synth_spark.spark.source import Source

FEW = 20  # subjects that a network needs
MANY_EVENTS = 100_000_000  # above, a network sees a small part of them in its minutes


@dataclass(frozen=True, slots=True)
class Choice:
    """A generator and the sentence that says why it was taken."""

    name: str
    why: str


def choose(
    schema: Schema, rows: int, subjects: int, *, can_train: bool, held_out: int = 0
) -> Choice:
    """The generator for records of this shape and size.

    Args:
        schema: Of the records.
        rows: In all, about.
        subjects: In all, about; of a flat table its rows.
        can_train: Whether torch is installed.
        held_out: Subjects of them that take no part in the learning.

    Example:
        >>> table = Schema(family="table", shape="flat", columns=())
        >>> choose(table, 5_000, 5_000, can_train=True).name
        'autoregressive'
    """
    few = subjects - held_out < FEW
    if schema.shape == "flat":
        return _for_rows(rows, subjects - held_out, held_out, few=few, can_train=can_train)
    size = f"{rows:,} events of {subjects:,} subjects"
    if few:
        size += f", {held_out} of them held out" if held_out else ""
        return Choice("markov", f"{size}: too few subjects for a network, counts are steadier")
    if not can_train:
        return Choice("markov", f"{size}: torch is not installed, and counts need none")
    if rows > MANY_EVENTS:
        return Choice("markov", f"{size}: counts see all of them in two passes")
    return Choice("autoregressive", f"{size}: the nearest to the records on these")


def _for_rows(rows: int, train: int, held_out: int, *, few: bool, can_train: bool) -> Choice:
    """The generator for a flat table."""
    if few:
        size = f"{train} rows" + (f" beside {held_out} held out" if held_out else "")
        return Choice("independent", f"{size} are too few to learn how columns hang together")
    if not can_train:
        return Choice("independent", f"{rows:,} rows: torch is not installed, and it needs none")
    return Choice(
        "autoregressive", f"a flat table of {rows:,} rows: the nearest to the records on these"
    )


def chosen(opened: Callable[[Plan], Source], settled: Settled) -> Settled:
    """The same with a generator in the place of `auto`; a resumed run keeps the one it had.

    How many subjects are held out is known after ingest only, for each is drawn by itself: here at
    least one counts, and `chosen_anew` mends a choice that turns out to have too few.
    """
    plan = settled.plan
    if plan.generator.name != AUTO:
        return settled
    choice = settled.chosen
    if choice is None:
        source = settled.source or opened(plan)
        rows, subjects = _sizes(source, settled)
        least = 1 if plan.ingest.holdout_share else 0
        made = choose(settled.schema, rows, subjects, can_train=_can_train(), held_out=least)
        choice = {"name": made.name, "why": made.why}
        settled = replace(settled, source=source)
    return _taken(settled, choice)


def chosen_anew(settled: Settled, error: TooFewSubjectsError) -> Settled | None:
    """The same with a generator that can do with the subjects that ingest left to learn from.

    Args:
        settled: What was refused.
        error: Why, with how many subjects there are and how many beside them are held out.

    Returns:
        None where the plan named its generator, or no other needs fewer.
    """
    if settled.chosen is None or not {"subjects", "held_out"} <= set(error.facts):
        return None  # what has too few is not what ingest left
    train, held_out = (int(str(error.facts[n])) for n in ("subjects", "held_out"))
    in_all = train + held_out
    rows = in_all if settled.schema.shape == "flat" else int(str(error.facts["rows"]))
    made = choose(settled.schema, rows, in_all, can_train=_can_train(), held_out=held_out)
    if made.name == settled.chosen["name"]:
        return None
    return _taken(settled, {"name": made.name, "why": made.why})


def _taken(settled: Settled, choice: dict[str, str]) -> Settled:
    generator = settled.plan.generator.model_copy(update={"name": choice["name"]})
    plan = settled.plan.model_copy(update={"generator": generator})
    return replace(settled, plan=plan, chosen=choice)


def _sizes(source: Source, settled: Settled) -> tuple[int, int]:
    """Rows and, about, subjects of a source."""
    from pyspark.sql import functions as sf

    from synth_spark.spark.arrow import quoted

    key = settled.schema.key
    if key is None:
        rows = int(source.frame.count())
        return rows, rows
    name = quoted(settled.plan.source_names().get(key.name, key.name))
    row = source.frame.agg(
        sf.count(sf.lit(1)).alias("rows"), sf.approx_count_distinct(name).alias("subjects")
    ).first()
    return int(row["rows"]), int(row["subjects"])


def _can_train() -> bool:
    return find_spec("torch") is not None
