"""Calls and texts of whole phones (Friends and Family, MIT, 2010-2011): do weeks stay its own?

A subject is a phone with all its records; 80 % of the phones are train. Of each phone the odd and
the even calendar weeks are summed up apart: events and contacts of an active week, share of events
in the night (0 to 6 h) and share of the events with the contact met most. A phone whose weeks
resemble one another has like values in both, so over phones the two are correlated. The numbers are
how far the synthetic correlation is from the real one; the floor is that of the holdout.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from . import Numbers, at_most
from ._distance import SEED

FAMILY = "cdr"
GENERATORS = ("autoregressive", "markov")
# Four times as many phones as are real: what is compared is the model, not a draw of 103 phones.
TWIN = ("--key", "phone", "--time", "at", "--subjects", "412")
FACTS = ("events", "contacts", "night", "top_contact")
GOALS = {g: {f"{name}_off": at_most(0.10) for name in FACTS} for g in GENERATORS}
LEAST = 50  # events of the odd and of the even weeks: a share of fewer is mostly chance


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    raw = pd.read_parquet(data / "cdr" / "friends_family_records.parquet")
    d = pd.DataFrame(
        {
            "phone": raw["user_id"],
            "at": raw["datetime"].astype("datetime64[us]"),
            "kind": raw["interaction"] + "_" + raw["direction"],
            "contact": raw["correspondent_id"],
            "duration_s": raw["call_duration"],
        }
    )
    d = d.sort_values(["phone", "at"], kind="stable").drop_duplicates()
    phones = np.random.default_rng(SEED).permutation(np.sort(d["phone"].unique()))
    train = d["phone"].isin(phones[: int(0.8 * len(phones))])
    for part, rows in (("train", train), ("holdout", ~train)):
        d[rows].reset_index(drop=True).to_parquet(out / f"friends_family_weeks_{part}.parquet")


def correlations(table: pd.DataFrame) -> Numbers:
    """Correlation over phones between the odd and the even weeks of each fact."""
    day = table["at"].to_numpy().astype("datetime64[D]").astype(np.int64)
    d = table.assign(week=(day + 3) // 7)  # since 1970, from Monday
    d["odd"] = d["week"] % 2
    half = d.groupby(["phone", "odd"])
    weekly = d.groupby(["phone", "odd", "week"])
    shares = d.groupby(["phone", "odd", "contact"]).size().groupby(level=[0, 1])
    facts = {
        "events": np.log1p(weekly.size().groupby(level=[0, 1]).mean()),
        "contacts": np.log1p(weekly["contact"].nunique().groupby(level=[0, 1]).mean()),
        "night": (d["at"].dt.hour < 6).groupby([d["phone"], d["odd"]]).mean(),
        "top_contact": shares.max() / shares.sum(),
    }
    size = half.size().unstack()
    kept = size.index[(size >= LEAST).all(axis=1)]
    out = {}
    for name, values in facts.items():
        both = values.unstack().loc[kept].dropna()
        flat = both.std().min() < 1e-12  # all phones alike: nothing is a phone's own
        out[name] = 0.0 if flat else float(np.corrcoef(both[0], both[1])[0, 1])
    return out


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The numbers of one synthetic table."""
    del holdout  # stands in the synthetic table's place for the floor
    real, made = (correlations(pd.read_parquet(p)) for p in (train, synthetic))
    off = {f"{name}_off": abs(made[name] - real[name]) for name in FACTS}
    return {**off, **{f"{name}_r": made[name] for name in FACTS}}
