"""Weeks of calls and texts (Friends and Family, MIT, 2010-2011), the yardstick's own cut.

`fresh_` numbers are against real weeks that took no part, in train's place: what is like train only
because it was seen does not help there. `distinct_grams_off` is how far the number of distinct runs
of four events of as many synthetic weeks is from the holdout's, as a share of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from . import Numbers, _yardstick, at_least, at_most
from ._distance import SEED

FAMILY = "cdr"
GENERATORS = ("autoregressive", "markov", "transformer", "gan", "transform", "simulation")
TWIN = ("--key", "seq_id", "--time", "ts")
GOALS = {
    "autoregressive": {
        "accuracy": at_least(0.85),
        "coherence": at_least(0.93),
        "c2st_sequence": at_most(0.60),
        "c2st_event": at_most(0.56),
        "gap_ks": at_most(0.03),
        "hour_tvd": at_most(0.05),
        "top_share_ks": at_most(0.07),
        "next_contact": at_least(0.60),
        "back_in_time": at_most(0.0),
        "grams_in_train": at_most(0.64),
        "dcr_excess": at_most(0.10),
        "fresh_c2st_sequence": at_most(0.60),
        "fresh_c2st_event": at_most(0.58),
    },
    "markov": {
        "accuracy": at_least(0.84),
        "coherence": at_least(0.92),
        "c2st_sequence": at_most(0.72),
        "gap_ks": at_most(0.05),
        "hour_tvd": at_most(0.08),
        "fit_s": at_most(10.0),
    },
    "transformer": {
        "accuracy": at_least(0.84),
        "coherence": at_least(0.92),
        "c2st_sequence": at_most(0.70),
        "gap_ks": at_most(0.05),
        "hour_tvd": at_most(0.08),
    },
    "gan": {
        "c2st_sequence": at_most(0.80),
        "gap_ks": at_most(0.08),
        "hour_tvd": at_most(0.10),
        "back_in_time": at_most(0.0),
        "distinct_grams_off": at_most(0.15),
        "monitor_green": at_least(1.0),
    },
}
OPTIONS = ("--key", "seq_id", "--time", "ts", "--cell", "peer")
FRESH = ("c2st_sequence", "c2st_event")


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout, and as many weeks that take no part."""
    _yardstick.prepare("cdr", data / "cdr" / "friends_family_clean_records.parquet", out)


def distinct_grams(table: pd.DataFrame, subjects: int) -> int:
    """Distinct runs of four events (contact and kind) of so many weeks, picked at random."""
    ids = np.random.default_rng(SEED).permutation(np.sort(table["seq_id"].unique()))[:subjects]
    d = table[table["seq_id"].isin(ids)].sort_values(["seq_id", "ts"], kind="stable")
    what = d["peer"].astype(str) + "|" + d["type"].astype(str)
    later = pd.concat([what, *(what.groupby(d["seq_id"]).shift(-k) for k in range(1, 4))], axis=1)
    return len(later.dropna().drop_duplicates())


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The yardstick's numbers of one synthetic table, and the variety of its runs of events."""
    numbers = _yardstick.numbers(_yardstick.judged(train, holdout, synthetic, *OPTIONS))
    fresh = train.with_name("cdr_fresh.parquet")
    again = _yardstick.numbers(_yardstick.judged(fresh, holdout, synthetic, *OPTIONS, "--no-qa"))
    real, made = pd.read_parquet(holdout), pd.read_parquet(synthetic)
    subjects = min(real["seq_id"].nunique(), made["seq_id"].nunique())
    runs = distinct_grams(made, subjects) / max(distinct_grams(real, subjects), 1)
    numbers |= {f"fresh_{name}": again[name] for name in FRESH}
    return {**numbers, "distinct_grams_off": abs(runs - 1)}


def floor(train: Path, holdout: Path) -> Numbers:
    """The same of the holdout."""
    numbers = _yardstick.floor(train, holdout, *OPTIONS)
    fresh = _yardstick.floor(train.with_name("cdr_fresh.parquet"), holdout, *OPTIONS, "--no-qa")
    return {**numbers, **{f"fresh_{name}": fresh[name] for name in FRESH}}
