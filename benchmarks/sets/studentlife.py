"""Weeks of students' stays: fixes every 20 minutes (StudentLife, Dartmouth, spring 2013).

A subject is one student's calendar week. Two halves of the students are train and holdout.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ._mobility import TWIN, goals, score, stays, write

FAMILY = "location"
GENERATORS = ("markov", "autoregressive", "gan")
GOALS = goals(*GENERATORS)
ZONE = "America/New_York"
LEAST = 5  # stays, below which a week is left out

__all__ = ["GENERATORS", "GOALS", "TWIN", "prepare", "score"]


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    fixes = pd.read_parquet(data / "location" / "studentlife_gps.parquet")
    at = pd.to_datetime(fixes["time"], unit="s", utc=True).dt.tz_convert(ZONE).dt.tz_localize(None)
    week = at.dt.isocalendar()
    label = week["year"].astype(str) + "w" + week["week"].astype(str).str.zfill(2)
    places = fixes[["latitude", "longitude"]]
    table = stays(places.assign(subject=fixes["user_id"] + "_" + label.to_numpy(), at=at))
    table = table[table.groupby("subject")["arrived"].transform("size") >= LEAST]
    write(table, table["subject"].str.split("_").str[0], "studentlife", out)
