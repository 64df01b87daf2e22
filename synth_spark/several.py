"""A plan of several tables: one run after the other, and what became of each.

RUN_FOLDER/NAME         the run of a table, see `pipelines/folder.py`
RUN_FOLDER/tables.json  of each table its state, exit code, folder, generator, rows, twin, report
RUN_FOLDER/.tables.lock held while tables.json is read and written again
"""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from synth_spark import app
from synth_spark.config import STEPS, Plan, Step, Tables, in_table, read_plan
from synth_spark.errors import SynthError
from synth_spark.pipelines.folder import NotARunError, RunFolder, write_text
from synth_spark.places import check_apart

SUMMARY = "tables.json"
_LOCK = ".tables.lock"
_NOT_BEGUN = "not begun"
_STATES = {0: "done", 3: "gate not passed"}


def run_tables(
    tables: Tables,
    steps: Sequence[Step] = STEPS,
    *,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Carry out the named steps of one table after the other.

    Args:
        tables: What to run.
        steps: Some of ingest, fit, sample, evaluate, in that order; of every table.
        dry_run: Check everything, print what would be done, and do none of it.
        as_json: Print the summary on standard output.

    Returns:
        0 done, 3 a gate of some table was not passed.

    Raises:
        SamePlaceError: Places of two tables meet (SYN-136).
        NoSourceError: Nothing is at the local path of a source that is to be read (SYN-220).
        NotARunError: The summary in the folder is none of ours (SYN-130).
        SynthError: A table is refused, and named; those before it are complete.
    """
    check_apart(tables.plans)
    plans = _resumed({name: tables.plans[name] for name in tables.chosen})
    for name, plan in plans.items():
        _named(name, _check, plan, steps, dry_run=dry_run)
    before = _known(tables)
    if dry_run:
        for name, plan in plans.items():
            sys.stdout.write(f"Table {name}: ")
            _named(name, app.run, plan, steps, dry_run=True)
        return 0
    entries = {name: _entry(name, plan, _NOT_BEGUN) for name, plan in plans.items()}
    try:
        for number, (name, plan) in enumerate(plans.items(), start=1):
            _say(plan, f"table {number}/{len(plans)} {name}: {', '.join(steps)}")
            entries[name] = _entry(name, plan, "stopped")
            _carry_out(entries, name, plan, steps)
    finally:
        listed = _written(tables, entries, before)
        if as_json:
            sys.stdout.write(json.dumps(listed) + "\n")
    _say(next(iter(plans.values())), f"Tables: {tables.folder / SUMMARY}")
    return max(int(entries[name]["exit_code"]) for name in plans)


def _check(plan: Plan, steps: Sequence[Step], *, dry_run: bool) -> None:
    """Refuse of a table what can be refused without Spark, its source not being there included."""
    from synth_spark.spark.source import must_be_readable

    steps, spelled = app.checked(plan, steps, dry_run=dry_run)
    again = plan.run.resume == "never"
    ingests = "ingest" in steps and (again or not RunFolder(plan.folder).step("ingest"))
    read = ingests or (again and spelled is None)  # else its columns are known of a run before
    path = plan.source.path
    if read and path and not path.startswith("world:"):
        must_be_readable(path)


def _carry_out(
    entries: dict[str, dict[str, Any]], name: str, plan: Plan, steps: Sequence[Step]
) -> None:
    """Run one table and note what became of it."""
    try:
        code = _named(name, app.run, plan, steps, dry_run=False)
    except SynthError as error:
        entries[name] = _entry(name, plan, "refused", 2, error=str(error))
        raise
    entries[name] = _entry(name, plan, _STATES[code], code)


def _named(name: str, do: Any, *args: Any, **named: Any) -> Any:
    """What `do` returns; what it refuses names the table."""
    try:
        return do(*args, **named)
    except SynthError as error:
        raise in_table(error, name) from error.__cause__


def _resumed(plans: dict[str, Plan]) -> dict[str, Plan]:
    """The plans; where some table is begun, `always` lets the others begin."""
    begun = {n for n, p in plans.items() if any(RunFolder(p.folder).step(s) for s in STEPS)}
    late = {n for n, p in plans.items() if begun and n not in begun and p.run.resume == "always"}
    freely = {n: plans[n].run.model_copy(update={"resume": "if-possible"}) for n in late}
    return {n: p.model_copy(update={"run": freely.get(n, p.run)}) for n, p in plans.items()}


def _written(
    tables: Tables, entries: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Put what became of this run's tables into the summary; what it says then.

    Another run of the plan may have written of its own tables since `before` was read. They stay,
    and so does one of ours that it carried out and we never began.
    """
    if not tables.folder.is_dir():
        return _in_order(tables, entries)
    with _locked(tables.folder):
        now = _known(tables)
        late = {n for n, e in entries.items() if e["state"] == _NOT_BEGUN}
        theirs = {n for n in late & {*now} if now[n] != before.get(n)}
        listed = _in_order(tables, now | {n: e for n, e in entries.items() if n not in theirs})
        write_text(tables.folder / SUMMARY, json.dumps(listed, indent=1) + "\n")
    return listed


def _in_order(tables: Tables, entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"tables": [entries[name] for name in tables.plans if name in entries]}


def _known(tables: Tables) -> dict[str, dict[str, Any]]:
    """What the summary says of the plan's tables.

    Raises:
        NotARunError: It is damaged, or somebody else's (SYN-130).
    """
    file = tables.folder / SUMMARY
    if not file.exists():
        return {}
    try:
        said = json.loads(file.read_text(encoding="utf-8"))["tables"]
        return {entry["table"]: entry for entry in said if entry["table"] in tables.plans}
    except (ValueError, KeyError, TypeError, IsADirectoryError) as error:
        raise NotARunError(
            f"{file} is no list of tables that a run wrote, or is damaged.",
            hint="move it away (the runs of the tables are kept), or name another --run.folder",
            path=str(file),
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other run writes the summary, and keep the others waiting meanwhile."""
    with (folder / _LOCK).open("a", encoding="utf-8") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _entry(
    name: str, plan: Plan, state: str, code: int | None = None, **more: str
) -> dict[str, Any]:
    """One table of the summary, as far as its run got."""
    folder = RunFolder(plan.folder)
    file, report = folder.path / "plan.yaml", folder.path / "report.html"
    kept = state in _STATES.values() and file.exists()
    drawn = (folder.step("sample") or {"facts": {}})["facts"].get("twin", {}) if kept else {}
    return {
        "table": name,
        "state": state,
        "exit_code": code,
        "run_folder": str(folder.path),
        "generator": read_plan(file).generator.name if kept else plan.generator.name,
        "rows": drawn.get("rows"),
        "subjects": drawn.get("subjects"),
        "twin": plan.sample.out if drawn else None,
        "report": str(report) if kept and report.exists() else None,
        **more,
    }


def _say(plan: Plan, line: str) -> None:
    if not plan.run.quiet:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
