"""Sources and twins: every format in, the same columns, order and types out, clear refusals."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth_spark.core.schema import Column, Schema
from synth_spark.errors import EmptyTableError
from synth_spark.spark import tables, twin_out
from synth_spark.spark.csv_text import CORRUPT
from synth_spark.spark.source import (
    NestedColumnError,
    NoSourceError,
    SameNameError,
    SourceFormatError,
    guess_format,
    open_source,
)
from synth_spark.spark.tables import (
    DiskFullError,
    NewerProtocolError,
    NoWriteError,
    TableTakenError,
)

ROWS = (
    "id,n,x,when,flag,code\n1,5,0.5,2024-01-02 03:04,true,007\n2,,1e3,2024-01-03 00:00,false,010\n"
)


def test_csv_gets_types_only_where_every_value_keeps_its_meaning(spark, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(ROWS)
    source = open_source(spark, str(file))
    assert source.types == {
        "id": "bigint",
        "n": "bigint",
        "x": "double",
        "when": "string",
        "flag": "boolean",
        "code": "string",
    }
    assert [tuple(r) for r in source.frame.select("n", "x", "code").collect()] == [
        (5, 0.5, "007"),
        (None, 1000.0, "010"),
    ]


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1,234,567.89", "-1,234", "12", "NA"], "double", [1234567.89, -1234.0, 12.0, None]),
        (["1,234,567", "0", "999"], "bigint", [1234567, 0, 999]),
        (["1,234", "2,500"], "string", ["1,234", "2,500"]),  # may be decimal commas
        (["123,456,789", "208"], "string", ["123,456,789", "208"]),  # may be lists of codes
        (["1,234,567", "1234"], "string", ["1,234,567", "1234"]),
        (["1,234,567", "1,23"], "string", ["1,234,567", "1,23"]),
        (["1,234,567", "007"], "string", ["1,234,567", "007"]),
    ],
)
def test_commas_between_thousands_are_read_where_no_value_gainsays(
    spark, tmp_path: Path, texts: list[str], kind: str, values: list[object]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,n\n" + "".join(f'{i},"{t}"\n' for i, t in enumerate(texts)))
    source = open_source(spark, str(file))
    assert source.types == {"id": "bigint", "n": kind}
    assert [r["n"] for r in source.frame.orderBy("id").collect()] == values


def test_a_line_with_too_many_fields_is_marked(spark, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4,5\n")
    rows = open_source(spark, str(tmp_path / "a.csv")).frame.collect()
    assert [r[CORRUPT] is None for r in rows] == [True, False]


@pytest.mark.parametrize("format", ["jsonl", "parquet", "delta", "csv"])
def test_every_format_is_told_by_its_contents(spark, tmp_path: Path, format: str) -> None:
    path = tmp_path / "data"
    if format == "delta":
        tables.write(spark.range(3).selectExpr("id", "cast(id AS double) x"), path)
    elif format == "parquet":
        pq.write_table(pa.table({"id": [0, 1, 2], "x": [0.0, 1.0, 2.0]}), path)
    else:
        lines = (
            ["id,x", "0,0.0", "1,1.0", "2,2.0"]
            if format == "csv"
            else [json.dumps({"id": i, "x": float(i)}) for i in range(3)]
        )
        path.write_text("\n".join(lines))
    assert guess_format(str(path)) == format
    source = open_source(spark, str(path))
    assert source.types == {"id": "bigint", "x": "double"}
    assert sorted(source.head(10)["x"].to_pylist()) == [0.0, 1.0, 2.0]


def test_what_cannot_be_read_is_refused_by_name(spark, tmp_path: Path) -> None:
    with pytest.raises(NoSourceError):
        open_source(spark, str(tmp_path / "none.csv"))
    (tmp_path / "head.csv").write_text("a,b\n")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    for name in ("head.csv", "empty.parquet"):
        with pytest.raises(EmptyTableError):
            open_source(spark, str(tmp_path / name))
    for name in ("torn.parquet", "noise"):
        with pytest.raises(SourceFormatError):
            open_source(spark, str(tmp_path / name))


def test_nested_and_binary_columns_are_named_and_may_be_left_out(spark, tmp_path: Path) -> None:
    table = pa.table({"a": [1], "b": [[1, 2]], "c": [b"x"], "d": [{"e": 1}]})
    pq.write_table(table, tmp_path / "n.parquet")
    with pytest.raises(NestedColumnError) as caught:
        open_source(spark, str(tmp_path / "n.parquet"))
    assert caught.value.facts["columns"] == ["b", "c", "d"]
    assert open_source(spark, str(tmp_path / "n.parquet"), drop=("b", "c", "d")).columns == ["a"]


def test_the_refusal_of_a_nested_column_says_which_flag_leaves_it_out(
    spark, tmp_path: Path
) -> None:
    (tmp_path / "n.jsonl").write_text('{"a": 1, "my place": {"b": 2}}\n')
    with pytest.raises(NestedColumnError, match="--drop 'my place'"):
        open_source(spark, str(tmp_path / "n.jsonl"))


@pytest.mark.parametrize("name", ["calls [1] {x}*.parquet", "50%20?.parquet"])
def test_signs_in_a_file_name_are_no_pattern(spark, tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / name)
    pq.write_table(pa.table({"a": [3]}), tmp_path / "calls 1 x.parquet")
    for place in (str(tmp_path / name), f"file://{tmp_path / name}"):
        assert sorted(open_source(spark, place).head(9)["a"].to_pylist()) == [1, 2]


def test_a_colon_in_a_path_is_named(spark, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), (tmp_path / "a:b.parquet").open("wb"))
    with pytest.raises(SourceFormatError, match="colon"):
        open_source(spark, str(tmp_path / "a:b.parquet"))


def test_a_column_may_be_called_as_spark_calls_its_bad_lines(spark, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("_corrupt_record,x\na,1\nb,2\n")
    (tmp_path / "a.jsonl").write_text('{"_corrupt_record": "a", "x": 1}\n{"x": 2}\n{torn\n')
    csv = open_source(spark, str(tmp_path / "a.csv"))
    assert csv.types == {"_corrupt_record": "string", "x": "bigint"}
    lines = open_source(spark, str(tmp_path / "a.jsonl"))
    assert lines.types == {"_corrupt_record": "string", "x": "bigint"}
    assert [r[CORRUPT] for r in lines.frame.collect()] == [None, None, "{torn"]


def test_whole_numbers_too_long_for_any_number_type_stay_text(spark, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n12345678901234567890,1.5\n12345678901234567891,2\n")
    source = open_source(spark, str(tmp_path / "a.csv"))
    assert source.types == {"a": "string", "b": "double"}


def test_a_table_at_an_address_is_written_and_found_by_spark_alone(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = f"file://{tmp_path / 'lake' / 'twin'}"
    monkeypatch.setattr(tables, "local_path", lambda _: None)  # as if it were s3a://
    monkeypatch.setattr(twin_out, "local_path", lambda _: None)
    source = open_source(spark, real(tmp_path))
    assert not tables.there(spark, far)
    twin_out.deliver(drawn(spark), SCHEMA, source, {"kind": "Kind of call"}, far)
    assert tables.there(spark, far)
    assert tables.read(spark, far).columns == source.columns


def test_names_that_differ_in_case_only_are_refused(spark, tmp_path: Path) -> None:
    pq.write_table(pa.table({"PID": [1], "Pid": [2]}), tmp_path / "n.parquet")
    with pytest.raises(SameNameError):
        open_source(spark, str(tmp_path / "n.parquet"))


def test_a_delta_table_of_a_newer_protocol_is_refused(spark, tmp_path: Path) -> None:
    tables.write(spark.range(3), tmp_path / "t")
    log = sorted((tmp_path / "t" / "_delta_log").glob("*.json"))[0]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line:
            line["protocol"] = {"minReaderVersion": 99, "minWriterVersion": 99}
    log.write_text("\n".join(json.dumps(line) for line in lines))
    for crc in (tmp_path / "t" / "_delta_log").glob("*.crc"):
        crc.unlink()
    for crc in (tmp_path / "t" / "_delta_log").glob(".*.crc"):
        crc.unlink()
    with pytest.raises(NewerProtocolError):
        open_source(spark, str(tmp_path / "t"))


# ---- the twin in the source's form --------------------------------------------------------------

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="id", kind="identifier"),
    time="when",
    columns=(
        Column(name="when", kind="time", source_type="timestamp_ntz"),
        Column(name="kind", kind="category"),
        Column(name="n", kind="number", source_type="smallint"),
        Column(name="day", kind="time", source_type="date"),
        Column(name="paid", kind="number", source_type="decimal(9,2)"),
        Column(name="flag", kind="category", source_type="boolean"),
    ),
)


def drawn(spark):
    """Two subjects with three rows in the form of a sampled table."""
    row = "_subject bigint, _event int, id string, `when` timestamp_ntz, kind string, n double, "
    row += "day timestamp_ntz, paid double, flag string"
    t = dt.datetime(2024, 1, 1, 12)
    rows = [
        (1, 0, "8", t, "b", 2.0, t, 10.25, "true"),
        (0, 1, "7", t, None, None, None, None, None),
        (0, 0, "7", t, "a", 3.0, t, 0.5, "false"),
    ]
    return spark.createDataFrame(rows, row).repartition(2)


def real(folder: Path) -> str:
    """A source whose types need care: nanoseconds, dictionaries, unsigned and decimal numbers."""
    t = dt.datetime(2020, 5, 5, 5, 5)
    table = pa.table(
        {
            "flag": pa.array([True, None]),
            "Kind of call": pa.array(["x", "y"]).dictionary_encode(),
            "id": pa.array([1, 2], pa.int64()),
            "n": pa.array([1, 200], pa.uint8()),
            "when": pa.array([t, t], pa.timestamp("ns")),
            "day": pa.array([t.date(), None], pa.date32()),
            "paid": pa.array([None, None], pa.decimal128(9, 2)),
        }
    )
    pq.write_table(table, folder / "real.parquet")
    return str(folder / "real.parquet")


def test_a_parquet_twin_has_the_columns_order_and_types_of_the_source(
    spark, tmp_path: Path
) -> None:
    source = open_source(spark, real(tmp_path))
    out = tmp_path / "twin.parquet"
    twin_out.deliver(drawn(spark), SCHEMA, source, {"kind": "Kind of call"}, out)
    found = pq.read_table(out)
    assert found.schema.equals(pq.read_schema(source.path))
    assert found["id"].to_pylist() == [7, 7, 8]
    assert found["n"].to_pylist() == [3, None, 2]
    assert found["Kind of call"].to_pylist() == ["a", None, "b"]
    assert [str(v) for v in found["paid"].to_pylist()] == ["0.50", "None", "10.25"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["real.parquet", "twin.parquet"]


def test_a_csv_twin_is_one_file_and_is_not_overwritten_unasked(spark, tmp_path: Path) -> None:
    source = open_source(spark, real(tmp_path))
    out = tmp_path / "twin.csv"
    twin_out.deliver(drawn(spark), SCHEMA, source, {"kind": "Kind of call"}, out)
    lines = out.read_text().splitlines()
    assert lines[0].replace('"', "") == "flag,Kind of call,id,n,when,day,paid"
    assert lines[1].startswith("false,")
    assert len(lines) == 4
    with pytest.raises(TableTakenError):
        twin_out.deliver(drawn(spark), SCHEMA, source, {"kind": "Kind of call"}, out)


def test_a_delta_twin_is_a_folder_with_the_names_of_the_source(spark, tmp_path: Path) -> None:
    source = open_source(spark, real(tmp_path))
    twin_out.deliver(drawn(spark), SCHEMA, source, {"kind": "Kind of call"}, tmp_path / "twin")
    found = tables.read(spark, tmp_path / "twin")
    assert found.columns == source.columns
    assert found.count() == 3


def test_a_place_below_a_file_is_refused_before_anything_is_written(spark, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = open_source(spark, real(tmp_path))
    with pytest.raises(NoWriteError):
        twin_out.deliver(
            drawn(spark),
            SCHEMA,
            source,
            {"kind": "Kind of call"},
            tmp_path / "file" / "twin.parquet",
        )
    with pytest.raises(NoWriteError):
        tables.create(spark.range(1), tmp_path / "file" / "t", {}, {})
    with pytest.raises(NoWriteError):
        tables.write(spark.range(1), tmp_path / "file" / "t")


def test_a_full_disk_leaves_the_table_as_it_was(spark, tmp_path: Path) -> None:
    tables.write(spark.range(10), tmp_path / "t")

    def full(batches):
        yield from batches
        raise OSError(28, "No space left on device")

    broken = spark.range(1000).mapInArrow(full, "id bigint")
    with pytest.raises(DiskFullError):
        tables.write(broken, tmp_path / "t")
    assert tables.read(spark, tmp_path / "t").count() == 10
    with pytest.raises(DiskFullError):
        twin_out.deliver(
            drawn_full(spark),
            SCHEMA,
            open_source(spark, real(tmp_path)),
            {"kind": "Kind of call"},
            tmp_path / "x.parquet",
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["real.parquet", "t"]


def drawn_full(spark):
    """A sampled table whose reading ends with a full disk."""
    frame = drawn(spark)

    def full(batches):
        yield from batches
        raise OSError(28, "No space left on device")

    return frame.mapInArrow(full, frame.schema)


def test_numbers_as_text_are_written_plainly(spark) -> None:
    frame = spark.createDataFrame([(3.0,), (2.5,), (None,)], "x double")
    made = twin_out._as_source(Column(name="x", kind="number"), "string", "UTC")
    assert [r[0] for r in frame.select(made).collect()] == ["3", "2.5", None]
