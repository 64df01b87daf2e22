"""A sequence GAN over tables of events: attributes first, then events, both faced by critics.

The generator is the event network (`_events_net.py`), pretrained by likelihood. An adversarial
phase then moves it against two critics (`_gan_train.py`); a monitor that asks no critic scores
every epoch on held-back units, stops a collapse, and keeps the epoch that stands nearest to real
units, the pretrained one included. See docs/ref-generators-gan.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from synth_spark.core.conditions import Clause
from synth_spark.core.ports import Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema, Shape
from synth_spark.generators._events_conditions import objection
from synth_spark.generators._events_net import EventsModel, EventsParams, learn_with_sample
from synth_spark.generators._gan_attributes import Judge, refined
from synth_spark.generators._gan_settle import WORSE, settled
from synth_spark.generators._gan_train import Adversarial
from synth_spark.generators._gan_units import MOST, encode_units

UNITS = 2_048  # at most about so many units take part in the adversarial phase
EPOCH_EVENTS = 100_000  # real events of its epochs, at most about
STEP_EVENTS = 2_560  # real events of its steps, at most about
HELD_BACK = 0.15  # of the subjects, from both phases: the monitor looks at them
EVENTS = 800_000  # about so many real events are enough for it


@dataclass(frozen=True, slots=True, kw_only=True)
class GanParams(EventsParams):
    """Settings of the sequence GAN; those of the event network are of the likelihood."""

    adversarial_epochs: int = 24
    adversarial_minutes: float = 10.0
    units: int = 64  # units a step of the adversarial phase, all ranks together
    critic_rate: float = 1e-3  # learning rate of both critics
    generator_rate: float = 2e-4  # of the generator in the adversarial phase
    anchor: float = 1.0  # weight of the likelihood of real units in the adversarial phase
    alone: int = 60  # first steps of the adversarial phase, in which only the critics learn


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
        """An event network with a critic of its attributes."""
        named = {f.name: getattr(model, f.name) for f in fields(EventsModel)}
        base = model.base if judge is None else refined(model.base, judge)
        return cls(**{**named, "base": base, "_walker": None, "judge": judge})


class Gan:
    """A sequence GAN: likelihood first, then two critics, kept where a monitor sees a gain."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"events"})
    families: ClassVar[frozenset[str]] = frozenset()
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    Params: ClassVar[type[Any]] = GanParams
    Model: ClassVar[type[Any]] = GanModel

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why events cannot be drawn under a clause; empty if they can."""
        return objection(schema, clause)

    def learn(self, schema: Schema, params: GanParams, seed: int) -> Learning:
        first: EventsModel
        first, sample = yield from learn_with_sample(schema, params, seed, HELD_BACK, marked=True)
        share, schedule = planned(first.base.facts, params)
        rate = params.generator_rate / params.critic_rate
        plain = first.support.unmoved()
        trainee = Adversarial(
            schedule, first.trainee, plain, first.weights, rate, params.anchor, params.alone
        )
        encode = partial(encode_units, replace(first, _walker=None), share)
        trained: Trained = yield Train(encode, trainee, name="gan")
        model, judge, facts = settled(first, trained, rate, sample, seed)
        out = GanModel.of(model, judge)
        out.facts = {**first.facts, "adversarial": facts}
        return out


def planned(facts: dict[str, Any], params: GanParams) -> tuple[float, Schedule]:
    """The share of the units that takes part in the adversarial phase, and its schedule."""
    mean = max(facts["events_of_the_sample"] / max(facts["units_of_the_sample"], 1), 1.0)
    units = facts["events"] / mean
    looked_at = min(mean, MOST)
    share = min(1.0, UNITS / max(units, 1), EPOCH_EVENTS / max(units * looked_at, 1))
    events = max(share * units * looked_at, 1)
    schedule = Schedule(
        batch_size=int(np.clip(STEP_EVENTS / looked_at, 8, params.units)),
        max_epochs=int(max(min(-(-EVENTS // events), params.adversarial_epochs), 1)),
        max_minutes=params.adversarial_minutes,
        learning_rate=params.critic_rate,
        final_rate=0.1,
        warmup_steps=10,
        betas=(0.5, 0.99),
        weight_decay=1e-3,
        ema=0.98,
        valid_share=HELD_BACK,
        patience=0,
        score_first=True,
        check_whole=True,
        worse=WORSE,
    )
    return share, schedule


GENERATOR = Gan()
EXAMPLE = GanParams(
    min_subjects=1, leaf=10, trees=4, width=32, head=16, max_epochs=2, adversarial_epochs=2, alone=1
)
