"""Week days are drawn first where a table keeps time with the week, and its days follow them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Clause, Condition
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.generators import vae
from synth_spark.generators._flat_week import keeps_week, week_day, week_days
from synth_spark.generators.autoregressive import GENERATOR, AutoregressiveModel
from synth_spark.training.loop import train_local

ROWS = 4_000
SCHEMA = Schema(
    family="table", shape="flat",
    columns=(
        Column(name="came", kind="time", source_type="timestamp"),
        Column(name="nights", kind="number", source_type="bigint"),
        Column(name="plan", kind="category", source_type="string"),
    ),
)  # fmt: skip


@cache
def stays():
    """Two years; none come on a Sunday, who comes on a Friday stays two nights more."""
    rng = np.random.default_rng(5)
    day = rng.integers(17_000, 17_730, 6 * ROWS)
    day = day[week_day(day) < 6][:ROWS]
    nights = rng.integers(1, 4, ROWS) + 2.0 * (week_day(day) == 4)
    plan = Coded.of([f"p{i}" for i in rng.integers(0, 3, ROWS)])
    return Records.flat({"came": day.astype("datetime64[D]").astype("datetime64[us]"),
                         "nights": nights, "plan": plan})  # fmt: skip


@cache
def learned(generator="autoregressive"):
    made = {"autoregressive": GENERATOR, "vae": vae.GENERATOR}[generator]
    params = made.Params(max_epochs=8)
    return learn(made.learn(SCHEMA, params, 0), Local(stays(), train=train_local, seed=0))


def drawn(model, blocks=3):
    parts = [model.sample(b, model.block_size, 0).columns for b in range(blocks)]
    came = np.concatenate([p["came"] for p in parts])
    return week_days(came).codes, np.concatenate([p["nights"] for p in parts])


def test_a_monday_is_a_monday():
    times = np.array(["2024-01-01", "2024-01-07", "1969-12-31", "NaT"], "datetime64[us]")
    assert week_days(times).texts().tolist() == ["Mon", "Sun", "Wed", None]


@pytest.mark.parametrize("what", ["how many", "which"])
def test_a_table_that_keeps_time_with_the_week_is_known(what):
    rng = np.random.default_rng(1)
    day = rng.integers(17_000, 17_365, ROWS)
    y = rng.random(ROWS)
    if what == "how many":
        day = day[(week_day(day) < 5) | (rng.random(ROWS) < 0.4)]
        y = y[: len(day)]
    else:
        y = y + 0.3 * (week_day(day) == 2)
    times = day.astype("datetime64[D]").astype("datetime64[us]")
    assert keeps_week(times, Records.flat({"y": y}), ("y",))


def test_chance_and_days_of_many_rows_do_not_make_a_week():
    """Of 100 tables with 20 columns at most two are taken for one (expected .3)."""
    rng, taken = np.random.default_rng(2), 0
    for _ in range(100):
        day = rng.choice(rng.integers(17_000, 17_200, 90), 600, p=rng.dirichlet(np.full(90, 0.5)))
        offset = rng.normal(size=(200, 20))[day - 17_000]  # a day's rows are alike
        columns = {f"y{i}": offset[:, i] + rng.normal(size=600) for i in range(20)}
        times = day.astype("datetime64[D]").astype("datetime64[us]")
        taken += keeps_week(times, Records.flat(columns), tuple(columns))
    assert taken <= 2


@pytest.mark.parametrize("generator", ["autoregressive", "vae"])
def test_days_lie_on_the_week_days_that_are_in_the_table_and_their_rows_go_with_them(generator):
    """Shares of 12,000 draws are within .01 by chance."""
    of_week, nights = drawn(learned(generator))
    share = np.bincount(of_week, minlength=7) / len(of_week)
    assert share[6] < 0.004
    assert np.abs(share[:6] - 1 / 6).max() < 0.035
    friday = of_week == 4
    assert nights[friday].mean() - nights[~friday].mean() == pytest.approx(2, abs=0.25)


def test_the_wire_gives_the_same_days_back():
    model = learned()
    again = AutoregressiveModel.from_state(loads(dumps(model.state())))
    left, right = (m.sample(4, 50, 1).columns for m in (model, again))
    np.testing.assert_array_equal(left["came"], right["came"])
    np.testing.assert_array_equal(left["nights"], right["nights"])


@pytest.mark.parametrize("generator", ["autoregressive", "vae"])
def test_rows_of_one_given_day_go_with_its_week_day(generator):
    """A Friday of the table is asked for: nearly all stay three nights or more."""
    day = 17_000 + (4 - int(week_day(np.array(17_000)))) % 7 + 70
    clause = Clause(field="came", low=day * 86_400.0, high=day * 86_400.0 + 86_399)
    model = learned(generator).conditioned(Condition((clause,)))
    rows = model.sample(0, 1_000, 0).columns
    assert (rows["came"] == np.array(day, "datetime64[D]")).all()
    assert (rows["nights"] >= 3).mean() > 0.9


def test_a_known_day_of_an_unknown_rest_has_the_rest_of_its_week_day():
    day = 17_000 + (4 - int(week_day(np.array(17_000)))) % 7 + 70 + np.zeros(400, np.int64)
    times, plan = day.astype("datetime64[D]").astype("datetime64[us]"), Coded.of(["p0"] * 400)
    rows = Records.flat({"came": times, "nights": np.full(400, np.nan), "plan": plan})
    nights = learned().completed(rows, 0).columns["nights"]
    assert (np.asarray(nights) >= 3).mean() > 0.9


@pytest.mark.parametrize("generator", ["autoregressive", "vae"])
def test_days_keep_the_week_under_a_condition_on_another_column(generator):
    model = learned(generator).conditioned(Condition((Clause(field="plan", labels=("p1",)),)))
    of_week, nights = drawn(model, blocks=1)
    assert (of_week == 6).mean() < 0.01
    assert nights[of_week == 4].mean() - nights[of_week != 4].mean() == pytest.approx(2, abs=0.3)
