"""The in-memory engine answers as Spark does: from parts, through the wire."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Records
from synth_spark.core.local import Local, bounded_sample
from synth_spark.core.ports import Fold, Take, Train, learn


def rows(records: Records) -> dict[str, int]:
    return {"rows": records.rows}


def added(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {"rows": left["rows"] + right["rows"]}


def some(subjects: int, each: int) -> Records:
    offsets = np.arange(subjects + 1, dtype=np.int64) * each
    return Records({"x": np.arange(subjects * each, dtype=float)}, offsets)


def test_a_story_gets_its_answers_in_turn() -> None:
    def story():
        counted = yield Fold(rows, added)
        sample = yield Take(subjects=3, rows=100)
        return counted["rows"], sample.subjects

    assert learn(story(), Local(some(10, 2), parts=4)) == (20, 3)


def test_a_fold_over_no_subjects_is_none() -> None:
    assert Local(some(0, 1)).answer(Fold(rows, added)) is None


def test_a_sample_holds_both_bounds_and_whole_subjects() -> None:
    sample = bounded_sample(some(50, 4), subjects=20, rows=30, seed=1)
    assert (sample.subjects, sample.rows) == (7, 28)
    starts = sample.columns["x"].reshape(7, 4)
    np.testing.assert_array_equal(np.diff(starts, axis=1), 1.0)


def test_all_subjects_come_when_they_fit() -> None:
    assert bounded_sample(some(5, 2), subjects=5, rows=10, seed=1).subjects == 5


def test_the_seed_reaches_the_training() -> None:
    seen = []

    def train(request: Train, records: Records, seed: int) -> None:
        seen.append((request, records.subjects, seed))

    asked = Train(lambda records: records, None)
    Local(some(5, 2), seed=7, train=train).answer(asked)
    assert seen == [(asked, 5, 7)]
