"""Read, check and split the records of a plan.

spark-submit jobs/ingest.py --plan conf/plans/NAME.yaml [--section.field value ...]

The same arguments and exit codes as `synth-spark ingest`: 0 done, 2 refused, 3 a gate not passed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, where not installed

from synth_spark.cli import main as command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb with these arguments and return the exit code."""
    return command(["ingest", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
