"""Bins: equal mass, spikes kept, missing last, labels by frequency, hours, weekdays and places."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded
from synth_spark.metrics import _items as items


def test_a_smooth_number_falls_into_ten_bins_of_equal_mass() -> None:
    x = np.random.default_rng(0).normal(size=10_000)
    item = items.number_item("x", "x", x, "number")
    counts = np.bincount(item.tokens(x), minlength=item.size)
    assert item.size == 11
    assert counts[-1] == 0
    assert np.all(np.abs(counts[:10] - 1_000) <= 2)


def test_up_to_ten_distinct_values_have_a_bin_each() -> None:
    x = np.array([1.0, 1.0, 2.0, 7.0, np.nan] * 6)
    item = items.number_item("x", "x", x, "number")
    assert item.names == ("1", "2", "7", items.MISSING)
    assert item.tokens(np.array([1.0, 2.0, 6.9, 7.0, 99.0, np.nan])).tolist() == [0, 1, 1, 2, 2, 3]


def test_a_spike_does_not_take_the_bins_of_the_rest() -> None:
    x = np.concatenate([np.zeros(6_000), np.arange(1, 4_001)])
    counts = np.bincount(items.number_item("x", "x", x, "number").tokens(x))
    assert counts[0] >= 6_000
    assert len(counts) >= 9
    assert counts[1:].max() < 1_000


def test_bins_of_a_number_never_name_its_least_and_its_most() -> None:
    x = np.random.default_rng(0).normal(size=1_000) * 1_000
    names = " ".join(items.number_item("x", "x", x, "number").names)
    assert f"{x.max():,.0f}" not in names
    assert f"{x.min():,.0f}" not in names


def test_bins_of_whole_numbers_name_both_their_ends() -> None:
    x = np.repeat(np.arange(12.0), [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 3, 3])
    item = items.number_item("x", "x", x, "number")
    middle = tuple(str(i) for i in range(1, 9))
    assert item.names == ("< 1", *middle, "≥ 9", items.MISSING)
    wide = items.number_item("x", "x", np.arange(100.0), "number")
    assert wide.names[1] == "9 – 18"  # cuts at the values 9 and 19


def test_labels_stand_by_frequency_and_rare_ones_are_not_named() -> None:
    values = Coded.of(["b"] * 9 + ["a"] * 7 + ["secret"] * 2 + [None])
    item = items.category_item("c", "c", values, np.arange(len(values)))
    assert item.names == ("b", "a", items.OTHER, items.MISSING)
    assert item.tokens(Coded.of(["a", "b", "secret", "new", None])).tolist() == [1, 0, 2, 2, 3]


def test_a_label_that_one_subject_repeats_is_counted_and_not_named() -> None:
    values = Coded.of(["mother"] * 50 + ["shop"] * 5)
    owners = np.array([0] * 50 + [0, 1, 2, 3, 4])
    item = items.category_item("c", "c", values, owners)
    assert item.names == ("(unnamed 1)", "shop", items.OTHER, items.MISSING)
    assert item.tokens(Coded.of(["mother", "shop"])).tolist() == [0, 1]


def test_hours_and_weekdays_are_those_of_the_calendar() -> None:
    at = np.array(["2024-02-29T23:30", "2024-03-04T03:00"], dtype="datetime64[s]")  # Thu, Mon
    seconds = np.append(at.astype(np.int64).astype(float), np.nan)
    assert items.weekday_item("w", "t").tokens(seconds).tolist() == [3, 0, 7]
    assert items.hour_item("h", "t").tokens(seconds).tolist() == [7, 1, 8]


def test_places_fall_into_sixteen_cells_of_equal_mass() -> None:
    rng = np.random.default_rng(0)
    lat, lon = rng.normal(48, 1, 1_600), rng.normal(11, 2, 1_600)
    item = items.place_item("p", "lat", "lon", lat, lon)
    counts = np.bincount(item.tokens(lat, lon), minlength=17)
    assert counts.tolist() == [100] * 16 + [0]
    assert item.tokens(np.array([np.nan]), np.array([11.0])).tolist() == [16]


@pytest.mark.parametrize("form", ["number", "date", "gap"])
def test_a_column_without_any_value_has_only_the_missing_bin_in_use(form: items.ItemKind) -> None:
    x = np.full(5, np.nan)
    item = items.number_item("x", "x", x, form)
    assert item.tokens(x).tolist() == [item.size - 1] * 5


def test_a_choice_of_groups_is_fixed_by_the_seed_and_has_no_repeats() -> None:
    groups = [(i, i + 1) for i in range(100)]
    one, two = (items.chosen(groups, 10, seed=5) for _ in range(2))
    assert np.array_equal(one, two)
    assert len({tuple(g) for g in one.tolist()}) == 10
    assert not np.array_equal(one, items.chosen(groups, 10, seed=6))
