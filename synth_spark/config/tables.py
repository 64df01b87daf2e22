"""Plans of several tables: one file, and under `tables` what each of them has of its own.

    name: shop
    sample: {subjects: 500}                # of every table
    tables:
      calls: {source: {path: calls.parquet}, generator: {name: markov}}
      people: {source: {path: people.csv}}

A table is a whole plan: the rest of the file, section by section and key by key under its own. It
runs in a folder of its own in the file's run folder, and knows nothing of the other tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from synth_spark.config.faults import OverrideError
from synth_spark.config.plan import Plan
from synth_spark.config.reading import mapping_in, parse_overrides, plan_from
from synth_spark.errors import PlanError, SynthError

_Error = TypeVar("_Error", bound=SynthError)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # no dots: they part --tables.NAME.section.field


class UnknownTableError(PlanError):
    """A table is named that the plan does not have."""

    code = "SYN-108"


@dataclass(frozen=True, slots=True)
class Tables:
    """A plan of several tables.

    Attributes:
        folder: Of all their runs; each has one of its own in it, by its name.
        plans: All of them, by name, in the order of the file.
        chosen: Those to be carried out.
    """

    folder: Path
    plans: Mapping[str, Plan]
    chosen: tuple[str, ...]


def read_plans(
    path: Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    table: str | None = None,
) -> Plan | Tables:
    """Read a plan of one table, or one of several; see `read_plan`.

    Args:
        path: The YAML file.
        overrides: As of `read_plan`; of several tables they hold for each. Those that begin with
            `tables.NAME.` hold for that one, and win.
        table: The only one to be carried out; None: all.

    Raises:
        UnknownTableError: The plan has no such table (SYN-108).
        PlanError: The plan is refused; the message and `facts["table"]` name the table.
    """
    data = mapping_in(path)
    changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    if "tables" in data:
        return tables_from(data, changes, table=table, where=path.name)
    if table is not None:
        raise UnknownTableError(
            f"{path.name} is a plan of one table, without a name.",
            hint="leave --table out",
            table=table,
        )
    return plan_from(data, changes, where=path.name)


def tables_from(
    data: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    table: str | None = None,
    where: str = "the plan",
) -> Tables:
    """Make the plans of several tables from plain data; see `read_plans`."""
    shared = {section: value for section, value in data.items() if section != "tables"}
    own = _checked(data["tables"], where)
    for name in [n for n in (table, *(_table_of(path) for path in changes)) if n is not None]:
        _must_know(name, own, where)
    every = {path: value for path, value in changes.items() if _table_of(path) is None}
    whole = plan_from(_settings_of_all(shared, every), where=where)
    folder = whole.run.folder.rstrip("/") or f"runs/{whole.name}"
    plans = {}
    for name, settings in own.items():
        mine = {
            path.split(".", 2)[2]: value
            for path, value in changes.items()
            if _table_of(path) == name
        }
        placed = {"name": f"{whole.name}.{name}", "run.folder": f"{folder}/{name}"}
        try:
            _refuse_shared(settings, mine)
            plans[name] = plan_from(under(shared, settings), {**every, **mine, **placed})
        except SynthError as error:
            raise in_table(error, name) from None
    return Tables(whole.folder, plans, (table,) if table is not None else tuple(plans))


def under(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a table: its own over the shared ones, each key of a section whole.

    Settings of a generator belong to it: a table that names another one has none of the shared.

    Example:
        >>> under({"seed": 1, "fit": {"ranks": 2, "threads": 4}}, {"fit": {"ranks": 1}})
        {'seed': 1, 'fit': {'ranks': 1, 'threads': 4}}
    """
    merged: dict[str, Any] = json.loads(json.dumps(dict(shared)))
    for section, value in own.items():
        there = merged.get(section)
        if not isinstance(value, Mapping) or not isinstance(there, dict):
            merged[section] = value
            continue
        if section == "generator" and value.get("name", there.get("name")) != there.get("name"):
            there.pop("params", None)
        merged[section] = {**there, **value}
    return merged


def in_table(error: _Error, table: str) -> _Error:
    """The same error, which says in which table."""
    error.args = (f"Table {table}: {error.args[0]}", *error.args[1:])
    error.facts["table"] = table
    return error


# ---- parts --------------------------------------------------------------------------------------


def _settings_of_all(shared: Mapping[str, Any], every: Mapping[str, Any]) -> dict[str, Any]:
    """What says the name and the folder of all runs."""
    found: dict[str, Any] = {"name": every.get("name", shared.get("name", "run"))}
    run = shared.get("run")
    folder = run.get("folder", "") if isinstance(run, Mapping) else ""
    folder = every.get("run.folder", folder)
    return {**found, "run": {"folder": folder}}


def _checked(tables: Any, where: str) -> dict[str, dict[str, Any]]:
    """The tables of a file, each with its own settings."""
    if not isinstance(tables, Mapping) or not tables:
        raise PlanError(
            f"tables in {where} is no mapping of names to settings.",
            hint="tables: {calls: {source: {path: calls.parquet}}}",
            path="tables",
        )
    for name, settings in tables.items():
        if not _NAME.fullmatch(str(name)):
            raise PlanError(
                f"A table of {where} is called {name!r}, which cannot be a folder's name.",
                hint="letters, digits, _ and -",
                path="tables",
                table=str(name),
            )
        if not isinstance(settings, Mapping | None):
            raise in_table(
                PlanError(f"It has a {type(settings).__name__}, not settings.", path="tables"),
                str(name),
            )
    return {str(name): dict(settings or {}) for name, settings in tables.items()}


def _refuse_shared(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse what belongs to all tables."""
    said = [*settings, *(path.partition(".")[0] for path in changes)]
    found = next((s for s in said if s in ("name", "run", "tables")), None)
    if found:
        raise PlanError(
            f"{found} belongs to all tables.",
            hint="it stands at the top of the file; a table runs in RUN_FOLDER/TABLE",
            path=found,
        )


def _table_of(path: str) -> str | None:
    """The table that an override is for; None: for each."""
    first, *rest = path.split(".", 2)
    if first != "tables":
        return None
    if len(rest) < len(("NAME", "section.field")):
        raise OverrideError(
            f"--{path} names no setting of a table.",
            hint="--tables.NAME.section.field value",
            argument=path,
        )
    return rest[0]


def _must_know(name: str, tables: Mapping[str, Any], where: str) -> None:
    if name not in tables:
        near = get_close_matches(name, [*tables], n=1)
        raise UnknownTableError(
            f"{where} has no table {name!r}.",
            hint=f"did you mean {near[0]!r}?" if near else f"one of {', '.join(tables)}",
            table=name,
            tables=[*tables],
        )
