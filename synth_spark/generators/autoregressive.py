"""A network over discretised columns, drawn one after the other: the default generator.

Flat tables: a masked network over columns (`_flat_learn.py`). Events: the subject's context first,
then its events in order of time (`_events_net.py`). See docs/ref-generators-autoregressive-flat.md.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

from synth_spark.core.ports import Learning, Request
from synth_spark.core.schema import Schema, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoregressiveParams:
    """Settings of the autoregressive generator. The defaults are meant for every table."""

    min_subjects: int = 5  # a label or spike held by fewer subjects is not told by itself
    max_epochs: int = 0  # 0: by the number of examples
    max_minutes: float = 60.0
    batch_size: int = 256  # examples, all ranks together
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    dropout: float = 0.1
    valid_share: float = 0.05  # subjects that only check the loss
    patience: int = 0  # epochs without a gain on held-back rows before stopping; 0: never
    relations: bool = True  # flat: look for numbers that follow from other columns
    block_size: int = 4_096  # flat: rows drawn together; part of what a seed means


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
    """Learns either shape."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat", "events"})
    min_subjects: ClassVar[int] = 20
    Params: ClassVar[type[AutoregressiveParams]] = AutoregressiveParams
    Model: ClassVar[type[AutoregressiveModel]] = AutoregressiveModel

    def learn(
        self, schema: Schema, params: AutoregressiveParams, seed: int
    ) -> Generator[Request, Any, Any]:
        """Tell the story of the learning; returns the model of the schema's shape."""
        story: Learning
        if schema.shape == "flat":
            from synth_spark.generators._flat_learn import learn_flat

            story = learn_flat(schema, params, seed)
        else:
            from synth_spark.generators._events_net import learn_events

            story = learn_events(schema, params, seed)
        return (yield from story)


GENERATOR = Autoregressive
