"""Log lines through Spark: ingested, learned from histories, and drawn the same for any cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.columns._texts import texts
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.pipelines import model_folder
from synth_spark.pipelines.drawer import load_drawer
from synth_spark.spark import fanout, tables
from synth_spark.spark.engine import engine_of
from synth_spark.spark.ingest import IngestSettings, ingest
from synth_spark.spark.source import open_source
from tests.spark_world import KEY, put

LOGS = Schema(
    family="events",
    shape="events",
    key=Column(name="host", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="level", kind="category"),
        Column(name="line", kind="text"),
    ),
)
SUBJECTS = 5_000  # one full block of `independent` and a part of another


def logs(hosts: int = 40, rows: int = 25) -> pa.Table:
    """Jobs that start and end; every fifth fails."""
    n = hosts * rows
    kind = np.arange(n) % 5
    made = [
        f"job {9_000 + i} started" if k < 4 else f"job {9_000 + i} failed: no disk"
        for i, k in enumerate(kind)
    ]
    at = np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(60_000_000, "us")
    return pa.table(
        {
            "host": [f"host-{i // rows:02d}" for i in range(n)],
            "at": pa.array(at),
            "level": ["ERROR" if k == 4 else "INFO" for k in kind],
            "line": made,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def recipe(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    ingest(
        open_source(spark, put(logs(), folder / "logs.parquet")), LOGS, folder / "run", key=KEY,
        settings=IngestSettings(seed=5),
    )  # fmt: skip
    histories = tables.read(spark, folder / "run" / "histories")
    engine = engine_of(histories, LOGS, "train", seed=5)
    lines = learn(texts(LOGS, min_subjects=5, relates=True), engine)
    kind = GENERATORS.get("independent")
    model = learn(kind.learn(lines.rest(LOGS), kind.Params(), 1), engine)
    sha256 = model_folder.save(
        folder / "m", model, generator="independent", schema=LOGS, identifiers={}, facts={},
        texts=lines,
    )  # fmt: skip
    return fanout.recipe_for(
        spark, folder / "m", sha256=sha256, load=load_drawer, schema=LOGS, seed=9, subjects=SUBJECTS
    )


def whole(frame):
    return frame.toArrow().sort_by([("_subject", "ascending"), ("_event", "ascending")])


def test_lines_are_the_same_for_any_number_of_partitions(spark, recipe) -> None:
    one = whole(fanout.rows_of(spark, recipe, 0, recipe.blocks, 1)).combine_chunks()
    two = whole(fanout.rows_of(spark, recipe, 0, recipe.blocks, 2)).combine_chunks()
    assert one.equals(two)
    level, line = one["level"].to_pylist(), one["line"].to_pylist()
    assert {x.split(" ", 2)[2] for x in line} == {"started", "failed: no disk"}
    assert all((v == "ERROR") == x.endswith("disk") for v, x in zip(level, line, strict=True))
