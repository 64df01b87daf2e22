"""The run folder knows what is complete, under which plan, and what is ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synth_spark.pipelines.folder import (
    BusyRunError,
    FolderError,
    NotARunError,
    NothingToResumeError,
    OtherPlanError,
    RunFolder,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.open("name: x\n")
    return run


def test_a_complete_step_is_resumed_under_its_plan_only(folder: RunFolder) -> None:
    assert not folder.resumable("ingest", "a")
    folder.complete("ingest", "a", 1.0, {"rows_in": 3})
    assert folder.resumable("ingest", "a")
    assert folder.need("ingest", "a") == {"rows_in": 3}
    with pytest.raises(OtherPlanError):
        folder.resumable("ingest", "b")


def test_a_step_that_was_not_done_is_named(folder: RunFolder) -> None:
    with pytest.raises(NothingToResumeError, match="fit"):
        folder.need("fit", "a")


def test_forgetting_a_step_makes_it_incomplete(folder: RunFolder) -> None:
    folder.complete("fit", "a", 1.0, {})
    folder.forget(["fit", "sample"])
    assert folder.step("fit") is None


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotARunError):
        RunFolder(tmp_path).open("")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


HOLDER = """
import os, signal, sys
from pathlib import Path
from synth_spark.pipelines.folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    signal.pause()
"""


def test_a_folder_is_one_runs_at_a_time_and_free_when_that_is_killed(folder: RunFolder) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyRunError, match=f"process {other.pid} on"), folder.locked():
            pass
        other.kill()
    with folder.locked():
        pass


def test_what_is_refused_before_there_is_a_plan_leaves_no_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new" / "run")
    with pytest.raises(FolderError, match="x"), run.occupied():
        raise FolderError("x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_in_an_empty_folder_leaves_it_empty(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="x"), RunFolder(tmp_path).occupied():
        raise FolderError("x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_once_there_is_a_plan_keeps_its_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")

    def refused() -> None:
        with run.occupied():
            run.open("name: x\n")
            raise FolderError("x")

    with pytest.raises(FolderError, match="x"):
        refused()
    assert (run.path / "plan.yaml").read_text() == "name: x\n"


def test_what_is_refused_in_a_runs_folder_leaves_that_run_alone(folder: RunFolder) -> None:
    folder.complete("ingest", "a", 1.0, {"rows_in": 3})
    with pytest.raises(FolderError, match="x"), folder.occupied():
        raise FolderError("x")
    assert folder.need("ingest", "a") == {"rows_in": 3}


def test_a_twin_put_aside_by_a_run_that_was_killed_is_back_at_the_next(folder: RunFolder) -> None:
    folder.complete("sample", "a", 1.0, {"rows": 3})
    (folder.path / "twin").mkdir()
    killed = folder.replaced()
    killed.__enter__()
    assert folder.step("sample") is None
    assert not (folder.path / "twin").exists()
    with folder.occupied():
        assert folder.need("sample", "a") == {"rows": 3}
        assert (folder.path / "twin").is_dir()
    assert not (folder.path / ".before").exists()


def test_fitting_again_drops_the_plans_of_later_steps(folder: RunFolder) -> None:
    folder.write_plan("sample", "name: one\n")
    assert (folder.path / "plan.yaml").read_text() == "name: x\n"
    folder.write_plan("fit", "name: two\n")
    assert (folder.path / "plan.yaml").read_text() == "name: two\n"
    folder.forget(("fit", "sample", "evaluate"))
    assert not (folder.path / "sample-plan.yaml").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError):
        RunFolder(tmp_path / "file" / "run").open("")
