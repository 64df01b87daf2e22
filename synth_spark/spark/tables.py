"""Delta tables: made with their first rows, appended to once a wave, read with a clear error.

A write is atomic: rows of a write that failed are in files that no commit names. Every table of a
run says in its properties which run, plan, model and seed it came from.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.core.paths import address, local_path
from synth_spark.errors import SynthError
from synth_spark.spark.arrow import quoted
from synth_spark.spark.delta_log import FIRST, LOG, PREFIX, commits, exists, reader_version
from synth_spark.spark.failures import (
    DiskFullError,
    NewerProtocolError,
    NoWriteError,
    clear_errors,
    newer,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

READER_VERSION = 3  # the newest protocol that this Delta reads
__all__ = [
    "FIRST",
    "DiskFullError",
    "NewerProtocolError",
    "NoWriteError",
    "clear_errors",
    "commits",
    "exists",
]
_ODD = set(" ,;{}()\n\t=")  # characters that Delta takes in names only with column mapping


class NoTableError(SynthError):
    """There is no Delta table at a path."""

    code = "SYN-214"


class TableTakenError(SynthError):
    """A table or file is there already and belongs to something else."""

    code = "SYN-215"


def literal(text: str) -> str:
    """A text in single quotes for SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def at(path: str | Path) -> str:
    """The name of a Delta table by its path, for SQL, which takes no relative paths."""
    return "delta.`" + address(path).replace("`", "``") + "`"


def there(spark: SparkSession, path: str) -> bool:
    """Whether an address that only Spark reaches holds a Delta table."""
    try:
        spark.read.format("delta").load(path)
    except Exception as error:
        missing = ("PATH_NOT_FOUND", "PATH_DOES_NOT_EXIST", "DELTA_MISSING_DELTA_TABLE")
        if any(word in str(error) for word in (*missing, "DELTA_TABLE_NOT_FOUND")):
            return False
        raise
    return True


def check_writable(folder: str | Path) -> None:
    """Make a folder and try it with a small file, before any work is done for it.

    Raises:
        NoWriteError: It cannot be made or written to (SYN-211).
        DiskFullError: The disk is full (SYN-212).
    """
    probe = Path(folder) / ".probe"
    with clear_errors(folder):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"\0" * 4096)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise NoWriteError(
                    f"{folder} is a file, not a folder.", path=str(folder)
                ) from error
            raise
        finally:
            if probe.is_file():
                probe.unlink()


def read(spark: SparkSession, path: str | Path) -> DataFrame:
    """The rows of a Delta table.

    Raises:
        NoTableError: There is none (SYN-214).
        NewerProtocolError: It needs a newer reader (SYN-213).
    """
    local = local_path(path)
    if local is not None:
        if not exists(local):
            raise NoTableError(f"There is no Delta table at {path}.", path=str(path))
        needed = reader_version(local)
        if needed > READER_VERSION:
            raise newer(str(path), needed)
    with clear_errors(path):
        return spark.read.format("delta").load(address(path))


def write(frame: DataFrame, path: str | Path) -> None:
    """Write a frame as a new Delta table in one commit, or as the next version of one of ours.

    Raises:
        NoWriteError: The folder cannot be written to (SYN-211).
        DiskFullError: The disk is full; the former version, if any, still holds (SYN-212).
    """
    writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    with clear_errors(path):
        writer.options(**_mapping(frame.columns)).save(address(path))


def _mapping(names: list[str]) -> dict[str, str]:
    """Column mapping for names that Parquet under Delta does not take; it raises the protocol."""
    if any(set(name) & _ODD for name in names):
        return {
            "delta.columnMapping.mode": "name",
            "delta.minReaderVersion": "2",
            "delta.minWriterVersion": "5",
        }
    return {}


def create(
    frame: DataFrame,
    path: str | Path,
    properties: Mapping[str, object],
    facts: Mapping[str, Any],
    skipped_by: Sequence[str] = (),
) -> None:
    """Write a frame as a new table with its properties, all in one commit.

    An empty table first and an append then would cost a second more: an append to a table has
    its log read by two Spark jobs. Killed before the commit, it leaves files that no log names and
    a mark beside the folder, by which the next call knows them and clears them away.

    Args:
        frame: The first rows.
        path: Of the table.
        properties: Our own.
        facts: Of this first commit; read back by `commits`.
        skipped_by: Columns whose least and greatest value each file states, so that a filter skips
            files; none named: all of the first 32 (what Delta does), which is 40 % of a write.

    Raises:
        NoWriteError, DiskFullError: Of the folder (SYN-211, SYN-212).
        TableTakenError: The folder holds something else, or another process is at it (SYN-215).
    """
    stated = {**_mapping(frame.columns), **{PREFIX + k: v for k, v in properties.items()}}
    stated[PREFIX + FIRST] = json.dumps(dict(facts))
    if skipped_by:
        stated["delta.dataSkippingStatsColumns"] = ",".join(quoted(n) for n in skipped_by)
    writer = frame.writeTo(at(path)).using("delta")
    for key, value in stated.items():
        writer = writer.tableProperty(key, str(value))
    with clear_errors(path), _begun(Path(path)):
        writer.create()


@contextmanager
def _begun(path: Path) -> Iterator[None]:
    """Keep a mark beside a table while it is made; first clear away what a killed run left.

    The mark is locked for as long, and names the folder that we made by its inode: files of
    another folder are not ours, whatever they are called.
    """
    taken = TableTakenError(
        f"{path} is there already, or is being made by another process.",
        hint="another path, or remove it",
        path=str(path),
    )
    check_writable(path.parent)
    mark = path.with_name(f".{path.name}.begun")
    with mark.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            raise taken from None
        except OSError:  # a file system without locks
            alone = False
        held.seek(0)
        ours = alone and path.is_dir() and held.read() == _inode(path)
        if exists(path) or (path.exists() and not (ours and _leavings(path)) and not _empty(path)):
            raise taken
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        held.truncate(0)
        held.write(_inode(path))
        held.flush()
        yield
        mark.unlink()


def _inode(path: Path) -> str:
    return f"{path.stat().st_dev} {path.stat().st_ino}"


def _empty(path: Path) -> bool:
    """Whether a folder holds nothing but a log without entries."""
    inside = path.rglob("*") if path.is_dir() else [path]
    return all(f.is_dir() and f.relative_to(path).parts[0] == LOG for f in inside)


def _leavings(path: Path) -> bool:
    """Whether all files below a folder are data and log files of Spark."""
    files = (f.relative_to(path) for f in path.rglob("*") if not f.is_dir())
    return all(f.parts[0] == LOG or f.name.startswith(("part-", ".part-")) for f in files)


def properties(spark: SparkSession, path: str | Path) -> dict[str, str]:
    """Our properties of a table: run, plan hash, model hash, seed."""
    with clear_errors(path):
        rows = spark.sql(f"SHOW TBLPROPERTIES {at(path)}").collect()
    return {r["key"][len(PREFIX) :]: r["value"] for r in rows if r["key"].startswith(PREFIX)}


def append_once(
    frame: DataFrame, path: str | Path, *, app: str, version: int, facts: Mapping[str, Any]
) -> None:
    """Append a frame in one commit; the same `app` and `version` again writes nothing.

    Args:
        frame: Rows in the table's columns and types.
        path: Of a table that is there.
        app: Who writes; one writer at a time may use it.
        version: Ascending; of this append.
        facts: Kept in the commit, and read back by `commits`.

    Raises:
        DiskFullError: The disk is full; the table is as it was (SYN-212).
        NoWriteError: The folder cannot be written to (SYN-211).
    """
    with clear_errors(path):
        (
            frame.write.format("delta")
            .mode("append")
            .option("txnAppId", app)
            .option("txnVersion", version)
            .option("userMetadata", json.dumps(dict(facts)))
            .save(address(path))
        )
