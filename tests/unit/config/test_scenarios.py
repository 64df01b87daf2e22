"""Scenarios are read strictly, and what is wrong is said with the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_spark.config import plan_from, scenario_reference
from synth_spark.config.scenarios import (
    KINDS,
    ScenarioError,
    ScenarioFileError,
    read_scenario,
    scenario_from,
    scenarios_from,
)

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "conf" / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_a_scenario_that_ships_is_read_and_labelled_by_its_file(path: Path) -> None:
    assert scenario_from(read_scenario(path)).label == path.stem


def test_every_kind_ships_as_an_example() -> None:
    assert {read_scenario(p)["kind"] for p in SHIPPED} == set(KINDS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kind": "outtage"}, "outage"),
        ({}, "one of"),
        ({"kind": "outage", "starts_h": 1, "lasts": 2}, "lasts_h"),
        ({"kind": "outage", "starts_h": -1, "lasts_h": 2}, "starts_h"),
        ({"kind": "fraud_ring", "subjects": 0.7}, "subjects"),
        ({"kind": "robo_calls", "from_hour": 9, "to_hour": 9}, "from_hour"),
        ({"kind": "rare", "subjects": 0.1, "events": 0.1}, "one of subjects and events"),
        ({"kind": "rare"}, "one of subjects and events"),
        ({"kind": "emergency", "starts_h": "1", "lasts_h": 2}, "starts_h"),
    ],
)
def test_what_is_wrong_is_refused_by_name(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_from(data)
    assert said in str(caught.value)


def test_two_scenarios_need_two_labels_and_must_leave_somebody() -> None:
    ring = {"kind": "fraud_ring", "subjects": 0.4}
    with pytest.raises(ScenarioError, match="Two scenarios"):
        scenarios_from([ring, ring])
    with pytest.raises(ScenarioError, match="more subjects than"):
        scenarios_from([{**ring, "name": n} for n in "abc"])


@pytest.mark.parametrize("text", ["- a", "kind: [", ""])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ScenarioFileError):
        read_scenario(tmp_path / "s.yaml")
    with pytest.raises(ScenarioFileError):
        read_scenario(tmp_path / "gone.yaml")


def test_a_plan_spells_out_the_files_it_names_so_that_its_fingerprint_covers_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "s.yaml"

    def plan(factor: int) -> str:
        file.write_text(f"kind: emergency\nstarts_h: 1\nlasts_h: 2\nfactor: {factor}\n")
        params = {"scenarios": [str(file)]}
        made = plan_from({"generator": {"name": "simulation", "params": params}})
        assert made.generator.params["scenarios"][0]["factor"] == factor
        return made.fingerprint("fit")

    assert plan(3) != plan(4)


def test_every_setting_of_a_scenario_has_a_readable_type_and_a_description() -> None:
    rows = [v.split(" | ") for v in scenario_reference().splitlines() if v.startswith("| `")]
    assert [r[0] for r in rows if "[Annotated" in r[1] or "FieldInfo" in r[1]] == []
    assert [r[0] for r in rows if not r[3].strip(" |")] == []
    shares = [r for r in rows if r[0] == "| `events`"]
    assert shares[0][1] == "float or None, gt=0, le=0.5"


def test_the_reference_page_is_what_the_models_say() -> None:
    page = (ROOT / "docs" / "ref-scenarios.md").read_text(encoding="utf-8")
    assert page == scenario_reference() + "\n", (
        "synth-spark scenarios --markdown > docs/ref-scenarios.md"
    )
