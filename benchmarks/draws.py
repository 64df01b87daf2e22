"""How much a number hangs on the draw: many twins of one learned model, each scored by itself.

One larger twin is drawn from the model of a quality run and cut into parts as large as the first
twin, subject by subject (of a flat table row by row); no subject is in two of them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.sets import BenchSet, Numbers, _yardstick


def parts(twin: Path, key: str | None, draws: int) -> Iterator[pd.DataFrame]:
    """A twin cut into so many parts of as many subjects each."""
    table = pd.read_parquet(twin)
    number = np.arange(len(table)) if key is None else pd.factorize(table[key])[0]
    each = (int(number.max()) + 1) // draws
    if each < 1:
        raise SystemExit(f"{draws} draws of a twin of {number.max() + 1} subjects are too many")
    for k in range(draws):
        yield table[number // each == k].reset_index(drop=True)


def scored(
    one: BenchSet, train: Path, holdout: Path, run: Path, subjects: int, draws: int
) -> dict[str, Any]:
    """Numbers of each part of a larger twin, and the mean and the spread of each number.

    Args:
        one: The set.
        train: Its train file.
        holdout: Its holdout file.
        run: The folder of the quality run.
        subjects: Of one twin; of a flat table, rows.
        draws: Parts, two at least.
    """
    key = dict(zip(one.twin[::2], one.twin[1::2], strict=True)).get("--key")
    tool = Path(sys.executable).with_name("synth-spark")
    found: list[Numbers] = []
    with tempfile.TemporaryDirectory() as folder:
        twin, part = Path(folder) / "twin.parquet", Path(folder) / "part.parquet"
        command = [tool, "sample", "--plan", run / "plan.yaml", "--sample.out", twin]
        _yardstick.run([*command, "--sample.subjects", subjects * draws])
        for table in parts(twin, key, draws):
            table.to_parquet(part)
            found.append(one.score(train, holdout, part))
    names = [n for n in found[0] if all(n in numbers for numbers in found)]
    each = {n: np.array([numbers[n] for numbers in found]) for n in names}
    return {
        "mean": {n: round(float(v.mean()), 4) for n, v in each.items()},
        "sd": {n: round(float(v.std(ddof=1)), 4) for n, v in each.items()},
        "draws": found,
    }
