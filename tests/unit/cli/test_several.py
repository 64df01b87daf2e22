"""Several tables by one command: in order, each in its folder, and all that became of them."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from synth_spark import app, cli
from synth_spark.config import Plan, plan_from
from synth_spark.errors import TooFewSubjectsError
from synth_spark.pipelines.folder import RunFolder
from synth_spark.places import SamePlaceError, check_apart

NAMES = ("people", "calls", "cells")
WRITES = """
import sys
from synth_spark import app, cli
app.run = lambda *_, **__: print("ran", flush=True) or 0
sys.exit(cli.main(["run", "--plan", sys.argv[1], "--table", "calls"]))
"""  # carries out calls, and says so before it writes the summary


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "plan.yaml"
    tables = "".join(f"  {n}: {{source: {{path: {tmp_path}/in/{n}.csv}}}}\n" for n in NAMES)
    (tmp_path / "in").mkdir()
    for name in NAMES:
        (tmp_path / "in" / f"{name}.csv").write_text("a\n1\n")
    path.write_text(
        f"name: shop\ngenerator: {{name: independent}}\nrun: {{folder: {tmp_path}/run}}\n"
        f"tables:\n{tables}"
    )
    return str(path)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that were carried out: calls misses a gate, each leaves a finished step."""
    plans: list[Plan] = []

    def run(plan: Plan, steps: Any, *, dry_run: bool = False) -> int:
        plans.append(plan)
        if not dry_run:
            folder = RunFolder(plan.folder)
            folder.open(plan.to_yaml())
            folder.complete("sample", "f", 1.0, {"twin": {"rows": 5, "subjects": 2}})
        return 3 if plan.name == "shop.calls" else 0

    monkeypatch.setattr(app, "run", run)
    return plans


def summary(folder: Path) -> dict[str, dict[str, Any]]:
    listed = json.loads((folder / "run" / "tables.json").read_text())["tables"]
    return {entry["table"]: entry for entry in listed}


def test_tables_run_in_order_and_a_missed_gate_stops_none(
    file: str, ran: list[Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--plan", file]) == 3
    assert [p.name for p in ran] == ["shop.people", "shop.calls", "shop.cells"]
    found = summary(tmp_path)
    assert [(e["state"], e["exit_code"]) for e in found.values()] == [
        ("done", 0), ("gate not passed", 3), ("done", 0),
    ]  # fmt: skip
    assert found["calls"]["run_folder"] == str(tmp_path / "run" / "calls")
    assert (found["calls"]["rows"], found["calls"]["generator"]) == (5, "independent")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "table 1/3 people: ingest, fit, sample, evaluate"


def test_one_table_alone_leaves_what_is_known_of_the_others(
    file: str, ran: list[Plan], tmp_path: Path
) -> None:
    assert cli.main(["run", "--plan", file, "--table", "people"]) == 0
    assert [*summary(tmp_path)] == ["people"]
    assert cli.main(["run", "--plan", file, "--table", "calls"]) == 3
    assert [e["state"] for e in summary(tmp_path).values()] == ["done", "gate not passed"]


def test_what_another_run_wrote_of_its_tables_meanwhile_stays(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """people is at work, alone or with the rest, while calls is carried out by another command."""

    def run(plan: Plan, steps: Any, *, dry_run: bool) -> int:
        RunFolder(plan.folder).open(plan.to_yaml())
        if plan.name == "shop.people":
            assert cli.main(["run", "--plan", file, "--table", "calls"]) == 0
            raise TooFewSubjectsError("There is one.", subjects=1)
        return 0

    monkeypatch.setattr(app, "run", run)
    assert cli.main(["run", "--plan", file, "--table", "people"]) == 2
    assert [(n, e["state"]) for n, e in summary(tmp_path).items()] == [
        ("people", "refused"), ("calls", "done"),
    ]  # fmt: skip
    (tmp_path / "run" / "tables.json").unlink()
    assert cli.main(["run", "--plan", file]) == 2
    assert [e["state"] for e in summary(tmp_path).values()] == ["refused", "done", "not begun"]
    assert cli.main(["run", "--plan", file, "--table", "cells"]) == 0
    assert [e["state"] for e in summary(tmp_path).values()] == ["refused", "done", "done"]


def test_the_summary_is_written_by_one_run_at_a_time(
    file: str, ran: list[Plan], tmp_path: Path
) -> None:
    cli.main(["run", "--plan", file, "--table", "people"])
    command = [sys.executable, "-c", WRITES, file]
    with (tmp_path / "run" / ".tables.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "ran\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        listed = json.loads((tmp_path / "run" / "tables.json").read_text())
        listed["tables"].append({"table": "cells", "state": "done"})
        (tmp_path / "run" / "tables.json").write_text(json.dumps(listed))
    assert other.wait(30) == 0
    other.stdout.close()
    assert [*summary(tmp_path)] == [*NAMES]


@pytest.mark.parametrize("text", ["{", "[]", '{"tables": [1]}', '{"tables": [{}]}', '{"a": 1}'])
def test_a_summary_that_is_none_of_ours_is_refused_before_anything_starts(
    file: str, ran: list[Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tables.json").write_text(text)
    assert cli.main(["run", "--plan", file]) == 2
    said = capsys.readouterr().err
    assert "[SYN-130]" in said
    assert "tables.json" in said
    assert ran == []
    assert (tmp_path / "run" / "tables.json").read_text() == text


def test_with_json_the_summary_is_one_object_on_standard_output(
    file: str, ran: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--plan", file, "--json"]) == 3
    said = capsys.readouterr()
    assert [e["table"] for e in json.loads(said.out)["tables"]] == list(NAMES)
    assert said.err == ""


def test_a_table_that_is_refused_ends_the_run_and_is_named(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def run(plan: Plan, steps: Any, *, dry_run: bool) -> int:
        RunFolder(plan.folder).open(plan.to_yaml())
        if plan.name == "shop.calls":
            raise TooFewSubjectsError("There is one.", subjects=1)
        return 0

    monkeypatch.setattr(app, "run", run)
    assert cli.main(["run", "--plan", file, "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.err)
    assert (error["code"], error["message"]) == ("SYN-202", "Table calls: There is one.")
    assert error["facts"] == {"subjects": 1, "table": "calls"}
    found = summary(tmp_path)
    assert [e["state"] for e in found.values()] == ["done", "refused", "not begun"]
    assert found["calls"]["error"] == "[SYN-202] Table calls: There is one."


def test_every_table_is_checked_before_the_first_is_begun(
    file: str, ran: list[Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--plan", file, "--tables.cells.source.path", "''"]) == 2
    assert "[SYN-106] Table cells: " in capsys.readouterr().err
    assert ran == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("verb", ["run", "ingest"])
def test_a_source_that_is_not_there_is_found_before_the_first_table_is_begun(
    file: str, ran: list[Plan], tmp_path: Path, capsys: Any, verb: str, more: tuple[str, ...]
) -> None:
    (tmp_path / "in" / "cells.csv").unlink()
    assert cli.main([verb, "--plan", file, *more]) == 2
    assert "[SYN-220] Table cells: There is nothing at " in capsys.readouterr().err
    assert ran == []
    assert not (tmp_path / "run").exists()
    assert cli.main([verb, "--plan", file, "--table", "people", *more]) == 0


def test_a_source_that_is_not_read_again_need_not_be_there(
    file: str, ran: list[Plan], tmp_path: Path
) -> None:
    for name in NAMES:
        folder = RunFolder(tmp_path / "run" / name)
        folder.open("")
        folder.complete("ingest", "f", 1.0, {})
    (tmp_path / "in" / "cells.csv").unlink()
    assert cli.main(["run", "--plan", file, "--resume", "if-possible"]) == 3
    elsewhere = ["--tables.cells.source.path", "s3a://bucket/cells"]
    made = ["--tables.people.source.path", "world:cdr"]
    assert cli.main(["run", "--plan", file, *elsewhere, *made]) == 3
    assert len(ran) == 2 * len(NAMES)


def test_a_dry_run_of_several_tables_writes_nothing(
    file: str, ran: list[Plan], tmp_path: Path
) -> None:
    assert cli.main(["run", "--plan", file, "--dry-run"]) == 0
    assert len(ran) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "plan.yaml"]


def test_always_to_resume_lets_tables_begin_where_another_was_begun(
    file: str, ran: list[Plan]
) -> None:
    cli.main(["run", "--plan", file, "--table", "people"])
    ran.clear()
    cli.main(["run", "--plan", file, "--resume", "always"])
    assert [p.run.resume for p in ran] == ["always", "if-possible", "if-possible"]


def test_plan_check_shows_each_table(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "check", "--plan", file, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["tables"]
    assert [shown[n]["plan"]["name"] for n in NAMES] == [f"shop.{n}" for n in NAMES]
    assert cli.main(["plan", "check", "--plan", file, "--table", "cells"]) == 0
    assert "name: shop.cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sample.out": "t.csv"}, {"sample.out": "t.csv"}),
        ({"sample.out": "t"}, {"sample.out": "t/x.csv"}),
        ({"sample.out": "t.csv"}, {"source.path": "t.csv"}),
        ({"sample.out": "r/b/x.csv"}, {}),
        ({}, {"source.path": "r/a/twin"}),
        ({"sample.out": "w.csv"}, {"sample.given": "w.csv"}),
    ],
)
def test_places_of_two_tables_that_meet_are_refused(
    one: Mapping[str, str], other: Mapping[str, str]
) -> None:
    base = {"generator": {"name": "independent"}}
    plans = {
        name: plan_from(base, {"run.folder": f"r/{name}", "source.path": f"{name}.csv", **more})
        for name, more in (("a", one), ("b", other))
    }
    with pytest.raises(SamePlaceError) as caught:
        check_apart(plans)
    assert sorted(caught.value.facts["tables"]) == ["a", "b"]  # type: ignore[call-overload]


def test_tables_may_share_a_source_and_a_made_world() -> None:
    base = {"generator": {"name": "independent"}, "source": {"path": "world:cdr"}}
    check_apart({n: plan_from(base, {"run.folder": f"r/{n}"}) for n in ("a", "b")})
    same = {"source.path": "x.csv", "sample.given": "w.csv"}
    check_apart({n: plan_from(base, {"run.folder": f"r/{n}", **same}) for n in ("a", "b")})
