"""A source's columns in our types, with what does not fit kept aside, and each row's hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from synth_spark.core.schema import Column, Schema
from synth_spark.records._profile import BLANKS, COMMA_NUMBER, THOUSANDS
from synth_spark.spark import histories, times
from synth_spark.spark.arrow import quoted
from synth_spark.spark.checks import all_columns
from synth_spark.spark.csv_text import CORRUPT
from synth_spark.spark.source import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame


def typed(
    source: Source, schema: Schema, named: Mapping[str, str], *, seed: int, zone: str
) -> DataFrame:
    """Typed columns, the raw text where a value does not fit, hashes, and the row's place."""
    from pyspark.sql import functions as sf

    columns, cast, raw = all_columns(schema), [], []
    for i, column in enumerate(columns):
        value, fits = as_kind(
            sf.col(quoted(named[column.name])),
            column,
            source.types[named[column.name]],
            zone,
        )
        if column.kind == "identifier" and column is not schema.key and not column.counterpart:
            value = sf.when(~_blank(value, text=True), value)
        cast.append(value.alias(column.name))
        if fits is not None:
            raw.append(
                sf.when(~fits, sf.col(quoted(named[column.name])).cast("string")).alias(f"_raw{i}")
            )
    texts = source.format in ("csv", "jsonl") and CORRUPT in source.frame.columns
    line = [sf.col(CORRUPT).alias("_line")] if texts else []
    place = sf.monotonically_increasing_id().alias("_row")
    frame = source.frame.select(place, *cast, *raw, *line)
    content = [sf.col(quoted(c.name)) for c in schema.columns if c.kind != "identifier"]
    whole = [sf.col(quoted(c.name)) for c in columns]
    drawn = (
        sf.xxhash64(sf.lit(seed), quoted(schema.key.name))
        if schema.key
        else sf.lit(0).cast("bigint")
    )
    return frame.select(
        "*",
        histories.content_hash(seed, content).alias("_hash"),
        histories.content_hash(seed, whole).alias("_same"),
        drawn.alias("_draw"),
    )


def as_kind(
    value: SparkColumn, column: Column, source_type: str, zone: str
) -> tuple[SparkColumn, SparkColumn | None]:
    """A source column in our type, and whether each value fits it (None: every value does)."""
    from pyspark.sql import functions as sf

    text = source_type == "string"
    if column.kind in ("number", "place"):
        missing, good = _blank(value, text), sf.lit(True)
        if text and not column.decimal_comma:
            thousands = sf.trim(value).rlike(f"^(?:{THOUSANDS.pattern})$")
            value = sf.when(thousands, sf.replace(value, sf.lit(","), sf.lit(""))).otherwise(value)
        if column.decimal_comma and text:
            good = sf.trim(value).rlike(f"^(?:{COMMA_NUMBER.pattern})$")  # 12.75 is not 1275
            value = sf.replace(sf.replace(value, sf.lit("."), sf.lit("")), sf.lit(","), sf.lit("."))
        number = (
            value.cast("int").cast("double")
            if source_type == "boolean"
            else value.try_cast("double")
        )
        number = sf.when(good & ~missing & ~sf.isnan(number), number)
        return number, (missing | (good & value.try_cast("double").isNotNull()) if text else None)
    if column.kind == "time":
        missing = _blank(value, text)
        clock = times.to_clock(value, source_type, column.time_format, zone)
        return sf.when(~missing, clock), missing | clock.isNotNull()
    if source_type in ("float", "double") or source_type.startswith("decimal"):
        whole = (value == sf.floor(value)) & (sf.abs(value) < sf.lit(1e15))
        text = sf.when(whole, value.cast("bigint").cast("string")).otherwise(value.cast("string"))
        return sf.when(~sf.isnan(value.cast("double")), text), None
    return value.cast("string"), None


def _blank(value: SparkColumn, text: bool) -> SparkColumn:
    """Whether a value is missing, as null or as a text that means so."""
    from pyspark.sql import functions as sf

    said = sf.lower(sf.trim(value)).isin(*sorted(BLANKS)) if text else sf.lit(False)
    return value.isNull() | said
