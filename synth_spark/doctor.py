"""Is this machine ready? Each check is one line with what was found and what to do.

Checks that would load Java or torch run in processes of their own: a broken build must not take
the doctor down with it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["good", "note", "bad"]
JAVA_AT_LEAST = 17
MEMORY_AT_LEAST_GB, DISK_AT_LEAST_GB = 4.0, 2.0
DELTA_JARS = ("delta-spark_4.2_2.13-4.4.0", "delta-storage-4.4.0")
PINNED = {"pyspark": "4.2.0", "delta-spark": "4.4.0", "horovod": "0.28.1"}
RANGES = {"numpy": (2, None), "pandas": (2, 3), "pyarrow": (18, None), "pydantic": (2, 3)}
_ASK_TORCH = "import json,torch; print(json.dumps([torch.__version__, torch.cuda.device_count()]))"
_ASK_HOROVOD = (
    "import json, horovod.torch as h; print(json.dumps([bool(h.gloo_built()), bool(h.mpi_built()),"
    " bool(h.nccl_built())]))"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. Only `bad` keeps a run from working."""

    name: str
    level: Level
    found: str
    remedy: str = ""


def run_checks(folder: Path = Path()) -> list[Check]:
    """All checks; `folder` is where runs will be written."""
    checks: Sequence[Callable[[], list[Check]]] = (
        python,
        java,
        packages,
        jars,
        torch_and_gpus,
        horovod,
        memory_and_cores,
        lambda: disk(folder),
    )
    return [found for check in checks for found in check()]


def exit_code(checks: Sequence[Check]) -> int:
    """0 ready, 2 something is missing."""
    return 2 if any(c.level == "bad" for c in checks) else 0


def python() -> list[Check]:
    """Python 3.11: what pyspark 4.2, Horovod 0.28.1 and the lock were tried with."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return [Check("Python", "good", version)]
    return [Check("Python", "bad", version, "make setup with Python 3.11 on the PATH")]


def java_command() -> str | None:
    """The java that Spark will start: of JAVA_HOME if that is set, else of the PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return str(Path(home) / "bin" / "java")
    return shutil.which("java")


def java() -> list[Check]:
    """Java 17 or later, where Spark looks for it."""
    remedy = "apt-get install openjdk-17-jre-headless, or set JAVA_HOME to a Java 17"
    command = java_command()
    if command is None:
        return [Check("Java", "bad", "no java on the PATH, JAVA_HOME is not set", remedy)]
    try:
        done = subprocess.run(
            [command, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Check("Java", "bad", f"{command} does not run: {error}", remedy)]
    major = java_major(done.stderr + done.stdout)
    if major is None:
        return [Check("Java", "bad", f"{command} does not say its version", remedy)]
    level: Level = "good" if major >= JAVA_AT_LEAST else "bad"
    return [Check("Java", level, f"{major} ({command})", "" if level == "good" else remedy)]


def java_major(text: str) -> int | None:
    """The major version in what `java -version` prints: 1.8.0 is 8.

    Example:
        >>> java_major('openjdk version "17.0.15" 2025-04-15')
        17
    """
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if not found:
        return None
    first, second = int(found[1]), int(found[2] or 0)
    return second if first == 1 else first


def packages() -> list[Check]:
    """The packages whose versions must match: Delta breaks on Spark's patch releases."""
    checks = []
    for name, wanted in PINNED.items():
        found = _version(name)
        level: Level = "good" if found == wanted else "bad"
        remedy = "" if level == "good" else f"make setup (wants {name}=={wanted})"
        checks.append(Check(name, level, found or "missing", remedy))
    for name, (low, high) in RANGES.items():
        found = _version(name)
        major = int(found.split(".")[0]) if found else -1
        good = major >= low and (high is None or major < high)
        wanted = f">={low}" + (f",<{high}" if high else "")
        remedy = "" if good else f"make setup (wants {name}{wanted})"
        checks.append(Check(name, "good" if good else "bad", found or "missing", remedy))
    return checks


def jars_folder() -> Path:
    """Where the Delta jars lie: SYNTH_SPARK_JARS, else `.jars` beside the package."""
    named = os.environ.get("SYNTH_SPARK_JARS")
    return Path(named) if named else Path(__file__).resolve().parents[1] / ".jars"


def jars() -> list[Check]:
    """The Delta jars, in one folder, of the version that fits."""
    folder = jars_folder()
    names = [jar.name for jar in folder.glob("*.jar")] if folder.is_dir() else []
    missing = [wanted for wanted in DELTA_JARS if not any(wanted in name for name in names)]
    remedy = "make setup, or set SYNTH_SPARK_JARS to a folder that holds the jars"
    if missing:
        return [Check("jars", "bad", f"{folder} lacks {', '.join(missing)}", remedy)]
    if not os.environ.get("SYNTH_SPARK_JARS") and not (folder / ".complete").exists():
        return [Check("jars", "note", f"{folder} may be half-fetched: no .complete", remedy)]
    return [Check("jars", "good", f"{len(names)} in {folder}")]


def torch_and_gpus() -> list[Check]:
    """Torch, and the GPUs that it and the driver see."""
    answer, trouble = _ask(_ASK_TORCH)
    if answer is None:
        return [Check("torch", "bad", trouble, "make setup")]
    version, seen = str(answer[0]), int(answer[1])
    checks = [Check("torch", "good", version)]
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return [*checks, Check("GPUs", "note", "none: training runs on CPU cores")]
    listed = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=60, check=False)
    count = listed.stdout.count("GPU ")
    if seen == count:
        return [*checks, Check("GPUs", "good", f"{count}, all seen by torch")]
    remedy = "a torch built for CUDA: UV_TORCH_BACKEND=auto make setup"
    return [*checks, Check("GPUs", "note", f"{count} here, torch sees {seen}", remedy)]


def horovod() -> list[Check]:
    """Horovod's framework, controller and operations, by loading it."""
    answer, trouble = _ask(_ASK_HOROVOD)
    remedy = "make setup builds it against the installed torch; fit.collective torch works without"
    if answer is None:
        return [Check("Horovod", "bad", trouble, remedy)]
    gloo, mpi, nccl = answer
    controller = "Gloo" if gloo else ("MPI" if mpi else "none")
    operations = ", ".join(
        n for n, there in (("NCCL", nccl), ("Gloo", gloo), ("MPI", mpi)) if there
    )
    said = f"framework torch, controller {controller}, operations {operations or 'none'}"
    return [Check("Horovod", "good" if gloo or mpi else "bad", said, "" if gloo or mpi else remedy)]


def memory_and_cores() -> list[Check]:
    """Memory of the machine (or of its container) and cores."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()) / 1e9)
    cores = len(os.sched_getaffinity(0))
    enough = total >= MEMORY_AT_LEAST_GB
    remedy = "" if enough else f"at least {MEMORY_AT_LEAST_GB:.0f} GB"
    few: Level = "good" if cores > 1 else "note"
    return [
        Check("memory", "good" if enough else "bad", f"{total:.1f} GB", remedy),
        Check(
            "cores", few, str(cores), "" if cores > 1 else "two cores let Spark and Python share"
        ),
    ]


def disk(folder: Path) -> list[Check]:
    """Whether runs can be written, and how much is free."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        return [
            Check("disk", "bad", f"cannot write in {there}: {error.strerror}", "--folder FOLDER")
        ]
    free = shutil.disk_usage(there).free / 1e9
    enough = free >= DISK_AT_LEAST_GB
    remedy = "" if enough else f"free space, or --folder: at least {DISK_AT_LEAST_GB:.0f} GB"
    return [Check("disk", "good" if enough else "bad", f"{free:.0f} GB free in {there}", remedy)]


def show(checks: Sequence[Check]) -> None:
    """Print the checks as a table, and what to do under it."""
    from rich.console import Console
    from rich.table import Table

    colours = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table(box=None, pad_edge=False)
    for head in ("", "check", "found"):
        table.add_column(head, overflow="fold")
    for check in checks:
        table.add_row(f"[{colours[check.level]}]{check.level}[/]", check.name, check.found)
    console = Console()
    console.print(table)
    for check in checks:
        if check.remedy:
            console.print(f"{check.name}: {check.remedy}", markup=False, highlight=False)


def to_json(checks: Sequence[Check]) -> str:
    """The checks as JSON."""
    return json.dumps({"ready": exit_code(checks) == 0, "checks": [asdict(c) for c in checks]})


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _ask(program: str) -> tuple[list[Any], str] | tuple[None, str]:
    """What a small program prints as JSON in a Python of its own, or why there is no answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return None, "does not load within 180 s"
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return None, f"does not load: {last[:200]}"
    return json.loads(done.stdout.strip().splitlines()[-1]), ""
