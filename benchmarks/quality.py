"""Quality on reference sets, or on any table: split, twin with default settings, yardstick.

    make bench-quality SET=churn GENERATOR=autoregressive SEED=0     one line
    make bench-quality                                               every set, generator and seed
    make bench-quality TABLE=FILE [TARGET=COLUMN] [KEY=COLUMN TIME=COLUMN]    a table of your own

The yardstick lives outside this repository (default ../shared/bench) and runs in an environment of
its own (.venv-bench), made on first use. Raw numbers are kept under benchmarks/results/quality/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NEEDS = ("pandas", "pyarrow", "scikit-learn", "scipy", "sdmetrics", "mostlyai-qa")


@dataclass(frozen=True)
class Set:
    """One reference set: where it comes from, and how `twin` and the yardstick are called on it."""

    source: str  # below the data folder
    twin: tuple[str, ...] = ()
    yardstick: tuple[str, ...] = ()
    generators: tuple[str, ...] = ("autoregressive",)
    fresh: bool = False  # real sequences that took no part stand beside train


SETS = {
    "churn": Set("subscriber/ibm_telco_churn_FICTIONAL.parquet", (), ("--target", "Churn")),
    "expresso": Set("subscriber/expresso_churn_58k.parquet", (), ("--target", "CHURN")),
    "cdr": Set(
        "cdr/friends_family_clean_records.parquet",
        ("--key", "seq_id", "--time", "ts"),
        ("--key", "seq_id", "--time", "ts", "--cell", "peer"),
        ("autoregressive", "markov"),
        fresh=True,
    ),
}


def call(command: list[str], **more: Any) -> float:
    """Run a command and return its wall seconds; its output goes to the screen.

    Raises:
        SystemExit: The command failed.
    """
    start = time.perf_counter()
    done = subprocess.run(command, check=False, **more)
    if done.returncode:
        raise SystemExit(f"failed with {done.returncode}: {' '.join(map(str, command))}")
    return time.perf_counter() - start


def of_table(args: argparse.Namespace) -> str:
    """Take a table of the user's own among the sets, cut into train and holdout; its name.

    80 % of the rows, or of the subjects, are train; the cut is fixed by a seed.
    """
    import numpy as np
    import pandas as pd

    path: Path = args.table
    name = path.stem
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    subject = frame[args.key] if args.key else pd.Series(range(len(frame)))
    names = np.sort(subject.unique())
    train = subject.isin(np.random.default_rng(7).permutation(names)[: int(0.8 * len(names))])
    (ROOT / "bench-data").mkdir(exist_ok=True)
    for part, rows in (("train", train), ("holdout", ~train)):
        cut = frame[rows.to_numpy()].reset_index(drop=True)
        cut.to_parquet(ROOT / "bench-data" / f"{name}_{part}.parquet")
    events = ("--key", args.key, "--time", args.time) if args.key else ()
    target = ("--target", args.target) if args.target else ()
    SETS[name] = Set(str(path), events, (*events, *target))
    return name


def yardstick_python() -> str:
    """The Python of the yardstick's own environment, made if it is not there."""
    folder = Path(os.environ.get("SYNTH_SPARK_BENCH_VENV", ROOT / ".venv-bench"))
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        call([sys.executable, "-m", "venv", str(folder)])
        call([str(python), "-m", "pip", "install", "--quiet", *NEEDS])
        (folder / ".complete").touch()
    return str(python)


def split(name: str, bench: Path, data: Path, python: str) -> None:
    """Write train and holdout of one set into bench-data/, unless they are there."""
    if not (ROOT / "bench-data" / f"{name}_train.parquet").exists():
        source = data / SETS[name].source
        call([python, str(bench / "prep.py"), name, str(source), "--out", str(ROOT / "bench-data")])


def twin(name: str, generator: str, seed: int) -> tuple[Path, dict[str, Any]]:
    """Run `synth-spark twin` on the train file with defaults; the twin and the run's facts."""
    run = ROOT / "runs" / f"quality-{name}-{generator}-{seed}"
    out = run.with_suffix(".parquet")
    tool = str(Path(sys.executable).with_name("synth-spark"))
    train = ROOT / "bench-data" / f"{name}_train.parquet"
    command = [tool, "twin", str(train), "--out", str(out), *SETS[name].twin]
    command += [
        "--generator",
        generator,
        "--seed",
        str(seed),
        "--run-folder",
        str(run),
        "--overwrite",
    ]
    wall_s = call(command)
    facts = json.loads((run / "report.json").read_text())["facts"]
    return out, {
        "wall_s": round(wall_s, 1),
        "timings_s": facts["timings_s"],
        "sampling": facts["sampling"],
    }


def score(
    name: str, out: Path, python: str, bench: Path, against: str, full: bool
) -> dict[str, Any]:
    """The yardstick's JSON for one synthetic table."""
    data = ROOT / "bench-data"
    result = out.with_suffix(f".{against}.json")
    command = [
        python,
        str(bench / "yardstick.py"),
        "--train",
        str(data / f"{name}_{against}.parquet"),
    ]
    command += ["--holdout", str(data / f"{name}_holdout.parquet"), "--synth", str(out)]
    command += [*SETS[name].yardstick, "--json", str(result), *([] if full else ["--no-qa"])]
    call(command, stdout=subprocess.DEVNULL)
    return dict(json.loads(result.read_text()))


def headline(raw: dict[str, Any]) -> dict[str, float | None]:
    """The numbers that the line shows, from the yardstick's JSON."""
    accuracy = (raw.get("mostlyai_qa") or {}).get("accuracy") or {}
    sequence = raw.get("sequence")
    if sequence is None:
        dcr = raw.get("dcr") or {}
        return {
            "accuracy": accuracy.get("overall"),
            "c2st": raw.get("c2st_auc"),
            "c2st_floor": raw.get("c2st_auc_real"),
            "tstr": raw.get("tstr_auc"),
            "tstr_floor": raw.get("trtr_auc"),
            "broken": raw.get("rows_with_unseen_category_pair"),
            "broken_floor": raw.get("rows_with_unseen_category_pair_real"),
            "dcr_excess": dcr.get("dcr_excess"),
        }
    return {
        "accuracy": accuracy.get("overall"),
        "coherence": accuracy.get("coherence"),
        "c2st_sequence": sequence.get("c2st_sequence_auc"),
        "c2st_sequence_floor": sequence.get("c2st_sequence_auc_real"),
        "c2st_event": sequence.get("c2st_event_auc"),
        "c2st_event_floor": sequence.get("c2st_event_auc_real"),
        "gap_ks": sequence.get("ks_gap"),
        "gap_ks_floor": sequence.get("ks_gap_real"),
        "hour_tvd": sequence.get("tvd_hour"),
        "hour_tvd_floor": sequence.get("tvd_hour_real"),
        "top_share_ks": sequence.get("ks_seq_peer_top_share"),
        "next_contact": sequence.get("next_peer_top1_tstr"),
        "back_in_time": sequence.get("time_backwards_share"),
        "grams_in_train": sequence.get("gram4_in_train"),
        "dcr_excess": (sequence.get("sequence_dcr") or {}).get("dcr_excess"),
    }


def line(label: str, numbers: dict[str, Any]) -> str:
    """One line: every number with its name."""
    shown = (
        f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}"
        for k, v in numbers.items()
        if v is not None
    )
    return f"{label:<40} " + "  ".join(shown)


def bench_one(name: str, generator: str, seed: int, args: argparse.Namespace) -> None:
    """Twin and score one set with one generator and seed; keep the numbers, print the line."""
    python = yardstick_python()
    split(name, args.bench, args.data, python)
    out, run = twin(name, generator, seed)
    raw = {"train": score(name, out, python, args.bench, "train", args.full)}
    if SETS[name].fresh:
        raw["fresh"] = score(name, out, python, args.bench, "fresh", False)
    numbers = {k: headline(v) for k, v in raw.items()}
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor(),
        "python": platform.python_version(),
    }
    kept = {"set": name, "generator": generator, "seed": seed, "run": run, "machine": machine}
    path = HERE / "results" / "quality" / f"{name}-{generator}-seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**kept, "headline": numbers, "yardstick": raw}, indent=1) + "\n")
    for against, found in numbers.items():
        label = f"{name} {generator} seed {seed}" + (" vs fresh" if against == "fresh" else "")
        print(
            line(
                label,
                {
                    **found,
                    "wall_s": run["wall_s"],
                    "fit_s": run["timings_s"].get("fit of the generator"),
                },
            )
        )
    for rival, found in json.loads((HERE / "rivals.json").read_text()).get(name, {}).items():
        print(line(f"  {rival}", found))


def main() -> int:
    """Read the arguments and run what they name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=sorted(SETS), help="default: all")
    parser.add_argument("--generator", help="default: every one that fits the set")
    parser.add_argument("--seed", type=int, help="default: 0 and 1")
    parser.add_argument(
        "--quick", dest="full", action="store_false", help="leave out mostlyai-qa's accuracy"
    )
    parser.add_argument("--table", type=Path, help="a Parquet or CSV file in place of the sets")
    parser.add_argument("--target", help="with --table: column that a classifier is to predict")
    parser.add_argument("--key", help="with --table: column that names the subject of each event")
    parser.add_argument("--time", help="with --table: column of the events' times")
    parser.add_argument("--bench", type=Path, default=ROOT.parent / "shared" / "bench")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    if args.key and not args.time:
        parser.error("--key needs --time")
    names = [of_table(args)] if args.table else [args.set] if args.set else sorted(SETS)
    for name in names:
        for generator in [args.generator] if args.generator else SETS[name].generators:
            for seed in (0, 1) if args.seed is None else (args.seed,):
                bench_one(name, generator, seed, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
