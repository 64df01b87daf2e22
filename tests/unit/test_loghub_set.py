"""The reference set of log lines: times of many formats, and scores of known tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.sets import loghub


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
