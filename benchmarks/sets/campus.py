"""Hosts that people ask a campus proxy for (Blaise Pascal University, 2013-2014).

A subject is a person with the first six weeks of records. A host that the person asked for within
the last ten minutes is left out, so that what a page pulls in by itself does not drown what the
person does. 80 % of the people are train. A session ends after half an hour without a request;
sessions are cut by the scorer, in real and synthetic records alike. A person's own hosts are known
by rank: h01 is the most asked for; the 11th and later are "other".

Times are compared by Kolmogorov-Smirnov distances (`_ks`) and the hours of the day by total
variation (`_tvd`). `c2st_sequence` is the yardstick's classifier on weeks of persons, at most 1,000
of them and 100 requests of each, with the host's rank as the only column.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from . import Numbers, at_most
from ._distance import SEED, kolmogorov, total_variation
from ._yardstick import judged

FAMILY = "browsing"
GENERATORS = ("autoregressive", "markov")
# Four times as many people as are real: what is compared is the model, not a draw of 120 people.
TWIN = ("--key", "person", "--time", "at", "--subjects", "480")
GOALS = {
    "autoregressive": {
        "session_length_ks": at_most(0.03),
        "gap_ks": at_most(0.03),
        "hour_tvd": at_most(0.05),
        "top_host_ks": at_most(0.08),
        "c2st_sequence": at_most(0.60),
    },
    "markov": {
        "session_length_ks": at_most(0.05),
        "gap_ks": at_most(0.05),
        "hour_tvd": at_most(0.08),
        "top_host_ks": at_most(0.08),
        "c2st_sequence": at_most(0.72),
    },
}
IDLE_S = 1_800.0
AGAIN_S = 600.0
SPAN = pd.Timedelta(weeks=6)
TOP = 10
LEAST, MOST, WEEKS = 5, 100, 1_000  # requests of a week, and weeks, that the classifier sees


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    raw = pd.read_parquet(data / "browsing" / "campus_proxy_150_users.parquet")
    d = raw[["user", "timestamp", "site"]].set_axis(["person", "at", "host"], axis=1)
    d = d.sort_values(["person", "at"], kind="stable")
    d["at"] = d["at"].astype("datetime64[us]")
    since = d.groupby(["person", "host"])["at"].diff().dt.total_seconds()
    begin = d.groupby("person")["at"].transform("min")
    d = d[~(since < AGAIN_S) & (d["at"] - begin < SPAN)]
    people = np.random.default_rng(SEED).permutation(np.sort(d["person"].unique()))
    train = d["person"].isin(people[: int(0.8 * len(people))])
    for part, rows in (("train", train), ("holdout", ~train)):
        d[rows].reset_index(drop=True).to_parquet(out / f"campus_{part}.parquet")


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of time with `gap` (s since the person's last one) and `session`."""
    d = table.sort_values(["person", "at"], kind="stable").reset_index(drop=True)
    d["gap"] = d.groupby("person")["at"].diff().dt.total_seconds()
    d["session"] = (~(d["gap"] < IDLE_S)).cumsum()
    return d


def ranks(d: pd.DataFrame) -> pd.Series:
    """A person's own rank of each row's host: h01 to h10, then other."""
    counts = d.groupby(["person", "host"], sort=False).size()
    rank = counts.groupby(level=0).rank(ascending=False, method="first")
    own = pd.MultiIndex.from_frame(d[["person", "host"]])
    found = rank.reindex(own).to_numpy()
    names = np.array([f"h{k:02d}" for k in range(1, TOP + 1)] + ["other"])
    return pd.Series(names[np.minimum(found.astype(int), TOP + 1) - 1], index=d.index)


def top_shares(d: pd.DataFrame) -> pd.Series:
    """Share of each person's requests that go to the host asked for most."""
    counts = d.groupby(["person", "host"]).size()
    return counts.groupby(level=0).max() / counts.groupby(level=0).sum()


def compare(train: pd.DataFrame, synthetic: pd.DataFrame) -> Numbers:
    """What is compared without a classifier."""
    a, b = ordered(train), ordered(synthetic)
    hours = [d["at"].dt.hour.to_numpy() for d in (a, b)]
    return {
        "session_length_ks": kolmogorov(*(d.groupby("session").size() for d in (a, b))),
        "gap_ks": kolmogorov(*(d["gap"].dropna() for d in (a, b))),
        "hour_tvd": total_variation(hours[0], hours[1], 24),
        "top_host_ks": kolmogorov(top_shares(a), top_shares(b)),
    }


def weeks(table: pd.DataFrame) -> pd.DataFrame:
    """Weeks of persons as the yardstick's sequences: seq_id, ts, host."""
    d = ordered(table)
    year_week = d["at"].dt.strftime("%Gw%V")
    d = d.assign(seq_id=d["person"].astype(str) + "_" + year_week, ts=d["at"], host=ranks(d))
    d = d[d.groupby("seq_id").cumcount() < MOST]
    d = d[d.groupby("seq_id")["ts"].transform("size") >= LEAST]
    ids = np.sort(d["seq_id"].unique())
    kept = np.random.default_rng(SEED).permutation(ids)[:WEEKS]
    return d.loc[d["seq_id"].isin(kept), ["seq_id", "ts", "host"]].reset_index(drop=True)


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The numbers of one synthetic table."""
    tables = [pd.read_parquet(p) for p in (train, holdout, synthetic)]
    numbers = compare(tables[0], tables[2])
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.parquet" for name in ("train", "holdout", "synthetic")]
        for table, path in zip(tables, paths, strict=True):
            weeks(table).to_parquet(path)
        raw = judged(*paths, "--key", "seq_id", "--time", "ts", "--cell", "host", "--no-qa")
    return {**numbers, "c2st_sequence": raw["sequence"]["c2st_sequence_auc"]}
