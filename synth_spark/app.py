"""What the commands and the jobs do: put a plan, a session and a workshop together, and run.

The one place where all rooms meet. Each function returns an exit status: 0 done, 3 a gate was not
passed; what is refused leaves as a `SynthError`, which the callers turn into status 2.
"""

from __future__ import annotations

import json
import platform
import sys
import time as clock
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import synth_spark
from synth_spark.config import STEPS, NoSourceError, Plan, Step, plan_from
from synth_spark.core.progress import Log, Progress
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import SynthError
from synth_spark.metrics.base import Evaluation
from synth_spark.pipelines.folder import RunFolder, write_text
from synth_spark.pipelines.run import Job, check
from synth_spark.pipelines.run import run as run_job
from synth_spark.records.detect import Counts, Detection, apart_from_marks
from synth_spark.records.detect import detect as guess

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from synth_spark.spark.source import Source

SAMPLE_ROWS = 50_000  # that detection looks at
LIBRARIES = ("pyspark", "delta-spark", "torch", "horovod", "numpy", "pandas", "pyarrow", "numba")


class TwinTakenError(SynthError):
    """The place of the twin is taken."""

    code = "SYN-135"


class SamePlaceError(SynthError):
    """The source, the twin and the run folder lie in one another."""

    code = "SYN-136"


def twin(
    data: Path,
    out: Path,
    *,
    key: str | None = None,
    time: str | None = None,
    generator: str = "autoregressive",
    subjects: int | None = None,
    seed: int = 1,
    run_folder: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Detect, ingest, fit, sample and evaluate any table in one go.

    Args:
        data: The table: CSV, JSON lines, Parquet or Delta.
        out: Where the twin goes: .parquet, .csv, or a Delta folder by any other name.
        key: The column that names the subject; empty: detected, or every row for itself.
        time: The column that orders a subject's events; empty: detected.
        generator: A file of generators/.
        subjects: How many subjects to draw; None: as many as there were.
        seed: Of everything that is drawn.
        run_folder: For the plan, the tables, the model and the report; None: OUT with `.run`.
        overwrite: Whether `out` may be replaced.
        quiet: No progress on the screen.

    Raises:
        TwinTakenError: `out` is there and may not be replaced (SYN-135).
        SynthError: Anything else that is refused.
    """
    if out.exists() and not overwrite:
        raise TwinTakenError(
            f"{out} is there already.", hint="--overwrite, or another --out", out=str(out)
        )
    folder = run_folder or out.with_name(out.stem + ".run")
    plan = plan_from(
        {
            "name": _name(out.stem),
            "seed": seed,
            "source": {"path": str(data)},
            "records": {"key": key or "", "time": time or ""},
            "generator": {"name": generator},
            "sample": {"subjects": subjects, "out": str(out)},
            "run": {"folder": str(folder), "quiet": quiet},
        }
    )
    return run(plan, STEPS)


def run(plan: Plan, steps: Sequence[Step] = STEPS, *, dry_run: bool = False) -> int:
    """Carry out the named steps of a plan.

    Args:
        plan: What to run.
        steps: Some of ingest, fit, sample, evaluate, in that order.
        dry_run: Detect and check everything, print what would be done, and do none of it.

    Raises:
        SynthError: Something is refused; see the pages in docs/errors.
    """
    from synth_spark.spark.session import session

    GENERATORS.get(plan.generator.name)
    if not plan.source.path:
        raise NoSourceError("The plan names no source.", hint="--source.path FILE")
    _check_places(plan, dry_run=dry_run)
    spelled = plan.schema_of()
    if spelled:
        check(plan, spelled)
    folder = RunFolder(plan.folder.absolute())
    if not dry_run:
        folder.open(plan.to_yaml() if plan.run.resume == "never" else None)
    with session(f"synth_spark {plan.name}", plan.run.conf, master=plan.run.master or "") as spark:
        plan, schema, source = _settle(spark, plan, spelled)
        check(plan, schema)
        if dry_run:
            _print_dry(plan, schema, steps)
            return 0
        return _carry_out(spark, plan, schema, folder, source, steps)


def detect(
    source: Path, *, key: str | None = None, time: str | None = None, out: Path | None = None
) -> int:
    """Print what a table's columns were taken for and why; write a first plan to `out`.

    Raises:
        SynthError: The source cannot be read, or holds nothing that can be learned.
    """
    from synth_spark.spark.session import session

    plan = plan_from({"name": _name(source.stem), "source": {"path": str(source)}})
    with session("synth_spark detect") as spark:
        found = _detect(_open(spark, plan), key or "", time or "")
    _print_detection(found)
    if out is not None:
        write_text(out, plan.with_schema(*apart_from_marks(found.schema)).to_yaml())
        sys.stdout.write(f"\nPlan written to {out}; run it with: synth-spark run --plan {out}\n")
    return 0


# ---- parts --------------------------------------------------------------------------------------


def _check_places(plan: Plan, *, dry_run: bool) -> None:
    """Refuse places that would destroy the source or the run, and those that cannot be written.

    Raises:
        SamePlaceError: The source, the twin and the run folder lie in one another (SYN-136).
        TableTakenError: A folder that is no Delta table stands where the twin goes (SYN-215).
    """
    from synth_spark.spark.source import local_path
    from synth_spark.spark.twin_out import check_target

    folder = plan.folder.resolve()
    twin = Path(plan.sample.out).resolve() if plan.sample.out else None
    found = None if plan.source.path.startswith("world:") else local_path(plan.source.path)
    source = found.resolve() if found else None
    pairs = [("twin", twin, "source", source), ("source", source, "twin", twin)]
    pairs += [("run folder", folder, "source", source), ("run folder", folder, "twin", twin)]
    pairs += [("source", source, "run folder", folder)]
    for name, path, other, around in pairs:
        if path and around and (path == around or around in path.parents):
            where = "is" if path == around else "lies in"
            raise SamePlaceError(
                f"The {name} {where} the {other}: {path}.",
                hint="another place (--out, --run-folder; in a plan sample.out, run.folder)",
                path=str(path),
            )
    if plan.sample.out and not dry_run:
        check_target(Path(plan.sample.out), replace=True)


def _name(text: str) -> str:
    """A plan's name from a file's."""
    kept = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "-" for c in text).strip(
        "-._"
    )
    return kept or "run"


def _open(spark: SparkSession, plan: Plan) -> Source:
    from synth_spark.spark.workshop import open_plan

    return open_plan(spark, plan)


def _settle(
    spark: SparkSession, plan: Plan, spelled: Schema | None
) -> tuple[Plan, Schema, Source | None]:
    """The plan with its schema: its own, that of a run to be resumed, or a detected one."""
    if spelled:
        return plan, spelled, None
    kept = plan.folder / "detected.json"
    if plan.run.resume != "never" and kept.exists():
        found_before = json.loads(kept.read_text())
        schema = Schema.from_json(found_before["schema"])
        return plan.with_schema(schema, found_before["names"]), schema, None
    source = _open(spark, plan)
    found = _detect(source, plan.records.key, plan.records.time)
    schema, names = apart_from_marks(found.schema)
    return plan.with_schema(schema, names), schema, source


def _detect(source: Source, key: str, time: str) -> Detection:
    from pyspark.sql import functions as sf

    from synth_spark.spark.arrow import quoted

    texts = [c for c, kind in source.types.items() if kind in ("string", "bigint", "int")]
    counted = [sf.approx_count_distinct(quoted(c)).alias(f"n{i}") for i, c in enumerate(texts)]
    row = source.frame.agg(sf.count(sf.lit(1)).alias("rows"), *counted).first()
    distinct = {c: int(row[f"n{i}"]) for i, c in enumerate(texts)}
    counts = Counts(rows=int(row["rows"]), distinct=distinct)
    sample = _spread_sample(source, counts.rows)
    return guess(sample, types=source.types, key=key, time=time, counts=counts)


def _spread_sample(source: Source, rows: int) -> pa.Table:
    """The first rows, where a subject's stand together, and as many from all over the table."""
    import pyarrow as pa

    if rows <= SAMPLE_ROWS:
        return source.head(SAMPLE_ROWS)
    share = min(1.0, 0.55 * SAMPLE_ROWS / rows)
    spread = replace(source, frame=source.frame.sample(share, seed=1))
    return pa.concat_tables([source.head(SAMPLE_ROWS // 2), spread.head(SAMPLE_ROWS // 2)])


def _carry_out(
    spark: SparkSession,
    plan: Plan,
    schema: Schema,
    folder: RunFolder,
    source: Source | None,
    steps: Sequence[Step],
) -> int:
    from synth_spark.spark.workshop import SparkWorkshop

    if plan.run.resume != "never":  # before the plan that the run was made with is written over
        for step in steps:
            folder.resumable(step, plan.fingerprint(step))
    folder.open(plan.to_yaml())
    kept = {"schema": schema.to_json(), "names": plan.source_names()}
    write_text(folder.path / "detected.json", json.dumps(kept, indent=1))
    say = Log(folder.path / "progress.jsonl", quiet=plan.run.quiet)
    say(Progress(stage="start", done=0, total=len(steps), of="steps", elapsed_s=0.0))
    shop = SparkWorkshop(spark, plan, schema, folder, source, say)
    outcome = run_job(Job(plan, schema, folder, shop, say), steps, finish)
    if not plan.run.quiet:
        _print_outcome(plan, outcome.evaluation, outcome.missed)
    return outcome.exit_code


def finish(job: Job, evaluation: Evaluation) -> None:
    """Write the report of a run: report.json and report.html in its folder."""
    from synth_spark import report

    report.write(job.folder.path, evaluation, facts(job))


def facts(job: Job) -> dict[str, Any]:
    """What the report says of the run beside its scores; see `report.write` for the keys."""
    steps = {s: job.folder.step(s) or {"facts": {}, "seconds": 0.0} for s in STEPS}
    ingest = steps["ingest"]["facts"]
    fit, sample = steps["fit"]["facts"].get("twin", {}), steps["sample"]["facts"].get("twin", {})
    seconds = float(sample.get("seconds") or 0.0)
    timings = {name: entry["seconds"] for name, entry in steps.items() if entry["seconds"]}
    return {
        "title": job.plan.name,
        "source": Path(job.plan.source.path).name,
        "generator": job.plan.generator.name,
        "seed": job.plan.seed,
        "made_at": clock.strftime("%Y-%m-%d %H:%M UTC", clock.gmtime()),
        "rows": sample.get("rows"),
        "subjects": sample.get("subjects"),
        "wall_s": sum(timings.values()),
        "ingest": {
            "rows_in": ingest.get("rows_in"),
            "kept": ingest.get("rows_kept"),
            "quarantined": ingest.get("rows_quarantined"),
            "repeats": ingest.get("rows_repeated"),
            "cut": ingest.get("rows_cut"),
            "reasons": ingest.get("reasons", {}),
        },
        "grouped": _grouped(ingest),
        "run": {
            "family": job.schema.family,
            "plan hash": job.plan.fingerprint("evaluate"),
            "model hash": fit.get("sha256", ""),
            "model": json.dumps(fit.get("about", {}), default=str),
        },
        "versions": versions(),
        "timings_s": {**timings, "fit of the generator": fit.get("fit_s")},
        "sampling": {**sample, "rows_per_s": sample.get("rows", 0) / seconds if seconds else None},
        "not_tested": [
            "Membership, linkage and attribute attacks: no number here is a privacy proof.",
            "Whether models trained on the twin do as well on real records.",
        ],
    }


def _grouped(ingest: dict[str, Any]) -> list[str]:
    """Sentences on what ingest cut."""
    if not ingest.get("rows_cut"):
        return []
    return [
        f"{ingest['rows_cut']:,} events of {ingest['subjects_cut']:,} subjects with too many "
        "were cut (ingest.max_events_per_subject)."
    ]


def versions() -> dict[str, str]:
    """Releases that may bear on the bytes of the rows."""
    found = {"synth_spark": synth_spark.__version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found | {"processor": platform.machine()}


# ---- what is printed ----------------------------------------------------------------------------


def _print_dry(plan: Plan, schema: Schema, steps: Sequence[Step]) -> None:
    columns = ", ".join(f"{c.name} ({c.kind})" for c in schema.columns)
    key = f"key {schema.key.name}, " if schema.key else ""
    sys.stdout.write(
        f"Would {', '.join(steps)} {plan.source.path} as {schema.shape} of {schema.family}:\n"
    )
    sys.stdout.write(f"  {key}columns {columns}\n  into {plan.folder}; nothing was written.\n")


def _print_detection(found: Detection) -> None:
    schema = found.schema
    sys.stdout.write(
        f"A table of {schema.family}: {schema.shape}, from {found.sample_rows:,} rows looked at.\n"
    )
    for name, why in found.why.items():
        sys.stdout.write(f"  {name:<24} {why}\n")
    for name, why in found.dropped.items():
        sys.stdout.write(f"  {name:<24} left out: {why}\n")
    for note in found.notes:
        sys.stdout.write(f"  {note}\n")


def _print_outcome(plan: Plan, evaluation: Evaluation | None, missed: Sequence[str]) -> None:
    if plan.sample.out:
        sys.stdout.write(f"Twin: {plan.sample.out}\n")
    if evaluation is not None:
        for name in ("accuracy", "coherence", "copies"):
            line = evaluation.line(name)
            if line is not None and line.value is not None:
                shown = [f"{name} {line.value:.3f}"]
                shown += [f"floor {line.floor:.3f}"] if line.floor is not None else []
                shown += (
                    [f"independent {line.independence:.3f}"]
                    if line.independence is not None
                    else []
                )
                sys.stdout.write(f"{shown[0]:<20} ({', '.join(shown[1:])})\n")
        sys.stdout.write(f"Report: {plan.folder / 'report.html'}\n")
    for sentence in missed:
        sys.stdout.write(f"Gate not passed: {sentence}\n")
