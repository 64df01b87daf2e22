"""Delta tables: made before they are filled, appended to once a wave, read with a clear error.

A write is atomic: rows of a write that failed are in files that no commit names. Every table of a
run says in its properties which run, plan, model and seed it came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.core.paths import address, local_path
from synth_spark.errors import SynthError
from synth_spark.spark.arrow import quoted
from synth_spark.spark.failures import (
    DiskFullError,
    NewerProtocolError,
    NoWriteError,
    clear_errors,
    newer,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PREFIX = "synth."
READER_VERSION = 3  # the newest protocol that this Delta reads
__all__ = ["DiskFullError", "NewerProtocolError", "NoWriteError", "clear_errors"]
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


def exists(path: str | Path) -> bool:
    """Whether a folder holds a Delta table: a log with a commit, not only its empty folder."""
    log = Path(path) / "_delta_log"
    return any(log.glob("*.json")) or (log / "_last_checkpoint").exists()


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
        needed = _reader_version(local)
        if needed > READER_VERSION:
            raise newer(str(path), needed)
    with clear_errors(path):
        return spark.read.format("delta").load(address(path))


def _reader_version(path: Path) -> int:
    """The reader version that the newest protocol in the log's entries asks for; 0: none."""
    for entry in sorted((path / "_delta_log").glob("*.json"), reverse=True):
        for line in entry.read_text(encoding="utf-8").splitlines():
            if '"protocol"' in line and "protocol" in (action := json.loads(line)):
                return int(action["protocol"]["minReaderVersion"])
    return 0


def write(
    frame: DataFrame, path: str | Path, properties: Mapping[str, object] | None = None
) -> None:
    """Write a frame as a new Delta table in one commit, or as the next version of one of ours.

    Raises:
        NoWriteError: The folder cannot be written to (SYN-211).
        DiskFullError: The disk is full; the former version, if any, still holds (SYN-212).
    """
    writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    for key, value in (properties or {}).items():
        writer = writer.option(PREFIX + key, str(value))
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
    spark: SparkSession,
    path: str | Path,
    ddl: str,
    names: list[str],
    properties: Mapping[str, object],
    skipped_by: Sequence[str] = (),
) -> None:
    """Make an empty table with its properties, before anything is appended.

    Args:
        spark: The session.
        path: Of the table.
        ddl: Its columns.
        names: Their names.
        properties: Our own.
        skipped_by: Columns whose least and greatest value each file states, so that a filter skips
            files; none named: all of the first 32 (what Delta does), which is 40 % of a write.

    Raises:
        NoWriteError: The folder cannot be written to (SYN-211).
        TableTakenError: The folder holds something else (SYN-215).
    """
    folder = Path(path)
    log = folder / "_delta_log"
    if log.is_dir() and not any(log.iterdir()):
        log.rmdir()  # what a run leaves that is killed before the first commit
    if (folder.exists() and not folder.is_dir()) or (folder.is_dir() and any(folder.iterdir())):
        raise TableTakenError(
            f"{path} is there already.", hint="another path, or remove it", path=str(path)
        )
    stated = {**_mapping(names), **{PREFIX + k: v for k, v in properties.items()}}
    if skipped_by:
        stated["delta.dataSkippingStatsColumns"] = ",".join(quoted(n) for n in skipped_by)
    pairs = ", ".join(f"{literal(k)} = {literal(str(v))}" for k, v in stated.items())
    stating = f"TBLPROPERTIES ({pairs})" if pairs else ""
    with clear_errors(path):
        spark.sql(f"CREATE TABLE {at(path)} ({ddl}) USING delta {stating}")


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


def commits(spark: SparkSession, path: str | Path, app: str) -> dict[int, dict[str, Any]]:
    """The facts of every append of one writer, by its wave, with the `rows` it wrote."""
    with clear_errors(path):
        history = spark.sql(f"DESCRIBE HISTORY {at(path)}")
        found = history.select("userMetadata", "operationMetrics").collect()
    out = {}
    for row in found:
        facts = json.loads(row["userMetadata"]) if row["userMetadata"] else {}
        if facts.get("app") == app:
            rows = (row["operationMetrics"] or {}).get("numOutputRows", 0)
            out[int(facts["wave"])] = {**facts, "rows": int(rows)}
    return out
