"""A module's weights and gradients as two flat vectors.

Every weight becomes a view of one vector and every gradient a view of another, so that the sum
over ranks, the clipping, the optimiser, the averaging and the checkpoint are one operation each
instead of one for every layer. The gradient vector has a tail of a few numbers (summed loss,
examples, clock) that travel over the ranks with it and cost no message of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

TAIL = 3  # summed nats, examples, seconds on the clock of rank 0


class Flat:
    """The trainable weights of `module`, moved into one vector that the module keeps using.

    Args:
        module: All trainable parameters must be float32; they are replaced by views.

    Raises:
        TypeError: A trainable parameter is not float32.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        for name, parameter in named:
            if parameter.dtype != torch.float32:
                raise TypeError(f"{name} is {parameter.dtype}; the loop trains float32 only.")
        self.names = [n for n, _ in named]
        self.shapes = [tuple(p.shape) for _, p in named]
        self.size = sum(p.numel() for _, p in named)
        device = named[0][1].device if named else torch.device("cpu")
        self.values = torch.empty(self.size, device=device)  # (size,)
        self.sums = torch.zeros(self.size + TAIL, device=device)  # gradient, then the tail
        self.gradient = self.sums[: self.size]
        self.tail = self.sums[self.size :]
        at = 0
        for _, parameter in named:
            cut = slice(at, at := at + parameter.numel())
            self.values[cut] = parameter.data.reshape(-1)
            parameter.data = self.values[cut].view(parameter.shape)
            parameter.grad = self.sums[cut].view(parameter.shape)

    @contextmanager
    def holding(self, values: torch.Tensor) -> Iterator[None]:
        """The module with other weights, for as long as the block lasts."""
        own = self.values.clone()
        self.values.copy_(values)
        try:
            yield
        finally:
            self.values.copy_(own)

    def arrays(self, values: torch.Tensor) -> dict[str, NDArray[Any]]:
        """The state dict under the weights `values`, as arrays by name."""
        with self.holding(values):
            state = self.module.state_dict()
            return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}

    def buffers(self) -> dict[str, torch.Tensor]:
        """What the state dict holds beside trainable weights (masks, tables, frozen weights)."""
        own = set(self.names)
        return {k: v for k, v in self.module.state_dict().items() if k not in own}
