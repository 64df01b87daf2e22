"""Claims about the column kind "time"."""

from __future__ import annotations

import numpy as np

from synth_spark.columns.time import CODEC, EXAMPLE, Time, precision_us, tidy_precision_us

NONE = np.zeros(0, np.int64)


def learned(values: np.ndarray, **settings: int) -> Time:
    return Time.finish(Time.summarise(values, np.arange(len(values))), **settings)


def test_decoding_gives_back_the_token() -> None:
    settings, values, owners = EXAMPLE
    codec = CODEC.finish(CODEC.summarise(values, owners), **settings)
    tokens = codec.encode(values)
    for inside in (0.0, 0.5, 0.999):
        again = codec.decode(tokens, np.full(len(tokens), inside))
        np.testing.assert_array_equal(codec.encode(again), tokens)


def test_two_parts_learn_what_one_learns() -> None:
    settings, values, owners = EXAMPLE
    parts = [CODEC.summarise(values[s], owners[s]) for s in (slice(0, 2), slice(2, None))]
    both = CODEC.finish(CODEC.merge(*parts), **settings)
    one = CODEC.finish(CODEC.summarise(values, owners), **settings)
    np.testing.assert_array_equal(both.first_day, one.first_day)
    np.testing.assert_array_equal(both.clock, one.clock)
    assert (both.step_us, both.missing_token) == (one.step_us, one.missing_token)


def test_dates_stay_dates() -> None:
    days = np.datetime64("2024-01-01", "us") + np.arange(50).astype("timedelta64[D]")
    codec = learned(days, bins=5)
    drawn = codec.decode(codec.encode(days), np.linspace(0, 0.99, 50))
    assert (drawn.astype("datetime64[D]").astype("datetime64[us]") == drawn).all()


def test_clocks_are_drawn_from_the_columns_own_hours() -> None:
    at_nine = np.datetime64("2024-01-01T09:00", "us") + np.arange(60).astype("timedelta64[D]")
    codec = learned(at_nine + np.timedelta64(7, "s"), bins=2)
    drawn = codec.decode(np.zeros(100, np.int32), np.linspace(0, 0.99, 100))
    minutes = (drawn - drawn.astype("datetime64[D]")).astype("timedelta64[m]").astype(int)
    assert minutes.min() >= 540
    assert minutes.max() < 545  # the five minutes that hold 09:00:07


def test_the_precision_is_the_coarsest_that_all_clocks_are_whole_in() -> None:
    assert precision_us(np.array([0, 5_400_000_000])) == 1_800_000_000 * 3
    assert precision_us(NONE) == 86_400_000_000
    assert tidy_precision_us(7_000_000) == 1_000_000
    assert tidy_precision_us(1_800_000_000 * 3) == 1_800_000_000


def test_a_column_without_a_time_decodes_to_missing() -> None:
    codec = learned(np.array(["NaT", "NaT"], dtype="datetime64[us]"))
    assert codec.vocabulary == 1
    assert np.isnat(codec.decode(np.zeros(2, np.int32), np.zeros(2))).all()
