"""Which values met in one event of the sample, and which are rare.

What never met is not drawn by the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_coder import EventColumn, Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_paces import (
    gap_tokens,
    gaps_of,
    no_gaps,
    no_hurry,
    none_short,
)
from synth_spark.generators._events_plan import Contexts
from synth_spark.generators._events_recall import again_at
from synth_spark.generators._events_stays import stays_of
from synth_spark.generators._events_twice import twice_of

LEAST_PAIRS = 1_000  # of events, below which no gap never comes
LEAST_UNITS = 20  # with several values, below which they come as they like
WHOLE = 0.98  # share of these units in which values come in one run
RUN = 3  # events of a run on average, below which it tells nothing
SELDOM = 1e-3  # share of all events below which a value is rare


@dataclass(frozen=True, slots=True)
class Support:
    """Pairs of columns of one event."""

    cats: tuple[NDArray[np.bool_], ...]  # (earlier, widest, values) of each category
    nums: tuple[NDArray[np.bool_], ...]  # (categories, widest, tokens) of each number
    seldom: tuple[NDArray[np.bool_], ...] = ()  # (values,) of each category: rare ones
    again: float = 0.0  # of pauses that end in the same five minutes of the day as one before, the
    # share that does so to the second
    due: tuple[NDArray[np.bool_], ...] = ()  # (values,) of each category: those that are drawn
    # for a unit one by one
    stayed: tuple[NDArray[np.int64], ...] = ()  # pairs of neighbours, see `_events_stays.py`
    # (values, LEVELS) of each category, what the logit of the value before moves by, by the time:
    stay: tuple[NDArray[np.float64], ...] = ()
    # (earlier, widest, values) of each category, see `_events_twice.py`:
    twice: tuple[NDArray[np.bool_], ...] = ()
    whole: tuple[bool, ...] = ()  # of each category: whether a value comes in one run
    never: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # (gaps + jumps,)
    gaps: NDArray[np.float64] = field(default_factory=no_gaps)  # (KNOTS, 2), see `_events_paces.py`
    # (KNOTS,), what the logits of short gaps move by, by the unit's count:
    hurry: NDArray[np.float64] = field(default_factory=no_hurry)
    short: NDArray[np.int64] = field(default_factory=none_short)  # (gaps,), times of each gap token

    @property
    def every(self) -> list[NDArray[np.bool_]]:
        """Whether a category's value met all tokens, (categories, widest) of each number."""
        return [np.asarray(met.all(axis=2)) for met in self.nums]

    def unmoved(self) -> Support:
        """The same without biases: as the network's loss knows it."""
        stay = tuple(np.zeros_like(bias) for bias in self.stay)
        return replace(self, stay=stay, hurry=np.zeros_like(self.hurry))

    def state(self) -> list[Any]:
        """A tree for `core/wire.py`, without what is only counted to set the biases."""
        return [
            list(self.cats), list(self.nums), list(self.seldom), self.again, list(self.due),
            list(self.stay), self.hurry, list(self.twice), list(self.whole), self.never,
        ]  # fmt: skip

    @classmethod
    def from_state(cls, state: list[Any]) -> Self:
        """The support that `state` came from."""
        cats, nums, seldom, again, due, stay, hurry, twice, whole, never = state
        labels = (tuple(cats), tuple(nums), tuple(seldom), again, tuple(due))
        return cls(
            *labels,
            stay=tuple(stay),
            hurry=hurry,
            twice=tuple(twice),
            whole=tuple(whole),
            never=never,
        )

    @classmethod
    def learn(cls, base: Base, contexts: Contexts, sample: Records) -> Self:
        """Look at every pair of columns of the sample's events."""
        units = base.coder.units(sample)
        widest = int(contexts.widths.max(initial=1))
        cats, nums, seldom, due = [], [], [], []
        for j, column in enumerate(base.coder.cats):
            met = np.ones((j, widest, column.tokens), bool)
            for e in range(j):
                met[e] = _met(units.cats[:, e], units.cats[:, j], widest, column.tokens)
            cats.append(met)
            counts = np.bincount(units.cats[:, j], minlength=column.tokens)
            slot = base.histories.attributes.slots.of_token[j]
            single = np.bincount(slot)[slot] == 1  # of others a unit is not told how many it has
            seldom.append(np.asarray((counts < SELDOM * len(units.cats)) & single))
            ranked = column.how == "ranked"
            due.append(np.asarray((single | ranked) & (not contexts.in_runs[j])))
        for j, column in enumerate(base.coder.nums):
            size = int(np.diff(contexts.num_start)[j])
            kinds = _kinds(column.codec, size)
            met = np.ones((len(base.coder.cats), widest, size), bool)
            for c in range(len(base.coder.cats)):
                pair = _met(units.cats[:, c], kinds[units.nums[:, j]], widest, size + 1)
                met[c] = pair[:, kinds]
            nums.append(met)
        again = again_at(units.t, units.previous, base.coder.clock.cut_s, base.coder.clock.tick_s)
        stayed = stays_of(base.coder.cats, units)
        none = tuple(np.zeros(pairs.shape[:2]) for pairs in stayed)
        clock, columns = base.coder.clock, enumerate(base.coder.cats)
        whole = tuple(in_runs(column, units.cats[:, j], units) for j, column in columns)
        return cls(
            tuple(cats), tuple(nums), tuple(seldom), again, tuple(due), stayed, none,
            twice_of(base.coder.cats, units), whole, never_of(clock, units),
            gaps_of(units.t, units.lengths, clock.cut_s), no_hurry(),
            gap_tokens(clock, units.t, units.lengths),
        )  # fmt: skip


def never_of(clock: Clock, units: Units) -> NDArray[np.bool_]:
    """Which gaps, and whether a jump within the day, lead from no event to the next.

    Args:
        clock: The time tokens.
        units: Of the sample; of few events nothing is said.

    Returns:
        Shape (gaps + jumps,).
    """
    previous, out = units.previous, np.zeros(clock.end, bool)
    later = previous >= 0
    if later.sum() < LEAST_PAIRS:
        return out
    token, _, _ = clock.encode(units.t[later], previous[later])
    some = clock.gaps + 1  # how many days a longer jump has is a matter of chance
    out[:some] = np.bincount(token, minlength=clock.end)[:some] == 0
    return out


def in_runs(column: EventColumn, tokens: NDArray[np.int32], units: Units) -> bool:
    """Whether each value of a category comes in one run of a unit: a plan that is changed once.

    Args:
        column: The category.
        tokens: Of its events.
        units: Of the sample; of few units with several values nothing is said.
    """
    if column.how == "runs" or not len(tokens):
        return False
    unit = np.repeat(np.arange(len(units.lengths)), units.lengths)
    begins = np.append(True, (tokens[1:] != tokens[:-1]) | (unit[1:] != unit[:-1]))
    runs = np.bincount(unit[begins], minlength=len(units.lengths))
    values = np.unique(unit * column.tokens + tokens) // column.tokens
    several = np.bincount(values, minlength=len(runs))
    some = several > 1
    long = units.lengths >= RUN * several
    return bool(
        some.sum() >= LEAST_UNITS
        and (runs == several)[some].mean() >= WHOLE
        and long[some].mean() >= WHOLE
    )


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
