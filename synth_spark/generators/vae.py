"""A variational autoencoder over the columns of a flat table.

See docs/ref-generators-vae.md; the story of the learning is in `_vae_learn.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synth_spark.core.conditions import Clause
from synth_spark.core.ports import Learning
from synth_spark.core.schema import Schema, Shape
from synth_spark.generators._vae_model import VaeModel


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeParams:
    """Settings of the autoencoder; the defaults are meant for every table."""

    min_subjects: int = 5  # a label or spike held by fewer subjects is not told by itself
    latent: int = 16  # numbers of a code
    beta: float = 0.6  # weight of the divergence from the standard normal
    warmup: float = 0.3  # share of the steps over which beta rises from 0
    free_nats: float = 0.0  # of each latent number, that cost nothing
    gaussians: int = 100  # of the prior, at most
    encoder: int = 256  # units of each of the encoder's two layers
    decoder: int = 128  # units of the decoder's first layer
    head: int = 64  # units of its second, which the columns read
    direct_after: float = 0.4  # share of the steps after which direct tables of pairs join; 1: none
    max_epochs: int | None = None  # by the number of rows
    max_minutes: float = 10.0
    batch_size: int | None = None  # rows a step, all ranks together; by the number of rows
    learning_rate: float = 0.002
    weight_decay: float | None = None  # 0.1, more on small tables
    patience: int = 0  # epochs without a gain on held-back rows before stopping; 0: never
    valid_share: float = 0.05  # rows that only check the loss
    relations: bool = True  # look for numbers that follow from other columns
    block_size: int = 4_096  # rows drawn together; part of what a seed means


class Vae:
    """A variational autoencoder of profiles; two of them can be blended."""

    shapes: ClassVar[frozenset[Shape]] = frozenset({"flat"})
    families: ClassVar[frozenset[str]] = frozenset()
    min_subjects: ClassVar[int] = 20
    relates: ClassVar[bool] = True
    blends: ClassVar[frozenset[Shape]] = frozenset({"flat"})  # models with `interpolate`
    Params: ClassVar[type[VaeParams]] = VaeParams
    Model: ClassVar[type[VaeModel]] = VaeModel

    def learn(self, schema: Schema, params: VaeParams, seed: int) -> Learning:
        """Tell the story of the learning; returns the model."""
        from synth_spark.generators._vae_learn import learn_vae

        return (yield from learn_vae(schema, params, seed))

    def objection(self, schema: Schema, clause: Clause) -> str:
        """Labels, numbers, times and missing values can be asked for; all others say why not."""
        kinds = {c.name: c.kind for c in schema.columns}
        kind = kinds.get(clause.field, "")
        if kind in ("category", "number", "time"):
            return ""
        if kind:
            return f"{clause.field} is of kind {kind}: its values are made anew, not drawn"
        return f"{clause.field} is no column of this table"


GENERATOR = Vae()
EXAMPLE = VaeParams(min_subjects=1, max_epochs=2, encoder=32, decoder=16, head=16, latent=4)
