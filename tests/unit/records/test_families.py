from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from synth_spark.core.shelf import FAMILIES
from synth_spark.records._reference import reference
from synth_spark.records.base import RecordFamily, Rows

DDL = re.compile(r"string|boolean|tinyint|smallint|int|bigint|float|double|date|timestamp(_ntz)?")


@pytest.fixture(params=FAMILIES.names())
def case(request: pytest.FixtureRequest) -> tuple[RecordFamily, Rows]:
    return FAMILIES.get(request.param), FAMILIES.example(request.param)


def test_the_shelf_holds_the_eight_families_and_no_helpers() -> None:
    assert FAMILIES.names() == [
        *("browsing", "cdr", "cell", "events", "location", "network_log", "subscriber", "table")
    ]


def test_every_row_of_the_example_is_good(case: tuple[RecordFamily, Rows]) -> None:
    family, rows = case
    assert (family.check(rows) == -1).all()


def test_the_example_has_every_field_and_equal_lengths(case: tuple[RecordFamily, Rows]) -> None:
    family, rows = case
    assert len({len(v) for v in rows.values()}) == 1
    assert {f.name for f in family.fields} - set(rows) == set()


def test_fields_have_a_ddl_type_and_numbers_a_unit(case: tuple[RecordFamily, Rows]) -> None:
    family, _ = case
    for field in family.fields:
        assert DDL.fullmatch(field.spark_type), field
        assert field.unit or field.kind != "number", field


def test_key_time_partners_and_privacy_unit_are_fields(case: tuple[RecordFamily, Rows]) -> None:
    family, _ = case
    names = {f.name for f in family.fields}
    used = {family.key, family.time, family.privacy_unit, *(f.partner for f in family.fields)}
    assert used - {""} <= names
    assert (family.shape == "events") == bool(family.time)


def test_rules_name_existing_columns_and_have_different_sentences(
    case: tuple[RecordFamily, Rows],
) -> None:
    family, _ = case
    names = {f.name for f in family.fields}
    assert all(set(rule.columns) <= names for rule in family.rules)
    assert len({rule.sentence for rule in family.rules}) == len(family.rules)


def test_a_call_with_a_volume_and_one_that_lasts_a_month_are_refused_with_their_rule() -> None:
    cdr = FAMILIES.get("cdr")
    rows = {
        "event_type": np.array(["call", "data", "call"], dtype=object),
        "downlink_bytes": np.array([5.0, 5.0, 0.0]),
        "duration_s": np.array([1.0, 1.0, 2_678_400.0]),
    }
    broken = [cdr.rules[i].sentence if i >= 0 else "" for i in cdr.check(rows)]
    assert broken[0] == "only data sessions carry a volume"
    assert broken[1] == ""
    assert broken[2].startswith("duration_s is between")


def test_the_reference_page_is_the_one_made_from_the_shelf() -> None:
    page = Path(__file__).parents[3] / "docs" / "ref-records.md"
    assert page.read_text(encoding="utf-8").rstrip() == reference(), (
        "synth-spark records list --markdown > docs/ref-records.md"
    )


def test_a_schema_of_a_family_leaves_the_key_out_of_the_columns() -> None:
    schema = FAMILIES.get("location").schema()
    assert schema.key is not None
    assert schema.key.name == "subscriber_id"
    assert "subscriber_id" not in [c.name for c in schema.columns]
    assert schema.column("latitude").partner == "longitude"
