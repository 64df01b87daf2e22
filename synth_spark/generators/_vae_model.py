"""What the autoencoder learned of a flat table, and how rows are drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition
from synth_spark.core.given import refuse_cells
from synth_spark.core.seeds import generator
from synth_spark.errors import SynthError
from synth_spark.generators._flat_chance import needed, never_missing, unknown_cells
from synth_spark.generators._flat_fields import join, split
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._vae_conditioned import ConditionedVae
from synth_spark.generators._vae_draw import draw_columns
from synth_spark.generators._vae_net import VaeNet
from synth_spark.generators._vae_prior import Prior


class InterpolationError(SynthError):
    """There is no way between what was given."""

    code = "SYN-731"


class WeakCodeError(SynthError):
    """The codes of a model tell too little of a row for a way between two."""

    code = "SYN-732"


WEAK_NATS = 0.5  # of a row; one even yes or no is ln 2, .69
FEW_COLUMNS = 2  # drawn: so many have little to tell of each other


def is_weak(code: Mapping[str, Any], columns: int) -> bool:
    """Whether codes tell too little of a row: no number is active, or all together tell < .5 nats.

    Args:
        code: What `usage` of `_vae_learn.py` found.
        columns: Drawn columns; of one or two only the active numbers count.
    """
    if not code.get("active_units", 1):
        return True
    return columns > FEW_COLUMNS and code.get("divergence_nats", WEAK_NATS) < WEAK_NATS


def more_code() -> str:
    """What to try where codes tell too little."""
    return "a smaller beta (half of it, again if need be), a smaller latent, more rows or epochs"


@dataclass(frozen=True, slots=True)
class Repeated:
    """Random numbers that are the same in every row."""

    rng: np.random.Generator

    def random(self, rows: int) -> NDArray[np.float64]:
        """One uniform, repeated; shape (rows,)."""
        return np.full(rows, self.rng.random())


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
        h = self.net.decoded(z) if self.net is not None else z
        values, _ = draw_columns(self.coder, self.net, h, rng)
        columns = join(self.coder.schema, self.coder.fields, values)
        kept = slice(0, subjects)
        return Records.flat({name: v[kept] for name, v in columns.items()})

    def conditioned(self, condition: Condition) -> ConditionedVae:
        """The model under a condition, see `_vae_conditioned.py`.

        Raises:
            ImpossibleConditionError: The model gives the condition no chance (SYN-711).
        """
        return ConditionedVae.of(self, condition)

    def interpolate(self, a: Records, b: Records, steps: int, seed: int) -> Records:
        """Rows on the way from one subject to another, through the space of codes.

        The codes lie on the line between the means of both encoded subjects, and every row is
        drawn with the same random numbers, so that neighbouring rows differ in little. The first
        and the last row are drawn from the codes of `a` and `b`: like them in what the codes tell,
        not copies of them.

        Args:
            a: One row.
            b: One row.
            steps: Rows in all, at least 2.
            seed: Of the draws of the columns.

        Returns:
            `steps` rows, from `a` to `b`.

        Raises:
            InterpolationError: Not one row each, fewer than 2 steps, or nothing is drawn
                (SYN-731).
            WeakCodeError: The codes tell less than half a nat of a row (SYN-732).
            ImpossibleConditionError: A cell of `a` or `b` that the model does not know (SYN-711).
        """
        if a.rows != 1 or b.rows != 1 or steps < 2 or self.net is None:
            raise InterpolationError(
                f"An interpolation needs two single rows and 2 steps or more, not {a.rows} and "
                f"{b.rows} rows and {steps} steps.",
                hint="records.take(np.array([i])) gives one row",
                rows=(a.rows, b.rows), steps=steps,
            )  # fmt: skip
        code = self.facts.get("code", {})
        if is_weak(code, len(self.coder.drawn)):
            raise WeakCodeError(
                f"The codes tell {code['divergence_nats']:.2g} nats of a row "
                f"({code['active_units']} of {code['units']} numbers are active): the ends of a "
                "way would be no more like the two subjects than any other rows.",
                hint=more_code(),
                **code,
            )
        for end in (a, b):
            needed(self.coder, end)
            refuse_cells(unknown_cells(self.coder, end, rare=True), end)
            values = split(self.coder.schema, self.coder.fields, end)
            refuse_cells(dict(never_missing(self.coder, values, end)), end)
        tokens = np.concatenate([self.coder.encode(a), self.coder.encode(b)])
        ends, _ = self.net.encoder.codes(tokens)
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        z = (1 - share) * ends[:1] + share * ends[1:]
        same = Repeated(generator(seed, "vae interpolate"))
        values, _ = draw_columns(self.coder, self.net, self.net.decoded(z), same)
        return Records.flat(join(self.coder.schema, self.coder.fields, values))

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
