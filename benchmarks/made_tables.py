"""Made-up tables of an operator, written by somebody who did not know the generators.

    make bench-made                                   all of them, `autoregressive`, seed 0
    make bench-made ONLY=op_bills                     one of them
    python benchmarks/made_tables.py --list           their names, keys and times
    python benchmarks/made_tables.py --make           only make the files and their two parts
    python benchmarks/made_tables.py --show           only the kept numbers

Each is made from a fixed seed into bench-data/made/, split as any table of one's own, twinned and
scored by the yardstick. The numbers are kept among those of the reference sets.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import quality, quality_table  # noqa: E402 -- the root is put on the path first
from benchmarks.operator_tables import TABLES  # noqa: E402
from benchmarks.sets import BenchSet, _table  # noqa: E402

FOLDER = quality.DATA / "made"


def path_of(name: str) -> Path:
    """Where the file of one table is."""
    return FOLDER / f"{name}.{'csv' if TABLES[name].csv else 'parquet'}"


def made(name: str) -> None:
    """Make the file of one table unless it is there."""
    path = path_of(name)
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        frame = TABLES[name].make()
        if TABLES[name].csv:
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)


def bench_set(name: str) -> BenchSet:
    """One table as a set; its file need not be there before it is split."""
    return _table.of_file(path_of(name), TABLES[name].key, TABLES[name].time, None)


def listed() -> str:
    """A line for each table."""
    return "\n".join(
        f"{name:20}{f'events of {table.key} by {table.time}' if table.key else 'rows'}"
        for name, table in TABLES.items()
    )


def main() -> int:
    """Make, twin and score what was asked for, or say what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(TABLES), metavar="NAME", help="default: all")
    parser.add_argument("--list", action="store_true", help="only list the tables")
    parser.add_argument("--make", action="store_true", help="only make and split the tables")
    parser.add_argument("--show", action="store_true", help="only show what is kept")
    args = parser.parse_args()
    if args.list:
        print(listed())
        return 0
    asked = [args.only] if args.only else list(TABLES)
    run = argparse.Namespace(
        data=FOLDER, quick=False, generator="autoregressive", seed=0, cores=0, draws=1
    )
    for name in asked if not args.show else ():
        made(name)
        if args.make:
            print(*quality.parts(bench_set(name), FOLDER))
        else:
            quality.bench_set(bench_set(name), run)
    if not args.make:
        print("\n" + quality_table.markdown([bench_set(name) for name in asked], quality.RESULTS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
