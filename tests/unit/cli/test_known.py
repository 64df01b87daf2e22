"""Known rows and a saved model, from files and DataFrames, without Spark."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import synth_spark
from synth_spark import cli
from synth_spark.config import plan_from
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.frames import rows_of
from synth_spark.known import opened
from synth_spark.pipelines import model_folder
from synth_spark.table_files import write_file
from synth_spark.training.loop import train_local

SCHEMA = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="plan", kind="category"),
        Column(name="churned", kind="category", source_type="boolean"),
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="joined", kind="time", time_format="%d/%m/%Y"),
        Column(name="account", kind="identifier"),
    ),
)


def world(rows: int = 600) -> Records:
    """Plan a never churned; months are 1 to 13, 14 to 26 or 27 to 39; one of 60 days of 2024."""
    rng = np.random.default_rng(4)
    plan = rng.integers(0, 3, rows)
    churned = (plan > 0) & (rng.random(rows) < 0.5)
    days = np.datetime64("2024-01-01", "us") + rng.integers(0, 60, rows) * np.timedelta64(1, "D")
    return Records.flat(
        {
            "plan": Coded.of([("a", "b", "c")[i] for i in plan]),
            "churned": Coded.of([("false", "true")[int(c)] for c in churned]),
            "months": (13.0 * plan + rng.integers(1, 14, rows)),
            "joined": days,
            "account": Coded.of([f"A{i:05d}" for i in range(rows)]),
        }
    )


def saved_to(folder: Path, name: str, **params: Any) -> Path:
    kind = GENERATORS.get(name)
    local = Local(world(), train=train_local)
    model = learn(kind.learn(SCHEMA, kind.Params(**params), 1), local)
    place = folder / "run" / "models" / "twin"
    place.parent.mkdir(parents=True)
    model_folder.save(
        place, model, generator=name, schema=SCHEMA, identifiers={"account": None}, facts={}
    )
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ar")
    return str(saved_to(folder, "autoregressive", max_epochs=3, valid_share=0.0))


@pytest.fixture(scope="module")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    sizes = {"latent": 4, "encoder": 32, "decoder": 16, "head": 16}
    folder = tmp_path_factory.mktemp("vae")
    return str(saved_to(folder, "vae", max_epochs=40, beta=0.05, learning_rate=0.01, **sizes))


HEADER = "plan,churned,months,joined,account\n"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["model", *words, "--json"]) == 2
    said: dict[str, Any] = json.loads(capsys.readouterr().err)
    return said


# ---- score --------------------------------------------------------------------------------------


def test_a_scored_file_has_its_rows_and_their_nats_beside_them(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(
        HEADER + "a,false,7,05/01/2024,X\nN,false,7,05/01/2024,Y\nb,True,20,5/1/2024,\n"
    )
    assert cli.main(["model", "score", run, str(file), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["rows_without_a_chance"]) == (3, 1)
    assert said["least_likely_rows"][0] == 1
    back = pd.read_csv(out, dtype=str)
    assert list(back) == [*HEADER.strip().split(","), "log_probability_nats"]
    assert back["joined"].tolist() == ["05/01/2024", "05/01/2024", "5/1/2024"]
    nats = back["log_probability_nats"].astype(float)
    assert nats[1] == -np.inf
    assert said["mean_nats"] == pytest.approx((nats[0] + nats[2]) / 2)


def test_a_truth_value_is_read_however_it_is_written(run: str) -> None:
    """In CSV True, true, TRUE and 1; in a DataFrame also True and 1.0."""
    saved = synth_spark.load_saved(Path(run) / "models" / "twin")
    row = {"plan": "b", "months": 7, "joined": "05/01/2024"}
    ways: list[Any] = ["True", "true", "TRUE", "1", True, 1, 1.0]
    for way in ways:
        found = synth_spark.records_of(pd.DataFrame([{**row, "churned": way}]), saved)
        assert found.columns["churned"].texts().tolist() == ["true"], way


def test_parquet_types_and_texts_of_csv_give_the_same_nats(run: str, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "plan": pd.Categorical(["b", "c"]),
            "churned": [True, False],
            "months": [20, 39],
            "joined": pd.to_datetime(["2024-01-05", "2024-02-20"]),
        }
    )
    rows.to_parquet(tmp_path / "in.parquet")
    rows.assign(joined=["05/01/2024", "20/02/2024"]).to_csv(tmp_path / "in.csv", index=False)
    found = []
    for name in ("in.parquet", "in.csv"):
        out = tmp_path / f"{name}.out.parquet"
        assert cli.main(["model", "score", run, str(tmp_path / name), "--out", str(out)]) == 0
        found.append(pq.read_table(out).column("log_probability_nats").to_pylist())
    assert found[0] == found[1]
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        ("plan,months,joined\na,7,05/01/2024\n", "SYN-791", {"missing": ["churned"]}),
        (HEADER.replace("plan", "plans") + "a,1,7,05/01/2024,\n", "SYN-791", {"extra": ["plans"]}),
        (HEADER + "a,maybe,7,05/01/2024,\n", "SYN-792", {"columns": ["churned"], "rows": [0]}),
        (HEADER + "a,1,7,05/01/2024,\na,1,x,05/01/2024,\n", "SYN-792", {"rows": [1]}),
        (HEADER + "a,1,7,2024-01-05,\n", "SYN-792", {"columns": ["joined"]}),
        (HEADER + "a,1,1e999,05/01/2024,\n", "SYN-792", {"columns": ["months"], "rows": [0]}),
        (HEADER, "SYN-201", {}),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_column_and_row(
    text: str,
    code: str,
    fact: dict[str, Any],
    run: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "in.csv"
    file.write_text(text)
    said = refused(capsys, "score", run, str(file), "--out", str(tmp_path / "out.csv"))
    assert said["code"] == code
    assert fact.items() <= said["facts"].items()
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_a_column_that_is_no_business_of_the_models_is_dropped_and_stays(
    run: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("note," + HEADER + "hello,a,0,7,05/01/2024,\n")
    words = ["model", "score", run, str(file), "--out", str(out)]
    assert cli.main(words) == 2
    assert cli.main([*words, "--drop", "note"]) == 0
    assert pd.read_csv(out)["note"].tolist() == ["hello"]


# ---- complete -----------------------------------------------------------------------------------


def test_empty_cells_are_filled_and_known_ones_kept_as_they_are_written(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    lines = ["a,False,7,5/1/2024,X", ",True,,,", "c,,,09/01/2024,"]
    file.write_text(HEADER + "\n".join(lines) + "\n")
    words = ["model", "complete", run, str(file), "--out", str(out), "--seed", "3", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["cells_filled"] == 3 + 2 + 2
    back = pd.read_csv(out, dtype=str)
    assert back.loc[0].tolist() == ["a", "False", "7", "5/1/2024", "X"]
    assert back.loc[1, "plan"] in ("b", "c")  # a never churned
    assert back.loc[2, "churned"] in ("True", "False")  # as the file writes them
    assert back.loc[[1, 2], "months"].astype(int).between(1, 40).all()
    assert back["account"].notna().all()
    day = pd.to_datetime(back.loc[1, "joined"], format="%d/%m/%Y")
    assert pd.Timestamp("2024-01-01") <= day <= pd.Timestamp("2024-02-29")
    first = out.read_bytes()
    assert cli.main(words) == 2  # it is there
    assert json.loads(capsys.readouterr().err)["code"] == "SYN-135"
    assert cli.main([*words, "--overwrite"]) == 0
    assert out.read_bytes() == first


def test_columns_that_a_table_lacks_are_drawn_beside_it(run: str, tmp_path: Path) -> None:
    rows = pd.DataFrame({"months": [20, 39, None], "churned": [True, True, None]})
    file, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    rows.to_parquet(file)
    assert cli.main(["model", "complete", run, str(file), "--out", str(out)]) == 0
    back = pq.read_table(out)
    assert back.column_names == ["months", "churned", "plan", "joined", "account"]
    assert back.column("months").to_pylist()[:2] == [20, 39]
    assert set(back.column("plan").to_pylist()[:2]) <= {"b", "c"}
    assert not any(back.column(n).null_count for n in back.column_names)
    assert str(back.schema.field("churned").type) == "bool"


def test_a_dropped_column_of_the_model_stays_as_it_is(run: str, tmp_path: Path) -> None:
    rows = pd.DataFrame({"months": [20, None], "plan": ["x", None]})
    file, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    rows.to_parquet(file)
    words = ["model", "complete", run, str(file), "--out", str(out), "--drop", "plan"]
    assert cli.main(words) == 0
    back = pq.read_table(out)
    assert back.column_names.count("plan") == 1
    assert back.column("plan").to_pylist() == ["x", None]
    assert back.column("months").null_count == 0


def test_a_cell_that_can_never_be_is_refused_with_its_row(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.csv"
    file.write_text(HEADER + "a,,,,\nN,,,,\n")
    said = refused(capsys, "complete", run, str(file), "--out", str(tmp_path / "out.csv"))
    assert (said["code"], said["facts"]["rows"]) == ("SYN-711", [1])
    assert "plan=N" in said["message"]


def test_no_id_is_filled_that_another_row_has(tmp_path: Path) -> None:
    """What would be drawn for the last rows stands in the first one: they get the first one's."""
    folder = str(saved_to(tmp_path, "independent"))
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    words = ["model", "complete", folder, str(file), "--out", str(out), "--overwrite"]
    row = "a,false,3,05/01/2024,"
    file.write_text(HEADER + f"{row}\n" * 4)
    assert cli.main(words) == 0
    drawn = pd.read_csv(out, dtype=str)["account"].tolist()
    file.write_text(HEADER + f"{row}{drawn[2]}\n{row}{drawn[3]}\n{row}\n{row}\n")
    assert cli.main(words) == 0
    back = pd.read_csv(out, dtype=str)["account"].tolist()
    assert back[:2] == drawn[2:]
    assert sorted(back[2:]) == sorted(drawn[:2])


def test_serial_numbers_and_keys_are_filled_once_each(tmp_path: Path) -> None:
    schema = Schema(
        family="table",
        shape="flat",
        key=Column(name="person", kind="identifier"),
        columns=(
            Column(name="ticket", kind="number", source_type="bigint", unique=True),
            Column(name="plan", kind="category"),
        ),
    )
    rng = np.random.default_rng(4)
    known = Records.flat(
        {
            "person": Coded.of([f"P{i:05d}" for i in range(600)]),
            "ticket": 5000 + np.arange(600.0),
            "plan": Coded.of([("a", "b")[i] for i in rng.integers(0, 2, 600)]),
        }
    )
    kind = GENERATORS.get("independent")
    model = learn(kind.learn(schema, kind.Params(), 1), Local(known, train=train_local))
    (tmp_path / "models").mkdir()
    place, facts = tmp_path / "models" / "twin", dict[str, Any]()
    model_folder.save(
        place, model, generator="independent", schema=schema, identifiers=facts, facts={}
    )
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    words = ["model", "complete", str(tmp_path), str(file), "--out", str(out), "--overwrite"]
    file.write_text("person,ticket,plan\n" + ",,a\n" * 4)
    assert cli.main(words) == 0
    drawn = pd.read_csv(out, dtype=str)
    mixed = [f"{drawn['person'][2]},,a", f"{drawn['person'][3]},{drawn['ticket'][2]},a"]
    file.write_text("\n".join(["person,ticket,plan", *mixed, ",,b", ",,b"]) + "\n")
    assert cli.main(words) == 0
    back = pd.read_csv(out, dtype=str)
    for name in ("person", "ticket"):
        assert back[name].notna().all()
        assert back[name].is_unique, name
    assert back["person"].tolist()[:2] == drawn["person"].tolist()[2:]
    assert back["ticket"][1] == drawn["ticket"][2]


# ---- interpolate --------------------------------------------------------------------------------


def test_a_way_leads_from_each_row_to_the_next_and_says_where_it_is(
    vae_run: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    ends = ["a,false,2,05/01/2024,X", "c,true,39,25/02/2024,Y"]
    file.write_text(HEADER + "\n".join([*ends, *ends[::-1]]) + "\n")
    words = ["model", "interpolate", vae_run, str(file), "--steps", "5", "--out", str(out)]
    assert cli.main(words) == 0
    back = pd.read_csv(out)
    assert list(back) == ["_pair", "_step", "_weight", *HEADER.strip().split(",")]
    assert back["_pair"].tolist() == [0] * 5 + [1] * 5
    assert back["_step"].tolist() == [0, 1, 2, 3, 4] * 2
    assert back["_weight"].tolist() == [0, 0.25, 0.5, 0.75, 1] * 2
    assert back["plan"][[0, 4, 5, 9]].tolist() == ["a", "c", "c", "a"]
    assert back["months"][0] <= 13  # like the rows that they are of
    assert back["months"][4] > 26
    assert back["account"].is_unique
    file.write_text(HEADER + ends[0] + "\n")
    assert cli.main([*words, "--overwrite"]) == 2


def test_independent_columns_fill_gaps_too(tmp_path: Path) -> None:
    folder = saved_to(tmp_path, "independent")
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(HEADER + "a,,7,,\n,true,,,\n")
    assert cli.main(["model", "complete", str(folder), str(file), "--out", str(out)]) == 0
    back = pd.read_csv(out, dtype=str)
    assert back.notna().all(axis=None)
    assert (back["plan"][0], back["months"][0], back["churned"][1]) == ("a", "7", "true")


def test_columns_have_the_names_and_the_zone_of_the_runs_plan(run: str, tmp_path: Path) -> None:
    """23:30 UTC on the 4th is the 5th in Berlin."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    columns = {c.name: c for c in SCHEMA.columns}
    zoned = {"path": "x.csv", "time_zone": "Europe/Berlin"}
    plan = plan_from({"source": zoned, "generator": {"name": "autoregressive"}})
    plan = plan.with_schema(SCHEMA, {**{n: n for n in columns}, "plan": "Tariff"})
    (folder / "plan.yaml").write_text(plan.to_yaml())
    model = opened(folder)
    assert model.zone == "Europe/Berlin"
    when = pd.Timestamp("2024-01-04 23:30", tz="UTC")
    rows = {"Tariff": ["a"], "churned": [False], "months": [7], "joined": [when]}
    found = rows_of(pd.DataFrame(rows), model.saved, names=model.names, zone=model.zone)
    assert found.names["plan"] == "Tariff"
    assert found.records.columns["joined"][0] == np.datetime64("2024-01-05T00:30")


# ---- what is written ----------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_found_before_all_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the model is looked for, here; the message names the file that was asked for."""
    for verb, more in (("score", []), ("complete", []), ("interpolate", ["--steps", "3"])):
        out = str(tmp_path / "none" / "out.csv")
        said = refused(capsys, verb, str(tmp_path), "in.csv", "--out", out, *more)
        assert (said["code"], said["facts"]["path"]) == ("SYN-812", out)
        assert out in said["message"]


@pytest.mark.parametrize("masked", [0o077, 0o002])
def test_a_written_file_is_open_to_whom_the_users_files_are(masked: int, tmp_path: Path) -> None:
    before = os.umask(masked)
    try:
        write_file(pa.table({"a": [1]}), tmp_path / "out.csv")
        assert os.umask(masked) == masked  # stays as it was
    finally:
        os.umask(before)
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o666 & ~masked


# ---- what is not offered ------------------------------------------------------------------------


def test_a_generator_that_does_not_names_those_that_do(
    run: str, vae_run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.csv"
    file.write_text(HEADER + "a,0,7,05/01/2024,\n")
    out = ["--out", str(tmp_path / "out.csv")]
    asked = {
        "score": (vae_run, ["autoregressive"]),
        "complete": (vae_run, ["autoregressive", "independent"]),
        "interpolate": (run, ["vae"]),
    }
    for verb, (folder, able) in asked.items():
        more = ["--steps", "3"] if verb == "interpolate" else []
        said = refused(capsys, verb, folder, str(file), *out, *more)
        assert (said["code"], said["facts"]["generators"]) == ("SYN-793", able)


def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "score", str(tmp_path), "x.csv")["code"] == "SYN-702"
    assert refused(capsys, "score", str(tmp_path / "no"), "x.csv")["code"] == "SYN-812"


# ---- in Python ----------------------------------------------------------------------------------


def test_the_steps_of_the_how_to_page_run(run: str) -> None:
    """docs/how-to-conditions.md, Known rows in Python."""
    saved = synth_spark.load_saved(f"{run}/models/twin")
    frame = pd.DataFrame({"plan": ["b", "a"], "churned": [True, None], "months": [20, None]})
    known = synth_spark.records_of(frame, saved, partial=True)
    filled = saved.model.completed(known, seed=1)
    nats = saved.model.log_probability(filled)
    back = synth_spark.frame_of(filled, saved)
    assert np.isfinite(nats).all()
    assert back["plan"].tolist() == ["b", "a"]
    assert back["churned"].tolist() == [True, False]
    assert back["months"][0] == 20
    again = synth_spark.records_of(back, saved)
    for name, values in again.columns.items():
        old = filled.columns[name]
        both = [v.texts() if isinstance(v, Coded) else v for v in (values, old)]
        np.testing.assert_array_equal(*both)
