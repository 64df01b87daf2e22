"""A first guess of what a table is: shape, key, time and the kind of each column, and why.

Pure: it looks at column names, types and a bounded sample. A wrong guess is put right in the plan
that `synth-spark detect` writes; nothing is learned from data that the guess leaves out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from synth_spark.core.schema import Column, Schema
from synth_spark.errors import EmptyTableError, SynthError
from synth_spark.records import _names
from synth_spark.records._kinds import column_of
from synth_spark.records._ordered import count_up, runs_with
from synth_spark.records._profile import Profile, profile
from synth_spark.records._roles import constant_within, find_key, find_time, flat_key
from synth_spark.records._usable import arrow_types, spark_type_of, unusable

if TYPE_CHECKING:
    import pyarrow as pa

MARKS = ("_", "#")  # how the names of columns begin that a run adds


class MissingColumnError(SynthError):
    """A column that was named is not in the table."""

    code = "SYN-203"


class NoColumnsError(SynthError):
    """No column of the table can be learned."""

    code = "SYN-204"


class NoOrderError(SynthError):
    """The subjects have several rows and no column of times orders them."""

    code = "SYN-205"


class NoKeyError(SynthError):
    """A column of times was named and no column says whose events they are."""

    code = "SYN-206"


@dataclass(frozen=True, slots=True)
class Detection:
    """A schema, and a sentence for each column on what it was taken for and why."""

    schema: Schema
    why: dict[str, str]  # column (and key) -> sentence
    dropped: dict[str, str]  # column -> reason
    notes: tuple[str, ...]  # about the table as a whole
    sample_rows: int

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": self.schema.to_json(),
            "why": self.why,
            "dropped": self.dropped,
            "notes": list(self.notes),
            "sample_rows": self.sample_rows,
        }


def apart_from_marks(schema: Schema) -> tuple[Schema, dict[str, str]]:
    """The schema without names that begin with `_` or `#`, as those of what a run adds do.

    Returns:
        The schema, and for each column (and the key) its name in the source.
    """
    columns = [*([schema.key] if schema.key else []), *schema.columns]
    taken = {c.name.lower() for c in columns}
    new = {c.name: c.name for c in columns}
    for name in [n for n in new if n.startswith(MARKS)]:
        wanted = "column_" + name.lstrip("".join(MARKS))
        while wanted.lower() in taken:
            wanted = "column_" + wanted
        taken.add(wanted.lower())
        new[name] = wanted

    def named(column: Column) -> Column:
        return replace(column, name=new[column.name], partner=new.get(column.partner, ""))

    changed = replace(
        schema,
        columns=tuple(named(c) for c in schema.columns),
        key=named(schema.key) if schema.key else None,
        time=new.get(schema.time, ""),
    )
    return changed, {n: s for s, n in new.items()}


@dataclass(frozen=True, slots=True)
class Counts:
    """Exact (or good) counts over the whole source, where somebody has them."""

    rows: int
    distinct: Mapping[str, int] = field(default_factory=dict)


def detect(
    sample: pa.Table,
    *,
    types: Mapping[str, str] | None = None,
    key: str = "",
    time: str = "",
    drop: Collection[str] = (),
    counts: Counts | None = None,
) -> Detection:
    """Guess the schema of a table from a sample of its rows.

    Args:
        sample: Up to about 50,000 rows; whole subjects where they are known.
        types: Spark DDL types by column; None: taken from the sample's Arrow types.
        key: The column that names the subject, where the caller knows it.
        time: The column that orders the events, where the caller knows it.
        drop: Columns to leave out.
        counts: Counts over the whole source.

    Raises:
        EmptyTableError: The sample has no rows (SYN-201).
        MissingColumnError: `key`, `time` or one of `drop` is not there (SYN-203).
        NoColumnsError: Nothing is left to learn (SYN-204).
        NoOrderError: `key` repeats and there is no time (SYN-205).
        NoKeyError: `time` was given and no key is given or found (SYN-206).
    """
    _demand_columns(sample, [n for n in (key, time, *drop) if n])
    if not sample.num_rows:
        raise EmptyTableError("The table has no rows.", columns=tuple(sample.column_names))
    types = dict(types or {n: spark_type_of(t) for n, t in arrow_types(sample).items()})
    dropped = unusable(types, drop)
    _refuse_unusable(dropped, key=key, time=time)
    whole = counts.distinct if counts else {}
    profiles = {
        n: profile(
            n,
            sample.column(n),
            types[n],
            distinct=whole.get(n),
            rows=counts.rows if counts else None,
        )
        for n in sample.column_names
        if n not in dropped
    }
    if not profiles:
        raise NoColumnsError("No column can be learned.", dropped=dropped)
    return _judge(profiles, dropped, key, time)


def _judge(profiles: dict[str, Profile], dropped: dict[str, str], key: str, time: str) -> Detection:
    """The detection once every column is measured."""
    notes: list[str] = []
    why: dict[str, str] = {}
    key, time = _shape(profiles, key, time, notes)
    events = bool(time)
    ordered = {} if events else runs_with(profiles, named=key)
    rising = count_up(profiles, key, time) if events else frozenset()
    key = key or flat_key({n: p for n, p in profiles.items() if n not in ordered})
    per_subject = constant_within(profiles, key, time) if events else frozenset()
    pairs = _names.place_pairs([n for n in profiles if n not in (key, time)])
    columns: list[Column] = []
    key_column = None
    for name, measured in profiles.items():
        if name == key:
            repeats = "repeats: it names the subject" if events else "differs in every row"
            why[name] = f"key: {repeats}; replaced by a keyed hash, made anew in the twin"
            key_column = Column(
                name=name, kind="identifier", source_type=measured.spark_type, per="subject"
            )
            continue
        if name in ordered:
            why[name] = f"an id that runs with {ordered[name]}: its order is learned, made anew"
            columns.append(
                Column(name=name, kind="number", source_type=measured.spark_type, unique=True)
            )
            continue
        if name in rising:
            why[name] = f"identifier: ids that rise with time within each {key}; made anew"
            columns.append(Column(name=name, kind="identifier", source_type=measured.spark_type))
            continue
        column, reason = column_of(measured, profiles, pairs, key=key, events=events, time=time)
        if name in per_subject:
            column = replace(column, per="subject")
            reason += "; the same in all rows of a subject"
        columns.append(column)
        why[name] = reason
    if not columns:
        raise NoColumnsError("Beside the key there is no column to learn.", key=key)
    schema = Schema(
        family="events" if events else "table",
        shape="events" if events else "flat",
        columns=tuple(columns),
        key=key_column,
        time=time,
    )
    rows = next(iter(profiles.values())).rows
    return Detection(schema, why, dropped, tuple(notes), rows)


def _shape(profiles: dict[str, Profile], key: str, time: str, notes: list[str]) -> tuple[str, str]:
    """(key, time) of events; ("" or a key, "") of a flat table."""
    if key and not time:
        if profiles[key].unique:
            notes.append(f"Flat: {key} was named as the key and differs in every row.")
            return key, ""
        time = find_time(profiles, key)
        if not time:
            raise NoOrderError(
                f"{key} has several rows a subject and no column of times was found.",
                hint="--time COLUMN, or no --key for a flat table",
                key=key,
            )
        notes.append(f"Events: {key} was named as the key, {time} looks like their time.")
    elif time and not key:
        key = find_key(profiles, time)
        if not key:
            raise NoKeyError(
                f"{time} was named as the time and no column looks like the events' subject.",
                hint="--key COLUMN",
                time=time,
            )
        notes.append(f"Events: {time} was named as the time, {key} looks like their subject.")
    elif key and time:
        notes.append(f"Events: key {key} and time {time} were named.")
    else:
        time = find_time(profiles, "")
        key = find_key(profiles, time) if time else ""
        if not key:
            notes.append("Flat: no column names a subject with several rows and times.")
            return "", ""
        notes.append(f"Events: {key} repeats and looks like a subject, {time} orders its rows.")
    return key, time


def _demand_columns(sample: pa.Table, named: list[str]) -> None:
    for name in named:
        if name not in sample.column_names:
            raise missing_column(name, sample.column_names)


def missing_column(name: str, there: Collection[str]) -> MissingColumnError:
    """The error for a column that is not there, with the nearest one that is."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), [t.lower() for t in there], n=1)
    named = [t for t in there if near and t.lower() == near[0]]
    return MissingColumnError(
        f"There is no column {name!r}.",
        hint=f"did you mean {named[0]!r}?" if named else f"one of {', '.join(there)}",
        column=name,
        columns=tuple(there),
    )


def _refuse_unusable(dropped: Mapping[str, str], *, key: str, time: str) -> None:
    for role, name in (("key", key), ("time", time)):
        if name in dropped:
            raise NoColumnsError(
                f"The {role} column {name} cannot be used: {dropped[name]}.", column=name
            )
