"""The sections of a plan, one typed model each; docs/ref-plan.md is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from synth_spark.core.schema import Kind


class Section(BaseModel):
    """A part of a plan: frozen, and a key that is not a field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Section):
    """Where the records are and how they are written."""

    path: str = Field(
        default="", description="File, folder or table folder; also s3a:// and the like."
    )
    format: Literal["auto", "csv", "jsonl", "parquet", "delta"] = "auto"
    delimiter: str = Field(default=",", min_length=1, max_length=4, description="CSV only.")
    header: bool = Field(default=True, description="CSV only: the first line holds the names.")
    time_zone: str | None = Field(
        default=None,
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
    source: str = Field(default="", description="Name in the source; empty: the same.")
    kind: Kind | None = None
    source_type: str = Field(default="", description="Spark type that the twin is written in.")
    per: Literal["subject", "event"] | None = None
    partner: str = Field(
        default="", description="Place: the longitudes that go with these latitudes."
    )
    counterpart: bool | None = Field(
        default=None, description="Id of somebody else: hashed, made anew."
    )
    time_format: str = Field(
        default="", description="Times held as text: strftime; or epoch_s, epoch_ms."
    )
    decimal_comma: bool = Field(
        default=False, description="Numbers held as text with a decimal comma: 1.234,5."
    )
    decimals: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Numbers held as text: decimals that each is written with, as 19.90; "
        "none: as needed.",
    )
    unique: bool = Field(
        default=False,
        description="Whole numbers of a flat table that no two rows share: ids whose order tells "
        "something. It is learned; the numbers are made anew.",
    )


class Records(Section):
    """What the records are. Without columns they are detected from the source."""

    family: str = Field(
        default="", description="A file of records/; empty: table or events, by shape."
    )
    shape: Literal["auto", "flat", "events"] = "auto"
    key: str = Field(default="", description="Column that names the subject.")
    time: str = Field(default="", description="Column that orders a subject's events.")
    columns: tuple[ColumnPlan, ...] = Field(
        default=(), description="A list, or a mapping from name to the rest."
    )
    drop: tuple[str, ...] = Field(default=(), description="Source columns to leave out.")

    @field_validator("columns", mode="before")
    @classmethod
    def _from_mapping(cls, columns: Any) -> Any:
        if isinstance(columns, Mapping):
            return tuple({"name": n, **(rest or {})} for n, rest in columns.items())
        return tuple(columns) if isinstance(columns, list) else columns

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [c.name for c in self.columns]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"the columns {', '.join(twice)} stand twice")
        marked = [n for n in names if n.startswith(("_", "#"))]
        if marked:
            raise ValueError(
                f"{marked[0]} begins with {marked[0][0]}, as what a run adds does; "
                f"name it {marked[0].strip('_#') or 'column'} and say source: {marked[0]}"
            )
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

    holdout_share: float = Field(
        default=0.1, ge=0, le=0.5, description="Share of the subjects kept aside."
    )
    repeats: Literal["keep", "drop"] = Field(
        default="keep", description="What becomes of exact repeats."
    )
    max_events_per_subject: int = Field(
        default=100_000, ge=1, description="More are cut and counted."
    )
    id_key_file: str | None = Field(
        default=None,
        description="File with the key of the id hashes. SYNTH_SPARK_ID_KEY or "
        "SYNTH_SPARK_ID_KEY_FILE win; without any a key is made in the run folder (mode 0600).",
    )
    quarantine_limit_share: float = Field(
        default=0.5, ge=0, le=1, description="Refuse when a larger share of the rows is bad."
    )


class Generator(Section):
    """Which generator learns, and its settings."""

    name: str = Field(
        default="auto", description="A file of generators/; auto: chosen by shape and size."
    )
    params: dict[str, Any] = Field(default={}, description="Settings of the generator: its Params.")


class Fit(Section):
    """How a model is trained."""

    ranks: int = Field(default=1, ge=1, description="Training processes.")
    collective: Literal["auto", "horovod", "torch", "single"] = "auto"
    max_epochs: int | None = Field(default=None, ge=1, description="None: the generator's own.")
    max_minutes: float | None = Field(default=None, gt=0, description="None: the generator's own.")
    threads: int = Field(default=1, ge=1, description="Torch threads of a rank.")
    restarts: int = Field(default=2, ge=0, description="Fresh tries after a lost rank.")


def _listed(value: Any) -> Any:
    """One text as a list of it: a condition may be written without brackets."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class Quota(Section):
    """Subjects that hold a condition: a share of all, or so many."""

    where: tuple[str, ...] = Field(min_length=1, description="As sample.where, for these subjects.")
    share: float | None = Field(default=None, ge=0, le=1)
    subjects: int | None = Field(default=None, ge=0)

    _one_text = field_validator("where", mode="before")(_listed)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.share is None) == (self.subjects is None):
            raise ValueError("a quota needs either a share or a number of subjects")
        return self


class Sample(Section):
    """How many subjects are drawn, under which conditions, and where the twin goes."""

    subjects: int | None = Field(
        default=None,
        ge=1,
        description="None: as many as in the training part, or as sample.given has rows.",
    )
    where: tuple[str, ...] = Field(
        default=(),
        description="What every subject holds: column=label, column=a|b, column=low..high, "
        "column= (missing); of events also hour=18..20 and weekday=sat|sun; a list, or one text.",
    )
    quotas: tuple[Quota, ...] = Field(
        default=(), description="Parts of the subjects that hold more; the rest is free."
    )
    given: str | None = Field(
        default=None,
        description="Path of a table with columns of the records: one subject is drawn for each "
        "row and holds its values; a missing cell is drawn.",
    )
    temperature: float | None = Field(
        default=None,
        ge=0.1,
        le=10,
        description="Of drawing (transformer): below 1 what is likely comes more often than it "
        "did. None: as fitted.",
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the mass, likeliest first, that is drawn from (transformer). "
        "None: as fitted.",
    )
    rows_per_wave: int = Field(default=5_000_000, ge=1, description="Rows of one commit, about.")
    partitions: int | None = Field(
        default=None, ge=1, description="Spark tasks a wave; no effect on rows."
    )
    out: str | None = Field(
        default=None, description="Path of the twin; None: only in the run folder."
    )

    _one_text = field_validator("where", mode="before")(_listed)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.given is not None and self.quotas:
            raise ValueError("quotas and given exclude each other: let the table repeat its rows")
        return self


class Gate(Section):
    """A limit on one score; a run that misses it ends with exit code 3."""

    metric: str
    item: str = "all"
    at_least: float | None = None
    at_most: float | None = None
    against: Literal["value", "floor"] = Field(
        default="value",
        description="floor: the limit holds for value - (what the real holdout reaches).",
    )

    @model_validator(mode="after")
    def _has_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a gate needs at_least or at_most")
        return self


class Evaluate(Section):
    """What the twin is measured by."""

    enabled: bool = True
    baseline: str = Field(
        default="independent", description="Generator whose scores stand beside ours."
    )
    gates: tuple[Gate, ...] = ()


class Run(Section):
    """Where and how the run takes place. Nothing here changes a row."""

    folder: str = Field(default="", description="Run folder; empty: runs/NAME.")
    resume: Literal["never", "always", "if-possible"] = "never"
    quiet: bool = False
    master: str | None = Field(
        default=None, description="Spark master; None: as spark-submit or local."
    )
    conf: dict[str, str] = Field(default={}, description="Spark settings.")

    @field_validator("conf", mode="before")
    @classmethod
    def _as_text(cls, conf: Any) -> Any:
        if not isinstance(conf, Mapping):
            return conf
        lower = {True: "true", False: "false"}
        return {k: lower.get(v, v) if isinstance(v, bool) else str(v) for k, v in conf.items()}
