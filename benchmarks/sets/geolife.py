"""Days of people's stays: GPS tracks around Beijing (Geolife, Microsoft Research Asia).

A subject is one person's day. Times are moved from GMT to China's clock (GMT+8); fixes, up to one
a second while a person moves, are thinned to one in five minutes. Two halves of the people are
train and holdout.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ._mobility import TWIN, goals, score, stays, write

FAMILY = "location"
GENERATORS = ("markov", "autoregressive", "gan")
GOALS = goals(*GENERATORS)
AHEAD = pd.Timedelta(hours=8)  # of GMT
THIN = "5min"
LEAST = 3  # stays, below which a day is left out

__all__ = ["GENERATORS", "GOALS", "TWIN", "prepare", "score"]


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    fixes = pd.read_parquet(data / "location" / "geolife_users.parquet")
    at = fixes["datetime_gmt"] + AHEAD
    d = fixes[["latitude", "longitude"]].assign(
        subject=fixes["user_id"] + "_" + at.dt.strftime("%Y%m%d"), at=at
    )
    d = d.sort_values(["subject", "at"], kind="stable")
    table = stays(d.groupby(["subject", d["at"].dt.floor(THIN)]).head(1))
    table = table[table.groupby("subject")["arrived"].transform("size") >= LEAST]
    write(table, table["subject"].str.split("_").str[0], "geolife", out)
