from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.errors import EmptyTableError
from synth_spark.records.detect import (
    Counts,
    MissingColumnError,
    NoColumnsError,
    NoKeyError,
    NoOrderError,
    apart_from_marks,
    detect,
)

ROWS = 1_000
RNG = np.random.default_rng(5)
WHEN = np.datetime64("2026-03-01T00:00:00", "us") + np.sort(
    RNG.integers(0, 10**7, ROWS)
) * np.timedelta64(1, "s")
USERS = np.array([f"u{i:03d}" for i in range(50)])[RNG.integers(50, size=ROWS)]


@pytest.fixture(autouse=True)
def _fresh_draws() -> None:
    """Every test draws from the start, in whatever order the tests run."""
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


def events(**columns: Any) -> pa.Table:
    return pa.table({"user_id": USERS, "at": WHEN, **columns})


def kinds(table: pa.Table, **named: Any) -> dict[str, str]:
    return {c.name: c.kind for c in detect(table, **named).schema.columns}


def test_a_repeated_user_and_a_time_make_events() -> None:
    found = detect(events(n=RNG.normal(size=ROWS)))
    schema = found.schema
    assert (schema.shape, schema.time) == ("events", "at")
    assert schema.key is not None
    assert schema.key.name == "user_id"
    assert [c.name for c in schema.columns] == ["at", "n"]
    assert set(found.why) == {"user_id", "at", "n"}


def test_customers_with_a_device_and_a_joining_date_are_flat() -> None:
    device = np.array(["Galaxy S9", "iPhone 12", "3310", "P30"])[RNG.integers(4, size=ROWS)]
    joined = WHEN.astype("datetime64[D]")
    table = pa.table({"device": device, "joined": joined, "user_age": RNG.integers(18, 90, ROWS)})
    assert detect(table).schema.shape == "flat"


def test_an_id_of_a_person_in_every_row_makes_a_table_flat_whatever_else_repeats() -> None:
    table = pa.table({"customer_id": [f"c{i}" for i in range(ROWS)], "account": USERS, "at": WHEN})
    schema = detect(table).schema
    assert schema.shape == "flat"
    assert schema.key is not None
    assert schema.key.name == "customer_id"


def test_a_named_key_and_time_win_over_the_guess() -> None:
    table = events(cell=USERS, later=WHEN)
    schema = detect(table, key="cell", time="later").schema
    assert schema.key is not None
    assert (schema.key.name, schema.time) == ("cell", "later")


def test_a_named_key_without_times_is_refused() -> None:
    with pytest.raises(NoOrderError) as caught:
        detect(pa.table({"user": USERS, "n": np.arange(ROWS)}), key="user")
    assert caught.value.facts["key"] == "user"


def test_a_named_time_without_a_subject_is_refused() -> None:
    with pytest.raises(NoKeyError):
        detect(pa.table({"at": WHEN, "n": RNG.normal(size=ROWS)}), time="at")


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(MissingColumnError) as caught:
        detect(events(), key="user_ld")
    assert caught.value.hint == "did you mean 'user_id'?"


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(EmptyTableError):
        detect(events()[:0])


def test_nested_and_binary_columns_are_left_out_with_the_reason() -> None:
    table = pa.table(
        {"n": [1.5, 2.5], "l": [[1], [2]], "s": [{"a": 1}, {"a": 2}], "b": [b"x", b"y"]}
    )
    found = detect(table)
    assert [c.name for c in found.schema.columns] == ["n"]
    assert found.dropped == {
        "l": "nested columns cannot be learned",
        "s": "nested columns cannot be learned",
        "b": "columns of type binary cannot be learned",
    }


def test_a_table_of_nothing_but_nested_columns_is_refused() -> None:
    with pytest.raises(NoColumnsError):
        detect(pa.table({"l": [[1], [2]]}))


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S"),
        ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S"),
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%-m/%-d/%y %-H:%M", "%-m/%-d/%y %-H:%M"),
        ("%-m/%-d/%y 0:00:00", "%-m/%-d/%y %-H:%M:%S"),
        ("%Y-%-m-%-dT%-H:%M:%S", "%Y-%-m-%-dT%-H:%M:%S"),
        ("%d/%m/%Y %-I:%M %p", "%d/%m/%Y %-I:%M %p"),
        ("%Y%m%d%H%M%S", "%Y%m%d%H%M%S"),
        ("%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S%:z"),
        ("%Y-%m-%dT%H:%M:%S+0000", "%Y-%m-%dT%H:%M:%S%z"),
        ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"),
    ],
)
def test_times_held_as_text_are_read_in_the_format_they_are_written(
    written: str, form: str
) -> None:
    days = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=7 * i) for i in range(400)]
    table = pa.table({"event_time": [d.strftime(written) for d in days], "n": np.arange(400)})
    column = detect(table).schema.columns[0]
    assert (column.kind, column.time_format) == ("time", form)


def test_day_and_month_are_told_apart_by_a_value_above_twelve() -> None:
    table = pa.table({"day": ["1/2/2026", "2/13/2026", "3/4/2026"] * 20, "n": np.arange(60)})
    assert detect(table).schema.columns[0].time_format == "%-m/%-d/%Y"


@pytest.mark.parametrize(("scale", "unit"), [(1, "epoch_s"), (1000, "epoch_ms")])
def test_whole_numbers_under_a_name_of_time_are_seconds_or_milliseconds(
    scale: int, unit: str
) -> None:
    seconds = WHEN.astype("datetime64[s]").astype(np.int64) * scale
    columns = detect(pa.table({"created": seconds, "revenue": seconds})).schema.columns
    assert [(c.kind, c.time_format) for c in columns] == [("time", unit), ("number", "")]


def test_numbers_in_text_with_blanks_are_numbers_and_zip_codes_are_not() -> None:
    charges = [f"{x:.2f}" for x in RNG.uniform(1, 99, ROWS - 5)] + [" "] * 5
    zips = [f"{x:05d}" for x in RNG.integers(0, 300, ROWS)]
    table = pa.table({"charge": charges, "place": zips})
    assert kinds(table) == {"charge": "number", "place": "category"}


def test_flags_codes_and_amounts_among_whole_numbers() -> None:
    table = pa.table(
        {
            "churn": RNG.integers(0, 2, ROWS),
            "cell_id": RNG.integers(100, 100 + ROWS // 10, ROWS),
            "site_id": RNG.integers(0, ROWS, ROWS),  # as names, nearly all would be too rare
            "area": RNG.integers(40, 400, ROWS),  # repeats too little to be a code: square metres
            "zone": RNG.integers(0, 9, ROWS),
            "calls": RNG.integers(0, 9, ROWS),
            "number_of_calls": RNG.integers(0, 9, ROWS),
        }
    )
    assert kinds(table) == {
        "churn": "category",
        "cell_id": "category",
        "site_id": "number",
        "area": "number",
        "zone": "category",
        "calls": "number",
        "number_of_calls": "number",
    }


def test_a_latitude_and_its_longitude_are_a_place_and_a_column_out_of_range_is_not() -> None:
    lat, lon = RNG.uniform(-90, 90, ROWS), RNG.uniform(-180, 180, ROWS)
    good = detect(pa.table({"Site Lat": lat, "Site Long": lon})).schema
    assert [(c.kind, c.partner) for c in good.columns] == [("place", "Site Long"), ("place", "")]
    assert kinds(pa.table({"lat": lat * 10, "lon": lon})) == {"lat": "number", "lon": "number"}


def test_attributes_of_the_subject_are_told_from_attributes_of_the_event() -> None:
    home = np.char.add("r", (np.char.lstrip(USERS, "u").astype(int) % 3).astype(str))
    table = events(home=home, kind=np.array(["a", "b"])[RNG.integers(2, size=ROWS)])
    per = {c.name: c.per for c in detect(table).schema.columns}
    assert per == {"at": "event", "home": "subject", "kind": "event"}


def test_a_few_of_many_subjects_do_not_make_a_column_one_of_the_subject() -> None:
    who = np.repeat(["a", "b", "c"], [400, 300, 300])
    home = np.where(who == "a", "x", "y")
    table = pa.table({"user_id": who, "at": WHEN, "home": home})
    whole = Counts(rows=10**6, distinct={"user_id": 5_000})
    assert detect(table, counts=whole).schema.column("home").per == "event"
    assert detect(table).schema.column("home").per == "subject"  # there are only these three


def test_ids_of_others_are_counterparts_and_few_ranks_of_peers_are_a_category() -> None:
    others = [f"{x:016x}" for x in RNG.integers(0, 600, ROWS) * 7_919]
    peers = np.array([f"p{i:02d}" for i in range(12)])[RNG.integers(12, size=ROWS)]
    found = detect(events(called_number=others, peer=peers)).schema
    assert (found.column("called_number").kind, found.column("called_number").counterpart) == (
        "identifier",
        True,
    )
    assert found.column("peer").kind == "category"


def test_a_column_that_names_other_subjects_is_a_counterpart_whatever_its_name() -> None:
    with_whom = USERS[RNG.permutation(ROWS)]
    assert detect(events(with_whom=with_whom)).schema.column("with_whom").counterpart


def test_all_missing_constant_and_boolean_columns_are_categories() -> None:
    table = pa.table(
        {
            "gone": pa.array([None] * ROWS, pa.string()),
            "one": ["x"] * ROWS,
            "flag": RNG.random(ROWS) < 0.5,
            "n": RNG.normal(size=ROWS),
        }
    )
    assert kinds(table) == {
        "gone": "category",
        "one": "category",
        "flag": "category",
        "n": "number",
    }


def word(i: int) -> str:
    """A word of letters for each whole number."""
    return "".join(chr(97 + int(d)) for d in str(i))


def test_text_that_differs_in_every_row_is_made_anew() -> None:
    notes = [f"{word(i)} asked about {word(7 * i)} again" for i in range(ROWS)]
    table = pa.table({"note": notes, "n": np.arange(ROWS) % 7})
    assert kinds(table)["note"] == "identifier"


def test_counts_of_the_whole_source_keep_a_repeated_id_from_being_a_key() -> None:
    sample = pa.table({"customer_id": [f"c{i}" for i in range(ROWS)], "n": np.arange(ROWS) % 9})
    whole = Counts(rows=1_000_000, distinct={"customer_id": 20_000})
    assert detect(sample).schema.key is not None
    assert detect(sample, counts=whole).schema.key is None


def test_missing_floats_are_no_value_of_their_own() -> None:
    values = np.where(np.arange(ROWS) % 4 == 0, np.nan, np.arange(ROWS) % 5)
    assert kinds(pa.table({"x": values})) == {"x": "number"}


def test_spark_types_may_be_given_and_are_kept() -> None:
    table = pa.table({"a": [1.0, 2.0], "b": ["x", "y"]})
    schema = detect(table, types={"a": "decimal(10,2)", "b": "varchar(3)"}).schema
    assert [c.source_type for c in schema.columns] == ["decimal(10,2)", "varchar(3)"]


def test_names_like_those_that_a_run_adds_get_others_and_are_remembered() -> None:
    schema = detect(
        pa.table({"_subject": USERS, "_at": WHEN, "_Split": RNG.normal(size=ROWS)}),
        key="_subject",
        time="_at",
    ).schema
    changed, names = apart_from_marks(schema)
    assert changed.key is not None
    assert (changed.key.name, changed.time) == ("column_subject", "column_at")
    assert [c.name for c in changed.columns] == ["column_at", "column_Split"]
    assert names == {"column_subject": "_subject", "column_at": "_at", "column_Split": "_Split"}


def test_a_new_name_does_not_take_one_that_is_there() -> None:
    table = pa.table({"_a": RNG.normal(size=ROWS), "column_A": RNG.normal(size=ROWS)})
    changed, names = apart_from_marks(detect(table).schema)
    assert [c.name for c in changed.columns] == ["column_column_a", "column_A"]
    assert names["column_column_a"] == "_a"


def test_names_of_our_own_counts_are_apart_too() -> None:
    table = pa.table({n: RNG.normal(size=ROWS) for n in ("#rows", "#key", "rows#")})
    changed, names = apart_from_marks(detect(table).schema)
    assert [c.name for c in changed.columns] == ["column_rows", "column_key", "rows#"]
    assert names["column_rows"] == "#rows"


def test_whole_numbers_that_a_float_cannot_hold_are_ids_or_names_not_amounts() -> None:
    rng = np.random.default_rng(0)
    long = [int(v) for v in 2**60 + rng.integers(0, 2**40, 300)]
    table = pa.table(
        {
            "ref": pa.array(long, pa.int64()),
            "partner": pa.array([2**60 + 1 + i % 3 for i in range(300)], pa.int64()),
            "wide": pa.array([Decimal(v) for v in long], pa.decimal128(30, 0)),
            "held": [str(10**20 + v) for v in long],
            "exact": pa.array([2**53 - i for i in range(300)], pa.int64()),
            "time_ns": pa.array([1_700_000_000 * 10**9 + v % 10**14 for v in long], pa.int64()),
        }
    )
    found = detect(table)
    kinds = {c.name: c.kind for c in found.schema.columns}
    assert kinds == {
        "ref": "identifier",
        "partner": "category",
        "wide": "identifier",
        "exact": "number",
        "time_ns": "number",
    }
    assert found.schema.key is not None
    assert found.schema.key.name == "held"  # the one that looks like an id, not like an amount
    assert "rounded" in found.why["time_ns"]


@pytest.mark.parametrize(
    ("texts", "decimals"),
    [
        (["19.90", "0.00", "7.25", ""], 2),
        (["19,90", "0,00", "7,25"], 2),
        (["19.9", "0.00", "7.25"], None),
        (["19", "0", "7"], None),
        (["1.5e3", "2.5e4"], None),
    ],
)
def test_texts_of_numbers_tell_how_many_decimals_they_show(
    texts: list[str], decimals: int | None
) -> None:
    schema = detect(
        pa.table({"x": RNG.normal(size=300), "paid": texts * (300 // len(texts))})
    ).schema
    assert (schema.column("paid").kind, schema.column("paid").decimals) == ("number", decimals)


def test_a_decimal_comma_is_told_from_a_comma_between_thousands() -> None:
    charge = [f"{x:.2f}".replace(".", ",") for x in RNG.uniform(1, 99, ROWS)]
    thousands = [f"{x:,}" for x in RNG.integers(1_000, 9_999, ROWS)]
    found = detect(pa.table({"charge": charge, "thousands": thousands}))
    charged, other = found.schema.columns
    assert (charged.kind, charged.decimal_comma) == ("number", True)
    assert not other.decimal_comma
