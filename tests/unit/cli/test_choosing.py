"""Which generator `auto` takes, and that it says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth_spark import choosing
from synth_spark.choosing import choose, chosen, chosen_anew
from synth_spark.config import plan_from
from synth_spark.core.schema import Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError, TooFewSubjectsError
from synth_spark.settling import Settled, settle
from synth_spark.telling import print_dry
from tests.contract.cases import EVENTS, FLAT


@pytest.mark.parametrize(
    ("schema", "rows", "subjects", "can_train", "name", "word"),
    [
        (FLAT, 5_000, 5_000, True, "autoregressive", "5,000 rows"),
        (FLAT, 12, 12, True, "independent", "too few"),
        (FLAT, 5_000, 5_000, False, "independent", "torch is not installed"),
        (EVENTS, 9_000, 300, True, "autoregressive", "9,000 events of 300 subjects"),
        (EVENTS, 9_000, 300, False, "markov", "torch"),
        (EVENTS, 9_000, 7, True, "markov", "too few subjects"),
        (EVENTS, 2_000_000_000, 9_000_000, True, "markov", "two passes"),
    ],
)
def test_it_goes_by_shape_and_size(schema, rows, subjects, can_train, name, word) -> None:
    found = choose(schema, rows, subjects, can_train=can_train)
    assert found.name == name
    assert word in found.why


def test_settings_of_a_generator_need_its_name() -> None:
    with pytest.raises(PlanError):
        plan_from({"generator": {"params": {"max_epochs": 2}}})


def settled(
    monkeypatch: pytest.MonkeyPatch, subjects: int, schema: Schema = FLAT, share: float = 0.1
) -> Settled:
    """A run of `auto` over so many subjects, of two events each where they are events."""
    rows = subjects if schema is FLAT else 2 * subjects
    monkeypatch.setattr(choosing, "_sizes", lambda source, known: (rows, subjects))
    plan = plan_from({"name": "t", "ingest": {"holdout_share": share}})
    return chosen(lambda plan: None, Settled(plan, schema, {}))


def refused(train: int, held_out: int) -> TooFewSubjectsError:
    return TooFewSubjectsError("", subjects=train, held_out=held_out, rows=2 * (train + held_out))


@pytest.mark.parametrize(("schema", "few"), [(FLAT, "independent"), (EVENTS, "markov")])
@pytest.mark.parametrize("held_out", [1, 2, 3, 4])
@pytest.mark.parametrize("subjects", range(18, 24))
def test_whatever_is_held_out_auto_ends_with_a_generator_that_can_learn_from_the_rest(
    monkeypatch: pytest.MonkeyPatch, subjects: int, held_out: int, schema: Schema, few: str
) -> None:
    found = settled(monkeypatch, subjects, schema)
    train = subjects - held_out
    if train < GENERATORS.get(found.plan.generator.name).min_subjects:  # as ingest finds then
        again = chosen_anew(found, refused(train, held_out))
        assert again is not None
        found = again
    assert found.plan.generator.name == found.chosen["name"]
    assert found.chosen["name"] == ("autoregressive" if train >= 20 else few)
    if train < 20:
        assert "too few" in found.chosen["why"]
        assert "held out" in found.chosen["why"]


def test_steps_after_an_ingest_keep_the_generator_that_it_chose(tmp_path: Path) -> None:
    plan = plan_from({"run": {"folder": str(tmp_path)}}).with_schema(FLAT, {})
    asked = settle(lambda p: None, plan, FLAT, anew=True).asked
    kept = {"schema": FLAT.to_json(), "names": {}, "asked": asked}
    choice = {"name": "independent", "why": "few"}
    (tmp_path / "detected.json").write_text(json.dumps(kept | {"chosen": choice}))
    assert settle(lambda p: None, plan, FLAT, anew=False).chosen == choice
    assert settle(lambda p: None, plan, FLAT, anew=True).chosen is None


def test_what_else_has_too_few_subjects_is_not_mended_by_another_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert chosen_anew(settled(monkeypatch, 40), TooFewSubjectsError("places of few")) is None


@pytest.mark.parametrize(("subjects", "share"), [(20, 0.1), (19, 0.0)])
def test_twenty_of_which_one_is_held_out_are_too_few_at_once(
    monkeypatch: pytest.MonkeyPatch, subjects: int, share: float
) -> None:
    assert settled(monkeypatch, subjects, share=share).plan.generator.name == "independent"
    assert settled(monkeypatch, subjects + 1, share=share).plan.generator.name == "autoregressive"


def test_a_generator_that_the_plan_names_is_not_replaced() -> None:
    plan = plan_from({"name": "t", "generator": {"name": "autoregressive"}})
    assert chosen_anew(Settled(plan, FLAT, {}), refused(19, 2)) is None


@pytest.mark.parametrize(("schema", "name"), [(FLAT, "independent"), (EVENTS, "markov")])
def test_without_torch_nothing_is_chosen_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, schema: Schema, name: str
) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda module: None)
    made = settled(monkeypatch, 500, schema)
    assert made.plan.generator.name == name
    assert "torch is not installed" in made.chosen["why"]


def test_a_dry_run_shows_the_generator_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_from({"name": "t", "generator": {"name": "markov"}})
    print_dry(plan, EVENTS, ["fit"], chosen={"name": "markov", "why": "counts are steadier"})
    assert "generator markov: counts are steadier" in capsys.readouterr().out
    print_dry(plan, EVENTS, ["fit"])
    assert "generator markov: named by the plan" in capsys.readouterr().out
