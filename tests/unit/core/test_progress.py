"""Progress lines and their JSON twin."""

from __future__ import annotations

import json

from synth_spark.core.progress import Log, Progress


def half() -> Progress:
    return Progress(
        stage="sample", done=500, total=1000, of="rows", elapsed_s=10.0, numbers={"waves": 2.0}
    )


def test_a_line_shows_pace_and_remaining_time_within_100_characters() -> None:
    line = half().line()
    assert all(part in line for part in ("50 rows/s", "10 s left", " 50%"))
    assert len(line) <= 100


def test_large_numbers_are_written_out() -> None:
    numbers = {"per_s": 29641.7, "valid_nats": 10.8168}
    line = Progress(
        stage="fit", done=1, total=2, of="epochs", elapsed_s=1.0, numbers=numbers
    ).line()
    assert line.endswith("per_s 29,642  valid_nats 10.82")


def test_nothing_is_promised_before_the_first_unit() -> None:
    assert Progress(stage="fit", done=0, total=9, of="epochs", elapsed_s=3.0).left_s is None


def test_the_file_holds_one_object_a_line(tmp_path, capsys) -> None:
    log = Log(tmp_path / "progress.jsonl", quiet=True)
    log(half())
    log(half())
    lines = [json.loads(x) for x in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [x["done"] for x in lines] == [500, 500]
    assert lines[0]["left_s"] == 10.0
    assert capsys.readouterr().err == ""
