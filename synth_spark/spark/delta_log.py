"""The log of a Delta table, read file by file where a query of Spark would take longer.

Only what we wrote ourselves is looked for: the facts of our commits, the protocol of a table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PREFIX = "synth."  # of our properties of a table
LOG = "_delta_log"
FIRST = "first_commit"  # the property that holds the facts of the commit which made a table


def exists(path: str | Path) -> bool:
    """Whether a folder holds a Delta table: a log with a commit, not only its empty folder."""
    log = Path(path) / LOG
    return any(log.glob("*.json")) or (log / "_last_checkpoint").exists()


def reader_version(path: Path) -> int:
    """The reader version that the newest protocol in the log's entries asks for; 0: none."""
    for entry in sorted((path / LOG).glob("*.json"), reverse=True):
        for line in entry.read_text(encoding="utf-8").splitlines():
            if '"protocol"' in line and "protocol" in (action := json.loads(line)):
                return int(action["protocol"]["minReaderVersion"])
    return 0


def commits(path: str | Path, app: str, since: int = 0) -> dict[int, dict[str, Any]]:
    """The facts of every commit of one writer, by its wave, with the `rows` it wrote.

    Read from the log's files: a query of Spark takes longer than they do.

    Args:
        path: Of a table that `create` made.
        app: Who wrote.
        since: The first version to look at.
    """
    out = {}
    for entry in sorted((Path(path) / LOG).glob("*.json")):
        if not entry.stem.isdigit() or int(entry.stem) < since:
            continue
        facts, rows = _commit(entry)
        if facts.get("app") == app:
            out[int(facts["wave"])] = {**facts, "rows": rows}
    return out


def _commit(entry: Path) -> tuple[dict[str, Any], int]:
    """Our facts in one entry of a log, and how many rows it wrote."""
    info: dict[str, Any] = {}
    made = "{}"
    for line in entry.read_text(encoding="utf-8").splitlines():
        if line.startswith('{"commitInfo"'):
            info = json.loads(line)["commitInfo"]
        elif line.startswith('{"metaData"') and int(entry.stem) == 0:
            made = json.loads(line)["metaData"]["configuration"].get(PREFIX + FIRST, made)
    rows = int((info.get("operationMetrics") or {}).get("numOutputRows", 0))
    try:
        facts = json.loads(info.get("userMetadata") or made)
    except ValueError:  # somebody else's words
        facts = None
    return facts if isinstance(facts, dict) else {}, rows
