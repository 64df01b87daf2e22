"""A variational autoencoder over discretised columns of mixed kinds.

The encoder reads all tokens of a row and gives a Gaussian over `latent` numbers z; the decoder
turns z into one softmax a column. Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014;
the weight of the divergence: Higgins et al., "beta-VAE", ICLR 2017; its warm-up: Sonderby et al.,
"Ladder Variational Autoencoders", NeurIPS 2016, section 2.2; free nats: Kingma et al., "Improved
Variational Inference with Inverse Autoregressive Flow", NeurIPS 2016, appendix C.8.

Given z the columns are independent but for two things, both seen from the columns before, in
their order: pairs that never occur are taken out of the softmax, in training as in sampling, and
strongly dependent pairs have direct tables. These join late in the training: tables that are there
from the start take over what z should tell, up to the collapse of the posterior. Bowman et al.,
"Generating Sentences from a Continuous Space", CoNLL 2016, section 3.1, saw the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from synth_spark.models.columns import Columns, Layout

_LOG_VARIANCE = (-10.0, 3.0)  # bounds of the encoder's answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The sizes around the latent numbers, and what the divergence costs."""

    latent: int  # numbers of z
    encoder: int  # units of each of the encoder's two layers
    decoder: int  # units of the decoder's first layer
    head: int  # units of its second, which the columns read
    beta: float  # weight of the divergence once warm
    warmup_steps: int  # over which the weight rises from 0
    free_nats: float  # of each latent number, that cost nothing
    direct_step: int  # from which on direct tables join


class Vae(Columns):
    """The network; `forward` gives the cost of each row in nats."""

    lists = ("bias", "out", "direct")

    def __init__(self, layout: Layout, shape: Bottleneck) -> None:
        super().__init__(layout)
        self.shape = shape
        slots = max(len(layout.slots), 1)
        self.enter = nn.Parameter(torch.randn(self.starts[-1], shape.encoder) / slots**0.5)
        self.enter_bias = nn.Parameter(torch.zeros(shape.encoder))
        self.inner = nn.Linear(shape.encoder, shape.encoder)
        self.mean = nn.Linear(shape.encoder, shape.latent)
        self.spread = nn.Linear(shape.encoder, shape.latent)
        self.rise = nn.Linear(shape.latent, shape.decoder)
        self.head = nn.Linear(shape.decoder, shape.head)
        self.register_buffer("steps", torch.zeros(()))  # taken so far, told by the loop
        self.widths = self._heads()
        up = torch.randn(shape.head, sum(self.widths)) * 0.1 / shape.head**0.5
        self.up = nn.Parameter(up)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Nats of each row, those of the divergence at their weight.

        Args:
            tokens: (rows, slots + gates) as `Coder.encode` gives them.
        """
        tokens = tokens.long()
        x = torch.cat(self._entered(tokens), 1)
        h = functional.relu(x @ self.enter + self.enter_bias)
        h = functional.relu(self.inner(h))
        mean = self.mean(h)
        log_variance = self.spread(h).clamp(*_LOG_VARIANCE)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)  # (rows, latent)
        h = functional.relu(self.head(functional.relu(self.rise(z))))
        direct = float(self.steps) >= self.shape.direct_step
        nats = self._nats(tokens, x, (h @ self.up).split(self.widths, 1), direct=direct)
        return nats + self._weight() * self._free(divergence)

    def _weight(self) -> float:
        warm = min(1.0, (float(self.steps) + 1) / max(self.shape.warmup_steps, 1))
        return self.shape.beta * (warm if self.training else 1.0)

    def _free(self, divergence: torch.Tensor) -> torch.Tensor:
        """Of each row; a latent number whose mean over the batch is free adds nothing."""
        if not self.shape.free_nats:
            return divergence.sum(1)
        costs = divergence.mean(0).detach() > self.shape.free_nats
        return (divergence * costs).sum(1)
