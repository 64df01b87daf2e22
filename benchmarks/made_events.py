"""A table of events made up from a fixed seed, of any size, for measuring speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema


def events(rows: int) -> tuple[Schema, Records]:
    """About so many calls and texts of four weeks, 50 a subject; each has favourite cells."""
    random = np.random.default_rng(0)
    subjects = max(rows // 50, 40)
    lengths = random.integers(10, 90, subjects)
    owner = np.repeat(np.arange(subjects), lengths)
    day = random.integers(0, 28, len(owner))
    hour = random.choice(24, len(owner), p=rhythm())
    second = day * 86_400 + hour * 3_600 + random.integers(0, 3_600, len(owner))
    second = second[np.lexsort((second, owner))]
    what = random.choice(4, len(owner), p=[0.5, 0.3, 0.15, 0.05]).astype(np.int32)
    cell = (owner * 7 + random.geometric(0.4, len(owner))) % 60
    talk = np.round(np.exp(random.normal(4, 1, len(owner))))
    columns = {
        "at": np.datetime64("2026-03-02", "us") + second.astype("timedelta64[s]"),
        "what": Coded(what, ("call", "text", "data", "other")),
        "cell": Coded(cell.astype(np.int32), tuple(f"cell{i:02d}" for i in range(60))),
        "seconds": np.where(what == 0, talk, np.nan),
        "bytes": np.where(what == 2, np.round(1e3 * talk), np.nan),
    }
    schema = Schema(
        family="events", shape="events", key=Column(name="who", kind="identifier"), time="at",
        columns=(
            Column(name="at", kind="time", source_type="timestamp_ntz"),
            Column(name="what", kind="category"), Column(name="cell", kind="category"),
            Column(name="seconds", kind="number", source_type="bigint"),
            Column(name="bytes", kind="number", source_type="bigint"),
        ),
    )  # fmt: skip
    return schema, Records(columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def rhythm() -> NDArray[np.float64]:
    """The share of each hour of the day: least at 3, most at 15."""
    share = 1.2 - np.cos((np.arange(24) - 3) * np.pi / 12)
    return np.asarray(share / share.sum())
