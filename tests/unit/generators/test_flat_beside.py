"""Which of many labels go together is counted, and shares hold among drawn rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator
from synth_spark.core.wire import dumps, loads
from synth_spark.generators._flat_beside import discounted
from synth_spark.generators._flat_calibrate import _moved, settled
from synth_spark.generators._flat_model import Drawing, FlatModel
from synth_spark.generators.autoregressive import GENERATOR, AutoregressiveModel
from synth_spark.training.loop import train_local

ROWS, CELLS, PHONES = 6_000, 250, 230
SCHEMA = Schema(
    family="table", shape="flat",
    columns=(
        Column(name="cell", kind="category", source_type="string"),
        Column(name="phone", kind="category", source_type="string"),
    ),
)  # fmt: skip


def calls(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Each cell has five phones of its own."""
    rng = np.random.default_rng(3)
    cell = rng.integers(0, CELLS, rows)
    return cell, (cell * 7 + 11 * rng.integers(0, 5, rows)) % PHONES


def learned() -> FlatModel:
    cell, phone = calls()
    records = Records.flat(
        {"cell": Coded.of([f"c{i}" for i in cell]), "phone": Coded.of([f"p{i}" for i in phone])}
    )
    params = GENERATOR.Params(max_epochs=3)
    return learn(GENERATOR.learn(SCHEMA, params, 0), Local(records, train=train_local, seed=0))


def test_nearly_all_pairs_of_many_labels_were_there():
    """Independent draws would give one in 46."""
    model = learned()
    drawn = model.sample(0, 4_096, 0).columns
    pairs = set(zip(*calls(), strict=True))
    there = [
        (int(c[1:]), int(p[1:])) in pairs
        for c, p in zip(drawn["cell"].texts(), drawn["phone"].texts(), strict=True)
    ]
    assert np.mean(there) > 0.9
    again = AutoregressiveModel.from_state(loads(dumps(model.state())))
    other = again.sample(0, 4_096, 0).columns
    assert (other["phone"].texts() == drawn["phone"].texts()).all()


def test_counts_are_discounted_and_what_is_taken_goes_by_the_shares():
    """Worked out by hand: of 3 pairs once and none twice all is taken, of others 1."""
    counts = np.array([[1, 0, 4], [1, 1, 0], [0, 0, 0]])
    table, nats = discounted(counts)
    share = (counts.sum(axis=0) + 0.5) / 8.5
    first = np.array([2 * share[0], 2 * share[1], 3 + 2 * share[2]]) / 5
    np.testing.assert_allclose(table[0], np.log(first / share), rtol=1e-5)
    np.testing.assert_allclose(table[1], 0, atol=1e-6)
    np.testing.assert_array_equal(table[2], 0)
    alone = np.array([2 * share[0], 2 + 2 * share[2]]) / 4  # the row itself left out
    alone[0] = 1 * share[0] / 4  # the others' 3 are kept
    wanted = np.log(alone / share[[0, 2]]) @ [1, 4] / 7
    assert nats == pytest.approx(wanted, rel=1e-6)


def test_a_pair_of_one_row_is_told_as_one_of_none():
    rng = np.random.default_rng(2)
    counts = rng.poisson(0.7, (60, 50))
    table, _ = discounted(counts)
    for row, seen in zip(table, counts, strict=True):
        if (seen == 1).any() and (seen == 0).any():
            assert np.ptp(row[seen < 2]) < 1e-5
    assert np.isfinite(discounted(np.full((3, 3), 8))[0]).all()
    assert discounted(np.diag([9, 9, 9]))[0].min() > -7  # never seen is not forbidden


def test_labels_that_tell_nothing_of_each_other_tell_no_nats():
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 50, 5_000) * 40 + rng.integers(0, 40, 5_000)
    assert discounted(np.bincount(pairs, minlength=2_000).reshape(50, 40))[1] < 0.01


def test_a_share_that_drawn_rows_do_not_keep_is_put_right():
    model = learned()
    shares = [
        np.zeros(len(t.bias) if not len(t.out_bias) else len(t.out_bias)) for t in model.tables
    ]
    drawing = Drawing(model, 8_192, generator(1, "test", 0))
    for c in range(2):
        weights = drawing.weights(c)
        shares[c][:] = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
        drawing.draw(c, weights)
    wrong = np.zeros(len(shares[0]))
    wrong[3] = 3.0  # twenty times too many
    moved = replace(model, tables=(_moved(model.tables[0], wrong), model.tables[1]))
    again = replace(moved, tables=settled(moved, shares, 0))
    weights = Drawing(again, 8_192, generator(2, "test", 0)).weights(0)
    mean = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(mean, shares[0], atol=0.005)
