"""Whom scenarios reach among so many subjects, counted before anything is drawn.

The counts are those of `_sim_quota.members`, without a look at single subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from synth_spark.config.scenarios import FraudRing, Rare, Scenario
from synth_spark.generators._sim_quota import count, exact, member_number
from synth_spark.generators._sim_scenarios import ScenarioFitError


@dataclass(frozen=True, slots=True)
class Reach:
    """What one scenario comes to."""

    label: str
    subjects: int  # that it takes
    rings: int  # whole ones
    left: int  # members of a ring that is not whole; 0: none
    ring_size: int  # 0: the scenario has no rings
    needed: int  # subjects in all for one more member; with rings, for one more whole ring


def reached(scenarios: Sequence[Scenario], subjects: int) -> tuple[Reach, ...]:
    """What every scenario that takes a share of the subjects comes to among the first so many.

    Example:
        >>> from synth_spark.config.scenarios import scenario_from
        >>> ring = scenario_from({"kind": "fraud_ring", "subjects": 0.001, "ring_size": 8})
        >>> found = reached([ring], 2_000)[0]
        >>> found.subjects, found.rings, found.left, found.needed
        (2, 0, 2, 7500)
    """
    rates = [exact(getattr(s, "subjects", None) or 0.0) for s in scenarios]
    total = sum(rates, Fraction(0))
    position = count(subjects, total)
    found = []
    for k, (s, rate) in enumerate(zip(scenarios, rates, strict=True)):
        if not rate:
            continue
        taken = count(position, rate / total)
        position, total = position - taken, total - rate
        size = s.ring_size if isinstance(s, FraudRing) else 0
        rings, left = divmod(taken, size) if size else (0, 0)
        last = (rings + 1) * size - 1 if size else taken
        found.append(Reach(s.label, taken, rings, left, size, member_number(k, last, rates) + 1))
    return tuple(found)


def check_reach(scenarios: Sequence[Scenario], subjects: int) -> None:
    """Refuse scenarios that reach nobody.

    Raises:
        ScenarioFitError: One takes less than one of the subjects (SYN-762).
    """
    for r in reached(scenarios, subjects):
        if not r.subjects:
            first = _first(scenarios, r.label)
            more = f", {r.needed:,} for a whole ring of {r.ring_size}" if r.ring_size else ""
            raise ScenarioFitError(
                f"{r.label} takes none of {subjects:,} subjects: it needs {first:,} for one"
                f"{more}.",
                hint=f"{r.needed:,} subjects or more, or a larger share: subjects in the scenario",
                scenario=r.label, subjects=subjects, needed=r.needed, needed_for_one=first,
            )  # fmt: skip


def shortfalls(scenarios: Sequence[Scenario], subjects: int) -> tuple[str, ...]:
    """A sentence on every scenario with a ring that is not whole."""
    said = []
    for r in reached(scenarios, subjects):
        if r.left:
            whole = f"{r.rings:,} whole and one" if r.rings else "only one"
            said.append(
                f"{r.label} takes {r.subjects:,} of {subjects:,} subjects, {whole} of {r.left} in "
                f"place of {r.ring_size}; the next whole ring needs {r.needed:,} subjects."
            )
    return tuple(said)


def few_events(scenarios: Sequence[Scenario], rows: int) -> tuple[str, ...]:
    """A sentence on every share of the events that comes to less than one of so many."""
    return tuple(
        f"{s.label} takes {s.events:g} of the events, less than one of {rows:,}: likely none."
        for s in scenarios
        if isinstance(s, Rare) and s.events and s.events * rows < 1
    )


def _first(scenarios: Sequence[Scenario], label: str) -> int:
    """Subjects in all that a scenario needs to take one."""
    rates = [exact(getattr(s, "subjects", None) or 0.0) for s in scenarios]
    k = next(i for i, s in enumerate(scenarios) if s.label == label)
    return member_number(k, 0, rates) + 1
