"""The Spark session: found if there is one (spark-submit, a notebook), else started here.

Before a JVM is started, Java, Spark and the Delta jars are looked at, so that what is missing is
named in a second and not in a stack trace. Under spark-submit the cluster decides on master, memory
and jars (`conf/clusters`); the settings here only serve one machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from synth_spark.errors import SynthError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_VERSION = "4.2"
DELTA_VERSION = "4.4.0"
JAVA_AT_LEAST = 17
# Training ranks meet at barriers. Without the first a lost task is waited for a year, without the
# others a stage wider than the cluster waits for minutes before it says so.
BARRIER = {
    "spark.barrier.sync.timeout": "600",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "5s",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "3",
}
LOGGING = Path(__file__).with_name("log4j2.properties").as_uri()
_NOISE = (b"WARNING: Using incubator modules",)
_DELTA_JARS = (f"delta-spark_4.2_2.13-{DELTA_VERSION}", f"delta-storage-{DELTA_VERSION}")


class JavaError(SynthError):
    """Java is missing or too old for Spark."""

    code = "SYN-801"


class JarsError(SynthError):
    """The Delta jars are missing, or of another version than this package was tested with."""

    code = "SYN-802"


class SparkVersionError(SynthError):
    """The installed or running Spark is not the version that Delta's jars were built for."""

    code = "SYN-803"


class NoDeltaError(SynthError):
    """The session that is running cannot read or write Delta tables."""

    code = "SYN-804"


@contextmanager
def session(
    name: str, settings: Mapping[str, str] | None = None, *, master: str = ""
) -> Iterator[SparkSession]:
    """A Spark session for the time of a run; one that was there before is left running.

    Args:
        name: Of the application.
        settings: Spark settings that go over ours; memory and jars only count at the start.
        master: Where to start one if there is none; `local[*]` if empty.

    Raises:
        JavaError: Java is missing or too old (SYN-801).
        JarsError: The Delta jars are missing (SYN-802).
        SparkVersionError: Spark is of another version (SYN-803).
        NoDeltaError: The running session was started without Delta (SYN-804).
    """
    from pyspark.sql import SparkSession

    found = SparkSession.getActiveSession()
    if found is not None:
        check_session(found)
        yield found
        return
    own = not _submitted()
    started = start(name, settings, master=master)
    try:
        yield started
    finally:
        if own:
            with suppress(Exception):  # a JVM that died is not to hide the reason
                started.stop()


def start(
    name: str, settings: Mapping[str, str] | None = None, *, master: str = ""
) -> SparkSession:
    """Start a session (or join the one of spark-submit) with our settings under `settings`."""
    import pyspark
    from pyspark.sql import SparkSession

    _check_version(pyspark.__version__)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    wanted = dict(_everywhere())
    if not _submitted():
        java_version()
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        connect = os.environ.get("SPARK_REMOTE", "")  # local[...]: a Connect server of our own
        wanted |= _here(connect or master or "local[*]")
        if connect:
            del wanted["spark.master"]
    ours = [name for name in wanted if name not in (settings or {})]
    wanted |= dict(settings or {})
    builder = SparkSession.builder.appName(name)
    for key, value in wanted.items():
        builder = builder.config(key, value)
    with quiet_start() if not _submitted() else nullcontext(), warnings.catch_warnings():
        if os.environ.get("SPARK_REMOTE"):  # its server has ours from the start, and complains
            warnings.filterwarnings("ignore", f"Failed to set ({'|'.join(ours)}) ")
        spark = builder.getOrCreate()
    check_session(spark)
    return spark


@contextmanager
def quiet_start() -> Iterator[None]:
    """Let the JVM that is started meanwhile write to standard error through a sieve of ours.

    Java itself says that Spark uses an incubator module, and nothing else turns that off. The JVM
    gets a pipe for its standard error, and a thread hands on every other line for as long as it
    lives. If the start fails, everything it said is on the screen before the error is.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    reading, writing = os.pipe()
    screen, kept = os.dup(2), os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)

    def hand_on() -> None:
        with os.fdopen(reading, "rb") as lines, os.fdopen(kept, "wb", 0) as out:
            for line in lines:
                if not line.startswith(_NOISE):
                    out.write(line)

    sieve = threading.Thread(target=hand_on, daemon=True)
    sieve.start()
    failed = True
    try:
        yield
        failed = False
    finally:
        os.dup2(screen, 2)
        if failed:
            sieve.join(timeout=5)  # the JVM has ended, and with it the pipe
        os.close(screen)


def _submitted() -> bool:
    """Whether spark-submit or a Connect server elsewhere decides on master, memory and jars."""
    remote = os.environ.get("SPARK_REMOTE", "")
    if remote and not remote.startswith("local"):
        return True
    words = (
        "SPARK_ENV_LOADED",
        "DATABRICKS_RUNTIME_VERSION",
        "PYSPARK_GATEWAY_PORT",
    )
    return any(os.environ.get(word) for word in words)


def _everywhere() -> dict[str, str]:
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    }


def _here(master: str) -> dict[str, str]:
    """Settings of a session on this machine alone; the log is quiet and nothing listens outside."""
    cores = str(_cores(master))
    return {
        "spark.master": master,
        "spark.jars": ",".join(str(jar) for jar in delta_jars()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.shuffle.partitions": cores,
        "spark.default.parallelism": cores,
        "spark.driver.memory": f"{driver_memory_mb()}m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC -Dlog4j2.configurationFile={LOGGING}",  # noqa: E501
        **BARRIER,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _cores(master: str) -> int:
    inside = re.search(r"\[(.*)\]", master)
    numbers = [int(n) for n in re.findall(r"\d+", inside.group(1))] if inside else []
    if master.startswith("local-cluster") and len(numbers) > 1:
        return numbers[0] * numbers[1]
    if inside and not inside.group(1).startswith("*") and numbers:
        return numbers[0]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def driver_memory_mb() -> int:
    """Half of the machine's memory, between 1 and 4 GB."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return max(1024, min(4096, pages * size // 2**21))


# ---- what must be there -------------------------------------------------------------------------


def java_version() -> int:
    """The major version of the Java that Spark will use.

    Raises:
        JavaError: There is none, or it is older than 17 (SYN-801).
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    hint = "install Java 17 (apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    if not java or not Path(java).exists():
        where = f"JAVA_HOME names {home}, which has no bin/java" if home else "no java was found"
        raise JavaError(f"Spark needs Java 17, and {where}.", hint=hint, java=java or "")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)(?:\.(\d+))?', said.stderr + said.stdout)
    major = int(match.group(1)) if match else 0
    if major == 1 and match and match.group(2):
        major = int(match.group(2))  # 1.8 is Java 8
    if major < JAVA_AT_LEAST:
        raise JavaError(
            f"Spark needs Java 17, and {java} is {major or 'unknown'}.",
            hint=hint,
            java=java,
            version=major,
        )
    return major


def jars_folder() -> Path:
    """Where the Delta jars lie: SYNTH_SPARK_JARS, else `.jars` beside the package."""
    named = os.environ.get("SYNTH_SPARK_JARS")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".jars"


def delta_jars() -> list[Path]:
    """The jars to start with.

    Raises:
        JarsError: The folder lacks Delta's jars of the version we were tested with (SYN-802).
    """
    folder = jars_folder()
    jars = sorted(folder.glob("*.jar")) if folder.is_dir() else []
    missing = [name for name in _DELTA_JARS if not any(name in jar.name for jar in jars)]
    if missing:
        raise JarsError(
            f"The folder {folder} lacks {' and '.join(m + '.jar' for m in missing)}.",
            hint="run `make setup`, or set SYNTH_SPARK_JARS to a folder that holds them",
            folder=str(folder),
            missing=missing,
        )
    return jars


def _check_version(version: str) -> None:
    if os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return  # that runtime brings a Delta of its own for its own Spark
    if not version.startswith(SPARK_VERSION + "."):
        raise SparkVersionError(
            f"This is Spark {version}; Delta {DELTA_VERSION} runs on Spark {SPARK_VERSION}.",
            hint=f"pyspark=={SPARK_VERSION}.0",
            version=version,
        )


def check_session(spark: SparkSession) -> None:
    """Refuse a session that cannot do the work, and set what may be set while it runs.

    Raises:
        SparkVersionError: Spark is of another version (SYN-803).
        NoDeltaError: It was started without Delta (SYN-804).
    """
    _check_version(spark.version)
    if "delta" not in (spark.conf.get("spark.sql.catalog.spark_catalog", "") or "").lower():
        raise NoDeltaError(
            "The running Spark session was started without Delta.",
            hint="start it with the settings of conf/clusters, or stop it and let us start one",
        )
    for key, value in _everywhere().items():
        spark.conf.set(key, value)
