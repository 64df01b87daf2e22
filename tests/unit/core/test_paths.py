"""Places on this machine and addresses elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_spark.core.paths import address, exact, local_path, plain, stem


@pytest.mark.parametrize(
    ("place", "local"),
    [
        ("calls.csv", "calls.csv"),
        ("/data/calls", "/data/calls"),
        ("file:/data/a b", "/data/a b"),
        ("file:///data/calls", "/data/calls"),
        ("file://localhost/data/calls", "/data/calls"),
        ("s3a://bucket/calls", None),
        ("hdfs:///calls", None),
    ],
)
def test_a_place_is_here_or_an_address(place: str, local: str | None) -> None:
    assert local_path(place) == (None if local is None else Path(local))
    assert plain(place) == (local or place)
    assert address(place) == (place if local is None else f"file:{Path(local).absolute()}")


def test_the_name_of_a_place_has_no_ending() -> None:
    places = ["a/calls.parquet", "file:///x/calls.csv", "s3a://bucket/calls/", Path("calls")]
    assert [stem(p) for p in places] == ["calls"] * 4


def test_signs_that_would_be_a_pattern_are_escaped_here_and_kept_in_an_address() -> None:
    assert exact("/a b/[1]{x}*?.csv") == "file:/a b/\\[1\\]\\{x\\}\\*\\?.csv"
    assert exact("s3a://bucket/day=*/") == "s3a://bucket/day=*/"
