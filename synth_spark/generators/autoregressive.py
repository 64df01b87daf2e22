"""A network over discretised columns, drawn one after the other: the default generator.

Flat tables: a masked network over columns (`_flat_learn.py`). Events: the subject's context first,
then its events in order of time (`_events_net.py`). See docs/ref-generators-autoregressive-flat.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from synth_spark.core.conditions import Clause
from synth_spark.core.ports import Learning
from synth_spark.core.schema import Schema, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoregressiveParams:
    """Settings of the autoregressive generator; None stands for what is best for the shape.

    The defaults are meant for every table. Settings marked "flat" or "events" have no effect on
    the other shape.
    """

    min_subjects: int = 5  # a label or spike held by fewer subjects is not told by itself
    max_epochs: int | None = None  # flat: by the number of rows
    max_minutes: float | None = None  # flat: 10
    batch_size: int | None = None  # examples, all ranks together; flat: 256
    learning_rate: float | None = None  # flat: 0.001
    weight_decay: float | None = None  # flat: 0.1, more on small tables
    dropout: float | None = None  # flat: 0.1
    patience: int = 6  # epochs without a gain on held-back subjects before stopping; 0: never
    valid_share: float = 0.05  # flat: rows that only check the loss; 0.1 on small tables
    relations: bool = True  # flat: look for numbers that follow from other columns
    boost: bool = True  # flat: trees on top where they find what the network has not
    block_size: int = 4_096  # flat: rows drawn together; part of what a seed means
    bins: int | None = None  # events: of a number
    leaf: int | None = None  # events: units in a leaf of the trees of attributes
    trees: int | None = None  # events: trees an attribute
    width: int | None = None  # events: of the trunk
    head: int | None = None  # events: of each head


class AutoregressiveModel:
    """Reads back the model of either shape."""

    @staticmethod
    def from_state(state: dict[str, Any]) -> Any:
        """The model that `state` came from: `FlatModel` or `EventsModel`."""
        if state.get("shape") == "flat":
            from synth_spark.generators._flat_model import FlatModel

            return FlatModel.from_state(state)
        from synth_spark.generators._events_net import EventsModel

        return EventsModel.from_state(state)


class Autoregressive:
    """A network over discretised columns, one after the other: the default for both shapes."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat", "events"})
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    fills: ClassVar[frozenset[Shape]] = frozenset({"flat"})
    weighs: ClassVar[frozenset[Shape]] = frozenset({"flat"})  # models with `log_probability`
    families: ClassVar[frozenset[str]] = frozenset()
    Params: ClassVar[type[AutoregressiveParams]] = AutoregressiveParams
    Model: ClassVar[type[AutoregressiveModel]] = AutoregressiveModel

    def learn(self, schema: Schema, params: AutoregressiveParams, seed: int) -> Learning:
        """Tell the story of the learning; returns the model of the schema's shape."""
        story: Learning
        if schema.shape == "flat":
            from synth_spark.generators._flat_learn import learn_flat

            story = learn_flat(schema, params, seed)
        else:
            from synth_spark.generators._events_net import EventsParams, learn_events

            known = {f.name: getattr(params, f.name, None) for f in fields(EventsParams)}
            given = {name: value for name, value in known.items() if value is not None}
            story = learn_events(schema, EventsParams(**given), seed)
        return (yield from story)

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why records cannot be drawn under a clause; empty if they can."""
        if schema.shape == "flat":
            return ""
        from synth_spark.generators._events_conditions import objection

        return objection(schema, clause)


GENERATOR = Autoregressive()
EXAMPLE = AutoregressiveParams(min_subjects=1, max_epochs=2)
