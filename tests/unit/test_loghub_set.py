"""The reference set of log lines: times of many formats, and scores of known tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.sets import loghub
from synth_spark.columns._texts import texts
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators.markov import GENERATOR, MarkovParams
from synth_spark.pipelines.model_folder import save


def raw(system: str, **columns: list[str]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    plain = {"LineId": np.arange(rows), "Level": "INFO", "Component": "c", "Content": "up"}
    return pd.DataFrame({"system": system, **plain, **columns})


@pytest.mark.parametrize(
    ("system", "columns", "expected"),
    [
        ("HDFS", {"Date": ["081109"], "Time": ["203615"]}, "2008-11-09T20:36:15"),
        ("HPC", {"Time": ["1077804742"]}, "2004-02-26T14:12:22"),
        ("Mac", {"Month": ["Jul"], "Date": ["1"], "Time": ["09:00:55"]}, "2015-07-01T09:00:55"),
        ("Apache", {"Time": ["Sun Dec 04 04:47:44 2005"]}, "2005-12-04T04:47:44"),
    ],
)
def test_times_are_read_in_each_systems_format(
    system: str, columns: dict[str, list[str]], expected: str
) -> None:
    made = loghub._system(system, raw(system, **columns))
    assert made["at"].iloc[0] == pd.Timestamp(expected)


def test_a_date_that_jumps_back_begins_a_new_year() -> None:
    made = loghub._system("Proxifier", raw("Proxifier", Time=["10.30 16:49:06", "07.26 13:31:09"]))
    assert made["at"].tolist() == [
        pd.Timestamp("2015-10-30T16:49:06"),
        pd.Timestamp("2016-07-26T13:31:09"),
    ]


def table(words: list[str], sequences: int = 6) -> pd.DataFrame:
    lines = [w.replace("#", str(100_000 + s)) for s in range(sequences) for w in words]
    rows = len(lines)
    return pd.DataFrame(
        {
            "sequence": [f"HDFS-{i // len(words)}" for i in range(rows)],
            "system": "HDFS",
            "at": pd.date_range("2024-01-01", periods=rows, freq="s"),
            "level": "INFO",
            "component": "c",
            "line": lines,
        }
    )


def test_a_table_against_itself_is_at_the_best_and_a_turned_one_is_not(tmp_path: Path) -> None:
    paths = {}
    for name, words in (
        ("real", ["open #", "read #", "shut"]),
        ("turned", ["shut", "read 5", "x y"]),
    ):
        paths[name] = tmp_path / f"{name}.parquet"
        table(words).to_parquet(paths[name])
    same = loghub.score(paths["real"], paths["real"], paths["real"])
    assert (same["parsed_share"], same["template_tvd"], same["template_bigram_tvd"]) == (1, 0, 0)
    assert same["real_ids_share"] == 1.0
    other = loghub.score(paths["real"], paths["real"], paths["turned"])
    assert other["parsed_share"] == pytest.approx(2 / 3)  # "x y" is no template of train
    assert other["template_tvd"] == pytest.approx(1 / 3)  # a half each against a third each
    assert other["template_bigram_tvd"] == 1.0
    assert other["real_ids_share"] == 0.0


SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="sequence", kind="identifier"),
    time="at",
    columns=(
        Column(name="system", kind="category", per="subject"),
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="level", kind="category"),
        Column(name="component", kind="category"),
        Column(name="line", kind="text"),
    ),
)


def two_systems() -> pd.DataFrame:
    """HDFS at all hours, with one error a sequence; Mac without any, and words of its own."""
    hdfs = table(["open #", "read #", "shut", "failed #"], sequences=24)
    hdfs["level"] = np.where(hdfs["line"].str.startswith("failed"), "error", "INFO")
    hdfs["at"] = pd.date_range("2024-01-01", periods=len(hdfs), freq="37min")
    mac = table(["woke up # times", "slept"], sequences=24)
    mac = mac.assign(system="Mac", sequence=mac["sequence"].str.replace("HDFS", "Mac"))
    return pd.concat([hdfs, mac.assign(level="WARN")], ignore_index=True)


def run_beside(folder: Path, frame: pd.DataFrame) -> Path:
    """The path of a twin that a run with a model would have drawn; the twin is not written."""
    offsets = np.concatenate([[0], np.cumsum(frame.groupby("sequence", sort=False).size())])
    columns = {c: Coded.of(frame[c].tolist()) for c in ("system", "level", "component", "line")}
    at = frame["at"].to_numpy().astype("datetime64[us]")
    engine = Local(Records({**columns, "at": at}, offsets.astype(np.int64)))
    lines = learn(texts(SCHEMA, min_subjects=5, relates=True), engine)
    model = learn(GENERATOR.learn(lines.rest(SCHEMA), MarkovParams(leaf=5, trees=3), 1), engine)
    save(
        folder / "run" / "models" / "twin", model, generator="markov", schema=SCHEMA,
        identifiers={}, facts={}, texts=lines,
    )  # fmt: skip
    return folder / "run.parquet"


def test_lines_are_read_by_the_runs_templates_and_prompts_drawn_from_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loghub, "PROMPTS", ("level=error", "level=WARN", "hour=18..20"))
    real, frame = tmp_path / "real.parquet", two_systems()
    frame.to_parquet(real)
    synthetic = run_beside(tmp_path, frame)
    frame.to_parquet(synthetic)
    found = loghub.score(real, real, synthetic)
    assert (found["parsed_share"], found["prompts_obeyed"]) == (1, 1)
    saved = loghub._saved(synthetic)
    assert saved is not None
    assert loghub._known(frame, saved)("open 7")
    assert not loghub._known(frame, saved)("open it")
    four = frame[frame["system"] == "HDFS"].head(16)  # sequences: too few
    assert not loghub._known(four, saved)("open 7")
    monkeypatch.setattr(loghub.ModelDrawer, "conditioned", lambda self, condition: self)
    assert loghub._obeyed(saved, ["level=error"]) < 0.5  # a model that does not listen
    assert loghub._saved(real) is None
