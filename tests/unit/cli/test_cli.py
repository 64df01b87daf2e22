from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark import cli
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import PlanError
from synth_spark.pipelines.model_folder import save

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text("generator: {name: independent}\nsource: {path: x.csv}\n")
    return str(path)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the commands hand to the application; each answers 0."""
    from synth_spark import app

    made: list[tuple[Any, ...]] = []

    def note(*args: Any, **named: Any) -> int:
        made.append((*args, named))
        return 0

    for name in ("run", "twin", "detect"):
        monkeypatch.setattr(app, name, note)
    return made


def test_help_answers_within_a_few_seconds_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from synth_spark.cli import main; code = main(['--help']);"
        "heavy = {'pyspark', 'torch', 'horovod', 'pandas', 'pyarrow', 'numba'} & set(sys.modules);"
        "sys.exit(code or len(heavy))"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "twin" in done.stdout
    assert time.perf_counter() - begun < 10  # under 1 s on a free machine


def test_a_refused_plan_is_one_line_on_stderr_and_status_2(
    plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--plan", plan, "--fit.ranxs", "2"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("[SYN-102] fit.ranxs is not a setting (nearest: fit.ranks).")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_with_json_a_refusal_is_one_object(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--plan", plan, "--json", "--seed", "-1"]) == 2
    said = json.loads(capsys.readouterr().err)
    assert said["code"] == "SYN-100"
    assert said["facts"] == {"paths": ["seed"]}


@pytest.mark.parametrize("verb", ["run", "ingest", "fit", "sample", "evaluate"])
def test_a_verb_hands_over_its_steps_and_the_changed_plan(
    verb: str, plan: str, calls: list[tuple[Any, ...]]
) -> None:
    assert cli.main([verb, "--plan", plan, "--resume", "always", "--sample.subjects", "5"]) == 0
    [(read, steps, named)] = calls
    assert steps == (("ingest", "fit", "sample", "evaluate") if verb == "run" else (verb,))
    assert (read.sample.subjects, read.run.resume, named) == (5, "always", {"dry_run": False})


def test_scoring_a_runs_own_plan_scores_what_was_drawn_last(
    tmp_path: Path, calls: list[tuple[Any, ...]]
) -> None:
    text = f"generator: {{name: independent}}\nrun: {{folder: {tmp_path / 'r'}}}\n"
    for name in ("r", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.yaml").write_text(text)
    drawn = text + "sample: {subjects: 5, where: [a=x]}\n"
    (tmp_path / "r" / "sample-plan.yaml").write_text(drawn)
    for verb, folder in (("evaluate", "r"), ("sample", "r"), ("evaluate", "mine")):
        assert cli.main([verb, "--plan", str(tmp_path / folder / "plan.yaml")]) == 0
    more = ["--sample.where", "[]"]
    assert cli.main(["evaluate", "--plan", str(tmp_path / "r" / "plan.yaml"), *more]) == 0
    asked = [(made[0].sample.subjects, made[0].sample.where) for made in calls]
    assert asked == [(5, ("a=x",)), (None, ()), (None, ()), (5, ())]


def test_the_status_of_the_application_is_the_status_of_the_command(
    plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth_spark import app

    monkeypatch.setattr(app, "run", lambda *_args, **_named: 3)
    assert cli.main(["run", "--plan", plan]) == 3


def test_twin_hands_over_all_that_was_said(tmp_path: Path, calls: list[tuple[Any, ...]]) -> None:
    data = tmp_path / "d.csv"
    data.write_text("a\n1\n")
    words = ["twin", str(data), "--out", "t.csv", "--key", "k", "--time", "t", "--seed", "4"]
    words += ["--generator", "independent", "--subjects", "9", "--run-folder", "r", "--overwrite"]
    words += ["--drop", "a b", "--drop", "c", "--resume", "if-possible", "--where", "a=1"]
    words += ["--given", str(data)]
    assert cli.main(words) == 0
    assert calls == [
        (
            str(data),
            "t.csv",
            {
                "key": "k",
                "time": "t",
                "drop": ("a b", "c"),
                "generator": "independent",
                "subjects": 9,
                "where": ("a=1",),
                "given": str(data),
                "seed": 4,
                "run_folder": "r",
                "overwrite": True,
                "resume": "if-possible",
                "quiet": False,
            },
        )
    ]


def test_an_address_keeps_both_its_slashes(calls: list[tuple[Any, ...]]) -> None:
    assert cli.main(["twin", "s3a://bucket/calls", "--out", "hdfs://lake/twin"]) == 0
    assert cli.main(["detect", "abfss://c@account/calls"]) == 0
    assert [made[0] for made in calls] == ["s3a://bucket/calls", "abfss://c@account/calls"]
    assert calls[0][1] == "hdfs://lake/twin"


def test_a_way_to_resume_that_is_none_is_refused(
    tmp_path: Path, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["twin", str(tmp_path), "--out", "x", "--resume", "maybe"]) == 2
    assert "never, always, if-possible" in capsys.readouterr().err
    assert calls == []


def test_twin_refuses_a_missing_file_and_an_unknown_generator_before_anything_starts(
    tmp_path: Path, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["twin", str(tmp_path / "none"), "--out", "x"]) == 2
    assert cli.main(["twin", str(tmp_path), "--out", "x", "--generator", "markow"]) == 2
    assert calls == []
    lines = capsys.readouterr().err.splitlines()
    assert [line[:9] for line in lines] == ["[SYN-812]", "[SYN-101]"]
    assert "did you mean 'markov'?" in lines[1]


def test_a_wrong_option_is_status_2() -> None:
    assert cli.main(["twin"]) == 2
    assert cli.main(["no-such-verb"]) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "SYN-810"), (errno.EACCES, "SYN-811"), (errno.EROFS, "SYN-811")],
)
def test_what_the_disk_refuses_has_a_number(
    number: int, code: str, plan: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from synth_spark import app

    def fail(*_args: Any, **_named: Any) -> int:
        raise OSError(number, os.strerror(number), "/data/x")

    monkeypatch.setattr(app, "run", fail)
    assert cli.main(["run", "--plan", plan]) == 2
    assert capsys.readouterr().err.startswith(f"[{code}]")


def test_a_bug_keeps_its_traceback(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_spark import app

    def fail(*_args: Any, **_named: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "run", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", "--plan", plan])


def test_plan_check_prints_a_plan_that_reads_back(plan: str, capsys: Any, tmp_path: Path) -> None:
    from synth_spark.config import read_plan

    assert cli.main(["plan", "check", "--plan", plan, "--seed", "9"]) == 0
    again = tmp_path / "again.yaml"
    again.write_text(capsys.readouterr().out)
    assert read_plan(again) == read_plan(Path(plan), {"seed": 9})


def test_lists_name_every_plug_in(capsys: pytest.CaptureFixture[str]) -> None:
    from synth_spark.core.shelf import FAMILIES, GENERATORS

    assert cli.main(["generators", "list"]) == 0
    assert cli.main(["records", "list"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name}: " in f"\n{out}" for name in (*GENERATORS.names(), *FAMILIES.names()))


def test_errors_raised_by_ours_keep_their_facts_in_json(capsys: Any) -> None:
    assert cli._refuse(PlanError("No.", hint="yes", n=3), as_json=True) == 2
    said = json.loads(capsys.readouterr().err)
    assert said == {"code": "SYN-100", "message": "No.", "hint": "yes", "facts": {"n": 3}}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["twin"], "Missing argument"),
        (["twin", "x", "--out", "y", "--frob", "1"], "--frob"),
        (["twin", "x", "--out", "y", "--subjects", "0"], "--subjects"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_wrong_command_line_is_one_numbered_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("[SYN-107] ")
    assert said in err
    assert err.count("\n") == 1


def walked(tmp_path: Path, name: str) -> Path:
    """A run folder with a model of sixty weeks of get, post, rest, get, ..., ten minutes apart."""
    each, weeks = 9, 60
    t = np.tile(np.arange(each) * 600 + 8 * 3_600, weeks) + np.repeat(np.arange(weeks) % 5, each)
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype("timedelta64[s]"),
        "kind": Coded(
            np.tile(np.arange(each) % 3, weeks).astype(np.int32), ("get", "post", "rest")
        ),
    }
    schema = Schema(
        family="events", shape="events", key=Column(name="who", kind="identifier"), time="at",
        columns=(
            Column(name="at", kind="time", source_type="timestamp_ntz"),
            Column(name="kind", kind="category"),
        ),
    )  # fmt: skip
    kind = GENERATORS.get(name)
    records = Records(columns, np.arange(weeks + 1, dtype=np.int64) * each)
    model = learn(kind.learn(schema, kind.Params(), 1), Local(records))
    folder = tmp_path / "models" / "twin"
    save(folder, model, generator=name, schema=schema, identifiers={}, facts={})
    return folder


@pytest.mark.parametrize("whole_run", [True, False])
def test_model_show_prints_the_transitions_of_a_markov_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], whole_run: bool
) -> None:
    folder = walked(tmp_path, "markov")
    assert cli.main(["model", "show", str(tmp_path if whole_run else folder)]) == 0
    out = capsys.readouterr().out
    assert f"{folder} (markov)" in out
    rows = [[c.strip() for c in v.strip("|").split("|")] for v in out.splitlines() if v[:1] == "|"]
    told = {r[0]: (r[1], r[3], r[5]) for r in rows[2:]}
    # of the 8 events that another follows 3 are get, 3 post and 2 rest, which ends the week
    assert told == {
        "get": ("37.5%", "0.0%", "post 100%"),
        "post": ("37.5%", "0.0%", "rest 100%"),
        "rest": ("25.0%", "0.0%", "get 100%"),
    }
    assert rows[0][0] == "kind left"
    assert all(r[4].startswith("10.") and "min" in r[4] for r in rows[2:])  # by bins of gaps


def test_model_show_prints_the_facts_of_a_model_without_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = walked(tmp_path, "independent")
    assert cli.main(["model", "show", str(folder)]) == 0
    head, _, facts = capsys.readouterr().out.partition("\n\n")
    assert head == f"{folder} (independent)"
    assert isinstance(json.loads(facts), dict)


def test_ctrl_c_says_how_to_go_on(
    plan: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from synth_spark import app

    def interrupted(*args: Any, **named: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "run", interrupted)
    assert cli.main(["run", "--plan", plan]) == 130
    assert "--resume" in capsys.readouterr().err


def test_model_show_prints_the_twins_model_before_the_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from synth_spark.core.batch import Records
    from synth_spark.core.local import Local
    from synth_spark.core.ports import learn
    from synth_spark.core.schema import Column, Schema
    from synth_spark.generators.independent import GENERATOR
    from synth_spark.pipelines.model_folder import save

    column = Column(name="x", kind="number", source_type="double")
    schema = Schema(family="table", shape="flat", columns=(column,))
    records = Records.flat({"x": np.arange(100.0)})
    model = learn(GENERATOR.learn(schema, GENERATOR.Params(), 0), Local(records))
    for role in ("baseline", "twin"):
        save(
            tmp_path / "models" / role, model, generator="independent", schema=schema,
            identifiers={}, facts={},
        )  # fmt: skip
    assert cli.main(["model", "show", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert 0 <= shown.index("models/twin (") < shown.index("models/baseline (")
