"""Plans: what to run, as strict typed models. YAML = `--section.field value` = Python.

A plan is read whole before anything starts: an unknown key, a wrong type or a value out of range is
refused with its dotted path, all faults at once. Defaults change nothing about privacy. No secret
may stand in a plan: plans are copied into run folders and reports.

    plan = read_plan(Path("conf/plans/demo.yaml"), ["--sample.subjects", "500"])
    plan = plan_from({"source": {"path": "calls.parquet"}, "fit": {"ranks": 2}})
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, cast
from zoneinfo import available_timezones

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from synth_spark.core.schema import Column, Kind, Schema
from synth_spark.core.shelf import FAMILIES, GENERATORS
from synth_spark.errors import PlanError

Steps = Literal["ingest", "fit", "sample", "evaluate"]
STEPS: tuple[Steps, ...] = ("ingest", "fit", "sample", "evaluate")


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


class Section(BaseModel):
    """A part of a plan: frozen, and a key that is not a field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Section):
    """Where the records are and how they are written."""

    path: str = Field("", description="File, folder or table folder; also s3a:// and the like.")
    format: Literal["auto", "csv", "jsonl", "parquet", "delta"] = "auto"
    delimiter: str = Field(",", min_length=1, max_length=4, description="CSV only.")
    header: bool = Field(True, description="CSV only: the first line holds the names.")
    time_zone: str | None = Field(
        None,
        description="Zone of the source's clock, as Africa/Dakar. Instants are turned into this "
        "zone's local clock; none: times are taken as written (instants as UTC).",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            near = get_close_matches(zone, sorted(available_timezones()), n=1)
            raise ValueError(f"no time zone is called {zone!r}" + (f"; {near[0]}?" if near else ""))
        return zone


class ColumnPlan(Section):
    """One column of the source. What is left out comes from the family's field of that name."""

    name: str = Field(min_length=1, description="Canonical name; the name in the run's tables.")
    source: str = Field("", description="Name in the source; empty: the same.")
    kind: Kind | None = None
    source_type: str = Field("", description="Spark type that the twin is written in.")
    per: Literal["subject", "event"] | None = None
    partner: str = Field("", description="Place: the longitudes that go with these latitudes.")
    counterpart: bool | None = Field(None, description="Id of somebody else: hashed, made anew.")
    time_format: str = Field("", description="Times held as text: strftime; or epoch_s, epoch_ms.")


class Records(Section):
    """What the records are. Without columns they are detected from the source."""

    family: str = Field("", description="A file of records/; empty: table or events, by shape.")
    shape: Literal["auto", "flat", "events"] = "auto"
    key: str = Field("", description="Column that names the subject.")
    time: str = Field("", description="Column that orders a subject's events.")
    columns: tuple[ColumnPlan, ...] = Field(
        (), description="A list, or a mapping from name to the rest."
    )
    drop: tuple[str, ...] = Field((), description="Source columns to leave out.")

    @field_validator("columns", mode="before")
    @classmethod
    def _from_mapping(cls, columns: Any) -> Any:
        if isinstance(columns, Mapping):
            return [{"name": n, **(rest or {})} for n, rest in columns.items()]
        return columns

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [c.name for c in self.columns]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"the columns {', '.join(twice)} stand twice")
        for column in self.columns:
            if column.partner and column.partner not in names:
                raise ValueError(f"{column.name} names the partner {column.partner}, not a column")
        for role in ("key", "time"):
            name = getattr(self, role)
            if role == "time" and name and names and name not in names:
                raise ValueError(f"the {role} column {name} is not among the columns")
        if self.shape == "events" and names and not (self.key and self.time):
            raise ValueError("events need both key and time")
        return self


class Ingest(Section):
    """How records are checked, made pseudonymous and split."""

    holdout_share: float = Field(0.1, ge=0, le=0.5, description="Share of the subjects kept aside.")
    repeats: Literal["keep", "drop"] = Field("keep", description="What becomes of exact repeats.")
    max_events_per_subject: int = Field(100_000, ge=1, description="More are cut and counted.")
    id_key_file: str | None = Field(
        None,
        description="File with the key of the id hashes. SYNTH_SPARK_ID_KEY or "
        "SYNTH_SPARK_ID_KEY_FILE win; without any a key is made in the run folder (mode 0600).",
    )
    quarantine_limit_share: float = Field(
        0.5, ge=0, le=1, description="Refuse when a larger share of the rows is bad."
    )


class Generator(Section):
    """Which generator learns, and its settings."""

    name: str = "autoregressive"
    params: dict[str, Any] = Field({}, description="Settings of the generator: its Params.")


class Fit(Section):
    """How a model is trained."""

    ranks: int = Field(1, ge=1, description="Training processes.")
    collective: Literal["auto", "horovod", "torch", "single"] = "auto"
    max_epochs: int | None = Field(None, ge=1, description="None: the generator's own.")
    max_minutes: float | None = Field(None, gt=0, description="None: the generator's own.")
    threads: int = Field(1, ge=1, description="Torch threads of a rank.")
    restarts: int = Field(2, ge=0, description="Fresh tries after a lost rank.")


class Sample(Section):
    """How many subjects are drawn, and where the twin goes."""

    subjects: int | None = Field(None, ge=1, description="None: as many as in the training part.")
    rows_per_wave: int = Field(5_000_000, ge=1, description="Rows of one commit, about.")
    partitions: int | None = Field(None, ge=1, description="Spark tasks a wave; no effect on rows.")
    out: str | None = Field(None, description="Path of the twin; None: only in the run folder.")


class Gate(Section):
    """A limit on one score; a run that misses it ends with exit code 3."""

    metric: str
    item: str = "all"
    at_least: float | None = None
    at_most: float | None = None
    against: Literal["value", "floor"] = Field(
        "value", description="floor: the limit holds for value - (what the real holdout reaches)."
    )

    @model_validator(mode="after")
    def _has_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a gate needs at_least or at_most")
        return self


class Evaluate(Section):
    """What the twin is measured by."""

    enabled: bool = True
    baseline: str = Field("independent", description="Generator whose scores stand beside ours.")
    gates: tuple[Gate, ...] = ()


class Run(Section):
    """Where and how the run takes place. Nothing here changes a row."""

    folder: str = Field("", description="Run folder; empty: runs/NAME.")
    resume: Literal["never", "always", "if-possible"] = "never"
    quiet: bool = False
    master: str | None = Field(None, description="Spark master; None: as spark-submit or local.")
    conf: dict[str, str] = Field({}, description="Spark settings.")

    @field_validator("conf", mode="before")
    @classmethod
    def _as_text(cls, conf: Any) -> Any:
        if not isinstance(conf, Mapping):
            return conf
        lower = {True: "true", False: "false"}
        return {k: lower.get(v, v) if isinstance(v, bool) else str(v) for k, v in conf.items()}


class Plan(Section):
    """One run, from records to report."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(1, ge=0, lt=2**63)
    source: Source = Source()
    records: Records = Records()
    ingest: Ingest = Ingest()
    generator: Generator = Generator()
    fit: Fit = Fit()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.run.folder or f"runs/{self.name}")

    def params(self) -> Any:
        """The generator's settings as its own dataclass.

        Raises:
            UnknownNameError: No such generator (SYN-101).
            UnknownSettingError: No such setting (SYN-102).
            PlanError: A value of the wrong type or out of range (SYN-100).
        """
        return generator_params(self.generator.name, self.generator.params)

    def schema_of(self) -> Schema | None:
        """The schema that the plan spells out; None when it is to be detected.

        Both columns of a place are columns of kind place; the latitudes name their partner.
        """
        if not self.records.columns:
            return None
        shape = self.records.shape
        if shape == "auto":
            shape = "events" if self.records.key and self.records.time else "flat"
        family = self.records.family or {"flat": "table", "events": "events"}[shape]
        columns = [_column(c, family) for c in self.records.columns]
        key = next((c for c in columns if c.name == self.records.key), None)
        if key is None and self.records.key:
            key = Column(name=self.records.key, kind="identifier", per="subject")
        rest = tuple(c for c in columns if c.name != self.records.key)
        time = self.records.time if shape == "events" else ""
        return Schema(family=family, shape=shape, columns=rest, key=key, time=time)

    def source_names(self) -> dict[str, str]:
        """For each column of the plan (and the key), its name in the source."""
        named = {c.name: c.source or c.name for c in self.records.columns}
        return {self.records.key: self.records.key, **named} if self.records.key else named

    def with_schema(self, schema: Schema) -> Plan:
        """This plan with a detected schema spelled out."""
        columns = [schema.key, *schema.columns] if schema.key else [*schema.columns]
        records = self.records.model_copy(
            update={
                "family": schema.family,
                "shape": schema.shape,
                "key": schema.key.name if schema.key else "",
                "time": schema.time,
                "columns": tuple(ColumnPlan(**dataclasses.asdict(c)) for c in columns),
            }
        )
        return self.model_copy(update={"records": records})

    def changed(self, overrides: Mapping[str, Any] | Sequence[str]) -> Plan:
        """This plan with some settings changed, checked anew."""
        return plan_from(self.model_dump(mode="json"), overrides)

    def fingerprint(self, step: Steps = "evaluate") -> str:
        """SHA-256 over the settings that bear on the data made up to and with `step`.

        The name, the run section, partitions and the place of the key file do not.
        """
        sections = ["seed", "source", "records", "ingest"]
        sections += [s for s in ("fit", "sample", "evaluate") if STEPS.index(s) <= STEPS.index(step)]
        if "fit" in sections:
            sections.append("generator")
        dumped = self.model_dump(mode="json", include=set(sections))
        dumped["ingest"].pop("id_key_file")
        dumped.get("sample", {}).pop("partitions", None)
        text = json.dumps(dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_yaml(self) -> str:
        """The whole plan, defaults included, so that it means the same in a later release."""
        dumped = self.model_dump(mode="json")
        bare = {"name", "kind", "source_type", "per", "source"}
        dumped["records"]["columns"] = [
            {k: v for k, v in c.items() if v not in ("", None) and (v is not False or k in bare)}
            for c in dumped["records"]["columns"]
        ]
        return yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True, width=100)


# ---- reading -------------------------------------------------------------------------------------


def read_plan(path: Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Plan:
    """Read a plan from a YAML file and change it by overrides.

    Args:
        path: The YAML file.
        overrides: `{"sample.subjects": 10}` or `["--sample.subjects", "10"]`.

    Raises:
        PlanFileError: The file is not there or not a YAML mapping (SYN-103).
        PlanError: The plan is refused; SYN-100, SYN-101, SYN-102, SYN-104 or SYN-105.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
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
    return plan_from(data or {}, overrides, where=path.name)


def plan_from(
    data: Mapping[str, Any],
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    where: str = "the plan",
) -> Plan:
    """Make a plan from plain data; see `read_plan`."""
    merged = json.loads(json.dumps(dict(data)))  # a deep copy, and proof that it is plain data
    changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    for path, value in changes.items():
        _put(merged, path, value)
    _refuse_secrets(merged)
    try:
        plan = Plan.model_validate_json(json.dumps(merged), strict=True)
    except ValidationError as error:
        raise _plan_error(error, Plan, where) from None
    if plan.generator.params:
        plan.params()
    else:
        _known(GENERATORS, plan.generator.name)
    if plan.records.family:
        _known(FAMILIES, plan.records.family)
        plan.schema_of()
    return plan


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
            found[name] = yaml.load(value, _Loader)  # noqa: S506 (a SafeLoader)
        except yaml.YAMLError:
            found[name] = value
    return found


def generator_params(name: str, params: Mapping[str, Any]) -> Any:
    """The settings of one generator as its `Params`; see `Plan.params`."""
    cls = GENERATORS.get(name).Params
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = [p for p in params if p not in known]
    if unknown:
        path = f"generator.params.{unknown[0]}"
        near = get_close_matches(unknown[0], known, n=1)
        raise UnknownSettingError(
            f"{path} is not a setting of {name}.",
            hint=f"{near[0]!r}?" if near else f"one of {', '.join(known)}",
            path=path,
        )
    try:
        return TypeAdapter(cls).validate_json(json.dumps(dict(params)), strict=True)
    except ValidationError as error:
        raise _plan_error(error, None, "generator.params") from None


def json_schema() -> dict[str, Any]:
    """The JSON schema of a plan; docs/ref-plan.md is made from it."""
    return Plan.model_json_schema()


def settings(model: type[BaseModel] = Plan, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as (dotted path, pydantic field), in the order of a plan."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


# ---- helpers -------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types and no repeated keys: `no` is a text, 1e-3 a number, dates texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false|True|False|TRUE|FALSE)$", "tfTF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.YAMLError(f"the key {key!r} stands twice (line {key_node.start_mark.line + 1})")
        seen.add(key)
    loader.flatten_mapping(node)
    return cast(dict[Any, Any], loader.construct_mapping(node, deep=True))


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def _column(plan: ColumnPlan, family: str) -> Column:
    fields = {f.name: f for f in FAMILIES.get(family).fields}
    field = fields.get(plan.name)
    kind = plan.kind or (field.kind if field else None)
    if kind is None:
        raise PlanError(
            f"records.columns: {plan.name} has no kind, and {family} has no field of that name.",
            hint="kind: category, number, time, place or identifier",
            path=f"records.columns.{plan.name}",
        )
    plain = {"number": "double", "place": "double", "time": "timestamp_ntz"}.get(kind, "string")
    return Column(
        name=plan.name,
        kind=kind,
        source_type=plan.source_type or (field.spark_type if field else plain),
        per=plan.per or (field.per if field else "event"),
        partner=plan.partner or (field.partner if field else ""),
        counterpart=plan.counterpart if plan.counterpart is not None else bool(field and field.counterpart),
        time_format=plan.time_format,
    )


def _known(shelf: Any, name: str) -> None:
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


def _plan_error(error: ValidationError, model: type[BaseModel] | None, where: str) -> PlanError:
    """All faults of a validation as one error, one sentence a fault."""
    faults = []
    for fault in error.errors(include_url=False, include_input=True):
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault["loc"])[1:]
        if fault["type"] == "extra_forbidden":
            near = _nearest(path, model)
            faults.append((path, f"{path} is not a setting{near}"))
        else:
            text = fault["msg"].removeprefix("Value error, ")
            given = "" if isinstance(fault["input"], dict | list) else f", not {fault['input']!r}"
            text = text[0].lower() + text[1:]
            faults.append((path, f"{path or where}: {text}{given}"))
    unknown = any("is not a setting" in sentence for _, sentence in faults)
    cls = UnknownSettingError if unknown else PlanError
    head = f"{len(faults)} faults in {where}: " if len(faults) > 1 else ""
    return cls(
        head + "; ".join(s for _, s in faults) + ".",
        hint="synth-spark plan schema lists every setting",
        paths=tuple(p for p, _ in faults),
    )


def _nearest(path: str, model: type[BaseModel] | None) -> str:
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
