"""Training examples per second: our loop on 1 and 2 ranks against a bare torch loop.

    make bench-speed ARGS="--only training"     or: python benchmarks/training_speed.py

The net is the one that `autoregressive` makes for a made-up flat table of twelve columns. The bare
loop has the same net, batches, optimiser and example order, and nothing else: no averaged weights,
no check of the loss, no clock, no checkpoint. All are run in turn, several times; medians and
ratios count, as machines are noisy, and examples per CPU second compare the two loops of one
process where other work shares the cores. All epochs but the first are counted, steps alone.
JSON goes to benchmarks/results/speed/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synth_spark.core.batch import Coded, Encoded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import Schedule, Train, Trained, Trainee
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.spark.ranks import train_on_ranks
from synth_spark.training.loop import fit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.training_world import write_shards

RESULT = Path(__file__).resolve().parent / "results" / "speed" / "training.json"

TIMES = (1, 4, 8, 16, 32)  # batches, in batches of the schedule (256 examples)
PAIRS = ((1, 1), (4, 4), (8, 4), (32, 16))  # batch of two ranks together, and of the one beside it


def table(rows: int) -> tuple[Schema, Records]:
    """Six categories and six numbers that hang together, made up from a fixed seed."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(rows, 3))
    columns: dict[str, Any] = {}
    for i in range(6):
        mixed = hidden @ random.normal(size=3) + 0.5 * random.normal(size=rows)
        columns[f"number_{i}"] = np.round(mixed * 100) / 10
        ranks = np.digitize(mixed, [-1.5, -0.5, 0.0, 0.8, 1.6]).astype(np.int32)
        columns[f"category_{i}"] = Coded(ranks, tuple("abcdef"))
    kinds = [Column(name=n, kind="category" if "cat" in n else "number",
                    source_type="string" if "cat" in n else "double") for n in columns]  # fmt: skip
    return Schema(family="table", shape="flat", columns=tuple(kinds)), Records.flat(columns)


def first_training(schema: Schema, records: Records) -> Train:
    """The training that `autoregressive` asks for on this table."""
    generator = GENERATORS.get("autoregressive")
    story = generator.learn(schema, generator.Params(), 0)
    engine, answer = Local(records), None
    while True:
        request = story.send(answer)
        if isinstance(request, Train):
            return request
        answer = engine.answer(request)


def bare(trainee: Trainee, encoded: Encoded) -> tuple[float, float]:
    """Examples a second and a CPU second of the loop that one would write by hand."""
    plan = trainee.schedule
    torch.manual_seed(0)
    module = trainee.build()
    adam = torch.optim.AdamW(module.parameters(), lr=plan.learning_rate, betas=plan.betas,
                             weight_decay=plan.weight_decay)  # fmt: skip
    arrays = {
        n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in trainee.examples(encoded).items()
    }
    rows = len(next(iter(arrays.values())))
    module.train()
    for epoch in range(plan.max_epochs):
        if epoch == 1:
            began, began_cpu = time.perf_counter(), time.process_time()
        order = torch.randperm(rows)
        for start in range(0, rows - plan.batch_size + 1, plan.batch_size):
            picked = order[start : start + plan.batch_size]
            adam.zero_grad()
            trainee.loss(module, {n: a[picked] for n, a in arrays.items()}).mean().backward()
            adam.step()
    seen = rows // plan.batch_size * plan.batch_size * (plan.max_epochs - 1)
    return seen / (time.perf_counter() - began), seen / (time.process_time() - began_cpu)


def per_second(trained: Trained) -> float:
    """Examples a second over all epochs but the first."""
    return statistics.harmonic_mean(row["examples_per_s"] for row in trained.curve[1:])


def session() -> Any:
    """A session on two cores, without Delta."""
    from pyspark.sql import SparkSession

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    for name in ("spark.driver.host", "spark.driver.bindAddress"):
        builder = builder.config(name, "127.0.0.1")
    found = builder.config("spark.log.level", "ERROR").getOrCreate()
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return found


def measure(rows: int, epochs: int, repeats: int, scratch: Path) -> dict[str, Any]:
    """All ways in turn, `repeats` times; medians, spreads and ratios."""
    torch.set_num_threads(1)
    schema, records = table(rows)
    request = first_training(schema, records)
    plan = replace(request.trainee.schedule, max_epochs=epochs, patience=0, valid_share=0.0)
    trainee = replace(request.trainee, schedule=plan)
    request, encoded = replace(request, trainee=trainee), request.encode(records)
    shards = write_shards(scratch / "shards", encoded, np.zeros(rows, bool), files=2)
    ways: dict[str, Callable[[str], tuple[float, float]]] = {}
    for times in TIMES:
        kind = _kind(times)
        asked = replace(request, trainee=replace(trainee, schedule=_wide(plan, times)))
        if times != TIMES[-1]:  # the widest batch is there for two ranks only
            ways[f"bare torch loop{kind}"] = partial(_bare, asked, encoded)
            ways[f"1 rank{kind}"] = partial(_one, asked, encoded)
        ways[f"2 ranks, horovod{kind}"] = partial(_two, asked, shards, scratch, "horovod")
        ways[f"2 ranks, torch{kind}"] = partial(_two, asked, shards, scratch, "torch")
    runs: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways if "ranks" not in name}
    for i in range(repeats):
        for name, way in ways.items():
            wall, core = way(f"{name} {i}")
            runs[name].append(wall)
            if name in cpu:
                cpu[name].append(core)
            print(f"{name:<28} {runs[name][-1]:>10,.0f} examples/s", flush=True)
    weights = sum(p.numel() for p in trainee.build().parameters())
    medians = {name: round(statistics.median(found)) for name, found in runs.items()}
    return {
        "rows": rows, "epochs": epochs, "batch": plan.batch_size, "weights": weights,
        "examples_per_s": medians,
        "examples_per_cpu_s": {n: round(statistics.median(f)) for n, f in cpu.items()},
        "spread": {n: [round(min(f)), round(max(f))] for n, f in runs.items()},
        "two_ranks": two_ranks(medians),
        "to_bare": {
            name: round(m / medians[_bare_of(name)], 3)
            for name, m in medians.items()
            if _bare_of(name) in medians
        },
    }  # fmt: skip


def _kind(times: int) -> str:
    return f", {times}x batch" if times > 1 else ""


def _bare_of(name: str) -> str:
    return "bare torch loop" + "".join(name.rpartition(", ")[1:] if "batch" in name else [])


def two_ranks(medians: dict[str, int]) -> dict[str, float]:
    """Examples a second of two ranks over those of one: of the same batch, of the same a rank."""
    found = {}
    for gang in ("horovod", "torch"):
        for two_times, times in PAIRS:
            kind, one = _kind(two_times), _kind(times)
            a_rank = "a rank's batch" if kind != one else "the batch"
            two, alone = f"2 ranks, {gang}{kind}", f"1 rank{one}"
            found[f"{two} / {alone} ({a_rank} is the same)"] = round(
                medians[two] / medians[alone], 3
            )
    return found


def _wide(plan: Schedule, times: int) -> Schedule:
    return replace(plan, batch_size=times * plan.batch_size)


def _bare(request: Train, encoded: Encoded, _: str) -> tuple[float, float]:
    return bare(request.trainee, encoded)


def _one(request: Train, encoded: Encoded, _: str) -> tuple[float, float]:
    cpu: list[float] = []
    found = fit(
        request.trainee, encoded, None, seed=0,
        say=lambda p: cpu.append(time.process_time()) if p.done else None,
    )  # fmt: skip
    epochs = request.trainee.schedule.max_epochs - 1
    return per_second(found), epochs * found.examples / (cpu[-1] - cpu[0])


def _two(
    request: Train, shards: Path, scratch: Path, collective: str, run: str
) -> tuple[float, float]:
    folder = scratch / run.replace(" ", "-")
    found = train_on_ranks(
        session(), request, shards, ranks=2, collective=collective, folder=folder, seed=0
    )
    return per_second(found), 0.0  # the CPU seconds of other processes are not seen here


def machine() -> dict[str, Any]:
    """What the figures were taken on; the load says how quiet it was."""
    return {
        "cores": len(os.sched_getaffinity(0)), "system": platform.platform(),
        "python": platform.python_version(), "torch": torch.__version__,
        "load_1min": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> int:
    """Measure, write the JSON, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the JSON goes")
    args = parser.parse_args()
    facts = machine()
    with tempfile.TemporaryDirectory(prefix="synth-spark-bench-") as scratch:
        found = measure(args.rows, args.epochs, args.repeats, Path(scratch))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": facts, **found}, indent=1) + "\n")
    print("examples per CPU second:", found["examples_per_cpu_s"])
    for name, value in found["two_ranks"].items():
        print(f"{name:<80} {value:.2f}")
    for name, value in found["examples_per_s"].items():
        bare_share = found["to_bare"].get(name)
        beside = "" if bare_share is None else f"  {bare_share:.2f} of the bare loop"
        print(f"{name:<28} {value:>10,} examples/s{beside}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
