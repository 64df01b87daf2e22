"""Whole runs through the doors that people use: the command and the spark-submit jobs."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from synth_spark.cli import main as command
from synth_spark.pipelines.folder import RunFolder

JOBS = Path(__file__).resolve().parents[2] / "jobs"
WORLD = "world:cdr?subscribers=60&days=4&seed=3"


def job(name: str) -> Callable[[list[str]], int]:
    return runpy.run_path(str(JOBS / f"{name}.py"))["main"]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A small table of calls, as a file."""
    from synth_spark.records.world import materialise

    return materialise(WORLD, tmp_path / "world")


def test_a_twin_has_the_columns_types_and_subjects_of_its_source(
    spark: Any, calls: Path, tmp_path: Path
) -> None:
    out = tmp_path / "twin.parquet"
    args = ["twin", str(calls), "--out", str(out), "--key", "subscriber_id", "--time", "event_at"]
    assert command([*args, "--generator", "markov", "--seed", "4"]) == 0
    real, twin = pq.read_table(calls), pq.read_table(out)
    assert twin.schema.remove_metadata() == real.schema.remove_metadata()
    ids = real["subscriber_id"].unique().to_pylist()
    made = twin["subscriber_id"].unique().to_pylist()
    assert len(made) == len(ids)
    assert {len(i) for i in made} == {len(i) for i in ids}
    report = json.loads((tmp_path / "twin.run" / "report.json").read_text())
    heads = {x["metric"]: x for x in report["evaluation"]["lines"] if x["item"] == "all"}
    assert heads["coherence"]["value"] > heads["coherence"]["independence"]
    assert "<html" in (tmp_path / "twin.run" / "report.html").read_text()


def test_tickets_that_run_with_time_are_made_anew_in_its_order(spark: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    opened = np.sort(rng.integers(0, 10**7, 600))
    real = pa.table(
        {
            "ticket_id": 40_000 + np.cumsum(rng.integers(1, 9, 600)),
            "opened": np.datetime64("2026-01-01", "us") + opened.astype("timedelta64[s]"),
            "queue": np.array(["noc", "field", "desk"])[rng.integers(0, 3, 600)],
        }
    )
    pq.write_table(real, tmp_path / "tickets.parquet")
    out = tmp_path / "twin.parquet"
    args = ["twin", str(tmp_path / "tickets.parquet"), "--out", str(out), "--seed", "4"]
    assert command([*args, "--generator", "autoregressive"]) == 0
    twin = pq.read_table(out)
    assert twin.schema.remove_metadata() == real.schema.remove_metadata()
    tickets = np.asarray(twin["ticket_id"])
    assert len(set(tickets)) == 600
    assert np.isin(tickets, np.asarray(real["ticket_id"])).mean() < 0.35  # by chance .22
    order = np.argsort(np.asarray(twin["opened"]))
    assert np.corrcoef(np.argsort(np.argsort(tickets[order])), np.arange(600))[0, 1] > 0.98


def test_a_twin_is_the_same_when_made_again(spark: Any, calls: Path, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.parquet"
        args = ["twin", str(calls), "--out", str(out), "--generator", "independent", "--seed", "4"]
        assert command([*args, "--key", "subscriber_id", "--time", "event_at"]) == 0
        made.append(pq.read_table(out))
    assert made[0].equals(made[1])


def test_the_steps_one_by_one_make_what_the_whole_run_makes(spark: Any, tmp_path: Path) -> None:
    def plan(name: str) -> list[str]:
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"name: small\nsource: {{path: '{WORLD}'}}\n"
            "records: {key: subscriber_id, time: event_at}\n"
            f"generator: {{name: independent}}\nrun: {{folder: {tmp_path / name}}}\n"
        )
        return ["--plan", str(path)]

    assert job("run")(plan("whole")) == 0
    for step in ("ingest", "fit", "sample", "evaluate"):
        assert job(step)([*plan("steps"), "--resume", "if-possible"]) == 0

    def rows(name: str) -> pa.Table:
        table = spark.read.format("delta").load(str(tmp_path / name / "twin"))
        return table.orderBy("_subject", "_event").toArrow()

    assert rows("whole").equals(rows("steps"))


def test_a_refused_run_prints_one_line_and_ends_with_2(
    spark: Any, calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "twin.parquet"
    assert command(["twin", str(calls), "--out", str(out), "--key", "subscriberid"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("[SYN-203]")
    assert "subscriber_id" in error
    assert not out.exists()


NO_RECORDS = {
    "empty.csv": (b"", "SYN-201"),
    "names_only.csv": (b"id,x\n", "SYN-201"),
    "no_key.csv": (b"id,x\n1,2\n", "SYN-203"),
    "no_parquet.parquet": (b"PAR1 it is not", "SYN-221"),
}


@pytest.mark.parametrize("name", NO_RECORDS)
def test_a_refused_source_leaves_no_run_folder(
    name: str, spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, code = NO_RECORDS[name]
    (tmp_path / name).write_bytes(content)
    args = ["twin", str(tmp_path / name), "--out", str(tmp_path / "twin.csv")]
    assert command([*args, "--key", "subscriber_id"]) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_refused_source_leaves_the_run_before_it_as_it_was(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    run.open("name: before\n")
    run.complete("ingest", "fingerprint", 1.0, {})
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "name: after\nsource: {path: 'world:subscriber?subscribers=60'}\n"
        "records: {shape: flat, columns: [{name: no_such_column, kind: category}]}\n"
        f"generator: {{name: independent}}\nrun: {{folder: {run.path}}}\n"
    )
    assert command(["run", "--plan", str(plan)]) == 2
    assert "[SYN-223]" in capsys.readouterr().err
    assert (run.path / "plan.yaml").read_text() == "name: before\n"
    assert run.step("ingest")


def test_a_dry_run_checks_the_columns_and_leaves_no_folder(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "--plan", str(JOBS.parent / "conf" / "plans" / "demo.yaml"), "--dry-run"]
    args += ["--run.folder", str(tmp_path / "run"), "--source.path", "world:cdr?subscribers=20"]
    assert command(args) == 0
    assert command([*args, "--source.path", "world:subscriber?subscribers=20"]) == 2
    assert "[SYN-223]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_auto_says_its_choice_also_where_it_is_refused_and_takes_one_that_can_learn(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A half of 22 rows is held out: 20 to learn from are left once in 16,000 splits."""
    table, out = tmp_path / "t.csv", tmp_path / "twin.csv"
    table.write_text("plan,months\n" + "".join(f"{'ab'[i % 2]},{i % 7}\n" for i in range(22)))
    args = ["--source.path", str(table), "--run.folder", str(tmp_path / "run")]
    plan = tmp_path / "plan.yaml"
    plan.write_text("name: t\ningest: {holdout_share: 0.5}\nevaluate: {enabled: false}\n")
    base = ["run", "--plan", str(plan), *args, "--sample.out", str(out)]
    assert command([*base, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "generator autoregressive: a flat table of 22 rows" in shown.out
    assert command([*base, "--sample.where", '["month=3"]']) == 2
    shown = capsys.readouterr()
    assert "auto: autoregressive, a flat table of 22 rows" in shown.err
    assert "[SYN-710]" in shown.err
    assert command(base) == 0
    lines = [v for v in capsys.readouterr().err.splitlines() if v.startswith("auto: ")]
    assert [v.split(",")[0] for v in lines] == ["auto: autoregressive", "auto: independent"]
    assert "held out" in lines[1]
    assert json.loads((tmp_path / "run" / "detected.json").read_text())["chosen"]["name"] == (
        "independent"
    )
    assert len(out.read_text().splitlines()) == 23


def test_a_missed_gate_ends_with_3(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(
        "name: gate\nsource: {path: 'world:subscriber?subscribers=200'}\n"
        "generator: {name: independent}\n"
        "evaluate: {gates: [{metric: pairs, at_least: 0.9999}]}\n"
        f"run: {{folder: {tmp_path / 'gate'}}}\n"
    )
    assert job("run")(["--plan", str(path)]) == 3


def test_the_notebook_runs_as_a_script(spark: Any) -> None:
    page = JOBS.parent / "notebooks" / "first_twin.py"
    assert runpy.run_path(str(page))["status"] == 0


def test_a_run_folder_may_be_named_from_here(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth_spark.spark import tables

    monkeypatch.chdir(tmp_path)
    tables.create(spark.range(1), "run/twin", {"seed": 1}, {"app": "x", "wave": 0})
    first = '{"app": "x", "wave": 0}'
    assert tables.properties(spark, "run/twin") == {"seed": "1", tables.FIRST: first}
    assert (tmp_path / "run" / "twin" / "_delta_log").is_dir()


def test_a_twin_of_a_table_of_conditions_holds_its_rows(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = 300
    real = {
        "id": [f"u{i}" for i in range(rows)],
        "plan": [("basic", "plus", "max")[i % 3] for i in range(rows)],
        "months": [i * 7 % 48 for i in range(rows)],
    }
    data, out, wanted = (str(tmp_path / n) for n in ("t.csv", "twin.parquet", "wanted.csv"))
    pa_csv.write_csv(pa.table(real), data)
    Path(wanted).write_text("months,id,plan\n3,a,\n,b,max\n3,c,plus\n,,\n40,e,basic\n")
    words = ["twin", data, "--out", out, "--generator", "independent"]
    assert command([*words, "--given", wanted]) == 0
    said = capsys.readouterr()
    assert "id left out: made anew for every subject" in said.err
    twin = pq.read_table(out)
    assert twin.column_names == ["id", "plan", "months", "_given_row"]
    assert twin["_given_row"].to_pylist() == [0, 1, 2, 3, 4]
    plans, months = twin["plan"].to_pylist(), twin["months"].to_pylist()
    assert (plans[1], plans[2], plans[4]) == ("max", "plus", "basic")
    assert (months[0], months[2], months[4]) == (3, 3, 40)
    assert None not in [*plans, *months]
    assert not {"a", "b", "c", "e"} & set(twin["id"].to_pylist())
    report = json.loads((tmp_path / "twin.run" / "report.json").read_text())
    assert any(
        "plan, months come from the rows of wanted.csv" in x for x in report["facts"]["not_tested"]
    )
    again = ["run", "--plan", str(tmp_path / "twin.run" / "plan.yaml"), "--dry-run"]
    assert command(again) == 0
    assert "one subject for each of 5 rows" in capsys.readouterr().out
    assert command([*again, "--sample.subjects", "9"]) == 2
    assert "[SYN-100] sample.subjects is 9" in capsys.readouterr().err
    assert command([*again, "--sample.given", data + "x"]) == 2
    assert "[SYN-220]" in capsys.readouterr().err


def test_one_run_is_drawn_from_under_several_conditions_and_none_of_them_sticks(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = 120
    real = {"plan": [("a", "b")[i % 2] for i in range(rows)], "n": [i % 40 for i in range(rows)]}
    data, out, wanted = (str(tmp_path / n) for n in ("t.csv", "twin.csv", "wanted.csv"))
    pa_csv.write_csv(pa.table(real), data)
    Path(wanted).write_text("plan\nb\nb\na\n")
    words = ["twin", data, "--out", out, "--generator", "independent", "--subjects", "50"]
    assert command(words) == 0
    run = tmp_path / "twin.run"
    kept = {n: (run / n).read_text() for n in ("plan.yaml", "detected.json", "steps/sample.json")}

    def again(*more: str) -> int:
        named = ["--sample.out", str(tmp_path / "again.csv")]
        return command(["sample", "--plan", str(run / "plan.yaml"), *named, *more])

    assert again("--generator.params", '{"min_subjects": 9}') == 2
    assert "[SYN-131]" in capsys.readouterr().err
    assert again("--sample.where", "[plan=c]") == 2
    assert "[SYN-711]" in capsys.readouterr().err
    assert again("--sample.given", wanted, "--sample.subjects", "9") == 2
    assert "[SYN-100]" in capsys.readouterr().err
    assert {n: (run / n).read_text() for n in kept} == kept
    assert len(spark.read.format("delta").load(str(run / "twin")).collect()) == 50
    assert again("--sample.given", wanted) == 0
    assert pa_csv.read_csv(tmp_path / "again.csv")["plan"].to_pylist() == ["b", "b", "a"]
    assert again("--sample.where", "[plan=b]") == 0
    assert pa_csv.read_csv(tmp_path / "again.csv")["plan"].to_pylist() == ["b"] * 50
    assert {n: (run / n).read_text() for n in ("plan.yaml", "detected.json")} == {
        n: kept[n] for n in ("plan.yaml", "detected.json")
    }
    assert command(["evaluate", "--plan", str(run / "plan.yaml")]) == 0
    evaluated = json.loads((run / "report.json").read_text())["evaluation"]
    assert evaluated["sizes"]["train"]["rows"] < rows * 0.6  # those that hold plan=b
