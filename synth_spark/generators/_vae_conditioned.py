"""Rows of the autoencoder under a condition, by weighing codes: no draw is repeated until it fits.

For every row `CODES` codes come from the prior. Each is weighed by the likelihood that the decoder
gives the condition, and a few are kept in proportion. From each of these a row is drawn, column
after column, the condition's columns held to what it leaves of them. One of these rows is taken,
in proportion to what is left of its weight. This is sampling importance resampling: Smith and
Gelfand, "Bayesian Statistics without Tears", The American Statistician 46 (1992), section 3.

A row for which no candidate holds (a narrow range of a computed total) takes one of the `ANCHORS`:
rows drawn beforehand in the same way that do hold. Without any of them the condition is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.within import Within
from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition, ImpossibleConditionError, holding
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_conditions import Fixed, Part
from synth_spark.generators._flat_fields import join
from synth_spark.generators._vae_conditions import limits_of
from synth_spark.generators._vae_draw import draw_columns
from synth_spark.generators._vae_net import Array, VaeNet

if TYPE_CHECKING:
    from synth_spark.generators._vae_model import VaeModel

CODES = 64  # drawn for each row
_KEPT, _KEPT_FOLLOWING = 4, 24  # rows drawn from them: where limits alone hold, and where not
ANCHORS = 1_024
_ANCHOR_BLOCKS = 8  # at most, that anchors are drawn from
_PIECE = 256  # rows whose codes are weighed at once
_SHUT = -5e3  # a logit below is a pair that never occurs


@dataclass(frozen=True, slots=True)
class ConditionedVae:
    """Draws rows that hold a condition."""

    model: VaeModel
    condition: Condition
    limits: Mapping[int, Part]  # by drawn column
    kept: int
    anchors: Records | None = None

    @property
    def block_size(self) -> int:
        """Rows drawn together."""
        return self.model.block_size

    @classmethod
    def of(cls, model: VaeModel, condition: Condition) -> Self:
        """The model under the condition.

        Raises:
            ImpossibleConditionError: No row could be drawn that holds it (SYN-711).
        """
        limits, alone = limits_of(model.coder, condition)
        if model.net is not None:
            limits = _with_shut(model, limits)
        out = cls(model, condition, limits, _KEPT if alone else _KEPT_FOLLOWING)
        found: list[Records] = []
        for block in range(_ANCHOR_BLOCKS):
            drawn, held = out._rows(generator(0, "vae anchors", block))
            found.append(drawn.take(np.flatnonzero(held)))
            if sum(f.rows for f in found) >= ANCHORS:
                break
        anchors = Records.joined(found)
        if not anchors.rows:
            raise ImpossibleConditionError(
                f"None of {_ANCHOR_BLOCKS * model.block_size} rows held {condition.text()}.",
                hint="fewer clauses or wider ranges",
                condition=condition.text(),
            )
        anchors = anchors.take(np.arange(min(anchors.rows, ANCHORS)))
        return cls(model, condition, limits, out.kept, anchors)

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        rng = generator(seed, "vae conditioned", block)
        assert self.anchors is not None
        rows, held = self._rows(rng)
        instead = rows.rows + rng.integers(self.anchors.rows, size=rows.rows)
        taken = np.where(held, np.arange(rows.rows), instead)
        return Records.joined([rows, self.anchors]).take(taken[:subjects])

    def conditioned(self, condition: Condition) -> ConditionedVae:
        """Under both conditions."""
        both = Condition((*self.condition.clauses, *condition.clauses))
        return ConditionedVae.of(self.model, both)

    def state(self) -> dict[str, Any]:
        raise TypeError("A conditioned model is made anew from the model and the condition.")

    def about(self) -> dict[str, Any]:
        return {**self.model.about(), "condition": self.condition.text()}

    def _rows(self, rng: np.random.Generator) -> tuple[Records, NDArray[np.bool_]]:
        """A block, and which of its rows hold the condition with a chance above 0."""
        coder, net, prior = self.model.coder, self.model.net, self.model.prior
        if net is None or prior is None:
            values, _ = draw_columns(coder, None, np.zeros((self.block_size, 0), np.float32), rng)
            rows = Records.flat(join(coder.schema, coder.fields, values))
            return rows, holding(self.condition, rows)
        pieces = [self._codes(rng) for _ in range(0, self.block_size, _PIECE)]
        z = np.concatenate([p[0] for p in pieces])[: self.block_size]
        before = np.concatenate([p[1] for p in pieces])[: self.block_size]
        values, chance = draw_columns(
            coder, net, net.decoded(z.reshape(-1, net.latent)), rng, self.limits
        )
        columns = Records.flat(join(coder.schema, coder.fields, values))
        weight = chance.reshape(-1, self.kept) - before
        weight = np.where(holding(self.condition, columns).reshape(weight.shape), weight, -np.inf)
        best = picked(weight, 1, rng)[:, 0]
        rows = columns.take(np.arange(len(best)) * self.kept + best)
        return rows, np.isfinite(weight.max(axis=1))

    def _codes(self, rng: np.random.Generator) -> tuple[Array, NDArray[np.float64]]:
        """A few codes for each of some rows, (rows, kept, latent), and their logits."""
        net, prior = self.model.net, self.model.prior
        assert net is not None
        assert prior is not None
        z = prior.draw(_PIECE * CODES, rng)
        logits = _likelihood(net, net.decoded(z), self.limits).reshape(_PIECE, CODES)
        chosen = picked(logits, self.kept, rng)
        place = np.arange(_PIECE)[:, None]
        return z.reshape(_PIECE, CODES, -1)[place, chosen], logits[place, chosen]


def _likelihood(net: VaeNet, h: Array, limits: Mapping[int, Part]) -> NDArray[np.float64]:
    """Logarithm of the chance of the limits that do not hang on other columns; (rows,)."""
    out = np.zeros(len(h))
    for c, limit in limits.items():
        if isinstance(limit, Fixed):
            weights = net.heads[c].alone(h)
            weights -= weights.max(axis=1, keepdims=True)
            np.exp(weights, out=weights)
            left = (weights @ limit.part.share.astype(np.float32)) / weights.sum(axis=1)
            out += np.log(np.maximum(left, 1e-30))
    return out


def picked(logits: NDArray[np.float64], many: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Columns in proportion to exp(logits), with replacement, (rows, many); uniform if all -inf."""
    top = logits.max(axis=1, keepdims=True)
    weights = np.where(np.isfinite(top), np.exp(logits - np.where(np.isfinite(top), top, 0)), 1.0)
    upper = np.cumsum(weights, axis=1)
    u = rng.random((len(logits), many)) * upper[:, -1:]
    return np.asarray(
        (upper[:, None, :] <= u[:, :, None]).sum(axis=2).clip(max=logits.shape[1] - 1)
    )


def _with_shut(model: VaeModel, limits: Mapping[int, Part]) -> dict[int, Part]:
    """Also limits on the columns before: no token that never occurs with any that is left.

    A limit on a number stays as it is, its weight tells.
    """
    net, drawn = model.net, model.coder.drawn
    assert net is not None
    out = dict(limits)
    for c, limit in limits.items():
        head = net.heads[c]
        if not isinstance(limit, Fixed) or len(head.out):
            continue
        left = limit.part.share > 0
        for slot, start in zip(head.slots.tolist(), head.starts.tolist(), strict=True):
            if slot >= len(net.heads):
                continue
            table = head.direct[start : start + net.heads[slot].vocabulary]
            open_ = np.asarray((table[:, left] >= _SHUT).any(axis=1))
            before = out.get(slot)
            if isinstance(before, Fixed) and (
                slot not in limits or isinstance(drawn[slot].codec, Category)
            ):
                open_ &= before.part.share > 0
            elif before is not None:
                continue
            if open_.any() and not open_.all():
                out[slot] = Fixed(drawn[slot], Within.of_tokens(np.flatnonzero(open_), len(open_)))
    return out
