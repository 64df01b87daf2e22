"""The part of a codec's tokens that holds a clause."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns.category import RARE, Category
from synth_spark.columns.number import Number
from synth_spark.columns.time import Time
from synth_spark.columns.within import Look, Narrowed, hours_of_week, known_values, within
from synth_spark.core.batch import Coded
from synth_spark.core.conditions import Clause, ImpossibleConditionError


def number(values: np.ndarray) -> Number:
    return Number.finish(Number.summarise(values, np.arange(len(values))))


def drawn(codec: Number, clause: Clause, rows: int = 20_000) -> np.ndarray:
    """Values drawn by weighing each token with its part."""
    part, rng = within(codec, clause), np.random.default_rng(1)
    weight = codec.shares * part.share
    tokens = rng.choice(len(weight), rows, p=weight / weight.sum()).astype(np.int32)
    return codec.decode(tokens, part.inside(tokens, rng.random(rows)))


def test_values_in_a_range_are_drawn_as_they_come_among_all() -> None:
    values = np.random.default_rng(0).exponential(100, 20_000)
    got = np.sort(drawn(number(values), Clause(field="x", low=30, high=250)))
    want = np.sort(values[(values >= 30) & (values <= 250)])
    assert got.min() >= 30
    assert got.max() <= 250
    at = np.linspace(0.01, 0.99, 50)
    # two samples of this size differ by 3 in a quantile here once in a thousand times
    np.testing.assert_allclose(np.quantile(got, at), np.quantile(want, at), atol=4)


def test_the_share_of_a_token_is_that_of_its_values() -> None:
    values = np.random.default_rng(0).uniform(0, 1_000, 20_000)
    codec = number(values)
    share = (codec.shares * within(codec, Clause(field="x", low=100, high=350)).share).sum()
    assert share == pytest.approx(((values >= 100) & (values <= 350)).mean(), abs=0.005)


def test_one_whole_number_is_drawn_as_it_is() -> None:
    values = np.random.default_rng(0).integers(0, 5_000, 20_000).astype(float)
    assert set(drawn(number(values), Clause(field="x", low=1_234, high=1_234), 100)) <= {1_234.0}
    part = within(number(values), Clause(field="x", low=1_234, high=1_234))
    assert part.exact == 1_234


@pytest.mark.parametrize(("low", "high"), [(9_000, 9_100), (12.5, 12.5), (-5, -1)])
def test_what_the_numbers_do_not_reach_is_refused(low: float, high: float) -> None:
    values = np.random.default_rng(0).integers(0, 5_000, 20_000).astype(float)
    with pytest.raises(ImpossibleConditionError):
        within(number(values), Clause(field="x", low=low, high=high))


def test_missing_numbers_have_a_token_or_none() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0] * 50)
    part = within(number(values), Clause(field="x", missing=True))
    assert part.share.tolist() == [0, 0, 0, 1]
    with pytest.raises(ImpossibleConditionError):
        within(number(values[~np.isnan(values)]), Clause(field="x", missing=True))


def test_labels_that_are_not_told_are_refused_unless_another_is_known() -> None:
    values = Coded.of(["a"] * 9 + ["b"] * 8 + ["c"])
    codec = Category.finish(Category.summarise(values, np.arange(18)), min_subjects=5)
    assert within(codec, Clause(field="x", labels=("b",))).share.tolist() == [0, 1, 0]
    with pytest.raises(ImpossibleConditionError):
        within(codec, Clause(field="x", labels=("a", "c")))
    loose = Clause(field="x", labels=("a", "c"), loose=True)
    assert within(codec, loose).share.tolist() == [1, 0, 0]


def test_a_token_whose_values_all_hold_is_drawn_at_any_place_or_at_so_many() -> None:
    codec = number(np.random.default_rng(0).uniform(0, 1_000, 20_000))
    u, inner = np.array([0.123456, 0.9]), np.full(2, codec.vocabulary // 2, np.int32)
    clause = Clause(field="x", low=100, high=900)
    np.testing.assert_array_equal(within(codec, clause, Look(128, whole=0)).inside(inner, u), u)
    few = within(codec, clause, Look(128, whole=4)).inside(inner, u)
    np.testing.assert_array_equal(few, [0.125, 0.875])


def test_the_rare_label_can_be_asked_for_where_it_is_told() -> None:
    values = Coded.of(["a"] * 9 + ["c"])
    codec = Category.finish(Category.summarise(values, np.arange(10)), min_subjects=5)
    assert within(codec, Clause(field="x", labels=(RARE,))).share.tolist() == [0, 1]


def test_a_narrowed_codec_of_times_decodes_to_times_in_the_range() -> None:
    days = np.datetime64("2024-01-01", "us") + np.arange(400).astype("timedelta64[D]")
    codec = Time.finish(Time.summarise(days, np.arange(400)), bins=10)
    low, high = (np.datetime64(d, "s").astype(float) for d in ("2024-03-01", "2024-03-08"))
    part = within(codec, Clause(field="x", low=low, high=high))
    tokens = np.flatnonzero(part.share).astype(np.int32).repeat(50)
    drawn = Narrowed(codec, part).decode(tokens, np.linspace(0, 0.999, len(tokens)))
    assert drawn.dtype.kind == "M"
    assert drawn.min() >= np.datetime64("2024-03-01")
    assert drawn.max() <= np.datetime64("2024-03-08")


def test_hours_of_the_week_are_those_of_the_clock() -> None:
    evening = hours_of_week(Clause(field="hour", low=18, high=20))
    assert np.flatnonzero(evening[0]).tolist() == [18, 19, 20]
    assert evening.sum() == 7 * 3
    weekend = hours_of_week(Clause(field="weekday", labels=("sun", "sat")))
    assert np.flatnonzero(weekend.all(axis=1)).tolist() == [5, 6]
    assert weekend.sum() == 2 * 24


def test_which_values_a_column_of_numbers_may_take() -> None:
    rng = np.random.default_rng(5)
    codec = number(
        np.concatenate([rng.integers(0, 1_000, 4_000), np.full(500, 5_000)]).astype(float)
    )
    x = np.array([0, 37, 37.5, 3_000, 5_000, 9_000, 90_000, -60_000, np.nan])
    assert known_values(codec, x).tolist() == [
        True, True, False, True, True, True, False, False, True
    ]  # fmt: skip


def test_of_a_few_prices_none_between_them_may_be_taken() -> None:
    codec = number(np.repeat([10.0, 20.0, 35.0], 40))
    assert known_values(codec, np.array([10.0, 15.0, 35.0])).tolist() == [True, False, True]


def test_which_labels_a_category_may_take() -> None:
    labels = Coded.of(["a"] * 9 + ["b"] * 9 + ["c"])
    codec = Category.finish(Category.summarise(labels, np.arange(19)), min_subjects=5)
    asked = Coded.of(["a", "c", None, "d"])
    assert known_values(codec, asked).tolist() == [True, False, True, False]


def test_a_number_between_two_bins_is_drawn_as_it_is_asked_for() -> None:
    rng = np.random.default_rng(5)
    codec = number(
        np.concatenate([rng.integers(0, 1_000, 4_000), np.full(500, 5_000)]).astype(float)
    )
    part = within(codec, Clause(field="x", low=3_000, high=3_000))
    assert part.exact == 3_000
    assert part.share.sum() > 0
