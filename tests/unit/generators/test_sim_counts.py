"""The aggregates, by hand on a handful of events."""

from __future__ import annotations

from functools import partial, reduce

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._sim_counts import Ask, second_state
from synth_spark.generators._sim_spans import first_state, merge_first

SCHEMA = Schema(
    family="cdr",
    shape="events",
    key=Column(name="subscriber_id", kind="identifier"),
    time="event_at",
    columns=(
        Column(name="event_at", kind="time"),
        Column(name="direction", kind="category"),
        Column(name="correspondent_id", kind="identifier", counterpart=True),
        Column(name="duration_s", kind="number"),
    ),
)
MONDAY = np.datetime64("2026-03-02", "us")
HOURS = [0.0, 1.0, 240.0, 5.0, 5.1]  # after Monday 0 h; two subjects with 3 and 2 events
RECORDS = Records(
    {
        "event_at": MONDAY + (np.array(HOURS) * 3_600e6).astype("timedelta64[us]"),
        "direction": Coded.of(["out", "in", "out", "out", "in"]),
        "correspondent_id": Coded.of(["x", "x", "y", "z", "z"]),
        "duration_s": np.array([np.e, 0.0, np.e**3, np.nan, np.e]),
    },
    np.array([0, 3, 5]),
)
ASK = Ask(
    schema=SCHEMA, start_us=int(MONDAY.astype(np.int64)), clock=np.arange(337.0),
    labels=("direction",), main="", groups=(), codecs={}, family="cdr", by_main={}, place="",
    place_codec=None, cells=(), active_h=336.0,
)  # fmt: skip


def test_the_first_pass_counts_the_week_and_how_long_subjects_are_seen() -> None:
    state = first_state(SCHEMA, RECORDS)
    assert np.flatnonzero(state["week"]).tolist() == [0, 1, 5, 72]  # 240 h: Thursday 0 h
    assert state["week"][5] == 2
    assert state["step"] == 360_000_000  # 5.1 h are 306 minutes
    subjects, days = state["spans"]
    # 3 events over 10 days: 10 * 4 / 2; 2 events over 0.1 h: 0.1 / 24 * 3 / 1
    assert subjects == 2
    assert days == pytest.approx(20.0 + 0.3 / 24)
    assert state["firsts"].tolist() == [2, 0, 0, 0, 0, 0, 0]


def test_parts_add_up_to_the_whole() -> None:
    parts = [RECORDS.take(np.array([i])) for i in range(2)]
    whole = first_state(SCHEMA, RECORDS)
    merged = reduce(merge_first, map(partial(first_state, SCHEMA), parts))
    for name in ("week", "spans", "firsts"):
        np.testing.assert_allclose(merged[name], whole[name])
    assert merged["step"] == whole["step"]


def test_the_second_pass_sums_logs_ranks_and_answers() -> None:
    sums = second_state(ASK, RECORDS)["sums"]
    there, good, logs, squares, subjects = sums["logs/duration_s"][:, 0]
    assert (there, good, subjects) == (4, 3, 2)
    assert (logs, squares) == (pytest.approx(1 + 3 + 1), pytest.approx(1 + 9 + 1))
    assert sums["ranks"][:3].tolist() == [4, 1, 0]  # x twice and z twice; y once
    assert sums["contacts"][:2].tolist() == [2, 3]
    # answers: x after an hour is too late, z after six minutes counts
    assert sums["answers"][:2].tolist() == [5, 1]
    assert sums["answers"][2] == pytest.approx(np.log(360.0))


def test_habits_count_agreeing_pairs_and_neighbours() -> None:
    pairs_agree, pairs, next_agree, nexts, subjects = second_state(ASK, RECORDS)["sums"][
        "habit/direction"
    ]
    # first subject: out, in, out: 2 ordered pairs agree of 6; second: none of 2
    assert (pairs_agree, pairs) == (2, 8)
    assert (next_agree, nexts, subjects) == (0, 3, 2)
