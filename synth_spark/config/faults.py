"""What can be wrong with a plan, said in one sentence a fault with the nearest known setting."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from synth_spark.config.sections import ColumnPlan, Gate, Section
from synth_spark.errors import PlanError


class UnknownSettingError(PlanError):
    """A plan or an override names a setting that does not exist."""

    code = "SYN-102"


class PlanFileError(PlanError):
    """A plan file cannot be read as YAML, or is not a mapping."""

    code = "SYN-103"


class OverrideError(PlanError):
    """An override on the command line is not `--section.field value`."""

    code = "SYN-104"


class SecretInPlanError(PlanError):
    """A plan holds something that looks like a password or a key."""

    code = "SYN-105"


class NoSourceError(PlanError):
    """A step that reads records was asked for and the plan names no source."""

    code = "SYN-106"


def plan_error(error: ValidationError, model: type[BaseModel] | None, where: str) -> PlanError:
    """All faults of a validation as one error, one sentence a fault."""
    faults = []
    for fault in error.errors(include_url=False, include_input=True):
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault["loc"])[1:]
        if fault["type"] == "extra_forbidden":
            near = nearest(path, model)
            faults.append((path, f"{path} is not a setting{near}"))
        else:
            text = fault["msg"].removeprefix("Value error, ")
            own = fault["type"] == "value_error" or isinstance(fault["input"], dict | list)
            given = "" if own else f", not {fault['input']!r}"
            text = text[0].lower() + text[1:]
            faults.append((path, f"{_under(where, path)}: {text}{given}"))
    unknown = any("is not a setting" in sentence for _, sentence in faults)
    cls = UnknownSettingError if unknown else PlanError
    head = f"{len(faults)} faults in {where}: " if len(faults) > 1 else ""
    return cls(
        head + "; ".join(s for _, s in faults) + ".",
        hint="synth-spark plan schema lists every setting",
        paths=tuple(p for p, _ in faults),
    )


def _under(where: str, path: str) -> str:
    """The full dotted path; the settings of a generator are checked by themselves."""
    if where.startswith("generator."):
        return f"{where}.{path}"
    return path or where


def nearest(path: str, model: type[BaseModel] | None) -> str:
    """` (nearest: section.setting)` for an unknown setting, or nothing."""
    if model is None:
        return ""
    known = [p for p, _ in settings(model)]
    sections = [*model.model_fields]
    leaf = path.rpartition(".")[2]
    same_leaf = [p for p in known if p.rpartition(".")[2] == leaf]
    item = {c: c for c in (*ColumnPlan.model_fields, *Gate.model_fields)}
    pool = [*item] if "[" in path else known + sections
    near = same_leaf or get_close_matches(leaf if "[" in path else path, pool, n=1, cutoff=0.6)
    if not near:
        leaves = {p.rpartition(".")[2]: p for p in known}
        near = [leaves[n] for n in get_close_matches(leaf, leaves, n=1)]
    return f" (nearest: {near[0]})" if near else ""


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as (dotted path, pydantic field), in the order of a plan."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
