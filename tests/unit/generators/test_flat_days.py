"""A time that is drawn as the seconds behind another lies on the days that the table's times do."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.number import Number
from synth_spark.generators._flat_days import Days

DAY_US = 86_400_000_000
ROWS = 40_000


def stamps(days):
    return (np.asarray(days * DAY_US, np.float64)).astype(np.int64).astype("datetime64[us]")


@pytest.fixture(scope="module")
def world():
    """Joined on any day of a year; seen last on a Monday at noon, any time in the next year."""
    rng = np.random.default_rng(2)
    joined = np.floor(rng.random(ROWS) * 365)
    last = joined + 1 + rng.random(ROWS) * 365
    last = np.floor(last / 7) * 7 + 11.5  # 1970-01-12 was a Monday
    seconds = (last - joined) * 86_400
    days = Days.of(Days.summarise(stamps(last), seconds), 5)
    codec = Number.finish(Number.summarise(seconds, np.arange(ROWS)), bins=8, exact_values=0)
    return joined, last, seconds, days, codec


def drawn(world, rng):
    joined, _, seconds, days, codec = world
    tokens = codec.encode(seconds)
    return tokens, days.seconds(codec, tokens, rng.random(ROWS), stamps(joined))


def test_nearly_all_times_lie_on_the_week_day_and_at_the_clock_of_the_tables(world):
    joined, last, _, _, codec = world
    tokens, seconds = drawn(world, np.random.default_rng(0))
    plain = joined + codec.decode(tokens, np.random.default_rng(0).random(ROWS)) / 86_400
    made = joined + seconds / 86_400
    monday = [((np.floor(t) + 3) % 7 == 0).mean() for t in (last, plain, made)]
    assert monday[0] == 1
    assert monday[1] < 0.2
    assert monday[2] > 0.97
    noon = np.abs(made % 1 - 0.5) < 300 / 86_400
    assert noon.mean() > 0.97


def test_a_time_stays_in_the_token_that_was_drawn(world):
    codec = world[4]
    tokens, seconds = drawn(world, np.random.default_rng(1))
    low, high = (codec.decode(tokens, np.full(ROWS, x)) for x in (0.0, 1.0))
    assert ((seconds >= low) & (seconds <= high)).all()


def test_short_seconds_and_missing_times_are_as_they_were(world):
    days, rng = world[3], np.random.default_rng(4)
    short = rng.random(5_000) * 3_600
    short[:50] = np.nan
    codec = Number.finish(Number.summarise(short, np.arange(5_000)), exact_values=0)
    tokens, inside = codec.encode(short), rng.random(5_000)
    from_there = stamps(np.full(5_000, 100.0))
    from_there[50:90] = np.datetime64("NaT")
    out = days.seconds(codec, tokens, inside, from_there)
    np.testing.assert_array_equal(out, codec.decode(tokens, inside))


def test_shares_and_moments_are_inverses_and_light_days_are_told_together():
    days = Days.of(
        {"days": [3, 8, 9, 10, 11, 12, 20, 22], "rows": [4, 1, 5, 2, 3, 50, 1, 7],
         "clock": np.ones(288), "step_us": 1_000_000}, 5,
    )  # fmt: skip
    assert days is not None
    # days 3 and 8 are an end of few rows a day, 20 has one row only
    np.testing.assert_array_equal(days.start, [9, 10, 12, 22])
    np.testing.assert_array_equal(days.end, [10, 12, 13, 23])
    at = (np.array([10.25, 11.75, 12.5]) * DAY_US).astype(np.int64)
    np.testing.assert_allclose(days.share(at), [5.625 / 67, 9.375 / 67, 35 / 67])
    np.testing.assert_allclose(days.moment(days.share(at)), at, rtol=0, atol=1_000_000)
    assert Days.of({"days": [1], "rows": [4], "clock": np.ones(288), "step_us": 1}, 5) is None
