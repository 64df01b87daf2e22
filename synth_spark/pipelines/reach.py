"""What a plan's settings come to among so many subjects, where its generator can foretell it."""

from __future__ import annotations

from synth_spark.config import AUTO, Plan
from synth_spark.core.ports import Foretells
from synth_spark.core.shelf import GENERATORS


def check_reach(plan: Plan, subjects: int) -> None:
    """Refuse a plan with a scenario that would take none of the subjects.

    Raises:
        SynthError: There is one (SYN-762).
    """
    kind = _foreteller(plan)
    if kind is not None:
        kind.check_reach(plan.params(), subjects)


def short(plan: Plan, subjects: int, rows: int) -> tuple[str, ...]:
    """Sentences on what came out smaller than asked for, such as a ring of two in place of eight.

    Args:
        plan: Of the run.
        subjects: That were drawn.
        rows: Of them all.
    """
    kind = _foreteller(plan)
    return () if kind is None else kind.short(plan.params(), subjects, rows)


def _foreteller(plan: Plan) -> Foretells | None:
    """The generator, if it can foretell.

    Under quotas and a table of conditions the subjects' numbers, by which scenarios take them, have
    gaps between the parts: then nothing is foretold.
    """
    if plan.generator.name == AUTO or plan.sample.quotas or plan.sample.given:
        return None
    kind = GENERATORS.get(plan.generator.name)
    return kind if isinstance(kind, Foretells) else None
