"""The story of learning an autoencoder: tokens, one network, the prior of its codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key
from synth_spark.errors import SynthError
from synth_spark.generators._flat_layout import layout_of
from synth_spark.generators._flat_model import relations_in_words
from synth_spark.generators._flat_story import SAMPLE_ROWS, Prepared, encode, pair_counts, prepared
from synth_spark.generators._vae_model import VaeModel
from synth_spark.generators._vae_net import VaeNet, folded
from synth_spark.generators._vae_prior import Prior

if TYPE_CHECKING:
    import torch

    from synth_spark.generators.vae import VaeParams
    from synth_spark.models.made import Layout
    from synth_spark.models.vae import Bottleneck

_USUAL_ROWS = 5_634  # the table on which the epochs were chosen
_MOST_EPOCHS = 60  # small tables are not read more often than that
_ACTIVE = 0.01  # variance of a latent number's posterior means over the rows
_CODES = 20_000  # that the prior is fitted on


class CollapsedError(SynthError):
    """The codes tell nothing of the rows although the columns depend on each other."""

    code = "SYN-730"


@dataclass(slots=True)
class VaeTrainee:
    """The autoencoder of a flat table, for the training loop."""

    layout: Layout
    shape: Bottleneck
    schedule: Schedule

    def build(self) -> torch.nn.Module:
        """A new network."""
        from synth_spark.models.vae import Vae

        return Vae(self.layout, self.shape)

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        """A row is an example."""
        return {"tokens": encoded.context["tokens"]}

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Nats of each row, those of the divergence at their weight."""
        nats: torch.Tensor = module(batch["tokens"])
        return nats


def learn_vae(schema: Schema, params: VaeParams, seed: int) -> Learning:
    ready = yield from prepared(schema, params.min_subjects, params.relations)
    survey, coder = ready.survey, ready.coder
    if not coder.drawn:
        return VaeModel(coder, None, None, {"subjects": survey.subjects}, params.block_size)
    pairs = yield from pair_counts(ready)
    layout = layout_of(coder, ready.tokens, pairs, 0.0)
    dependent = any(layout.parents)
    if not params.direct:
        layout = replace(layout, parents=((),) * len(coder.drawn))
    schedule = schedule_of(survey.rows, params)
    shape = bottleneck(survey.rows, schedule, params)
    trained = yield Train(partial(encode, coder), VaeTrainee(layout, shape, schedule), "vae")
    net = folded(layout, trained.weights)
    mean, spread = net.encoder.codes(ready.tokens[:_CODES])
    noise = generator(seed, "vae codes").standard_normal(mean.shape, dtype=np.float32)
    prior = Prior.fit(
        mean + spread * noise,
        params.gaussians,
        params.min_subjects / len(mean),
        stream_key(seed, "vae prior"),
    )
    au = int((mean.var(axis=0) > _ACTIVE).sum())
    kl = 0.5 * (mean**2 + spread**2 - 1 - 2 * np.log(spread)).mean(0)
    print("AU", au, "KL", kl.round(2), trained.curve[-1])
    return VaeModel(coder, net, prior, {"subjects": survey.subjects}, params.block_size)


def schedule_of(rows: int, params: VaeParams) -> Schedule:
    small = rows < 4_000
    wanted = min(60 * sqrt(_USUAL_ROWS / rows), _MOST_EPOCHS)
    by_rows = max(int(wanted), 1)
    return Schedule(
        batch_size=params.batch_size or (128 if small else 256),
        max_epochs=params.max_epochs or by_rows,
        max_minutes=params.max_minutes,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        valid_share=params.valid_share,
        patience=params.patience,
        keep="last",
    )


def bottleneck(rows: int, schedule: Schedule, params: VaeParams) -> Bottleneck:
    from synth_spark.models.vae import Bottleneck

    steps = ceil(rows / schedule.batch_size) * schedule.max_epochs
    return Bottleneck(
        latent=params.latent,
        encoder=params.encoder,
        decoder=params.decoder,
        head=params.head,
        beta=params.beta,
        warmup_steps=int(params.warmup * steps),
        free_nats=params.free_nats,
    )
