"""Made-up records of both shapes, small enough to learn from in a second."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema

FLAT = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="plan", kind="category"),
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="bill", kind="number", source_type="double"),
        Column(name="joined", kind="time", source_type="date"),
    ),
)
EVENTS = Schema(
    family="events",
    shape="events",
    key=Column(name="who", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="region", kind="category", per="subject"),
        Column(name="what", kind="category"),
        Column(name="cell", kind="category"),
        Column(name="seconds", kind="number", source_type="bigint"),
    ),
)


def flat_records(rows: int = 600) -> Records:
    """Profiles in which the bill follows months and plan, with some values missing."""
    rng = np.random.default_rng(1)
    plan = rng.choice(["basic", "plus", "max"], rows, p=[0.6, 0.3, 0.1])
    months = rng.integers(0, 72, rows).astype(float)
    bill = np.round(10 + 5 * (plan == "plus") + months * 0.5 + rng.normal(0, 1, rows), 2)
    bill[rng.random(rows) < 0.05] = np.nan
    joined = np.datetime64("2024-01-01", "us") - (months * 30).astype("timedelta64[D]")
    return Records.flat(
        {"plan": Coded.of(plan.tolist()), "months": months, "bill": bill, "joined": joined}
    )


def event_records(subjects: int = 120) -> Records:
    """Calls and texts of some weeks; each subject keeps to two cells of its own out of 60."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 40, subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows, owners = int(offsets[-1]), np.repeat(np.arange(subjects), lengths)
    seconds = np.sort(rng.integers(0, 14 * 86_400, rows))
    seconds = seconds[np.lexsort((seconds, rng.permutation(subjects)[owners]))]
    order = np.lexsort((seconds, owners))
    at = np.datetime64("2024-03-04", "us") + seconds[order].astype("timedelta64[s]")
    what = rng.choice(["call", "text"], rows)
    cells = np.array([f"cell{(7 * o + int(rng.integers(2))) % 60:02d}" for o in owners])
    talk = np.where(what == "call", rng.geometric(0.01, rows), np.nan).astype(float)
    columns = {
        "at": at,
        "region": Coded.of(np.array(["north", "south"])[owners % 2].tolist()),
        "what": Coded.of(what.tolist()),
        "cell": Coded.of(cells.tolist()),
        "seconds": talk,
    }
    return Records(columns, offsets)


CASES = {"flat": (FLAT, flat_records), "events": (EVENTS, event_records)}
