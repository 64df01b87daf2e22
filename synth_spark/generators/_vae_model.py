"""What the autoencoder learned of a flat table, and how rows are drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records, Values
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_fields import join
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._vae_net import VaeNet
from synth_spark.generators._vae_prior import Prior


@dataclass(frozen=True, slots=True)
class VaeModel:
    """Draws whole blocks of rows: codes from the prior, then column after column."""

    coder: Coder
    net: VaeNet | None  # None: no column is drawn
    prior: Prior | None
    facts: Mapping[str, Any]  # for the model card
    block_size: int = 4_096

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        rng = generator(seed, "vae", block)
        z = np.zeros((self.block_size, 0), np.float32)
        if self.prior is not None:
            z = self.prior.draw(self.block_size, rng)
        columns = join(self.coder.schema, self.coder.fields, self._values(z, rng))
        kept = slice(0, subjects)
        return Records.flat({name: v[kept] for name, v in columns.items()})

    def _values(self, z: NDArray[np.float32], rng: Any) -> dict[str, Values]:
        from synth_spark.generators._flat_kernels import pick

        drawn, seen, gated = self.coder.drawn, self.coder.seen, self.coder.gated
        count, rows = len(drawn), len(z)
        tokens = np.zeros((count + len(seen) + len(gated), rows), np.int32)
        values: dict[str, Values] = {}
        h = self.net.decoded(z) if self.net else z
        for c, column in enumerate(drawn):
            assert self.net is not None
            if c in gated:
                tokens[count + len(seen) + gated.index(c)] = column.gate(values)
            logits = self.net.heads[c].logits(h, tokens)
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            pick(logits, rng.random(rows), tokens[c])
            value = column.values(tokens[c], rng.random(rows), values)
            values[column.field.name] = value
            if c in seen:
                assert column.plain is not None
                tokens[count + seen.index(c)] = column.plain.encode(value)
        for relation in self.coder.computed:
            values[relation.child] = relation.value(values)
        return values

    def state(self) -> dict[str, Any]:
        return {
            "coder": self.coder.state(),
            "net": self.net.state() if self.net else None,
            "prior": self.prior.state() if self.prior else None,
            "facts": dict(self.facts),
            "block_size": self.block_size,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> VaeModel:
        net, prior = state["net"], state["prior"]
        return cls(
            Coder.from_state(state["coder"]),
            VaeNet.from_state(net) if net else None,
            Prior.from_state(prior) if prior else None,
            state["facts"],
            state["block_size"],
        )

    def about(self) -> dict[str, Any]:
        return dict(self.facts)
