"""What is looked at before a session starts, without starting one."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark.spark.session import (
    JarsError,
    JavaError,
    SparkVersionError,
    _check_version,
    _cores,
    _submitted,
    delta_jars,
    driver_memory_mb,
    java_version,
)


def java_that_says(folder: Path, text: str) -> str:
    """A Java home whose `java -version` prints a text."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "java"
    script.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    script.chmod(0o755)
    return str(folder)


def test_java_that_is_missing_or_too_old_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    with pytest.raises(JavaError):
        java_version()
    monkeypatch.setenv("JAVA_HOME", java_that_says(tmp_path, 'openjdk version "1.8.0_392"'))
    with pytest.raises(JavaError) as caught:
        java_version()
    assert caught.value.facts["version"] == 8


def test_java_17_passes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(
        "JAVA_HOME", java_that_says(tmp_path, 'openjdk version "17.0.15" 2025-04-15')
    )
    assert java_version() == 17


def test_missing_jars_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SYNTH_SPARK_JARS", str(tmp_path))
    (tmp_path / "io.delta_delta-storage-4.4.0.jar").touch()
    with pytest.raises(JarsError) as caught:
        delta_jars()
    assert caught.value.facts["missing"] == ["delta-spark_4.2_2.13-4.4.0"]


def test_another_spark_is_refused() -> None:
    _check_version("4.2.0")
    with pytest.raises(SparkVersionError):
        _check_version("4.3.0")


def test_the_size_of_the_machine_is_read() -> None:
    assert _cores("local[3]") == 3
    assert _cores("local-cluster[2,1,1024]") == 2
    assert _cores("local[*]") >= 1
    assert 1024 <= driver_memory_mb() <= 4096


@pytest.mark.parametrize(("remote", "elsewhere"), [("local[2]", False), ("sc://host:15002", True)])
def test_a_connect_server_on_this_machine_is_started_with_our_settings(
    monkeypatch: pytest.MonkeyPatch, remote: str, elsewhere: bool
) -> None:
    for word in ("SPARK_ENV_LOADED", "DATABRICKS_RUNTIME_VERSION", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(word, raising=False)
    monkeypatch.setenv("SPARK_REMOTE", remote)
    assert _submitted() is elsewhere
