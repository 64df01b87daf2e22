"""The engine: the same answers as from memory, however the table is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth_spark.core.batch import Encoded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import Fold, Schedule, Take, Train
from synth_spark.spark import tables
from synth_spark.spark.engine import SparkEngine, engine_of
from synth_spark.spark.ingest import IngestSettings, ingest
from synth_spark.spark.shards import ShardTypeError, layout_of
from synth_spark.spark.source import open_source
from tests.spark_world import EVENTS, KEY, add_spent, events, put, spent


@pytest.fixture(scope="module")
def histories(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    source = open_source(spark, put(events(), folder / "calls.parquet"))
    ingest(source, EVENTS, folder / "run", key=KEY, settings=IngestSettings(seed=5))
    return tables.read(spark, folder / "run" / "histories")


def cut(histories, parts: int, **more) -> SparkEngine:
    return engine_of(histories.repartition(parts, "_order"), EVENTS, "train", seed=5, **more)


@pytest.fixture(scope="module")
def memory(histories) -> Records:
    """All subjects of the training part, through the engine's own way out."""
    return cut(histories, 1).answer(Take(10**6, 10**6))


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_fold_gives_what_memory_gives_for_any_partitioning(histories, memory, parts: int) -> None:
    fold = Fold(spent, add_spent)
    assert cut(histories, parts).answer(fold) == Local(memory).answer(fold)


def test_the_training_part_of_the_source_arrives_value_for_value(histories, memory) -> None:
    table = events()
    by_phone: dict[str, list[float]] = {}
    for phone, _, amount in sorted(
        zip(
            table["phone"].to_pylist(),
            table["at"].to_pylist(),
            table["spent.eur"].to_pylist(),
            strict=True,
        ),
        key=lambda r: r[:2],
    ):
        by_phone.setdefault(phone, []).append(amount)
    there = {tuple(v) for v in by_phone.values()}
    for first, last in zip(memory.offsets[:-1], memory.offsets[1:], strict=True):
        assert tuple(np.asarray(memory.columns["spent.eur"])[first:last].tolist()) in there


def test_a_fold_over_no_subjects_is_none(histories) -> None:
    nobody = SparkEngine(histories.where("_split = 'nobody'"), EVENTS)
    assert nobody.answer(Fold(spent, add_spent)) is None


def test_many_partitions_are_merged_in_two_stages_with_the_same_result(
    histories, memory, monkeypatch
) -> None:
    monkeypatch.setattr("synth_spark.spark.engine.STATES_AT_ONCE", 3)
    monkeypatch.setattr(SparkEngine, "_partitions", lambda self: 7)
    fold = Fold(spent, add_spent)
    assert cut(histories, 7).answer(fold) == Local(memory).answer(fold)


@pytest.mark.parametrize(("subjects", "rows"), [(10, 10**6), (10**6, 700)])
def test_a_sample_is_the_same_for_any_partitioning_and_keeps_both_bounds(
    histories, subjects: int, rows: int
) -> None:
    one, seven = (cut(histories, parts).answer(Take(subjects, rows)) for parts in (1, 7))
    assert one.subjects <= subjects
    assert one.rows <= rows
    np.testing.assert_array_equal(one.offsets, seven.offsets)
    np.testing.assert_array_equal(one.columns["at"], seven.columns["at"])
    assert one.columns["kind"].texts().tolist() == seven.columns["kind"].texts().tolist()


def encode(records: Records) -> Encoded:
    """The day of each event and what was spent; the length as context."""
    day = (records.columns["at"].astype("datetime64[D]").astype(np.int64) - 19_723).astype(np.uint8)
    both = np.stack([records.columns["spent.eur"], day], axis=1).astype(np.float32)
    return Encoded(
        {"n": records.lengths[:, None].astype(np.int32)},
        {"day": day[:, None], "both": both},
        records.offsets,
    )


@dataclass
class Nobody:
    """A trainee of which only the schedule is asked."""

    schedule: Schedule = field(default_factory=lambda: Schedule(valid_share=0.2))


def keep(found: list, request: Train, folder: Path, manifest: dict) -> None:
    """A training callable that only looks."""
    found.append((folder, manifest))


def shard_rows(folder: Path, manifest: dict) -> Iterator[dict]:
    for file in manifest["files"]:
        yield from pq.read_table(folder / file["path"]).to_pylist()


def test_shards_hold_every_subject_once_in_the_order_of_content(
    histories, memory, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("synth_spark.spark.shards.EVENTS_PER_FILE", 900)
    found: list = []
    for parts in (1, 7):
        engine = cut(histories, parts, folder=tmp_path / str(parts), train=partial(keep, found))
        engine.answer(Train(encode, Nobody(), "net"))
    (one, manifest), (seven, again) = found
    assert manifest == again == json.loads((one / "manifest.json").read_text())
    assert [(one / f["path"]).read_bytes() for f in manifest["files"]] == [
        (seven / f["path"]).read_bytes() for f in again["files"]
    ]
    rows = list(shard_rows(one, manifest))
    assert len(manifest["files"]) > 1
    assert [r["order"] for r in rows] == sorted(r["order"] for r in rows)
    assert (manifest["subjects"], manifest["rows"]) == (memory.subjects, memory.rows)
    assert sum(r["valid"] for r in rows) == manifest["valid_subjects"] > 0
    assert manifest["events"]["both"] == {"dtype": "float32", "width": 2}
    assert sum(sum(r["e.both"][::2]) for r in rows) == float(
        np.asarray(memory.columns["spent.eur"]).sum()
    )
    assert all(len(r["e.both"]) == 2 * r["length"] == 2 * r["c.n"][0] for r in rows)


def test_an_array_that_shards_do_not_hold_is_refused() -> None:
    with pytest.raises(ShardTypeError) as caught:
        layout_of(Encoded({"c": np.zeros((1, 1), complex)}, {}, np.array([0, 1])))
    assert caught.value.facts["dtype"] == "complex128"
