"""Parts of known sums, and earlier ones of known times, in completed rows."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.given import Among, empty_like
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.loop import train_local

BILLS = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="calls", kind="number", source_type="bigint"),
        Column(name="data", kind="number", source_type="bigint"),
        Column(name="total", kind="number", source_type="bigint"),
        Column(name="start", kind="time", source_type="timestamp_ntz"),
        Column(name="end", kind="time", source_type="timestamp_ntz"),
        Column(name="kind", kind="category"),
    ),
)


def bills(rows: int = 3_000) -> Records:
    """A total of two charges, and sessions of which long ones are of a kind of their own."""
    rng = np.random.default_rng(3)
    calls = rng.integers(0, 200, rows).astype(float)
    data = np.round(calls * rng.choice([0, 0.5, 2.0], rows)) + rng.integers(0, 60, rows)
    start = np.datetime64("2024-01-01", "us") + rng.integers(0, 180 * 86_400, rows).astype(
        "timedelta64[s]"
    )
    kind = rng.choice(["short", "long"], rows)
    lasts = rng.exponential(np.where(kind == "short", 60, 1_800)).round()
    return Records.flat(
        {
            "calls": calls,
            "data": data,
            "total": calls + data,
            "start": start,
            "end": start + lasts.astype("timedelta64[s]"),
            "kind": Coded.of(kind.tolist()),
        }
    )


@pytest.fixture(scope="module")
def model():
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=10, valid_share=0.0)
    return learn(kind.learn(BILLS, params, 1), Local(bills(), train=train_local))


@pytest.fixture(scope="module")
def completed(model):
    def of(*names: str) -> dict[str, np.ndarray]:
        some = bills().take(np.arange(600))
        known = {
            c.name: some.columns[c.name] if c.name in names else empty_like(c, 600)
            for c in BILLS.columns
        }
        return model.completed(Records.flat(known), 1).columns

    return of


@pytest.mark.parametrize("names", [("total",), ("total", "calls"), ("calls", "data")])
def test_a_sum_stays_the_sum_of_its_parts(completed, names: tuple[str, ...]) -> None:
    drawn = completed(*names)
    np.testing.assert_array_equal(drawn["calls"] + drawn["data"], drawn["total"])
    assert (drawn["calls"] >= 0).all()
    assert (drawn["data"] >= 0).all()


def test_parts_of_a_known_total_are_as_large_as_in_the_records(completed) -> None:
    """Means within 5 standard errors of the spread within tenths: wrong once in a million times."""
    real, drawn = bills().take(np.arange(600)).columns, completed("total")
    tenth = np.searchsorted(np.quantile(real["total"], np.arange(1, 10) / 10), real["total"])
    spread = np.sqrt(np.mean([real["data"][tenth == k].var() for k in range(10)]))
    error = 5 * spread * np.sqrt(2 / 600)
    assert drawn["data"].mean() == pytest.approx(real["data"].mean(), abs=error)


def test_the_end_of_a_session_gives_its_start_and_never_before_it(completed) -> None:
    drawn = completed("end", "kind")
    lasts = (drawn["end"] - drawn["start"]).astype(np.int64) / 1e6
    assert (lasts >= 0).all()
    long = drawn["kind"].texts() == "long"
    # medians of exponentials: 42 s and 1,248 s; 12 % are 5 standard errors of 300 draws, and the
    # network may be as far off again
    assert np.median(lasts[~long]) == pytest.approx(42, rel=0.3)
    assert np.median(lasts[long]) == pytest.approx(1_248, rel=0.3)


def test_a_missing_label_is_one_of_those_that_are_left(model) -> None:
    some = bills().take(np.arange(400))
    known = {**some.columns, "kind": Coded(np.full(400, -1, np.int32), ())}
    which = np.where(np.arange(400) % 2, 0, -1)
    only = {"kind": Among(which, (frozenset({"long"}),))}
    drawn = model.completer().complete(Records.flat(known), 1, 0, only).columns["kind"].texts()
    assert set(drawn[1::2]) == {"long"}
    assert set(drawn[::2]) == {"long", "short"}


def test_a_missing_number_passes_the_test_that_its_row_asks_for(model) -> None:
    """Of the records 30 % have fewer than 60 calls; the drawn ones are uniform below: their mean
    lies within 5 standard errors (17 / sqrt(200)) and 3 that the network may be off of 29.5."""
    some = bills().take(np.arange(400))
    known = {c.name: empty_like(c, 400) for c in BILLS.columns} | {"kind": some.columns["kind"]}
    which = np.where(np.arange(400) % 2, 0, -1)
    asked = {"calls": Among(which, holds=(lambda x: x < 60,))}
    drawn = model.completer().complete(Records.flat(known), 1, 0, asked).columns["calls"]
    assert (drawn[1::2] < 60).all()
    assert drawn[1::2].mean() == pytest.approx(29.5, abs=3 + 5 * 17 / np.sqrt(200))
    assert (drawn[::2] >= 60).mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / 200))


def test_cells_that_the_model_could_never_draw_are_found(model) -> None:
    some = bills().take(np.arange(3))
    known = {c.name: empty_like(c, 3) for c in BILLS.columns}
    known |= {"total": np.array([50.0, 1e6, np.nan]), "kind": Coded.of(["long", None, "strange"])}
    known["start"] = some.columns["start"].copy()
    known["start"][1] = np.datetime64("1980-01-01", "us")
    found = {n: v.tolist() for n, v in model.completer().unknown(Records.flat(known)).items()}
    assert found["total"] == [False, True, False]
    assert found["kind"] == [False, False, True]
    assert found["start"] == [False, True, False]
    assert found["calls"] == [False] * 3
