"""The generator transform: chains, protection, conditions, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import (
    CannotConditionError,
    Clause,
    Condition,
    ImpossibleConditionError,
)
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.seeds import generator
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError
from synth_spark.generators._transform_chain import RevealingChainError, UnknownOperationError
from synth_spark.generators._transform_facts import effect, exact_share
from synth_spark.generators._transform_learn import FewerThanGroupError
from synth_spark.generators.transform import GENERATOR, TransformParams
from tests.contract.cases import EVENTS, FLAT, event_records, flat_records


def flat(records: Records | None = None, **settings: Any) -> Any:
    params = TransformParams(group=20, **settings)
    return learn(GENERATOR.learn(FLAT, params, 1), Local(records or flat_records(1_500)))


@pytest.fixture(scope="module")
def events() -> Any:
    params = TransformParams(group=10, histories=6)
    return learn(GENERATOR.learn(EVENTS, params, 1), Local(event_records(200)))


def condition(schema: Any, *texts: str) -> Condition:
    return Condition.parse(texts, schema)


def test_an_unknown_operation_names_the_nearest() -> None:
    with pytest.raises(UnknownOperationError) as error:
        TransformParams(chain=("bootstrap", "jiter"))
    assert error.value.hint == "'jitter'?"
    assert error.value.facts == {"operation": "jiter"}


@pytest.mark.parametrize("chain", [("swap", "swap"), ("copula", "bootstrap")], ids="+".join)
def test_a_chain_that_contradicts_itself_is_refused(chain: tuple[str, ...]) -> None:
    with pytest.raises(RevealingChainError):
        TransformParams(chain=chain)


@pytest.mark.parametrize("chain", [("bootstrap",), ("jitter",), ("bootstrap", "mix")], ids="+".join)
def test_a_chain_that_hands_out_donors_is_refused(chain: tuple[str, ...]) -> None:
    with pytest.raises(RevealingChainError):
        flat(chain=chain)


def test_events_without_mix_are_refused() -> None:
    story = GENERATOR.learn(EVENTS, TransformParams(chain=("swap", "jitter")), 1)
    with pytest.raises(RevealingChainError):
        learn(story, Local(event_records(60)))


@pytest.mark.parametrize("setting", [{"group": 1}, {"noise_share": 1.5}, {"jitter_minutes": -1.0}])
def test_a_setting_out_of_range_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        TransformParams(**setting)


def test_a_table_smaller_than_a_group_is_refused() -> None:
    with pytest.raises(FewerThanGroupError) as error:
        flat(flat_records(12))
    assert error.value.facts == {"subjects": 12, "group": 20}


@pytest.mark.parametrize(
    "chain",
    [
        ("copula",), ("copula", "swap"), ("bootstrap", "noise"), ("bootstrap", "rank_swap"),
        ("microaggregate", "bootstrap"), ("microaggregate", "swap", "noise", "rank_swap"),
    ],
    ids="+".join,
)  # fmt: skip
def test_every_chain_draws_and_travels(chain: tuple[str, ...]) -> None:
    model = flat(chain=chain)
    drawn = model.sample(0, 500, 3)
    again = GENERATORS.get("transform").Model.from_state(model.state()).sample(0, 500, 3)
    np.testing.assert_array_equal(drawn.columns["months"], again.columns["months"])
    assert set(model.about()["effect"]) <= {"codes", "bootstrap", *chain}
    assert model.about()["exactly_a_real_record"] < 0.05
    assert 0 <= np.nanmin(drawn.columns["months"]) <= np.nanmax(drawn.columns["months"]) < 80


def test_a_copula_keeps_no_donor() -> None:
    model = flat(chain=("copula",))
    assert model.donors.shape[1] == 0
    assert model.about()["donors"] == 0


def test_the_default_keeps_what_hangs_together() -> None:
    real = flat_records(1_500)
    model = flat(real)
    drawn = model.sample(0, 4_000, 2)

    def bill(records: Records, plan: str) -> float:
        mine = records.columns["plan"].texts() == plan  # type: ignore[union-attr]
        x, y = (np.asarray(records.columns[n])[mine] for n in ("months", "bill"))
        known = np.isfinite(y)
        return float(np.mean(y[known] - 0.5 * x[known]))

    for plan in ("basic", "plus"):
        # a tenth of the gap of 5 between plans, and 15 standard errors at 1,200 records
        assert abs(bill(drawn, plan) - bill(real, plan)) < 0.5
    assert model.about()["effect"]["swap"]["correlation_kept"] > 0.97
    assert model.about()["smallest_group"] >= 20


def test_what_few_hold_is_never_told() -> None:
    real = flat_records(1_500)
    plan = real.columns["plan"]
    assert isinstance(plan, Coded)
    texts = plan.texts()
    texts[:3] = "solo"
    bill = np.asarray(real.columns["bill"]).copy()
    bill[0] = 987_654.32
    records = Records.flat({**real.columns, "plan": Coded.of(list(texts)), "bill": bill})
    drawn = flat(records).sample(0, 4_096, 1)
    assert "solo" not in set(drawn.columns["plan"].texts())
    assert not (np.asarray(drawn.columns["bill"]) == 987_654.32).any()


def test_donors_of_the_model_are_no_records_any_more() -> None:
    real = flat_records(1_500)
    model = flat(real)
    values = model.values(model.donors, generator(0, "x"), {})
    months = Records.flat({"months": np.asarray(values["months"]), "plan": values["plan"]})
    both = Records.flat({n: real.columns[n] for n in ("months", "plan")})
    assert exact_share(months, both) > 0.9  # of two columns every pair is real
    changed = model.about()["effect"]["swap"]["changed"]
    assert min(changed.values()) > 0.2  # of all four hardly a row is: each value was exchanged


@pytest.mark.parametrize(
    "texts",
    [("plan=max",), ("plan=basic|max", "months=1..12"), ("bill=20..25.5",), ("bill=",),
     ("joined=2023-01-01..2023-06-30", "plan=plus")],
    ids=" ".join,
)  # fmt: skip
def test_every_drawn_record_holds_the_condition(texts: tuple[str, ...]) -> None:
    wanted = condition(FLAT, *texts)
    model = flat().conditioned(wanted)
    drawn = model.sample(1, 2_000, 5)
    for clause in wanted.clauses:
        value = drawn.columns[clause.field]
        if isinstance(value, Coded):
            assert set(value.texts()) <= set(clause.labels)
        elif value.dtype.kind == "M":
            seconds = value.astype("datetime64[us]").astype(np.int64) / 1e6
            assert clause.holds(seconds).all()
        else:
            assert clause.holds(value).all()
    other = np.asarray(drawn.columns["months"])
    assert len(np.unique(other)) > 5
    np.testing.assert_array_equal(model.sample(1, 50, 5).columns["months"], other[:50])


@pytest.mark.parametrize("text", ["plan=gold", "months=500..600"])
def test_what_the_model_cannot_draw_is_impossible(text: str) -> None:
    with pytest.raises(ImpossibleConditionError):
        flat().conditioned(condition(FLAT, text))


def test_a_clause_on_a_column_that_is_not_drawn_is_refused() -> None:
    with pytest.raises(CannotConditionError) as error:
        flat().conditioned(Condition((Clause(field="tax", low=1.0),)))
    assert error.value.facts == {"field": "tax"}


def test_an_operation_without_work_is_said_and_no_error() -> None:
    about = flat(chain=("bootstrap", "swap", "jitter", "shift")).about()
    assert set(about["nothing_to_work_on"]) == {"jitter", "shift"}  # dates only; events only
    assert "jitter" not in about["effect"]


def test_a_history_has_at_least_two_donors_and_none_gives_more_than_half(events: Any) -> None:
    made = events.mix(generator(1, "x"))[1]
    for i in range(300):
        donors = made.donor[made.owner == i]
        if len(donors) > 1:
            assert np.unique(donors, return_counts=True)[1].max() <= len(donors) / 2
    about = events.about()
    assert about["effect"]["mix"]["of_one_donor"] == about["effect"]["mix"]["of_one_segment"]
    assert about["effect"]["mix"]["donors_a_history"] > 1.5
    assert about["smallest_group"] >= 6


def test_events_of_a_donor_keep_their_order_and_their_week_day(events: Any) -> None:
    made = events.mix(generator(1, "x"))[1]
    start = np.cumsum(made.lengths) - made.lengths
    inner = np.ones(len(made.events), np.bool_)
    inner[start] = False
    assert (np.diff(made.events)[inner[1:]] == 1).all()
    assert ((made.anchor + 3) % 7 == 0).all()  # histories begin in a week, on its Monday


def test_a_condition_on_the_subject_holds_in_all_its_events(events: Any) -> None:
    drawn = events.conditioned(condition(EVENTS, "region=south")).sample(0, 100, 2)
    assert set(drawn.columns["region"].texts()) == {"south"}
    assert drawn.rows > 100


def test_a_number_of_the_subject_holds_its_range() -> None:
    ages = np.random.default_rng(3).integers(18, 90, 200).astype(float)
    records = event_records(200)
    column = replace(EVENTS.column("seconds"), name="age", per="subject")
    schema = replace(EVENTS, columns=(*EVENTS.columns, column))
    records = Records({**records.columns, "age": ages[records.owners]}, records.offsets)
    params = TransformParams(group=10, histories=6)
    model = learn(GENERATOR.learn(schema, params, 1), Local(records))
    drawn = model.conditioned(condition(schema, "age=30..39")).sample(0, 200, 2)
    age = np.asarray(drawn.columns["age"])
    assert age.min() >= 30
    assert age.max() <= 39
    assert (np.diff(age)[np.diff(drawn.owners) == 0] == 0).all()


def test_a_condition_that_no_donor_holds_is_impossible(events: Any) -> None:
    with pytest.raises(ImpossibleConditionError):
        events.conditioned(condition(EVENTS, "region=moon"))


@pytest.mark.parametrize("text", ["what=call", "hour=18..20", "weekday=sat", "seconds=1..9"])
def test_conditions_on_events_are_objected_to(text: str) -> None:
    clause = condition(EVENTS, text).clauses[0]
    assert "cut out" in GENERATOR.objection(EVENTS, clause)


def test_conditions_on_subjects_and_rows_are_not_objected_to() -> None:
    assert GENERATOR.objection(EVENTS, condition(EVENTS, "region=south").clauses[0]) == ""
    assert GENERATOR.objection(FLAT, condition(FLAT, "bill=1..2").clauses[0]) == ""


def test_an_effect_is_measured_in_the_columns_unit() -> None:
    before = flat_records(100)
    months = np.asarray(before.columns["months"])
    joined = np.asarray(before.columns["joined"]) + np.timedelta64(30, "m")
    after = Records.flat({**before.columns, "months": months + 2, "joined": joined})
    found = effect(FLAT, before, after)
    assert found["shift"]["months"] == {"mean": 2.0, "p95": 2.0, "unit": "of the column"}
    assert found["shift"]["joined"] == {"mean": 30.0, "p95": 30.0, "unit": "minutes"}
    assert found["changed"] == {"plan": 0.0, "months": 1.0, "bill": 0.0, "joined": 1.0}
    assert found["correlation_kept"] == 1.0
