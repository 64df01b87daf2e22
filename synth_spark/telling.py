"""What a run tells: its report, the facts in it, and the lines on the screen."""

from __future__ import annotations

import json
import platform
import sys
import time as clock
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import synth_spark
from synth_spark.config import STEPS, Plan, Step
from synth_spark.core.schema import Schema
from synth_spark.metrics.base import Evaluation
from synth_spark.pipelines.folder import RunFolder
from synth_spark.pipelines.run import Job
from synth_spark.records.detect import Detection

if TYPE_CHECKING:
    from synth_spark.spark.given import Given

LIBRARIES = ("pyspark", "delta-spark", "torch", "horovod", "numpy", "pandas", "pyarrow", "numba")


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
        "source": job.plan.source.path.rstrip("/").rpartition("/")[2],
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
            "generator chosen": _chosen(job),
            "plan hash": job.plan.fingerprint("evaluate"),
            "model hash": fit.get("sha256", ""),
            "model": json.dumps(fit.get("about", {}), default=str),
            "looked up": "; ".join(fit.get("looked_up", [])) or "no column",
        },
        "versions": versions(),
        "timings_s": {**timings, "fit of the generator": fit.get("fit_s")},
        "sampling": {**sample, "rows_per_s": sample.get("rows", 0) / seconds if seconds else None},
        "model_notes": model_notes(fit),
        "not_tested": [
            *_quotas(job.plan),
            *_given(job.plan, sample),
            *_taste(job.plan),
            *sample.get("notes", []),
            "Membership, linkage and attribute attacks: no number here is a privacy proof.",
            "Whether models trained on the twin do as well on real records.",
        ],
    }


def model_notes(fit: dict[str, Any]) -> list[str]:
    """What a model says of itself that a person should know; `fit` as the step leaves it."""
    return list(fit.get("about", {}).get("notes", []))


def _chosen(job: Job) -> str:
    """Why the generator is the one it is."""
    kept = job.folder.path / "detected.json"
    found = json.loads(kept.read_text()).get("chosen") if kept.exists() else None
    return f"{found['name']}, {found['why']}" if found else "by the plan"


def _quotas(plan: Plan) -> list[str]:
    """What quotas mean for the scores."""
    if not plan.sample.quotas:
        return []
    said = "; ".join(" ".join(q.where) for q in plan.sample.quotas)
    return [f"Scores compare with all records although quotas move the shares on purpose: {said}."]


def _given(plan: Plan, sample: dict[str, Any]) -> list[str]:
    """What a table of conditions means for the scores."""
    if not plan.sample.given:
        return []
    fields = ", ".join(sample.get("given", {}).get("fields", []))
    said = [
        "Scores compare with all records although the subjects' "
        f"{fields} come from the rows of {plan.sample.given.rstrip('/').rpartition('/')[2]}."
    ]
    left = sample.get("given", {}).get("left_out", [])
    return said + ([f"Of that table {', '.join(left)} were made anew."] if left else [])


def _taste(plan: Plan) -> list[str]:
    """What a temperature or a nucleus of its own means for the scores."""
    asked = {"temperature": plan.sample.temperature, "top_p": plan.sample.top_p}
    said = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value is not None)
    return [f"The twin was drawn at {said}: shares differ on purpose."] if said else []


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


# ---- on the screen ------------------------------------------------------------------------------


def tell_choice(plan: Plan, chosen: Mapping[str, str] | None) -> None:
    """Which generator `auto` took and why; nothing where the plan names one, or is quiet."""
    if chosen is not None and not plan.run.quiet:
        sys.stderr.write(f"auto: {chosen['name']}, {chosen['why']}\n")


def tell_notes(notes: Sequence[str]) -> None:
    """What came out smaller than asked for, such as a ring that is not whole."""
    sys.stderr.write("".join(f"Note: {note}\n" for note in notes))


def print_dry(
    plan: Plan,
    schema: Schema,
    steps: Sequence[Step],
    given: Given | None = None,
    chosen: Mapping[str, str] | None = None,
) -> None:
    """What a run would do; `chosen` is the generator that `auto` took, and why."""
    columns = ", ".join(f"{c.name} ({c.kind})" for c in schema.columns)
    key = f"key {schema.key.name}, " if schema.key else ""
    sys.stdout.write(
        f"Would {', '.join(steps)} {plan.source.path or 'without a source'} "
        f"as {schema.shape} of {schema.family}:\n"
    )
    if given is not None:
        fields = ", ".join(given.asked.fields)
        sys.stdout.write(f"  one subject for each of {given.rows:,} rows of {plan.sample.given}, ")
        sys.stdout.write(f"which give {fields}\n")
        if given.asked.left_out:
            sys.stdout.write(f"  {given.asked.sentence()}\n")
    why = chosen["why"] if chosen else "named by the plan"
    sys.stdout.write(f"  generator {plan.generator.name}: {why}\n")
    sys.stdout.write(f"  {key}columns {columns}\n  into {plan.folder}; nothing was written.\n")


def print_detection(found: Detection) -> None:
    """What each column was taken for, and why."""
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


def print_outcome(plan: Plan, evaluation: Evaluation | None, missed: Sequence[str]) -> None:
    """Where the twin is, its first figures, and the gates that were not passed."""
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
    fit = (RunFolder(plan.folder).step("fit") or {"facts": {}})["facts"]
    for note in model_notes(fit.get("twin", {})):
        sys.stdout.write(f"Note: {note}\n")
    for sentence in missed:
        sys.stdout.write(f"Gate not passed: {sentence}\n")
