"""Any events: times by the rhythm and the bursts alone; all else from own shares and habits."""

from __future__ import annotations

from synth_spark.core.batch import Values
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_scenarios import before_rows, put_rare
from synth_spark.generators._sim_sessions import as_sessions


def draw(draft: Draft) -> None:
    """All events of a block, sorted."""
    p, rates = draft.facts.params, draft.rates_a_day()
    learned = "pages" in draft.facts.fitted  # without records nothing says that events come in runs
    draft.arrive(rates / (p.pages * p.requests) if learned else rates)
    before_rows(draft)
    if learned:
        as_sessions(draft)
    draft.take(draft.inside())
    draft.sort(draft.facts.tables["step_s"][0])
    put_rare(draft)


def columns(draft: Draft) -> dict[str, Values]:
    """The time; the others come from `_sim_other.py`."""
    return {draft.facts.schema.time: draft.moments()}


def nothing(draft: Draft) -> dict[str, Values]:
    """Of a flat table no column follows from a rule once it was learned."""
    return {}
