"""Whole histories: what belongs to the subject first, then unit after unit.

A subject with one unit needs its own columns and the day it starts. A subject with many (episodes)
gets a profile as well: how long it is seen, how active, which habits; every episode is then drawn
given the profile, the calendar and the two episodes before it, so that a subject's own weeks
resemble one another and silent weeks come as they do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.seeds import generator
from synth_spark.generators._even import groups
from synth_spark.generators._events_attributes import (
    GOLDEN,
    TURNS,
    Attributes,
    Bools,
    unordered,
)
from synth_spark.generators._events_coder import Coder, Units
from synth_spark.generators._events_facts import Floats, Slots
from synth_spark.generators._events_met import Met
from synth_spark.generators._events_own import kept_own
from synth_spark.generators._events_profile import (
    given_of,
    own_columns_of,
    profile_of,
    some_units,
)
from synth_spark.generators._forest import GAIN, Forest
from synth_spark.generators._margin import Margin
from synth_spark.generators._trend import Trend

CANDIDATES = 24  # of each subject, where own columns are bound
TRIED = 2_048  # subjects drawn to see how the columns of a profile are spread


@dataclass(frozen=True, slots=True)
class Held:
    """What the subjects of a draw must hold."""

    own: Mapping[int, Bools]  # by position of a subject's own column, which tokens are allowed
    slots: Mapping[int, Bools]  # by category, which slots its events may fall in


@dataclass(frozen=True, slots=True)
class Drawn:
    """Units to be filled with events, subject by subject in the order of time."""

    owner: NDArray[np.int64]  # (units,)
    anchor: NDArray[np.int64]  # (units,), days since 1970
    table: Floats  # (units, attributes)
    subject: NDArray[np.int32]  # (subjects, own columns), tokens


@dataclass(frozen=True, slots=True)
class Histories:
    """Draws subjects, then their units with all attributes."""

    names: tuple[str, ...]  # of a subject's columns, in the order in which they are drawn
    forests: tuple[Forest, ...]
    trends: tuple[Trend, ...]  # of each of these columns
    margins: tuple[Margin, ...]  # of each of these columns
    own: int  # the first so many are tokens of columns that belong to the subject
    met: Met  # of these columns
    attributes: Attributes
    episodes: bool
    width_days: int  # from one episode to the next
    longest: int  # events of the busiest subject; no one gets more

    @classmethod
    def learn(
        cls,
        coder: Coder,
        sample: Records,
        *,
        leaf: int,
        seed: int,
        trees: int,
        most_units: int = 40_000,
    ) -> tuple[Self, Units]:
        """Fit on a sample of subjects; also returns its units."""
        units = coder.units(sample)
        own, slots = own_columns_of(coder, sample), Slots.learn(coder, units)
        width = 7 if coder.mode == "week" else 1
        if coder.episodes:
            subject = {**own, **profile_of(coder, units, slots)}
            given = given_of(subject, units)
        else:
            subject = {**own, "start": units.anchor.astype(float)}
            given = {**subject, "anchor": units.anchor.astype(float)}
            del given["start"]
        names = tuple(subject)
        table = np.column_stack([subject[n] for n in names])
        least = leaf if not coder.episodes else int(np.clip(sample.subjects // 8, 2, leaf))
        least = int(np.clip(sample.subjects // 3, 1, least))
        grown = partial(Forest.fit, leaf=least, seed=seed, trees=trees)
        used = np.array([not _is_token(n) for n in names])
        near = {}
        if coder.episodes:
            near = {n: names.index("count") for n in ("active", "level", "spread")}
        nominal = [j for j, name in enumerate(names) if name in unordered(coder)]
        forests = tuple(
            grown(
                table[:, :j], table[:, j], name=f"subject/{name}", exact=_is_exact(name),
                nominal=tuple(c for c in nominal if c < j), near=near.get(name, -1),
                gain=0.0 if j in nominal else GAIN,
            )
            for j, name in enumerate(names)
        )  # fmt: skip
        trends = tuple(
            Trend.fit(
                table[:, :j],
                table[:, j],
                used[:j] & (not _is_exact(name)),
                partial(
                    grown,
                    name=f"subject/{name}/rest",
                    exact=True,
                    nominal=tuple(c for c in nominal if c < j),
                ),
            )
            for j, name in enumerate(names)
        )
        some = some_units(units, given, most_units, seed)
        attributes = Attributes.learn(
            coder,
            *some,
            slots=slots,
            leaf=int(np.clip(len(some[0].anchor) // 3, 1, leaf)),
            seed=seed,
            trees=trees,
        )
        longest = int(sample.lengths.max(initial=1))
        margins = (Margin.none(),) * len(names)
        made = cls(
            names, forests, trends, margins, len(own), Met.learn(table, nominal), attributes,
            coder.episodes, width, longest,
        )  # fmt: skip
        return (made._settled(table, seed) if coder.episodes else made), units

    def _settled(self, real: Floats, seed: int) -> Self:
        """With the margins by which drawn columns are spread as the real ones.

        Args:
            real: The columns of the sample's subjects, shape (subjects, columns).
            seed: The run's seed.
        """
        rng, made = generator(seed, "margins"), self
        x, together = np.zeros((TRIED, len(self.names))), groups(np.arange(TRIED))
        for j, name in enumerate(self.names):
            u = rng.random((TRIED, 4))
            if not _is_exact(name):
                drawn = self._drawn(j, x, u, together, loose=True)
                margin = Margin.learn(drawn, real[:, j], self.trends[j].spikes)
                made = replace(made, margins=(*made.margins[:j], margin, *made.margins[j + 1 :]))
            x[:, j] = made.column(j, x, u, together)
        return made

    def given(self, coder: Coder, records: Records, units: Units) -> dict[str, Floats]:
        """The known columns of real units, as `Attributes.table` asks for them."""
        own = own_columns_of(coder, records)
        if not self.episodes:
            return {
                **{k: v[units.owner] for k, v in own.items()},
                "anchor": units.anchor.astype(float),
            }
        return given_of({**own, **profile_of(coder, units, self.attributes.slots)}, units)

    def draw(self, subjects: int, seed: int, block: int, held: Held | None = None) -> Drawn:
        """Draw one block of subjects with the attributes of all their units.

        Args:
            subjects: How many.
            seed: The seed of the sampling.
            block: The block's number.
            held: What they must hold; None: nothing.
        """
        rng = generator(seed, "subjects", block)
        x = np.zeros((subjects, len(self.names)))
        first, together = 0, groups(np.arange(subjects))
        if held is not None and held.own:
            x[:, : self.own], first = self.own_columns(subjects, rng, held.own)[0], self.own
        for j in range(first, len(self.forests)):
            x[:, j] = self.column(j, x, rng.random((subjects, 4)), together)
        return self.units_of(x, rng, held.slots if held is not None else None)

    def column(
        self, j: int, x: Floats, u: Floats, together: NDArray[np.int64] | None = None
    ) -> Floats:
        """A subject's column j given those before it in `x`; u of shape (subjects, 4)."""
        margin = self.margins[j]
        return margin.onto(self._drawn(j, x, u, together, loose=len(margin.at) > 0))

    def _drawn(
        self, j: int, x: Floats, u: Floats, together: NDArray[np.int64] | None, *, loose: bool
    ) -> Floats:
        before = x[:, :j]
        plain = self.forests[j].draw(before, u, together)
        if j < self.own:
            self._meeting(j, before, plain, u)
        return self.trends[j].onto(before, plain, u, together, loose=loose)

    def _meeting(self, j: int, before: Floats, drawn: Floats, u: Floats) -> None:
        """Draw labels of an own column again, in place, until they met those before them."""
        for turn in range(1, TURNS):
            again = self.met.broken(j, before, drawn)
            if not again.any():
                return
            uniforms = (u[again] + turn * GOLDEN) % 1.0
            drawn[again] = self.forests[j].draw(before[again], uniforms)

    def units_of(
        self, x: Floats, rng: np.random.Generator, slots: Mapping[int, Bools] | None = None
    ) -> Drawn:
        """The units of subjects with the columns `x`, shape (subjects, columns).

        Args:
            x: The subjects' columns.
            rng: Of the draws.
            slots: Of some categories the slots that events may fall in.
        """
        named = {name: x[:, j] for j, name in enumerate(self.names)}
        tokens = x[:, : self.own].astype(np.int32)
        if self.episodes:
            return self._episodes(named, tokens, rng, slots or {})
        given = {**named, "anchor": named["start"]}
        u = rng.random((len(x), len(self.attributes.columns), 4))
        every = np.arange(len(x), dtype=np.int64)
        table = self.attributes.draw(given, u, slots, groups(every))
        return Drawn(every, named["start"].astype(np.int64), table, tokens)

    def own_columns(
        self, subjects: int, rng: np.random.Generator, allowed: Mapping[int, Bools]
    ) -> tuple[Floats, Floats]:
        """Tokens of the subjects' own columns where some are bound, and the chance of that.

        Each subject is the one of a few candidates that its chance picked, as in
        `_flat_given.py`.

        Args:
            subjects: How many.
            rng: Of the draws.
            allowed: By position of the column, which tokens are allowed.

        Returns:
            Tokens, shape (subjects, own columns); mean chance of a subject's candidates, shape
            (subjects,): 0 where none has one.
        """
        x, chance = np.zeros((subjects * CANDIDATES, self.own)), np.ones(subjects * CANDIDATES)
        for j in range(self.own):
            u = rng.random((len(x), 4))
            if j in allowed:
                x[:, j], share = self.forests[j].draw_among(x[:, :j], u, allowed[j])
                chance *= share
            else:
                x[:, j] = self.forests[j].draw(x[:, :j], u)
                self._meeting(j, x[:, :j], x[:, j], u)
        upper = np.cumsum(chance.reshape(subjects, CANDIDATES), axis=1)
        goal = rng.random((subjects, 1)) * upper[:, -1:]
        chosen = (upper <= goal).sum(axis=1).clip(max=CANDIDATES - 1)
        x, lost = (
            x.reshape(subjects, CANDIDATES, -1)[np.arange(subjects), chosen],
            upper[:, -1] == 0,
        )
        if lost.any() and not lost.all():  # such a subject is another's likeness
            some = np.flatnonzero(~lost)
            x[lost] = x[some[(rng.random(int(lost.sum())) * len(some)).astype(np.int64)]]
        return x, np.asarray(upper[:, -1] / CANDIDATES)

    def _episodes(
        self, named: dict[str, Floats], tokens: NDArray[np.int32], rng: np.random.Generator,
        slots: Mapping[int, Bools],
    ) -> Drawn:  # fmt: skip
        count = np.maximum(named["count"].astype(np.int64), 1)
        before, that, silent, done = (np.zeros(len(count)) for _ in range(4))
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        at = self.attributes.index("n")
        for k in range(int(count.max())):
            on = np.flatnonzero(count > k)
            given = {name: column[on] for name, column in named.items()}
            given |= {
                "n_before": before[on],
                "n_before_that": that[on],
                "silent": silent[on],
                "place": np.full(len(on), float(k)) / count[on],
                "anchor": named["start"][on] + k * self.width_days,
            }
            u = rng.random((len(on), len(self.attributes.columns), 4))
            table = self.attributes.draw(given, u, slots, groups(on))
            n = table[:, at]
            if k == 0:
                n = table[:, at] = np.maximum(n, 1)  # a history starts with an event
            n = table[:, at] = np.minimum(n, self.longest - done[on])
            done[on] += n
            that[on], before[on] = before[on], n
            silent[on] = np.where(n > 0, 0, silent[on] + 1)
            parts.append((on, given["anchor"].astype(np.int64), table))
        owner = np.concatenate([p[0] for p in parts])
        order = np.argsort(owner, kind="stable")
        anchor = np.concatenate([p[1] for p in parts])[order]
        table = np.concatenate([p[2] for p in parts])[order]
        if not slots:
            table = kept_own(self.attributes, table, owner[order], named, self.longest)
        return Drawn(owner[order], anchor, table, tokens)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {
            "names": list(self.names),
            "forests": [f.state() for f in self.forests],
            "trends": [t.state() for t in self.trends],
            "margins": [m.state() for m in self.margins],
            "own": self.own,
            "met": self.met.state(),
            "attributes": self.attributes.state(),
            "episodes": self.episodes,
            "width_days": self.width_days,
            "longest": self.longest,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The histories that `state` came from."""
        return cls(
            tuple(state["names"]),
            tuple(Forest.from_state(f) for f in state["forests"]),
            tuple(Trend.from_state(t) for t in state["trends"]),
            tuple(Margin.from_state(m) for m in state["margins"]),
            state["own"],
            Met.from_state(state["met"]),
            Attributes.from_state(state["attributes"]),
            state["episodes"],
            state["width_days"],
            state["longest"],
        )


def _is_exact(name: str) -> bool:
    """Whether a subject's column holds whole things that are not moved."""
    return _is_token(name) or name in ("start", "count") or name.startswith("values")


def _is_token(name: str) -> bool:
    """Whether a subject's column is one of its own, not a habit of its profile."""
    return re.fullmatch(r"own\d+", name) is not None
