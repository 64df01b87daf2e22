"""What real records reach where their own subjects are drawn again: the noise of few subjects.

    python benchmarks/resampled.py campus            or geolife, studentlife

As many subjects as the twin of the set has are drawn from train, with replacement, and compared
with train as a twin is. A generator that had learned everything and copied nobody could hardly do
better. Also compared: train without the one subject whose absence counts most. Means and tenths go
to benchmarks/results/quality/.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import sets
from benchmarks.quality import ROOT, keep, parts
from benchmarks.sets import _mobility

SETS = ("campus", "geolife", "studentlife")
DRAWS = 40


def measured(name: str, data: Path) -> None:
    """Draw and compare; keep and print the numbers of one set."""
    one = sets.load(name)
    train = pd.read_parquet(parts(one, data)[0])
    own = importlib.import_module(f"benchmarks.sets.{name}")
    compare = getattr(own, "compare", _mobility.compare)
    options = dict(zip(one.twin[::2], one.twin[1::2], strict=False))
    key = options["--key"]
    subjects = dict(list(train.groupby(key)))
    names = sorted(subjects)
    many = int(options.get("--subjects", len(names)))
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(DRAWS):
        picked = rng.integers(0, len(names), many)
        table = [subjects[names[p]].assign(**{key: f"s{k}"}) for k, p in enumerate(picked)]
        rows.append(compare(train, pd.concat(table, ignore_index=True)))
    drawn = pd.DataFrame(rows)
    left = pd.DataFrame(
        [compare(train, train[train[key] != k]) for k in names] if len(names) < 200 else []
    )
    numbers = {
        "mean": drawn.mean().to_dict(),
        "tenth": drawn.quantile(0.1).to_dict(),
        "ninth": drawn.quantile(0.9).to_dict(),
        "without_one": left.max().to_dict(),
    }
    keep(name, "resampled", numbers, draws=DRAWS, subjects=many)
    for what, found in numbers.items():
        print(name, what, {k: round(v, 3) for k, v in found.items()})


def main() -> int:
    """Measure the sets that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    for name in args.sets:
        measured(name, args.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
