from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.survey import Survey, survey_state
from synth_spark.core.batch import Records
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._flat_fields import fields_of, join, split

SCHEMA = Schema(
    family="table", shape="flat", columns=(Column(name="at", kind="number", source_type="bigint"),)
)
MINUTES = np.arange(0, 1_441, 7.0)


def of(values):
    records = Records.flat({"at": values})
    survey = Survey.of(survey_state(SCHEMA, records), SCHEMA)
    return records, fields_of(SCHEMA, survey, records)


def written(minutes, second=None):
    """Clock times digit by digit, NaN where missing."""
    out = []
    for i, m in enumerate(minutes):
        text = "" if np.isnan(m) else f"{int(m) // 60:02d}{int(m) % 60:02d}"
        out.append(float(text + (second[i] if second else "")) if text else np.nan)
    return np.array(out)


def test_hours_and_minutes_are_drawn_as_minutes_since_midnight():
    values = written(np.append(MINUTES, np.nan))
    records, fields = of(values)
    assert [f.part for f in fields] == ["hhmm"]
    apart = split(SCHEMA, fields, records)
    np.testing.assert_array_equal(apart["at#hhmm"], np.append(MINUTES, np.nan))
    np.testing.assert_array_equal(join(SCHEMA, fields, apart)["at"], values)


def test_hours_minutes_and_seconds_are_drawn_as_seconds_since_midnight():
    values = written(MINUTES, [f"{i % 60:02d}" for i in range(len(MINUTES))])
    records, fields = of(values)
    assert [f.part for f in fields] == ["hhmmss"]
    apart = split(SCHEMA, fields, records)
    np.testing.assert_array_equal(apart["at#hhmmss"], MINUTES * 60 + np.arange(len(MINUTES)) % 60)
    np.testing.assert_array_equal(join(SCHEMA, fields, apart)["at"], values)


def test_a_drawn_clock_has_no_sixtieth_minute_and_stays_within_the_day():
    _, fields = of(written(MINUTES))
    drawn = join(SCHEMA, fields, {"at#hhmm": np.array([-3.0, 59.6, 119.4, 1_500.0, np.nan])})["at"]
    np.testing.assert_array_equal(drawn, [0, 100, 159, 2_400, np.nan])


@pytest.mark.parametrize(
    "values",
    [
        np.arange(0, 2_360.0),  # 60 to 99 occur
        np.arange(0, 59.0),  # no hour
        written(MINUTES) / 10,
        written(MINUTES) - 5,
        np.append(written(MINUTES), 9_900.0),
    ],
)
def test_other_numbers_stay_as_they_are(values):
    assert [f.part for f in of(values)[1]] == [""]
