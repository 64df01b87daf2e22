"""Times of a source as local clocks and back: strftime formats, epochs, zones, daylight saving.

Our records hold the source's local clock without a zone. An instant (a time with a zone, or seconds
since 1970) becomes the clock of the plan's zone; in the hour that daylight saving repeats, two
instants get the same clock, and the events of both stand in the order of that clock.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from synth_spark.errors import SynthError

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn

_JAVA = {
    "Y": "yyyy", "y": "yy", "m": "MM", "d": "dd", "H": "HH", "I": "hh", "M": "mm", "S": "ss",
    "f": "SSSSSS", "p": "a", "b": "MMM", "B": "MMMM", "a": "EEE", "A": "EEEE", "j": "DDD",
    "z": "XX", ":z": "xxx", "e": "d",
    "-m": "M", "-d": "d", "-H": "H", "-I": "h", "-M": "m", "-S": "s",
    "T": "HH:mm:ss", "D": "MM/dd/yy", "F": "yyyy-MM-dd", "R": "HH:mm",
}  # fmt: skip


class TimeFormatError(SynthError):
    """A strftime format is missing, or has a directive that Spark cannot read or write."""

    code = "SYN-225"


def java_format(strftime: str) -> str:
    """A strftime format in the letters that Spark takes.

    Raises:
        TimeFormatError: A directive has no counterpart (SYN-225).

    Example:
        >>> java_format("%d/%m/%Y %H:%M")
        'dd/MM/yyyy HH:mm'
    """
    out, at = [], 0
    while at < len(strftime):
        if strftime[at] != "%":
            start = at
            while at < len(strftime) and strftime[at] != "%":
                at += 1
            out.append(_plain(strftime[start:at]))
            continue
        longer = strftime[at + 1 : at + 2] in ("-", ":")
        word = strftime[at + 1 : at + 3] if longer else strftime[at + 1 : at + 2]
        if word == "%":
            out.append("%")
        elif word in _JAVA:
            out.append(_JAVA[word])
        else:
            raise TimeFormatError(
                f"%{word} in the time format {strftime!r} is not known.", format=strftime
            )
        at += 1 + len(word)
    return "".join(out)


def _plain(text: str) -> str:
    """Letters between directives in quotes; signs as they are."""
    if not any(c.isalpha() for c in text):
        return text.replace("'", "''").replace("[", "'['").replace("]", "']'").replace("#", "'#'")
    return "'" + text.replace("'", "''") + "'"


def lenient(java: str) -> str:
    """The same format for reading, in which a leading zero may be missing."""
    return (
        java.replace("dd", "d")
        .replace("HH", "H")
        .replace("hh", "h")
        .replace("MMMM", "\0")
        .replace("MMM", "\1")
        .replace("MM", "M")
        .replace("\0", "MMMM")
        .replace("\1", "MMM")
    )


def to_clock(value: SparkColumn, source_type: str, time_format: str, zone: str) -> SparkColumn:
    """A column of the source as a local clock; None where it cannot be read.

    Args:
        value: The column.
        source_type: Its Spark type in the source.
        time_format: `Column.time_format`.
        zone: Of the clock, for instants.
    """
    from pyspark.sql import functions as sf

    if time_format in ("epoch_s", "epoch_ms"):
        scale = 1e6 if time_format == "epoch_s" else 1e3
        micros = sf.round(value.try_cast("double") * sf.lit(scale)).try_cast("bigint")
        if source_type in ("bigint", "int", "smallint"):
            micros = value.cast("bigint") * sf.lit(int(scale))
        return sf.from_utc_timestamp(sf.timestamp_micros(micros), zone).cast("timestamp_ntz")
    if source_type == "timestamp":
        return sf.from_utc_timestamp(value, zone).cast("timestamp_ntz")
    if source_type in ("date", "timestamp_ntz"):
        return value.try_cast("timestamp_ntz")
    if source_type != "string" and not time_format:
        raise TimeFormatError(
            f"Times held as {source_type} need a format.",
            hint="time_format: epoch_s, epoch_ms, or a strftime format as %Y%m%d",
            source_type=source_type,
        )
    text = sf.trim(value if source_type == "string" else value.cast("bigint").cast("string"))
    if time_format:
        patterns = [java_format(time_format)]
        if _zoned(time_format):  # a zone is read however it is written: +0200, +02:00 or Z
            colons = java_format(time_format.replace("%z", "%:z"))
            patterns = [colons.replace("xxx", "XX"), colons.replace("xxx", "XXX")]
        java = patterns[0]
        if lenient(java) != java and _has_signs(java):
            patterns += [lenient(p) for p in patterns]
        found = sf.coalesce(*[sf.try_to_timestamp(text, sf.lit(p)) for p in patterns])
        return (sf.from_utc_timestamp(found, zone) if _zoned(time_format) else found).cast(
            "timestamp_ntz"
        )
    instant = sf.from_utc_timestamp(text.try_cast("timestamp"), zone).cast("timestamp_ntz")
    return sf.when(text.rlike(r"(Z|[+-][0-9]{2}:?[0-9]{2})$"), instant).otherwise(
        text.try_cast("timestamp_ntz")
    )


def _zoned(time_format: str) -> bool:
    return "%z" in time_format or "%:z" in time_format


def _has_signs(java: str) -> bool:
    """Whether the parts are kept apart by signs, so that their length may vary."""
    letters = [c.isalpha() for c in java]
    return all(
        not (a and b) or java[i] == java[i + 1] for i, (a, b) in enumerate(pairwise(letters))
    )


def from_clock(value: SparkColumn, source_type: str, time_format: str, zone: str) -> SparkColumn:
    """A local clock in the type and format of the source: what `to_clock` read."""
    from pyspark.sql import functions as sf

    if source_type == "timestamp" or time_format in ("epoch_s", "epoch_ms") or _zoned(time_format):
        instant = sf.to_utc_timestamp(value.cast("timestamp"), zone)
        if time_format not in ("epoch_s", "epoch_ms"):
            return sf.date_format(instant, java_format(time_format)) if time_format else instant
        micros = sf.unix_micros(instant)
        scale = 10**6 if time_format == "epoch_s" else 10**3
        if source_type in ("float", "double", "string") or source_type.startswith("decimal"):
            return (micros / sf.lit(float(scale))).cast(source_type)
        return sf.floor(micros / sf.lit(scale)).cast(source_type or "bigint")
    if source_type == "string" or time_format:
        pattern = java_format(time_format) if time_format else "yyyy-MM-dd HH:mm:ss"
        return sf.date_format(value.cast("timestamp"), pattern).cast(source_type)
    return value.cast(source_type or "timestamp_ntz")
