"""Rows under a condition: any subset of the columns can be given.

The network draws columns in a fixed order, so what is asked of a late column must be felt by the
early ones. A row is drawn as a few particles (Doucet, de Freitas and Gordon, "Sequential Monte
Carlo Methods in Practice", 2001, ch. 1): each goes through the columns, is forced where the
condition says so and weighed with the chance that the network gave it; one is picked by weight.
Early columns are drawn by shares that lean towards what the condition will ask for (the
cross-entropy method: Rubinstein, "Methodology and Computing in Applied Probability" 1, 1999), which
the weights undo, so that few particles are enough. How many steps a row takes is fixed by the
condition, never by luck.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import Condition, ImpossibleConditionError
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_conditions import Parts, parts_of
from synth_spark.generators._flat_kernels import pick
from synth_spark.generators._flat_model import Drawing

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

TRIAL_ROWS = 8_192  # particles of each trial of the leaning
TRIALS = 4
_WANTED = 12.0  # effective particles a row
_FEWEST, _MOST = 4, 128  # particles a row
_AT_ONCE = 16_384  # particles in memory
_SPARE = 1_024
_SWEEPS = 6
_CALM = 20.0  # rows' worth of doubt when a share is leaned
_FARTHEST = 6.0  # nats that a token may be leaned

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GivenModel:
    """A flat model whose every row holds a condition."""

    model: FlatModel
    condition: Condition
    parts: Parts
    lean: tuple[Reals, ...]  # per drawn column, nats added to each token
    particles: int = 1  # a row
    chance: float = 0.0  # the model's own share of rows that hold the condition, about
    effective: float = 0.0  # of a particle: 1 where all weigh the same
    spare: Drawing | None = None  # rows that hold it, for a row none of whose particles does

    @classmethod
    def of(cls, model: FlatModel, condition: Condition) -> GivenModel:
        """Prepare a condition: which way early columns lean, and how many particles it takes.

        Raises:
            ImpossibleConditionError: No chance under the model (SYN-711).
        """
        lean = tuple(np.zeros(d.vocabulary) for d in model.coder.drawn)
        tried = cls(model, condition, parts_of(model.coder, condition), lean)
        best = tried
        for trial in range(TRIALS):
            rng = generator(0, "flat given/trial", trial)
            drawing, log_weight = tried.through(TRIAL_ROWS, rng)
            weight, chance = normal_weights(log_weight)
            if chance:
                found = tried.with_trial(drawing, weight, chance, rng)
                best = found if found.effective > best.effective else best
                tried = replace(found, lean=_leaned(found, drawing.tokens, weight))
            if best.particles <= _FEWEST and best.chance:
                break
        if not best.chance:
            raise ImpossibleConditionError(
                f"None of {TRIALS * TRIAL_ROWS:,} rows that the model drew towards it can hold "
                f"{condition.text()}.",
                hint="a wider range, or fewer clauses",
                condition=condition.text(),
            )
        return best

    def with_trial(
        self, drawing: Drawing, weight: Reals, chance: float, rng: np.random.Generator
    ) -> GivenModel:
        """This with what a trial tells of it."""
        effective = float(weight.sum() ** 2 / (weight**2).sum() / len(weight))
        wanted = (
            1 if effective > 1 - 1e-6 else np.clip(np.ceil(_WANTED / effective), _FEWEST, _MOST)
        )
        upper = np.cumsum(weight) / weight.sum()
        which = np.searchsorted(upper, rng.random(_SPARE), "right").clip(max=len(weight) - 1)
        spare = drawing.taken(which.astype(np.int64))
        return replace(self, particles=int(wanted), chance=chance, effective=effective, spare=spare)

    @property
    def block_size(self) -> int:
        """Rows drawn together."""
        return self.model.block_size

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        """Draw the first rows of one block; see `core/ports.py`."""
        rng = generator(seed, "flat given", block)
        room = max(_AT_ONCE // self.particles, 1)
        parts = [
            self.rows(min(room, self.block_size - start), rng)
            for start in range(0, self.block_size, room)
        ]
        values = {n: joined_values([p[n] for p in parts]) for n in parts[0]}
        return self.model.records(values, subjects)

    def rows(self, rows: int, rng: np.random.Generator) -> dict[str, Values]:
        """All fields of so many rows."""
        drawing, log_weight = self.through(rows * self.particles, rng)
        drawing = self._picked(drawing, log_weight.reshape(rows, -1), rng)
        for c in range(self.parts.last + 1, drawing.count):
            drawing.draw(c)
        drawing.compute()
        return drawing.values

    def through(self, rows: int, rng: np.random.Generator, group: int = 1) -> tuple[Drawing, Reals]:
        """Particles that came past the last column of the condition, and their log weights."""
        drawing, log_weight = Drawing(self.model, rows, rng), np.zeros(rows)
        for c in range(self.parts.last + 1):
            part = self.parts.drawn.get(c)
            weights = drawing.weights(c)
            total = weights.sum(axis=1, dtype=np.float64)
            if part is None:
                log_weight += self._lean(drawing, c, weights, total)
            else:
                weights *= part.shares(drawing.values).astype(np.float32)
                held = weights.sum(axis=1, dtype=np.float64)
                with np.errstate(divide="ignore"):
                    log_weight += np.log(held / total)
                pick(weights, rng.random(rows), drawing.tokens[c])
                drawing.put(c, part.values(drawing.tokens[c], rng.random(rows), drawing.values))
            log_weight += self._computed(drawing, c)
        return drawing, log_weight

    def _lean(self, drawing: Drawing, c: int, weights: NDArray[np.float32], total: Reals) -> Reals:
        """Draw a free column by leaning shares; what that adds to the log weights."""
        rng, rows, lean = drawing.rng, drawing.rows, self.lean[c]
        weights *= np.exp(lean).astype(np.float32)
        pick(weights, rng.random(rows), drawing.tokens[c])
        column = drawing.model.coder.drawn[c]
        drawing.put(c, column.drawn_values(drawing.tokens[c], rng.random(rows), drawing.values))
        leaned = weights.sum(axis=1, dtype=np.float64)
        return np.asarray(np.log(leaned / total) - lean[drawing.tokens[c]])

    def _computed(self, drawing: Drawing, c: int) -> Reals | float:
        """Minus infinity for particles whose computed fields break the condition."""
        out: Reals | float = 0.0
        for at, relation, clause in self.parts.computed:
            if at == c:
                known = dict(drawing.values)
                for other in drawing.model.coder.computed:
                    if set(other.needs) <= known.keys():
                        known[other.child] = other.value(known)
                holds = clause.holds(np.asarray(known[relation.child], np.float64))
                out = out + np.where(holds, 0.0, -np.inf)
        return out

    def _picked(self, drawing: Drawing, log_weight: Reals, rng: np.random.Generator) -> Drawing:
        """One particle a row by weight; a spare where none holds the condition."""
        rows, group = log_weight.shape
        weight, _ = normal_weights(log_weight, axis=1)
        upper = np.cumsum(weight, axis=1)
        u = rng.random((rows, 2))
        chosen = (upper <= u[:, :1] * upper[:, -1:]).sum(axis=1).clip(max=group - 1)
        out = drawing.taken(np.arange(rows) * group + chosen)
        lost = np.flatnonzero(upper[:, -1] == 0)
        if len(lost):
            assert self.spare is not None
            out.replace(lost, self.spare.taken((u[lost, 1] * self.spare.rows).astype(np.int64)))
        return out

    def state(self) -> dict[str, Any]:
        """Nothing of its own is kept: it is prepared again from the model."""
        return self.model.state()

    def about(self) -> dict[str, Any]:
        """Facts of the condition."""
        return {
            "condition": self.condition.text(),
            "share_in_the_model": self.chance,
            "particles_a_row": self.particles,
            "effective_particles_a_row": round(self.effective * self.particles, 2),
        }


def normal_weights(log_weight: Reals, axis: int | None = None) -> tuple[Reals, float]:
    """Weights scaled so that the largest is 1 (0 where none has a chance), and their mean."""
    top = log_weight.max(axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    weight = np.exp(log_weight - safe)
    return weight, float(weight.mean() * np.exp(safe.max()))


def regrouped(log_weight: Reals, rng: np.random.Generator) -> NDArray[np.int64]:
    """Particles drawn anew within each row by weight, by systematic sampling; flat positions."""
    rows, group = log_weight.shape
    weight, _ = normal_weights(log_weight, axis=1)
    upper = np.cumsum(weight, axis=1)
    none = upper[:, -1] == 0
    upper[none] = np.arange(1, group + 1)  # all stay: the row is lost, or saved by a later spare
    goal = (np.arange(group) + rng.random((rows, 1))) / group * upper[:, -1:]
    which = (upper[:, None, :] <= goal[:, :, None]).sum(axis=2).clip(max=group - 1)
    return np.asarray((which + np.arange(rows)[:, None] * group).ravel(), np.int64)


def _leaned(given: GivenModel, tokens: NDArray[np.int32], weight: Reals) -> tuple[Reals, ...]:
    """Leaning that gives the trial's particles the shares that their weights ask for.

    Raking: column after column is moved to its weighted shares, over and over, so that columns
    that go together do not each lean the whole way.
    """
    effective = given.effective * len(weight)
    free = [c for c in range(given.parts.last) if c not in given.parts.drawn]
    lean = [x.copy() for x in given.lean]
    moved = np.ones(len(weight))
    goals = {c: np.bincount(tokens[c], weight, len(lean[c])) / weight.sum() for c in free}
    plain = {c: np.bincount(tokens[c], minlength=len(lean[c])) / len(weight) for c in free}
    for _ in range(_SWEEPS):
        for c in free:
            share = np.bincount(tokens[c], moved, len(lean[c])) / moved.sum()
            calm = (effective * goals[c] + _CALM * plain[c]) / (effective + _CALM)
            step = np.zeros(len(share))
            some = share > 0
            step[some] = np.log(np.maximum(calm[some], 1e-12) / share[some])
            step = np.clip(lean[c] + step, -_FARTHEST, _FARTHEST) - lean[c]
            lean[c] += step
            moved *= np.exp(step)[tokens[c]]
    return tuple(lean)


def joined_values(parts: list[Values]) -> Values:
    """The values of all parts, in order."""
    if isinstance(parts[0], Coded):
        return Records.joined([Records.flat({"": p}) for p in parts]).columns[""]
    return np.concatenate([np.asarray(p) for p in parts])
