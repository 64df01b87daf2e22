"""Quality on reference sets, or on any table: split, twin with default settings, score, compare.

    make bench-quality                                          every set, generator and seed
    make bench-quality SET=churn GENERATOR=autoregressive SEED=0    one of them
    make bench-quality QUICK=1                                  without mostlyai-qa's accuracy
    make bench-quality TABLE=FILE [TARGET=COLUMN] [KEY=COLUMN TIME=COLUMN]    a table of your own
    make bench-quality SET=cdr GENERATOR=autoregressive ARGS="--cores 1"    on one core, kept apart
    make bench-quality SET=cdr SEED=0 ARGS="--draws 6"      that many twins a model: mean, spread
    make bench-quality ARGS=--show                          only the table of the kept numbers
    make bench-quality ARGS="--show --long"                 a line for each number
    make bench-quality ARGS="--show --readme"               and put the tables into README and docs

The sets are the files of `benchmarks/sets/`. Each is measured with the generators that fit it,
with `independent` and with real records that took no part, the floor. The yardstick of some of them
lives outside this repository (default ../shared/bench) and runs in an environment of its own
(.venv-bench), made on first use. Numbers are kept under benchmarks/results/quality/, one JSON file
for each set, generator and seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from benchmarks import draws, quality_table, sets  # noqa: E402 -- the root is put on the path first
from benchmarks.memory import Peak  # noqa: E402
from benchmarks.sets import BenchSet, _table, _yardstick  # noqa: E402
from synth_spark.core.shelf import GENERATORS  # noqa: E402

DATA = ROOT / "bench-data"
RESULTS = HERE / "results" / "quality"
SEEDS = (0, 1)
README, CHOICE = ROOT / "README.md", ROOT / "docs" / "explanation-which-generator.md"
MARKS = "<!-- quality -->\n", "<!-- end of quality -->"


def parts(one: BenchSet, data: Path) -> tuple[Path, Path]:
    """Train and holdout of one set in bench-data/, written unless they are there."""
    train, holdout = (DATA / f"{one.name}_{part}.parquet" for part in ("train", "holdout"))
    if not (train.exists() and holdout.exists()):
        DATA.mkdir(exist_ok=True)
        one.prepare(data, DATA)
    return train, holdout


def twin(one: BenchSet, train: Path, generator: str, seed: int) -> tuple[Path, dict[str, Any]]:
    """Run `synth-spark twin` on the train file with defaults; the twin and the run's facts."""
    run = ROOT / "runs" / f"quality-{one.name}-{generator}-{seed}"
    out = run.with_suffix(".parquet")
    tool = Path(sys.executable).with_name("synth-spark")
    command = [tool, "twin", train, "--out", out, *one.twin, "--generator", generator]
    command += ["--seed", seed, "--run-folder", run, "--overwrite"]
    start = time.perf_counter()
    with Peak() as peak:
        _yardstick.run(command)
    wall_s = time.perf_counter() - start
    facts = json.loads((run / "report.json").read_text())["facts"]
    return out, {
        "wall_s": round(wall_s, 1),
        "peak_mb": {"jvm": peak.mb["driver_jvm"], "python": peak.mb["worker"]},  # the largest
        "timings_s": facts["timings_s"],
        "sampling": facts["sampling"],
    }


def monitored(run: Path) -> dict[str, float]:
    """Whether the collapse monitor of a GAN was green, from its model card; empty of others.

    Green: it looked at every epoch, and none of them was a collapse.
    """
    card = json.loads((run / "models" / "twin" / "card.json").read_text())
    facts = card["about"].get("adversarial")
    if facts is None:
        return {}
    return {"monitor_green": float(bool(facts["distance"]) and not facts["collapsed_in"])}


def keep(name: str, what: str, numbers: Mapping[str, Any], **more: Any) -> None:
    """Write the numbers of one set and generator (or of the floor)."""
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor(),
        "python": platform.python_version(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = {"set": name, **more, "machine": machine, "numbers": numbers}
    (RESULTS / f"{name}-{what}.json").write_text(json.dumps(kept, indent=1) + "\n")


def bench_floor(one: BenchSet, train: Path, holdout: Path, *, quick: bool) -> None:
    """The numbers of real records that took no part, unless they are kept already."""
    path = RESULTS / f"{one.name}-floor.json"
    if path.exists() and (quick or not json.loads(path.read_text())["quick"]):
        return
    start = time.perf_counter()
    numbers = one.floor(train, holdout)
    keep(one.name, "floor", numbers, quick=quick, wall_s=round(time.perf_counter() - start, 1))


def bench_one(
    one: BenchSet, generator: str, seed: int, train: Path, holdout: Path, args: argparse.Namespace
) -> None:
    """Twin and score one set with one generator and seed; keep the numbers, print the line."""
    out, run = twin(one, train, generator, seed)
    start = time.perf_counter()
    numbers = {**one.score(train, holdout, out), **monitored(out.with_suffix(""))}
    score_s = round(time.perf_counter() - start, 1)
    fit_s = run["timings_s"].get("fit of the generator")
    numbers |= {} if fit_s is None else {"fit_s": round(fit_s, 1)}
    name = f"{generator}-seed{seed}" + (f"-cores{args.cores}" if args.cores else "")
    facts = {"generator": generator, "seed": seed, "quick": args.quick}
    keep(one.name, name, numbers, **facts, run=run, wall_s=run["wall_s"], score_s=score_s)
    shown = "  ".join(f"{k} {v:.3f}" for k, v in numbers.items())
    print(f"{one.name} {generator} seed {seed}: {shown}  wall_s {run['wall_s']}", flush=True)
    if args.draws > 1:
        subjects = run["sampling"]["subjects"]
        many = draws.scored(one, train, holdout, out.with_suffix(""), subjects, args.draws)
        keep(one.name, f"{name}-draws", many, **facts)
        shown = "  ".join(f"{k} {v:.3f} ({many['sd'][k]:.3f})" for k, v in many["mean"].items())
        print(f"  mean (sd) of {args.draws} draws: {shown}", flush=True)


def bench_set(one: BenchSet, args: argparse.Namespace) -> None:
    """All that was asked for of one set."""
    train, holdout = parts(one, args.data)
    bench_floor(one, train, holdout, quick=args.quick)
    asked = [args.generator] if args.generator else [quality_table.BASELINE, *one.generators]
    for generator in asked:
        if generator not in GENERATORS.names():
            print(f"{one.name} {generator}: left out, there is no generator of that name")
            continue
        seeds = SEEDS if args.seed is None else (args.seed,)
        for seed in seeds[:1] if generator == quality_table.BASELINE else seeds:
            bench_one(one, generator, seed, train, holdout, args)


def write_tables() -> None:
    """Put the tables of all kept numbers between their marks in the README and the docs."""
    every = [sets.load(name) for name in sets.names()]
    for page, table in ((README, quality_table.summary), (CHOICE, quality_table.costs)):
        text, (begin, end) = page.read_text(), MARKS
        before, rest = text.split(begin)
        page.write_text(before + begin + table(every, RESULTS) + "\n" + end + rest.split(end)[1])


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=sets.names(), help="default: all")
    parser.add_argument("--generator", help="default: every one that fits the set")
    parser.add_argument("--seed", type=int, help="default: 0 and 1")
    parser.add_argument("--cores", type=int, help="of those that there are; default: all")
    parser.add_argument("--draws", type=int, default=1, help="twins of each model; default: 1")
    parser.add_argument("--quick", action="store_true", help="leave out mostlyai-qa's accuracy")
    parser.add_argument("--show", action="store_true", help="only print what is kept")
    parser.add_argument("--long", action="store_true", help="a line for each number")
    parser.add_argument("--readme", action="store_true", help="put the tables into README and docs")
    parser.add_argument("--table", type=Path, help="a Parquet or CSV file in place of the sets")
    parser.add_argument("--target", help="with --table: column that a classifier is to predict")
    parser.add_argument("--key", help="with --table: column that names the subject of each event")
    parser.add_argument("--time", help="with --table: column of the events' times")
    parser.add_argument("--bench", type=Path, help="default: ../shared/bench")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    if args.key and not args.time:
        parser.error("--key needs --time")
    return args


def main() -> int:
    """Read the arguments and run what they name."""
    args = arguments()
    if args.bench:
        os.environ["SYNTH_SPARK_BENCH"] = str(args.bench.resolve())
    if args.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    if args.quick:
        os.environ["SYNTH_SPARK_BENCH_QUICK"] = "1"
    if args.table:
        asked = [_table.of_file(args.table, args.key, args.time, args.target)]
    else:
        asked = [sets.load(name) for name in ([args.set] if args.set else sets.names())]
    for one in asked if not args.show else ():
        bench_set(one, args)
    print("\n" + (quality_table.markdown if args.long else quality_table.summary)(asked, RESULTS))
    print(quality_table.rivals([one.name for one in asked]))
    if args.readme:
        write_tables()
    return 0


if __name__ == "__main__":
    sys.exit(main())
