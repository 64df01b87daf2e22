"""A sequence GAN over tables of events: attributes first, then events, both faced by critics.

The generator is the event network (`_events_net.py`), pretrained by likelihood. An adversarial
phase then moves it against two critics (`_gan_train.py`); a monitor that asks no critic scores
every epoch on held-back units, stops a collapse, and keeps the epoch that stands nearest to real
units, the pretrained one included. See docs/ref-generators-gan.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Learning, Schedule, Take, Train, Trained
from synth_spark.core.schema import Schema, Shape
from synth_spark.errors import SynthError
from synth_spark.generators._events_net import (
    EventsModel,
    EventsParams,
    calibrated,
    learn_events,
)
from synth_spark.generators._gan_attributes import Judge, refined
from synth_spark.generators._gan_train import Adversarial
from synth_spark.generators._gan_units import encode_units

UNITS = 8_192  # about so many units take part in the adversarial phase
COLLAPSED = 1.5  # times the pretrained generator's distance: the generator has collapsed


class GanCollapsedError(SynthError):
    """What was learned repeats itself, and there is no better epoch to go back to."""

    code = "SYN-750"


@dataclass(frozen=True, slots=True, kw_only=True)
class GanParams:
    """Settings of the sequence GAN."""

    min_subjects: int = 5  # labels, places and numbers held by fewer subjects are not released
    bins: int = 34  # of a number
    leaf: int = 40  # units in a leaf of the trees of attributes
    trees: int = 20  # trees an attribute
    width: int = 128  # of the trunk
    head: int = 64  # of each head
    dropout: float = 0.15
    max_epochs: int = 30  # of the likelihood
    max_minutes: float = 10.0  # of the likelihood
    learning_rate: float = 2e-3  # of the likelihood
    weight_decay: float = 1e-3
    batch_size: int = 512  # events, of the likelihood
    patience: int = 6  # epochs of the likelihood without a gain before stopping
    adversarial_epochs: int = 20
    adversarial_minutes: float = 2.0
    units: int = 64  # units a step of the adversarial phase, all ranks together
    critic_rate: float = 1e-3  # learning rate of both critics
    generator_rate: float = 2e-4  # of the generator in the adversarial phase
    anchor: float = 1.0  # weight of the likelihood of real units in the adversarial phase
    alone: int = 30  # first steps of the adversarial phase, in which only the critics learn


@dataclass(slots=True)
class GanModel(EventsModel):
    """An event network whose attributes are picked by a critic where that came out better."""

    judge: Judge | None = None

    def state(self) -> dict[str, Any]:
        judge = None if self.judge is None else self.judge.state()
        return {**EventsModel.state(self), "judge": judge}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        judge = None if state["judge"] is None else Judge.from_state(state["judge"])
        return cls.of(EventsModel.from_state(state), judge)

    @classmethod
    def of(cls, model: EventsModel, judge: Judge | None) -> Self:
        """An event network as it is, with a critic of its attributes."""
        named = {f.name: getattr(model, f.name) for f in fields(EventsModel)}
        base = model.base if judge is None else refined(model.base, judge)
        return cls(**{**named, "base": base, "_walker": None, "judge": judge})


class Gan:
    """Likelihood first, then the critics."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"events"})
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    Params: ClassVar[type[Any]] = GanParams
    Model: ClassVar[type[Any]] = GanModel

    def learn(self, schema: Schema, params: GanParams, seed: int) -> Learning:
        known = {f.name: getattr(params, f.name) for f in fields(EventsParams)}
        first: EventsModel = yield from learn_events(schema, EventsParams(**known), seed)
        trainee = _trainee(first, params)
        encode = partial(encode_units, first, _share(first))
        trained: Trained = yield Train(encode, trainee, name="gan")
        model = settled(first, trained, trainee, seed)
        return model


def _share(model: EventsModel) -> float:
    """Of the units that take part."""
    facts = model.base.facts
    seen = facts["units_of_the_sample"] * facts["events"]
    return min(1.0, UNITS * facts["events_of_the_sample"] / max(seen, 1))


def _trainee(model: EventsModel, params: GanParams) -> Adversarial:
    schedule = Schedule(
        batch_size=params.units,
        max_epochs=params.adversarial_epochs,
        max_minutes=params.adversarial_minutes,
        learning_rate=params.critic_rate,
        final_rate=0.1,
        warmup_steps=10,
        betas=(0.5, 0.99),
        weight_decay=1e-3,
        ema=0.98,
        valid_share=0.15,
        patience=8,
        score_first=True,
        worse=COLLAPSED,
    )
    rate = params.generator_rate / params.critic_rate
    return Adversarial(
        schedule, model.trainee, model.support, model.weights, rate, params.anchor, params.alone
    )


def settled(first: EventsModel, trained: Trained, trainee: Adversarial, seed: int) -> GanModel:
    """The model of the epoch that the monitor keeps."""
    from synth_spark.models.critic import net_weights

    curve = {int(p["epoch"]): p["valid_nats"] for p in trained.curve if "valid_nats" in p}
    facts = {"curve": curve, "stopped": trained.stopped, "best": trained.best_epoch}
    first.facts = {**first.facts, "adversarial": facts}
    if not curve or not trained.best_epoch:
        return GanModel.of(first, None)
    judge = Judge.of(trained.weights, first.seen.columns)
    moved = GanModel.of(first, judge)
    moved.weights = net_weights(trained.weights, trainee.rate)
    calibrated(moved, seed)
    return moved


GENERATOR = Gan()
EXAMPLE = GanParams(
    min_subjects=1, leaf=10, trees=4, width=32, head=16, max_epochs=2, adversarial_epochs=1
)
