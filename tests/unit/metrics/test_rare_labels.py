"""Rare labels: rates against the real ones, by counts that were worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import Score
from synth_spark.core.schema import Column, Schema
from synth_spark.metrics import _example as example
from synth_spark.metrics._view import Seen, learn_view
from synth_spark.metrics.base import ALL
from synth_spark.metrics.rare_labels import RareLabels
from synth_spark.pipelines.evaluate import evaluate
from synth_spark.report import render, words

FLAT = Schema(family="table", shape="flat", columns=(Column(name="mark", kind="category"),))


def marks(rows: int, **counts: int) -> Records:
    texts = [label for label, n in counts.items() for _ in range(n)]
    return Records.flat({"mark": Coded.of([*texts, *["no"] * (rows - len(texts))])})


def scored(schema: Schema, real: Records, made: Records) -> dict[str, Score]:
    view = learn_view(schema, real, 0)
    states = (RareLabels.state(Seen(view, r)) for r in (real, made))
    return {s.item: s for s in RareLabels.score(view, *states)}


def only_off(score: Score) -> dict[str, Any]:
    (found,) = score.detail["labels off"]
    return dict(found)


def test_a_class_of_one_in_a_thousand_at_half_its_rate_is_off_and_said_by_how_much() -> None:
    found = scored(FLAT, marks(100_000, yes=100), marks(400_000, yes=200))
    assert found[ALL].value == 1.0
    off = {"label": "mark = yes", "ratio": 0.5, "standard_error": 0.112, "real": 100, "made": 200}
    assert only_off(found["mark"]) == off  # 400 were expected; the error is (1/100 + 1/400)**.5


@pytest.mark.parametrize(("made", "is_off"), [(81, False), (79, True), (119, False), (121, True)])
def test_twenty_per_cent_are_allowed_where_the_count_tells_more_finely(
    made: int, is_off: bool
) -> None:
    found = scored(FLAT, marks(100_000, yes=1_000), marks(100_000, yes=10 * made))
    assert found[ALL].value == float(is_off)  # two errors are 2 * (2 / 1,000)**.5 = .089


@pytest.mark.parametrize(("made", "is_off"), [(11, False), (10, True), (39, False), (40, True)])
def test_two_standard_errors_are_allowed_where_there_are_few_rows(made: int, is_off: bool) -> None:
    found = scored(FLAT, marks(10_000, yes=25), marks(10_000, yes=made))
    assert found[ALL].value == float(is_off)  # two errors are 2 * (2 / 25)**.5 = .566: 14.1 rows


def test_a_label_that_is_missing_altogether_is_counted_as_such() -> None:
    found = scored(FLAT, marks(10_000, yes=50, maybe=50), marks(10_000, yes=50))
    assert found[ALL].value == 0.5
    summary = found[ALL].detail["synthetic"]
    assert (summary["labels"], summary["off"], summary["missing"]) == (2, 1, 1)
    assert (summary["median_ratio"], summary["worst_ratio"]) == (0.5, 0.0)
    assert only_off(found[ALL])["label"] == "mark = maybe"


def test_labels_above_one_in_a_hundred_or_of_fewer_than_five_rows_are_not_judged() -> None:
    real = marks(10_000, often=101, once=4)
    found = scored(FLAT, real, marks(10_000))
    assert found[ALL].value is None
    assert found[ALL].why == "no label is rare"


def test_a_table_in_which_a_missing_label_would_be_no_surprise_is_not_judged() -> None:
    found = scored(FLAT, marks(10_000, yes=10), marks(4_000, yes=0))  # error (1/10 + 1/4)**.5 = .59
    assert found[ALL].value is None
    assert found[ALL].why == "the tables are too small to tell a rare rate"
    assert found[ALL].detail["too few rows for"] == 1
    assert scored(FLAT, marks(10_000, yes=10), marks(10_000, yes=0))[ALL].value == 1.0  # .45


def weeks(faults: list[int], subjects: int, events: int = 100) -> Records:
    """Subjects of so many events each; the first ones have so many faults in a row."""
    kinds = [["fault"] * n + ["call"] * (events - n) for n in faults]
    kinds += [["call"] * events] * (subjects - len(faults))
    rows = subjects * events
    columns: dict[str, Any] = {
        "at": example.START + np.arange(rows) * np.timedelta64(60, "s"),
        "kind": Coded.of([k for subject in kinds for k in subject]),
        "length_s": np.ones(rows),
    }
    return Records(columns, np.arange(0, rows + 1, events))


def test_faults_that_come_in_bursts_have_the_larger_error_of_bursts() -> None:
    real = weeks([10] * 32, 400)  # 320 of 40,000 events, ten by ten: error (10 * 2 / 320)**.5
    found = scored(example.EVENTS, real, weeks([10] * 17, 400))
    assert found["kind"].value == 0.0  # .53 of the rate, and two errors are .5
    single = scored(example.EVENTS, weeks([1] * 320, 400), weeks([1] * 170, 400))
    assert single["kind"].value == 1.0  # the same counts, one by one: two errors are .16


def test_a_column_of_the_subject_counts_once_a_subject() -> None:
    columns = (
        *example.EVENTS.columns,
        Column(name="plan", kind="category", per="subject"),
    )
    schema = Schema(
        family="events", shape="events", columns=columns, key=example.EVENTS.key, time="at"
    )

    def with_plan(rare: int) -> Records:
        plain = weeks([], 4_000, 3)
        plans = np.repeat(["gold"] * rare + ["basic"] * (4_000 - rare), 3)
        return Records({**plain.columns, "plan": Coded.of(plans.tolist())}, plain.offsets)

    found = scored(schema, with_plan(20), with_plan(5))
    assert found["plan"].rows == (4_000, 4_000)
    off = only_off(found["plan"])
    assert (off["real"], off["made"], off["ratio"]) == (20, 5, 0.25)
    assert off["standard_error"] == pytest.approx(0.1**0.5, abs=5e-4)


def test_the_report_names_the_label_and_by_how_much_it_fails_beside_the_floor() -> None:
    tables = {
        "train": marks(50_000, yes=50),
        "holdout": marks(50_000, yes=55),
        "synthetic": marks(50_000, yes=13),
        "independent": marks(50_000, yes=50),
    }
    found = evaluate(FLAT, {name: Local(t, parts=2) for name, t in tables.items()})  # type: ignore[misc]
    line = found.line("rare_labels")
    assert line is not None
    assert (line.value, line.floor, line.independence) == (1.0, 0.0, 0.0)
    assert line.detail["holdout"]["worst_ratio"] == 1.1
    said = [text for _, text in words.verdict(found).points if text.startswith("Rare labels")]
    assert said == [
        "Rare labels: 1 of 1 come too often or too seldom, mark = yes at 0.26 of its rate; "
        "of a real holdout's 0 of 1."
    ]
    page = render(found, {})
    assert '<section id="rare">' in page
    assert "<td>mark = yes</td><td>0.26</td><td>0.20</td><td>50</td><td>13</td>" in page


@pytest.mark.parametrize("held", [None, 60])
def test_the_report_is_written_where_the_holdout_tells_no_rare_rate(held: int | None) -> None:
    """There is none, or of 60 rows with one of the label nothing can be said."""
    tables = {"train": marks(50_000, yes=50), "synthetic": marks(50_000, yes=13)}
    if held:
        tables["holdout"] = marks(held, yes=1)
    found = evaluate(FLAT, {name: Local(t) for name, t in tables.items()})  # type: ignore[misc]
    line = found.line("rare_labels")
    assert line is not None
    assert "holdout" not in line.detail
    page = render(found, {})
    assert "mark = yes" in page
    assert "Of a real holdout" not in page


def test_the_report_says_nothing_of_rare_labels_where_all_are_right() -> None:
    table = marks(50_000, yes=50)
    found = evaluate(FLAT, {n: Local(table) for n in ("train", "holdout", "synthetic")})  # type: ignore[misc]
    assert not any("Rare labels" in text for _, text in words.verdict(found).points)


def test_a_fresh_real_table_is_off_no_more_often_than_one_label_in_twenty() -> None:
    """Two draws of one population of 900 rare labels; one in twenty, give or take five errors."""
    rng = np.random.default_rng(3)
    labels = np.array([f"cell {k:03d}" for k in range(900)], object)
    share = rng.uniform(0.5, 2.0, 900)
    draws = [rng.choice(labels, 40_000, p=share / share.sum()) for _ in range(2)]
    real, fresh = (Records.flat({"mark": Coded.of(d.tolist())}) for d in draws)
    head = scored(FLAT, real, fresh)[ALL]
    assert head.detail["synthetic"]["labels"] > 850
    assert head.value is not None
    assert 0.01 < head.value < 0.085
