from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_spark.config import (
    OverrideError,
    Plan,
    PlanFileError,
    SecretInPlanError,
    UnknownSettingError,
    changed,
    json_schema,
    parse_overrides,
    plan_from,
    read_plan,
    settings,
)
from synth_spark.core.schema import Column, Schema
from synth_spark.errors import PlanError, UnknownNameError

BASE: dict[str, Any] = {"generator": {"name": "independent"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_overrides_and_python_make_the_same_plan(tmp_path: Path) -> None:
    path = write(tmp_path, "fit: {ranks: 2, max_minutes: 1.5}\nsample: {subjects: 7}")
    python = plan_from({"fit": {"ranks": 2, "max_minutes": 1.5}, "sample": {"subjects": 7}})
    line = plan_from({}, ["--fit.ranks", "2", "--fit.max_minutes=1.5", "--sample.subjects", "7"])
    assert read_plan(path) == python == line


def test_a_plan_written_out_whole_reads_back_equal(tmp_path: Path) -> None:
    columns = {
        "a": {"kind": "number", "source": "A b"},
        "t": {"kind": "time"},
        "k": {"kind": "category"},
    }
    plan = plan_from(
        {
            "source": {"path": "no", "time_zone": "Africa/Dakar"},
            "records": {"key": "k", "time": "t", "columns": columns, "drop": ["x"]},
            "evaluate": {"gates": [{"metric": "accuracy", "at_least": 0.9}]},
            "run": {"conf": {"spark.a": True, "spark.b": 3}},
        }
    )
    assert read_plan(write(tmp_path, plan.to_yaml())) == plan
    assert plan.run.conf == {"spark.a": "true", "spark.b": "3"}


@pytest.mark.parametrize(
    ("data", "path", "nearest"),
    [
        ({"sede": 3}, "sede", "(nearest: seed)"),
        ({"sample": {"subject": 1}}, "sample.subject", "(nearest: sample.subjects)"),
        ({"subjects": 4}, "subjects", "(nearest: sample.subjects)"),
        ({"records": {"columns": [{"name": "a", "knd": "x"}]}}, "records.columns[0].knd", "kind"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    data: dict[str, Any], path: str, nearest: str
) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        plan_from(data)
    assert caught.value.facts["paths"] == (path,)
    assert nearest in str(caught.value)


def test_all_faults_are_said_at_once_with_their_paths() -> None:
    with pytest.raises(PlanError) as caught:
        plan_from({"fit": {"ranks": 0}, "sample": {"subjects": "many"}, "seed": 1.5})
    assert caught.value.facts["paths"] == ("seed", "fit.ranks", "sample.subjects")
    assert str(caught.value).startswith("[SYN-100] 3 faults in the plan")


@pytest.mark.parametrize(
    "data",
    [
        {"seed": True},
        {"seed": "1"},
        {"seed": -1},
        {"ingest": {"holdout_share": 0.6}},
        {"ingest": {"holdout_share": float("nan")}},
        {"source": {"format": "excel"}},
        {"source": {"time_zone": "Africa/Dakkar"}},
        {"name": "../x"},
        {"evaluate": {"gates": [{"metric": "accuracy"}]}},
        {"records": {"columns": [{"name": "a", "kind": "number"}, {"name": "a", "kind": "time"}]}},
        {"records": {"shape": "events", "columns": {"a": {"kind": "number"}}}},
        {"records": {"columns": {"a": {"kind": "place", "partner": "b"}}}},
        {"records": {"columns": {"a": None}}},
        {"records": {"family": "cdr"}},
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        plan_from({**BASE, **data}).schema_of()


@pytest.mark.parametrize(
    "data",
    [
        {"ingest": {"id_key": "abc"}},
        {"run": {"conf": {"spark.hadoop.fs.s3a.secret.key": "x"}}},
        {"run": {"conf": {"spark.hadoop.fs.s3a.access.key": "x"}}},
        {"password": "x"},
        {"source": {"path": "https://me:word@host/x.csv"}},
    ],
)
def test_a_secret_is_refused_and_not_repeated(data: dict[str, Any]) -> None:
    with pytest.raises(SecretInPlanError) as caught:
        plan_from(data)
    assert "abc" not in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


def test_the_place_of_a_key_and_a_column_called_token_are_no_secrets() -> None:
    plan = plan_from(
        {
            **BASE,
            "ingest": {"id_key_file": "/run/key"},
            "records": {"columns": {"token": {"kind": "category"}}},
        }
    )
    assert plan.ingest.id_key_file == "/run/key"


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "seed: 1\nseed: 2", "just words"])
def test_a_file_that_is_no_mapping_of_settings_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(PlanFileError):
        read_plan(write(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanFileError) as caught:
        read_plan(tmp_path / "none.yaml")
    assert caught.value.facts["path"] == str(tmp_path / "none.yaml")


def test_yaml_is_read_by_its_newer_rules(tmp_path: Path) -> None:
    text = "source: {path: no}\nfit: {max_minutes: 1e-1}\nrecords: {drop: [on, y, 2026-01-01]}"
    plan = read_plan(write(tmp_path, text))
    assert plan.source.path == "no"
    assert plan.fit.max_minutes == 0.1
    assert plan.records.drop == ("on", "y", "2026-01-01")


@pytest.mark.parametrize("arguments", [["--a.b"], ["a.b", "1"], ["--a.b", "--c"], ["--"]])
def test_an_override_without_a_name_or_value_is_refused(arguments: list[str]) -> None:
    with pytest.raises(OverrideError):
        parse_overrides(arguments)


def test_overrides_are_read_as_yaml_and_reach_into_lists_of_settings() -> None:
    assert parse_overrides(
        ["--a", "1", "--b.c=x=y", "--d", "[1, 2]", "--e", "null", "--f", "-3"]
    ) == {
        "a": 1,
        "b.c": "x=y",
        "d": [1, 2],
        "e": None,
        "f": -3,
    }


def test_a_spark_setting_keeps_its_dots() -> None:
    plan = plan_from(BASE, ["--run.conf.spark.sql.shuffle.partitions", "4"])
    assert plan.run.conf == {"spark.sql.shuffle.partitions": "4"}


def test_an_unknown_generator_or_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        plan_from({"generator": {"name": "independant"}})
    assert caught.value.hint == "did you mean 'independent'?"
    with pytest.raises(UnknownNameError):
        plan_from({**BASE, "records": {"family": "cdrs", "columns": {"a": {"kind": "number"}}}})


def test_settings_of_a_generator_are_checked_by_its_own_params() -> None:
    plan = plan_from({"generator": {"name": "independent", "params": {"min_subjects": 7}}})
    assert plan.params().min_subjects == 7
    with pytest.raises(UnknownSettingError) as caught:
        plan_from({"generator": {"name": "independent", "params": {"min_subject": 7}}})
    assert caught.value.facts["path"] == "generator.params.min_subject"
    with pytest.raises(PlanError) as wrong:
        plan_from({"generator": {"name": "independent", "params": {"min_subjects": "x"}}})
    assert "generator.params.min_subjects" in str(wrong.value)


def test_a_schema_takes_from_the_family_what_the_plan_leaves_out() -> None:
    plan = plan_from(
        {
            **BASE,
            "records": {
                "family": "cdr",
                "key": "subscriber_id",
                "time": "event_at",
                "columns": {
                    "subscriber_id": {"source": "user"},
                    "event_at": None,
                    "correspondent_id": None,
                    "duration_s": {"source_type": "double"},
                    "plan": {"kind": "category", "per": "subject"},
                },
            },
        }
    )
    assert plan.schema_of() == Schema(
        family="cdr",
        shape="events",
        key=Column(name="subscriber_id", kind="identifier", per="subject"),
        time="event_at",
        columns=(
            Column(name="event_at", kind="time", source_type="timestamp_ntz"),
            Column(name="correspondent_id", kind="identifier", counterpart=True),
            Column(name="duration_s", kind="number", source_type="double"),
            Column(name="plan", kind="category", per="subject"),
        ),
    )
    assert plan.source_names()["subscriber_id"] == "user"
    assert plan.source_names()["event_at"] == "event_at"


def test_without_columns_there_is_no_schema_and_a_detected_one_survives_the_file(
    tmp_path: Path,
) -> None:
    plan = plan_from(BASE)
    assert plan.schema_of() is None
    schema = Schema(
        family="events",
        shape="events",
        key=Column(name="k", kind="identifier", source_type="bigint", per="subject"),
        time="t",
        columns=(
            Column(name="t", kind="time", source_type="bigint", time_format="epoch_s"),
            Column(name="la", kind="place", source_type="double", partner="lo"),
            Column(name="lo", kind="place", source_type="double"),
            Column(name="b", kind="identifier", counterpart=True),
        ),
    )
    again = read_plan(write(tmp_path, plan.with_schema(schema).to_yaml()))
    assert again.schema_of() == schema
    assert again.fingerprint() == plan.with_schema(schema).fingerprint()
    named = plan.with_schema(schema, {"k": "_key", "t": "t"})
    assert read_plan(write(tmp_path, named.to_yaml())).source_names()["k"] == "_key"
    assert named.source_names()["t"] == "t"


def test_names_that_begin_like_those_a_run_adds_are_refused() -> None:
    with pytest.raises(PlanError, match="name it split and say source: _split"):
        plan_from({"records": {"columns": {"_split": {"kind": "number"}}}})


def test_the_fingerprint_changes_with_what_bears_on_the_data_and_with_nothing_else() -> None:
    plan = plan_from(BASE)
    same = [
        {"name": "x"},
        {"run.folder": "elsewhere", "run.quiet": True, "run.resume": "always"},
        {"sample.partitions": 7, "sample.rows_per_wave": 1_000},
        {"ingest.id_key_file": "/run/key"},
    ]
    other = [{"seed": 2}, {"sample.subjects": 3}, {"ingest.repeats": "drop"}, {"fit.ranks": 2}]
    assert {changed(plan, c).fingerprint() for c in same} == {plan.fingerprint()}
    assert len({changed(plan, c).fingerprint() for c in other} | {plan.fingerprint()}) == 5


def test_a_step_does_not_depend_on_the_settings_of_later_steps() -> None:
    plan = plan_from(BASE)
    more = changed(plan, {"sample.subjects": 3})
    assert more.fingerprint("fit") == plan.fingerprint("fit")
    assert more.fingerprint("sample") != plan.fingerprint("sample")
    assert changed(plan, {"fit.ranks": 2}).fingerprint("ingest") == plan.fingerprint("ingest")


@pytest.mark.parametrize("setting", ["temperature", "top_p"])
def test_a_taste_is_asked_of_a_sampling_and_not_of_the_model(setting: str) -> None:
    plan = plan_from(BASE)
    other = changed(plan, {f"sample.{setting}": 0.5})
    assert other.fingerprint("fit") == plan.fingerprint("fit")
    assert other.fingerprint("sample") != plan.fingerprint("sample")
    for wrong in (0, 11, float("nan")):
        with pytest.raises(PlanError):
            changed(plan, {f"sample.{setting}": wrong})


def test_a_table_of_conditions_asked_for_now_wins_over_written_subjects(tmp_path: Path) -> None:
    written = write(tmp_path, "sample: {subjects: 7}")
    assert read_plan(written, ["--sample.given", "w.csv"]).sample.subjects is None
    said = read_plan(written, ["--sample.given", "w.csv", "--sample.subjects", "9"])
    assert said.sample.subjects == 9
    both = write(tmp_path, "sample: {subjects: 7, given: w.csv}")
    assert read_plan(both).sample.subjects == 7
    assert read_plan(both, ["--sample.given", "null"]).sample.subjects == 7


def test_plans_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        plan_from(BASE).fit.ranks = 3  # type: ignore[misc]


def test_every_setting_stands_in_the_json_schema_and_on_the_reference_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "ref-plan.md").read_text(encoding="utf-8")
    schema = json_schema()
    for path, _ in settings(Plan):
        assert f"| `{path}` |" in page, f"synth-spark plan schema > docs/ref-plan.md ({path})"
        *section, name = path.split(".")
        where = schema["$defs"][section[0].capitalize()] if section else schema
        assert name in where["properties"]


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"n": {"kind": "category", "unique": True}}, {}),
        (
            {"n": {"kind": "number", "unique": True}, "at": {"kind": "time"}},
            {"key": "k", "time": "at"},
        ),
    ],
)
def test_only_numbers_of_a_flat_table_are_unique(columns: Any, key: Any) -> None:
    plan = plan_from({"records": {"columns": columns, **key}})
    with pytest.raises(PlanError) as caught:
        plan.schema_of()
    assert caught.value.facts["path"] == "records.columns.n.unique"
