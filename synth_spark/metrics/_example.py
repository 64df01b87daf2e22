"""Small made-up records that every metric's contract test runs on: a flat table and events."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator

FLAT = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="plan", kind="category"),
        Column(name="region", kind="category"),
        Column(name="bill", kind="number", source_type="double"),
        Column(name="joined", kind="time", source_type="date"),
    ),
)
EVENTS = Schema(
    family="events",
    shape="events",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="kind", kind="category"),
        Column(name="length_s", kind="number", source_type="double"),
    ),
    key=Column(name="subject", kind="identifier"),
    time="at",
)
START = np.datetime64("2024-01-01", "us")  # a Monday


def flat(seed: int = 1, rows: int = 600) -> Records:
    """Subscribers: the bill depends on the plan, the region does not; some bills are missing."""
    rng = generator(seed, "metrics.example.flat")
    plan = rng.integers(0, 3, rows).astype(np.int32)
    region = rng.integers(-1, 5, rows).astype(np.int32)
    bill = np.round(np.array([5.0, 20.0, 60.0])[plan] * rng.lognormal(0, 0.2, rows), 2)
    bill[rng.random(rows) < 0.1] = np.nan
    joined = START + (rng.integers(0, 900, rows) * 86_400_000_000).astype("timedelta64[us]")
    columns: dict[str, Values] = {
        "plan": Coded(plan, ("basic", "family", "premium")),
        "region": Coded(region, ("east", "north", "south", "west", "zentrum")),
        "bill": bill,
        "joined": joined,
    }
    return Records.flat(columns)


def events(seed: int = 1, subjects: int = 120) -> Records:
    """Calls of subjects who each keep to a kind and an hour; bursts of seconds, then long gaps."""
    rng = generator(seed, "metrics.example.events")
    lengths = rng.integers(2, 40, subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    owner = np.repeat(np.arange(subjects), lengths)
    burst = np.cumsum(rng.random(offsets[-1]) < 0.15) % 2 == 0  # a burst goes on for a while
    gap = np.where(
        burst, rng.integers(5, 300, offsets[-1]), rng.integers(3, 20, offsets[-1]) * 3_600
    )
    gap[offsets[:-1]] = rng.integers(0, 86_400, subjects)
    at = np.cumsum(gap) - np.repeat((np.cumsum(gap) - gap)[offsets[:-1]], lengths)
    favourite = rng.integers(0, 3, subjects)[owner]
    kind = np.where(rng.random(offsets[-1]) < 0.8, favourite, rng.integers(0, 3, offsets[-1]))
    columns: dict[str, Values] = {
        "at": START + (at * 1_000_000).astype("timedelta64[us]"),
        "kind": Coded(kind.astype(np.int32), ("call", "data", "text")),
        "length_s": np.where(kind == 2, np.nan, rng.integers(1, 600, offsets[-1]).astype(float)),
    }
    return Records(columns, offsets)


FLAT_EXAMPLE = (FLAT, flat())
EVENTS_EXAMPLE = (EVENTS, events())
LINES = Schema(
    family="events",
    shape="events",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="line", kind="text"),
    ),
    key=Column(name="subject", kind="identifier"),
    time="at",
)


def lines(seed: int = 1, subjects: int = 60) -> Records:
    """Logs of subjects that open a block, read it a few times and close it."""
    rng = generator(seed, "metrics.example.lines")
    texts: list[str] = []
    ends = [0]
    for _ in range(subjects):
        for _ in range(int(rng.integers(2, 6))):
            block = f"blk_{int(rng.integers(10**8, 10**9))}"
            texts.append(f"open {block} for user u{int(rng.integers(3))}")
            reads = rng.integers(1, 9_000, int(rng.integers(1, 4)))
            texts += [f"read {n} bytes of {block}" for n in reads.tolist()]
            texts.append(f"closed {block}")
        ends.append(len(texts))
    at = START + np.arange(len(texts)) * np.timedelta64(1_000_000, "us")
    return Records({"at": at, "line": Coded.of(texts)}, np.array(ends, np.int64))


LINES_EXAMPLE = (LINES, lines())
RARE = Schema(
    family="table",
    shape="flat",
    columns=(Column(name="plan", kind="category"), Column(name="fault", kind="category")),
)


def rare(seed: int = 1, rows: int = 6_000) -> Records:
    """Lines of which 1 in 100 has a fault of one kind and 1 in 200 one of another."""
    rng = generator(seed, "metrics.example.rare")
    fault = np.zeros(rows, np.int32)
    fault[: rows // 100], fault[-rows // 200 :] = 1, 2
    plan = rng.integers(0, 2, rows).astype(np.int32)
    order = rng.permutation(rows)
    columns: dict[str, Values] = {
        "plan": Coded(plan, ("basic", "premium")),
        "fault": Coded(fault[order], ("none", "power", "radio")),
    }
    return Records.flat(columns)


RARE_EXAMPLE = (RARE, rare())
