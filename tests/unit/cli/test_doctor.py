from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from synth_spark import doctor
from synth_spark.doctor import Check


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("no Java here", None),
    ],
)
def test_the_major_version_of_java_is_read_from_what_it_prints(
    text: str, major: int | None
) -> None:
    assert doctor.java_major(text) == major


def fake_java(folder: Path, version: str) -> None:
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)


@pytest.mark.parametrize(("version", "level"), [("11.0.2", "bad"), ("17.0.1", "good")])
def test_java_home_goes_before_the_path_and_an_old_java_is_bad(
    version: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    [check] = doctor.java()
    assert check.level == level
    assert str(tmp_path) in check.found
    assert bool(check.remedy) == (level == "bad")


def test_no_java_and_a_java_home_that_holds_none_are_bad_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    [missing] = doctor.java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    [wrong] = doctor.java()
    assert (missing.level, wrong.level) == ("bad", "bad")
    assert "JAVA_HOME" in missing.remedy


def test_a_jars_folder_without_deltas_jars_is_bad_and_with_them_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTH_SPARK_JARS", str(tmp_path))
    [before] = doctor.jars()
    for name in doctor.DELTA_JARS:
        (tmp_path / f"io.delta_{name}.jar").touch()
    [after] = doctor.jars()
    assert (before.level, after.level) == ("bad", "good")
    assert doctor.DELTA_JARS[0] in before.found


def test_the_doctor_wants_the_versions_that_the_session_wants() -> None:
    from synth_spark.spark import session

    assert doctor.JAVA_AT_LEAST == session.JAVA_AT_LEAST
    assert doctor.PINNED["delta-spark"] == session.DELTA_VERSION
    assert doctor.PINNED["pyspark"].startswith(session.SPARK_VERSION)
    assert doctor.jars_folder() == session.jars_folder()


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    [check] = doctor.disk(tmp_path / "a" / "b")
    assert check.level in {"good", "bad"}
    assert str(tmp_path) in check.found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_bad(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    [check] = doctor.disk(tmp_path)
    assert check.level == "bad"


def test_a_program_that_fails_is_reported_with_its_last_line() -> None:
    answer, trouble = doctor._ask("raise ValueError('broken build')")
    assert answer is None
    assert trouble.endswith("ValueError: broken build")


def test_one_bad_check_makes_status_2_and_a_note_does_not() -> None:
    note, bad = Check("GPUs", "note", "none"), Check("Java", "bad", "none", "install it")
    assert doctor.exit_code([note]) == 0
    assert doctor.exit_code([note, bad]) == 2
    assert json.loads(doctor.to_json([note, bad]))["ready"] is False


def test_the_table_prints_every_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.show([Check("Java", "bad", "none", "install [it]"), Check("cores", "good", "2")])
    assert "Java: install [it]" in capsys.readouterr().out
