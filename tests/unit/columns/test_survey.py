from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.survey import Survey, merge_surveys, survey_state, surveyed, values_of
from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.errors import EmptyTableError

SCHEMA = Schema(
    family="cdr",
    shape="events",
    key=Column(name="who", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time"),
        Column(name="plan", kind="category", per="subject"),
        Column(name="used", kind="number"),
    ),
)
TIMES = np.array(["2024-01-01T10", "2024-01-02T09", "NaT", "2024-03-01T00"], "datetime64[us]")
RECORDS = Records(
    {
        "at": TIMES,
        "plan": Coded.of(["a", "a", "a", "b"]),
        "used": np.array([1.0, 2.0, np.nan, 2.0]),
    },
    np.array([0, 3, 4]),
)


def test_counts_are_right_and_parts_merge():
    parts = [loads(dumps(survey_state(SCHEMA, RECORDS.take(np.array([i]))))) for i in (0, 1)]
    for state in (survey_state(SCHEMA, RECORDS), merge_surveys(*parts)):
        survey = Survey.of(state, SCHEMA)
        assert (survey.subjects, survey.rows, survey.longest, survey.mean_length) == (2, 4, 3, 2.0)
        assert survey.lengths.tolist() == [1, 3]
        assert survey.counts.tolist() == [1, 1]
        first, last, known, missing = survey.spans["at"]
        assert (first, last) == (int(TIMES[0].astype(int)), int(TIMES[3].astype(int)))
        assert (known, missing) == (3, 1)


def test_a_subjects_own_column_counts_once_a_subject():
    state = survey_state(SCHEMA, RECORDS)["columns"]["plan"]
    assert (state["labels"], state["rows"].tolist()) == (["a", "b"], [1, 1])


def test_the_codec_of_a_column_is_at_hand():
    survey = Survey.of(survey_state(SCHEMA, RECORDS), SCHEMA)
    assert survey.codec("plan", min_subjects=1).labels == ("a", "b")


def test_a_place_is_surveyed_as_a_pair():
    schema = Schema(
        family="location",
        shape="flat",
        columns=(Column(name="lat", kind="place", partner="lon"), Column(name="lon", kind="place")),
    )
    records = Records.flat({"lat": np.array([1.0, 2.0]), "lon": np.array([3.0, 4.0])})
    assert [c.name for c in surveyed(schema)] == ["lat"]
    assert values_of(schema.columns[0], records).tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_long_subjects_do_not_widen_the_histogram():
    lengths = np.arange(1_000, 3_000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    schema = Schema(family="events", shape="events", columns=())
    state = survey_state(schema, Records({}, offsets))
    assert len(state["lengths"]) == 200  # to three digits
    assert state["counts"].sum() == len(lengths)


def test_no_rows_is_an_error():
    with pytest.raises(EmptyTableError):
        Survey.of(None, SCHEMA)
