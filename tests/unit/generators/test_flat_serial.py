"""Serial numbers in a learned flat table, and labels that others follow from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from synth_spark.columns._determined_search import determined
from synth_spark.columns.serial import serials
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import BadConditionError, Condition
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._flat_fields import Field
from synth_spark.generators._flat_heads import heads
from synth_spark.generators._flat_serial import follows
from synth_spark.pipelines.drawer import ModelDrawer
from synth_spark.pipelines.model_folder import Saved

pytest.importorskip("torch")
from synth_spark.training.loop import train_local

ROWS = 3_000
SCHEMA = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="ticket", kind="number", source_type="bigint", unique=True),
        Column(name="opened", kind="time", source_type="timestamp_ntz"),
        Column(name="model", kind="category"),
        Column(name="maker", kind="category"),
        Column(name="system", kind="category"),
    ),
)


@lru_cache
def records() -> Records:
    """Tickets in the order of time; 90 models of 6 makers; two makers share two systems."""
    rng = np.random.default_rng(1)
    second = np.sort(rng.integers(0, 200 * 86_400, ROWS))
    opened = np.datetime64("2026-01-01", "us") + second.astype("timedelta64[s]")
    model = rng.integers(0, 90, ROWS)
    maker = model % 6
    system = 2 * (maker % 3) + (rng.random(ROWS) < 0.3)
    return Records.flat(
        {
            "ticket": 5_000.0 + np.cumsum(rng.integers(1, 3, ROWS)),
            "opened": opened,
            "model": Coded.of([f"m{i}" for i in model]),
            "maker": Coded.of([f"k{i}" for i in maker]),
            "system": Coded.of([f"s{i}" for i in system]),
        }
    )


@lru_cache
def drawer(name: str) -> ModelDrawer:
    engine = Local(records(), train=train_local, seed=0)
    kind = GENERATORS.get(name)
    found = learn(determined(SCHEMA, 5), engine)
    model = learn(kind.learn(found.rest(SCHEMA), kind.Params(), 0), engine)
    ids = learn(serials(SCHEMA, ROWS), engine)
    return ModelDrawer(Saved(model, name, SCHEMA, ids, found, {}, ""))


@lru_cache
def drawn(name: str) -> Records:
    return drawer(name).draw(0, ROWS, 3)[0]


def texts(records: Records, name: str) -> np.ndarray:
    values = records.columns[name]
    assert isinstance(values, Coded)
    return values.texts()


def test_a_ticket_goes_with_its_time_and_no_two_are_the_same() -> None:
    out = drawn("autoregressive")
    ticket = np.asarray(out.columns["ticket"])
    assert len(np.unique(ticket)) == ROWS
    order = np.argsort(np.asarray(out.columns["opened"]), kind="stable")
    rank = np.argsort(np.argsort(ticket[order]))
    assert np.quantile(np.abs(rank - np.arange(ROWS)), 0.95) < 0.02 * ROWS


@pytest.mark.parametrize("name", ["autoregressive", "vae", "transform"])
def test_whatever_draws_them_tickets_are_made_anew(name: str) -> None:
    """One whole number in 1.5 is a ticket; a model that gave them out would have them all."""
    ticket = np.asarray(drawn(name).columns["ticket"])
    assert len(np.unique(ticket)) == ROWS
    own = np.asarray(records().columns["ticket"])
    assert np.isin(ticket, own).mean() < 0.75


def test_what_few_rows_of_a_model_cannot_tell_comes_from_its_maker() -> None:
    out = drawn("autoregressive")
    real = set(zip(texts(records(), "model"), texts(records(), "maker"), strict=True))
    assert set(zip(texts(out, "model"), texts(out, "maker"), strict=True)) <= real
    maker = [int(t[1:]) for t in texts(out, "maker")]
    system = [int(t[1:]) // 2 for t in texts(out, "system")]
    assert np.mean(np.array(maker) % 3 != np.array(system)) < 0.02


def test_heads_are_a_label_before_what_follows_from_it() -> None:
    rng = np.random.default_rng(0)
    model = rng.integers(0, 40, 1_000)
    values = {
        "price": (model % 7) * 10.0,
        "noise": rng.normal(size=1_000),
        "model": Coded.of([f"m{i}" for i in model]),
        "maker": Coded.of([f"k{i % 5}" for i in model]),
        "other": Coded.of([f"o{i}" for i in rng.integers(0, 5, 1_000)]),
    }
    kinds = {n: "category" if isinstance(v, Coded) else "number" for n, v in values.items()}
    fields = tuple(Field(n, n, k) for n, k in kinds.items())  # type: ignore[arg-type]
    assert heads(fields, values) == ["model", "price", "maker"]


def test_a_condition_cannot_name_tickets() -> None:
    with pytest.raises(BadConditionError, match="made anew"):
        Condition.parse(["ticket=5000..6000"], SCHEMA)


def test_points_of_the_curve_are_of_many_rows() -> None:
    """One day of a year has a single ticket, and the first one too."""
    rng = np.random.default_rng(3)
    day = np.sort(np.concatenate([[0.0], rng.integers(2, 40, 3_000), [41.0]]))
    ids = 100.0 + np.cumsum(rng.integers(1, 4, len(day)))
    after, curve = follows("id", ["day"], Records.flat({"id": ids, "day": day}))
    x, y = np.array(curve).T
    assert after == "day"
    assert x[0] > 0
    assert x[-1] < 41
    assert not {ids[0], ids[-1]} & set(y)


def test_a_missing_id_takes_no_part_and_few_ids_tell_nothing() -> None:
    rng = np.random.default_rng(4)
    ids, day = np.arange(1_000.0), np.arange(1_000.0) // 10
    ids[5:8] = np.nan
    _, curve = follows("id", ["day"], Records.flat({"id": ids, "day": day}))
    assert np.isfinite(np.array(curve)).all()
    none = Records.flat({"id": np.full(1_000, np.nan), "day": rng.permutation(day)})
    assert follows("id", ["day"], none) == ("", ())
