"""Names of places: a path on this machine, or an address that only Spark reaches.

An address has a scheme (`s3a://bucket/table`) and stays a text: `pathlib` would drop one of its
slashes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath


def local_path(place: str | Path) -> Path | None:
    """The path on this machine; None for an address elsewhere.

    Example:
        >>> local_path("file:///data/calls.csv"), local_path("s3a://bucket/calls")
        (PosixPath('/data/calls.csv'), None)
    """
    text = str(place)
    if text.startswith("file:"):
        rest = text.removeprefix("file:")
        if rest.startswith("//"):  # file://host/path; the host is this one
            rest = "/" + rest[2:].partition("/")[2]
        return Path(rest)
    return None if "://" in text else Path(text)


def plain(place: str | Path) -> str:
    """A place as one text: without `file:` where it is on this machine, else as it was said."""
    text = str(place)
    return str(local_path(text)) if text.startswith("file:") else text


def address(place: str | Path) -> str:
    """A place as Spark is told it: on this machine with `file:`, whatever Spark's own default is.

    Example:
        >>> address("/data/calls"), address("hdfs://lake/calls")
        ('file:/data/calls', 'hdfs://lake/calls')
    """
    local = local_path(place)
    return str(place) if local is None else f"file:{local.absolute()}"


def exact(place: str | Path) -> str:
    """A place as Spark's file reader is told it: signs in a name of this machine are no pattern."""
    if local_path(place) is None:
        return str(place)
    return "".join(f"\\{c}" if c in "\\*?[]{}" else c for c in address(place))


def stem(place: str | Path) -> str:
    """The last name of a place without its ending."""
    return PurePosixPath(plain(place).rstrip("/").rpartition("://")[2]).stem
