"""What the verbs of several modules share: an option, a check, the end."""

from __future__ import annotations

from typing import Annotated

import typer

from synth_spark.core.paths import local_path
from synth_spark.refusals import NoSuchFileError

Drop = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Column to leave out; may be repeated.")
]


def must_be_there(place: str) -> None:
    """Refuse a path on this machine at which there is nothing (SYN-812)."""
    local = local_path(place)
    if local is not None and not local.exists():
        raise NoSuchFileError(f"There is no {place}.", path=place)


def end(code: int) -> None:
    """End the command with this exit code."""
    raise typer.Exit(code)
