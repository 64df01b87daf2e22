from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded
from synth_spark.core.wire import dumps, loads
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_relations import search

N = 2_000


def table(seed=0):
    rng = np.random.default_rng(seed)
    months = rng.integers(1, 73, N).astype(float)
    plan = Coded.of([("a", "b", "c")[i] for i in rng.integers(0, 3, N)])
    price = np.array([20.0, 45.0, 80.0])[plan.codes] + np.round(rng.normal(0, 1, N) / 0.05) * 0.05
    return rng, {"months": months, "price": np.round(price, 2), "plan": plan}


def by_child(values, names):
    return {r.child: r for r in search(values, names)}


def test_a_rounded_third_is_computed():
    rng, values = table()
    values["revenue"] = rng.integers(10, 90_000, N).astype(float)
    values["segment"] = np.rint(values["revenue"] / 3)
    found = by_child(values, ("months", "revenue", "segment"))
    assert found["segment"].exact
    np.testing.assert_array_equal(found["segment"].value(values), values["segment"])


def test_a_noisy_total_is_a_product_and_its_residual_gives_it_back():
    rng, values = table()
    noise = rng.normal(0, 3, N) * np.sqrt(values["months"])
    values["total"] = np.round(values["months"] * values["price"] + noise, 2)
    relation = by_child(values, ("months", "price", "total"))["total"]
    assert (relation.form, set(relation.parents)) == ("product", {"months", "price"})
    again = relation.value(values, relation.residual(values))
    np.testing.assert_allclose(again, values["total"], atol=1e-6)


def test_two_columns_that_are_mostly_equal_follow_one_another():
    """Of as many different values each: the first by name tells of the second."""
    rng, values = table()
    values["billed"] = np.round(rng.gamma(2.0, 20.0, N), 1)
    other = rng.random(N) < 0.2
    values["paid"] = np.where(other, rng.permutation(values["billed"]), values["billed"])
    absent = np.setdiff1d(values["billed"], values["paid"])
    values["billed"] = np.where(np.isin(values["billed"], absent), 40.0, values["billed"])
    assert len(np.unique(values["billed"])) == len(np.unique(values["paid"]))
    found = by_child(values, ("billed", "paid"))
    assert set(found) == {"paid"}
    assert (found["paid"].form, found["paid"].parents) == ("scale", ("billed",))


def test_a_price_list_is_found():
    rng, values = table()
    extra = Coded.of([("none", "sport", "film")[i] for i in rng.integers(0, 3, N)])
    values["extra"] = extra
    values["price"] = np.round(values["price"] + np.array([0.0, 7.0, 12.0])[extra.codes], 2)
    relation = by_child(values, ("months", "price"))["price"]
    assert relation.form == "linear"
    assert relation.needs == ("extra", "plan")


def test_a_number_with_a_few_values_for_each_label_keeps_them():
    rng = np.random.default_rng(3)
    grade = rng.integers(0, 30, N)
    rate = np.round(5 + 0.7 * grade + np.array([0.0, 0.13])[rng.integers(0, 2, N)], 2)
    term = Coded.of([("36", "60")[i] for i in rng.integers(0, 2, N)])
    values = {"rate": rate, "grade": Coded.of([f"g{i}" for i in grade]), "term": term}
    assert search(values, ("rate",)) == ()


def test_a_total_of_many_parts_is_computed_from_them():
    rng = np.random.default_rng(4)
    values = {c: np.round(rng.gamma(2, 20, N), 2) for c in "abcdefg"}
    values["sum"] = np.round(values["a"] + values["c"] + values["d"] + values["f"], 2)
    values["due"] = np.round(0.17 * values["sum"] + values["b"] - values["g"], 2)
    found = by_child(values, tuple(values))
    assert found["sum"].exact
    assert set(found["sum"].parents) == {"a", "c", "d", "f"}
    np.testing.assert_allclose(found["sum"].value(values), values["sum"], atol=1e-9)


def test_a_bill_is_its_parts_although_its_tax_stands_beside_it():
    """The tax tells all but the cents of the net amount, so that no part would be looked for."""
    rng, values = table()
    values["fee"] = rng.integers(900, 4_000, N) / 100
    values["roaming"] = np.where(rng.random(N) < 0.9, 0.0, rng.integers(1, 3_000, N) / 100)
    values["device"] = np.where(rng.random(N) < 0.6, 0.0, rng.integers(500, 4_000, N) / 100)
    values["net"] = np.round(values["fee"] + values["roaming"] + values["device"], 2)
    values["tax"] = np.round(values["net"] * 0.21, 2)
    values["total"] = np.round(values["net"] + values["tax"], 2)
    names = ("fee", "roaming", "device", "net", "tax", "total")
    found = by_child(values, names)
    assert set(found) == {"net", "tax", "total"}
    assert all(r.exact for r in found.values())
    assert set(found["net"].parents) == {"fee", "roaming", "device"}
    assert (found["tax"].parents, found["tax"].factor) == (("net",), 0.21)


def test_a_total_with_a_heavy_tail_is_not_cut():
    rng = np.random.default_rng(6)
    values = {c: np.round(np.exp(1.5 * rng.normal(size=20_000)), 2) for c in "abcd"}
    values["sum"] = np.round(sum(values[c] for c in "abcd"), 2)
    relation = by_child(values, tuple(values))["sum"]
    np.testing.assert_allclose(relation.value(values), values["sum"], atol=1e-6)


def test_a_part_is_never_computed_from_its_total():
    rng = np.random.default_rng(5)
    values = {c: rng.integers(0, 40, N).astype(float) for c in "abc"}
    values["total"] = values["a"] + values["b"] + values["c"]
    assert set(by_child(values, tuple(values))) == {"total"}


_INVERSE = {"root": "square", "exp": "log"}  # is looked for first


@pytest.mark.parametrize(
    ("form", "of"),
    [
        ("log", np.log),
        ("log", lambda x: 3 * np.log10(x)),
        ("log1p", np.log1p),
        ("root", np.sqrt),
        ("square", lambda x: np.rint(x) ** 2 / 10),
        ("exp", lambda x: np.exp(x / 100)),
    ],
)
def test_a_curve_of_another_number_is_computed(form, of):
    """Numbers were float32 once; the curve's name decides which of the two follows."""
    x = np.random.default_rng(1).gamma(3, 60, 3_000).astype(np.float32)
    x = np.rint(x) if form in ("square", "log") else x / (100 if form == "exp" else 1)
    x = np.maximum(x, 1).astype(np.float64)
    y = of(x if form != "exp" else 100 * x).astype(np.float32).astype(np.float64)
    other = np.random.default_rng(2).random(3_000)
    (found,) = search({"a": y, "b": x, "c": other}, ("a", "b", "c"))
    assert found.exact
    values = {"a": y, "b": x, "c": other}
    again = found.value({n: v for n, v in values.items() if n != found.child})
    np.testing.assert_allclose(again, values[found.child], rtol=1e-6)
    if form in ("log", "log1p", "root") and found.child == "a":  # to the digit of a float32
        assert (again == y).mean() > 0.95
    assert (found.child, found.form) in {("a", form), ("b", _INVERSE.get(form, ""))}
    back = found.left_for(found.parents[0])
    if back is not None:
        np.testing.assert_allclose(back(values), values[found.parents[0]], rtol=1e-4)


def test_a_last_bit_that_a_reader_missed_does_not_hide_numbers_of_32_bits():
    x = np.rint(np.random.default_rng(1).gamma(9, 4, 3_000)) + 1
    y = np.log(x).astype(np.float32).astype(np.float64)
    missed = np.where(np.arange(3_000) % 3 == 0, np.nextafter(y, np.inf), y)
    (found,) = search({"a": missed, "b": x}, ("a", "b"))
    again = found.value({"b": x})
    assert (again == y).mean() > 0.95


def test_years_of_work_follow_from_age_and_school_and_their_square_from_them():
    rng = np.random.default_rng(4)
    age, school = rng.integers(24, 35, N).astype(float), rng.integers(4, 19, N).astype(float)
    values = {"age": age, "school": school, "worked": age - school - 6}
    values["squared"] = values["worked"] ** 2
    found = by_child(values, tuple(values))
    assert found["worked"].parents in {("age", "school"), ("school", "age")}
    assert (found["squared"].form, found["squared"].parents) == ("square", ("worked",))


def test_a_logarithm_is_missing_where_its_number_is_nothing():
    x = np.random.default_rng(1).integers(0, 400, 3_000).astype(float)
    with np.errstate(divide="ignore"):
        y = np.where(x > 0, np.log(x), np.nan)
    (found,) = search({"a": y, "b": x}, ("a", "b"))
    assert (found.child, found.form, found.exact) == ("a", "log", True)
    assert np.isnan(found.value({"b": np.array([0.0])})).all()


def test_unrelated_columns_have_no_relation():
    rng = np.random.default_rng(1)
    values = {c: rng.gamma(2, 50, N) for c in "abcd"}
    assert search(values, tuple("abcd")) == ()


def test_relations_never_run_in_a_circle():
    rng = np.random.default_rng(2)
    x = rng.integers(1, 5_000, N).astype(float)
    values = {"x": x, "y": 2 * x, "z": 3 * x, "w": 6 * x}
    found = by_child(values, ("x", "y", "z", "w"))
    assert len(found) == 3
    for name in found:
        seen, todo = set(), [name]
        while todo:
            todo += [p for p in found[todo.pop()].needs if p in found and p != name]
            assert len(todo) < 10
            seen |= set(todo)
        assert name not in seen


def test_a_missing_parent_leaves_no_residual():
    relation = Relation("y", "product", ("a", "b"))
    values = {"y": np.array([6.0, 6.0]), "a": np.array([2.0, np.nan]), "b": np.array([3.0, 3.0])}
    assert relation.residual(values).tolist() == pytest.approx([0.0, np.nan], nan_ok=True)


def test_the_wire_keeps_a_relation():
    _, values = table()
    for relation in search(values, ("months", "price")):
        assert Relation.from_state(loads(dumps(relation.state()))) == relation
