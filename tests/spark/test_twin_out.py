"""What the twin's file keeps of the source's: types, names, pandas' notes. No Spark is started."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from synth_spark.spark.csv_text import delimiter_of
from synth_spark.spark.source import NestedColumnError, _refuse_unreadable
from synth_spark.spark.tables import TableTakenError
from synth_spark.spark.twin_out import _as, _target, check_target


def test_an_integer_beyond_a_narrow_type_takes_its_limit() -> None:
    wide = pa.array([-5, None, 7, 300], pa.int16())
    assert _as(wide, pa.uint8()).to_pylist() == [0, None, 7, 255]
    assert _as(pa.array([2**40, -1]), pa.uint32()).to_pylist() == [2**32 - 1, 0]
    assert _as(pa.array([5, -1]), pa.uint64()).to_pylist() == [5, 0]


def test_categories_and_columns_of_nulls_get_their_types_back() -> None:
    coded = pa.array(["a", "b", None, "a"]).dictionary_encode()
    assert _as(coded.cast(pa.string()), coded.type).to_pylist() == ["a", "b", None, "a"]
    assert _as(pa.array([None, None], pa.int32()), pa.null()).type == pa.null()


def test_notes_of_pandas_are_kept_without_those_of_the_owner() -> None:
    notes = {"index_columns": ["i"], "attributes": {"owner": "somebody"}}
    source = pa.schema([("a", pa.int8())], {b"pandas": json.dumps(notes).encode(), b"x": b"y"})
    kept = _target(pa.schema([("a", pa.int16())]), source)
    assert kept.field("a").type == pa.int8()
    assert {k: json.loads(v) for k, v in kept.metadata.items()} == {
        b"pandas": {"index_columns": ["i"]}
    }


def test_a_folder_that_is_no_table_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.parquet").mkdir()
    for out in ("mine", "mine.parquet"):
        with pytest.raises(TableTakenError, match="a folder"):
            check_target(tmp_path / out, replace=True)


def test_types_that_spark_does_not_read_are_named() -> None:
    schema = pa.schema([("a", pa.int8()), ("at", pa.time32("ms")), ("h", pa.float16())])
    with pytest.raises(NestedColumnError, match=r"at \(time32\[ms\]\), h \(halffloat\)"):
        _refuse_unreadable("x.parquet", schema)


@pytest.mark.parametrize(
    ("line", "sign"),
    [("a,b;c\n", ","), ("a;b\n", ";"), ("a\tb\n", "\t"), ('"a,x"|b\n', "|"), ("a\n", ",")],
)
def test_the_delimiter_is_found_where_the_first_line_has_no_comma(
    line: str, sign: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.csv"
    file.write_text(line + "1\n")
    assert delimiter_of(file, ",") == sign
    assert delimiter_of(file, "\t") == "\t"
