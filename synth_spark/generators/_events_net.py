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
from synth_spark.core.ports import Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key
from synth_spark.generators import _events_draws as draws
from synth_spark.generators import _events_statistics as walks
from synth_spark.generators._events_decode import Base, decode, learn_base
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_plan import Contexts, token_shares
from synth_spark.generators._events_statistics import AFTER
from synth_spark.generators._events_train import OWED, EventTrainee, Seen, encode

LOSSES = ("epoch", "train_nats", "valid_nats")  # of the curve; times would change the bytes
LONGEST = 1.3  # times its drawn count, a unit's greatest length
KNOTS = np.log([2, 6, 15, 40, 100, 250, 600])  # counts at which the pace is set
CALIBRATION = 80_000  # events of the units that it is set on
AT_ONCE = 4_096  # units that move on together
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


@dataclass(frozen=True, slots=True)
class Support:
    """Which values met in one event of the sample; what never met is not drawn."""

    cats: tuple[NDArray[np.bool_], ...]  # (earlier, widest, values) of each category
    nums: tuple[NDArray[np.bool_], ...]  # (categories, widest, tokens) of each number

    @classmethod
    def learn(cls, base: Base, contexts: Contexts, sample: Records) -> Self:
        """Look at every pair of columns of the sample's events."""
        units = base.coder.units(sample)
        widest = int(contexts.widths.max(initial=1))
        cats, nums = [], []
        for j, column in enumerate(base.coder.cats):
            met = np.ones((j, widest, column.tokens), bool)
            for e in range(j):
                met[e] = _met(units.cats[:, e], units.cats[:, j], widest, column.tokens)
            cats.append(met)
        for j, column in enumerate(base.coder.nums):
            size = int(np.diff(contexts.num_start)[j])
            kinds = _kinds(column.codec, size)
            met = np.ones((len(base.coder.cats), widest, size), bool)
            for c in range(len(base.coder.cats)):
                pair = _met(units.cats[:, c], kinds[units.nums[:, j]], widest, size + 1)
                met[c] = pair[:, kinds]
            nums.append(met)
        return cls(tuple(cats), tuple(nums))


def _met(a: NDArray[Any], b: NDArray[Any], rows: int, columns: int) -> NDArray[np.bool_]:
    flat = np.bincount(a.astype(np.int64) * columns + b, minlength=rows * columns)
    return np.asarray(flat.reshape(rows, columns) > 0)


def _kinds(codec: Any, size: int) -> NDArray[np.int64]:
    """The kind of each token: itself for missing and spikes, one kind for all ordinary bins."""
    kinds = np.full(size, size, np.int64)
    special = [*np.asarray(codec.spike_tokens).tolist(), codec.missing_token]
    if len(special) > size // 2:  # mostly spikes: a small lattice of values, not special ones
        special = [codec.missing_token]
    for token in special:
        if token >= 0:
            kinds[token] = token
    return kinds


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
    _net: Any = field(default=None, repr=False, compare=False)

    @property
    def block_size(self) -> int:
        """Subjects drawn together."""
        return self.base.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        drawn = self.base.histories.draw(self.block_size, seed, block)
        lengths, t, cats, nums = self.events(drawn, seed, block)
        records = decode(self.base, drawn, lengths, t, cats, nums, block=block, seed=seed)
        return records if subjects == records.subjects else records.take(np.arange(subjects))

    def events(
        self, drawn: Drawn, seed: int, block: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
        """Events of units: length of each unit; times, categories and numbers end to end."""
        attributes = self.base.histories.attributes
        n = np.rint(drawn.table[:, attributes.index("n")]).astype(np.int64)
        u = generator(seed, "net/noise", block).random((len(n), 2))
        paces = self.paces(n)
        shown, scaled = self.seen.of_units(self.base, drawn.table, u, paces)
        shares = token_shares(attributes, self.seen.contexts, drawn.table)
        key = stream_key(seed, f"net/{block}") & 0x7FFFFFFFFFFFFFFF
        order = np.argsort(-n, kind="stable")
        order = order[n[order] > 0]
        parts = []
        for a in range(0, len(order), AT_ONCE):
            units = order[a : a + AT_ONCE]
            run = _Run(self, units, drawn, n, shown, scaled, shares, key, paces)
            parts.append(run.to_end())
        unit = np.concatenate([np.zeros(0, np.int64), *(p[0] for p in parts)])
        back = np.argsort(unit, kind="stable")
        t = np.concatenate([np.zeros(0), *(p[1] for p in parts)])[back]
        widths = (len(self.base.coder.cats), len(self.base.coder.nums))
        cats, nums = (
            np.concatenate([np.zeros((0, w), np.int32), *(p[2 + k] for p in parts)])[back]
            for k, w in enumerate(widths)
        )
        return np.bincount(unit, minlength=len(n)).astype(np.int64), t, cats, nums

    def paces(self, n: NDArray[Any]) -> NDArray[np.float64]:
        """How many times as large each drawn count is shown, shape (units,)."""
        return np.asarray(np.interp(np.log(np.maximum(n, 1)), KNOTS, self.pace))

    def net(self) -> Any:
        """The network with its weights, for inference."""
        if self._net is None:
            import torch

            module = self.trainee.build()
            module.load_state_dict({k: torch.as_tensor(v) for k, v in self.weights.items()})
            self._net = module.eval()
        return self._net

    def state(self) -> dict[str, Any]:
        schedule = self.trainee.schedule
        return {
            "base": self.base.state(),
            "seen": self.seen.state(),
            "support": [list(self.support.cats), list(self.support.nums)],
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
        cats, nums = (tuple(part) for part in state["support"])
        return cls(
            base,
            seen,
            trainee,
            Support(cats, nums),
            state["weights"],
            state["facts"],
            state["pace"],
        )

    def about(self) -> dict[str, Any]:
        return {**self.base.facts, **self.facts, "pace": np.round(self.pace, 4).tolist()}


class _Run:
    """Units of one block on their way, moved on by one event at a time."""

    def __init__(
        self, model: EventsModel, units: NDArray[np.int64], drawn: Drawn, n: NDArray[np.int64],
        shown: NDArray[np.float64], scaled: NDArray[np.float32],
        shares: NDArray[np.float64], key: int, paces: NDArray[np.float64],
    ) -> None:  # fmt: skip
        self.model, self.units = model, units
        self.layout = model.seen.layout
        self.p = self.layout.packed()
        self.weekday = (drawn.anchor[units] + 3) % 7
        self.shown, self.scaled = shown[units], scaled[units]
        # A count shown too large drives an episode's first days and is let go towards its end.
        self.ease = 1 / np.maximum(paces[units], 1) - 1 if model.seen.loose else 0 * paces[units]
        self.shares = np.ascontiguousarray(shares[units], np.float32)
        longest = 2 * LONGEST if model.seen.loose else LONGEST
        most = np.floor(longest * n[units] + 0.5).astype(np.int64)
        self.most = np.minimum(most, self.layout.most_events)
        self.state = np.empty((len(units), self.layout.state_size))
        for row in self.state:
            walks.reset(row, self.p)
        with np.errstate(over="ignore"):
            mixed = units.astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + np.uint64(key)
        self.random = mixed[:, None].copy()

    def to_end(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any], NDArray[Any]]:
        """Draw until every unit has ended; unit, time, categories and numbers of all events."""
        import torch

        on = np.arange(len(self.units), dtype=np.int64)
        out: list[tuple[Any, ...]] = []
        with torch.inference_mode():
            while len(on):
                on, t, cats, nums = self.step(on)
                out.append((self.units[on], t, cats, nums))
                on = on[self.state[on, 1] < self.most[on]]
        unit, t, cats, nums = (np.concatenate([o[k] for o in out]) for k in range(4))
        return unit, t, cats, nums

    def step(self, on: NDArray[np.int64]) -> tuple[Any, ...]:
        """One event of each unit in `on`; gives the units that had one, and the events."""
        import torch

        net, clock = self.model.net(), self.model.base.coder.clock
        x = np.empty((len(on), self.model.seen.inputs), np.float32)
        shown = self.shown * (1 + self.ease * np.maximum(self.state[:, 0], 0) / clock.horizon_s)
        walks.features_before(on, self.state, self.p, self.weekday, shown, self.scaled, x)
        hidden = net.trunk(torch.from_numpy(x))
        width = net.shape.head
        slices = net.fused(hidden)
        logits = net.time(slices[:, :width])
        t, token = np.zeros(len(on)), np.zeros(len(on), np.int64)
        draws.draw_time(
            on, self.state, self.random, logits.numpy(), x[:, OWED], self.model.seen.gate,
            clock.cut_s,
            clock.horizon_s, clock.horizon_days,
            clock.tick_s, clock.gap_lo, clock.gap_sub, clock.jump_lo, t, token,
        )  # fmt: skip
        far = np.flatnonzero((token >= clock.gaps) & (token < clock.end))
        if len(far):
            t[far] = self._jump(
                net, on[far], token[far] - clock.gaps, slices[torch.from_numpy(far)]
            )
        going = np.flatnonzero(token != clock.end)
        if len(going) < len(on):
            on, t = on[going], t[going]
            slices = slices[torch.from_numpy(going)]
        cats, nums = self._values(net, on, t, slices)
        walks.take_in(on, self.state, self.p, t, cats, nums)
        return on, t, cats, nums

    def _jump(self, net: Any, on: NDArray[np.int64], jump: NDArray[np.int64], slices: Any) -> Any:
        import torch

        clock, width = self.model.base.coder.clock, net.shape.head
        hour, t = np.zeros(len(on), np.int64), np.zeros(len(on))
        logits = net.hour(slices[:, width : 2 * width], torch.from_numpy(jump)).numpy()
        draws.draw_hour(on, self.state, self.random, logits, jump, clock.cut_s, hour)
        logits = net.slot(slices[:, 2 * width : 3 * width], torch.from_numpy(hour)).numpy()
        draws.draw_slot(
            on, self.state, self.random, logits, jump, hour, clock.cut_s, clock.horizon_days,
            clock.tick_s, clock.jump_lo, clock.jump_hi, t,
        )  # fmt: skip
        return t

    def _values(self, net: Any, on: NDArray[np.int64], t: NDArray[np.float64], slices: Any) -> Any:
        import torch

        layout, width, rows = self.layout, net.shape.head, len(on)
        z = np.empty((rows, AFTER), np.float32)
        q = np.empty((rows, layout.main, layout.pointer), np.float32)
        walks.features_after(
            on, self.state, self.p, self.weekday, t, self.shares[:, : layout.main], z, q
        )
        after, pointer = torch.from_numpy(z), torch.from_numpy(q)
        parts = slices[:, 3 * width :].split(width, dim=1)
        cats = np.zeros((rows, len(layout.widths)), np.int32)
        nums = np.zeros((rows, len(layout.numbers)), np.int32)
        drawn: list[Any] = []
        chosen, at = after[:, :0], 0
        for j, size in enumerate(layout.widths.tolist()):
            logits = net.category(j, parts[j], after, drawn, chosen if j else pointer).numpy()
            share, met = self.shares[:, at : at + size], self.model.support.cats[j]
            draws.draw_category(on, self.random, logits, share, met, cats[:, :j], cats[:, j])
            drawn.append(torch.from_numpy(cats[:, j].astype(np.int64)))
            if not j:
                chosen = pointer[torch.arange(rows), drawn[0]]
            at += size
        known = net.known(after, drawn, chosen)
        earlier: list[Any] = []
        for j in range(len(layout.numbers)):
            logits = net.number(j, parts[cats.shape[1] + j], known, earlier).numpy()
            draws.draw_number(on, self.random, logits, self.model.support.nums[j], cats, nums[:, j])
            earlier.append(torch.from_numpy(nums[:, j].astype(np.int64)))
        return cats, nums


def calibrated(model: EventsModel, seed: int) -> EventsModel:
    """Show a larger or smaller count until units are as long as their drawn counts, on average.

    A network that is a little slow or quick would else leave units short, or crowd their last
    hours; the count shown sets its pace from the first event on.
    """
    drawn = _some_drawn(model, seed)
    want = drawn.table[:, model.base.histories.attributes.index("n")]
    at = np.log(np.maximum(want, 1))
    near = np.array([np.interp(at, KNOTS, row) for row in np.eye(len(KNOTS))])  # (knots, units)
    goal = near @ want
    doubt = 0.02 * want.sum()
    tried: list[tuple[float, int, NDArray[np.float64]]] = []
    for _ in range(5):
        got = near @ model.events(drawn, seed, 0)[0]
        tried.append((float(np.abs(got - goal).sum()), len(tried), model.pace))
        if np.abs(got - goal).sum() < 0.01 * goal.sum():
            break
        model.pace = np.clip(model.pace * (goal + doubt) / (got + doubt), 0.6, 2.5)
    model.pace = min(tried)[2]
    return model


def _some_drawn(model: EventsModel, seed: int) -> Drawn:
    """Units of a block, as many as hold about `CALIBRATION` events."""
    drawn = model.base.histories.draw(min(model.block_size, 1_024), seed, 0)
    n = drawn.table[:, model.base.histories.attributes.index("n")]
    order = generator(seed, "calibration").permutation(len(n))
    keep = np.sort(order[: int(np.searchsorted(np.cumsum(n[order]), CALIBRATION)) + 1])
    return Drawn(drawn.owner[keep], drawn.anchor[keep], drawn.table[keep], drawn.subject)


def learn_events(schema: Schema, params: EventsParams, seed: int) -> Learning:
    """Tell the story of learning a table of events; returns an `EventsModel`."""
    base, sample = yield from learn_base(
        schema, min_subjects=params.min_subjects, bins=params.bins, leaf=params.leaf,
        trees=params.trees, seed=seed,
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
    )
    trainee = EventTrainee(
        schedule, seen, clock, len(clock.jump_lo), params.width, params.head, params.dropout
    )
    trained: Trained = yield Train(partial(encode, base, seen), trainee, name="events")
    facts = {
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "examples": trained.examples,
        "curve": [{k: p[k] for k in LOSSES if k in p} for p in trained.curve],
    }
    support = Support.learn(base, contexts, sample)
    pace = np.ones(len(KNOTS))
    model = EventsModel(base, seen, trainee, support, trained.weights, facts, pace)
    return calibrated(model, seed)
