"""The critics of a sequence GAN, and the module in which they face the generator.

The critic of sequences looks at `PACK` of them at once, so that it sees when they are too alike
(Lin et al., "PacGAN: The power of two samples in generative adversarial networks", NeurIPS 2018),
and is kept smooth by the gradient penalty (Gulrajani et al., "Improved Training of Wasserstein
GANs", NeurIPS 2017, section 4). The critic of attributes is the second discriminator of Lin et
al., "Using GANs for Sharing Networked Time Series Data", IMC 2020, section 4.2: a logit of real
against drawn, whose exponential is the ratio of their densities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from synth_spark.models.event_net import EventNet, NetShape

PACK = 2  # sequences that the critic sees at once
SLOPE = 0.2  # of the critics' activations below zero


class SequenceCritic(nn.Module):
    """Scores packs of sequences: convolutions over events, a mean over time, the attributes."""

    def __init__(self, features: int, attributes: int, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.convolve = nn.Sequential(
            nn.LeakyReLU(SLOPE), nn.Conv1d(width, width, 5, padding=2),
            nn.LeakyReLU(SLOPE), nn.Conv1d(width, width, 5, stride=2, padding=2),
            nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.given = nn.Linear(attributes, width)
        self.head = nn.Sequential(
            nn.Linear(2 * width * PACK, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1)
        )

    def look(self, events: Tensor, attributes: Tensor) -> Tensor:
        """What is seen of each sequence.

        Args:
            events: Features of the events, zeros behind the last, shape (rows, time, features).
            attributes: Shape (rows, attributes).

        Returns:
            Shape (rows, 2 width).
        """
        h = self.convolve(self.embed(events).transpose(1, 2))
        return torch.cat([h.mean(2), nn.functional.leaky_relu(self.given(attributes), SLOPE)], 1)

    def score(self, *seen: Tensor) -> Tensor:
        """The score of packs, shape (rows,); `seen` holds `PACK` of what `look` gave."""
        return self.head(torch.cat(seen, 1))[:, 0]


class AttributeCritic(nn.Module):
    """The logit of a row of attributes being real; 0 before it has learned anything."""

    def __init__(self, attributes: int, width: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(attributes, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1),
        )  # fmt: skip
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, attributes: Tensor) -> Tensor:
        """Logits, shape as `attributes` without the last axis."""
        return self.net(attributes)[..., 0]


class Adversary(nn.Module):
    """A trained event network that is moved away from where it started, and its critics.

    The network's weights are `start + rate * away`. The optimiser moves every weight of the
    module by about as much a step, so `rate` makes the generator slower than its critics
    (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017), and the start
    stays at hand.
    """

    def __init__(
        self, shape: NetShape, start: Mapping[str, Any], rate: float, features: int, attributes: int
    ) -> None:
        super().__init__()
        self.net = EventNet(shape)
        self.net.load_state_dict({k: torch.as_tensor(v) for k, v in start.items()})
        self.net.requires_grad_(False)
        self.rate = rate
        self.away = nn.ParameterDict(
            {_key(k): nn.Parameter(torch.zeros_like(p)) for k, p in self.net.named_parameters()}
        )
        self.critic = SequenceCritic(features, attributes)
        self.judge = AttributeCritic(attributes)
        self.register_buffer("steps", torch.zeros(1))  # taken so far, told by the loop

    def weights(self) -> dict[str, Tensor]:
        """The generator's weights."""
        named = self.net.named_parameters()
        return {k: p + self.rate * self.away[_key(k)] for k, p in named}

    def forward(self, loss: Callable[..., Tensor], batch: Any) -> Tensor:
        """`loss(net, batch)`; the net has the weights that `functional_call` gives it."""
        return loss(self.net, batch)

    def nats(self, loss: Callable[..., Tensor], batch: Any, weights: dict[str, Tensor]) -> Tensor:
        """`loss` of the net under other weights."""
        named = {f"net.{k}": w for k, w in weights.items()}
        return torch.func.functional_call(self, named, (loss, batch))


def _key(name: str) -> str:
    return name.replace(".", "/")


def net_weights(state: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """The generator's weights from the state of an `Adversary`, as arrays."""
    named = {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}
    return {k: (v + rate * state[f"away.{_key(k)}"]).astype(v.dtype) for k, v in named.items()}


def penalty(score: Tensor, inputs: list[Tensor]) -> Tensor:
    """How far the slope of each score is from 1, squared; shape (rows,).

    Args:
        score: Shape (rows,).
        inputs: What it was computed from, first axis a whole multiple of rows: pack k has the
            rows k, k + rows, ... of each.
    """
    slopes = torch.autograd.grad(score.sum(), inputs, create_graph=True)
    square = torch.stack(
        [g.reshape(PACK, len(score), -1).square().sum((0, 2)) for g in slopes]
    ).sum(0)
    return (torch.sqrt(square + 1e-8) - 1).square()
