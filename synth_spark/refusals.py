"""What a command is refused, for a person and for a program: one line, or one JSON object."""

from __future__ import annotations

import errno
import json
import sys

from synth_spark.errors import SynthError


class DiskFullError(SynthError):
    """The disk is full; nothing half-written was left in place."""

    code = "SYN-810"


class NoPermissionError(SynthError):
    """A file or folder may not be read or written."""

    code = "SYN-811"


class NoSuchFileError(SynthError):
    """A file or folder that was named is not there."""

    code = "SYN-812"


class UsageError(SynthError):
    """The command line names an option that is not known, or lacks one, or a value is wrong."""

    code = "SYN-107"


def show(error: SynthError, *, as_json: bool) -> None:
    """One line on standard error, or one JSON object with code, message, hint and facts."""
    if as_json:
        said = {
            "code": error.code,
            "message": str(error.args[0]),
            "hint": error.hint,
            "facts": error.facts,
        }
        sys.stderr.write(json.dumps(said, default=str) + "\n")
    else:
        sys.stderr.write(" ".join(str(error).split()) + "\n")


def of_the_machine(error: OSError) -> SynthError | None:
    """The numbered error for what the machine refused; None: not that kind."""
    path = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"The disk is full: {path or error}.", hint="free space", path=path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NoPermissionError(f"No permission for {path or error}.", path=path)
    if error.errno == errno.ENOENT:
        return NoSuchFileError(f"There is no {path or error}.", path=path)
    return None
