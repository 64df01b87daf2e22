"""What the commands and the jobs do: put a plan, a session and a workshop together, and run.

The one place where all rooms meet. Each function returns an exit status: 0 done, 3 a gate was not
passed; what is refused leaves as a `SynthError`, which the callers turn into status 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from synth_spark.choosing import chosen, chosen_anew
from synth_spark.config import (
    AUTO,
    STEPS,
    Plan,
    Step,
    Tables,
    parse_overrides,
    plan_from,
    read_plan,
    read_plans,
)
from synth_spark.core.paths import local_path, plain, stem
from synth_spark.core.progress import Log, Progress
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import SynthError, TooFewSubjectsError
from synth_spark.pipelines.cold import cold_steps
from synth_spark.pipelines.folder import RunFolder, write_text
from synth_spark.pipelines.run import Job, check, check_steps
from synth_spark.pipelines.run import run as run_job
from synth_spark.places import check_places
from synth_spark.records.detect import apart_from_marks
from synth_spark.settling import Settled, detected, looked_at, settle
from synth_spark.telling import (
    finish,
    print_detection,
    print_dry,
    print_outcome,
    tell_choice,
    tell_notes,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Resume = Literal["never", "always", "if-possible"]


class TwinTakenError(SynthError):
    """The place of the twin is taken."""

    code = "SYN-135"


def twin(
    data: str | Path,
    out: str | Path,
    *,
    key: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    generator: str = AUTO,
    subjects: int | None = None,
    where: Sequence[str] = (),
    given: str | Path | None = None,
    seed: int = 1,
    run_folder: str | Path | None = None,
    overwrite: bool = False,
    resume: Resume = "never",
    quiet: bool = False,
) -> int:
    """Detect, ingest, fit, sample and evaluate any table in one go.

    Args:
        data: The table: CSV, JSON lines, Parquet or Delta; a path or an address (`s3a://...`).
        out: Where the twin goes: .parquet, .csv, or a Delta folder by any other name.
        key: The column that names the subject; empty: detected, or every row for itself.
        time: The column that orders a subject's events; empty: detected.
        drop: Columns to leave out.
        generator: A file of generators/; "auto": chosen by shape and size.
        subjects: How many subjects to draw; None: as many as there were.
        where: What every subject holds, see `core/conditions.py`.
        given: A table with one row a subject, whose values it holds; see `core/given.py`.
        seed: Of everything that is drawn.
        run_folder: For the plan, the tables, the model and the report; None: OUT with `.run`.
        overwrite: Whether `out` may be replaced.
        resume: Whether to go on with a run of this very table that was stopped.
        quiet: No progress on the screen.

    Raises:
        TwinTakenError: `out` is there and may not be replaced (SYN-135).
        SynthError: Anything else that is refused.
    """
    asked = {
        "seed": seed,
        "source": {"path": plain(data)},
        "records": {"key": key or "", "time": time or "", "drop": list(drop)},
        "generator": {"name": generator},
        "sample": {
            "subjects": subjects,
            "out": plain(out),
            "where": list(where),
            "given": None if given is None else plain(given),
        },
        "run": {"folder": str(run_folder or _beside(out)), "quiet": quiet, "resume": resume},
    }
    return _run_to(out, asked, overwrite=overwrite)


def simulate(
    family: str,
    out: str | Path,
    *,
    subjects: int,
    days: int = 28,
    scenarios: Sequence[str | Path] = (),
    start: str | None = None,
    seed: int = 1,
    run_folder: str | Path | None = None,
    overwrite: bool = False,
    resume: Resume = "never",
    quiet: bool = False,
) -> int:
    """Make records by rules, from no data at all.

    Args:
        family: A file of records/ that the simulation can make.
        out: Where they go: .parquet, .csv, or a Delta folder by any other name.
        subjects: How many.
        days: Length of the simulated time.
        scenarios: Files that say what happens in it.
        start: First day; None: the simulation's own default.
        seed: Of everything that is drawn.
        run_folder: For the plan, the model and the tables; None: OUT with `.run`.
        overwrite: Whether `out` may be replaced.
        resume: Whether to go on with a run that was stopped.
        quiet: No progress on the screen.

    Raises:
        TwinTakenError: `out` is there and may not be replaced (SYN-135).
        SynthError: Anything else that is refused.
    """
    params: dict[str, Any] = {"days": days, "scenarios": [str(s) for s in scenarios]}
    params |= {"start": start} if start else {}
    asked = {
        "seed": seed,
        "records": {"family": family},
        "generator": {"name": "simulation", "params": params},
        "sample": {"subjects": subjects, "out": plain(out)},
        "run": {"folder": str(run_folder or _beside(out)), "quiet": quiet, "resume": resume},
    }
    return _run_to(out, asked, overwrite=overwrite)


def run(
    plan: Plan,
    steps: Sequence[Step] = STEPS,
    *,
    dry_run: bool = False,
    fresh_twin: bool = False,
) -> int:
    """Carry out the named steps of a plan.

    Args:
        plan: What to run.
        steps: Some of ingest, fit, sample, evaluate, in that order.
        dry_run: Detect and check everything, print what would be done, and do none of it.
        fresh_twin: Refuse if there is a table where the twin goes.

    Raises:
        SynthError: Something is refused; see the pages in docs/errors.
    """
    steps, spelled = checked(plan, steps, dry_run=dry_run)
    folder = RunFolder(plan.folder.absolute())
    with nullcontext() if dry_run else folder.occupied():
        return _in_session(plan, spelled, folder, steps, dry_run=dry_run, fresh_twin=fresh_twin)


def checked(
    plan: Plan, steps: Sequence[Step], *, dry_run: bool
) -> tuple[Sequence[Step], Schema | None]:
    """What of a plan can be refused before Spark is started; the steps left, the spelled schema.

    Raises:
        SynthError: Something is refused; see the pages in docs/errors.
    """
    if plan.generator.name != AUTO:
        GENERATORS.get(plan.generator.name)
    if not plan.source.path:
        steps = cold_steps(plan, steps)
    check_places(plan, dry_run=dry_run)
    spelled = plan.schema_of()
    if spelled:
        check(plan, spelled)
    return steps, spelled


def planned(
    file: Path, overrides: Sequence[str], steps: Sequence[Step], *, table: str | None = None
) -> Plan | Tables:
    """Read the plan of some steps; to be scored alone, a run's own plan is that of its last twin.

    Raises:
        PlanError: See `read_plans`.
    """
    plan = read_plans(file, overrides, table=table)
    if not isinstance(plan, Plan):
        return plan
    drawn = plan.folder / "sample-plan.yaml"
    own = drawn.exists() and file.resolve() == (plan.folder / "plan.yaml").resolve()
    if tuple(steps) != ("evaluate",) or not own:
        return plan
    sample = read_plan(drawn).model_dump(mode="json")["sample"]
    return read_plan(file, {"sample": sample, **parse_overrides(overrides)})


def _in_session(
    plan: Plan,
    spelled: Schema | None,
    folder: RunFolder,
    steps: Sequence[Step],
    *,
    dry_run: bool,
    fresh_twin: bool,
) -> int:
    """Start Spark, settle what the records are, and do the steps."""
    from synth_spark.spark import tables
    from synth_spark.spark.failures import explained
    from synth_spark.spark.given_draws import given_table
    from synth_spark.spark.session import session
    from synth_spark.spark.workshop import open_plan

    named = f"synth_spark {plan.name}"
    with (
        session(named, plan.run.conf, master=plan.run.master or "") as spark,
        explained(folder.path),
        TemporaryDirectory() as scratch,
    ):
        out = plan.sample.out
        if fresh_twin and out and local_path(out) is None and tables.there(spark, out):
            raise _taken(out)
        opened = partial(open_plan, spark, world=Path(scratch) if dry_run else None)
        anew = "ingest" in steps and plan.run.resume == "never"
        settled = chosen(opened, settle(opened, plan, spelled, anew=anew))
        tell_choice(settled.plan, settled.chosen)
        check(settled.plan, settled.schema)
        if "ingest" in steps and (plan.run.resume == "never" or not folder.step("ingest")):
            settled = looked_at(opened, settled)
        given = None
        if "sample" in steps and not (plan.run.resume != "never" and folder.step("sample")):
            given = given_table(spark, settled.plan, settled.schema, folder.path)
        if dry_run:
            print_dry(settled.plan, settled.schema, steps, given, settled.chosen)
            return 0
        if given is not None and given.asked.left_out and not plan.run.quiet:
            sys.stderr.write(f"{given.asked.sentence()}\n")
        if settled.found is not None and not plan.run.quiet:
            sys.stderr.write("".join(f"{note}\n" for note in settled.found.notes))
        return _carry_out(spark, settled, folder, steps)


def detect(
    source: str | Path,
    *,
    key: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    out: Path | None = None,
) -> int:
    """Print what a table's columns were taken for and why; write a first plan to `out`.

    Raises:
        SynthError: The source cannot be read, or holds nothing that can be learned.
    """
    from synth_spark.spark.session import session
    from synth_spark.spark.workshop import open_plan

    plan = plan_from(
        {
            "name": _name(stem(source)),
            "source": {"path": plain(source)},
            "records": {"drop": list(drop)},
        }
    )
    with session("synth_spark detect") as spark, TemporaryDirectory() as scratch:
        found = detected(open_plan(spark, plan, world=Path(scratch)), key or "", time or "")
    print_detection(found)
    if out is not None:
        write_text(out, plan.with_schema(*apart_from_marks(found.schema)).to_yaml())
        sys.stdout.write(f"\nPlan written to {out}; run it with: synth-spark run --plan {out}\n")
    return 0


# ---- parts --------------------------------------------------------------------------------------


def _beside(out: str | Path) -> str | Path:
    """The run folder of a table: its name with `.run`, in its place."""
    target, beside = local_path(out), f"{stem(out)}.run"
    return target.with_name(beside) if target else beside


def _run_to(out: str | Path, asked: dict[str, Any], *, overwrite: bool) -> int:
    """Run all steps of a plan that is named after the table it writes, unless that is there.

    Raises:
        TwinTakenError: `out` is there and may not be replaced (SYN-135).
    """
    plan = plan_from({"name": _name(stem(out)), **asked})
    fresh = not overwrite and not (plan.run.resume != "never" and _made_here(plan))
    target = local_path(out)
    if fresh and target is not None and target.exists():
        raise _taken(out)
    return run(plan, STEPS, fresh_twin=fresh)


def _taken(out: str | Path) -> TwinTakenError:
    return TwinTakenError(
        f"{out} is there already.", hint="--overwrite, or another --out", out=str(out)
    )


def _made_here(plan: Plan) -> bool:
    """Whether the run folder's plan writes its twin to the same place: then it is the run's own."""
    file = plan.folder / "plan.yaml"
    return file.exists() and read_plan(file).sample.out == plan.sample.out


def _name(text: str) -> str:
    """A plan's name from a file's."""
    kept = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "-" for c in text).strip(
        "-._"
    )
    return kept or "run"


def _carry_out(
    spark: SparkSession, settled: Settled, folder: RunFolder, steps: Sequence[Step]
) -> int:
    from synth_spark.spark.workshop import SparkWorkshop

    plan, schema, found = settled.plan, settled.schema, settled.found
    check_steps(plan, folder, steps)  # before the plan that the model was made by is written over
    kept: dict[str, Any] = {"schema": schema.to_json(), "names": plan.source_names()}
    kept["asked"] = settled.asked
    if settled.chosen is not None:
        kept["chosen"] = settled.chosen
    if found is not None:
        kept |= {"why": found.why, "notes": found.notes}
    begun = next((s for s in steps if plan.run.resume == "never" or not folder.step(s)), None)
    if begun in ("ingest", "fit"):
        folder.write_plan(begun, plan.kept())
        write_text(folder.path / "detected.json", json.dumps(kept, indent=1))
    say = Log(folder.path / "progress.jsonl", quiet=plan.run.quiet)
    say(Progress(stage="start", done=0, total=len(steps), of="steps", elapsed_s=0.0))
    shop = SparkWorkshop(spark, plan, schema, folder, settled.source, say)
    try:
        outcome = run_job(Job(plan, schema, folder, shop, say), steps, finish)
    except TooFewSubjectsError as error:
        again = chosen_anew(settled, error)
        if again is None:
            raise
        tell_choice(again.plan, again.chosen)
        check(again.plan, schema)
        return _carry_out(spark, again, folder, steps)
    if not plan.run.quiet:
        drawn = (folder.step("sample") or {}).get("facts", {}).get("twin", {})
        tell_notes(drawn.get("notes", []))
        print_outcome(plan, outcome.evaluation, outcome.missed)
    return outcome.exit_code
