"""Known cells of looked-up columns: what they leave for what they follow from."""

from __future__ import annotations

import numpy as np

from synth_spark.columns._determined_given import among, fillable
from synth_spark.columns._determined_search import determined
from synth_spark.columns.determined import Determined
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema

ROWS = 3_000
CELL = np.random.default_rng(3).integers(0, 60, ROWS)
SCHEMA = Schema(
    family="table",
    shape="flat",
    columns=(
        *(Column(name=n, kind="category", per="subject") for n in ("country", "city", "cell")),
        Column(name="height", kind="number", per="subject"),
        Column(name="age", kind="number", per="subject"),
        Column(name="group", kind="category", per="subject"),
    ),
)


def groups() -> Determined:
    """A chain of a cell's city and country, its height, and an age group."""
    age = np.round(np.random.default_rng(4).uniform(18, 90, ROWS), 3)
    table = {
        "country": Coded.of([f"k{i % 3}" for i in CELL]),
        "city": Coded.of([f"t{i % 12}" for i in CELL]),
        "cell": Coded.of([f"c{i}" for i in CELL]),
        "height": CELL % 7 * 1.5,
        "age": age,
        "group": Coded.of(np.where(age < 40, "young", "old").tolist()),
    }
    found = learn(determined(SCHEMA, 5), Local(Records.flat(table)))  # type: ignore[arg-type]
    assert sorted(found.children) == ["city", "country", "group", "height"]
    assert isinstance(found, Determined)
    return found


FOUND = groups()


def test_a_country_leaves_its_cells_through_the_cities() -> None:
    left, wrong = among(FOUND, Records.flat({"country": Coded.of(["k1", None, "k2"])}))
    sets = [left["cell"].sets[i] if i >= 0 else None for i in left["cell"].which]
    assert sets[0] == {f"c{i}" for i in range(60) if i % 3 == 1}
    assert sets[1] is None  # any cell
    assert sets[2] == {f"c{i}" for i in range(60) if i % 3 == 2}
    assert list(left) == ["cell"]  # a city is looked up once there is a cell
    assert not any(w.any() for w in wrong.values())


def test_two_known_children_leave_the_cells_that_have_both() -> None:
    known = Records.flat({"city": Coded.of(["t5"]), "height": np.array([3.0])})
    left, _ = among(FOUND, known)
    assert left["cell"].sets[left["cell"].which[0]] == {
        f"c{i}" for i in range(60) if i % 12 == 5 and i % 7 == 2
    }


def test_what_no_cell_has_or_the_given_cell_has_not_is_found() -> None:
    known = Records.flat(
        {
            "cell": Coded.of([None, "c5", "c5", "new", None]),
            "city": Coded.of(["t5", "t5", "t6", "t6", "nowhere"]),
        }
    )
    _, wrong = among(FOUND, known)
    # of a cell that is not told nothing is known; whether the model knows it is asked elsewhere
    assert wrong["city"].tolist() == [False, False, True, False, True]


def test_an_age_group_leaves_its_ages() -> None:
    left, wrong = among(FOUND, Records.flat({"group": Coded.of(["old", "young", None])}))
    ages = np.array([18.0, 39.0, 41.0, 90.0])
    of_old, of_young = (left["age"].holds[left["age"].which[i]] for i in (0, 1))
    assert of_old(ages).tolist() == [False, False, True, True]
    assert of_young(ages).tolist() == [True, True, False, False]
    np.testing.assert_array_equal(of_old(ages.reshape(2, 2)), [[False, False], [True, True]])
    assert left["age"].which[2] == -1
    assert not wrong["group"].any()
    beside = Records.flat({"group": Coded.of(["old", "old"]), "age": np.array([50.0, 20.0])})
    assert among(FOUND, beside)[1]["group"].tolist() == [False, True]


def test_a_parent_that_cannot_be_bounded_has_to_be_given() -> None:
    assert fillable(FOUND, ["group"], lambda _: True)
    assert not fillable(FOUND, ["group"], lambda _: False)
    assert fillable(FOUND, ["group", "age"], lambda _: False)
    assert fillable(FOUND, ["country"], lambda name: name == "cell")
