"""Rare things: is a class of 1 row in 1,000, or a kind of 1 event in 10,000, as rare in the twin?

    make bench-rare                                     every case, about 20 minutes on two cores
    make bench-rare ARGS="--case 'events transformer'"  one of them

A made-up table holds the rare thing at an exact rate, tied to other columns; a model is learned in
memory with default settings, and at least 1,000,000 rows are drawn. The ratio of the two rates has
an error of its own, which is printed too: one standard error of the count that was drawn. To be
reached: within 20 %. JSON goes to benchmarks/results/rare.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.training.loop import train_local

RESULTS = Path(__file__).resolve().parent / "results" / "rare.json"
ROWS = 1_000_000
WITHIN = 0.2
CASES = ("flat autoregressive", "events autoregressive", "events transformer", "events simulation")


def flat() -> tuple[Schema, Records, str, str]:
    """50,000 profiles; exactly 50 are of the rare class, all of them heavy and young."""
    rng, rows = np.random.default_rng(1), 50_000
    use, months = rng.gamma(2, 50, rows), rng.integers(1, 72, rows).astype(float)
    mark = np.full(rows, "no", object)
    mark[rng.permutation(np.flatnonzero((use > 120) & (months < 40)))[: rows // 1_000]] = "yes"
    plan = rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    columns = (
        Column(name="plan", kind="category"),
        Column(name="use", kind="number", source_type="double"),
        Column(name="months", kind="number", source_type="bigint"),
        Column(name="mark", kind="category"),
    )
    values = {
        "plan": Coded.of(plan.tolist()), "use": np.round(use, 1), "months": months,
        "mark": Coded.of(mark.tolist()),
    }  # fmt: skip
    schema = Schema(family="table", shape="flat", columns=columns)
    return schema, Records.flat(values), "mark", "yes"


def events() -> tuple[Schema, Records, str, str]:
    """About 500,000 events of 8,000 subjects in two weeks; exactly 1 in 10,000 is a fault."""
    rng, subjects = np.random.default_rng(1), 8_000
    lengths = rng.poisson(60, subjects) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows, owners = int(offsets[-1]), np.repeat(np.arange(subjects), lengths)
    second = rng.integers(0, 14 * 86_400, rows)
    second = second[np.lexsort((second, owners))]
    kind = rng.choice(["call", "text", "data"], rows, p=[0.5, 0.3, 0.2]).astype(object)
    kind[rng.permutation(rows)[: rows // 10_000]] = "fault"
    columns = (
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="kind", kind="category"),
        Column(name="seconds", kind="number", source_type="bigint"),
    )
    values = {
        "at": np.datetime64("2024-03-04", "us") + second.astype("timedelta64[s]"),
        "kind": Coded.of(kind.tolist()),
        "seconds": np.where(kind == "call", rng.geometric(0.01, rows), np.nan).astype(float),
    }
    key = Column(name="who", kind="identifier")
    schema = Schema(family="events", shape="events", columns=columns, key=key, time="at")
    return schema, Records(values, offsets), "kind", "fault"


def measured(case: str) -> dict[str, Any]:
    """The rare thing's rate in the records and in rows drawn from a model of them."""
    shape, name = case.split()
    schema, records, column, label = {"flat": flat, "events": events}[shape]()
    generator, began = GENERATORS.get(name), time.perf_counter()
    engine = Local(records, train=train_local)
    model = learn(generator.learn(schema, generator.Params(), 1), engine)
    fit_s, rows, rare, block = time.perf_counter() - began, 0, 0, 0
    while rows < ROWS:
        drawn = model.sample(block, model.block_size, 1)
        values = drawn.columns[column]
        assert isinstance(values, Coded)
        rare += int((values.texts() == label).sum())
        rows, block = rows + drawn.rows, block + 1
    real = records.columns[column]
    assert isinstance(real, Coded)
    held = int((real.texts() == label).sum())
    ratio = rare / rows / (held / records.rows)
    error = ratio / np.sqrt(max(rare, 1))
    print(
        f"{case:<24} real {held:>4} of {records.rows:,}  drawn {rare:>5} of {rows:,}  "
        f"ratio {ratio:.2f} +- {error:.2f}  {'pass' if abs(ratio - 1) <= WITHIN else 'miss'}",
        flush=True,
    )
    return {
        "real": held, "real_rows": records.rows, "drawn": rare, "drawn_rows": rows,
        "ratio": round(ratio, 3), "standard_error": round(float(error), 3),
        "fit_s": round(fit_s, 1),
    }  # fmt: skip


def main() -> int:
    """Measure what was asked for and keep the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, help="default: all")
    asked = parser.parse_args().case
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for case in [asked] if asked else CASES:
        kept[case] = measured(case)
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
