"""The event network as a generator: attributes first, then events from running statistics.

The story is that of `markov` with a network in place of the tables: survey, sample, attributes,
then training on all rows. Sampling moves all units of a block on by one event at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition
from synth_spark.core.ports import Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key
from synth_spark.generators._events_calibrated import calibrated
from synth_spark.generators._events_clock import PAUSE_S
from synth_spark.generators._events_conditions import Asked, asked_of, coded_objection
from synth_spark.generators._events_decode import Base, decode, learn_base
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_folded import Folded
from synth_spark.generators._events_kernels import STRIDE
from synth_spark.generators._events_paces import KNOTS, hurry_of
from synth_spark.generators._events_plan import Contexts, token_shares
from synth_spark.generators._events_seen import Seen, as_trained, encode
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_train import EventTrainee
from synth_spark.generators._events_window import ALWAYS, Ahead, Walker

LOSSES = ("epoch", "train_nats", "valid_nats")  # of the curve; times would change the bytes
LONGEST = 1.3  # times its drawn count, a unit's greatest length
FEW = 8  # events of a unit up to which it is never longer: its ranks have no share for one more
EXAMPLES = 2_500_000  # about so many examples are enough for the network


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsParams:
    """Settings of the event network."""

    min_subjects: int = 5  # labels, places and numbers held by fewer subjects are not released
    bins: int = 34  # of a number
    leaf: int = 20  # units in a leaf of the trees of attributes
    trees: int = 20  # trees an attribute
    width: int = 128  # of the trunk
    head: int = 64  # of each head
    dropout: float = 0.15
    max_epochs: int = 30
    max_minutes: float = 10.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    batch_size: int = 512
    patience: int = 6


@dataclass(slots=True)
class EventsModel:
    """Attributes, a network, and what turns tokens back into records."""

    base: Base
    seen: Seen
    trainee: EventTrainee
    support: Support
    weights: dict[str, NDArray[Any]]
    facts: dict[str, Any]
    pace: NDArray[np.float64]  # the count is shown so many times as large, at each of KNOTS
    asked: Asked | None = None
    _walker: Walker | None = field(default=None, repr=False, compare=False)

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.base.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        held = self.asked.held if self.asked else None
        drawn = self.base.histories.draw(self.block_size, seed, block, held)
        lengths, t, cats, nums = self.events(drawn, seed, block)
        records = decode(self.base, drawn, lengths, t, cats, nums, block=block, seed=seed)
        return records if subjects == records.subjects else records.take(np.arange(subjects))

    def events(
        self, drawn: Drawn, seed: int, block: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
        """Events of units: length of each unit; times, categories and numbers end to end."""
        attributes, layout = self.base.histories.attributes, self.seen.layout
        n = np.rint(drawn.table[:, attributes.index("n")]).astype(np.int64)
        u = generator(seed, "net/noise", block).random((len(n), 2))
        paces = self.paces(n)
        shown, scaled = self.seen.of_units(self.base, drawn.table, u, paces)
        shares = token_shares(attributes, self.seen.contexts, drawn.table).astype(np.float32)
        longest = 2 * LONGEST if self.seen.loose else LONGEST
        if self.asked:
            shares = self.asked.shares(shares, self.seen.contexts.starts)
        most = np.minimum(np.floor(longest * n + 0.5).astype(np.int64), layout.most_events)
        if not self.seen.loose:
            most = np.where(n <= FEW, np.minimum(n, most), most)
        # A count shown too large drives an episode's first days and is let go towards its end.
        ease = 1 / np.maximum(paces, 1) - 1 if self.seen.loose else 0 * paces
        order = np.argsort(-n, kind="stable")
        key = np.uint64(stream_key(seed, f"net/{block}") & 0x7FFFFFFFFFFFFFFF)
        with np.errstate(over="ignore"):
            random = np.arange(len(n), dtype=np.uint64) * STRIDE + key
        room_s = self.base.coder.room_s(drawn.anchor)
        ahead = Ahead(
            order[n[order] > 0], most, n.astype(float), (drawn.anchor + 3) % 7,
            room_s, shown, ease, scaled, shares, as_trained(shares), random[:, None],
            self.seen.until(shown, room_s, self.base.coder.clock), self.seen.latest(shown),
            hurry_of(self.support.hurry, n),
        )  # fmt: skip
        lengths, t, tokens = self.walker().walk(ahead).packed()
        categories = len(layout.widths)
        return lengths, t, tokens[:, :categories], tokens[:, categories:]

    def paces(self, n: NDArray[Any]) -> NDArray[np.float64]:
        """How many times as large each drawn count is shown, shape (units,)."""
        return np.asarray(np.interp(np.log(np.maximum(n, 1)), KNOTS, self.pace))

    def walker(self) -> Walker:
        """What draws the events of units."""
        if self._walker is None:
            net, asked = Folded.of(self.weights, self.seen.layout), self.asked
            hours = asked.open if asked and asked.clocked else ALWAYS
            self._walker = Walker(
                net if asked is None else net.without(asked.nums, len(self.support.cats)),
                self.seen.layout, self.base.coder.clock,
                self.support if asked is None else asked.support(self.support),
                self.seen.gate, hours,
            )  # fmt: skip
        return self._walker

    def conditioned(self, condition: Condition) -> EventsModel:
        """The same model under a condition; see `_events_conditions.py`."""
        base, asked = asked_of(self.base, self.support, condition)
        return EventsModel(
            base, self.seen, self.trainee, self.support, self.weights, self.facts, self.pace, asked
        )

    def state(self) -> dict[str, Any]:
        schedule = self.trainee.schedule
        return {
            "base": self.base.state(),
            "seen": self.seen.state(),
            "support": self.support.state(),
            "weights": dict(self.weights),
            "facts": self.facts,
            "pace": self.pace,
            "net": [self.trainee.width, self.trainee.head, self.trainee.dropout],
            "batch_size": schedule.batch_size,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        base, seen = Base.from_state(state["base"]), Seen.from_state(state["seen"])
        clock = base.coder.clock
        trainee = EventTrainee(
            Schedule(batch_size=state["batch_size"]), seen, clock, len(clock.jump_lo), *state["net"]
        )
        return cls(
            base,
            seen,
            trainee,
            Support.from_state(state["support"]),
            state["weights"],
            state["facts"],
            state["pace"],
        )

    def about(self) -> dict[str, Any]:
        return {**self.base.facts, **self.facts, "pace": np.round(self.pace, 4).tolist()}


def learn_events(schema: Schema, params: EventsParams, seed: int) -> Learning:
    """Tell the story of learning a table of events; returns an `EventsModel`."""
    model, _ = yield from learn_with_sample(schema, params, seed)
    return model


def learn_with_sample(
    schema: Schema, params: EventsParams, seed: int, held_back: float = 0.1, marked: bool = False
) -> Learning:
    """The same; returns the model and the sample that its base was learned from.

    Args:
        schema: Of the records.
        params: The network's settings.
        seed: Of the run.
        held_back: Share of the subjects that only check the loss.
        marked: Hold back those that another marked encoding holds back too.
    """
    base, sample = yield from learn_base(
        schema, min_subjects=params.min_subjects, bins=params.bins, leaf=params.leaf,
        trees=params.trees, seed=seed, cut_s=PAUSE_S, cannot=coded_objection,
    )  # fmt: skip
    contexts = Contexts.learn(base, sample)
    seen = Seen.learn(base, contexts, seed)
    clock, rows = base.coder.clock, int(base.facts["events"])
    schedule = Schedule(
        batch_size=params.batch_size if rows < 200_000 else 2 * params.batch_size,
        max_epochs=int(np.clip(-(-EXAMPLES // max(rows, 1)), 2, params.max_epochs)),
        max_minutes=params.max_minutes,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        warmup_steps=100,
        clip_norm=2.0,
        ema=0.998,
        patience=params.patience,
        betas=(0.9, 0.99),
        valid_share=held_back,
    )
    trainee = EventTrainee(
        schedule, seen, clock, len(clock.jump_lo), params.width, params.head, params.dropout
    )
    trained: Trained = yield Train(
        partial(encode, base, seen, marked=marked), trainee, name="events"
    )
    facts = {
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "examples": trained.examples,
        "curve": [{k: p[k] for k in LOSSES if k in p} for p in trained.curve],
    }
    support = Support.learn(base, contexts, sample)
    pace = np.ones(len(KNOTS))
    model = EventsModel(base, seen, trainee, support, trained.weights, facts, pace)
    return calibrated(model, seed), sample
