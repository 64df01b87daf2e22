"""Where a run reads and writes: no place may destroy another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from pathlib import PurePath, PurePosixPath

from synth_spark.config import Plan
from synth_spark.core.paths import local_path
from synth_spark.errors import SynthError
from synth_spark.pipelines.folder import FolderError

OWN = (  # what a run keeps in its folder
    "baseline", "checkpoints", "given", "histories", "models", "quarantine", "records", "shards",
    "stage", "steps", "twin", "world",
)  # fmt: skip


class SamePlaceError(SynthError):
    """The source, the twin and the run folder lie in one another."""

    code = "SYN-136"


def check_places(plan: Plan, *, dry_run: bool) -> None:
    """Refuse places that would destroy the source or the run, and those that cannot be written.

    Raises:
        SamePlaceError: The source, the twin and the run folder lie in one another (SYN-136).
        TableTakenError: A folder that is no Delta table stands where the twin goes (SYN-215).
        NoSourceError: There is nothing where the table of conditions is said to be (SYN-220).
    """
    from synth_spark.spark.source import must_be_readable
    from synth_spark.spark.twin_out import check_target

    if local_path(plan.run.folder) is None:
        raise FolderError(
            f"The run folder {plan.run.folder} is an address that only Spark reaches.",
            hint="--run-folder (in a plan run.folder) on a disk or mount that all machines see",
            path=plan.run.folder,
        )
    folder = plan.folder.resolve()
    twin = _resolved(plan.sample.out) if plan.sample.out else None
    made = not plan.source.path or plan.source.path.startswith("world:")
    source = None if made else _resolved(plan.source.path)
    pairs = [("twin", twin, "source", source), ("source", source, "twin", twin)]
    pairs += [("run folder", folder, "source", source), ("run folder", folder, "twin", twin)]
    pairs += [("source", source, "run folder", folder)]
    given = _resolved(plan.sample.given) if plan.sample.given else None
    pairs += [("twin", twin, "given table", given), ("given table", given, "twin", twin)]
    pairs += [("run folder", folder, "given table", given)]
    for name, path, other, around in pairs:
        if path and around and (path == around or around in path.parents):
            where = "is" if path == around else "lies in"
            raise SamePlaceError(
                f"The {name} {where} the {other}: {path}.",
                hint="another place (--out, --run-folder; in a plan sample.out, run.folder)",
                path=str(path),
            )
    if twin and folder in twin.parents and twin.relative_to(folder).parts[0] in OWN:
        raise SamePlaceError(
            f"The twin {twin} would replace a table of the run itself.",
            hint=f"another name than {', '.join(OWN)} inside the run folder",
            path=str(twin),
        )
    if given and plan.run.resume == "never":
        must_be_readable(plan.sample.given or "")
    if given and folder in given.parents and given.relative_to(folder).parts[0] in OWN:
        raise SamePlaceError(
            f"The given table {given} is a table of the run itself.",
            hint="a copy of it outside the run folder",
            path=str(given),
        )
    if plan.sample.out and not dry_run:
        check_target(plan.sample.out, replace=True)


def check_apart(plans: Mapping[str, Plan]) -> None:
    """Refuse tables of one plan that would write over, or read, what another one writes.

    Raises:
        SamePlaceError: A place of one is, or lies in, a place of another (SYN-136).
    """
    for (one, mine), (other, its) in permutations(plans.items(), 2):
        written, folder = _place(mine.sample.out), mine.folder.resolve()
        others = {
            "twin": _place(its.sample.out),
            "source": _place(its.source.path),
            "given table": _place(its.sample.given),
            "run folder": its.folder.resolve(),
        }
        pairs = [("twin", written, name, path) for name, path in others.items()]
        pairs += [("run folder", folder, name, others[name]) for name in ("source", "given table")]
        for name, path, theirs, around in pairs:
            if path and around and (path == around or around in path.parents or path in
                                    around.parents):  # fmt: skip
                raise SamePlaceError(
                    f"The {name} of {one} and the {theirs} of {other} lie in one another: {path}.",
                    hint="a place of its own for each table (tables.NAME.sample.out)",
                    path=str(path),
                    tables=[one, other],
                )


def _place(said: str | None) -> PurePath | None:
    """A place that a plan names; None where it names none, or a table that is made."""
    return _resolved(said) if said and not said.startswith("world:") else None


def _resolved(place: str) -> PurePath:
    """A place to be compared with others: links followed, or an address as it was said."""
    local = local_path(place)
    return PurePosixPath(place) if local is None else local.resolve()
