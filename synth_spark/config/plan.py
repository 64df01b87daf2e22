"""The whole plan, and what can be asked of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from synth_spark.config.faults import UnknownSettingError, plan_error
from synth_spark.config.sections import (
    ColumnPlan,
    Evaluate,
    Fit,
    Generator,
    Ingest,
    Records,
    Run,
    Sample,
    Section,
    Source,
)
from synth_spark.core.paths import plain
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import FAMILIES, GENERATORS
from synth_spark.errors import PlanError

Step = Literal["ingest", "fit", "sample", "evaluate"]
AUTO = "auto"  # the generator is chosen once the records are known
STEPS: tuple[Step, ...] = ("ingest", "fit", "sample", "evaluate")


class Plan(Section):
    """One run, from records to report."""

    name: str = Field(default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=1, ge=0, lt=2**63)
    source: Source = Source()
    records: Records = Records()
    ingest: Ingest = Ingest()
    generator: Generator = Generator()
    fit: Fit = Fit()
    sample: Sample = Sample()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @model_validator(mode="after")
    def _columns_known(self) -> Self:
        family, named = self.records.family, self.records.columns
        if family not in {"", "table", "events"} and not named and not self.cold:
            raise ValueError(
                f"records: the family {family} needs columns; without a family they are detected"
            )
        return self

    @property
    def cold(self) -> bool:
        """Whether there is no source, and the generator works from its settings alone."""
        name = self.generator.name
        return not self.source.path and name != AUTO and not GENERATORS.get(name).min_subjects

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(plain(self.run.folder) or f"runs/{self.name}")

    def params(self) -> Any:
        """The generator's settings as its own dataclass.

        Raises:
            UnknownNameError: No such generator (SYN-101).
            UnknownSettingError: No such setting (SYN-102).
            PlanError: A value of the wrong type or out of range (SYN-100).
        """
        if self.generator.name == AUTO:
            if self.generator.params:
                raise PlanError(
                    "generator.params belong to one generator, and generator.name is auto.",
                    hint="name the generator",
                    path="generator.params",
                )
            return None
        return generator_params(self.generator.name, self.generator.params)

    def schema_of(self) -> Schema | None:
        """The schema that the plan spells out; None when it is to be detected.

        Both columns of a place are columns of kind place; the latitudes name their partner.
        """
        if not self.records.columns:
            return FAMILIES.get(self.records.family).schema() if self._by_family else None
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
        lone = [c.name for c in rest if c.unique]
        if lone and shape == "events":
            raise PlanError(
                f"records.columns: {lone[0]} is unique; only a flat table has such numbers.",
                hint=f"kind: identifier for {lone[0]}",
                path=f"records.columns.{lone[0]}.unique",
            )
        return Schema(family=family, shape=shape, columns=rest, key=key, time=time)

    @property
    def _by_family(self) -> bool:
        """Whether the columns are those of the family: no source, and none are named."""
        return bool(self.records.family) and not self.records.columns and self.cold

    def source_names(self) -> dict[str, str]:
        """For each column of the plan (and the key), its name in the source."""
        named = {c.name: c.source or c.name for c in self.records.columns}
        return {self.records.key: self.records.key, **named} if self.records.key else named

    def with_schema(self, schema: Schema, names: Mapping[str, str] | None = None) -> Plan:
        """This plan with a detected schema spelled out.

        Args:
            schema: What was detected.
            names: Column to its name in the source; the same name if left out.
        """
        columns = [schema.key, *schema.columns] if schema.key else [*schema.columns]
        sources = {c: s for c, s in (names or {}).items() if c != s}
        records = self.records.model_copy(
            update={
                "family": schema.family,
                "shape": schema.shape,
                "key": schema.key.name if schema.key else "",
                "time": schema.time,
                "columns": tuple(
                    ColumnPlan(**dataclasses.asdict(c), source=sources.get(c.name, ""))
                    for c in columns
                ),
            }
        )
        return self.model_copy(update={"records": records})

    def fingerprint(self, step: Step = "evaluate") -> str:
        """SHA-256 over the settings that bear on the data made up to and with `step`.

        The name, the run section, partitions, waves and the place of the key file do not.
        """
        sections = ["seed", "source", "records", "ingest"]
        sections += STEPS[1 : STEPS.index(step) + 1]
        if "fit" in sections:
            sections.append("generator")
        dumped = self.model_dump(mode="json", include=set(sections))
        dumped["ingest"].pop("id_key_file")
        for cut in ("partitions", "rows_per_wave"):
            dumped.get("sample", {}).pop(cut, None)
        for later in ("given", "temperature", "top_p"):  # as before the setting was there
            if dumped.get("sample", {}).get(later, "") is None:
                dumped["sample"].pop(later)
        text = json.dumps(dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_yaml(self) -> str:
        """The whole plan, defaults included, so that it means the same in a later release."""
        dumped = self.model_dump(mode="json")
        bare = {"name", "kind", "source_type", "per", "source", "counterpart"}
        dumped["records"]["columns"] = [
            {k: v for k, v in c.items() if v not in ("", None) and (v is not False or k in bare)}
            for c in dumped["records"]["columns"]
        ]
        return yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True, width=100)

    def kept(self) -> str:
        """The plan for a run's folder, without what is said of one call: resumed, quiet."""
        run = self.run.model_copy(update={"resume": "never", "quiet": False})
        return self.model_copy(update={"run": run}).to_yaml()


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
        raise plan_error(error, None, "generator.params") from None


def json_schema() -> dict[str, Any]:
    """The JSON schema of a plan; docs/ref-plan.md is made from it."""
    schema = Plan.model_json_schema()
    tables = {
        "type": "object",
        "additionalProperties": {"type": ["object", "null"]},
        "description": "Several tables by name, each with what differs from the rest of the file.",
    }
    return {**schema, "properties": {**schema["properties"], "tables": tables}}


def _column(plan: ColumnPlan, family: str) -> Column:
    fields = {f.name: f for f in FAMILIES.get(family).fields}
    field = fields.get(plan.name)
    kind = plan.kind or (field.kind if field else None)
    if kind is None:
        raise PlanError(
            f"records.columns: {plan.name} has no kind, and {family} has no field of that name.",
            hint="kind: category, number, time, place, identifier or text",
            path=f"records.columns.{plan.name}",
        )
    if plan.unique and kind != "number":
        raise PlanError(
            f"records.columns: {plan.name} is unique and of kind {kind}.",
            hint="unique is for whole numbers; kind: identifier is different in every row anyway",
            path=f"records.columns.{plan.name}.unique",
        )
    counterpart = bool(field and field.counterpart)
    if plan.counterpart is not None:
        counterpart = plan.counterpart
    plain = {"number": "double", "place": "double", "time": "timestamp_ntz"}.get(kind, "string")
    return Column(
        name=plan.name,
        kind=kind,
        source_type=plan.source_type or (field.spark_type if field else plain),
        per=plan.per or (field.per if field else "event"),
        partner=plan.partner or (field.partner if field else ""),
        counterpart=counterpart,
        time_format=plan.time_format,
        decimal_comma=plan.decimal_comma,
        decimals=plan.decimals,
        unique=plan.unique,
    )
