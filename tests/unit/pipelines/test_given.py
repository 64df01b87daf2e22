"""Tables of conditions in a plan, and models that fill their gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth_spark.columns._determined_search import determined
from synth_spark.columns.determined import Determined
from synth_spark.config import plan_from
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import CannotConditionError
from synth_spark.core.given import BadGivenError, asked_columns
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError
from synth_spark.pipelines.drawer import Filler, ModelDrawer
from synth_spark.pipelines.given import check_given
from synth_spark.pipelines.model_folder import Saved
from synth_spark.training.loop import train_local
from tests.contract.cases import EVENTS, FLAT

CELLS = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="cell", kind="category"),
        Column(name="region", kind="category"),
        Column(name="spent", kind="number"),
    ),
)


def check(schema: Schema, there: list[str], generator: str, **sample: Any) -> None:
    plan = plan_from({"generator": {"name": generator}, "sample": {"given": "g.csv", **sample}})
    check_given(asked_columns(there, schema, {}), 10, plan, schema)


def test_another_number_of_subjects_than_rows_is_refused() -> None:
    check(FLAT, ["plan"], "vae", subjects=10)
    with pytest.raises(PlanError, match=r"sample\.subjects is 11"):
        check(FLAT, ["plan"], "vae", subjects=11)


def test_quotas_beside_a_table_are_refused() -> None:
    quotas = [{"where": ["plan=max"], "share": 0.5}]
    with pytest.raises(PlanError, match="exclude each other"):
        plan_from({"sample": {"given": "g.csv", "quotas": quotas}})


def test_a_column_in_both_the_table_and_the_clauses_is_refused() -> None:
    check(FLAT, ["plan"], "vae", where=["months=1..9"])
    with pytest.raises(BadGivenError) as caught:
        check(FLAT, ["plan", "months"], "vae", where=["months=1..9"])
    assert caught.value.facts == {"field": "months"}


@pytest.mark.parametrize(
    ("there", "generator", "field"),
    [
        (["region", "at"], "markov", "at"),
        (["region", "hour"], "transform", "hour"),
        (["region", "cell"], "transform", "cell"),
    ],
)
def test_what_a_generator_cannot_draw_under_is_refused_before_anything_starts(
    there: list[str], generator: str, field: str
) -> None:
    check(EVENTS, ["region"], generator)
    with pytest.raises(CannotConditionError) as caught:
        check(EVENTS, there, generator)
    assert caught.value.facts == {"generator": generator, "field": field}


def test_the_twins_own_column_must_be_free() -> None:
    columns = {"plan": {"kind": "category"}, "row": {"kind": "number", "source": "_given_row"}}
    plan = plan_from({"records": {"columns": columns}, "generator": {"name": "vae"}})
    schema = plan.schema_of()
    assert schema is not None
    with pytest.raises(BadGivenError, match="_given_row"):
        check_given(asked_columns(["plan"], schema, {}), 10, plan, schema)


def test_a_plan_without_a_table_has_the_fingerprint_it_had() -> None:
    plan = plan_from({"sample": {"subjects": 5}})
    other = plan_from({"sample": {"subjects": 5, "given": "g.csv"}})
    assert plan.fingerprint("fit") == other.fingerprint("fit")
    assert plan.fingerprint("sample") != other.fingerprint("sample")
    assert plan.fingerprint("sample") == (
        "b0d46f051d5728dcd7e4d9d4e762a6f49dbe521c788a377e72f64b7ca5922d14"
    )


# ---- filling ------------------------------------------------------------------------------------


def cells(rows: int = 4_000) -> Records:
    """Cells with their regions; what is spent is higher in the north."""
    rng = np.random.default_rng(1)
    cell = rng.integers(0, 24, rows)
    spent = np.round(rng.normal(np.where(cell % 2, 80, 40), 15), 2)
    return Records.flat(
        {
            "cell": Coded.of([f"c{i:02}" for i in cell]),
            "region": Coded.of(np.where(cell % 2, "north", "south").tolist()),
            "spent": spent,
        }
    )


@pytest.fixture(scope="module")
def filler() -> Filler:
    found = learn(determined(CELLS, 5), Local(cells()))
    assert isinstance(found, Determined)
    assert found.children == ("region",)
    kind = GENERATORS.get("autoregressive")
    rest = Records.flat({c.name: cells().columns[c.name] for c in found.rest(CELLS).columns})
    story = kind.learn(found.rest(CELLS), kind.Params(max_epochs=25, valid_share=0.0), 1)
    model = learn(story, Local(rest, train=train_local))
    drawer = ModelDrawer(Saved(model, "autoregressive", CELLS, {}, found, {}, ""))
    made = Filler.of(drawer, ["cell", "region", "spent"])
    assert made is not None
    return made


def test_a_given_region_gets_one_of_its_cells_and_what_is_spent_there(filler: Filler) -> None:
    """Means of 300 within 5 standard errors (15 / sqrt(300)) and 3 that the network may be off."""
    known = Records.flat({"region": Coded.of(["north", "south"] * 300)})
    drawn, _ = filler.fill(0, known, 7)
    columns: Any = drawn.columns
    numbers = np.array([int(c[1:]) for c in columns["cell"].texts()])
    assert (numbers % 2 == (columns["region"].texts() == "north")).all()
    assert columns["region"].texts().tolist() == ["north", "south"] * 300
    assert len(set(numbers.tolist())) == 24
    assert columns["spent"][::2].mean() == pytest.approx(80, abs=3 + 5 * 15 / np.sqrt(300))
    assert columns["spent"][1::2].mean() == pytest.approx(40, abs=3 + 5 * 15 / np.sqrt(300))


def test_a_given_cell_brings_its_region(filler: Filler) -> None:
    drawn, _ = filler.fill(0, Records.flat({"cell": Coded.of(["c03", "c04", None])}), 7)
    regions: Any = drawn.columns["region"]
    assert regions.texts()[:2].tolist() == ["north", "south"]


def test_cells_of_another_region_and_labels_never_seen_are_found(filler: Filler) -> None:
    known = {"cell": Coded.of(["c03", "c03", "x"]), "region": Coded.of(["north", "south", None])}
    found = {n: v.tolist() for n, v in filler.unknown(Records.flat(known)).items()}  # type: ignore[arg-type]
    assert found == {"cell": [False, False, True], "region": [False, True, False]}


def test_a_row_hangs_on_the_blocks_number_and_the_seed(filler: Filler) -> None:
    known = Records.flat({"region": Coded.of(["north"] * 50)})
    first = filler.fill(3, known, 7)[0].columns["spent"]
    np.testing.assert_array_equal(first, filler.fill(3, known, 7)[0].columns["spent"])
    assert not np.array_equal(first, filler.fill(4, known, 7)[0].columns["spent"])


def test_a_model_that_fills_no_gaps_has_no_filler(filler: Filler) -> None:
    saved = filler.drawer.saved
    assert Filler.of(ModelDrawer(Saved(saved.model, "vae", CELLS, {}, saved.determined, {}, "")),
                     ["cell"]) is None  # fmt: skip
