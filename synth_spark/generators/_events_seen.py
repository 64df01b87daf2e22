"""What the network sees of units: the count with noise, attributes, events as whole numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import MARK, Encoded, Records
from synth_spark.core.seeds import uniforms
from synth_spark.generators._events_attributes import Attributes
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_coder import DAY_S, Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_facts import Floats, signed_log
from synth_spark.generators._events_layout import Layout
from synth_spark.generators._events_plan import Contexts, token_shares

NOISE = 0.10  # log-normal noise on the count that the network is shown
LOOSE = 0.2  # the same for episodes: a count that is taken loosely leaves no rush at the end
GATE = 0.3  # with more than this share of the shown count owed, the end is not on offer
LOOSE_GATE = 0.5
SPAN_NOISE = 0.1  # log-normal noise on the span up to the last event that it is shown
LOOSE_SPAN = 0.02  # the same for episodes: where the count is loose, the last event is kept to
MARGIN = 2.0  # deviations of that noise that a unit may go on
FARTHEST = 4.0  # deviations that noise reaches, but for 1 in 30,000
MOST_LABELS = 64  # of a subject's column that the network is told one by one
SCALE = 4_096  # attributes lie in [-4, 4] and travel as whole numbers


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network sees of a unit: which attributes, and how they are scaled."""

    layout: Layout
    columns: NDArray[np.int64]  # attributes that are inputs
    contexts: Contexts
    seed: int
    loose: bool  # a unit is an episode: its count is a pace rather than a promise
    labels: NDArray[np.int64]  # (attributes that are tokens without an order, 2): which, how many
    noise: Floats  # (2,), log-normal, on the count and on the span that it is shown

    @classmethod
    def learn(cls, base: Base, contexts: Contexts, seed: int) -> Self:
        """Choose the inputs.

        What is left of a stick is not one, nor is a subject's profile: with few subjects it would
        name each of them, and the episode's own attributes already follow from it.
        """
        attributes, clock = base.histories.attributes, base.coder.clock
        hidden = {"some", "left", "owed", "place"}
        if base.histories.episodes:
            hidden |= {n for n in base.histories.names if not re.fullmatch(r"own\d+", n)}
        kept = [j for j, c in enumerate(attributes.columns) if c.name not in hidden]
        ranked = np.array([c.how == "ranked" for c in base.coder.cats], bool)
        ranks = np.where(attributes.slots.ordered, 1, 2 * ranked)
        layout = Layout(
            contexts.widths,
            np.diff(contexts.num_start),
            np.array([c.missing for c in base.coder.nums], np.int64),
            ranks,
            attributes.slots.alone,
            clock.cut_s,
            base.coder.most_events,
            _typical(base),
            contexts.spread,
            contexts.calm,
        )
        labels = [
            (attributes.index(f"own{j}"), c.tokens)
            for j, c in enumerate(base.coder.subject)
            if c.unordered and 2 < c.tokens <= MOST_LABELS
        ]
        return cls(
            layout, np.array(kept, np.int64), contexts, seed, base.histories.episodes,
            np.array(labels, np.int64).reshape(-1, 2), noise(attributes, base.histories.episodes),
        )  # fmt: skip

    @property
    def gate(self) -> float:
        """With more than this share of the shown count owed, the end is not on offer."""
        return LOOSE_GATE if self.loose else GATE

    @property
    def own(self) -> int:
        """Inputs that are a unit's own: attributes, and each label of a subject's columns."""
        return len(self.columns) + int(self.labels[:, 1].sum())

    @property
    def inputs(self) -> int:
        return self.layout.before + self.own

    def of_units(
        self, base: Base, x: Floats, u: Floats, pace: Floats | float = 1.0
    ) -> tuple[Floats, NDArray[np.float32]]:
        """What is told of units, and the scaled attributes.

        Told are the count, the time of the last event, the share of nights and the mean hour: the
        network sees at every event what is still owed of them. And the time of the first, the count
        as it is at any pace, of which each value of the main category has its share, and each
        number's mean.

        Args:
            base: The model's base.
            x: Attributes, shape (units, columns).
            u: Two uniforms a unit, shape (units, 2).
            pace: The count is shown so many times as large (1 in training), shape (units,).
        """
        attributes = base.histories.attributes
        z = np.sqrt(-2 * np.log(np.maximum(u[:, 0], 1e-12))) * np.cos(2 * np.pi * u[:, 1])
        at = attributes.index("n")
        few = 1 - 1 / np.sqrt(np.maximum(x[:, at], 1))  # a count of one or two is kept to
        count = x[:, at] * np.exp(self.noise[0] * few * z)
        shown = count * pace
        seen = x.copy()
        seen[:, at] = shown
        other = np.sqrt(-2 * np.log(np.maximum(u[:, 0], 1e-12))) * np.sin(2 * np.pi * u[:, 1])
        span = x[:, attributes.index("span")] * np.exp(self.noise[1] * other)
        last = (x[:, attributes.index("first")] + span) * DAY_S
        told = [attributes.standard(seen)[:, self.columns]]
        told += [
            (x[:, at, None] == np.arange(tokens)).astype(np.float32) for at, tokens in self.labels
        ]
        kept = [x[:, attributes.index(name)] for name in ("night", "hour_mean")]
        tick = base.coder.clock.tick_s  # what is drawn of it is no whole tick, the real one is
        first = np.floor(x[:, attributes.index("first")] * DAY_S / tick + 0.5) * tick
        means = [x[:, attributes.index("mean", j)] for j in range(len(base.coder.nums))]
        return np.column_stack([shown, last, *kept, first, count, *means]), np.hstack(told)

    def until(self, shown: Floats, room_s: Floats, clock: Clock) -> Floats:
        """Seconds up to which a unit cannot end, shape (units,); 0: it always can.

        Only where the last events of units are so alike that the noise on them is theirs.

        Args:
            shown: What is told of units, see `of_units`.
            room_s: What each unit has, shape (units,).
            clock: Of the records.
        """
        if self.noise[1] >= (LOOSE_SPAN if self.loose else SPAN_NOISE):
            return np.zeros(len(shown))
        last, first = shown[:, 1], shown[:, 4]
        soonest = first + (last - first) * np.exp(-FARTHEST * self.noise[1]) - clock.tick_s
        return np.asarray(np.where(shown[:, 0] > 1, np.minimum(soonest, room_s - clock.cut_s), 0))

    def latest(self, shown: Floats) -> Floats:
        """Seconds from which on a unit has no event, shape (units,): the end of its last day.

        Its last event is told, with noise. A unit that falls behind its count would else make up
        for it in the days after that.

        Args:
            shown: What is told of units, see `of_units`.
        """
        last, first = shown[:, 1], shown[:, 4]
        latest = first + (last - first) * np.exp(MARGIN * self.noise[1])
        return np.asarray((np.floor(latest / DAY_S) + 1) * DAY_S)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "layout": self.layout.state(),
            "columns": self.columns,
            "contexts": self.contexts.state(),
            "seed": self.seed,
            "loose": self.loose,
            "labels": self.labels,
            "noise": self.noise,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        return cls(
            Layout.from_state(state["layout"]),
            state["columns"],
            Contexts.from_state(state["contexts"]),
            state["seed"],
            state["loose"],
            state["labels"],
            state["noise"],
        )


def _typical(base: Base) -> Floats:
    """Logarithm of the middle value of each token of each number, 0 of what is missing."""
    parts = [np.zeros(0)]
    for column in base.coder.nums:
        size = max(column.codec.vocabulary, 1)
        values = column.codec.decode(np.arange(size, dtype=np.int32), np.full(size, 0.5))
        parts.append(np.nan_to_num(signed_log(values)))
    return np.concatenate(parts)


def noise(attributes: Attributes, loose: bool) -> Floats:
    """Noise on count and span: no more than units differ by, or what they share is not seen."""
    most = (LOOSE, LOOSE_SPAN) if loose else (NOISE, SPAN_NOISE)
    at = [attributes.index(name) for name in ("n", "span")]
    differ = attributes.std[at] / np.maximum(attributes.mean[at], 1e-9)
    return np.asarray(np.minimum(most, differ))


def encode(base: Base, seen: Seen, records: Records, marked: bool = False) -> Encoded:
    """Subjects as rows of events, with one more row after each unit for its end.

    Args:
        base: The model's base.
        seen: What the network sees.
        records: Whole subjects.
        marked: With a mark for each subject, for a split that another encoding shares.
    """
    units = base.coder.units(records)
    histories = base.histories
    x = histories.attributes.table(base.coder, units, histories.given(base.coder, records, units))
    some = np.flatnonzero(units.lengths > 0)
    number = fingerprint(units)
    u = np.column_stack([uniforms(seen.seed, f"noise{k}", number) for k in range(2)])
    shown, scaled = seen.of_units(base, x, u)
    shares = token_shares(histories.attributes, seen.contexts, x)
    lengths = units.lengths[some]
    rows = lengths + 1
    last = np.cumsum(rows) - 1
    end = np.zeros(int(rows.sum()), bool)
    end[last] = True
    unit = np.repeat(some, rows)

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros((len(end), *values.shape[1:]), values.dtype)
        out[~end] = values
        return out

    token, hour, slot = base.coder.clock.encode(units.t, units.previous)
    clock = np.column_stack([token, hour, slot]).astype(np.int16)
    clock = spread(clock)
    clock[end] = (base.coder.clock.end, -1, -1)
    capped = np.repeat(lengths >= base.coder.most_events, rows) & end
    clock[capped, 0] = -1  # a history cut at its greatest length tells nothing of ends
    subjects = np.searchsorted(units.owner[unit], np.arange(records.subjects + 1))
    events = {
        "end": end[:, None],
        "t": spread(units.t)[:, None],
        "clock": clock,
        "cats": spread(units.cats),
        "nums": spread(units.nums),
        "weekday": ((units.anchor[unit] + 3) % 7).astype(np.int8)[:, None],
        "room": base.coder.room_s(units.anchor[unit]).astype(np.float32)[:, None],
        "shown": shown[unit].astype(np.float32),
        "attributes": np.rint(scaled[unit] * SCALE).astype(np.int16),
        "shares": np.rint(as_trained(shares) * 255).astype(np.uint8)[unit],
    }
    context = {MARK: marks(units, records.subjects)} if marked else {}
    return Encoded(context, events, subjects.astype(np.int64))


def as_trained(shares: NDArray[Any]) -> NDArray[np.float32]:
    """Shares as the network is shown them, in 255ths: 0 only where 0."""
    return np.asarray(np.ceil(np.minimum(shares, 1.0) * 255) / 255, np.float32)


def marks(units: Units, subjects: int) -> NDArray[np.int64]:
    """A number for each subject that follows from the content of its units; (subjects, 1)."""
    each = (uniforms(0, "mark", fingerprint(units)) * 2.0**53).astype(np.int64)
    out = np.zeros(subjects, np.int64)
    np.add.at(out, units.owner, each)
    return out[:, None]


def fingerprint(units: Units) -> NDArray[np.uint64]:
    """A number for each unit that follows from its content, for noise that no partition changes."""
    total = np.zeros(len(units.anchor))
    unit = np.repeat(np.arange(len(total)), units.lengths)
    np.add.at(total, unit, units.t)
    mixed = np.floor(total * 8).astype(np.uint64) * np.uint64(1_000_003)
    return mixed + units.anchor.astype(np.uint64) * np.uint64(131) + units.lengths.astype(np.uint64)
