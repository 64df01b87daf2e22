"""Attributes as the forests draw them, refined by the critic of attributes.

For each unit the forests draw a fixed small number of candidates; one is taken with a chance
proportional to the density ratio of real to drawn that the critic gives it. So no row of
attributes becomes more than `CANDIDATES` times as likely as under the forests, and the cost is
fixed: sampling-importance-resampling by a learned ratio, after Grover et al., "Bias Correction of
Learned Generative Models using Likelihood-Free Importance Weighting", NeurIPS 2019, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._events_attributes import Attributes, Bools
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._gan_train import STEEPEST
from synth_spark.generators._gan_units import CANDIDATES


@dataclass(frozen=True, slots=True)
class Judge:
    """The critic of attributes without torch."""

    columns: NDArray[np.int64]  # attributes that it sees
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]  # (in, out) and (out,)

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]], columns: NDArray[np.int64]) -> Self:
        """From the weights of an `Adversary`."""
        names = [f"judge.net.{k}" for k in (0, 2, 4)]
        pairs = [(weights[f"{n}.weight"].T.copy(), weights[f"{n}.bias"]) for n in names]
        return cls(columns, tuple(pairs))

    def chances(self, standard: NDArray[np.float32]) -> Floats:
        """Chance of each candidate; from (candidates, units, columns) to (candidates, units)."""
        x = standard[..., self.columns]
        for k, (weight, bias) in enumerate(self.layers):
            x = x @ weight + bias
            x = np.maximum(x, 0) if k < len(self.layers) - 1 else x
        ratio = np.exp(np.clip(x[..., 0].astype(np.float64), -STEEPEST, STEEPEST))
        return np.asarray(ratio / ratio.sum(axis=0))

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {"columns": self.columns, "layers": self.layers}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The critic that `state` came from."""
        return cls(state["columns"], tuple(tuple(pair) for pair in state["layers"]))


@dataclass(frozen=True, slots=True)
class Refined(Attributes):
    """Attributes whose draws are picked among candidates."""

    judge: Judge

    @classmethod
    def around(cls, plain: Attributes, judge: Judge) -> Self:
        """The same forests with a critic."""
        return cls(**{f.name: getattr(plain, f.name) for f in fields(Attributes)}, judge=judge)

    def draw(
        self,
        given: dict[str, Floats],
        uniforms: Floats,
        held: Mapping[int, Bools] | None = None,
        together: NDArray[np.int64] | None = None,
    ) -> Floats:
        """As `Attributes.draw`; each candidate's uniforms are the first's, turned.

        A turn by a fixed amount in each direction leaves every candidate an exact draw of the
        forests (Cranley and Patterson, SIAM Journal on Numerical Analysis 1976). A known column
        needs no uniforms, so its own choose.
        """
        turns = generator(0, "gan/turns").random((CANDIDATES, *uniforms.shape[1:]))
        tables = [
            Attributes.draw(self, given, (uniforms + turn) % 1.0, held, together) for turn in turns
        ]
        upper = self.judge.chances(np.stack([self.standard(t) for t in tables])).cumsum(axis=0)
        spare = next(j for j, c in enumerate(self.columns) if c.role == "given")
        picked = (uniforms[:, spare, 0] > upper[:-1]).sum(axis=0)
        return np.asarray(np.stack(tables)[picked, np.arange(len(picked))])


def refined(base: Base, judge: Judge) -> Base:
    """The same base with the critic's attributes."""
    attributes = Refined.around(base.histories.attributes, judge)
    return replace(base, histories=replace(base.histories, attributes=attributes))
