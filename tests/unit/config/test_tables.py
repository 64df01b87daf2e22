"""Plans of several tables: what each has of its own, over the rest of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_spark.config import (
    OverrideError,
    Plan,
    Tables,
    UnknownTableError,
    json_schema,
    read_plan,
    read_plans,
)
from synth_spark.errors import PlanError, SynthError

TWO = """
name: shop
seed: 7
generator: {name: independent, params: {min_subjects: 9}}
sample: {subjects: 500, where: [a=x]}
run: {folder: out/shop}
tables:
  people: {source: {path: people.csv}}
  calls:
    source: {path: calls.parquet}
    records: {key: k, time: t}
    generator: {name: markov}
    sample: {subjects: 9}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def both(folder: Path, *overrides: str, text: str = TWO, table: str | None = None) -> Tables:
    read = read_plans(write(folder, text), overrides, table=table)
    assert isinstance(read, Tables)
    return read


def test_a_table_has_its_own_settings_over_those_of_the_file(tmp_path: Path) -> None:
    read = both(tmp_path)
    assert [*read.plans] == [*read.chosen] == ["people", "calls"]
    people, calls = read.plans.values()
    assert (people.source.path, calls.source.path) == ("people.csv", "calls.parquet")
    assert (people.seed, calls.seed) == (7, 7)
    assert (people.sample.subjects, calls.sample.subjects) == (500, 9)
    assert people.sample.where == calls.sample.where == ("a=x",)
    assert (people.name, calls.name) == ("shop.people", "shop.calls")
    assert (people.run.folder, calls.run.folder) == ("out/shop/people", "out/shop/calls")
    assert read.folder == Path("out/shop")


def test_settings_of_a_generator_are_not_those_of_another(tmp_path: Path) -> None:
    people, calls = both(tmp_path).plans.values()
    assert (people.generator.name, people.generator.params) == ("independent", {"min_subjects": 9})
    assert (calls.generator.name, calls.generator.params) == ("markov", {})


def test_an_option_holds_for_each_table_or_for_the_one_it_names_which_wins(tmp_path: Path) -> None:
    options = ["--tables.calls.sample.subjects", "3", "--sample.subjects=4", "--run.folder", "f"]
    read = both(tmp_path, *options, "--run.resume", "always")
    assert [p.sample.subjects for p in read.plans.values()] == [4, 3]
    assert [p.run.folder for p in read.plans.values()] == ["f/people", "f/calls"]
    assert {p.run.resume for p in read.plans.values()} == {"always"}


def test_runs_lie_under_the_name_of_the_plan_where_no_folder_is_said(tmp_path: Path) -> None:
    read = both(tmp_path, text="name: shop\ntables: {a: , b: {seed: 2}}")
    assert [str(p.folder) for p in read.plans.values()] == ["runs/shop/a", "runs/shop/b"]


@pytest.mark.parametrize(
    ("own", "code", "said"),
    [
        ("{sample: {subject: 1}}", "SYN-102", "Table b: sample.subject is not a setting"),
        ("{generator: {name: markow}}", "SYN-101", "Table b: No generator is called 'markow'"),
        ("{seed: -1}", "SYN-100", "Table b: "),
        ("{run: {folder: x}}", "SYN-100", "Table b: run belongs to all tables"),
        ("{name: x}", "SYN-100", "Table b: name belongs to all tables"),
        ("3", "SYN-100", "Table b: It has a int, not settings"),
    ],
)
def test_a_fault_in_a_table_names_the_table(own: str, code: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"tables:\n  a: {{seed: 2}}\n  b: {own}\n")
    with pytest.raises(SynthError) as caught:
        read_plans(path)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"[{code}] {said}")
    assert caught.value.facts["table"] == "b"


@pytest.mark.parametrize("tables", ["", "{}", "[a, b]", "{../x: {seed: 1}}", "{a.b: {seed: 1}}"])
def test_tables_are_a_mapping_of_names_that_a_folder_may_have(tables: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        read_plans(write(tmp_path, f"tables: {tables}\n"))


def test_one_table_is_chosen_by_its_name_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    assert both(tmp_path, table="calls").chosen == ("calls",)
    for words in ({"table": "cals"}, {"overrides": ["--tables.cals.seed", "1"]}):
        named: dict[str, Any] = dict(words)
        with pytest.raises(UnknownTableError) as caught:
            read_plans(write(tmp_path, TWO), **named)
        assert caught.value.facts == {"table": "cals", "tables": ["people", "calls"]}
        assert caught.value.hint == "did you mean 'calls'?"
    with pytest.raises(UnknownTableError):
        read_plans(write(tmp_path, "seed: 1"), table="calls")
    with pytest.raises(OverrideError):
        both(tmp_path, "--tables.calls", "1")


def test_a_plan_of_one_table_is_read_as_ever_and_one_of_several_not_as_one(tmp_path: Path) -> None:
    single = write(tmp_path, "seed: 3")
    assert read_plans(single, ["--fit.ranks", "2"]) == read_plan(single, ["--fit.ranks", "2"])
    assert isinstance(read_plans(single), Plan)
    with pytest.raises(PlanError, match="several tables"):
        read_plan(write(tmp_path, TWO))


def test_a_secret_in_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="looks like a secret"):
        read_plans(write(tmp_path, "tables: {a: {source: {password: x}}}"))


def test_several_tables_stand_in_the_json_schema() -> None:
    assert json_schema()["properties"]["tables"]["type"] == "object"
