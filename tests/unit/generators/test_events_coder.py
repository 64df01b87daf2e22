"""Claims about units, ranks and time tokens of events."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.survey import Survey, survey_state
from synth_spark.core.batch import Records
from synth_spark.core.schema import Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.generators._events_choice import learn_coder
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_coder import Coder, NoTimeError, own_ranks
from synth_spark.generators._events_kernels import gap_of
from tests.unit.generators.events_world import SCHEMA, phones


def learned(records: Records, schema: Schema = SCHEMA) -> Coder:
    survey = Survey.of(survey_state(schema, records), schema)
    return learn_coder(schema, survey, records, min_subjects=1, bins=8)


def test_a_subjects_values_are_ranked_by_use_then_by_first_use() -> None:
    codes = np.array([5, 7, 7, 5, 9, 5, 2, 2, 3, -1])
    owners = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    assert own_ranks(codes, owners)[:9].tolist() == [0, 1, 1, 0, 2, 0, 0, 0, 1]


def test_the_calendar_follows_the_longest_histories() -> None:
    assert (learned(phones(days=1)).mode, learned(phones(days=7)).mode) == ("day", "week")
    whole = learned(phones(days=30))
    assert (whole.mode, whole.episodes) == ("whole", False)
    long = learned(phones(subjects=6, mean=900, days=60))
    assert (long.mode, long.episodes) == ("week", True)


def test_episodes_hold_every_event_once_in_order() -> None:
    records = phones(subjects=6, mean=900, days=60)
    units = learned(records).units(records)
    assert units.offsets[-1] == records.rows
    stamps = units.anchor.repeat(units.lengths) * 86_400 + units.t
    real = records.columns["at"].astype("datetime64[s]").astype(np.int64)
    np.testing.assert_array_equal(stamps.astype(np.int64), real)
    assert units.t.max() < 7 * 86_400


def test_a_silent_week_is_a_unit_of_its_own() -> None:
    records = phones(subjects=6, mean=900, days=60)
    at = records.columns["at"]
    quiet = (at < np.datetime64("2024-03-18")) | (at >= np.datetime64("2024-03-25"))
    kept = np.flatnonzero(quiet)
    offsets = np.searchsorted(records.owners[kept], np.arange(7))
    units = learned(records).units(
        Records({k: v[kept] for k, v in records.columns.items()}, offsets)
    )
    assert (units.lengths == 0).sum() == 6


def test_missing_or_disordered_times_are_refused() -> None:
    records = phones()
    for change in (np.datetime64("NaT"), np.datetime64("2030-01-01")):
        at = records.columns["at"].copy()
        at[0] = change
        with pytest.raises(NoTimeError):
            learned(records).units(Records({**records.columns, "at": at}, records.offsets))


def test_a_time_goes_to_its_token_and_back() -> None:
    rng = np.random.default_rng(0)
    gaps = np.concatenate([np.full(500, 600.0), rng.integers(1, 90_000, 500).astype(float)])
    clock = Clock.learn(gaps, horizon_days=40, tick_s=1.0)
    token, hour, slot = clock.encode(1_000.0 + gaps, np.full(1_000, 1_000.0))
    spike = int(token[0])
    assert clock.gap_lo[spike] == clock.gap_hi[spike] == 600.0
    assert (token[:500] == spike).all()
    short = (token < clock.gaps) & (token != spike)
    assert ((gaps >= clock.gap_lo[token.clip(max=clock.gaps - 1)])[short]).all()
    assert ((gaps < clock.gap_hi[token.clip(max=clock.gaps - 1)])[short]).all()
    assert (hour[short] == -1).all()
    far = token >= clock.gaps
    np.testing.assert_array_equal(hour[far], (1_000 + gaps[far]) % 86_400 // 3_600)
    np.testing.assert_array_equal(slot[far], (1_000 + gaps[far]) % 3_600 // 300)
    for k in range(clock.gaps):
        for u in (0.0, 0.5, 0.999):
            assert clock.gap_lo[k] <= gap_of(clock.gap_sub, k, u) <= clock.gap_hi[k]


def test_jumps_cover_every_day_of_the_horizon_once() -> None:
    for days in (1, 7, 15, 400):
        clock = Clock.learn(np.zeros(0), horizon_days=days, tick_s=1.0)
        covered = [
            d for a, b in zip(clock.jump_lo, clock.jump_hi, strict=True) for d in range(a, b + 1)
        ]
        assert covered == list(range(days))


def test_a_coder_travels_as_a_state() -> None:
    records = phones()
    coder = learned(records)
    again = Coder.from_state(loads(dumps(coder.state())))
    np.testing.assert_array_equal(again.units(records).cats, coder.units(records).cats)
