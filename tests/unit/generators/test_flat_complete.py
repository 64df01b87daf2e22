"""Missing cells drawn given the known ones, and the chance of whole rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import ImpossibleConditionError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._flat_chance import MissingColumnError
from synth_spark.generators._flat_model import FlatModel
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


# ---- chances of a small world -------------------------------------------------------------------

LABELS = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="a", kind="category"),
        Column(name="b", kind="category"),
        Column(name="c", kind="category"),
    ),
)


def labelled(*rows: str) -> Records:
    """Rows of three labels of one letter each; a dot is a missing one."""
    columns = zip(*(tuple(None if v == "." else v for v in row) for row in rows), strict=True)
    return Records.flat({n: Coded.of(v) for n, v in zip("abc", columns, strict=True)})


@pytest.fixture(scope="module")
def small():
    """x, y or z; p or q, more often p beside x; u or sometimes missing."""
    rng = np.random.default_rng(8)
    rows = [
        f"{a}{'p' if rng.random() < (0.8 if a == 'x' else 0.3) else 'q'}{c}"
        for a, c in zip(rng.choice(list("xyz"), 600), rng.choice(list("u."), 600), strict=True)
    ]
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=4, valid_share=0.0)
    return learn(kind.learn(LABELS, params, 1), Local(labelled(*rows), train=train_local))


def test_the_chances_of_all_rows_of_a_small_world_add_up_to_one(small) -> None:
    every = ["".join(row) for row in product("xyz", "pq", "u.")]
    chance = np.exp(small.log_probability(labelled(*every)))
    assert chance.sum() == pytest.approx(1, abs=1e-5)
    by_row = dict(zip(every, chance, strict=True))
    share = sum(by_row[f"xp{c}"] for c in "u.") / sum(
        by_row[f"x{b}{c}"] for b in "pq" for c in "u."
    )
    assert share == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("row", [".pu", "x.u", "Npu", "xNu", "xpN"])
def test_a_label_that_is_not_known_and_a_gap_that_never_was_have_no_chance(small, row) -> None:
    nats = small.log_probability(labelled("xpu", row, "zq."))
    assert nats[1] == -np.inf
    assert np.isfinite(nats[[0, 2]]).all()


def test_what_a_model_draws_has_a_chance_under_it(model, small) -> None:
    for own in (model, small):
        assert np.isfinite(own.log_probability(own.sample(0, 2_000, 9))).all()


@pytest.mark.parametrize(("name", "value"), [("price", 11.0), ("price", np.nan), ("months", 2.5)])
def test_a_number_that_is_never_drawn_has_no_chance(model, name, value) -> None:
    columns = dict(model.sample(0, 2, 5).columns)
    columns[name] = np.array([value, columns[name][1]])
    nats = model.log_probability(Records.flat(columns))
    assert nats[0] == -np.inf
    assert np.isfinite(nats[1])


def test_a_rare_label_counts_as_any_rare_one() -> None:
    """Two labels of two rows each are told by nobody: together one in 100 rows."""
    rows = ["xpu"] * 198 + ["yqu"] * 198 + ["rpu", "rqu", "spu", "squ"]
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=4, valid_share=0.0)
    own = learn(kind.learn(LABELS, params, 1), Local(labelled(*rows), train=train_local))
    nats = own.log_probability(labelled("rpu", "spu", "Npu"))
    assert np.isfinite(nats).all()
    assert nats[0] == nats[1] == nats[2]
    every = ["".join(row) for row in product("xyN", "pq", "u")]
    assert np.exp(own.log_probability(labelled(*every))).sum() == pytest.approx(1, abs=1e-5)


def test_a_known_cell_that_can_never_be_is_refused_with_its_row(model, small) -> None:
    with pytest.raises(ImpossibleConditionError, match=r"row 1: a=N"):
        small.completed(labelled("x..", "N.."), 1)
    known = without(model.sample(0, 3, 5), "months", "total", "third", "left")
    known.columns["price"][2] = 11.0
    with pytest.raises(ImpossibleConditionError, match=r"model: 1 .* row 2: price=11\.0") as caught:
        model.completed(known, 1)
    assert caught.value.facts["rows"] == [2]


def test_records_without_a_column_of_the_models_are_refused_by_its_name(small) -> None:
    columns = dict(labelled("xpu").columns)
    del columns["b"]
    for asked in (small.log_probability, lambda r: small.completed(r, 1)):
        with pytest.raises(MissingColumnError, match="lack b,"):
            asked(Records.flat(columns))


def test_a_sum_that_does_not_add_up_has_no_chance(model) -> None:
    drawn = model.sample(0, 2, 5)
    off = {**drawn.columns, "third": drawn.columns["third"] + np.array([7.0, 0.0])}
    np.testing.assert_array_equal(
        np.isfinite(model.log_probability(Records.flat(off))), [False, True]
    )


def test_labels_that_never_occur_together_have_no_chance_together() -> None:
    """y and p would by chance stand together 100 times in 400 rows."""
    rows = ["xpu", "xqu", "yqu", "xpu"] * 100
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=2, valid_share=0.0)
    own = learn(kind.learn(LABELS, params, 1), Local(labelled(*rows), train=train_local))
    nats = own.log_probability(labelled("ypu", "xpu", "yqu"))
    np.testing.assert_array_equal(np.isfinite(nats), [False, True, True])


def test_which_id_a_row_has_does_not_count_and_a_saved_model_says_the_same() -> None:
    """Three rows share an account, one row in five has none."""
    schema = replace(LABELS, columns=(*LABELS.columns, Column(name="account", kind="identifier")))
    rng = np.random.default_rng(8)
    plain = labelled(*(f"{a}pu" for a in rng.choice(list("xyz"), 600)))
    ids = [None if i % 5 == 0 else f"A{i // 3}" for i in range(600)]
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=2, valid_share=0.0)
    with_ids = Records.flat({**plain.columns, "account": Coded.of(ids)})
    own = learn(kind.learn(schema, params, 1), Local(with_ids, train=train_local))
    assert any(d.field.part == "id" and d.field.shared for d in own.coder.drawn)
    asked = ["A4", "A50", "B1", "3", None]
    rows = Records.flat({**labelled(*["xpu"] * 5).columns, "account": Coded.of(asked)})
    nats = own.log_probability(rows)
    assert len(set(nats[:4].tolist())) == 1
    assert np.exp(nats[4] - nats[0]) == pytest.approx(0.25, abs=0.1)  # 120 rows to 480
    np.testing.assert_array_equal(FlatModel.from_state(own.state()).log_probability(rows), nats)


def test_ids_that_are_left_out_do_not_count() -> None:
    """Accounts of three rows each, in every row."""
    schema = replace(LABELS, columns=(*LABELS.columns, Column(name="account", kind="identifier")))
    rng = np.random.default_rng(8)
    plain = labelled(*(f"{a}pu" for a in rng.choice(list("xyz"), 600)))
    ids = Coded.of([f"A{i // 3}" for i in range(600)])
    kind = GENERATORS.get("autoregressive")
    params = kind.Params(max_epochs=2, valid_share=0.0)
    with_ids = Records.flat({**plain.columns, "account": ids})
    own = learn(kind.learn(schema, params, 1), Local(with_ids, train=train_local))
    bare = labelled("xpu", "ypu", "zpu")
    assert np.exp(own.log_probability(bare)).sum() == pytest.approx(1, abs=1e-5)
    gone = Records.flat({**bare.columns, "account": Coded.of([None, "A1", "A2"])})
    np.testing.assert_array_equal(np.isfinite(own.log_probability(gone)), [False, True, True])
