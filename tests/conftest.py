"""One Spark session for the whole run, made by the first test that asks for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Spark's workers import by name what tests send them
SEEN = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in SEEN if p)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """`local[2]` with Delta, UTC, no UI, one shuffle partition, a scratch folder of its own."""
    from synth_spark.spark.session import start

    scratch: Path = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.sql.shuffle.partitions": "1",
        "spark.driver.memory": "2g",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.databricks.delta.snapshotPartitions": "1",
        # tests are short: the JVM's second compiler would cost more than it gains
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = start("tests", settings, master="local[2]")
    yield session
    session.stop()
