"""What Spark throws, as one numbered sentence: disks, rights, protocols, workers, the JVM itself.

Spark hands on the text of an error only, from a worker through the JVM to the driver, with a trace
of some hundred lines. The cause is looked for in that text; the whole of it is kept in a file.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from synth_spark.errors import SynthError

TRACE = "failure.txt"  # in the run folder: the whole trace of what stopped the run
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
_NEWER = ("DELTA_INVALID_PROTOCOL_VERSION", "DELTA_UNSUPPORTED_FEATURES", "InvalidProtocolVersion")
_NO_WRITE = (
    "Permission denied",
    "Mkdirs failed",
    "Not a directory",
    "ParentNotDirectory",
    "Read-only file system",
    "NotDirectoryException",
    "Failed to create directory",
    "AccessDenied",
)
_NO_MEMORY = ("OutOfMemoryError", "Java heap space", "GC overhead limit", "exit code: 137")
_GONE = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError")
_PYTHON = re.compile(r"Traceback \(most recent call last\):\n((?:[ \t].*\n|\n)+)([A-Za-z_][^\n]*)")
_PLACE = re.compile(r'File "(?:[^"]*/)?([^"/]+)", line (\d+), in (\S+)')


class NoWriteError(SynthError):
    """A folder cannot be written to."""

    code = "SYN-211"


class DiskFullError(SynthError):
    """The disk is full; nothing was committed."""

    code = "SYN-212"


class NewerProtocolError(SynthError):
    """A Delta table needs a newer reader or writer than this one."""

    code = "SYN-213"


class TaskFailedError(SynthError):
    """Python code failed on a worker, with an error that is not one of ours."""

    code = "SYN-216"


class SparkFailedError(SynthError):
    """Spark stopped with an error that none of the other numbers names."""

    code = "SYN-217"


def newer(path: str, version: int | None = None) -> NewerProtocolError:
    """The error for a Delta table that asks for another reader."""
    return NewerProtocolError(
        f"The Delta table {path} was written by a newer Delta than this one.",
        hint="copy it as Parquet with the tool that wrote it, or drop the table feature there",
        path=path,
        reader_version=version,
    )


@contextmanager
def clear_errors(path: str | Path) -> Iterator[None]:
    """Turn Spark's errors about disks, rights and protocols into ours; others pass."""
    try:
        yield
    except SynthError:
        raise
    except Exception as error:
        raised = _clear(_whole(error), str(path))
        if raised is None:
            raise
        raise raised from error


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn whatever comes from Spark into one of our errors; the trace goes to `folder/TRACE`.

    Errors of this process that do not come from Spark pass: they are bugs and keep their trace.
    """
    try:
        yield
    except SynthError:
        raise
    except Exception as error:
        text = _whole(error)
        raised = _clear(text, str(folder)) or _named(error, text, str(folder / TRACE))
        if raised is None:
            raise
        trace = "".join(traceback.format_exception(error))
        with suppress(OSError):  # a full disk must not hide what happened
            (folder / TRACE).write_text(f"{trace}\n{text}\n", encoding="utf-8")
        raise raised from error


def _whole(error: BaseException) -> str:
    """The texts of an error, its causes and the Java trace where there is one."""
    parts, seen = [], 0
    cause: BaseException | None = error
    while cause is not None and seen < 8:
        parts.append(str(cause))
        trace = getattr(cause, "_stackTrace", None) or getattr(cause, "getStackTrace", None)
        with suppress(Exception):  # the JVM that knows the trace may be gone
            parts.append(str(trace() if callable(trace) else trace or ""))
        cause, seen = cause.__cause__ or cause.__context__, seen + 1
    return "\n".join(parts)


def _clear(text: str, path: str) -> SynthError | None:
    """The error for a disk, a right, a protocol, or one of ours that a worker raised."""
    ours = _from_worker(text)
    if ours is not None:
        return ours
    if any(word in text for word in _NO_SPACE):
        return DiskFullError(
            f"The disk of {path} (or Spark's scratch disk) is full; nothing of this step was "
            "committed.",
            hint="free some space and run again with --resume if-possible",
            path=path,
        )
    if any(word in text for word in _NEWER):
        return newer(path)
    if any(word in text for word in _NO_WRITE):
        return NoWriteError(
            f"{path} cannot be written to.",
            hint="another folder, or rights for this user",
            path=path,
        )
    return None


def _from_worker(text: str) -> SynthError | None:
    """One of our own errors that a worker raised."""
    found = re.search(r"synth_spark[\w.]*\.(\w+): \[(SYN-\d{3})\] (.*)", text)
    if found is None:
        return None
    kinds, todo = {}, [SynthError]
    while todo:
        kind = todo.pop()
        kinds[kind.__name__, kind.code] = kind
        todo += kind.__subclasses__()
    kind = kinds.get((found.group(1), found.group(2)))
    message, _, hint = found.group(3).partition(" Try: ")
    return kind(message, hint=hint) if kind else None


def _named(error: Exception, text: str, trace: str) -> SynthError | None:
    """The error for anything else that comes from Spark; None for what does not."""
    lost = type(error).__name__ in _GONE
    if not lost and type(error).__module__.partition(".")[0] not in ("pyspark", "py4j", "grpc"):
        return None
    if any(word in text for word in _NO_MEMORY):
        return SparkFailedError(
            "Spark ran out of memory.",
            hint='--run.conf \'{"spark.driver.memory": "8g"}\' (on a cluster '
            f"spark.executor.memory), or more partitions; the trace is in {trace}",
            trace=trace,
        )
    python = _PYTHON.findall(text)
    if python:
        body, last = python[-1]
        places = _PLACE.findall(body)
        where = "{} line {}, in {}".format(*places[-1]) if places else "a worker"
        return TaskFailedError(
            f"Python failed on a worker: {last.strip()[:300]} ({where}).",
            hint=f"the whole trace is in {trace}",
            trace=trace,
        )
    if lost or "Answer from Java side is empty" in text:
        return SparkFailedError(
            "Spark's Java process has ended, or cannot be reached.",
            hint="was it killed, or out of memory? then go on with --resume if-possible",
        )
    causes = re.findall(r"Caused by: ([^\n]+)", text)
    lines = [line.strip(": ") for line in text.splitlines() if line.strip(": ")]
    said = causes[-1] if causes else next(iter(lines), type(error).__name__)
    return SparkFailedError(
        f"Spark failed: {said[:300]}.", hint=f"the whole trace is in {trace}", trace=trace
    )
