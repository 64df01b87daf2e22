"""Types of columns: the Spark type of an Arrow one, and which types can be learned."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

USABLE = frozenset(
    [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal",
        "string",
        "char",
        "varchar",
        "date",
        "timestamp",
        "timestamp_ntz",
    ]
)
NESTED = frozenset({"struct", "array", "map", "variant"})


def unusable(types: Mapping[str, str], drop: Collection[str]) -> dict[str, str]:
    """Columns that cannot be learned or are left out, each with the reason."""
    found = dict.fromkeys(drop, "left out by the plan")
    for name, spark_type in types.items():
        base = spark_type.partition("<")[0].partition(" ")[0].partition("(")[0]
        if base not in USABLE:
            word = "nested columns" if base in NESTED else f"columns of type {base}"
            found[name] = f"{word} cannot be learned"
    return found


def arrow_types(sample: pa.Table) -> dict[str, pa.DataType]:
    """By column."""
    return {f.name: f.type for f in sample.schema}


def spark_type_of(kind: pa.DataType) -> str:
    """The Spark DDL type that a Parquet column of this Arrow type is read as."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return spark_type_of(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    tests = {
        "boolean": pa.types.is_boolean,
        "string": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "date": pa.types.is_date,
        "tinyint": pa.types.is_int8,
        "smallint": lambda t: pa.types.is_int16(t) or pa.types.is_uint8(t),
        "int": lambda t: pa.types.is_int32(t) or pa.types.is_uint16(t),
        "bigint": lambda t: pa.types.is_int64(t) or pa.types.is_uint32(t),
        "decimal(20,0)": pa.types.is_uint64,
        "float": lambda t: pa.types.is_float32(t) or pa.types.is_float16(t),
        "double": pa.types.is_float64,
        "void": pa.types.is_null,
        "interval day to second": pa.types.is_duration,
        "binary": lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t),
        "map": pa.types.is_map,
        "array": lambda t: pa.types.is_list(t) or pa.types.is_large_list(t),
        "struct": pa.types.is_struct,
    }
    return next((name for name, test in tests.items() if test(kind)), str(kind))
