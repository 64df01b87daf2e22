"""Which generator comes out of the adversarial phase: the moved one, or the one before it.

The monitor scored every epoch on held-back units, the pretrained generator as epoch 0; the loop
kept the best one. Here the kept one is drawn from once more, end to end, and must not repeat
itself; else the pretrained one is taken, and if that one repeats itself too, nothing is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from synth_spark.core.batch import Records
from synth_spark.core.ports import Trained
from synth_spark.errors import SynthError
from synth_spark.generators._events_calibrated import calibrated
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._gan_attributes import Judge, refined
from synth_spark.generators._gan_monitor import variety
from synth_spark.generators._gan_units import Ragged

WORSE = 1.5  # times the least distance of an epoch: the generator has collapsed
LEAST_VARIETY = 0.5  # of the real one's: below it the generator has collapsed
CHECKED = 2_000  # subjects that are compared end to end


class GanCollapsedError(SynthError):
    """What was learned repeats itself, and there is no better epoch to go back to."""

    code = "SYN-750"


def settled(
    first: EventsModel, trained: Trained, rate: float, sample: Records, seed: int
) -> tuple[EventsModel, Judge | None, dict[str, Any]]:
    """The generator that is kept, with its critic of attributes, and what is to be told of it.

    Args:
        first: The pretrained generator.
        trained: What the loop gave back.
        rate: Of the adversary, see `Adversary`.
        sample: Real subjects.
        seed: The run's seed.

    Raises:
        GanCollapsedError: Even the pretrained generator repeats itself (SYN-750).
    """
    curve = {int(p["epoch"]): p["valid_nats"] for p in trained.curve if "valid_nats" in p}
    facts: dict[str, Any] = {
        "stopped": trained.stopped,
        "best_epoch": trained.best_epoch if curve else 0,
        "distance": [[k, round(v, 5)] for k, v in curve.items()],
        "collapsed_in": collapses(curve),
    }
    if curve:
        facts["distance_pretrained"] = round(curve[0], 5)
        facts["distance_kept"] = round(curve[trained.best_epoch], 5)
    if curve and trained.best_epoch:
        model, judge = moved(first, trained, rate, seed)
        drawn_from = replace(model, base=refined(model.base, judge), _walker=None)
        real, twin = varieties(drawn_from, sample, seed)
        if twin >= LEAST_VARIETY * real:
            return model, judge, {**facts, "variety": [real, twin], "outcome": _outcome(facts)}
        facts["best_epoch"] = 0
    real, twin = varieties(first, sample, seed)
    if twin < LEAST_VARIETY * real:
        raise GanCollapsedError(
            f"Of the twin's runs of four events {twin:.0%} differ, of real ones {real:.0%}.",
            hint="more subjects, more max_epochs or another seed",
            real=real, twin=twin, **facts,
        )  # fmt: skip
    return first, None, {**facts, "variety": [real, twin], "outcome": _outcome(facts)}


def collapses(curve: dict[int, float]) -> list[int]:
    """The epochs whose distance is more than `WORSE` times the least before them.

    Example:
        >>> collapses({0: 0.09, 1: 0.05, 2: 0.06, 3: 0.08})  # a gain in epoch 1 is no collapse of 0
        [3]
    """
    found, least = [], float("inf")
    for epoch, distance in curve.items():
        if distance > WORSE * least:
            found.append(epoch)
        least = min(least, distance)
    return found


def _outcome(facts: dict[str, Any]) -> str:
    """What the monitor did, in words."""
    if not facts["distance"]:
        return "not monitored, for want of held-back subjects: the pretrained generator is kept"
    said = []
    if facts["collapsed_in"]:
        said.append(f"stopped: the generator collapsed in epoch {facts['collapsed_in'][0]}")
    if facts["best_epoch"]:
        last = facts["distance"][-1][0]
        back = "rolled back to" if facts["best_epoch"] < last else "kept"
        said.append(f"{back} adversarial epoch {facts['best_epoch']} of {last}")
    else:
        said.append("rolled back to the pretrained generator: no epoch stood nearer to real units")
    return "; ".join(said)


def moved(
    first: EventsModel, trained: Trained, rate: float, seed: int
) -> tuple[EventsModel, Judge]:
    """The generator with the weights that the loop kept, at the pace of its drawn counts."""
    from synth_spark.models.critic import net_weights

    weights = net_weights(trained.weights, rate)
    judge = Judge.of(trained.weights, first.seen.columns)
    plain = replace(first, weights=weights, _walker=None)
    model = calibrated(replace(plain, base=refined(first.base, judge)), seed)
    return replace(plain, weights=model.weights, pace=model.pace, support=model.support), judge


def varieties(model: EventsModel, sample: Records, seed: int) -> tuple[float, float]:
    """Share of different runs of events among as many real and drawn subjects."""
    subjects = min(sample.subjects, model.block_size, CHECKED)
    coder = model.base.coder
    real = variety(Ragged.of_records(coder, sample.take(np.arange(subjects))))
    twin = variety(Ragged.of_records(coder, model.sample(0, subjects, seed)))
    return round(real, 4), round(twin, 4)
