"""AdamW on one flat vector, by torch's own fused kernel.

`torch.optim.AdamW(fused=True)` calls the same kernel, but the first optimiser that is made loads
torch's compiler, which costs every process 5 to 20 s that no step needs. The kernel's name is not
public: a test holds it to the formulas of the paper, step by step.
"""

from __future__ import annotations

import torch

from synth_spark.core.ports import Schedule

EPSILON = 1e-8  # torch's own; keeps the step finite where a weight has had no gradient


class Adam:
    """Moments and step count of one vector of weights.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """

    def __init__(self, values: torch.Tensor, gradient: torch.Tensor, schedule: Schedule) -> None:
        self._values, self._gradient, self._schedule = values, gradient, schedule
        self.first = torch.zeros_like(values)  # running mean of the gradient
        self.second = torch.zeros_like(values)  # running mean of its square
        self.count = torch.tensor(0.0, device=values.device)  # steps taken

    def step(self, rate: float) -> None:
        """Move the weights against the gradient, in place."""
        self.count += 1
        torch._fused_adamw_(
            [self._values],
            [self._gradient],
            [self.first],
            [self.second],
            [],
            [self.count],
            lr=rate,
            beta1=self._schedule.betas[0],
            beta2=self._schedule.betas[1],
            weight_decay=self._schedule.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )
