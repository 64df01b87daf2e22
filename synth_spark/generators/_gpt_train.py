"""What the training loop is given: the decoder, rows of positions, and the loss of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded
from synth_spark.generators._events_coder import Units
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_layout import AFTER
from synth_spark.generators._events_recall import RING
from synth_spark.generators._events_seen import SCALE
from synth_spark.generators._events_train import FAR, EventTrainee, nats_of, unrolled
from synth_spark.generators._gpt_seen import Sight, pack
from synth_spark.models.recall import CENTERS

if TYPE_CHECKING:
    import torch

LENGTH = 192  # positions of a row
OVERLAP = 64  # positions that the next row of a long unit looks back at


@dataclass(slots=True)
class GptTrainee(EventTrainee):
    """The decoder as the training loop wants it; masks are those of the event net."""

    sight: Sight
    layers: int
    heads: int
    shares: dict[str, NDArray[np.float64]]  # of the tokens of each output layer

    def gpt_shape(self) -> Any:
        """Sizes of the decoder."""
        from synth_spark.models.event_net import NetShape
        from synth_spark.models.gpt import GptShape

        layout, sight = self.seen.layout, self.sight
        net = NetShape(
            inputs=1, after=AFTER, pointer=layout.pointer, times=self.clock.end + 1,
            jumps=self.jumps, cats=tuple(sight.widths.tolist()),
            nums=tuple(layout.numbers.tolist()), width=self.width, head=self.head,
            dropout=self.dropout,
        )  # fmt: skip
        return GptShape(
            net=net, dense=layout.dense, own=self.seen.own, tokens=sight.tokens,
            layers=self.layers, heads=self.heads, context=sight.context,
            fold=tuple(sight.folds[0].tolist()) if sight.folds else (),
        )  # fmt: skip

    def build(self) -> torch.nn.Module:
        from synth_spark.models.gpt import Gpt

        module = Gpt(self.gpt_shape())
        module.start_from(self.shares)
        return module

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        e, layout, sight = encoded.events, self.seen.layout, self.sight
        rows, end = len(e["end"]), e["end"][:, 0]
        x = np.empty((rows, layout.before), np.float32)
        z = np.empty((rows, AFTER), np.float16)
        q = np.zeros((rows, layout.main, layout.pointer), np.float16)
        shares = e["shares"].astype(np.float32) / 255
        folded = {**e, "cats": sight.folded(e["cats"])}
        ring = np.empty((rows, RING), np.int16)
        centers = np.empty((rows, len(layout.numbers), CENTERS), np.float32)
        main = sight.main_shares(shares.astype(np.float32))
        now = unrolled(folded, main, layout, x, z, q, ring, centers)
        told = np.zeros((rows, len(sight.starts) - 1), np.int32)
        told[1:] = sight.told(e["clock"], e["cats"], e["nums"])[:-1]
        first = np.ones(rows, bool)
        first[1:] = end[:-1]
        told[first] = 0
        own = e["attributes"].astype(np.float32) / SCALE
        flat: dict[str, NDArray[Any]] = {
            "x": np.concatenate([x[:, : layout.dense], own], axis=1).astype(np.float16),
            "told": told,
            "after": z,
            "pointer": q,
            "clock": e["clock"],
            "cats": e["cats"].astype(np.int16),
            "nums": e["nums"].astype(np.int16),
            "allowed": shares > 0,
            "now": now.astype(np.float32)[:, None],
            "room": e["room"],
        }
        last = np.flatnonzero(end)
        packed = pack(np.diff(np.concatenate([[-1], last])), LENGTH, OVERLAP)
        at = np.maximum(packed.at, 0)
        return {
            **{name: values[at] for name, values in flat.items()},
            "segment": packed.segment,
            "prefix": packed.prefix,
            "counted": packed.counted,
        }

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Nats of each row over its positions, as if all of them counted."""
        import torch

        counted = batch["counted"]
        h = module.positions(
            batch["x"].float(), batch["told"].long(), batch["segment"], batch["prefix"]
        )
        names = ("x", "after", "pointer", "clock", "cats", "nums", "allowed", "now", "room")
        flat = {name: batch[name][counted] for name in names}
        ready: Any = _Ready(module, module.split(h[counted]))
        nats = EventTrainee.loss(self, ready, flat)
        row = torch.nonzero(counted)[:, 0]
        return torch.zeros(len(counted), device=h.device).index_add(0, row, nats) / LENGTH

    def _values(self, module: Any, batch: Any, slices: Any, after: torch.Tensor) -> torch.Tensor:
        import torch

        sight, layout = self.sight, self.seen.layout
        cats = [batch["cats"][:, j].long() for j in range(len(sight.widths))]
        nums = [batch["nums"][:, j].long() for j in range(len(layout.numbers))]
        total = torch.zeros(len(after), device=after.device)
        chosen, at = after[:, :0], 0
        pointer = batch["pointer"].float() if cats else chosen
        for j, slots in enumerate(sight.slots):
            logits = module.category(j, slices[3 + j], after, cats[:j], chosen if j else pointer)
            allowed = batch["allowed"][:, at + torch.from_numpy(slots).to(after.device)]
            allowed = allowed.scatter(1, cats[j][:, None], True)
            total = total + nats_of(logits.masked_fill(~allowed, FAR), cats[j])
            if not j:
                group = module.fold[cats[0]]
                chosen = pointer[torch.arange(len(after), device=after.device), group]
            at += int(slots.max()) + 1
        known = module.known(after, cats, chosen)
        for j in range(len(nums)):
            logits = module.number(j, slices[3 + len(cats) + j], known, nums[:j])
            total = total + nats_of(logits, nums[j])
        return total


class _Ready:
    """The module with the slices of the heads at hand."""

    def __init__(self, module: Any, slices: tuple[torch.Tensor, ...]) -> None:
        self._module, self._slices = module, slices

    def slices(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The slices, whatever went in."""
        return self._slices

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def token_counts(base: Base, units: Units) -> dict[str, NDArray[np.float64]]:
    """How often each output layer's tokens occur in real units, at least half an event each."""
    clock, coder = base.coder.clock, base.coder
    token, hour, slot = clock.encode(units.t, units.previous)
    ends = int((units.lengths > 0).sum())
    times = np.bincount(token, minlength=clock.end + 1).astype(float)
    times[clock.end] += ends
    out = {
        "time_out": times,
        "hour_out": np.bincount(hour[hour >= 0], minlength=24).astype(float),
        "slot_out": np.bincount(slot[slot >= 0], minlength=12).astype(float),
    }
    for j, c in enumerate(coder.cats):
        out[f"cat_out.{j}"] = np.bincount(units.cats[:, j], minlength=c.tokens).astype(float)
    for j, c in enumerate(coder.nums):
        size = max(c.codec.vocabulary, 1)
        out[f"num_out.{j}"] = np.bincount(units.nums[:, j], minlength=size).astype(float)
    return out


def start_shares(counts: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Shares of tokens, none of them zero."""
    raised = {name: np.maximum(c, 0.5) for name, c in counts.items()}
    return {name: c / c.sum() for name, c in raised.items()}
