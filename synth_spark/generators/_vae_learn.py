"""The story of learning an autoencoder: tokens, one network, the prior of its codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Learning, Schedule, Train
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator, stream_key
from synth_spark.errors import SynthError
from synth_spark.generators._flat_layout import layout_of
from synth_spark.generators._flat_learn import FlatTrainee
from synth_spark.generators._flat_story import (
    SAMPLE_ROWS,
    encode,
    facts_of,
    pair_counts,
    prepared,
)
from synth_spark.generators._vae_model import VaeModel, is_weak, more_code
from synth_spark.generators._vae_net import folded
from synth_spark.generators._vae_prior import Prior

if TYPE_CHECKING:
    import torch

    from synth_spark.generators.vae import VaeParams
    from synth_spark.models.columns import Layout
    from synth_spark.models.vae import Bottleneck

_USUAL_ROWS = 5_634  # the table on which the epochs were chosen
_MOST_EPOCHS = 30  # small tables are not read more often than that
_ACTIVE = 0.01  # variance of a latent number's posterior means over the rows
_CODES = 20_000  # rows at most, whose codes the prior is fitted on
_BY_CHANCE = 0.02  # share of pairs: one in 300 unrelated pairs passes its test
_DRAWS = 4  # at most, of the code of one row
_ROWS_OF_ONE = 200  # for each Gaussian of the prior


class CollapsedError(SynthError):
    """The codes tell nothing of the rows although the columns depend on each other."""

    code = "SYN-730"


@dataclass(slots=True)
class VaeTrainee(FlatTrainee):
    """The autoencoder of a flat table, for the training loop; the loss weighs the divergence."""

    shape: Bottleneck

    def build(self) -> torch.nn.Module:
        """A new network."""
        from synth_spark.models.vae import Vae

        return Vae(self.layout, self.shape)


def learn_vae(schema: Schema, params: VaeParams, seed: int) -> Learning:
    """Tell the story of a flat table.

    Args:
        schema: Of the table.
        params: `VaeParams`.
        seed: Of the prior; the engine seeds the sample and the training.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        NothingToLearnError: There is no column to learn (SYN-705).
        CollapsedError: The codes tell nothing of the rows (SYN-730).
    """
    ready = yield from prepared(schema, params.min_subjects, params.relations)
    survey, coder = ready.survey, ready.coder
    if not coder.drawn:
        return VaeModel(coder, None, None, {"subjects": survey.subjects}, params.block_size)
    pairs = yield from pair_counts(ready)
    layout = layout_of(coder, ready.tokens, pairs, 0.0)
    dependent = depends(layout)
    if params.direct_after >= 1:
        layout = replace(layout, parents=((),) * len(coder.drawn))
    schedule = schedule_of(survey.rows, params)
    shape = bottleneck(survey.rows, schedule, params)
    trained = yield Train(partial(encode, coder), VaeTrainee(layout, schedule, shape), "vae")
    net = folded(layout, trained.weights)
    rng = generator(seed, "vae codes")
    some = rng.permutation(len(ready.tokens))[:_CODES]
    mean, spread = net.encoder.codes(ready.tokens[some])
    used = usage(mean, spread)
    if dependent and not used["active_units"]:
        raise collapsed(used, params)
    codes = drawn_codes(mean, spread, rng)
    count = int(np.clip(len(mean) // _ROWS_OF_ONE, 1, params.gaussians))
    prior = Prior.fit(codes, count, params.min_subjects / len(mean), stream_key(seed, "vae prior"))
    facts = {
        **facts_of(survey, coder, trained),
        "forbidden_pairs": int((layout.never != 0).sum()),
        "pairs_with_tables": sum(len(p) for p in layout.parents),
        "code": {**used, "gaussians": len(prior.upper)},
    }
    if dependent and is_weak(used, len(coder.drawn)):
        facts["notes"] = [weak(used, params)]
    return VaeModel(coder, net, prior, facts, params.block_size)


def depends(layout: Layout) -> bool:
    """Whether more pairs of columns tell of each other than chance finds among independent ones."""
    pairs = sum(slot.column < c for c in range(len(layout.sizes)) for slot in layout.slots)
    return sum(len(p) for p in layout.parents) > _BY_CHANCE * pairs


def drawn_codes(
    mean: NDArray[np.float32], spread: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draws from the posteriors, several of each where there are few; shape (draws, latent)."""
    times = int(np.clip(_CODES // len(mean), 1, _DRAWS))
    many, wide = np.tile(mean, (times, 1)), np.tile(spread, (times, 1))
    return many + wide * rng.standard_normal(many.shape, dtype=np.float32)


def usage(mean: NDArray[np.float32], spread: NDArray[np.float32]) -> dict[str, Any]:
    """How much the codes tell.

    A unit is active if its posterior mean moves over the rows: Burda, Grosse and Salakhutdinov,
    "Importance Weighted Autoencoders", ICLR 2016, section 5.2.

    Args:
        mean: Of the posteriors, (rows, latent).
        spread: Their standard deviations, (rows, latent).

    Returns:
        Units, active units, and nats of the divergence from the standard normal in all.
    """
    nats = 0.5 * (mean**2 + spread**2 - 1 - 2 * np.log(spread)).mean(axis=0)
    active = mean.var(axis=0) > _ACTIVE
    return {
        "units": int(mean.shape[1]),
        "active_units": int(active.sum()),
        "divergence_nats": float(nats.sum()),
    }


def collapsed(used: dict[str, Any], params: VaeParams) -> CollapsedError:
    """The error of a training whose codes tell nothing."""
    return CollapsedError(
        f"No one of {used['units']} latent numbers tells anything of the rows, although the "
        "columns depend on each other.",
        hint=f"a smaller beta than {params.beta:g}, a longer warmup, free_nats: 0.1, more epochs",
        **used,
    )


def weak(used: dict[str, Any], params: VaeParams) -> str:
    """What the screen, the card and the report say of codes that tell little."""
    return (
        f"The codes of this autoencoder tell {used['divergence_nats']:.2g} nats of a row (beta "
        f"{params.beta:g}): it has all but collapsed. Rows hang together by pairs of columns "
        f"only, and none can be interpolated. Try: {more_code()}; or the generator autoregressive."
    )


def schedule_of(rows: int, params: VaeParams) -> Schedule:
    """Steps grow with the square root of the rows: 30 epochs at 5,600 rows, 11 at 50,000.

    2 at a million, 1 above 1.3 million; `max_minutes` then cuts the schedule to what fits.
    """
    small = rows < 4_000
    wanted = min(_MOST_EPOCHS * sqrt(_USUAL_ROWS / rows), _MOST_EPOCHS)
    by_rows = ceil(wanted) if rows <= SAMPLE_ROWS else max(int(wanted), 1)
    decay = min(0.1 * max(_USUAL_ROWS / rows, 1.0), 3.0)  # the fewer rows, the more
    return Schedule(
        batch_size=params.batch_size or (128 if small else 256),
        max_epochs=params.max_epochs or by_rows,
        max_minutes=params.max_minutes,
        learning_rate=params.learning_rate,
        weight_decay=decay if params.weight_decay is None else params.weight_decay,
        valid_share=params.valid_share,
        patience=params.patience,
        keep="last",
    )


def bottleneck(rows: int, schedule: Schedule, params: VaeParams) -> Bottleneck:
    """The sizes around the codes; the warm-up in steps of the whole schedule."""
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
        direct_step=int(params.direct_after * steps),
    )
