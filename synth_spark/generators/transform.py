"""Quick, safe variants of records: operations on records, each with a stated effect.

A chain of operations (`_transform_chain.py`) makes new records of a bounded sample of donors, who
are protected when the model is made. Flat tables: `_transform_flat.py`. Events:
`_transform_events.py`. See docs/ref-generators-transform.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from synth_spark.core.conditions import CLOCK_FIELDS, Clause
from synth_spark.core.ports import Learning
from synth_spark.core.schema import Schema, Shape
from synth_spark.errors import PlanError
from synth_spark.generators._transform_chain import check_names


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformParams:
    """Settings of the transform generator; the defaults are meant for every table."""

    chain: tuple[str, ...] = ()  # operations in order; empty: the default chain of the shape
    min_subjects: int = 5  # a label, spike or exact number held by fewer subjects is not told
    donors: int = 20_000  # at most so many subjects of the records are donors
    group: int = 20  # least donors of a stratum, a micro-aggregated group or a condition
    histories: int = 20  # events: least donors of a stratum of histories
    sweeps: int = 2  # of `swap` over the donors, beside the one of every draw
    noise_share: float = 0.1  # `noise`, as a share of a number's spread (on normal scores)
    redraw_share: float = 0.1  # chance that `noise` redraws a category
    rank_share: float = 0.05  # of a stratum's ranks, how far `rank_swap` goes
    jitter_minutes: float = 10.0  # greatest move of a time
    jitter_metres: float = 100.0  # greatest move of a place
    choices: int = 16  # events: donors that are looked at for a segment
    gap_share: float = 0.1  # events: spread of the factor on each gap
    block_size: int = 4_096  # flat: rows drawn together; part of what a seed means

    def __post_init__(self) -> None:
        check_names(self.chain)
        least = {
            "min_subjects": 1,
            "donors": 1,
            "group": 2,
            "histories": 2,
            "sweeps": 1,
            "choices": 1,
            "block_size": 1,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise PlanError(
                    f"generator.params.{name} must be at least {low}.", field=name, least=low
                )
        for name in ("noise_share", "redraw_share", "rank_share", "gap_share"):
            if not 0 <= getattr(self, name) <= 1:  # NaN fails too
                raise PlanError(f"generator.params.{name} must lie in 0 to 1.", field=name)
        for name, most in (("jitter_minutes", 720.0), ("jitter_metres", 1e6)):
            if not 0 <= getattr(self, name) <= most:
                raise PlanError(f"generator.params.{name} must lie in 0 to {most:g}.", field=name)


class TransformModel:
    """Reads back the model of either shape."""

    @staticmethod
    def from_state(state: dict[str, Any]) -> Any:
        """The model that `state` came from: `FlatTwin` or `EventsTwin`."""
        if state.get("shape") == "flat":
            from synth_spark.generators._transform_flat import FlatTwin

            return FlatTwin.from_state(state)
        from synth_spark.generators._transform_events import EventsTwin

        return EventsTwin.from_state(state)


class Transform:
    """Record-level operations with stated effect: quick variants of governed records."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat", "events"})
    families: ClassVar[frozenset[str]] = frozenset()
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    Params: ClassVar[type[TransformParams]] = TransformParams
    Model: ClassVar[type[TransformModel]] = TransformModel

    def learn(self, schema: Schema, params: TransformParams, seed: int) -> Learning:
        """Tell the story of the learning; returns the model of the schema's shape."""
        story: Learning
        if schema.shape == "flat":
            from synth_spark.generators._transform_learn import learn_flat

            story = learn_flat(schema, params, seed)
        else:
            from synth_spark.generators._transform_events_learn import learn_events

            story = learn_events(schema, params, seed)
        return (yield from story)

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why records of this schema cannot be drawn under the clause; empty if they can."""
        if schema.shape == "flat":
            return ""
        if clause.field in CLOCK_FIELDS and clause.field not in {c.name for c in schema.columns}:
            return "histories are made of whole segments; other hours or days would be cut out"
        if schema.column(clause.field).per == "event":
            return "histories are made of whole segments; events that break it would be cut out"
        return ""


GENERATOR = Transform()
EXAMPLE = TransformParams(min_subjects=1, group=10)
