"""What a table of records is: its shape, its key, its time and the kind of each column."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Kind = Literal["category", "number", "time", "place", "identifier", "text"]
Shape = Literal["flat", "events"]
WHOLE_TYPES = {"tinyint": 2**7, "smallint": 2**15, "int": 2**31, "bigint": 2**63}  # first too large
EXACT = 2**53  # whole numbers beyond it do not fit a float64 to the last digit


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of records. `source_type` is the Spark DDL type that the twin is written in."""

    name: str
    kind: Kind
    source_type: str = (
        "string"  # bigint, int, double, decimal(10,2), boolean, date, timestamp_ntz, ...
    )
    per: Literal["subject", "event"] = "event"  # subject: the same in every row of a subject
    partner: str = ""  # place: the column of longitudes that goes with this column of latitudes
    counterpart: bool = (
        False  # identifier of another subject: hashed at ingest, regenerated in the twin
    )
    time_format: str = (
        ""  # a time that the source holds as text (strftime) or "epoch_s", "epoch_ms"
    )
    decimal_comma: bool = False  # a number that the source holds as text such as 1.234,5
    decimals: int | None = None  # behind the point of each text that is a number; None: as needed
    unique: bool = False  # a whole number of a flat table that no two rows share: an id with order


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A table of records. `columns` are in the source's order and leave out the key.

    In a flat table every row is a subject of its own. In a table of events the rows of one
    subject share the key and are ordered by the column `time`, which is one of `columns`.
    """

    family: str
    shape: Shape
    columns: tuple[Column, ...]
    key: Column | None = None
    time: str = ""
    sites: tuple[tuple[str, ...], ...] = ()  # labels that a place follows from: label, its columns

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def of_kind(self, *kinds: Kind) -> tuple[Column, ...]:
        """The columns of the named kinds, in order."""
        return tuple(c for c in self.columns if c.kind in kinds)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The schema that `to_json` wrote."""
        key = Column(**data["key"]) if data["key"] else None
        columns = tuple(Column(**c) for c in data["columns"])
        sites = tuple(map(tuple, data.get("sites", ())))
        return cls(**{**data, "key": key, "columns": columns, "sites": sites})
