"""The source, the twin and the run folder must lie apart; found out before Spark starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark import app
from synth_spark.app import SamePlaceError, TwinTakenError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "table"
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "precious").write_text("rows")
    return folder


def refused(data: Path, out: Path, run_folder: Path | None = None) -> None:
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


def test_what_is_there_is_not_replaced_unasked(table: Path, tmp_path: Path) -> None:
    (tmp_path / "twin.csv").write_text("old")
    with pytest.raises(TwinTakenError):
        app.twin(table, tmp_path / "twin.csv", generator="independent")
