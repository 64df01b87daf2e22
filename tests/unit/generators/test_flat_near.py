"""A number beside another is told by its neighbours, from few rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators import _flat_near as flat_near
from synth_spark.generators._flat_learn import FlatTrainee
from synth_spark.generators._flat_near import _Axis, _between, _table
from synth_spark.generators.autoregressive import GENERATOR
from synth_spark.training.loop import train_local

ROWS = 900
SCHEMA = Schema(
    family="table", shape="flat",
    columns=tuple(
        Column(name=name, kind="number", source_type="double") for name in ("lines", "size")
    ),
)  # fmt: skip


def far_off(epochs: int) -> float:
    """Share of drawn rows that lie more than a tenth off a strip that is .02 wide."""
    rng = np.random.default_rng(4)
    size = rng.random(ROWS)
    records = Records.flat({"lines": size + rng.normal(0, 0.02, ROWS), "size": size})
    params = GENERATOR.Params(max_epochs=epochs, relations=False)
    model = learn(GENERATOR.learn(SCHEMA, params, 0), Local(records, train=train_local, seed=0))
    drawn = model.sample(0, 2_000, 0).columns
    return float(np.mean(np.abs(np.asarray(drawn["lines"]) - np.asarray(drawn["size"])) > 0.1))


def test_a_strip_is_kept_from_few_rows_and_few_epochs(monkeypatch):
    """Drawn on their own, four in five would lie outside."""
    assert far_off(2) < 0.12
    monkeypatch.setattr(flat_near, "_LEAST_NATS", np.inf)
    assert far_off(2) > 0.4


def test_numbers_that_tell_nothing_of_each_other_have_no_table(monkeypatch):
    """300 pairs of independent numbers: held-back rows would have to gain .3 nats by chance."""
    tables = []

    def kept(*args):
        tables.append(flat_near.near(*args))
        return tables[-1]

    monkeypatch.setattr("synth_spark.generators._flat_beside.near", kept)
    rng = np.random.default_rng(5)
    records = Records.flat({n: rng.normal(size=300) for n in ("lines", "size")})
    params = GENERATOR.Params(max_epochs=1)
    learn(GENERATOR.learn(SCHEMA, params, 0), Local(records, train=train_local, seed=0))
    assert tables == [(0.0, ()), (0.0, ())]


def axis(rows: list[int], *alone: int) -> _Axis:
    shares = np.array(rows) / sum(rows)
    return _Axis(shares, np.isin(np.arange(len(rows)), alone))


def test_a_narrow_kernel_gives_the_counts_and_two_parts_in_a_hundred_of_the_shares():
    """Worked out by hand."""
    counts = np.array([[6.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    right = axis([5, 3, 2])
    expected = np.outer([8.0, 0.0], right.shares)
    table = _table(counts, expected, axis([8, 2]), right, 1e-6)
    calm = 1 + 0.02 * 8
    wanted = (counts[0] + calm * right.shares) / (8 + calm)
    np.testing.assert_allclose(table[0], np.log(wanted / right.shares), rtol=1e-9)
    np.testing.assert_allclose(table[1], 0, atol=1e-12)


def test_what_is_missing_and_what_is_a_label_has_no_neighbours():
    kernel = axis([4, 4, 4], 2).kernel(0.5)
    assert kernel[0, 1] == pytest.approx(np.exp(-0.5 * (1 / 3 / 0.5) ** 2))
    np.testing.assert_array_equal(kernel[2], [0, 0, 1])
    np.testing.assert_array_equal(kernel[:, 2], [0, 0, 1])


def test_rows_near_by_speak_for_a_token_without_rows():
    """A wide kernel moves the shares of an empty token towards those of the ones beside it."""
    counts = np.array([[50.0, 0.0], [0.0, 0.0], [50.0, 0.0]])
    right = axis([50, 50])
    expected = np.outer(counts.sum(axis=1), right.shares)
    table = _table(counts, expected, axis([50, 1, 50]), right, 0.3)
    assert table[1, 0] > 0.3
    assert table[1, 1] < 0


def test_a_second_table_tells_what_the_first_has_left():
    """The number is the sum of two; one alone leaves half of what is known."""
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 20, (2, 3_000))
    tokens = np.column_stack([a, b, a + b]).astype(np.int32)
    field = SimpleNamespace(kind="number", part="")
    drawn = [
        SimpleNamespace(
            field=field, relation=None, open_plain=False, vocabulary=v,
            codec=SimpleNamespace(missing_token=-1),
        )
        for v in (20, 20, 39)
    ]  # fmt: skip
    nats, tables = flat_near.near(SimpleNamespace(drawn=drawn), tokens, 2)
    assert nats > 0.5  # by hand: what the first alone tells of the sum, about
    assert sorted(slot for slot, _ in tables) == [0, 1]
    logits = sum(table[tokens[:, slot]] for slot, table in tables)
    logits = logits + np.log(np.bincount(a + b) / len(a))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    near_by = sum(p[np.arange(len(a)), np.clip(a + b + d, 0, 38)] for d in range(-4, 5))
    assert near_by.mean() > 0.58  # by hand: 9 of 20 with the first alone


def test_a_checkpoint_of_other_tables_is_known_by_its_mark():
    """Tables and strength are no weights: names and shapes of these would be the same."""
    table = np.zeros((2, 3), np.float32)

    def mark(strength: float, *pairs: tuple[int, np.ndarray]) -> str:
        return FlatTrainee(SimpleNamespace(strength=strength, beside=(pairs,)), None).mark

    marks = [mark(1.0), mark(2.0), mark(1.0, (0, table)), mark(1.0, (1, table))]
    marks.append(mark(1.0, (0, table + 1)))
    assert len(set(marks)) == len(marks)
    assert mark(1.0, (0, table.copy())) == marks[2]


def test_between_two_places_are_the_rows_nearer_to_them_than_the_other_is():
    """Three places on a meridian, worked out by hand: half of both ends and all between."""
    apart = _between(np.array([[50.0, 5.0], [50.1, 5.0], [50.4, 5.0]]), np.array([0.2, 0.3, 0.5]))
    # from the first .1 and .3 / 2 to the second, from the second .15 and .1
    np.testing.assert_allclose(apart[0, 1], 0.1 + 0.15)
    np.testing.assert_allclose(apart[0, 2], ((0.1 + 0.3 + 0.25) + (0.25 + 0.3 + 0.1)) / 2)
    # from the second the first is nearer than the third; from the third not
    np.testing.assert_allclose(apart[1, 2], ((0.15 + 0.2 + 0.25) + (0.25 + 0.15)) / 2)
    np.testing.assert_array_equal(np.diag(apart), 0)


def test_a_label_of_one_row_is_not_lifted_at_a_heavy_place():
    """Label 3 stands once at the second of two far places; 30 rows of it stand at the first."""
    place = np.repeat([0, 1], [500, 500])
    label = np.tile([0, 1], 500)
    label[:30], label[500], label[600:640] = 3, 3, 2
    tokens = np.column_stack([place, label]).astype(np.int32)
    centre = np.array([[50.0, 5.0], [53.0, 9.0]])
    kinds = (("place", 2), ("category", 4))
    drawn = [
        SimpleNamespace(
            field=SimpleNamespace(kind=kind, part=""), relation=None, open_plain=False,
            vocabulary=size,
            codec=SimpleNamespace(missing_token=-1, centre=centre, vocabulary=size),
        )
        for kind, size in kinds
    ]  # fmt: skip
    own, left = _Axis.of(drawn[1], tokens[:, 1]), _Axis.of(drawn[0], tokens[:, 0])
    counts, expected = flat_near._Rows(tokens, 1, own).pairs(0, left)
    assert counts[1, 3] == pytest.approx(expected[1, 3] / expected[1].sum())
    assert counts[0, 3] == pytest.approx(30)
    np.testing.assert_allclose(counts.sum(axis=1), [500, 500])
