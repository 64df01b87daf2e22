"""Sampling: the same values for any cut, every row once, and a killed run that goes on."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark.columns.identifier import Identifier
from synth_spark.core.batch import Records
from synth_spark.core.conditions import Condition, Share
from synth_spark.core.local import Local
from synth_spark.core.ports import Fold, learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.pipelines import model_folder
from synth_spark.pipelines.drawer import load_drawer
from synth_spark.spark import blocks, fanout, histories, tables
from synth_spark.spark.arrow import to_values
from synth_spark.spark.blocks import block_rows
from synth_spark.spark.engine import SparkEngine
from synth_spark.spark.tables import TableTakenError
from tests.spark_world import EVENTS, add_spent, events, spent

SUBJECTS = 10_000  # two full blocks of `independent` and a part of a third
FACTS = {"run": "r1", "plan": "p1"}


def as_records() -> Records:
    table = events().sort_by([("phone", "ascending"), ("at", "ascending")])
    _, lengths = np.unique(np.array(table["phone"].to_pylist()), return_counts=True)
    columns = {c.name: to_values(table[c.name]) for c in EVENTS.columns}
    return Records(columns, np.concatenate([[0], np.cumsum(lengths)]))


@pytest.fixture(scope="module")
def recipe(spark, tmp_path_factory):
    kind = GENERATORS.get("independent")
    model = learn(kind.learn(EVENTS, kind.Params(), 1), Local(as_records()))
    phones = to_values(events()["phone"])
    formats = {
        "#key": Identifier.finish(Identifier.summarise(phones, np.zeros(0))).state(),
        "other": Identifier.finish(Identifier.summarise(phones, np.zeros(0))).state(),
    }
    folder = tmp_path_factory.mktemp("model") / "m"
    sha256 = model_folder.save(
        folder, model, generator="independent", schema=EVENTS, identifiers=formats, facts={}
    )
    return fanout.recipe_for(
        spark, folder, sha256=sha256, load=load_drawer, schema=EVENTS, seed=9, subjects=SUBJECTS
    )


def whole(frame):
    return (
        frame.toArrow()
        .sort_by([("_subject", "ascending"), ("_event", "ascending")])
        .combine_chunks()
    )


@pytest.fixture(scope="module")
def one(spark, recipe):
    return whole(fanout.rows_of(spark, recipe, 0, recipe.blocks, 1))


@pytest.mark.parametrize("parts", [2, 7])
def test_every_value_is_the_same_for_any_number_of_partitions(
    spark, recipe, one, parts: int
) -> None:
    assert whole(fanout.rows_of(spark, recipe, 0, recipe.blocks, parts)).equals(one)


def test_a_block_drawn_by_two_attempts_gives_the_same_bytes(recipe) -> None:
    first, second = load_drawer(recipe.folder), load_drawer(recipe.folder)
    second.draw(2, 10, recipe.seed)  # a worker that had another task before
    drawn = [block_rows(recipe, drawer, 1).serialize() for drawer in (first, second)]
    assert drawn[0].equals(drawn[1])


@dataclass(frozen=True)
class Named:
    name: str

    def __call__(self, folder: str) -> Any:
        return f"{self.name} of {folder}"


def test_a_worker_keeps_a_model_that_is_read_in_two_ways_twice(recipe) -> None:
    ways = [replace(recipe, load=Named(name)) for name in ("a", "b", "a")]
    drawers = [blocks.drawer_of(way, Condition(())) for way in ways]
    assert drawers == [f"{n} of {recipe.folder}" for n in "aba"]
    assert drawers[0] is drawers[2]


def test_pandas_gives_the_same_rows(spark, recipe, one) -> None:
    rows = whole(fanout.rows_in_pandas(spark, recipe, 2))
    assert rows["_subject"].equals(one["_subject"])
    assert rows["phone"].equals(one["phone"])


def test_subjects_are_numbered_without_gaps_and_have_ids_of_their_own(one) -> None:
    subjects, phones = one["_subject"].to_numpy(), np.array(one["phone"].to_pylist())
    assert np.unique(subjects).tolist() == list(range(SUBJECTS))
    assert len(np.unique(phones)) == SUBJECTS
    assert len(np.unique(np.char.add(phones, subjects.astype(str)))) == SUBJECTS


def test_a_killed_run_goes_on_with_the_next_wave(
    spark, recipe, one, tmp_path: Path, monkeypatch
) -> None:
    path, size = tmp_path / "twin", 30_000
    sample = {"facts": FACTS, "rows_per_subject": 50.0, "wave_rows": size, "partitions": 2}
    once = tables.append_once

    def killed(*args, version: int, **more) -> None:
        if version == 1:
            raise KeyboardInterrupt
        once(*args, version=version, **more)

    monkeypatch.setattr(tables, "append_once", killed)
    with pytest.raises(KeyboardInterrupt):
        fanout.sample_table(spark, recipe, path, **sample)
    first = tables.read(spark, path).count()
    assert 0 < first < one.num_rows
    monkeypatch.setattr(tables, "append_once", once)
    done = fanout.sample_table(
        spark, recipe, path, **(sample | {"wave_rows": 10**9})
    )  # the old cut stays
    assert (done["waves"], done["waves_before"], done["rows"]) == (3, 1, one.num_rows)
    assert whole(tables.read(spark, path)).equals(one)
    again = fanout.sample_table(spark, recipe, path, **sample)
    assert (again["waves_before"], again["rows"]) == (3, one.num_rows)
    assert tables.read(spark, path).count() == one.num_rows
    found = tables.properties(spark, path)
    assert (found["run"], found["plan"], found["model"], found["seed"]) == (
        "r1",
        "p1",
        recipe.sha256,
        "9",
    )
    with pytest.raises(TableTakenError) as caught:
        fanout.sample_table(spark, recipe, path, **(sample | {"facts": FACTS | {"plan": "p2"}}))
    assert caught.value.facts["found"] == {"plan": "p1"}


def test_a_table_that_was_never_begun_is_made(spark, recipe, one, tmp_path: Path) -> None:
    (tmp_path / "twin" / "_delta_log").mkdir(parents=True)  # killed before the first commit
    done = fanout.sample_table(spark, recipe, tmp_path / "twin", facts=FACTS, rows_per_subject=50.0)
    assert done["rows"] == one.num_rows


def test_a_table_killed_while_it_was_made_is_made_again_but_nothing_else_is_cleared_away(
    spark, tmp_path: Path
) -> None:
    path, facts = tmp_path / "t", {"app": "x", "wave": 0}
    rows = spark.range(9).toDF("an odd, name")  # its data lie in folders with random names

    def killed(batches):
        yield from batches
        raise OSError("the worker is gone")

    with pytest.raises(Exception, match="the worker is gone"):
        tables.create(spark.range(9).mapInArrow(killed, "id bigint"), path, {}, facts)
    (path / "YH").mkdir()
    (path / "YH" / "part-00000-0.snappy.parquet").write_bytes(b"half")
    tables.create(rows, path, {}, facts)
    assert tables.read(spark, path).count() == 9
    assert sorted(file.name for file in tmp_path.iterdir()) == ["t"]
    with pytest.raises(TableTakenError):
        tables.create(rows, path, {}, facts)
    assert tables.read(spark, path).count() == 9

    other = tmp_path / "parquet"
    with pytest.raises(Exception, match="the worker is gone"):
        tables.create(spark.range(9).mapInArrow(killed, "id bigint"), other, {}, facts)
    other.rename(tmp_path / "elsewhere")
    spark.range(4).write.parquet(str(other))  # somebody's own, where a mark was left
    with pytest.raises(TableTakenError):
        tables.create(rows, other, {}, facts)
    assert spark.read.parquet(str(other)).count() == 4


def test_a_table_that_another_process_is_making_is_left_to_it(spark, tmp_path: Path) -> None:
    facts = {"app": "x", "wave": 0}
    with tables._begun(tmp_path / "t"), pytest.raises(TableTakenError):
        tables.create(spark.range(9), tmp_path / "t", {}, facts)
    tables.create(spark.range(9), tmp_path / "t", {}, facts)
    assert tables.read(spark, tmp_path / "t").count() == 9


def test_a_table_whose_first_log_entries_are_gone_goes_on(
    spark, recipe, one, tmp_path: Path, monkeypatch
) -> None:
    path, wanted = tmp_path / "twin", {"facts": FACTS, "rows_per_subject": 50.0}
    fanout.sample_table(spark, recipe, path, **wanted, wave_rows=30_000)
    spark.sql(f"ALTER TABLE {tables.at(path)} SET TBLPROPERTIES ('note' = 'later')")
    assert {w: d["rows"] > 0 for w, d in tables.commits(path, "r1").items()} == {}
    app = json.loads(tables.properties(spark, path)[tables.FIRST])["app"]
    assert all(d["rows"] > 0 for d in tables.commits(path, app).values())
    monkeypatch.setattr(tables, "commits", lambda *_, **__: {})  # as after a checkpoint and a month
    again = fanout.sample_table(spark, recipe, path, **wanted, wave_rows=30_000)
    assert again["waves_before"] == 1
    monkeypatch.undo()
    assert tables.read(spark, path).count() == one.num_rows


def test_a_model_that_is_sent_to_workers_lies_in_the_run_folder_and_nowhere_else(
    spark, recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    folder = tmp_path / "run" / "models" / "twin"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    for _ in range(2):
        fanout._ship(spark, folder, "model-0.zip")
    assert list(elsewhere.iterdir()) == []
    with zipfile.ZipFile(folder.with_name("model-0.zip")) as packed:
        assert packed.namelist() == ["model.json"]


def test_the_same_wave_twice_writes_its_rows_once(spark, tmp_path: Path) -> None:
    path, waves = tmp_path / "t", [{"app": "x", "wave": wave} for wave in (0, 1)]
    tables.create(spark.range(3).toDF("a b"), path, {"run": "x"}, waves[0])
    for _ in range(2):
        tables.append_once(spark.range(5).toDF("a b"), path, app="x", version=1, facts=waves[1])
    tables.append_once(spark.range(7).toDF("a b"), path, app="y", version=1, facts={"app": "y"})
    assert tables.read(spark, path).count() == 15
    assert tables.commits(path, "x") == {0: {**waves[0], "rows": 3}, 1: {**waves[1], "rows": 5}}
    assert list(tables.commits(path, "x", since=1)) == [1]


def test_drawn_rows_come_back_as_histories(spark, recipe, one) -> None:
    frame = histories.of_drawn(fanout.rows_of(spark, recipe, 0, recipe.blocks, 2), EVENTS)
    found = SparkEngine(frame, EVENTS).answer(Fold(spent, add_spent))
    kinds = np.array(one["kind"].to_pylist(), dtype=object)
    amount = one["spent.eur"].to_numpy(zero_copy_only=False)
    assert (found["subjects"], found["rows"]) == (SUBJECTS, one.num_rows)
    assert found["call"] == pytest.approx(float(amount[kinds == "call"].sum()))


def test_quotas_are_met_exactly_whatever_the_cut(spark, recipe):
    north = Condition.parse(["kind=call"], EVENTS)
    shares = (Share(north, 5_000), Share(Condition(()), 300))
    asked = fanout.recipe_for(
        spark, Path(recipe.folder), sha256=recipe.sha256, load=load_drawer, schema=EVENTS, seed=9,
        subjects=shares,
    )  # fmt: skip
    one = whole(fanout.rows_of(spark, asked, 0, asked.blocks, 1))
    assert whole(fanout.rows_of(spark, asked, 0, asked.blocks, 3)).equals(one)
    subject, kind = one["_subject"].to_numpy(), np.array(one["kind"].to_pylist())
    assert np.unique(subject).tolist() == list(range(5_300))
    assert set(kind[subject < 5_000]) == {"call"}
    assert len(set(kind[subject >= 5_000])) > 1
