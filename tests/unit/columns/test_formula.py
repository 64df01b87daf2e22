"""Columns that are computed from others are found, left out and put back exactly."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from synth_spark.columns._calendar import WRITTEN
from synth_spark.columns._determined_search import determined, search
from synth_spark.columns.determined import Determined
from synth_spark.columns.formula import Formula
from synth_spark.core.batch import Records, Values
from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    ImpossibleConditionError,
)
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads

SUBJECTS, EACH = 200, 15
ROWS = SUBJECTS * EACH


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def events(**columns: NDArray[np.generic]) -> tuple[Schema, Records]:
    """A table of events with its times sorted within each subject; `at` is the time."""
    kinds = {n: "time" if v.dtype.kind == "M" else "number" for n, v in columns.items()}
    made = tuple(Column(name=n, kind=k) for n, k in kinds.items())  # type: ignore[arg-type]
    key = Column(name="phone", kind="identifier")
    schema = Schema(family="table", shape="events", columns=made, key=key, time="at")
    values: dict[str, Values] = {
        n: v if v.dtype.kind == "M" else v.astype(float) for n, v in columns.items()
    }
    return schema, Records(values, np.arange(SUBJECTS + 1) * EACH)


def times(rng: np.random.Generator, step_s: int = 1) -> NDArray[np.datetime64]:
    seconds = np.sort(rng.integers(0, 400 * 86_400 // step_s, (SUBJECTS, EACH)), axis=1).ravel()
    return np.datetime64("2025-11-03", "us") + (seconds * step_s).astype("timedelta64[s]")


def found(schema: Schema, records: Records) -> Determined:
    out = learn(determined(schema, 5), Local(records, parts=3))
    assert isinstance(out, Determined)
    return Determined.from_state(loads(dumps(out.state())))


def put_back(out: Determined, schema: Schema, records: Records) -> Records:
    left = {c.name: records.columns[c.name] for c in out.rest(schema).columns}
    return out.complete(Records(left, records.offsets), schema, 1, 0)


def same(a: Records, b: Records) -> bool:
    return all(
        np.array_equal(np.asarray(v), np.asarray(b.columns[n]), equal_nan=True)
        for n, v in a.columns.items()
    )


def test_the_end_of_a_call_is_its_start_and_duration_also_where_there_is_none(
    rng: np.random.Generator,
) -> None:
    at, duration = times(rng), rng.integers(0, 4_000, ROWS).astype(float)
    duration[rng.random(ROWS) < 0.3] = np.nan
    known = ~np.isnan(duration)
    end = at + np.where(known, duration, 0).astype("timedelta64[s]")
    end[~known] = np.datetime64("NaT")
    schema, records = events(at=at, duration=duration, end=end)
    out = found(schema, records)
    assert out.children == ("end",)
    assert same(records, put_back(out, schema, records))
    assert out.in_words() == ["end = at + 1e+06 us x duration"]


def test_a_missing_duration_may_count_as_none(rng: np.random.Generator) -> None:
    at, duration = times(rng), rng.integers(0, 90, ROWS).astype(float)
    duration[rng.random(ROWS) < 0.3] = np.nan
    end = at + (np.nan_to_num(duration) * 60).astype("timedelta64[s]")
    schema, records = events(at=at, minutes=duration, end=end)
    out = found(schema, records)
    assert out.children == ("end",)
    assert same(records, put_back(out, schema, records))


def test_a_clock_written_as_hhmm_follows_from_the_plan_and_the_delay_past_midnight(
    rng: np.random.Generator,
) -> None:
    at, delay = times(rng, 60), rng.integers(-20, 500, ROWS)
    left = at + delay.astype("timedelta64[m]")
    clock = [int(f"{t.hour:02}{t.minute:02}") for t in left.tolist()]
    schema, records = events(at=at, delay=delay, dep_time=np.array(clock))
    out = found(schema, records)
    assert out.children == ("dep_time",)
    assert same(records, put_back(out, schema, records))


def test_minutes_begun_come_from_the_seconds_and_the_date_from_the_end(
    rng: np.random.Generator,
) -> None:
    """A chain: the date and the week of the end follow from it, the end from the duration."""
    at, duration = times(rng), rng.integers(1, 90_000, ROWS)
    end = at + duration.astype("timedelta64[s]")
    day = end.astype("datetime64[D]").astype("datetime64[us]")
    week = np.array([t.isocalendar().week for t in end.tolist()])
    schema, records = events(
        at=at, seconds=duration, minutes=np.ceil(duration / 60), end=end, day=day, week=week
    )
    out = found(schema, records)
    assert set(out.children) == {"minutes", "end", "day", "week"}
    assert same(records, put_back(out, schema, records))


def test_a_volume_is_the_sum_of_its_parts_and_a_price_a_product(rng: np.random.Generator) -> None:
    up, down = np.rint(rng.lognormal(8, 2, ROWS)), np.rint(rng.lognormal(11, 2, ROWS))
    third, rate = np.rint(rng.lognormal(10, 2, ROWS)), rng.integers(1, 40, ROWS) / 100
    schema, records = events(
        at=times(rng), up=up, down=down, volume=up + down, roaming=third,
        every=up + down + third, rate=rate, price=np.floor(100 * (third * rate) + 0.5) / 100,
    )  # fmt: skip
    out = found(schema, records)
    assert set(out.children) == {"volume", "every", "price"}
    assert same(records, put_back(out, schema, records))


def test_of_four_parts_the_whole_is_found(rng: np.random.Generator) -> None:
    parts = {f"p{k}": np.rint(rng.lognormal(6, 1, ROWS)) for k in range(4)}
    schema, records = events(at=times(rng), **parts, total=sum(parts.values()))  # type: ignore[arg-type]
    out = found(schema, records)
    assert len(out.children) == 1  # the widest is computed, the total or a part
    assert same(records, put_back(out, schema, records))


def test_a_number_between_two_times_is_their_distance(rng: np.random.Generator) -> None:
    at, wait = times(rng), rng.integers(0, 90_000, ROWS)
    answered = at + wait.astype("timedelta64[s]")
    schema, records = events(at=at, answered=answered, wait_min=np.floor(wait / 60))
    out = found(schema, records)
    assert out.children == ("wait_min",)
    assert same(records, put_back(out, schema, records))


def test_chance_zeros_and_slips_make_no_formula(rng: np.random.Generator) -> None:
    """A count that is 0 nearly everywhere, as another is, is not told by it. Nor is a sum."""
    at = times(rng)
    rare, other = np.zeros(ROWS), np.zeros(ROWS)
    rare[rng.choice(ROWS, 40, replace=False)] = rng.integers(1, 30, 40)
    other[rng.choice(ROWS, 60, replace=False)] = rng.integers(1, 30, 60)
    up, down = np.rint(rng.lognormal(8, 2, ROWS)), np.rint(rng.lognormal(9, 2, ROWS))
    slips = np.where(rng.random(ROWS) < 0.01, 1.0, 0.0)  # one row in a hundred: a fee, say
    schema, records = events(
        at=at, rare=rare, other=other, up=up, down=down, volume=up + down + 40 * slips
    )
    assert found(schema, records).children == ()


def test_flat_numbers_are_left_to_the_generators_but_times_are_not(
    rng: np.random.Generator,
) -> None:
    start, days = times(rng), rng.integers(1, 700, ROWS)
    made = {
        "start": start,
        "days": days.astype(float),
        "end": start + days.astype("timedelta64[D]"),
        "a": rng.integers(0, 99, ROWS).astype(float),
    }
    made["b"] = made["a"] + made["days"]
    kinds = {n: "time" if v.dtype.kind == "M" else "number" for n, v in made.items()}
    columns = tuple(Column(name=n, kind=k, per="subject") for n, k in kinds.items())  # type: ignore[arg-type]
    out = found(Schema(family="table", shape="flat", columns=columns), Records.flat(made))
    assert out.children == ("end",)


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("YYYYMMDD", lambda t: t.year * 10_000 + t.month * 100 + t.day),
        ("YYYYMMDDHHMMSS", lambda t: int(t.strftime("%Y%m%d%H%M%S"))),
        ("HHMMSS", lambda t: int(t.strftime("%H%M%S"))),
        ("week of year", lambda t: t.isocalendar().week),
        ("day of year", lambda t: t.timetuple().tm_yday - 1),
        ("day of leap year", lambda t: t.replace(year=2000).timetuple().tm_yday - 1),
        ("MMDD", lambda t: t.month * 100 + t.day),
        ("week day", lambda t: t.weekday()),
        ("week day from Sunday", lambda t: t.isoweekday() % 7),
        ("quarter", lambda t: (t.month - 1) // 3),
        ("months", lambda t: (t.year - 1970) * 12 + t.month - 1),
        ("second of day", lambda t: t.hour * 3_600 + t.minute * 60 + t.second),
    ],
)
def test_a_time_is_written_as_the_calendar_of_python_writes_it(part: str, wanted: object) -> None:
    """Days around new years, leap days and before 1970."""
    start = dt.datetime(1968, 1, 1, 23, 59, 58)
    moments = [start + dt.timedelta(hours=7 * k, seconds=k) for k in range(75_000)]
    us = np.array(moments, "datetime64[us]").astype(np.int64)
    assert WRITTEN[part](us).tolist() == [wanted(t) for t in moments]  # type: ignore[operator]


@pytest.mark.parametrize("rounding", ["nearest", "down", "up"])
def test_what_is_asked_of_a_multiple_is_what_its_number_is_asked_for(rounding: Any) -> None:
    scale = Formula(
        child="kilo", form="scale", parents=("bytes",), unit=1e-3, grid=1.0, rounding=rounding
    )
    every = np.arange(0, 30_000.0)
    kilo = np.asarray(scale.completed(Records.flat({"bytes": every}))["kilo"])
    for low, high in ((2, 3), (10.5, 20), (-np.inf, 4.2), (20, np.inf)):
        asked = scale.asked(Clause(field="kilo", low=low, high=high))
        held = asked.holds(every)
        assert ((kilo[held] >= low) & (kilo[held] <= high)).all()
        # at the edges a value may be left out, as rounding may take it either way
        assert held.sum() >= ((kilo >= low) & (kilo <= high)).sum() - 2
    with pytest.raises(ImpossibleConditionError):
        scale.asked(Clause(field="kilo", low=2.2, high=2.8))


def test_an_hour_is_asked_for_from_its_start_to_its_end() -> None:
    hour = Formula(child="hour_start", form="time", parents=("at",), grid=3.6e9)
    asked = hour.asked(Clause(field="hour_start", low=10.5 * 3_600, high=12 * 3_600))
    assert (asked.field, asked.low) == ("at", 11 * 3_600)
    assert 13 * 3_600 - 1e-5 < asked.high < 13 * 3_600


def test_a_sum_cannot_be_asked_for() -> None:
    total = Formula(child="volume", form="sum", parents=("up", "down"), signs=(1.0, 1.0))
    with pytest.raises(CannotConditionError, match="up and down"):
        total.asked(Clause(field="volume", low=1))


def test_numbers_far_below_one_are_no_multiple_of_any_other(rng: np.random.Generator) -> None:
    rate, noise = rng.uniform(1e-6, 9e-5, ROWS), rng.integers(1, 4_000, ROWS)
    schema, records = events(at=times(rng), bit_errors=rate, duration=noise)
    assert found(schema, records).children == ()


def test_a_rate_that_one_subject_has_is_not_told(rng: np.random.Generator) -> None:
    seconds = rng.integers(1, 4_000, ROWS).astype(float)
    own = np.arange(ROWS) // EACH < 4  # four subjects of two hundred have a charge at all
    schema, records = events(
        at=times(rng),
        seconds=np.where(own, seconds, np.nan),
        charge=np.where(own, seconds / 4, np.nan),
    )
    assert found(schema, records).children == ()


def test_a_table_without_rows_has_no_formulas() -> None:
    schema, records = events(at=np.zeros(0, "datetime64[us]"), a=np.zeros(0), b=np.zeros(0))
    none = Records(records.columns, np.zeros(1, np.int64))
    assert search(schema, none, 5) == ()


def test_a_number_too_large_for_a_time_gives_none() -> None:
    made = Formula(child="end", form="time", parents=("at", "bytes"), unit=8.64e10)
    at = np.array(["2026-01-05"], "datetime64[us]")
    end = made.completed(Records.flat({"at": at, "bytes": np.array([1e12])}))["end"]
    assert np.isnat(np.asarray(end)[0])
