"""The source, the twin and the run folder must lie apart; found out before Spark starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark import app
from synth_spark.app import TwinTakenError
from synth_spark.config import plan_from
from synth_spark.pipelines.folder import BusyRunError, FolderError, RunFolder
from synth_spark.places import SamePlaceError
from synth_spark.spark.twin_out import FarFileError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "table"
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "precious").write_text("rows")
    return folder


def refused(data: str | Path, out: str | Path, run_folder: Path | None = None) -> None:
    with pytest.raises(SamePlaceError):
        app.twin(data, out, generator="independent", run_folder=run_folder, overwrite=True)


def test_the_source_is_never_written_over(table: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(table)
    refused(table, table)
    refused(table, link)
    refused(table, tmp_path / "table" / ".." / "table")
    refused(table, table / "twin.parquet")
    refused(table / "precious", table)
    refused(table, tmp_path / "out.parquet", run_folder=table)
    refused(table, tmp_path / "out.parquet", run_folder=table / "run")
    refused(table, tmp_path / "out.parquet", run_folder=tmp_path)
    assert sorted(p.name for p in table.iterdir()) == ["_delta_log", "precious"]


def test_a_twin_named_like_its_run_folder_is_refused(table: Path, tmp_path: Path) -> None:
    refused(table, tmp_path / "twin.run")


def test_the_source_is_known_by_its_address_too(table: Path, tmp_path: Path) -> None:
    refused(table.as_uri(), table)
    refused(table, f"file:{table}/twin.parquet")
    refused(f"file://localhost{table}", tmp_path / "out.parquet", run_folder=tmp_path)
    refused("s3a://lake/calls", "s3a://lake/calls", run_folder=tmp_path / "run")
    refused("s3a://lake/calls", "s3a://lake/calls/twin", run_folder=tmp_path / "run")


def test_a_run_folder_that_only_spark_reaches_is_refused(table: Path) -> None:
    with pytest.raises(FolderError, match="s3a://lake/run"):
        app.twin(table, "s3a://lake/twin", generator="independent", run_folder="s3a://lake/run")


def test_one_file_is_not_written_where_only_spark_writes(table: Path, tmp_path: Path) -> None:
    with pytest.raises(FarFileError, match=r"s3a://lake/twin\.parquet"):
        app.twin(
            table, "s3a://lake/twin.parquet", generator="independent", run_folder=tmp_path / "run"
        )


def test_the_twin_of_a_run_that_is_resumed_may_be_there(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "twin.csv"
    folder = RunFolder(tmp_path / "twin.run")
    folder.open(plan_from({"sample": {"out": str(out)}}).to_yaml())
    out.write_text("written before the run was stopped")
    with pytest.raises(TwinTakenError):
        app.twin(table, out, generator="independent")
    with folder.locked(), pytest.raises(BusyRunError):  # as far as that: it was not refused
        app.twin(table, out, generator="independent", resume="if-possible")


def test_what_is_there_is_not_replaced_unasked(table: Path, tmp_path: Path) -> None:
    (tmp_path / "twin.csv").write_text("old")
    with pytest.raises(TwinTakenError):
        app.twin(table, tmp_path / "twin.csv", generator="independent")


def test_a_twin_that_would_replace_a_table_of_the_run_is_refused(
    table: Path, tmp_path: Path
) -> None:
    for name in ("twin", "histories"):
        with pytest.raises(SamePlaceError, match="of the run itself"):
            app.twin(table, tmp_path / "run" / name, run_folder=tmp_path / "run")
