"""Compiled kernels are kept where they can be, and never outlive their source."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark import generators


def test_a_changed_source_gets_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "kernel.py").write_text("a = 1")
    first = generators._cache_folder()
    assert generators._cache_folder() == first
    (tmp_path / "kernel.py").write_text("a = 2")
    assert generators._cache_folder() != first
    assert first.stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    folder = generators._cache_folder()
    assert folder.is_dir()
    folder.rmdir()
