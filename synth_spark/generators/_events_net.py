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
from synth_spark.generators._events_clock import PAUSE_S
from synth_spark.generators._events_conditions import Asked, asked_of
from synth_spark.generators._events_decode import Base, decode, learn_base
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_folded import Folded
from synth_spark.generators._events_kernels import STRIDE
from synth_spark.generators._events_plan import Contexts, token_shares
from synth_spark.generators._events_seen import Seen, encode
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_train import EventTrainee
from synth_spark.generators._events_window import ALWAYS, Ahead, Walker

LOSSES = ("epoch", "train_nats", "valid_nats")  # of the curve; times would change the bytes
LONGEST = 1.3  # times its drawn count, a unit's greatest length
KNOTS = np.log([2, 6, 15, 40, 100, 250, 600])  # counts at which the pace is set
STEP, DOUBTED = 0.7, 30.0  # part of the way that biases move, events that say nothing
MORE = 2.0  # times that of categories: a network that is told what came works against its biases
CALIBRATION = 80_000  # events of the units that it is set on
EXAMPLES = 2_500_000  # about so many examples are enough for the network


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsParams:
    """Settings of the event network."""

    min_subjects: int = 5  # labels, places and numbers held by fewer subjects are not released
    bins: int = 34  # of a number
    leaf: int = 40  # units in a leaf of the trees of attributes
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
        # A count shown too large drives an episode's first days and is let go towards its end.
        ease = 1 / np.maximum(paces, 1) - 1 if self.seen.loose else 0 * paces
        order = np.argsort(-n, kind="stable")
        key = np.uint64(stream_key(seed, f"net/{block}") & 0x7FFFFFFFFFFFFFFF)
        with np.errstate(over="ignore"):
            random = np.arange(len(n), dtype=np.uint64) * STRIDE + key
        ahead = Ahead(
            order[n[order] > 0], most, n.astype(float), (drawn.anchor + 3) % 7,
            self.base.coder.room_s(drawn.anchor), shown, ease, scaled, shares,
            random[:, None],
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


def calibrated(model: EventsModel, seed: int) -> EventsModel:
    """Set what drawing on its own gets wrong: the pace of units, and how often numbers come.

    A network that is a little slow or quick would else leave units short, or crowd their last
    hours; the count shown sets its pace from the first event on, and is larger or smaller until
    units are as long as their drawn counts, on average. A number that hangs on the one before it
    drifts by a little at each event: its tokens' biases move until each is as frequent as in the
    records, as far as so few subjects can tell. Those of the categories' values move until each
    comes as often as the drawn shares of the same units say.
    """
    drawn = _some_drawn(model, seed)
    attributes = model.base.histories.attributes
    want = drawn.table[:, attributes.index("n")]
    shares = token_shares(attributes, model.seen.contexts, drawn.table)
    at = np.log(np.maximum(want, 1))
    near = np.array([np.interp(at, KNOTS, row) for row in np.eye(len(KNOTS))])  # (knots, units)
    goal = near @ want
    doubt = 0.02 * want.sum()
    tried: list[tuple[float, int, NDArray[np.float64], dict[str, NDArray[Any]]]] = []
    for _ in range(5):
        lengths, _, cats, numbers = model.events(drawn, seed, 0)
        got = near @ lengths
        off = float(np.abs(got - goal).sum() / max(goal.sum(), 1))
        drift, weights = _drift(model, numbers, np.repeat(drawn.owner, lengths))
        astray, weights = _astray(model, weights, shares, drawn.owner, lengths, cats)
        drift += astray
        tried.append((off + drift, len(tried), model.pace, model.weights))
        if off < 0.01 and drift == 0:
            break
        if off >= 0.01:
            model.pace = np.clip(model.pace * (goal + doubt) / (got + doubt), 0.6, 2.5)
        model.weights, model._walker = weights, None
    _, _, model.pace, model.weights = min(tried, key=lambda one: one[:2])
    model._walker = None
    return model


def _drift(
    model: EventsModel, drawn: NDArray[np.int32], owner: NDArray[np.int64]
) -> tuple[float, dict[str, NDArray[Any]]]:
    """How far the shares of the numbers' tokens are off, and weights that bring them nearer.

    What lies within two standard errors is left alone: the events of a subject are alike, so that
    its tokens say less than as many subjects' would (the design effect of Kish, Survey Sampling,
    1965).

    Args:
        model: What drew.
        drawn: Tokens, shape (events, numbers).
        owner: Subject of each event, shape (events,).
    """
    weights, far, events = dict(model.weights), 0.0, max(len(drawn), 1)
    owner = np.unique(owner, return_inverse=True)[1].ravel()
    n = np.bincount(owner)[:, None]
    for j, column in enumerate(model.base.coder.nums):
        real, tokens = np.asarray(column.codec.shares), np.maximum(drawn[:, j], 0)
        size = len(real)
        if size < 2 or not len(drawn):
            continue
        each = np.bincount(owner * size + tokens, minlength=len(n) * size).reshape(len(n), size)
        made = each.sum(axis=0) / events
        even = np.maximum((n * made * (1 - made)).sum(axis=0), 1e-9)
        away = ((each - n * made) ** 2).sum(axis=0)  # none of its own says nothing of a token
        alike = np.maximum(away / even, max(float(away.sum() / even.sum()), 1.0))
        error = 2 * np.sqrt(real * (1 - real) * alike / events)
        beyond = np.sign(made - real) * np.maximum(np.abs(made - real) - error, 0.0)
        far += float(np.abs(beyond).sum() / 2)
        doubt = DOUBTED / events
        step = np.clip(np.log((real + doubt) / (real + beyond + doubt)), -1.0, 1.0)
        name = f"num_out.{j}.bias"
        weights[name] = (weights[name] + STEP * step).astype(np.float32)
    return far, weights


def _astray(
    model: EventsModel, weights: dict[str, NDArray[Any]], shares: NDArray[np.float64],
    owner: NDArray[np.int64], lengths: NDArray[np.int64], cats: NDArray[np.int32],
) -> tuple[float, dict[str, NDArray[Any]]]:  # fmt: skip
    """How far the categories' values are from the units' drawn shares, and weights nearer to them.

    What lies within two standard errors is left alone, by how far subjects are apart.

    Args:
        model: What drew.
        weights: Of its network.
        shares: Drawn share of each value in each unit, shape (units, values).
        owner: Subject of each unit, shape (units,).
        lengths: Events of each unit.
        cats: Tokens, shape (events, categories).
    """
    contexts, events, far = model.seen.contexts, max(len(cats), 1), 0.0
    some, owner = lengths > 0, np.unique(owner, return_inverse=True)[1].ravel()
    of_event, weights = np.repeat(owner, lengths), dict(weights)
    for c, (start, width) in enumerate(zip(contexts.starts, contexts.widths, strict=True)):
        if width < 2 or contexts.in_runs[c] or not len(cats):
            continue
        want = np.zeros((int(owner.max()) + 1, int(width)))
        of_units = shares[some, start : start + width] * lengths[some, None]
        np.add.at(want, owner[some], of_units)
        got = np.bincount(of_event * width + cats[:, c], minlength=want.size).reshape(want.shape)
        away = (got - want).sum(axis=0)
        error = 2 * np.sqrt(((got - want) ** 2).sum(axis=0))
        far += float(np.maximum(np.abs(away) - error, 0.0).sum() / 2 / events)
        all_of = want.sum(axis=0) + DOUBTED
        moved = np.where(np.abs(away) > error, away, 0.0)
        step = np.clip(np.log(all_of / (all_of + moved)), -1.0, 1.0)
        name = f"cat_out.{c}.bias"
        bias = weights[name].copy()
        bias[:width] += (MORE * STEP * step).astype(np.float32)
        weights[name] = bias
    return far, weights


def _some_drawn(model: EventsModel, seed: int) -> Drawn:
    """Units of a block, as many as hold about `CALIBRATION` events."""
    drawn = model.base.histories.draw(min(model.block_size, 1_024), seed, 0)
    n = drawn.table[:, model.base.histories.attributes.index("n")]
    order = generator(seed, "calibration").permutation(len(n))
    keep = np.sort(order[: int(np.searchsorted(np.cumsum(n[order]), CALIBRATION)) + 1])
    return Drawn(drawn.owner[keep], drawn.anchor[keep], drawn.table[keep], drawn.subject)


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
        trees=params.trees, seed=seed, cut_s=PAUSE_S,
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
