"""The first pass of a simulation: the survey, the week, and how long subjects are seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.survey import merge_surveys, survey_state
from synth_spark.columns.time import DAY_US, precision_us
from synth_spark.core.batch import Records
from synth_spark.core.schema import Schema
from synth_spark.generators._sim_facts import MONDAY
from synth_spark.generators._sim_params import HOURS_OF_WEEK

State = dict[str, Any]


def first_state(schema: Schema, records: Records) -> State:
    """The survey of all columns, the week, and the step of the times."""
    state: State = {"survey": survey_state(schema, records)}
    if schema.time:
        us = stamps(schema, records)
        hour = (us // 3_600_000_000 - int(MONDAY.astype(int))) % HOURS_OF_WEEK
        state["week"] = np.bincount(hour, minlength=HOURS_OF_WEEK)
        state["step"] = precision_us(us % DAY_US)
        state["spans"], state["firsts"] = _spans(us, records)
    return state


def merge_first(left: State, right: State) -> State:
    """The state of two parts."""
    merged: State = {"survey": merge_surveys(left["survey"], right["survey"])}
    if "week" in left:
        merged["week"] = left["week"] + right["week"]
        merged["spans"] = left["spans"] + right["spans"]
        merged["firsts"] = left["firsts"] + right["firsts"]
        merged["step"] = math.gcd(int(left["step"]), int(right["step"]))
    return merged


def _spans(us: NDArray[np.int64], records: Records) -> tuple[Any, Any]:
    """Subjects with several events and the sum of their times in days; weekdays of first events.

    n events spread evenly over a time leave (n - 1) / (n + 1) of it between the first and the last.
    """
    there = records.lengths > 0
    n = records.lengths[there]
    low, high = us[records.offsets[:-1][there]], us[records.offsets[1:][there] - 1]
    more = n > 1
    days = ((high - low) / DAY_US)[more] * (n[more] + 1) / (n[more] - 1)
    return (
        np.array([len(days), float(days.sum())]),
        np.bincount((low // DAY_US - 4) % 7, minlength=7),
    )


def stamps(schema: Schema, records: Records) -> NDArray[np.int64]:
    """The events' times, microseconds since 1970; missing ones stand at the start."""
    values = np.asarray(records.columns[schema.time]).astype("datetime64[us]")
    return np.asarray(np.where(np.isnat(values), 0, values.astype(np.int64)))
