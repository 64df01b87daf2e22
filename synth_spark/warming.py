"""Compile the kernels before the first run, by learning and drawing small made-up tables.

What is compiled is kept in a folder of the user for exactly this source, or in NUMBA_CACHE_DIR
(`generators/__init__.py`): a machine pays once for each user.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS

SUBJECTS, ROWS = 100, 600
BEGIN = np.datetime64("2026-03-02", "us")
DAYS = 28


def mark() -> Path:
    """The file that says that all of exactly this source is compiled."""
    from synth_spark import generators

    return Path(os.environ["NUMBA_CACHE_DIR"]) / f"warmed-{generators.fingerprint()}"


def warm(names: Sequence[str] = ()) -> Iterator[tuple[str, str, float]]:
    """Learn and draw each table with each generator that makes its shape.

    Args:
        names: Generators; none: all.

    Yields:
        Generator, table, seconds.
    """
    import torch

    from synth_spark.training.loop import train_local

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in names or GENERATORS.names():
            kind, params = GENERATORS.get(name), GENERATORS.example(name)
            for table, (schema, records) in tables().items():
                if schema.shape in kind.shapes:
                    began = time.perf_counter()
                    engine = Local(records, train=train_local)
                    model = learn(kind.learn(schema, params, 0), engine)
                    model.sample(0, min(50, model.block_size), 0)
                    yield name, table, time.perf_counter() - began
    finally:
        torch.set_num_threads(threads)


def tables() -> dict[str, tuple[Schema, Records]]:
    """Made-up profiles, calls and visits; what they say does not matter, their columns do."""
    return {"profiles": _profiles(), "calls": _calls(), "visits": _visits()}


def _profiles() -> tuple[Schema, Records]:
    random = np.random.default_rng(0)
    plan = random.integers(0, 3, ROWS)
    months = random.integers(0, 72, ROWS).astype(float)
    bill = np.round(10 + 5 * plan + months / 2 + random.normal(0, 1, ROWS), 2)
    columns: dict[str, Any] = {
        "plan": Coded(plan.astype(np.int32), ("basic", "plus", "max")),
        "months": months,
        "bill": np.where(random.random(ROWS) < 0.05, np.nan, bill),
        "joined": BEGIN - (months * 30).astype("timedelta64[D]"),
    }
    kinds = (
        Column(name="plan", kind="category"),
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="bill", kind="number", source_type="double"),
        Column(name="joined", kind="time", source_type="date"),
    )
    return Schema(family="table", shape="flat", columns=kinds), Records.flat(columns)


def _calls() -> tuple[Schema, Records]:
    random, offsets, owner, at = _histories(1, 20)
    rows = len(owner)
    what = random.integers(0, 2, rows)
    cell = (7 * owner + random.integers(0, 2, rows)) % 60
    columns: dict[str, Any] = {
        "at": at,
        "region": Coded((owner % 2).astype(np.int32), ("north", "south")),
        "what": Coded(what.astype(np.int32), ("call", "text")),
        "cell": Coded(cell.astype(np.int32), tuple(f"cell{i:02d}" for i in range(60))),
        "duration_s": np.where(what == 0, random.geometric(0.01, rows), np.nan),
    }
    kinds = (
        Column(name="region", kind="category", per="subject"),
        Column(name="what", kind="category"),
        Column(name="cell", kind="category"),
        Column(name="duration_s", kind="number", source_type="bigint"),
    )
    return _events(kinds), Records(columns, offsets)


def _visits() -> tuple[Schema, Records]:
    random, offsets, owner, at = _histories(2, 20)
    spot = (owner + random.geometric(0.5, len(owner))) % 40
    columns: dict[str, Any] = {
        "at": at,
        "latitude": 43.7 + 0.01 * (spot % 8) + random.normal(0, 1e-4, len(owner)),
        "longitude": -72.3 + 0.01 * (spot // 8) + random.normal(0, 1e-4, len(owner)),
        "stay_s": np.round(np.exp(random.normal(8, 1, len(owner)))),
    }
    kinds = (
        Column(name="latitude", kind="place", source_type="double", partner="longitude"),
        Column(name="longitude", kind="place", source_type="double"),
        Column(name="stay_s", kind="number", source_type="double"),
    )
    return _events(kinds), Records(columns, offsets)


def _events(kinds: tuple[Column, ...]) -> Schema:
    at = Column(name="at", kind="time", source_type="timestamp_ntz")
    key = Column(name="who", kind="identifier")
    return Schema(family="events", shape="events", key=key, time="at", columns=(at, *kinds))


def _histories(seed: int, mean: int) -> tuple[np.random.Generator, Any, Any, Any]:
    """Offsets, owners and sorted times of about `mean` events a subject."""
    random = np.random.default_rng(seed)
    lengths = 1 + random.poisson(mean, SUBJECTS)
    owner = np.repeat(np.arange(SUBJECTS), lengths)
    second = random.integers(0, DAYS * 86_400, len(owner))
    second = second[np.lexsort((second, owner))]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return random, offsets, owner, BEGIN + second.astype("timedelta64[s]")
