"""Ingest: counts add up, bad rows go aside, subjects stay whole, ids do not come through."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.core.schema import Column
from synth_spark.records.base import present, within
from synth_spark.spark import tables
from synth_spark.spark.ingest import (
    IdKeyError,
    IngestSettings,
    NoGoodRowsError,
    ingest,
)
from synth_spark.spark.parts import OneSubjectError
from synth_spark.spark.source import NoColumnError, open_source
from tests.spark_world import EVENTS, FLAT, KEY, events, flat, put

SETTINGS = IngestSettings(seed=5, holdout_share=0.2)


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    """Events with three faults, ingested once: a text as number, a negative number, no key."""
    folder = tmp_path_factory.mktemp("ingest")
    table = events()
    amount = [str(v) for v in table["spent.eur"].to_pylist()]
    phone = table["phone"].to_pylist()
    amount[10], amount[11], phone[12] = "a lot", "-3", None
    table = table.set_column(3, "spent.eur", pa.array(amount)).set_column(
        0, "phone", pa.array(phone)
    )
    source = open_source(spark, put(table, folder / "calls.parquet"))
    rules = (present("phone"), within("spent.eur", 0.0, None, "EUR"))
    report = ingest(source, EVENTS, folder / "run", key=KEY, rules=rules, settings=SETTINGS)
    return folder / "run", report


def test_every_row_goes_exactly_one_way(done) -> None:
    _, r = done
    assert r.rows_in == 3_000 == r.rows_kept + r.rows_quarantined + r.rows_repeated + r.rows_cut
    assert r.rows_kept == r.rows_train + r.rows_holdout == 2_997
    assert r.subjects_train + r.subjects_holdout == 60


def test_a_bad_row_is_kept_aside_with_its_reason_and_its_text(spark, done) -> None:
    rows = tables.read(spark, done[0] / "quarantine").collect()
    found = {(r["reason"], r["column"]): json.loads(r["row"]) for r in rows}
    assert set(found) == {
        ("spent.eur is not a number", "spent.eur"),
        ("spent.eur is at least 0 EUR", "spent.eur"),
        ("phone is not missing", "phone"),
    }
    assert found["spent.eur is not a number", "spent.eur"]["spent.eur"] == "a lot"
    assert done[1].reasons["phone is not missing"] == 1


def test_no_raw_id_is_in_any_table(done) -> None:
    written = b"".join(f.read_bytes() for f in sorted(done[0].rglob("*")) if f.is_file())
    assert b"phone-0" not in written
    assert b"other-0" not in written


def test_ids_are_keyed_hashes_that_keep_who_is_who(spark, done) -> None:
    keys = [
        r[0] for r in tables.read(spark, done[0] / "records").select("phone").distinct().collect()
    ]
    assert len(keys) == 60
    assert all(len(k) == 24 and set(k) <= set("0123456789abcdef") for k in keys)


def test_a_subject_is_on_one_side_only(spark, done) -> None:
    sides = tables.read(spark, done[0] / "records").select("phone", "_split").distinct().collect()
    assert len(sides) == 60
    assert {r["_split"] for r in sides} == {"train", "holdout"}


def test_events_of_a_history_stand_in_the_order_of_time(spark, done) -> None:
    rows = tables.read(spark, done[0] / "histories").toArrow()
    assert rows.num_rows == 60
    for times, length in zip(rows["at"].to_pylist(), rows["_length"].to_pylist(), strict=True):
        assert times == sorted(times)
        assert len(times) == length


def test_the_number_of_partitions_changes_neither_split_nor_order(spark, tmp_path: Path) -> None:
    path = put(events(), tmp_path / "calls.parquet")
    found = []
    for parts in (1, 7):
        source = open_source(spark, path)
        moved = type(source)(source.frame.repartition(parts), path, "parquet", source.types)
        ingest(moved, EVENTS, tmp_path / f"run{parts}", key=KEY, settings=SETTINGS)
        rows = (
            tables.read(spark, tmp_path / f"run{parts}" / "histories").orderBy("_order").toArrow()
        )
        found.append(rows)
    assert (
        found[0]
        .select(["_split", "_order", "_length", "spent.eur"])
        .equals(found[1].select(["_split", "_order", "_length", "spent.eur"]))
    )


def test_exact_repeats_are_dropped_when_the_plan_says_so(spark, tmp_path: Path) -> None:
    table = pa.concat_tables([events(20, 200), events(20, 200).slice(0, 37)])
    source = open_source(spark, put(table, tmp_path / "calls.parquet"))
    settings = IngestSettings(repeats="drop")
    report = ingest(source, EVENTS, tmp_path / "run", key=KEY, settings=settings)
    whole = len(set(zip(*(table[c].to_pylist() for c in table.column_names), strict=True)))
    assert (report.rows_kept, report.rows_repeated) == (whole, 237 - whole)


def test_equal_rows_of_a_flat_table_are_subjects_of_their_own(spark, tmp_path: Path) -> None:
    source = open_source(spark, put(flat(), tmp_path / "people.parquet"))
    report = ingest(source, FLAT, tmp_path / "run", key=KEY, settings=SETTINGS)
    assert report.subjects_train + report.subjects_holdout == 400
    assert 40 < report.subjects_holdout < 120  # 80 expected, standard deviation 8: five of them
    orders = tables.read(spark, tmp_path / "run" / "histories").select("_order").distinct().count()
    assert orders == 400
    sides = tables.read(spark, tmp_path / "run" / "histories").select(
        "plan", "age", "loyal", "_split"
    )
    assert (
        sides.distinct().count() > sides.drop("_split").distinct().count()
    )  # repeats on both sides


def test_a_very_long_history_is_cut_and_two_subjects_make_two_sides(spark, tmp_path: Path) -> None:
    n = 100_500
    at = np.datetime64("2024-01-01", "us") + np.arange(n)[::-1].astype("timedelta64[s]")
    heavy = pa.table(
        {
            "phone": ["hub"] * n,
            "at": at,
            "kind": ["call"] * n,
            "spent.eur": np.ones(n),
            "other": ["x"] * n,
        }
    )
    source = open_source(
        spark, put(pa.concat_tables([heavy, events(1, 50)]), tmp_path / "c.parquet")
    )
    settings = IngestSettings(holdout_share=1e-9)
    report = ingest(source, EVENTS, tmp_path / "run", key=KEY, settings=settings)
    assert (report.subjects_train, report.subjects_holdout) == (1, 1)
    assert (report.rows_cut, report.subjects_cut, report.longest) == (500, 1, 100_000)
    assert report.rows_in == report.rows_kept + report.rows_cut
    longest = (
        tables.read(spark, tmp_path / "run" / "histories")
        .where("_length = 100000")
        .select("at")
        .first()[0]
    )
    assert longest[0].isoformat() == "2024-01-01T00:00:00"


def test_one_subject_is_refused(spark, tmp_path: Path) -> None:
    source = open_source(spark, put(events(1, 30), tmp_path / "calls.parquet"))
    with pytest.raises(OneSubjectError) as caught:
        ingest(source, EVENTS, tmp_path / "run", key=KEY)
    assert caught.value.facts["subjects"] == 1


def test_a_table_of_bad_rows_is_refused_with_the_reasons(spark, tmp_path: Path) -> None:
    table = events(5, 50).set_column(3, "spent.eur", pa.array(["much"] * 50))
    source = open_source(spark, put(table, tmp_path / "calls.parquet"))
    with pytest.raises(NoGoodRowsError) as caught:
        ingest(source, EVENTS, tmp_path / "run", key=KEY)
    assert caught.value.facts["reasons"] == {"spent.eur is not a number": 50}


def test_a_short_key_and_a_missing_column_are_refused(spark, tmp_path: Path) -> None:
    source = open_source(
        spark, put(events(5, 50).drop_columns(["kind"]), tmp_path / "calls.parquet")
    )
    with pytest.raises(IdKeyError):
        ingest(source, EVENTS, tmp_path / "run", key=b"short")
    with pytest.raises(NoColumnError) as caught:
        ingest(source, EVENTS, tmp_path / "run", key=KEY)
    assert caught.value.facts["missing"] == ["kind"]


def test_the_key_and_the_columns_may_have_the_names_of_our_own_expressions(
    spark, tmp_path: Path
) -> None:
    renamed = {"phone": "e", "at": "t", "kind": "r", "spent.eur": "n", "other": "u"}
    table = events(rows=600)
    table = table.rename_columns([renamed[c] for c in table.column_names])
    columns = tuple(replace(c, name=renamed[c.name]) for c in EVENTS.columns)
    for key in ("e", "n", "u"):
        new = {"e": key, key: "e"}
        swapped = table.rename_columns([new.get(c, c) for c in table.column_names])
        schema = replace(
            EVENTS,
            key=Column(name=key, kind="identifier"),
            time="t",
            columns=tuple(replace(c, name=new.get(c.name, c.name)) for c in columns),
        )
        source = open_source(spark, put(swapped, tmp_path / f"{key}.parquet"))
        report = ingest(source, schema, tmp_path / key, key=KEY, settings=SETTINGS)
        assert (report.rows_kept, report.subjects_train + report.subjects_holdout) == (600, 60)
