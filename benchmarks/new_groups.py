"""What new groups of real rows reach in the twin's place, where rows come in groups.

    python benchmarks/new_groups.py     needs the tables that `blind.py` fetched and split

Half of the groups stand for a twin, the rest is split into train and holdout row by row, as the
blind tables are. A generator of new groups cannot be nearer to the records than new real ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import quality  # noqa: E402 -- the root is put on the path first
from benchmarks.sets import _yardstick  # noqa: E402

GROUPS = {
    "polls": ["startdate", "enddate", "pollster"],
    "air_fares": ["id"],
    "schools": ["schid"],
    "use_of_force": ["response_datetime"],
}
SPLITS = 4
PROGRAM = """
import json, sys
folder, tables, splits, bench = json.loads(sys.argv[1])
sys.path.insert(0, bench)
import numpy as np, pandas as pd, yardstick
for name, keys in tables.items():
    parts = [f"{folder}/{name}_{part}.parquet" for part in ("train", "holdout")]
    train, holdout = map(pd.read_parquet, parts)
    rows = pd.concat([train, holdout], ignore_index=True)
    kinds = yardstick.kinds(train, None)
    aligned = yardstick.align(rows, train, kinds, None)
    group = rows.groupby(keys, dropna=False).ngroup().to_numpy()
    found = []
    for seed in range(splits):
        rng = np.random.default_rng(seed)
        new = (rng.random(group.max() + 1) < 0.5)[group]
        twin, old = (rng.permutation(np.flatnonzero(x)) for x in (new, ~new))
        cut = int(0.8 * len(old))
        s, t, h = (aligned.iloc[i].reset_index(drop=True) for i in (twin, old[:cut], old[cut:]))
        told = [yardstick.c2st(t, x, kinds) for x in (s, h)]
        found.append([*told, yardstick.dcr(t, h, s, kinds)["dcr_excess"]])
    mean, off = np.mean(found, axis=0), np.std(found, axis=0)
    told, floor, near = (f"{m:.3f} ({d:.3f})" for m, d in zip(mean, off))
    print(f"{name}: {len(rows)} rows in {group.max() + 1} groups; new groups c2st {told}, "
          f"holdout {floor}, dcr_excess {near}", flush=True)
"""


def main() -> int:
    """Print a line for each table that is there."""
    folder = quality.DATA
    there = {n: k for n, k in GROUPS.items() if (folder / f"{n}_holdout.parquet").exists()}
    if not there:
        sys.stderr.write(
            "No table is there: run `python benchmarks/blind.py --only polls` first.\n"
        )
        return 2
    asked = json.dumps([str(folder), there, SPLITS, str(_yardstick.bench())])
    _yardstick.run([_yardstick.python(), "-c", PROGRAM, asked])
    return 0


if __name__ == "__main__":
    sys.exit(main())
