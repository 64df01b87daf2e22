"""A run without a source: what its ids look like, and which steps are left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synth_spark.config import NoSourceError, Plan, Step
from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError


class ColdStartError(SynthError):
    """A plan without a source does not say what to make, or how much of it."""

    code = "SYN-764"


def cold_formats(schema: Schema) -> dict[str, Any]:
    """Formats of ids where no source shows them: 14 digits from 999 on, no country's code."""
    places = ["=9", "=9", "=9", *["digit"] * 11]
    named = [c.name for c in schema.of_kind("identifier")]
    return {role: {"places": places, "whole": False} for role in ("#key", *named)}


def cold_steps(plan: Plan, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of a plan without a source: there is nothing to ingest and to compare with.

    Raises:
        NoSourceError: The generator learns from records, or only steps with records are asked for.
        ColdStartError: The plan does not say what to make, or how much (SYN-764).
    """
    left = tuple(s for s in steps if s in ("fit", "sample"))
    if not plan.cold or not left:
        raise NoSourceError(
            "The plan names no source.",
            hint="--source.path FILE, or --generator.name simulation to work without one",
        )
    if plan.schema_of() is None:
        raise ColdStartError(
            "Without a source the plan must say what to make.", hint="--records.family cdr"
        )
    if plan.sample.subjects is None:
        raise ColdStartError(
            "Without a source the plan must say how many subjects to make.",
            hint="--sample.subjects 1000",
        )
    return left
