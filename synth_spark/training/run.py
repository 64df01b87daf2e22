"""One run of the loop on one rank: its steps, its checks, its decisions and its memory.

What makes ranks agree without asking each other: the sums of a step carry, beside the gradient,
the loss, the number of examples and rank 0's clock, and every decision (stop, shorten, not finite)
is a function of those sums.

A step's noise (dropout) is seeded by (seed, step, rank), and a batch by (seed, epoch), so a run
that goes on from a checkpoint takes the same steps as one that never stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch

from synth_spark.core.ports import Collective, Trained, Trainee
from synth_spark.core.progress import Progress, Say
from synth_spark.core.seeds import stream_key
from synth_spark.errors import SynthError
from synth_spark.training import checkpoints
from synth_spark.training.adam import Adam
from synth_spark.training.counters import Counters
from synth_spark.training.flat import Flat
from synth_spark.training.pace import CHECKS, rate, steps_that_fit
from synth_spark.training.rows import Rows, Tensors, count, steps_of

SAY_EVERY_S = 10.0
_LOW63 = (1 << 63) - 1


class LossNotFiniteError(SynthError):
    """The loss became infinite or not a number; the last good checkpoint is kept."""

    code = "SYN-601"


class Run:
    """One run on one rank."""

    say: Say
    folder: Path | None
    name: str
    every_s: float

    def __init__(
        self,
        trainee: Trainee,
        rows: tuple[Rows, Rows],
        gang: Collective,
        *,
        seed: int,
        device: str,
    ) -> None:
        train, valid = rows
        self.trainee, self.schedule, self.gang = trainee, trainee.schedule, gang
        self.train, self.valid, self.seed, self.device = train, valid, seed, torch.device(device)
        self.steps = steps_of(train.total, self.schedule.batch_size)
        self.at = Counters(total_steps=self.steps * self.schedule.max_epochs)
        self.limit_s = 60.0 * self.schedule.max_minutes
        self.at.next_check_s = self.limit_s / CHECKS
        torch.manual_seed(stream_key(seed, "build") & _LOW63)
        self.module = trainee.build().to(self.device)
        self.flat = Flat(self.module)
        gang.broadcast(self.flat.values, "first weights")
        self.mean = self.flat.values.clone()  # the averaged weights
        self.best = self.flat.values.clone()
        self.adam = Adam(self.flat.values, self.flat.gradient, self.schedule)
        self.noise = stream_key(seed, f"noise/{gang.rank}")
        self.began = time.monotonic()
        self.said_s = self.saved_s = 0.0
        self.good: tuple[int, int] | None = None  # epochs and steps of the last checkpoint

    # ---- one epoch ------------------------------------------------------------------------------

    def epoch(self) -> None:
        """Train one epoch (or what is left of it), check the loss, decide, remember."""
        at = self.at
        self.module.train()
        batches = self.train.epoch(self.seed, at.epoch, self.steps)
        for batch in islice(batches, at.step_in_epoch, None):
            self.step(batch)
            if at.clock_s >= at.next_check_s:
                self.shorten()
            if at.step >= at.total_steps or at.clock_s >= self.limit_s:
                break
            self.within_epoch()
        self.end_epoch()

    def step(self, batch: Tensors) -> None:
        """One step of all ranks together: the mean gradient over the whole batch."""
        at, flat, rows = self.at, self.flat, count(batch)
        flat.sums.zero_()
        self.tell_steps()
        if rows:
            self.seed_noise(self.noise + at.step)
            nats = self.trainee.loss(self.module, self.moved(batch)).sum()
            nats.backward()
            flat.tail[0], flat.tail[1] = nats.detach(), rows
        if self.gang.rank == 0:
            flat.tail[2] = self.clock()
        self.gang.sum(flat.sums, "step")
        nats, seen, at.clock_s = flat.tail.tolist()
        if not math.isfinite(nats):
            raise self.not_finite()
        flat.gradient.div_(seen)
        if self.schedule.clip_norm > 0:
            norm = float(flat.gradient.norm())
            flat.gradient.mul_(min(1.0, self.schedule.clip_norm / (norm + 1e-12)))
        self.adam.step(rate(self.schedule, at.step, at.total_steps))
        if self.schedule.ema:
            # A young average forgets faster, or the first weights would linger in it.
            keep = min(self.schedule.ema, (1 + at.step) / (10 + at.step))
            self.mean.lerp_(flat.values, 1 - keep)
        at.step, at.step_in_epoch = at.step + 1, at.step_in_epoch + 1
        at.nats, at.seen = at.nats + nats, at.seen + seen

    def end_epoch(self) -> None:
        """Score the averaged weights, and decide whether to go on."""
        at, plan = self.at, self.schedule
        if not plan.ema:
            self.mean.copy_(self.flat.values)
        train_s = max(at.clock_s - at.epoch_began_s, 1e-9)
        row = {"epoch": at.epoch + 1, "train_nats": at.nats / at.seen}
        valid_nats = self.evaluate()
        if valid_nats is not None:
            row["valid_nats"] = valid_nats
        row |= {"examples_per_s": at.seen / train_s, "elapsed_s": at.clock_s}
        at.curve.append(row)
        at.since_best += 1
        if plan.keep == "last" or valid_nats is None or _gain(valid_nats, at.best_nats):
            self.best.copy_(self.mean)
            at.best_epoch = at.epoch + 1
        if valid_nats is not None and _gain(valid_nats, at.best_nats):
            at.best_nats, at.since_best = valid_nats, 0
        self.decide(valid_nats)
        at.epoch, at.step_in_epoch, at.nats, at.seen = at.epoch + 1, 0, 0.0, 0.0
        at.epoch_began_s = self.shared_clock()
        self.save()
        self.write_curve()
        self.tell(row)

    def score_first(self) -> None:
        """Score the weights that the run begins with as epoch 0, once."""
        at = self.at
        if not self.schedule.score_first or at.curve:
            return
        nats = self.evaluate()
        if nats is not None:
            at.curve.append({"epoch": 0, "valid_nats": nats, "elapsed_s": at.clock_s})
            at.best_nats = nats
        self.began = time.monotonic()  # or the first steps would look slow, and be cut

    def decide(self, valid_nats: float | None) -> None:
        """Set `stopped` where this was the last epoch; the same on every rank."""
        at, plan = self.at, self.schedule
        if plan.worse and valid_nats is not None and valid_nats > plan.worse * (at.best_nats or 0):
            at.stopped = "worse"
        elif at.clock_s >= self.limit_s or (at.step >= at.total_steps and at.cut):
            at.stopped = "minutes"
        elif at.step >= at.total_steps:
            at.stopped = "epochs"
        elif valid_nats is not None and plan.patience and at.since_best >= plan.patience:
            at.stopped = "patience"

    def evaluate(self) -> float | None:
        """Mean nats of the averaged weights over all validation examples of all ranks."""
        if not self.valid.total:
            return None
        self.module.eval()
        self.tell_steps()
        sums = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), self.flat.holding(self.mean):
            for i, batch in enumerate(self.valid.ordered(4 * self.schedule.batch_size)):
                self.seed_noise(stream_key(self.seed, "valid") + i)  # the same noise every time
                nats = self.trainee.loss(self.module, self.moved(batch))
                sums += torch.tensor([float(nats.double().sum()), float(len(nats))]).double()
        self.module.train()
        nats, seen = self.gang.sum(sums, "valid").tolist()
        if not math.isfinite(nats):
            raise self.not_finite()
        return nats / seen

    # ---- time -----------------------------------------------------------------------------------

    def clock(self) -> float:
        """Seconds of training on this rank, over all restarts."""
        return self.before_s + time.monotonic() - self.began

    def shared_clock(self) -> float:
        """Rank 0's clock on every rank."""
        return float(self.gang.broadcast(torch.tensor([self.clock()]).double(), "clock")[0])

    def shorten(self) -> None:
        """Fit the cosine to the steps that the minutes leave, so that it ends at its low rate."""
        at = self.at
        at.next_check_s = at.clock_s + self.limit_s / CHECKS
        planned = self.steps * self.schedule.max_epochs
        at.total_steps = min(planned, steps_that_fit(at.step, at.clock_s, self.limit_s))
        at.cut = at.total_steps < planned

    # ---- telling and remembering ----------------------------------------------------------------

    def within_epoch(self) -> None:
        """In a long epoch: a line every ten seconds, a checkpoint every few minutes."""
        at = self.at
        if at.clock_s - self.said_s >= SAY_EVERY_S and at.step_in_epoch < self.steps:
            self.tell({"train_nats": at.nats / at.seen})
        if at.clock_s - self.saved_s >= self.every_s and bool(self.flat.values.isfinite().all()):
            self.save()

    def tell(self, numbers: dict[str, float]) -> None:
        """Say where the run stands; the line's other numbers come with it."""
        self.said_s = self.at.clock_s
        if self.gang.rank:
            return
        short = {"examples_per_s": "per_s"}  # a line has 100 characters
        shown = {short.get(k, k): v for k, v in numbers.items() if k not in ("epoch", "elapsed_s")}
        if self.at.cut:
            shown["cut_to_minutes"] = self.schedule.max_minutes
        total = self.at.epoch if self.at.stopped else math.ceil(self.at.total_steps / self.steps)
        self.say(Progress(stage=f"fit {self.name}", done=self.at.epoch, total=total, of="epochs",
                          elapsed_s=self.at.clock_s, numbers=shown))  # fmt: skip

    def write_curve(self) -> None:
        """The whole curve anew: after a restart no epoch stands in it twice."""
        if self.folder is None or self.gang.rank:
            return
        lines = "".join(json.dumps(row) + "\n" for row in self.at.curve)
        checkpoints.replace(self.folder / "curve.jsonl", lines.encode())

    def save(self) -> None:
        self.saved_s = self.at.clock_s
        if self.folder is None:
            return
        self.good = self.at.epoch, self.at.step
        if self.gang.rank:
            return
        counters = asdict(self.at)
        checkpoints.write(self.folder, self.at.step, self.vectors(), counters, self.mark)

    def resume(self, fingerprint: str) -> None:
        """Go on where the last good checkpoint of this run stands; each rank reads it itself."""
        self.before_s = 0.0
        facts = [asdict(self.schedule), self.seed, self.flat.names, self.flat.shapes,
                 self.train.total, self.valid.total, fingerprint,
                 getattr(self.trainee, "mark", "")]  # fmt: skip
        self.mark = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        found = checkpoints.read(self.folder, self.mark) if self.folder else None
        if found is None:
            return
        self.at = Counters(**found.counters)
        self.before_s, self.good = self.at.clock_s, (self.at.epoch, self.at.step)
        for name, vector in self.vectors().items():
            vector.copy_(found.vectors[name])
        self.adam.count.fill_(self.at.step)
        self.said_s = self.saved_s = self.at.clock_s
        lost = len(found.skipped)
        self.tell({"damaged_checkpoints_skipped": float(lost)} if lost else {})

    def vectors(self) -> dict[str, torch.Tensor]:
        """All that a checkpoint holds beside the counters; the run's own tensors, not copies."""
        kept = {"values": self.flat.values, "mean": self.mean, "best": self.best}
        kept |= {"exp_avg": self.adam.first, "exp_avg_sq": self.adam.second}
        return kept | {f"buffer.{k}": v for k, v in self.flat.buffers().items()}

    # ---- small parts ----------------------------------------------------------------------------

    def moved(self, batch: Tensors) -> Tensors:
        if self.device.type == "cpu":
            return batch
        return {n: t.to(self.device, non_blocking=True) for n, t in batch.items()}

    def tell_steps(self) -> None:
        """Tell a module that asks (a buffer `steps`) how many steps were taken.

        It must not count them itself: a rank without rows in a batch does not call its loss.
        """
        if "steps" in dict(self.module.named_buffers(recurse=False)):
            self.module.get_buffer("steps").fill_(self.at.step)

    def seed_noise(self, number: int) -> None:
        torch.default_generator.manual_seed(number & _LOW63)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number & _LOW63)

    def not_finite(self) -> LossNotFiniteError:
        """The error of this step, with the checkpoint that is left."""
        at, rate = self.at, self.schedule.learning_rate
        setting = getattr(self.trainee, "rate_setting", "learning_rate")
        kept = "No checkpoint was written."
        if self.good is not None:
            kept = (
                f"The last good checkpoint, after epoch {self.good[0]} and step {self.good[1]}, "
                f"is in {self.folder}."
            )
        epoch, step = self.good or (None, None)
        return LossNotFiniteError(
            f"The loss of {self.name} is not finite in epoch {at.epoch + 1}, step {at.step + 1}. "
            + kept,
            hint=f"generator.params.{setting} below {rate:g}, or records.drop of a column with "
            "extreme numbers, in a new run folder",
            epoch=at.epoch + 1, step=at.step + 1, folder=str(self.folder or ""),
            good_epoch=epoch, good_step=step,
        )  # fmt: skip

    def trained(self) -> Trained:
        at = self.at
        weights = self.flat.arrays(self.best)
        return Trained(weights, tuple(at.curve), self.train.total, at.best_epoch, at.stopped)


def _gain(nats: float, best: float | None) -> bool:
    return best is None or nats < best
