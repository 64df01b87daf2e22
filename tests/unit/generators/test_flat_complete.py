"""Missing cells drawn given the known ones, and the chance of whole rows."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.loop import train_local
from tests.unit.generators.test_flat_given import TABLE, table


@pytest.fixture(scope="module")
def model():
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=8, valid_share=0.0)
    return learn(kind.learn(TABLE, params, 1), Local(table(), train=train_local))


def without(records: Records, *names: str) -> Records:
    columns = dict(records.columns)
    for name in names:
        values = columns[name]
        columns[name] = (
            Coded(np.full(len(values), -1, np.int32), values.labels)
            if isinstance(values, Coded)
            else np.full(len(values), np.nan)
        )
    return Records.flat(columns)


@pytest.fixture(scope="module")
def fresh():
    return table(4_000).take(np.arange(3_400, 4_000))


def test_known_cells_stay_and_missing_ones_are_filled(model, fresh) -> None:
    half = without(fresh, "months", "left")
    drawn = model.completed(half, 3)
    for name in ("price", "total"):
        np.testing.assert_array_equal(drawn.columns[name], fresh.columns[name])
    assert np.isfinite(drawn.columns["months"]).all()
    assert set(drawn.columns["left"].texts()) == {"yes", "no"}


def test_a_factor_is_found_from_the_product_and_the_other(model, fresh) -> None:
    drawn = model.completed(without(fresh, "months"), 3)
    error = np.abs(drawn.columns["months"] - fresh.columns["months"])
    assert np.median(error) <= 2  # the noise of the total is worth half a month
    assert np.corrcoef(drawn.columns["months"], fresh.columns["months"])[0, 1] > 0.95


def test_a_known_multiple_fixes_what_it_is_computed_from(model, fresh) -> None:
    drawn = model.completed(without(fresh, "total", "months", "price"), 3)
    assert np.abs(drawn.columns["total"] / 3 - fresh.columns["third"]).max() < 1.01


def test_what_is_drawn_for_one_row_follows_its_known_cells(model) -> None:
    """Marks are one in ten below ten months and none above: 4 standard errors of 600 draws."""
    rows = 600
    base = {
        "price": np.full(rows, np.nan), "total": np.full(rows, np.nan),
        "third": np.full(rows, np.nan), "left": Coded(np.full(rows, -1, np.int32), ("no", "yes")),
    }  # fmt: skip
    young = model.completed(Records.flat({"months": np.full(rows, 4.0), **base}), 1)
    old = model.completed(Records.flat({"months": np.full(rows, 40.0), **base}), 1)
    share = [(r.columns["left"].texts() == "yes").mean() for r in (young, old)]
    assert share[0] == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / rows))
    assert share[1] < 0.02


def test_completing_again_gives_the_same_cells_and_another_seed_others(model, fresh) -> None:
    half = without(fresh, "months", "price")
    first, again, other = (model.completed(half, seed).columns["months"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_of_the_model_are_likelier_than_mixed_ones(model) -> None:
    drawn = model.sample(0, 1_000, 5)
    mixed = Records.flat({**drawn.columns, "months": np.roll(drawn.columns["months"], 1)})
    own, other = model.log_probability(drawn), model.log_probability(mixed)
    assert own.shape == (1_000,)
    assert (own < 0).all()
    assert np.median(own) > np.median(other) + 1


def test_means_of_a_drawn_column_follow_the_known_ones(model, fresh) -> None:
    """Totals of rows that know months and price: 5 standard errors in each of 12 groups.

    The noise of a total is 5 * sqrt(months); a test of 12 groups is wrong once in 100,000 times.
    """
    drawn = model.completed(without(fresh, "total", "third", "left"), 3).columns
    off = drawn["total"] - drawn["months"] * drawn["price"]
    assert np.isfinite(off).all()
    quarter = np.searchsorted([15, 30, 45], drawn["months"])
    for price in (10.0, 20.0, 35.0):
        for q in range(4):
            group = (drawn["price"] == price) & (quarter == q)
            noise = 5 * np.sqrt(drawn["months"][group].mean())
            # a fifth of the noise is what the bins of residuals may be off
            assert abs(off[group].mean()) < 5 * noise / np.sqrt(group.sum()) + 0.2 * noise
