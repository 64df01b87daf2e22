"""Made-up phones with habits, for the tests of the event generators."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="plan", kind="category", per="subject"),
        Column(name="kind", kind="category"),
        Column(name="cell", kind="category"),
        Column(name="other", kind="identifier", counterpart=True),
        Column(name="seconds", kind="number", source_type="bigint"),
    ),
)


def phones(subjects: int = 80, mean: int = 12, days: int = 7, seed: int = 1) -> Records:
    """Calls (with seconds, -1 where missed) and texts, by day only; two home cells of 60."""
    rng = np.random.default_rng(seed)
    lengths = 1 + rng.poisson(mean, subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    owners, rows = np.repeat(np.arange(subjects), lengths), int(offsets[-1])
    t = rng.integers(0, days, rows) * 86_400 + rng.integers(8 * 3_600, 20 * 3_600, rows)
    t = t[np.lexsort((t, owners))]
    kind = rng.integers(0, 2, rows)
    talk = np.where(rng.random(rows) < 0.3, -1, rng.geometric(0.02, rows))
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype("timedelta64[s]"),
        "plan": Coded((owners % 3).astype(np.int32), ("a", "b", "c")),
        "kind": Coded(kind.astype(np.int32), ("call", "text")),
        "cell": Coded(
            ((owners * 7 + (rng.random(rows) < 0.2)) % 60).astype(np.int32),
            tuple(f"cell{k:02d}" for k in range(60)),
        ),
        "other": Coded(
            ((owners * 3 + rng.integers(0, 4, rows)) % 50).astype(np.int32),
            tuple(f"p{k:02d}" for k in range(50)),
        ),
        "seconds": np.where(kind == 0, talk, np.nan).astype(np.float64),
    }
    return Records(columns, offsets)
