"""A causal decoder over events: calls, behaviour logs, system logs, browsing.

The story is that of the event network (`_events_net.py`): survey, sample, attributes of units by
forests, then a network; here it is a transformer that sees a unit's own attributes as its prefix
and up to `context` events back (`models/gpt.py`). It can be asked for prompts: subjects of some
region, events of one kind, certain hours. See docs/ref-generators-transformer.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Clause
from synth_spark.core.ports import Fold, Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema, Shape
from synth_spark.generators._events_calibrated import calibrated
from synth_spark.generators._events_decode import Base, learn_base
from synth_spark.generators._events_net import EXAMPLES, LOSSES, EventsParams
from synth_spark.generators._events_paces import KNOTS
from synth_spark.generators._events_plan import Contexts
from synth_spark.generators._events_seen import encode
from synth_spark.generators._events_support import Support
from synth_spark.generators._gpt_model import TransformerModel, check_taste
from synth_spark.generators._gpt_prompts import objection_to, undrawn
from synth_spark.generators._gpt_rare import with_true_rates
from synth_spark.generators._gpt_seen import Sight
from synth_spark.generators._gpt_train import GptTrainee, start_shares, token_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerParams(EventsParams):
    """Settings of the transformer; the defaults are meant for every table of events.

    As those of the event network, and these. `width` is that of a position.
    """

    layers: int = 2
    heads: int = 4  # of attention, `width` is a multiple of it
    context: int = 128  # events in sight; longer histories are seen through a sliding window
    dropout: float = 0.25
    weight_decay: float = 1e-2
    batch_size: int = 4  # rows of 192 positions, all ranks together; twice as many on big tables
    temperature: float = 1.0  # of drawing: below 1 what is likely comes more often than it did
    top_p: float = 1.0  # share of the mass, likeliest tokens first, that is drawn from

    def __post_init__(self) -> None:
        check_taste(self.temperature, self.top_p)


def bounds_state(base: Base, contexts: Contexts, records: Records) -> dict[str, Any]:
    """Which values met in an event of one part, and its tokens' counts."""
    support = Support.learn(base, contexts, records)
    units = base.coder.units(records)
    hour = (units.t % 86_400 // 3_600).astype(np.int64)
    unit = np.repeat(np.arange(len(units.anchor)), units.lengths)
    weekday = (units.anchor[unit] + (units.t // 86_400).astype(np.int64) + 3) % 7
    return {
        "cats": list(support.cats),
        "nums": list(support.nums),
        "clock": np.concatenate(
            [np.bincount(hour, minlength=24), np.bincount(weekday, minlength=7)]
        ),
        "tokens": token_counts(base, units),
    }


def merge_bounds(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The states of two parts."""
    tokens = {name: left["tokens"][name] + right["tokens"][name] for name in left["tokens"]}
    both = {
        side: [a | b for a, b in zip(left[side], right[side], strict=True)]
        for side in ("cats", "nums")
    }
    return {**both, "clock": left["clock"] + right["clock"], "tokens": tokens}


class Transformer:
    """A causal decoder over events, with prompts, temperature and nucleus."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"events"})
    families: ClassVar[frozenset[str]] = frozenset()
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    Params: ClassVar[type[TransformerParams]] = TransformerParams
    Model: ClassVar[type[TransformerModel]] = TransformerModel

    def learn(self, schema: Schema, params: TransformerParams, seed: int) -> Learning:
        """Tell the story of the learning; returns a `TransformerModel`."""
        base, sample = yield from learn_base(
            schema, min_subjects=params.min_subjects, bins=params.bins, leaf=params.leaf,
            trees=params.trees, seed=seed, cannot=undrawn,
        )  # fmt: skip
        contexts = Contexts.learn(base, sample)
        sight = Sight.learn(base, contexts, seed, params.context)
        bounds = yield Fold(partial(bounds_state, base, contexts), merge_bounds, "pairs")
        trainee = _trainee(params, base, sight, bounds["tokens"])
        trained: Trained = yield Train(partial(encode, base, sight.seen), trainee, name="events")
        model = TransformerModel(
            base, sight.seen, trainee, Support(tuple(bounds["cats"]), tuple(bounds["nums"])),
            trained.weights, _facts(trained), np.ones(len(KNOTS)), sight=sight,
            clock_seen=bounds["clock"],
        )  # fmt: skip
        calibrated(model, seed, by_shares=False)  # of folded categories they tell too little
        model = with_true_rates(model, bounds["tokens"], seed)
        return model.tempered(temperature=params.temperature, top_p=params.top_p)

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Why events of this schema cannot be drawn under the clause; empty if they can."""
        return objection_to(schema, clause)


def _facts(trained: Trained) -> dict[str, Any]:
    return {
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "examples": trained.examples,
        "curve": [{k: p[k] for k in LOSSES if k in p} for p in trained.curve],
    }


def _trainee(
    params: TransformerParams, base: Base, sight: Sight, counts: dict[str, NDArray[np.float64]]
) -> GptTrainee:
    clock, rows = base.coder.clock, int(base.facts["events"])
    schedule = Schedule(
        batch_size=params.batch_size if rows < 200_000 else 2 * params.batch_size,
        max_epochs=int(np.clip(-(-EXAMPLES // max(rows, 1)), 2, params.max_epochs)),
        max_minutes=params.max_minutes,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        warmup_steps=100,
        clip_norm=1.0,
        ema=0.998,
        patience=params.patience,
        betas=(0.9, 0.99),
    )
    return GptTrainee(
        schedule, sight.seen, clock, len(clock.jump_lo), params.width, params.head, params.dropout,
        sight, params.layers, params.heads, start_shares(counts),
    )  # fmt: skip


GENERATOR = Transformer()
EXAMPLE = TransformerParams(
    min_subjects=1, leaf=10, trees=4, max_epochs=2, width=32, head=16, layers=1, heads=2, context=16
)
