"""Serial numbers: different in every row of every block, and near what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.serial import HOLDERS, Serial
from synth_spark.core.wire import dumps, loads

BLOCK = 500


def blocks(serial: Serial, drawn: np.ndarray, seed: int = 0) -> np.ndarray:
    parts = [
        serial.numbers(drawn[i : i + BLOCK], i // BLOCK, BLOCK, np.random.default_rng([seed, i]))
        for i in range(0, len(drawn), BLOCK)
    ]
    return np.concatenate(parts)


def test_numbers_of_all_blocks_differ_and_stay_near_what_was_drawn() -> None:
    rng = np.random.default_rng(1)
    ids = rng.choice(np.arange(1, 5_001), 4_000, replace=False)  # as row numbers are: no room
    serial = Serial.of(ids.astype(float), 4_000)
    assert serial is not None
    drawn = rng.choice(ids, 4_000).astype(float)  # repeats, as a model's numbers do
    out = blocks(serial, drawn)
    assert len(np.unique(out)) == 4_000
    assert (out == np.rint(out)).all()
    assert (out >= 1).all()
    assert np.quantile(np.abs(out - drawn), 0.95) < 150  # 3 % of the range
    assert np.corrcoef(out, drawn)[0, 1] > 0.99


def test_ids_with_a_year_in_front_stay_within_their_year() -> None:
    rng = np.random.default_rng(2)
    year = rng.integers(2020, 2026, 6_000)
    ids = np.unique(year * 1_000_000 + rng.integers(0, 1_000_000, 6_000))
    serial = Serial.of(ids.astype(float), len(ids))
    assert serial is not None
    drawn = rng.choice(ids, 6_000).astype(float)
    out = blocks(serial, drawn)
    assert len(np.unique(out)) == 6_000
    assert (out // 1_000_000 == drawn // 1_000_000).mean() > 0.98  # 20 of 1,000 at each edge move


def test_the_last_block_has_its_share_where_the_twin_is_as_large_as_all_records() -> None:
    """The sample is of four fifths: ids of the others are free, and no more."""
    rng = np.random.default_rng(5)
    ids = rng.choice(np.arange(1.0, 2_301.0), 1_840, replace=False)
    serial = Serial.of(ids, 2_300)  # four blocks and a part of one
    assert serial is not None
    drawn = rng.choice(ids, 2_300)
    out = blocks(serial, drawn)
    assert len(np.unique(out)) == 2_300
    assert (out > 2_300).mean() < 0.02
    assert np.corrcoef(out[2_000:], drawn[2_000:])[0, 1] > 0.98


def test_more_rows_than_the_range_has_room_for_go_on_above_it() -> None:
    serial = Serial.of(np.arange(1.0, 401.0), 400)
    assert serial is not None
    drawn = np.tile(np.arange(1.0, 401.0), 5)
    out = blocks(serial, drawn)
    assert len(np.unique(out)) == len(drawn)
    assert (out > 400).sum() >= len(drawn) - 420


def test_missing_stays_missing_and_an_empty_block_is_empty() -> None:
    serial = Serial.of(np.arange(1.0, 401.0), 400)
    assert serial is not None
    rng = np.random.default_rng(0)
    out = serial.numbers(np.array([5.0, np.nan, 5.0]), 0, BLOCK, rng)
    assert np.isnan(out).tolist() == [False, True, False]
    assert out[0] != out[2]
    assert len(serial.numbers(np.zeros(0), 0, BLOCK, rng)) == 0


def test_too_few_ids_tell_no_order() -> None:
    assert Serial.of(np.arange(2.0 * HOLDERS - 1), 39) is None


@pytest.mark.parametrize("first", [-5_000, 0, 1, 10**12])
def test_the_wire_keeps_it_and_knots_are_no_ids_of_single_rows(first: int) -> None:
    ids = first + np.sort(np.random.default_rng(3).choice(100_000, 1_000, replace=False))
    serial = Serial.of(ids.astype(float), 1_000)
    assert serial is not None
    again = Serial.from_state(loads(dumps(serial.state())))
    drawn = ids[::10].astype(float)
    a, b = (s.numbers(drawn, 3, BLOCK, np.random.default_rng(4)) for s in (serial, again))
    assert np.array_equal(a, b)
    assert len(serial.knots) - 1 <= len(ids) // HOLDERS
    assert np.isin(serial.knots, ids).mean() < 0.2  # halfway between two; by chance one in 100
    assert np.isin(a, ids).mean() < 0.1  # as chance has it, one in 100
