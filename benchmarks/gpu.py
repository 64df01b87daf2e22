"""Training on a GPU against one core of the same machine: pace, memory, and whether both agree.

    python benchmarks/gpu.py                    all cases, 5 to 7 minutes
    python benchmarks/gpu.py --case vae --only cpu --rows 5000 --epochs 2

Needs torch, no Spark and no Java. Each case is a training that a generator asks for on a made-up
table, run by our loop on the CPU (one thread) and, where torch sees one, on the GPU: the same
first weights, batches and schedule. "batch" cases have larger batches than the generator's own,
"wide" ones larger networks too. Examples a second are of the steps alone; the first epoch, in which
a GPU loads its kernels, stands apart.

Both must agree, or the exit code is 1: on loss and gradient of one batch without dropout (the same
noise where a network draws some) up to rounding, and on the checked loss at the end up to what
dropout, which draws other noise on a GPU, moves it. JSON goes to benchmarks/results/speed/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.ports import Train, Trained, Trainee, learn
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.loop import fit, train_local
from synth_spark.training.rows import Held, Tensors
from synth_spark.training.shards import split

sys.path.insert(0, str(Path(__file__).resolve().parent))
from made_events import events
from training_speed import table as flat

RESULT = Path(__file__).resolve().parent / "results" / "speed" / "gpu.json"
LOSS, GRADIENT = 1e-4, 2e-3  # relative: of the loss of one batch, of its gradient's L2 norm
CHECKED, MONITOR = 0.02, 0.3  # relative: of the checked loss at the end; of the GAN's distance
GPU = "cuda:0"
KIND = ("processor", "cores", "gpu", "torch", "python")  # what must be alike to stand in one file


@dataclass(frozen=True)
class Case:
    """One training of one generator."""

    generator: str
    shape: str  # of the table
    rows: int  # of it
    epochs: int
    batch: int = 0  # examples; 0: the generator's own
    settings: dict[str, Any] = field(default_factory=dict)
    units: int = 0  # of the flat network's columns; 0: its own
    which: int = 0  # of the trainings that the generator asks for


WIDE = {"width": 1_024, "head": 256}
DECODER = {"width": 256, "layers": 4, "heads": 8}
CODES = {"encoder": 2_048, "decoder": 1_024, "head": 512}
CASES = {
    "flat": Case("autoregressive", "flat", 20_000, 8),
    "flat, batch": Case("autoregressive", "flat", 40_000, 5, batch=4_096),
    "flat, wide": Case("autoregressive", "flat", 40_000, 4, batch=4_096, units=96),
    "vae": Case("vae", "flat", 20_000, 8),
    "vae, wide": Case("vae", "flat", 40_000, 4, batch=4_096, settings=CODES),
    "events": Case("autoregressive", "events", 40_000, 6),
    "events, batch": Case("autoregressive", "events", 40_000, 5, batch=4_096),
    "events, wide": Case("autoregressive", "events", 40_000, 4, batch=4_096, settings=WIDE),
    "transformer": Case("transformer", "events", 40_000, 4),
    "transformer, batch": Case("transformer", "events", 40_000, 4, batch=32),
    "transformer, wide": Case("transformer", "events", 40_000, 3, batch=32, settings=DECODER),
    "gan": Case("gan", "events", 20_000, 6, settings={"alone": 8}, which=1),
}


TABLES: dict[str, Callable[[int], tuple[Schema, Records]]] = {"flat": flat, "events": events}


# ---- one training on one device -------------------------------------------------------------


class _FoundError(Exception):
    """Ends the story of a generator at the training that is looked for."""


def asked(case: Case, records: Records, schema: Schema) -> Train:
    """The training of this case; those before it are done in a few epochs."""
    found: list[Train] = []

    def train(request: Train, records: Records, seed: int) -> Trained:
        found.append(request)
        if len(found) > case.which:
            raise _FoundError
        return train_local(_cut(request, epochs=2), records, seed)

    generator = GENERATORS.get(case.generator)
    story = generator.learn(schema, generator.Params(**case.settings), 0)
    with suppress(_FoundError):
        learn(story, Local(records, train=train))
    request = _cut(found[-1], epochs=case.epochs, batch=case.batch)
    if not case.units:
        return request
    layout = replace(request.trainee.layout, width=case.units)
    return replace(request, trainee=replace(request.trainee, layout=layout))


def _cut(request: Train, *, epochs: int, batch: int = 0) -> Train:
    plan = request.trainee.schedule
    plan = replace(
        plan, max_epochs=epochs, batch_size=batch or plan.batch_size, patience=0, worse=0.0,
        max_minutes=60.0,
    )  # fmt: skip
    return replace(request, trainee=replace(request.trainee, schedule=plan))


def trained(trainee: Trainee, rows: tuple[Held, Held], device: str) -> dict[str, Any]:
    """Pace, loss and memory of one training."""
    if device == GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    found = fit(trainee, *rows, seed=0, device=device)
    curve = [row for row in found.curve if row["epoch"]]
    paces = [row["examples_per_s"] for row in curve]
    out: dict[str, Any] = {
        "examples_per_s": round(statistics.harmonic_mean(paces[1:] or paces), 1),
        "examples_per_s_first_epoch": round(paces[0], 1),
        "spread": [round(min(paces[1:] or paces), 1), round(max(paces[1:] or paces), 1)],
        "seconds": round(time.perf_counter() - began, 1),
        "checked_first": found.curve[0]["valid_nats"],
        "checked_last": curve[-1]["valid_nats"],
    }
    if device == GPU:
        out["peak_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return out


# ---- whether the devices agree --------------------------------------------------------------


def one_batch(trainee: Trainee, batch: Tensors, device: str) -> tuple[float, torch.Tensor]:
    """Mean nats of a batch and their gradient, (weights,), without dropout."""
    torch.manual_seed(1)
    module = trainee.build().to(device)
    adversarial = hasattr(module, "judge")  # its loss in `eval` is the monitor's distance
    module.train(adversarial)
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    if "steps" in dict(module.named_buffers(recurse=False)):
        module.get_buffer("steps").fill_(1e6)  # every part of the loss takes part
    torch.manual_seed(2)
    noise = torch.Generator().manual_seed(3)

    def drawn(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=noise).to(like.device)

    with mock.patch("torch.randn_like", drawn):
        nats = trainee.loss(module, {n: t.to(device) for n, t in batch.items()}).mean()
    nats.backward()
    gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    return float(nats.detach()), torch.cat(gradients).cpu()


def agreement(trainee: Trainee, batch: Tensors) -> dict[str, float]:
    """How far the devices are apart on one batch, relative."""
    (nats, gradient), (nats2, gradient2) = (one_batch(trainee, batch, d) for d in ("cpu", GPU))
    return {
        "loss": abs(nats2 / nats - 1),
        "gradient": float((gradient2 - gradient).norm() / gradient.norm()),
    }


def objections(case: Case, found: dict[str, Any]) -> Iterator[str]:
    """Where the devices are further apart than stated."""
    apart = found["apart"]
    bounds = {"loss": LOSS, "gradient": GRADIENT}
    bounds["checked_last"] = MONITOR if case.which else CHECKED
    for name, bound in bounds.items():
        if not apart[name] <= bound:
            yield f"{name} is {apart[name]:.2g} apart, more than {bound:g}"


# ---- all of it ------------------------------------------------------------------------------


def measured(case: Case, devices: list[str]) -> dict[str, Any]:
    """One case on each device."""
    schema, records = TABLES[case.shape](case.rows)
    request = asked(case, records, schema)
    trainee, share = request.trainee, request.trainee.schedule.valid_share
    sides = [trainee.examples(e) for e in split(request.encode(records), share, 0)]
    rows = Held(sides[0]), Held(sides[1])
    out: dict[str, Any] = {
        "generator": case.generator, "network": request.name, "rows": records.rows,
        "examples": rows[0].total, "batch": trainee.schedule.batch_size,
        "epochs": trainee.schedule.max_epochs,
        "weights": sum(p.numel() for p in trainee.build().parameters() if p.requires_grad),
    }  # fmt: skip
    for device in devices:
        out["gpu" if device == GPU else "cpu"] = trained(trainee, rows, device)
    if len(devices) > 1:
        batch = next(rows[0].ordered(trainee.schedule.batch_size))
        cpu, gpu = out["cpu"], out["gpu"]
        out["apart"] = agreement(trainee, batch) | {
            name: abs(gpu[name] / cpu[name] - 1) for name in ("checked_first", "checked_last")
        }
        out["gpu_over_cpu"] = round(gpu["examples_per_s"] / cpu["examples_per_s"], 2)
    return out


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    seen = torch.cuda.is_available()
    return {
        "processor": _processor(), "cores": len(os.sched_getaffinity(0)), "threads": 1,
        "gpu": torch.cuda.get_device_name(0) if seen else None,
        "torch": torch.__version__, "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def line(name: str, found: dict[str, Any]) -> str:
    """One case on one line."""
    parts = [f"{name:<19} {found['weights']:>10,} weights, batch {found['batch']:>5,}"]
    for device in ("cpu", "gpu"):
        if device in found:
            its = found[device]
            parts.append(
                f"{device} {its['examples_per_s']:>9,.0f}/s loss {its['checked_last']:.4f}"
            )
    if "apart" in found:
        far = "  ".join(f"{k} {v:.1e}" for k, v in found["apart"].items())
        parts.append(f"{found['gpu_over_cpu']:.2f}x  {found['gpu']['peak_mb']:,.0f} MB  {far}")
    return "  ".join(parts)


def main() -> int:
    """Measure, write the JSON, say where the devices do not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, action="append", help="only these")
    parser.add_argument("--only", choices=("cpu", "gpu"), help="one device")
    parser.add_argument("--rows", type=int, help="of every table")
    parser.add_argument("--epochs", type=int, help="of every training")
    parser.add_argument("--out", type=Path, default=RESULT, help="the JSON file")
    parser.add_argument("--keep", action="store_true", help="the other cases of that file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seen = torch.cuda.is_available()
    devices = ["cpu", GPU] if seen else ["cpu"]
    if args.only:
        devices = [d for d in devices if d.startswith({"cpu": "cpu", "gpu": "cuda"}[args.only])]
    if not devices:
        print("torch sees no GPU", file=sys.stderr)
        return 2
    result: dict[str, Any] = {"machine": machine(), "cases": {}}
    if args.keep:
        before = json.loads(args.out.read_text(encoding="utf-8"))
        if any(before["machine"][k] != result["machine"][k] for k in KIND):
            print(f"{args.out} was taken on another kind of machine", file=sys.stderr)
            return 2
        result["cases"] = before["cases"]
    result["bounds"] = {"loss": LOSS, "gradient": GRADIENT, "checked_last": CHECKED,
                        "checked_last of the gan": MONITOR}  # fmt: skip
    wrong = []
    for name in args.case or CASES:
        case = CASES[name]
        case = replace(case, rows=args.rows or case.rows, epochs=args.epochs or case.epochs)
        found = result["cases"][name] = measured(case, devices)
        print(line(name, found), flush=True)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if len(devices) > 1:
            wrong += [f"{name}: {what}" for what in objections(case, found)]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
