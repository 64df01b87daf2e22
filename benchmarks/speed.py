"""Speed and memory: sampling against the limit of Spark and Delta, training, and growth with rows.

    make bench-speed                         everything, about 45 minutes on two cores
    make bench-speed ARGS="--only sampling"  one of sampling, training, one-core, growth
    make bench-speed ARGS=--show             only the table of the kept figures and their bars
    make bench-speed ARGS="--case 'markov events' --subjects 2000"    a quick look, not kept

The limit is the same schema filled by SQL expressions over `spark.range` and written to Delta in
the same session: no tool that writes through Spark can be faster. Both are run in turn, several
times; medians and ratios count, as machines are noisy. JSON goes to benchmarks/results/speed/.
Training on one core is a quality run (`benchmarks/quality.py --cores 1`), kept among those.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import speed_table
from benchmarks.memory import Peak
from benchmarks.sets import _yardstick
from synth_spark.app import run
from synth_spark.config import plan_from
from synth_spark.core.schema import Column
from synth_spark.pipelines.drawer import load_drawer
from synth_spark.pipelines.model_folder import load_saved
from synth_spark.spark import fanout
from synth_spark.spark.session import session

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "speed"
CORES = len(os.sched_getaffinity(0))
CASES = {  # name: (generator, table of the world, subjects that one draw makes)
    "markov events": ("markov", "cdr?subscribers=800&days=7", 40_000),
    "simulation events": ("simulation", "cdr?subscribers=800&days=7", 40_000),
    "simulation events, no records": ("simulation", "", 40_000),
    "autoregressive events": ("autoregressive", "cdr?subscribers=800&days=7", 20_000),
    # time, contact, type and duration, as in the reference weeks of calls and texts
    "autoregressive events, 4 columns": ("autoregressive", "cdr?subscribers=800&days=7", 20_000),
    "markov events, 4 columns": ("markov", "cdr?subscribers=800&days=7", 20_000),
    "markov events, 4 columns, 40,000 subjects": ("markov", "cdr?subscribers=800&days=7", 40_000),
    "gan events, 4 columns": ("gan", "cdr?subscribers=800&days=7", 20_000),
    "transformer events, 4 columns": ("transformer", "cdr?subscribers=800&days=7", 5_000),
    "autoregressive flat": ("autoregressive", "subscriber?subscribers=6000", 1_000_000),
    "vae flat": ("vae", "subscriber?subscribers=6000", 1_000_000),
    "transform flat": ("transform", "subscriber?subscribers=6000", 1_000_000),
}
FOUR = ("direction", "cell_id", "downlink_bytes", "radio", "region", "plan")  # left out by these
REPEATS = 3
HEAP = "2g"  # of the JVM in the growth runs
GROWTH = (400, 4_000, 40_000)  # subscribers of a week


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {"cores": CORES, "system": platform.platform(), "python": platform.python_version()}


def learned(generator: str, table: str, folder: Path, drop: tuple[str, ...] = ()) -> Path:
    """Ingest a table of the built-in world and fit a model; returns the model's folder.

    Without a table the model is made of a week of calls by the defaults of the rules alone.
    """
    made: dict[str, Any] = {
        "source": {"path": f"world:{table}"},
        "records": {"drop": list(drop)},
        "generator": {"name": generator},
    }
    cold: dict[str, Any] = {
        "records": {"family": "cdr"},
        "generator": {"name": generator, "params": {"days": 7}},
        "sample": {"subjects": 1},
    }
    plan = {
        "name": "speed",
        **(made if table else cold),
        "fit": {"max_minutes": 1.0},
        "evaluate": {"enabled": False},
        "run": {"folder": str(folder), "quiet": True},
    }
    if run(plan_from(plan), ("ingest", "fit") if table else ("fit",)):
        raise SystemExit("the model could not be made")
    return folder / "models" / "twin"


def sql_of(column: Column) -> str:
    """A cheap SQL expression of the column's type."""
    return {
        "number": "floor(rand() * 1000)",
        "place": "rand() * 90",
        "time": "timestamp_ntz'2026-01-05' + make_dt_interval(0, 0, 0, floor(rand() * 600000))",
        "identifier": "lpad(cast(id div 40 as string), 11, '0')",
    }.get(
        column.kind,
        "element_at(array('alpha', 'beta', 'gamma', 'delta'), 1 + cast(rand() * 4 as int))",
    )


def draw(spark: Any, model: Path, subjects: int, out: Path) -> tuple[int, float]:
    """Draw a table into Delta; rows and seconds."""
    shutil.rmtree(out, ignore_errors=True)
    saved = load_saved(model)
    recipe = fanout.recipe_for(
        spark,
        model,
        sha256=saved.sha256,
        load=load_drawer,
        schema=saved.schema,
        seed=1,
        subjects=subjects,
    )
    facts = {"run": "speed", "plan": "", "model": saved.sha256, "seed": 1}
    start = time.perf_counter()
    done = fanout.sample_table(spark, recipe, out, facts=facts)
    return int(done["rows"]), time.perf_counter() - start


def limit(spark: Any, columns: list[Column], rows: int, out: Path) -> float:
    """Seconds that Spark takes to write as many rows of the same columns from SQL."""
    shutil.rmtree(out, ignore_errors=True)
    picked = [
        "id as _subject",
        "cast(id as int) as _event",
        *(f"{sql_of(c)} as `{c.name}`" for c in columns),
    ]
    start = time.perf_counter()
    spark.range(0, rows, 1, 2 * CORES).selectExpr(*picked).write.format("delta").save(str(out))
    return time.perf_counter() - start


def sampling(scratch: Path, case: str | None = None, size: int | None = None) -> dict[str, Any]:
    """Rows per second and core of each case, beside the limit, and the peak memory."""
    found = {}
    for name, (generator, table, usual) in CASES.items():
        if case not in (None, name):
            continue
        subjects = size or usual
        drop = FOUR if "4 columns" in name else ()
        model = learned(generator, table, scratch / name.replace(" ", "-"), drop)
        with session("bench-speed") as spark:
            saved = load_saved(model)
            columns = [*([saved.schema.key] if saved.schema.key else []), *saved.schema.columns]
            draw(spark, model, max(subjects // 50, 1), scratch / "out")  # workers load the model
            takes, bounds = [], []
            with Peak() as peak:
                for _ in range(REPEATS):
                    rows, seconds = draw(spark, model, subjects, scratch / "out")
                    takes.append(rows / seconds / CORES)
                    bounds.append(rows / limit(spark, columns, rows, scratch / "limit") / CORES)
        ours, most = statistics.median(takes), statistics.median(bounds)
        found[name] = {
            "subjects": subjects,
            "rows": rows,
            "rows_per_s_per_core": round(ours),
            "limit_rows_per_s_per_core": round(most),
            "share_of_limit": round(
                statistics.median(a / b for a, b in zip(takes, bounds, strict=True)), 3
            ),
            "all_rows_per_s_per_core": [round(t) for t in takes],
            "peak_mb": peak.mb,
        }
        share = found[name]["share_of_limit"]
        print(f"{name:<42} {ours:>9,.0f} rows/s/core  {share:.2f} of the limit")
    return found


def grown(subscribers: int, generator: str, scratch: Path) -> dict[str, Any]:
    """One whole run (ingest, fit, sample, evaluate); seconds by step, and memory.

    The table is made by another process, as that takes memory by the row; the heap of the JVM is
    the same for every size, as Java fills whatever it is given before it cleans up.
    """
    folder = scratch / f"growth-{generator}-{subscribers}"
    world = f"world:cdr?subscribers={subscribers}&days=7"
    made = "import sys; from synth_spark.records.world import materialise; from pathlib import Path"
    made += "; print(materialise(sys.argv[1], Path(sys.argv[2])))"
    command = [sys.executable, "-c", made, world, str(scratch / "world")]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    plan = {
        "name": "growth",
        "source": {"path": table},
        "generator": {"name": generator},
        "run": {"folder": str(folder), "quiet": True, "conf": {"spark.driver.memory": HEAP}},
    }
    start = time.perf_counter()
    with Peak() as peak:
        run(plan_from(plan))
    steps = {s.stem: json.loads(s.read_text()) for s in (folder / "steps").glob("*.json")}
    rows = steps["ingest"]["facts"]["rows_kept"]
    shutil.rmtree(folder)
    seconds = {name: round(step["seconds"], 1) for name, step in sorted(steps.items())}
    wall_s = round(time.perf_counter() - start, 1)
    print(f"{generator:<15} {rows:>10,} rows  {wall_s:>7.1f} s  {seconds}  {peak.mb} MB")
    return {"rows": rows, "wall_s": wall_s, "steps_s": seconds, "peak_mb": peak.mb}


def growth(scratch: Path) -> dict[str, Any]:
    """The same runs at 1, 10 and 100 times the rows."""
    names = ("markov", "autoregressive")
    return {name: {str(n): grown(n, name, scratch) for n in GROWTH} for name in names}


def training(scratch: Path) -> dict[str, Any]:
    """`training_speed.py` writes its own JSON."""
    script = Path(__file__).with_name("training_speed.py")
    subprocess.run([sys.executable, str(script)], check=True)
    return {}


def one_core(scratch: Path) -> dict[str, Any]:
    """Quality runs on one core, for the seconds of training and the targets met with them.

    `quality.py` keeps their numbers; without its yardstick they are left out.
    """
    del scratch
    if not _yardstick.bench().exists():
        print(f"training on one core: left out, there is no yardstick in {_yardstick.bench()}")
        return {}
    script = HERE / "quality.py"
    for name in speed_table.ONE_CORE:
        options = ["--set", name, "--generator", "autoregressive", "--seed", "0", "--cores", "1"]
        subprocess.run([sys.executable, str(script), *options], check=True)
    return {}


def main() -> int:
    """Run what was asked for, keep the figures, and print them beside their bars."""
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "sampling": sampling,
        "training": training,
        "one-core": one_core,
        "growth": growth,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(parts))
    parser.add_argument("--case", choices=sorted(CASES), help="one case of sampling, not kept")
    parser.add_argument("--subjects", type=int, help="with --case: how many are drawn")
    parser.add_argument("--show", action="store_true", help="only the table of what is kept")
    args = parser.parse_args()
    if args.case:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(sampling(Path(scratch), args.case, args.subjects), indent=1))
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        if args.show or args.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = part(Path(scratch))
        if found:
            kept = {"machine": machine(), "repeats": REPEATS, "figures": found}
            (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    print("\n" + speed_table.markdown(RESULTS, HERE / "results" / "quality"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
