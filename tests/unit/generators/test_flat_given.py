"""Rows of a flat table under a condition, against rows drawn freely and filtered."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError, holding
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.loop import train_local

TABLE = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="price", kind="number", source_type="double"),
        Column(name="total", kind="number", source_type="double"),
        Column(name="third", kind="number", source_type="double"),
        Column(name="left", kind="category"),
    ),
)
CLOCKED = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="starts", kind="number", source_type="bigint"),
        Column(name="ends", kind="number", source_type="bigint"),
        Column(name="at", kind="time", source_type="timestamp_ntz"),
    ),
)


def table(rows: int = 3_000) -> Records:
    """A total near months * price, a third of it, and a mark that one row in 100 has."""
    rng = np.random.default_rng(3)
    months = rng.integers(1, 60, rows).astype(float)
    price = rng.choice([10.0, 20.0, 35.0], rows)
    total = np.round(months * price + rng.normal(0, 5, rows) * np.sqrt(months), 2)
    left = rng.random(rows) < 0.1 * (months < 10)
    return Records.flat(
        {
            "months": months,
            "price": price,
            "total": total,
            "third": np.round(total / 3),
            "left": Coded.of(np.where(left, "yes", "no").tolist()),
        }
    )


@pytest.fixture(scope="module")
def model():
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=8, valid_share=0.0)
    return learn(kind.learn(TABLE, params, 1), Local(table(), train=train_local))


@pytest.fixture(scope="module")
def free(model):
    return Records.joined([model.sample(block, model.block_size, 1) for block in range(30)])


def holds(clause: Clause, values: Values) -> np.ndarray:
    if isinstance(values, Coded):
        return np.isin(values.texts(), clause.labels)
    return clause.holds(values)


CASES = ["left=yes", "total=300..400", "third=100..120", "price=20", "left=no price=35 months=40.."]


@pytest.mark.parametrize("text", CASES)
def test_it_is_what_filtering_free_rows_gives(model, free, text: str) -> None:
    """Means and shares within 5 standard errors of both samples: wrong once in a million times."""
    condition = Condition.parse(text.split(), TABLE)
    given = model.conditioned(condition)
    drawn = given.sample(0, 4_096, 7).columns
    keep = np.ones(free.rows, bool)
    for clause in condition.clauses:
        keep &= holds(clause, free.columns[clause.field])
        assert holds(clause, drawn[clause.field]).all()
    assert keep.sum() > 300
    assert given.chance == pytest.approx(keep.mean(), rel=0.25)
    for name in ("months", "price", "total", "third"):
        a, b = np.asarray(free.columns[name])[keep], np.asarray(drawn[name])
        # a few of a row's particles weigh most, so some rows lean on the same few draws
        error = np.sqrt(a.var() / len(a) + 2 * b.var() / len(b))
        assert abs(a.mean() - b.mean()) < 5 * error + 1e-9, name
    a = np.asarray(free.columns["left"].texts())[keep] == "yes"
    b = np.asarray(drawn["left"].texts()) == "yes"
    spread = np.sqrt(max(a.var(), 1e-4) * (1 / len(a) + 2 / len(b)))
    assert abs(a.mean() - b.mean()) < 5 * spread


def test_a_condition_on_early_columns_alone_takes_one_particle(model) -> None:
    assert model.conditioned(Condition.parse(["months=5"], TABLE)).particles == 1


def test_what_cannot_come_together_is_refused(model) -> None:
    with pytest.raises(ImpossibleConditionError):
        model.conditioned(Condition.parse(["months=50..", "total=..20"], TABLE))


def clocked(rows: int = 2_000) -> Records:
    """Shifts as clocks such as 930 for 9:30, the end soon after the start; times to the second."""
    rng = np.random.default_rng(5)
    minute = rng.integers(0, 1_300, rows)
    ends = minute + rng.integers(0, 40, rows)
    day = rng.integers(0, 200, rows) * 86_400 + rng.integers(0, 86_400, rows)
    shown = {
        "starts": (minute // 60 * 100 + minute % 60).astype(float),
        "ends": (ends // 60 * 100 + ends % 60).astype(float),
    }
    at = np.datetime64("2024-01-01", "us") + day.astype("timedelta64[s]")
    return Records.flat({**shown, "at": at})


@pytest.fixture(scope="module")
def shifts():
    kind = GENERATORS.get("autoregressive")
    story = kind.learn(CLOCKED, kind.Params(max_epochs=2), 1)
    return learn(story, Local(clocked(), train=train_local))


@pytest.mark.parametrize(
    "text",
    [
        "starts=900..1130",
        "ends=1000",
        "starts=1030..1075",
        "at=2024-03-05",
        "at=2024-03-05..2024-03-06",
    ],
)
def test_clocks_and_days_hold_the_condition(shifts, text: str) -> None:
    """1075 is no clock: the last minute of the range is then 10:59."""
    condition = Condition.parse([text], CLOCKED)
    assert holding(condition, shifts.conditioned(condition).sample(0, 500, 1)).all()
