"""The adversarial phase as the training loop wants it: one loss, three players, a monitor.

Events are discrete and their features cannot be differentiated through, so the generator follows
the policy gradient of its own draws (Yu et al., "SeqGAN", AAAI 2017): the log-likelihood of a
drawn unit times what the critic thinks of it, less what it thinks of the other draws from the same
attributes (Kool et al., "Buy 4 REINFORCE Samples, Get a Baseline for Free!", ICLR 2019 workshop).
A share of the likelihood of real units keeps it in place (Guo et al., "Long Text Generation via
Adversarial Training with Leaked Information", AAAI 2018, interleaved training).

Draws are data to the critics and the critics' scores are data to the generator, so one backward
pass gives each its own gradient. On held-back units the loss is the monitor's distance
(`_gan_monitor.py`): the loop keeps the epoch with the least, the first weights included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Schedule
from synth_spark.generators import _gan_rollout as rollout
from synth_spark.generators._events_seen import SCALE
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_train import EventTrainee
from synth_spark.generators._gan_monitor import distance
from synth_spark.generators._gan_units import CANDIDATES, Arrays, Ragged

if TYPE_CHECKING:
    import torch

DRAWS = 2  # of each unit in a step
CHECKED = 4_096  # about so many units are drawn to check a batch
WINDOW = 64  # events that the critic sees of a unit
PENALTY = 10.0  # weight of the critics' gradient penalties
STEEPEST = 3.0  # bound of an attribute critic's logit where it picks


@dataclass(slots=True)
class Adversarial:
    """Generator and critics as the training loop wants them."""

    rate_setting: ClassVar[str] = "critic_rate"  # the plan's name of the schedule's learning rate

    schedule: Schedule
    events: EventTrainee
    support: Support
    start: dict[str, NDArray[Any]]  # the pretrained weights
    rate: float  # a generator's step as a share of a critic's
    anchor: float  # weight of the likelihood of real units
    alone: int  # first steps, in which only the critics learn

    def build(self) -> torch.nn.Module:
        from synth_spark.models.critic import Adversary

        seen = self.events.seen
        shown = rollout.features(seen)
        return Adversary(self.events.shape(), self.start, self.rate, shown, len(seen.columns))

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        return dict(encoded.events)

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        device = batch["length"].device
        if not module.training:
            found = self.checked(module, batch)["overall"]
            return torch.full((len(batch["length"]),), found, device=device)
        real = Ragged.real(rollout.joined(batch, 1))
        weights = module.weights()
        drawn = self.drawn(module, batch, weights, DRAWS)
        critic, score = self._critic(module, real, drawn, device)
        total = critic + self._judge(module, batch)
        if float(module.steps) >= self.alone:
            loss = self._generator(module, real, drawn, weights, score)
            # Weights that blew up give none; the monitor stops them at the end of the epoch.
            total = total + loss if bool(loss.isfinite()) else total
        return total.expand(len(batch["length"]))

    # ---- draws ----------------------------------------------------------------------------------

    def drawn(
        self, module: Any, batch: dict[str, torch.Tensor], weights: dict[str, Any], copies: int
    ) -> Ragged:
        """Units of the generator as it stands: each row's candidate, drawn `copies` times."""
        import torch

        key = int(torch.randint(2**62, (1,)))
        which = np.tile(self._picked(module, batch), copies)
        arrays = {k: w.detach().cpu().numpy() for k, w in weights.items()}
        seen, clock = self.events.seen, self.events.clock
        walker = rollout.walker_of(arrays, seen, clock, self.support)
        return rollout.roll(walker, seen, rollout.joined(batch, copies), which, key)

    def _picked(self, module: Any, batch: dict[str, torch.Tensor]) -> NDArray[np.int64]:
        """A candidate for each row, by the density ratio that the attribute critic gives it."""
        import torch

        told = _told(batch)[:, 1:]
        with torch.no_grad():
            logit = module.judge(told).clamp(-STEEPEST, STEEPEST)
        upper = torch.softmax(logit.double(), 1).cumsum(1)
        u = torch.rand(len(upper), 1, dtype=torch.float64).to(upper.device)
        picked = (u > upper[:, :-1]).sum(1).cpu().numpy()
        return np.asarray(1 + picked, dtype=np.int64)

    def checked(self, module: Any, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """The monitor's distance between draws and the batch's real units, part by part."""
        import torch

        rounds = max(CHECKED // len(batch["length"]), 1)
        with torch.no_grad():
            many = {k: v.repeat(rounds, 1) for k, v in batch.items()}
            drawn = self.drawn(module, many, module.weights(), 1)
        return distance(Ragged.real(rollout.joined(batch, 1)), drawn, self.events.clock)

    # ---- what each player loses -----------------------------------------------------------------

    def _critic(
        self, module: Any, real: Ragged, drawn: Ragged, device: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The critic's loss, and its scores of draws, shape (DRAWS, units)."""
        import torch

        from synth_spark.models.critic import penalty

        n, critic, seen = len(real.lengths), module.critic, self.events.seen
        starts = torch.rand(n).numpy().astype(np.float64)
        x = [
            torch.from_numpy(rollout.shown_to_critic(u, seen, s, WINDOW)).to(device)
            for u, s in ((real, starts), (drawn, np.tile(starts, DRAWS)))
        ]
        a = [torch.from_numpy(u.told).to(device) for u in (real, drawn)]
        ring = (torch.arange(n) + 1) % n  # each unit is packed with the next
        seen_real = critic.look(x[0], a[0])
        seen_drawn = critic.look(x[1], a[1]).view(DRAWS, n, -1)
        packs = torch.stack(
            [
                torch.stack([critic.score(one, other[ring]) for other in seen_drawn])
                for one in seen_drawn
            ]
        )  # (DRAWS of the first, DRAWS of the second, units)
        real_score = critic.score(seen_real, seen_real[ring])
        some = torch.arange(0, max(n - 1, 1), 2)
        both = torch.cat([some, ring[some]])
        mix = torch.rand(len(some), 1).repeat(2, 1).to(device)
        between = [
            torch.lerp(
                left[both], right[:n][both], mix.view(-1, *[1] * (left.dim() - 1))
            ).requires_grad_()
            for left, right in (x, a)
        ]
        looked = critic.look(*between)
        slope = penalty(critic.score(looked[: len(some)], looked[len(some) :]), between)
        loss = packs.mean() - real_score.mean() + PENALTY * slope.mean()
        return loss + 1e-3 * real_score.square().mean(), packs.detach().mean(1)

    def _judge(self, module: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The attribute critic's: cross-entropy, and a penalty on its slope at real rows."""
        import torch

        told = _told(batch).requires_grad_()
        logit = module.judge(told)
        softplus = torch.nn.functional.softplus
        slope = torch.autograd.grad(logit[:, 0].sum(), told, create_graph=True)[0]
        loss = softplus(-logit[:, 0]).mean() + softplus(logit[:, 1:]).mean()
        return loss + PENALTY / 10 * slope.square().sum((1, 2)).mean()

    def _generator(
        self, module: Any, real: Ragged, drawn: Ragged, weights: dict[str, Any], score: torch.Tensor
    ) -> torch.Tensor:
        """The generator's: its draws by what they are worth, and the real units."""
        import torch

        worth = (score - score.mean(0)) * DRAWS / (DRAWS - 1)  # less the mean of the other draws
        worth = worth / (worth.std() + 1e-6)
        module.net.eval()  # as it draws, without dropout
        nats = self._nats(module, drawn, weights, score.device)
        unit = torch.from_numpy(np.repeat(np.arange(len(drawn.lengths)), drawn.lengths + 1))
        of_unit = torch.zeros(len(drawn.lengths), device=nats.device)
        of_unit = of_unit.index_add(0, unit.to(nats.device), nats)
        policy = (worth.flatten() * of_unit).sum() / max(len(nats), 1)
        module.net.train()
        return policy + self.anchor * self._nats(module, real, weights, score.device).mean()

    def _nats(
        self, module: Any, units: Ragged, weights: dict[str, Any], device: Any
    ) -> torch.Tensor:
        """Nats of each event and end of units under weights, shape (events + units,)."""
        import torch

        arrays: Arrays = self.events.examples(units.encoded(self.events.clock))
        rows = {k: torch.from_numpy(v).to(device) for k, v in arrays.items()}
        return module.nats(self.events.loss, rows, weights)


def _told(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Attributes of each row: the real ones, then the candidates'; (rows, 1 + CANDIDATES, ...)."""
    rows = len(batch["told"])
    return batch["told"].float().view(rows, CANDIDATES + 1, -1) / SCALE
