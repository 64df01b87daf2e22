"""The console command `synth-spark`; jobs/ use the same verbs for spark-submit.

Exit codes: 0 done, 2 refused (one line on stderr, or one JSON object with --json), 3 a gate was not
passed. Whatever is heavy is imported inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from typer._click.exceptions import ClickException  # the Click that Typer brings

from synth_spark.cli_model import model_app
from synth_spark.cli_parts import Drop, end, must_be_there
from synth_spark.errors import SynthError
from synth_spark.refusals import UsageError, of_the_machine, show

if TYPE_CHECKING:
    from synth_spark.config import Plan, Step

DONE, REFUSED, INTERRUPTED = 0, 2, 130
_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Learns a telecom operator's records and writes synthetic ones that can be shared.",
    epilog="Start with: synth-spark twin calls.parquet --out twin.parquet --key ID --time TIME",
)
plan_app = typer.Typer(no_args_is_help=True, help="Look at plans without running them.")
generators_app = typer.Typer(no_args_is_help=True, help="What can learn records.")
records_app = typer.Typer(no_args_is_help=True, help="What kinds of records are known.")
app.add_typer(plan_app, name="plan")
app.add_typer(generators_app, name="generators")
app.add_typer(model_app, name="model")
app.add_typer(records_app, name="records")


PlanFile = Annotated[
    Path, typer.Option("--plan", help="The plan, YAML.", dir_okay=False, show_default=False)
]
OnlyTable = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", help="Of a plan of several tables this one."),
]
Resume = Annotated[
    str | None,
    typer.Option(help="never, always or if-possible: whether to go on with an earlier run."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, run nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Errors as JSON, and no progress lines.")]
Key = Annotated[str | None, typer.Option(help="Column that names the subject of each event.")]
Time = Annotated[str | None, typer.Option(help="Column that orders a subject's events.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE",
        help="What every subject holds: a=x, a=x|y, a=1..9, hour=18..20; repeated, or in one text.",
    ),
]

Given = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A table of conditions: one subject for each row, which holds the row's values.",
    ),
]


@app.command()
def twin(
    data: Annotated[str, typer.Argument(help="Records: CSV, JSON lines, Parquet or Delta.")],
    out: Annotated[str, typer.Option(help="The twin: NAME.parquet, NAME.csv or a Delta folder.")],
    key: Key = None,
    time: Time = None,
    drop: Drop = None,
    generator: Annotated[
        str, typer.Option(help="See: generators list; auto: by shape and size.")
    ] = "auto",
    subjects: Annotated[
        int | None, typer.Option(min=1, help="How many; as many as were real if not said.")
    ] = None,
    where: Where = None,
    given: Given = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    run_folder: Annotated[
        str | None, typer.Option(help="Plan, model, report; OUT.run if not said.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the twin.")] = False,
    resume: Resume = None,
    as_json: Json = False,
) -> None:
    """Make a twin of any table in one go: detect, ingest, fit, sample, evaluate.

    Without --key and --time the table is flat (one row a subject) unless a column plainly names a
    subject with many rows in time.
    """
    from synth_spark import app as application
    from synth_spark.core.shelf import GENERATORS

    must_be_there(data)
    if given is not None:
        must_be_there(given)
    chosen = _one_of("resume", resume or "never", get_args(application.Resume))
    if generator not in ("auto", *GENERATORS.names()):
        GENERATORS.get(generator)  # raises with the nearest name
    end(
        application.twin(
            data,
            out,
            key=key,
            time=time,
            drop=tuple(drop or ()),
            generator=generator,
            subjects=subjects,
            where=tuple(where or ()),
            given=given,
            seed=seed,
            run_folder=run_folder,
            overwrite=overwrite,
            resume=cast(application.Resume, chosen),
            quiet=as_json,
        )
    )


@app.command()
def simulate(
    family: Annotated[str, typer.Argument(help="What to make; see: records list.")],
    out: Annotated[str, typer.Option(help="NAME.parquet, NAME.csv or a Delta folder.")],
    subjects: Annotated[int, typer.Option(min=1, help="How many.")],
    days: Annotated[int, typer.Option(min=1, max=3_660, help="Length of the time.")] = 28,
    scenario: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="What happens; may be repeated.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day, as 2026-01-05.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    run_folder: Annotated[str | None, typer.Option(help="OUT.run if not said.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    resume: Resume = None,
    as_json: Json = False,
) -> None:
    """Make records by rules from no data at all, with scenarios such as an outage."""
    from synth_spark import app as application

    chosen = _one_of("resume", resume or "never", get_args(application.Resume))
    end(
        application.simulate(
            family,
            out,
            subjects=subjects,
            days=days,
            scenarios=tuple(scenario or ()),
            start=start,
            seed=seed,
            run_folder=run_folder,
            overwrite=overwrite,
            resume=cast(application.Resume, chosen),
            quiet=as_json,
        )
    )


@app.command()
def detect(
    source: Annotated[str, typer.Argument(help="Records: CSV, JSON lines, Parquet or Delta.")],
    key: Key = None,
    time: Time = None,
    drop: Drop = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file.")] = None,
) -> None:
    """Guess what a table is and why, and write a first plan for it."""
    must_be_there(source)
    from synth_spark import app as application

    end(application.detect(source, key=key, time=time, drop=tuple(drop or ()), out=out))


def _verb(steps: tuple[Step, ...], summary: str) -> Any:
    def command(
        context: typer.Context,
        plan: PlanFile,
        table: OnlyTable = None,
        resume: Resume = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        overrides = list(context.args)
        overrides += ["--run.resume", resume] if resume else []
        overrides += ["--run.quiet", "true"] if as_json else []
        from synth_spark import app as application
        from synth_spark.config import Plan

        read = application.planned(plan, overrides, steps, table=table)
        if isinstance(read, Plan):
            end(application.run(read, steps, dry_run=dry_run))
        else:
            from synth_spark import several

            end(several.run_tables(read, steps, dry_run=dry_run, as_json=as_json))

    command.__doc__ = f"{summary} Any setting of the plan can follow: --section.field value."
    return command


_VERBS: tuple[tuple[str, tuple[Step, ...], str], ...] = (
    ("run", ("ingest", "fit", "sample", "evaluate"), "All steps of a plan."),
    ("ingest", ("ingest",), "Read, check and split the records."),
    ("fit", ("fit",), "Learn from ingested records."),
    ("sample", ("sample",), "Draw the twin from a fitted model."),
    ("evaluate", ("evaluate",), "Score the twin and write the report."),
)
for _name, _steps, _summary in _VERBS:
    app.command(name=_name, context_settings=_OVERRIDES)(_verb(_steps, _summary))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    folder: Annotated[Path, typer.Option(help="Where runs will be written.")] = Path(),
) -> None:
    """Check Python, Java, jars, Horovod, memory, cores, GPUs and disk; print what to do."""
    from synth_spark import doctor as checks

    found = checks.run_checks(folder)
    sys.stdout.write(checks.to_json(found) + "\n") if as_json else checks.show(found)
    end(checks.exit_code(found))


@app.command()
def warm() -> None:
    """Compile the kernels now, once a machine and user: the first run is not slowed by it."""
    from synth_spark import warming

    mark = warming.mark()
    if mark.exists():
        sys.stdout.write(f"The kernels are compiled: {mark.parent}\n")
        return
    for generator, table, seconds in warming.warm():
        sys.stdout.write(f"{generator} {table} {seconds:.1f} s\n")
        sys.stdout.flush()
    mark.touch()


@app.command()
def world(
    folder: Annotated[Path, typer.Argument(help="Where the tables go.")],
    subscribers: Annotated[int, typer.Option(min=20, max=100_000)] = 400,
    days: Annotated[int, typer.Option(min=1, max=366)] = 21,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    table_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
) -> None:
    """Write the built-in telecom world: made up by rules, to try things on."""
    from synth_spark.records import world as maker

    made = maker.make(subscribers=subscribers, days=days, seed=seed)
    for path, rows in maker.write(made, folder, table_format).items():
        sys.stdout.write(f"{path}  {rows:,} rows\n")


@plan_app.command("check", context_settings=_OVERRIDES)
def plan_check(
    context: typer.Context, plan: PlanFile, table: OnlyTable = None, as_json: Json = False
) -> None:
    """Read a plan and print it whole, defaults included, with its fingerprint."""
    from synth_spark.config import Plan, read_plans

    read = read_plans(plan, list(context.args), table=table)
    if isinstance(read, Plan):
        shown, said = _shown(read), _said(read)
    else:
        from synth_spark.places import check_apart

        check_apart(read.plans)
        chosen = {name: read.plans[name] for name in read.chosen}
        shown = {"tables": {name: _shown(one) for name, one in chosen.items()}}
        said = "---\n".join(f"# table {name}\n{_said(one)}" for name, one in chosen.items())
    sys.stdout.write(json.dumps(shown) + "\n" if as_json else said)


def _shown(plan: Plan) -> dict[str, Any]:
    return {"plan": plan.model_dump(mode="json"), "fingerprint": plan.fingerprint()}


def _said(plan: Plan) -> str:
    return f"{plan.to_yaml()}# fingerprint {plan.fingerprint()}\n"


@plan_app.command("schema")
def plan_schema(as_json: Json = False) -> None:
    """Every setting of a plan, with its default and what it does."""
    from synth_spark.config import json_schema, reference

    sys.stdout.write(json.dumps(json_schema(), indent=2) if as_json else reference())
    sys.stdout.write("\n")


@generators_app.command("list")
def generators_list() -> None:
    """Each generator, the shapes it makes, and its settings."""
    import dataclasses

    from synth_spark.core.shelf import GENERATORS

    for name in GENERATORS.names():
        kind = GENERATORS.get(name)
        about = (kind.__doc__ or "").strip().splitlines()[0]
        fields = ", ".join(f.name for f in dataclasses.fields(kind.Params)) or "none"
        sys.stdout.write(f"{name}: {about}\n  shapes: {', '.join(sorted(kind.shapes))};")
        sys.stdout.write(f" at least {kind.min_subjects} subjects; settings: {fields}\n")


@records_app.command("list")
def records_list(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/ref-records.md.")] = False,
) -> None:
    """Each record family with its columns, units and rules."""
    from synth_spark.core.shelf import FAMILIES
    from synth_spark.records._reference import reference

    if markdown:
        sys.stdout.write(reference() + "\n")
        return
    for name in FAMILIES.names():
        family = FAMILIES.get(name)
        sys.stdout.write(f"{name}: {family.about}\n")
        for field in family.fields:
            unit = f", {field.unit}" if field.unit else ""
            sys.stdout.write(f"  {field.name}: {field.kind}{unit}\n")
        for rule in family.own_rules:
            sys.stdout.write(f"  rule: {rule.sentence}\n")


@app.command()
def scenarios(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/ref-scenarios.md.")] = False,
) -> None:
    """Each kind of scenario with its settings; scenarios go to simulate --scenario FILE."""
    from synth_spark.config import scenario_reference
    from synth_spark.config.scenarios import KINDS

    if markdown:
        sys.stdout.write(scenario_reference() + "\n")
        return
    for kind, model in KINDS.items():
        named = ", ".join(n for n in model.model_fields if n != "kind")
        sys.stdout.write(f"{kind}: {(model.__doc__ or '').strip()}\n  settings: {named}\n")


@app.command()
def version() -> None:
    """The version."""
    from synth_spark import __version__

    sys.stdout.write(__version__ + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code: 0 done, 2 refused, 3 gate not passed.

    Our own errors become one line; anything else is a bug and keeps its traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger().addHandler(logging.NullHandler())  # py4j logs traces of what it raises
    try:
        code = app(args=arguments, prog_name="synth-spark", standalone_mode=False)
        if code == INTERRUPTED:  # what Typer makes of Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else DONE
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return REFUSED
        return _refuse(_of_usage(error), as_json="--json" in arguments)
    except SynthError as error:
        return _refuse(error, as_json="--json" in arguments)
    except OSError as error:
        known = of_the_machine(error)
        if known is None:
            raise
        return _refuse(known, as_json="--json" in arguments)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. What was finished is kept: go on with --resume if-possible.\n")
        return INTERRUPTED


def _one_of(option: str, said: str, choices: Sequence[str]) -> str:
    if said not in choices:
        raise UsageError(f"--{option} {said} is not a choice.", hint=f"one of {', '.join(choices)}")
    return said


def _refuse(error: SynthError, *, as_json: bool) -> int:
    show(error, as_json=as_json)
    return REFUSED


def _of_usage(error: ClickException) -> UsageError:
    """The numbered error for what is wrong with the command line."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "synth-spark"
    return UsageError(error.format_message(), hint=f"{command} --help")


if __name__ == "__main__":
    sys.exit(main())
