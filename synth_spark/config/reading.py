"""Reading plans: YAML, overrides and plain data become one checked plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from synth_spark.config.faults import (
    OverrideError,
    PlanFileError,
    SecretInPlanError,
    plan_error,
)
from synth_spark.config.plan import AUTO, Plan
from synth_spark.config.scenarios import with_scenarios_read
from synth_spark.core.shelf import FAMILIES, GENERATORS, Shelf
from synth_spark.errors import PlanError


def read_plan(path: Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Plan:
    """Read a plan from a YAML file and change it by overrides.

    Args:
        path: The YAML file.
        overrides: `{"sample.subjects": 10}` or `["--sample.subjects", "10"]`.

    Raises:
        PlanFileError: The file is not there or not a YAML mapping (SYN-103).
        PlanError: The plan is refused; SYN-100, SYN-101, SYN-102, SYN-104 or SYN-105.
    """
    return plan_from(mapping_in(path), overrides, where=path.name)


def mapping_in(path: Path) -> dict[str, Any]:
    """What a plan's file holds.

    Raises:
        PlanFileError: The file is not there or not a YAML mapping (SYN-103).
    """
    try:
        data = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanFileError(f"The plan {path} cannot be read: {error}.", path=str(path)) from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise PlanFileError(f"The plan {path} is not YAML: {text}.", path=str(path)) from error
    if data is not None and not isinstance(data, dict):
        raise PlanFileError(
            f"The plan {path} holds a {type(data).__name__}, not settings.",
            hint="see conf/plans/demo.yaml",
            path=str(path),
        )
    return data or {}


def plan_from(
    data: Mapping[str, Any],
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    where: str = "the plan",
) -> Plan:
    """Make a plan from plain data; see `read_plan`."""
    if "tables" in data:
        raise PlanError(
            f"{where} is of several tables, and a plan of one is needed.",
            hint="read_plans in Python, or synth-spark run --plan FILE --table NAME",
            path="tables",
        )
    merged = json.loads(json.dumps(dict(data)))  # a deep copy, and proof that it is plain data
    changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    _let_given_win(merged, changes)
    for path, value in changes.items():
        _put(merged, path, value)
    _refuse_secrets(merged)
    with_scenarios_read(merged)
    try:
        plan = Plan.model_validate_json(json.dumps(merged), strict=True)
    except ValidationError as error:
        raise plan_error(error, Plan, where) from None
    if plan.generator.params:
        plan.params()
    elif plan.generator.name != AUTO:
        _known(GENERATORS, plan.generator.name)
    if plan.records.family:
        _known(FAMILIES, plan.records.family)
        plan.schema_of()
    return plan


def load_yaml(text: str) -> Any:
    """YAML by the rules of plans: 1.2's core types, no repeated keys.

    Example:
        >>> load_yaml("rate: 1e-4")
        {'rate': 0.0001}
    """
    return yaml.load(text, _Loader)


def parse_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """`["--a.b", "1", "--c.d=x"]` as `{"a.b": 1, "c.d": "x"}`; values are read as YAML.

    Raises:
        OverrideError: An argument is not of that form, or its value is missing (SYN-104).
    """
    found: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not name:
            raise OverrideError(
                f"{argument!r} is not a setting.", hint="--section.field value", argument=argument
            )
        if not equals:
            value = next(rest, "--")
            if value.startswith("--"):
                raise OverrideError(f"--{name} has no value.", argument=argument)
        try:
            found[name] = load_yaml(value)
        except yaml.YAMLError:
            found[name] = value
    return found


def changed(plan: Plan, overrides: Mapping[str, Any] | Sequence[str]) -> Plan:
    """The plan with some settings changed, checked anew."""
    return plan_from(plan.model_dump(mode="json"), overrides)


def _let_given_win(data: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """A table of conditions that is asked for now says how many subjects, not the written plan."""
    said, sample = changes.get("sample.given"), data.get("sample")
    if said is not None and "sample.subjects" not in changes and isinstance(sample, dict):
        sample.pop("subjects", None)


def _known(shelf: Shelf, name: str) -> None:
    if name not in shelf.names():
        shelf.get(name)  # raises SYN-101 with the nearest name


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *sections, last = path.split(".")
    if path.startswith("run.conf."):  # names of Spark settings hold dots themselves
        sections, last = ["run", "conf"], path.removeprefix("run.conf.")
    for section in sections:
        inner = data.setdefault(section, {})
        if not isinstance(inner, dict):
            raise OverrideError(f"--{path}: {section} holds no settings.", path=path)
        data = inner
    data[last] = value


_SECRET = re.compile(
    r"(secret|passw(or)?d|passphrase|credential|id_key$|(^|[._-])token($|[._-])"
    r"|(private|access|api|account|encryption|signing)[._-]?key)",
    re.IGNORECASE,
)
_LOGIN_IN_URL = re.compile(r"://[^/@\s]+:[^/@\s]+@")


def _refuse_secrets(node: Any, path: str = "") -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            if _SECRET.search(str(key)) and path != "records.columns":
                raise SecretInPlanError(
                    f"{here} looks like a secret, and plans are copied and shown.",
                    hint="an environment variable, a key file, or spark-defaults.conf",
                    path=here,
                )
            _refuse_secrets(value, here)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            _refuse_secrets(value, f"{path}[{i}]")
    elif isinstance(node, str) and _LOGIN_IN_URL.search(node):
        raise SecretInPlanError(f"{path} holds a login inside an address.", path=path)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types and no repeated keys: `no` is a text, 1e-3 a number, dates texts."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (as PyYAML declares it)


_FLOAT = r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false|True|False|TRUE|FALSE)$", "tfTF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {key!r} stands twice (line {line})")
        seen.add(key)
    loader.flatten_mapping(node)
    return cast(dict[Any, Any], loader.construct_mapping(node, deep=True))


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
