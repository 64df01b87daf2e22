"""Tables of conditions: numbered as they stand, checked, and met row by row."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import BadConditionError, ImpossibleConditionError
from synth_spark.core.given import BadGivenError, TooManyGivenError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import EmptyTableError
from synth_spark.pipelines import model_folder
from synth_spark.pipelines.model_folder import load_saved
from synth_spark.spark import fanout, given, given_alike, tables
from synth_spark.spark.given_draws import way_of
from synth_spark.training.loop import train_local
from tests.contract.cases import EVENTS, event_records

SUBSCRIBERS = Schema(
    family="table",
    shape="flat",
    key=Column(name="id", kind="identifier"),
    columns=(
        Column(name="plan", kind="category"),
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="paid.eur", kind="number", source_type="double"),
        Column(name="joined", kind="time", source_type="date"),
    ),
)
ROWS = 9_000  # two full blocks and a part of a third


def subscribers(rows: int, seed: int) -> Records:
    """What is paid follows from months and plan."""
    rng = np.random.default_rng(seed)
    plan = rng.choice(["basic", "plus", "max"], rows, p=[0.6, 0.3, 0.1])
    months = rng.integers(0, 72, rows).astype(float)
    return Records.flat(
        {
            "plan": Coded.of(plan.tolist()),
            "months": months,
            "paid.eur": np.round(months * (10 + 10 * (plan == "max")) + rng.normal(0, 5, rows), 2),
            "joined": np.datetime64("2024-01-01", "us") - (months * 30).astype("timedelta64[D]"),
        }
    )


def table(records: Records, known: float, seed: int = 5) -> pa.Table:
    """The rows with a share of their cells."""
    rng, rows = np.random.default_rng(seed), records.rows
    columns: dict[str, Any] = {"id": pa.array([f"x{i}" for i in range(rows)])}
    for name, values in records.columns.items():
        plain = values.texts() if isinstance(values, Coded) else values
        columns[name] = pa.array(plain, mask=rng.random(rows) > known, from_pandas=True)
    return pa.table(columns)


@pytest.fixture(scope="module")
def flat_model(tmp_path_factory):
    kind = GENERATORS.get("autoregressive")
    records = subscribers(3_000, 1)
    story = kind.learn(SUBSCRIBERS, kind.Params(max_epochs=12, valid_share=0.0), 1)
    model = learn(story, Local(records, train=train_local))
    folder = tmp_path_factory.mktemp("flat") / "m"
    model_folder.save(
        folder, model, generator="autoregressive", schema=SUBSCRIBERS, identifiers={}, facts={}
    )
    return folder


def opened(spark, path: Path, schema: Schema = SUBSCRIBERS) -> given.Given:
    return given.open_given(spark, str(path), schema, {}, zone="UTC")


def ordered(frame) -> pa.Table:
    sorted_rows = frame.toArrow().sort_by([("_subject", "ascending"), ("_event", "ascending")])
    return sorted_rows.combine_chunks()


def way(spark, model: Path, asked: given.Given, rows: int | None = None):
    count = asked.rows if rows is None else rows
    return way_of(spark, model, asked, count, (), saved=load_saved(model), seed=3)


@pytest.fixture(scope="module")
def wanted() -> pa.Table:
    return table(subscribers(ROWS, 2), 0.5)


@pytest.fixture(scope="module")
def asked(spark, wanted, tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "wanted.parquet"
    pq.write_table(wanted, path, row_group_size=500)
    return opened(spark, path)


def test_rows_are_numbered_by_file_and_place_however_spark_cuts_them(spark, tmp_path: Path) -> None:
    folder = tmp_path / "wanted"
    folder.mkdir()
    first = 0
    for name, rows in (("a", 700), ("b", 3_000), ("c", 40)):  # Spark reads the largest first
        part = pa.table({"months": np.arange(first, first + rows) % 72, "plan": ["max"] * rows})
        pq.write_table(part, folder / f"{name}.parquet", row_group_size=100)
        first += rows
    found = []
    for size in ("128m", "3k"):
        spark.conf.set("spark.sql.files.maxPartitionBytes", size)
        spark.conf.set("spark.sql.files.openCostInBytes", "100")
        try:
            numbered = opened(spark, folder)
            assert (numbered.frame.rdd.getNumPartitions() > 5) == (size == "3k")
            found.append(numbered.frame.toArrow().sort_by("_number"))
        finally:
            spark.conf.unset("spark.sql.files.maxPartitionBytes")
            spark.conf.unset("spark.sql.files.openCostInBytes")
    assert found[0]["_number"].to_pylist() == list(range(first))
    assert found[0]["months"].to_pylist() == [float(i % 72) for i in range(first)]
    assert found[1].equals(found[0])


def test_every_given_cell_is_in_the_twin_and_every_gap_is_drawn(
    spark, flat_model, wanted, asked
) -> None:
    assert asked.asked.left_out == ("id",)
    made = way(spark, flat_model, asked)
    one = ordered(made.rows(spark, made.recipe, 0, made.recipe.blocks, 1))
    assert one["_subject"].to_pylist() == list(range(ROWS))
    for name in ("plan", "months", "paid.eur", "joined"):
        known, drawn = wanted[name].to_pylist(), one[name].to_pylist()
        assert all(k is None or k == d for k, d in zip(known, drawn, strict=True))
        assert sum(k is None for k in known) > ROWS / 3
        assert None not in drawn
    assert len(set(one["id"].to_pylist())) == ROWS
    assert set(one["id"].to_pylist()).isdisjoint(wanted["id"].to_pylist())
    # a plan that costs twice as much: 5 standard errors, and a fifth that the network may be off
    drawn_only = [
        (m, p) for m, p, g, plan in zip(
            one["months"].to_pylist(), one["paid.eur"].to_pylist(), wanted["paid.eur"].to_pylist(),
            wanted["plan"].to_pylist(), strict=True,
        ) if g is None and plan == "max" and m > 20
    ]  # fmt: skip
    assert np.mean([p / m for m, p in drawn_only]) == pytest.approx(20, rel=0.2)
    for parts in (2, 7):
        rows = made.rows(spark, made.recipe, 0, made.recipe.blocks, parts)
        assert ordered(rows).equals(one)


def test_a_table_is_drawn_wave_by_wave_and_once(
    spark, flat_model, asked, tmp_path: Path, monkeypatch
) -> None:
    given.keep(asked, tmp_path / "given", "p1")
    assert given.kept(spark, tmp_path / "given", "p2") is None
    again = given.kept(spark, tmp_path / "given", "p1")
    assert again is not None
    assert (again.asked, again.rows) == (asked.asked, ROWS)
    made = way(spark, flat_model, again, 6_000)
    once = tables.append_once

    def killed(*args: Any, version: int, **more: Any) -> None:
        if version == 1:
            raise KeyboardInterrupt
        once(*args, version=version, **more)

    sample = partial(
        fanout.sample_table, spark, made.recipe, tmp_path / "twin",
        facts={"run": "r", "plan": "p"}, wave_rows=4_096, rows=made.rows,
    )  # fmt: skip
    monkeypatch.setattr(tables, "append_once", killed)
    with pytest.raises(KeyboardInterrupt):
        sample()
    monkeypatch.setattr(tables, "append_once", once)
    done = sample()
    assert (done["rows"], done["waves"], done["waves_before"]) == (6_000, 2, 1)
    whole = ordered(made.rows(spark, made.recipe, 0, made.recipe.blocks, 3))
    assert ordered(tables.read(spark, tmp_path / "twin")).equals(whole)


def test_cells_without_a_chance_are_named_with_their_rows(
    spark, flat_model, tmp_path: Path
) -> None:
    cells = pa.table(
        {"plan": ["max", "maxx", None, "basic"], "months": [1.0, None, None, 1_000_000.0]}
    )
    pa_csv.write_csv(cells, tmp_path / "odd.csv")
    with pytest.raises(ImpossibleConditionError) as caught:
        way(spark, flat_model, opened(spark, tmp_path / "odd.csv"))
    assert caught.value.facts["rows"] == [1, 3]
    assert "row 1: plan=maxx; row 3: months=1e+06" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("months,plan\n3,max\nmany,max\n,\n", BadGivenError, "row 1: months=many"),
        ("joined\n2024-01-05\nsoon\n", BadGivenError, "row 1: joined=soon"),
        ("plam\nmax\n", BadConditionError, "Try: 'plan'?"),
        ("plan,months\n", EmptyTableError, "no rows"),
        ("id\n5\n", BadGivenError, "no column that a subject could hold"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    spark, tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(error) as caught:
        opened(spark, tmp_path / "g.csv")
    assert said in str(caught.value)


def test_hours_and_week_days_are_checked(spark, tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("hour,weekday\n3,sat\n24,sun\n5,someday\n")
    with pytest.raises(BadGivenError) as caught:
        opened(spark, tmp_path / "g.csv", EVENTS)
    assert caught.value.facts["rows"] == [1, 2]


# ---- events -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def events_model(tmp_path_factory):
    kind = GENERATORS.get("markov")
    model = learn(kind.learn(EVENTS, GENERATORS.example("markov"), 1), Local(event_records()))
    folder = tmp_path_factory.mktemp("events") / "m"
    model_folder.save(folder, model, generator="markov", schema=EVENTS, identifiers={}, facts={})
    return folder


def test_subjects_hold_their_rows_in_the_tables_order(spark, events_model, tmp_path: Path) -> None:
    region = ["south", "north", None, "south", "north", "south"] * 3
    what = ["call", None, "text", "call", None, "text"] * 3
    pq.write_table(pa.table({"what": what, "region": region}), tmp_path / "g.parquet")
    made = way(spark, events_model, opened(spark, tmp_path / "g.parquet", EVENTS))
    assert [s.subjects for s in made.recipe.shares] == [6, 6, 3, 3]
    one = ordered(made.rows(spark, made.recipe, 0, made.recipe.blocks, 1))
    subjects = one["_subject"].to_numpy()
    assert np.unique(subjects).tolist() == list(range(18))
    for name, wanted in (("region", region), ("what", what)):
        drawn = one[name].to_pylist()
        assert all(wanted[s] in (None, d) for s, d in zip(subjects, drawn, strict=True))
    assert len(set(one["who"].to_pylist())) == 18
    assert ordered(made.rows(spark, made.recipe, 0, made.recipe.blocks, 3)).equals(one)


def test_a_row_that_no_subject_can_hold_is_named(spark, events_model, tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("region\nnorth\nnorth\nwest\n")
    with pytest.raises(ImpossibleConditionError) as caught:
        way(spark, events_model, opened(spark, tmp_path / "g.csv", EVENTS))
    assert caught.value.facts == {"row": 2, "condition": "region=west"}


def test_more_rows_that_differ_than_are_drawn_are_refused(
    spark, events_model, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(given_alike, "MOST_DISTINCT", 2)
    (tmp_path / "g.csv").write_text("region,what\nnorth,call\nsouth,call\nnorth,call\nnorth,\n")
    asked = opened(spark, tmp_path / "g.csv", EVENTS)
    with pytest.raises(TooManyGivenError) as caught:
        way(spark, events_model, asked)
    assert caught.value.facts == {"distinct": 3, "most": 2}
    assert way(spark, events_model, asked, 3).how.startswith("2 conditions")
