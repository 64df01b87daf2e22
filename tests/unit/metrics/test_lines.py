"""Metrics of log lines, against values found by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.shelf import METRICS
from synth_spark.metrics import _example as example
from synth_spark.metrics._view import Seen, learn_view
from synth_spark.metrics.base import ALL


def logs(*subjects: list[str]) -> Records:
    lines = [x for s in subjects for x in s]
    at = example.START + np.arange(len(lines)) * np.timedelta64(1_000_000, "us")
    ends = np.cumsum([0, *map(len, subjects)]).astype(np.int64)
    return Records({"at": at, "line": Coded.of(lines)}, ends)


TRAIN = logs(*(["up in 5 s", f"load {k} %", "down"] for k in range(6)))
VIEW = learn_view(example.LINES, TRAIN, 0)


def value(metric: str, made: Records) -> float | None:
    kind = METRICS.get(metric)
    real, other = (kind.state(Seen(VIEW, r)) for r in (TRAIN, made))
    return kind.score(VIEW, real, other)[0].value


def test_shares_of_templates_count_whatever_the_parameters() -> None:
    same = logs(*(["up in 77 s", "load 1 %", "down"] for _ in range(4)))
    assert value("line_shares", same) == pytest.approx(0.0)
    assert value("line_shares", logs(["down", "down"], ["load 3 %", "down"])) == pytest.approx(
        # real 1/3 each; made: down 3/4, load 1/4
        (1 / 3 + 5 / 12 + 1 / 12) / 2
    )


def test_order_counts_pairs_within_a_subject_only() -> None:
    turned = logs(*(["down", "load 1 %", "up in 2 s"] for _ in range(4)))
    assert value("line_shares", turned) == pytest.approx(0.0)
    assert value("line_order", turned) == pytest.approx(1.0)
    # three pairs: up-load twice, load-down once; real: half and half
    half = logs(["up in 1 s", "load 1 %"], ["up in 1 s", "load 1 %", "down"])
    assert value("line_order", half) == pytest.approx(1 / 6)


def test_lines_of_other_words_or_types_cannot_be_read() -> None:
    made = logs(["up in 5 s", "load high %"], ["up in a while", "down"])
    assert value("line_types", made) == pytest.approx(0.5)


def test_missing_lines_are_one_more_template_and_take_no_part_in_reading() -> None:
    made = logs(["down", "down"], ["down", "down"])
    line = made.columns["line"]
    assert isinstance(line, Coded)
    gone = Records(
        {**made.columns, "line": Coded(np.array([0, 0, 0, -1], np.int32), line.labels)},
        made.offsets,
    )
    assert value("line_types", gone) == pytest.approx(1.0)
    assert value("line_shares", gone) == pytest.approx((5 / 12 + 1 / 3 + 1 / 3 + 1 / 4) / 2)


def test_tables_without_lines_are_not_asked() -> None:
    assert METRICS.get("line_order").fits(example.LINES)
    assert not METRICS.get("line_order").fits(example.EVENTS)
    assert not METRICS.get("line_order").fits(replace(example.LINES, shape="flat"))
    assert METRICS.get("line_shares").fits(replace(example.LINES, shape="flat"))


def test_the_headline_names_why_there_is_no_number() -> None:
    score = METRICS.get("line_shares").score(replace(VIEW, templates={}), {}, {})[0]
    assert (score.item, score.value, score.why) == (ALL, None, "no column of log lines")
