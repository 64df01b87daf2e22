"""Exact shares by number: counted the slow way, and by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from synth_spark.generators._sim_quota import among, counted, exact, member_number, members

RATES = [exact(0.001), exact(0.0001), exact(0.02)]


def test_a_rate_is_the_fraction_that_was_meant() -> None:
    assert [exact(r) for r in (0.001, 0.1, 1 / 3)] == [
        Fraction(1, 1_000),
        Fraction(1, 10),
        Fraction(repr(1 / 3)).limit_denominator(10**9),
    ]


def test_one_in_a_thousand_of_a_million_is_a_thousand() -> None:
    which, place = members(np.arange(1_000_000), RATES)
    assert [int((which == k).sum()) for k in range(3)] == [1_000, 100, 20_000]
    for k in range(3):
        np.testing.assert_array_equal(place[which == k], np.arange((which == k).sum()))


@pytest.mark.parametrize("first", [1, 499, 500, 501, 1_499, 1_500, 77_777])
def test_the_first_subjects_hold_the_rounded_share(first: int) -> None:
    which, _ = members(np.arange(first), [exact(0.001)])
    assert (which == 0).sum() == (2 * first + 1_000) // 2_000  # halves up


def test_members_do_not_depend_on_how_the_table_is_cut() -> None:
    whole = members(np.arange(20_000), RATES)
    parts = [members(cut, RATES) for cut in np.array_split(np.arange(20_000), 7)]
    for i in range(2):
        np.testing.assert_array_equal(np.concatenate([p[i] for p in parts]), whole[i])


def test_the_number_of_a_member_is_found_again() -> None:
    which, _ = members(np.arange(300_000), RATES)
    for k in range(3):
        numbers = np.flatnonzero(which == k)
        for place in (0, 1, 7, len(numbers) - 1):
            assert member_number(k, place, RATES) == numbers[place]


def test_counts_of_large_numbers_do_not_overflow() -> None:
    rate = exact(0.123456789)
    n = 10**12 + 7
    by_hand = (2 * n * rate.numerator + rate.denominator) // (2 * rate.denominator)
    assert counted(np.array([n]), rate)[0] == by_hand


def test_rare_rows_of_blocks_add_up_to_their_share() -> None:
    rng = np.random.default_rng(3)
    counts = [len(among(int(n), 1e-4, b, rng)) for b, n in enumerate(rng.integers(900, 3_000, 500))]
    rows = int(np.random.default_rng(3).integers(900, 3_000, 500).sum())
    assert abs(sum(counts) - rows * 1e-4) <= 3  # 97.5 expected; rounding evens out over blocks
