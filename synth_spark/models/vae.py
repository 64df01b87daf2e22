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
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from synth_spark.models.made import Layout, pick_of

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


class Vae(nn.Module):
    """The network; `forward` gives the cost of each row in nats."""

    def __init__(self, layout: Layout, shape: Bottleneck) -> None:
        super().__init__()
        self.layout, self.shape = layout, shape
        self.vectors = nn.ParameterDict()
        for i, slot in enumerate(layout.slots):
            if slot.basis is None:
                self.vectors[str(i)] = nn.Parameter(torch.randn(slot.size, layout.learned) * 0.3)
            else:
                self.register_buffer(f"basis{i}", torch.tensor(slot.basis), persistent=False)
        features = sum(layout.inputs(s) for s in layout.slots)
        slots = max(len(layout.slots), 1)
        self.enter = nn.Parameter(torch.randn(features, shape.encoder) / slots**0.5)
        self.enter_bias = nn.Parameter(torch.zeros(shape.encoder))
        self.inner = nn.Linear(shape.encoder, shape.encoder)
        self.mean = nn.Linear(shape.encoder, shape.latent)
        self.spread = nn.Linear(shape.encoder, shape.latent)
        self.rise = nn.Linear(shape.latent, shape.decoder)
        self.head = nn.Linear(shape.decoder, shape.head)
        self.register_buffer("steps", torch.zeros(()))  # taken so far, told by the loop
        self._heads()
        self._forbid()

    def _heads(self) -> None:
        layout, starts = self.layout, np.cumsum([0, *map(self.layout.inputs, self.layout.slots)])
        self.bias, self.out, self.direct = (nn.ParameterList() for _ in range(3))
        self.picks: list[Any] = []
        widths = []
        for c, size in enumerate(layout.sizes):
            basis, rank = layout.outs[c], layout.ranks[c]
            widths.append(rank or (size if basis is None else basis.shape[1]))
            self.bias.append(nn.Parameter(torch.tensor(layout.bias[c])))
            learned = torch.randn(rank, size) / rank**0.5 if rank else torch.zeros(0)
            self.out.append(nn.Parameter(learned, requires_grad=bool(rank)))
            if basis is not None:
                self.register_buffer(f"out{c}", torch.tensor(basis.T.copy()), persistent=False)
            rows = [r for p in layout.parents[c] for r in range(starts[p], starts[p + 1])]
            self.picks.append(pick_of(rows))
            self.direct.append(nn.Parameter(torch.zeros(len(rows), widths[-1])))
        self.widths = widths
        self.up = nn.Parameter(
            torch.randn(self.shape.head, sum(widths)) * 0.1 / self.shape.head**0.5
        )

    def _forbid(self) -> None:
        """Buffers of the pairs that never occur: per column only the class rows that matter."""
        layout, ends = self.layout, np.cumsum([0, *self.layout.sizes])
        self.never_columns: list[int] = []
        for c in range(len(layout.sizes)):
            taken = layout.never[:, ends[c] : ends[c + 1]]
            rows = np.flatnonzero(taken.any(axis=1))
            if len(rows):
                self.never_columns.append(c)
                self.register_buffer(f"never{c}", torch.tensor(taken[rows]), persistent=False)
                self.register_buffer(f"rows{c}", torch.tensor(rows), persistent=False)
        for i, classes in enumerate(layout.class_of):
            self.register_buffer(f"class{i}", torch.tensor(classes), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Nats of each row, those of the divergence at their weight.

        Args:
            tokens: (rows, slots + gates) as `Coder.encode` gives them.
        """
        tokens = tokens.long()
        x = torch.cat([self._feature(i, tokens[:, i]) for i in range(len(self.layout.slots))], 1)
        h = functional.relu(x @ self.enter + self.enter_bias)
        h = functional.relu(self.inner(h))
        mean = self.mean(h)
        log_variance = self.spread(h).clamp(*_LOG_VARIANCE)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)  # (rows, latent)
        return self._nats(tokens, x, z) + self._weight() * self._free(divergence)

    def _weight(self) -> float:
        warm = min(1.0, (float(self.steps) + 1) / max(self.shape.warmup_steps, 1))
        return self.shape.beta * (warm if self.training else 1.0)

    def _free(self, divergence: torch.Tensor) -> torch.Tensor:
        """Of each row; a latent number whose mean over the batch is free adds nothing."""
        if not self.shape.free_nats:
            return divergence.sum(1)
        costs = divergence.mean(0).detach() > self.shape.free_nats
        return (divergence * costs).sum(1)

    def _nats(self, tokens: torch.Tensor, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        h = functional.relu(self.head(functional.relu(self.rise(z))))
        parts = (h @ self.up).split(self.widths, 1)
        classes = self._classes(tokens) if self.never_columns else None
        direct = float(self.steps) >= self.shape.direct_step
        nats = torch.zeros(len(tokens), device=tokens.device)
        for c, part in enumerate(parts):
            features = part
            if direct and len(self.direct[c]):
                features = features + x[:, self.picks[c]] @ self.direct[c]
            logits = self._leave(c, features) + self.bias[c]
            if classes is not None and c in self.never_columns:
                logits = logits + classes[:, getattr(self, f"rows{c}")] @ getattr(self, f"never{c}")
            nats = nats + functional.cross_entropy(logits, tokens[:, c], reduction="none")
        return nats

    def _feature(self, slot: int, tokens: torch.Tensor) -> torch.Tensor:
        learned = self.layout.slots[slot].basis is None
        table = self.vectors[str(slot)] if learned else getattr(self, f"basis{slot}")
        return functional.embedding(tokens, table)

    def _leave(self, column: int, features: torch.Tensor) -> torch.Tensor:
        if self.layout.ranks[column]:
            return features @ self.out[column]
        basis = getattr(self, f"out{column}", None)
        return features if basis is None else features @ basis

    def _classes(self, tokens: torch.Tensor) -> torch.Tensor:
        hot = torch.zeros(len(tokens), len(self.layout.never), device=tokens.device)
        for i in range(tokens.shape[1]):
            rows = getattr(self, f"class{i}")
            if len(rows):
                hot.scatter_(1, rows[tokens[:, i]][:, None], 1.0)
        return hot
