"""The simulation keeps its rules, its rates and its scenarios."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark.columns.determined import Determined
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition, ImpossibleConditionError
from synth_spark.core.local import Local, NoRecords
from synth_spark.core.ports import learn, schema_made
from synth_spark.core.schema import Column
from synth_spark.core.shelf import FAMILIES, GENERATORS
from synth_spark.errors import PlanError
from synth_spark.generators._sim_cold import ColdColumnError
from synth_spark.generators._sim_network import erlang_b
from synth_spark.generators._sim_scenarios import ScenarioFitError
from synth_spark.generators._sim_town import CellsFileError
from synth_spark.pipelines.cold import cold_formats
from synth_spark.pipelines.drawer import ModelDrawer
from synth_spark.pipelines.model_folder import Saved
from synth_spark.records import world

ROOT = Path(__file__).parents[3]
SIMULATION = GENERATORS.get("simulation")
COLD = sorted(SIMULATION.families - {"events"})
SMALL = {"block_size": 128, "days": 7, "cells": 40}
START = np.datetime64("2026-01-05", "us")


@cache
def _cold(family: str, settings: tuple[tuple[str, Any], ...] = ()) -> Any:
    params = SIMULATION.Params(**{**SMALL, **dict(settings)})
    return learn(SIMULATION.learn(FAMILIES.get(family).schema(), params, 1), NoRecords())


def cold(family: str, scenarios: list[dict[str, Any]] | None = None, **settings: Any) -> Any:
    if not scenarios:
        return _cold(family, tuple(settings.items()))
    params = SIMULATION.Params(**{**SMALL, **settings, "scenarios": tuple(scenarios)})
    return learn(SIMULATION.learn(FAMILIES.get(family).schema(), params, 1), NoRecords())


def texts(records: Records, name: str) -> np.ndarray[Any, Any]:
    return records.columns[name].texts()


# ---- with no data at all ------------------------------------------------------------------------


@pytest.mark.parametrize("family", COLD)
def test_every_family_is_made_from_nothing_and_keeps_its_rules(family: str) -> None:
    kind, model = FAMILIES.get(family), cold(family)
    drawn = model.sample(0, 128, 1)
    schema = kind.schema()
    ids = {c.name for c in schema.of_kind("identifier")}
    assert set(drawn.columns) | ids >= {c.name for c in schema.columns}
    rows = {n: v.texts() if isinstance(v, Coded) else v for n, v in drawn.columns.items()}
    named = [r for r in kind.rules if set(r.columns) <= set(rows)]
    for rule in named:
        assert rule.holds(rows).all(), rule.sentence
    assert drawn.subjects == 128
    assert drawn.lengths.min() >= 1


def test_the_settings_hold_on_average() -> None:
    """Means over 1,024 subjects and a week; each bound is four standard errors or more."""
    drawn = cold("cdr", block_size=1_024, rate_sigma=0.3).sample(0, 1_024, 3)
    assert drawn.rows / 1_024 / 7 == pytest.approx(8.0, rel=0.05)
    kinds, counts = np.unique(texts(drawn, "event_type"), return_counts=True)
    shares = dict(zip(kinds.tolist(), counts / drawn.rows, strict=True))
    assert shares["call"] == pytest.approx(0.5, abs=0.04)
    assert shares["data"] == pytest.approx(0.3, abs=0.04)
    assert (texts(drawn, "direction") == "out").mean() == pytest.approx(0.65, abs=0.02)
    hours = (np.asarray(drawn.columns["event_at"]) - START) // np.timedelta64(1, "h") % 24
    counts = np.bincount(hours.astype(int), minlength=24)
    assert counts[17:20].min() > 5 * counts[1:5].max()


def test_bursts_are_more_than_poisson() -> None:
    """The variance of hourly counts over their mean: 1 for Poisson, above with busy times."""

    def spread(ratio: float) -> float:
        drawn = cold("location", burst_ratio=ratio, rate_sigma=0.01, events_a_day=48.0).sample(
            0, 128, 2
        )
        hour = ((np.asarray(drawn.columns["seen_at"]) - START) // np.timedelta64(1, "h")).astype(
            int
        )
        counts = np.zeros((128, 168))
        np.add.at(counts, (drawn.owners, hour), 1)
        return float((counts.var(axis=0).sum()) / counts.mean(axis=0).sum())

    assert spread(1.0) == pytest.approx(1.0, abs=0.05)
    assert spread(12.0) > 2.0


def test_both_ends_of_a_call_between_subjects_have_its_record() -> None:
    drawn = cold("cdr").sample(2, 128, 1)
    first, owner = 2 * 128, drawn.owners
    party, way = texts(drawn, "correspondent_id"), texts(drawn, "direction")
    at = np.asarray(drawn.columns["event_at"]).astype(np.int64)
    length = np.nan_to_num(np.asarray(drawn.columns["duration_s"]), nan=-1)
    inside = np.array([p is not None and p[0] == "#" for p in party])
    other = np.array([int(p[1:]) - first if i else -1 for p, i in zip(party, inside, strict=True)])
    out = inside & (way == "out")
    back = inside & (way == "in")
    made = sorted(zip(owner[out], other[out], at[out], length[out], strict=True))
    got = sorted(zip(other[back], owner[back], at[back], length[back], strict=True))
    assert made == got
    assert len(made) > 100


def test_few_contacts_take_most_calls_and_strong_ties_talk_longer() -> None:
    drawn = cold("cdr", block_size=512).sample(0, 512, 1)
    party, owner = drawn.columns["correspondent_id"].codes, drawn.owners
    known = party >= 0
    pairs, where, counts = np.unique(
        owner[known] * 1_000_000 + party[known], return_inverse=True, return_counts=True
    )
    first = np.zeros(512)
    np.maximum.at(first, pairs // 1_000_000, counts)
    calls = np.bincount(owner[known], minlength=512)
    share = first[calls > 0] / calls[calls > 0]
    assert 0.15 < np.median(share) < 0.5
    seconds = np.asarray(drawn.columns["duration_s"])[known]
    talked = seconds > 0
    strong, weak = counts[where] >= 10, counts[where] <= 2
    assert np.median(seconds[talked & strong]) > 1.2 * np.median(seconds[talked & weak])


def test_nights_are_spent_at_home_and_few_places_take_most_of_the_time() -> None:
    drawn = cold("location", events_a_day=24.0).sample(0, 128, 1)
    hour = (np.asarray(drawn.columns["seen_at"]) - START) // np.timedelta64(1, "h") % 24
    cell, owner = drawn.columns["cell_id"].codes, drawn.owners
    night = (hour.astype(int) >= 0) & (hour.astype(int) < 6)
    table = np.zeros((128, 40))
    np.add.at(table, (owner[night], cell[night]), 1)
    assert (table.max(axis=1).sum() / table.sum()) > 0.6
    everywhere = np.zeros((128, 40))
    np.add.at(everywhere, (owner, cell), 1)
    ranked = np.sort(everywhere, axis=1)[:, ::-1].sum(axis=0)
    assert ranked[:2].sum() > 0.5 * ranked.sum()
    assert ranked[4] > 0


def test_bills_follow_from_usage_and_prepaid_customers_leave_more() -> None:
    drawn = cold("subscriber", block_size=8_192, days=30).sample(0, 8_192, 1)
    plan, charge = texts(drawn, "plan"), np.asarray(drawn.columns["monthly_charge"])
    minutes = np.asarray(drawn.columns["call_s"]) / 60
    sms, data = (np.asarray(drawn.columns[n]) for n in ("sms", "data_mb"))
    price, free_min, free_sms, free_mb, a_min, a_sms, a_mb = SIMULATION.Params().tariffs["M"]
    beyond = np.maximum(minutes - free_min, 0) * a_min + np.maximum(sms - free_sms, 0) * a_sms
    beyond += np.maximum(data - free_mb, 0) * a_mb
    mine = plan == "M"
    np.testing.assert_allclose(charge[mine], (price + beyond)[mine], atol=0.011)
    left, prepaid = texts(drawn, "churned") == "true", texts(drawn, "payment") == "prepaid"
    assert left[prepaid].mean() > 1.3 * left[~prepaid].mean()  # hazards 1.8 to 1


def test_load_takes_throughput_and_brings_faults() -> None:
    drawn = cold("network_log", days=28, block_size=64).sample(0, 64, 1)
    load, rate = (np.asarray(drawn.columns[n]) for n in ("load_share", "downlink_kbit_s"))
    hourly = ~np.isnan(load)
    assert hourly.sum() == 64 * 28 * 24
    assert np.corrcoef(load[hourly], rate[hourly])[0, 1] < -0.7
    hour = (np.asarray(drawn.columns["logged_at"]) - START) // np.timedelta64(1, "h") % 24
    faults = np.bincount(
        hour[texts(drawn, "event_id") == "HARDWARE_FAULT"].astype(int), minlength=24
    )
    assert faults[9:21].sum() > 5 * max(faults[0:6].sum(), 1)


def test_erlangs_formula_by_hand() -> None:
    # 2 channels, 1 erlang: (1/2) / (1 + 1 + 1/2) = 0.2; 1 channel, 3 erlangs: 3 / 4
    assert erlang_b(2, np.array([1.0]))[0] == pytest.approx(0.2)
    assert erlang_b(1, np.array([3.0]))[0] == pytest.approx(0.75)


# ---- scenarios ----------------------------------------------------------------------------------


def test_one_subscriber_in_a_thousand_and_one_event_in_ten_thousand_over_a_million_rows() -> None:
    scenarios = [
        {"kind": "robo_calls", "subjects": 0.001, "calls_a_day": 5},
        {"kind": "rare", "events": 0.0001, "values": {"end_cause": "strange"}},
    ]
    model = cold("cdr", scenarios, block_size=4_096, days=5, cells=20)
    rows, marked, callers, strange = 0, 0, 0, 0
    for block in range(6):
        drawn = model.sample(block, 4_096, 1)
        mark = texts(drawn, "scenario")
        rows, marked = rows + drawn.rows, marked + int((mark == "rare").sum())
        out = (mark == "robo_calls") & (texts(drawn, "direction") == "out")
        callers += len(np.unique(drawn.owners[out]))
        strange += int((texts(drawn, "end_cause") == "strange").sum())
    assert rows > 900_000
    assert callers == round(6 * 4_096 / 1_000)
    assert abs(marked - rows / 10_000) <= 6  # half a row a block at most
    assert strange == marked


def test_a_ring_calls_itself_across_blocks() -> None:
    """Members of one ring stand far apart, and both ends tell of every call between them."""
    ring = {"kind": "fraud_ring", "subjects": 0.02, "ring_size": 8, "premium_share": 0.0}
    model = cold("cdr", [ring])
    out, back = [], []
    for block in range(4):
        drawn = model.sample(block, 128, 1)
        mine = texts(drawn, "scenario") == "fraud_ring"
        party, way = texts(drawn, "correspondent_id")[mine], texts(drawn, "direction")[mine]
        at = np.asarray(drawn.columns["event_at"])[mine].astype(np.int64)
        number = (block * 128 + drawn.owners)[mine]
        other = [int(p[1:]) for p in party]
        made = way == "out"
        calls = [*zip(number, other, at, strict=True)]
        out += [c for c, w in zip(calls, made, strict=True) if w]
        back += [(p, n, t) for (n, p, t), w in zip(calls, made, strict=True) if not w]
    last = {n for n, _, _ in out}
    assert len(last) == round(4 * 128 * 0.02)
    seen = [e for e in out if e[1] in last]
    assert sorted(seen) == sorted(e for e in back if e[0] in last)
    assert len(seen) > 500


def test_an_outage_empties_its_cells_moves_calls_and_brings_retries() -> None:
    down = {"kind": "outage", "starts_h": 34, "lasts_h": 6, "cells_share": 0.25}
    plain, hit = cold("cdr", block_size=512), cold("cdr", [down], block_size=512)
    a, b = plain.sample(0, 512, 1), hit.sample(0, 512, 1)
    cells = np.unique(texts(b, "cell_id"))
    town = hit.facts.town
    gone = [town.labels[i] for i in np.argsort(-town.weights, kind="stable")[:10]]
    assert len(cells) == 40

    def during(records: Records, low: float, high: float) -> np.ndarray[Any, Any]:
        h = (np.asarray(records.columns["event_at"]) - START) / np.timedelta64(1, "h")
        return (h >= low) & (h < high)

    at = np.isin(texts(b, "cell_id"), gone) & during(b, 34, 40)
    failed = texts(b, "end_cause") == "networkFailure"
    assert (np.isin(texts(a, "cell_id"), gone) & during(a, 34, 40)).sum() > 200
    assert failed[at].all()  # nothing but failed attempts is left there
    assert (np.asarray(b.columns["duration_s"])[failed] == 0).all()
    assert during(b, 40, 40.5).sum() > 1.5 * during(a, 40, 40.5).sum()
    moved = (texts(b, "scenario") == "outage") & during(b, 34, 40) & ~failed
    assert moved.sum() > 100


def test_an_emergency_multiplies_the_events_of_its_window() -> None:
    surge = {"kind": "emergency", "starts_h": 38, "lasts_h": 2, "factor": 4.0}
    model = cold("cdr", [surge], block_size=1_024, reply_share=0.0, contacts_inside=0.0)
    drawn = model.sample(0, 1_024, 1)
    h = (np.asarray(drawn.columns["event_at"]) - START) / np.timedelta64(1, "h")
    mark, window = texts(drawn, "scenario") == "emergency", (h >= 38) & (h < 40)
    assert (mark <= window).all()
    assert mark.sum() == 3 * (window & ~mark).sum()


def test_a_stadium_holds_its_crowd() -> None:
    match = {"kind": "stadium", "starts_h": 42, "lasts_h": 3, "subjects": 0.1, "factor": 5.0}
    drawn = cold("location", [match]).sample(0, 128, 1)
    mark = texts(drawn, "scenario") == "stadium"
    assert len(np.unique(texts(drawn, "cell_id")[mark])) == 1
    assert len(np.unique(drawn.owners[mark])) <= 13
    assert mark.sum() > 20


def test_a_box_of_sims_only_calls_out_from_one_cell() -> None:
    box = {"kind": "fraud_ring", "style": "sim_box", "subjects": 0.06, "ring_size": 4}
    drawn = cold("cdr", [box]).sample(0, 128, 1)
    mark = texts(drawn, "scenario") == "fraud_ring"
    sims = np.unique(drawn.owners[mark])
    assert len(sims) == round(128 * 0.06)
    mine = np.isin(drawn.owners, sims)
    out = mine & (texts(drawn, "direction") == "out")
    assert out.sum() == 8 * 20 * 7
    assert len(np.unique(texts(drawn, "cell_id")[out])) <= 2
    assert len(np.unique(texts(drawn, "correspondent_id")[out])) == out.sum()


def test_a_storm_multiplies_faults() -> None:
    storm = {"kind": "storm", "starts_h": 48, "lasts_h": 48, "cells_share": 0.5}
    plain = cold("network_log", block_size=256).sample(0, 256, 1)
    hit = cold("network_log", [storm], block_size=256).sample(0, 256, 1)
    faults = [(texts(r, "event_id") == "HARDWARE_FAULT").sum() for r in (plain, hit)]
    assert faults[1] > 1.5 * faults[0]
    assert (texts(hit, "scenario") == "storm").sum() > 0


def test_the_label_column_is_added_to_the_schema_once() -> None:
    schema = FAMILIES.get("cdr").schema()
    params = SIMULATION.Params(scenarios=({"kind": "rare", "events": 0.1},))
    made = schema_made(SIMULATION, schema, params)
    assert made.columns[-1].name == "scenario"
    assert schema_made(SIMULATION, made, params) == made
    assert schema_made(SIMULATION, schema, SIMULATION.Params()) == schema
    assert schema_made(GENERATORS.get("independent"), schema, None) == schema


@pytest.mark.parametrize(
    ("family", "scenario"),
    [
        ("browsing", {"kind": "fraud_ring"}),
        ("cdr", {"kind": "outage", "starts_h": 1, "lasts_h": 1, "cells": ["C-1"]}),
        ("cdr", {"kind": "emergency", "starts_h": 999, "lasts_h": 1}),
        ("cdr", {"kind": "rare", "events": 0.1, "values": {"cell": "x"}}),
    ],
)
def test_a_scenario_that_cannot_take_place_is_refused(
    family: str, scenario: dict[str, Any]
) -> None:
    with pytest.raises(ScenarioFitError):
        cold(family, [scenario])


def test_a_column_of_the_records_is_not_taken_for_labels() -> None:
    schema, real = real_calls()
    params = {"block_size": 64, "scenarios": ({"kind": "rare", "events": 0.1},)}
    story = SIMULATION.learn(schema, SIMULATION.Params(**params, label="plan"), 1)
    with pytest.raises(ScenarioFitError, match="plan"):
        learn(story, Local(real))


def test_a_rare_class_of_subjects_is_exact_in_any_family() -> None:
    rare = {"kind": "rare", "subjects": 0.01, "values": {"host": "odd.example"}}
    model = cold("browsing", [rare])
    found = 0
    for block in range(10):
        drawn = model.sample(block, 128, 1)
        odd = texts(drawn, "host") == "odd.example"
        assert (odd == (texts(drawn, "scenario") == "rare")).all()
        found += len(np.unique(drawn.owners[odd]))
    assert found == round(1_280 * 0.01)


# ---- conditions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clauses",
    [
        ["event_type=sms"],
        ["direction=in"],
        ["direction=out", "event_type=call|data"],
        ["hour=18..20"],
        ["weekday=sat|sun", "hour=9..12"],
        ["event_at=2026-01-06..2026-01-07"],
        ["cell_id=C-00003|C-00004"],
    ],
)
def test_every_event_holds_the_condition_and_nobody_is_left_out(clauses: list[str]) -> None:
    schema = FAMILIES.get("cdr").schema()
    condition = Condition.parse(clauses, schema)
    for clause in condition.clauses:
        assert SIMULATION.objection(schema, clause) == ""
    drawn = cold("cdr").conditioned(condition).sample(0, 128, 1)
    assert drawn.lengths.min() >= 1
    at = np.asarray(drawn.columns["event_at"])
    hour = ((at - START) // np.timedelta64(1, "h")).astype(int)
    for clause in condition.clauses:
        if clause.field == "hour":
            assert clause.holds((hour % 24).astype(float)).all()
        elif clause.field == "weekday":
            assert np.isin(hour // 24 % 7, [5, 6]).all()
        elif clause.field == "event_at":
            assert clause.holds(at.astype(np.int64) / 1e6).all()
        else:
            assert set(texts(drawn, clause.field)) <= set(clause.labels)


def test_a_condition_holds_in_scenarios_too() -> None:
    scenarios = [
        {"kind": "robo_calls", "subjects": 0.05},
        {"kind": "outage", "starts_h": 8, "lasts_h": 100, "cells": ["C-00003"]},
        {"kind": "rare", "events": 0.1, "values": {"event_type": "fax"}},
    ]
    model = cold("cdr", scenarios)
    clauses = ["event_type=sms", "cell_id=C-00003|C-00004", "hour=0..12"]
    condition = Condition.parse(clauses, FAMILIES.get("cdr").schema())
    drawn = model.conditioned(condition).sample(0, 128, 1)
    assert drawn.lengths.min() >= 1
    assert set(texts(drawn, "event_type")) == {"sms"}
    assert set(texts(drawn, "cell_id")) <= {"C-00003", "C-00004"}
    hour = (np.asarray(drawn.columns["event_at"]) - START) // np.timedelta64(1, "h") % 24
    assert hour.astype(int).max() <= 12


def test_a_subscriber_has_the_plan_that_was_asked_for() -> None:
    condition = Condition.parse(["plan=L", "churned=true"], FAMILIES.get("subscriber").schema())
    drawn = cold("subscriber").conditioned(condition).sample(0, 128, 1)
    assert set(texts(drawn, "plan")) == {"L"}
    assert set(texts(drawn, "churned")) == {"true"}


@pytest.mark.parametrize(
    "clause", ["event_type=fax", "event_at=1999-01-01", "cell_id=nowhere", "direction=up"]
)
def test_what_never_happens_is_said_at_once(clause: str) -> None:
    with pytest.raises(ImpossibleConditionError):
        cold("cdr").conditioned(Condition.parse([clause], FAMILIES.get("cdr").schema()))


@pytest.mark.parametrize("clause", ["duration_s=60..90", "radio="])
def test_what_follows_by_rules_cannot_be_asked_for(clause: str) -> None:
    schema = FAMILIES.get("cdr").schema()
    assert SIMULATION.objection(schema, Condition.parse([clause], schema).clauses[0])


# ---- with records -------------------------------------------------------------------------------


@cache
def real_calls() -> tuple[Any, Records]:
    made = world.make(subscribers=200, days=21, seed=5).cdr
    family = FAMILIES.get("cdr").schema()
    plan = Column(name="plan", kind="category", per="subject")
    kept = (*(c for c in family.columns if c.name in made), plan)
    order = np.lexsort((made["event_at"], made["subscriber_id"].astype(str)))
    key = made["subscriber_id"][order].astype(str)
    cuts = np.flatnonzero(key[1:] != key[:-1]) + 1
    columns: dict[str, Any] = {}
    for c in kept:
        values = made[c.name][order]
        text = c.kind in ("category", "identifier")
        columns[c.name] = Coded.of(values.tolist()) if text else values
        if c.kind == "time":
            columns[c.name] = values.astype("datetime64[us]")
    return replace(family, columns=kept), Records(columns, np.array([0, *cuts, len(key)]))


def test_records_are_fitted_by_their_aggregates() -> None:
    schema, real = real_calls()
    params = SIMULATION.Params(block_size=512)
    model = learn(SIMULATION.learn(schema, params, 1), Local(real, parts=3))
    drawn = model.sample(0, 512, 1)
    fitted = model.about()["fitted"]
    assert fitted["start"] == "2026-01-05"
    assert fitted["days"] == 21
    per_day = real.rows / real.subjects / 21
    assert fitted["events_a_day"] == pytest.approx(per_day, rel=1e-4)
    assert drawn.rows / 512 / 21 == pytest.approx(per_day, rel=0.15)
    for name in ("event_type", "direction", "cell_id", "plan"):
        labels = sorted(set(texts(real, name)))
        shares = [
            np.array([(texts(r, name) == label).mean() for label in labels]) for r in (real, drawn)
        ]
        assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.12, name
    talk = [np.asarray(r.columns["duration_s"]) for r in (real, drawn)]
    medians = [np.median(t[t > 0]) for t in talk]
    assert medians[0] == pytest.approx(medians[1], rel=0.15)
    assert "plan" in model.about()["by_own_shares"]


def test_the_docs_name_what_records_of_calls_do_not_fit() -> None:
    """Of the card's assumed settings: those of the row of cdr, and those that take no part."""
    schema, real = real_calls()
    model = learn(SIMULATION.learn(schema, SIMULATION.Params(block_size=64), 1), Local(real))
    page = (ROOT / "docs" / "ref-generators-simulation.md").read_text()
    row = page.split("| family | used, never fitted |")[1].split("| cdr |")[1].split("\n")[0]
    other_families = {
        "churn_a_month", "fault_per_day", "load_peak", "host_exponent", "host_taste", "hosts",
        "pages", "requests", "page_median_s", "page_sigma",
    }  # fmt: skip
    a_made_town = {"cells", "town_km", "latitude", "longitude"}
    the_run = {"block_size", "min_subjects"}
    left = set(model.about()["assumed"]) - other_families - a_made_town - the_run
    left -= {"up_share"}  # these calls have no uplink; it is fitted where both volumes are there
    assert set(re.findall(r"`(\w+)`", row)) == left


def test_a_setting_that_is_to_be_kept_is_not_fitted() -> None:
    schema, real = real_calls()
    params = SIMULATION.Params(block_size=64, burst_ratio=5.0, keep=("burst_ratio", "reply_share"))
    model = learn(SIMULATION.learn(schema, params, 1), Local(real))
    assert model.facts.params.burst_ratio == 5.0
    assert model.facts.params.reply_share == SIMULATION.Params().reply_share
    assert "burst_ratio" not in model.about()["fitted"]


def test_a_cell_of_few_subscribers_is_not_told() -> None:
    schema, real = real_calls()
    cells = real.columns["cell_id"]
    codes = cells.codes.copy()
    codes[:3] = len(cells.labels)  # one subscriber's own cell
    columns = {**real.columns, "cell_id": Coded(codes, (*cells.labels, "secret"))}
    story = SIMULATION.learn(schema, SIMULATION.Params(block_size=64), 1)
    model = learn(story, Local(Records(columns, real.offsets)))
    assert "secret" not in model.facts.town.labels
    assert "secret" not in str(model.about())


# ---- refusals -----------------------------------------------------------------------------------


def test_a_column_without_a_rule_needs_its_shares_or_records() -> None:
    family = FAMILIES.get("cdr").schema()
    schema = replace(family, columns=(*family.columns, Column(name="region", kind="category")))
    with pytest.raises(ColdColumnError, match="region"):
        learn(SIMULATION.learn(schema, SIMULATION.Params(**SMALL), 1), NoRecords())
    params = SIMULATION.Params(**SMALL, shares={"region": {"north": 3.0, "south": 1.0}})
    drawn = learn(SIMULATION.learn(schema, params, 1), NoRecords()).sample(0, 128, 1)
    assert (texts(drawn, "region") == "north").mean() == pytest.approx(0.75, abs=0.12)


@pytest.mark.parametrize(
    "settings",
    [{"days": 0}, {"reply_share": 1.5}, {"start": "soon"}, {"tariffs": {"S": (1.0,)}},
     {"shares": {"region": {"a": -1.0}}}, {"burst_ratio": float("nan")}],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        SIMULATION.Params(**settings)


def test_a_table_of_cells_is_used_and_a_wrong_one_refused(tmp_path: Any) -> None:
    good, bad = tmp_path / "cells.csv", tmp_path / "bad.csv"
    good.write_text("cell_id,latitude,longitude\na,48.0,9.0\nb,48.1,9.1\nc,48.0,9.2\n")
    bad.write_text("cell_id,lat\na,1\n")
    drawn = cold("location", cells_file=str(good)).sample(0, 128, 1)
    assert set(texts(drawn, "cell_id")) == {"a", "b", "c"}
    assert np.abs(np.asarray(drawn.columns["latitude"]) - 48.05).max() < 0.2
    for path in (bad, tmp_path / "gone.csv"):
        with pytest.raises(CellsFileError):
            cold("location", cells_file=str(path))


def test_a_learned_profile_keeps_what_goes_with_the_plan() -> None:
    made = world.make(subscribers=2_000, days=1, seed=5).subscriber
    family = FAMILIES.get("subscriber").schema()
    kept = tuple(c for c in family.columns if c.name in made)
    schema = replace(family, columns=kept)
    columns: dict[str, Any] = {}
    for c in kept:
        values = made[c.name]
        text = [str(v).lower() if isinstance(v, np.bool_) else v for v in values]
        columns[c.name] = Coded.of(text) if c.kind == "category" else values.astype(float)
    real = Records.flat(columns)
    story = SIMULATION.learn(schema, SIMULATION.Params(block_size=2_048), 1)
    model = learn(story, Local(real, parts=2))
    drawn = model.sample(0, 2_048, 1)
    assert model.facts.main == "plan"
    for plan in ("S", "unlimited"):
        prepaid, price = [], []
        for r in (real, drawn):
            mine = texts(r, "plan") == plan
            prepaid.append((texts(r, "payment")[mine] == "prepaid").mean())
            price.append(np.median(np.asarray(r.columns["monthly_charge"])[mine]))
        assert prepaid[0] == pytest.approx(prepaid[1], abs=0.06)
        assert price[0] == pytest.approx(price[1], rel=0.1)
    asked = model.conditioned(Condition.parse(["payment=prepaid", "plan=L"], schema))
    some = asked.sample(0, 2_048, 1)
    assert set(texts(some, "payment")) == {"prepaid"}
    assert set(texts(some, "plan")) == {"L"}


@pytest.mark.parametrize(
    "kept",
    [("cell_id", "latitude", "longitude"), ("latitude", "longitude"), ("cell_id",)],
    ids="+".join,
)
def test_learned_places_stand_where_the_records_have_them(kept: tuple[str, ...]) -> None:
    source = cold("location", block_size=256, cells=12, latitude=48.0, longitude=9.0)
    whole = source.sample(0, 256, 9)
    names = ("seen_at", *kept)
    schema = replace(
        source.facts.schema,
        columns=tuple(c for c in source.facts.schema.columns if c.name in names),
    )
    real = Records({n: whole.columns[n] for n in names}, whole.offsets)
    story = SIMULATION.learn(schema, SIMULATION.Params(block_size=256, latitude=0.0), 1)
    drawn = learn(story, Local(real, parts=2)).sample(0, 256, 1)
    assert sorted(drawn.columns) == sorted(names)
    for name in kept:
        if name == "cell_id":
            assert set(texts(drawn, name)) <= set(texts(real, name))
        else:
            a, b = (np.asarray(r.columns[name]) for r in (real, drawn))
            assert np.median(a) == pytest.approx(np.median(b), abs=0.03)
            assert np.abs(np.diff(np.percentile(a, [5, 95]) - np.percentile(b, [5, 95]))) < 0.1


# ---- tables that belong together ----------------------------------------------------------------


def drawer_of(family: str, **settings: Any) -> ModelDrawer:
    schema = FAMILIES.get(family).schema()
    model = cold(family, **settings)
    return ModelDrawer(Saved(model, "", schema, cold_formats(schema), Determined(), {}, ""))


def test_the_cells_of_calls_stand_in_the_table_of_cells() -> None:
    named = drawer_of("cell").draw(0, 128, 1)[1]["#key"]
    assert len(set(named)) == 128  # 40 cells, then further sectors of theirs
    assert set(texts(cold("cdr").sample(0, 128, 1), "cell_id")) <= set(named[:40])
    elements = drawer_of("network_log").draw(0, 40, 1)[1]["#key"]
    assert elements.tolist() == [f"NE-{c}" for c in named[:40]]


def test_subscribers_of_one_seed_are_the_same_in_calls_and_profiles() -> None:
    calls, ids = drawer_of("cdr").draw(0, 128, 7)
    profiles, others = drawer_of("subscriber").draw(0, 128, 7)
    assert ids["#key"].tolist() == others["#key"].tolist()
    usage = np.log1p([calls.lengths, np.asarray(profiles.columns["calls"])])
    assert np.corrcoef(usage)[0, 1] > 0.6
