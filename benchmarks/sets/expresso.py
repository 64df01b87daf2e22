"""Subscribers of an African prepaid operator (Expresso): 12 columns, churn is the target."""

from __future__ import annotations

from pathlib import Path

from . import Numbers, _yardstick, at_least, at_most

FAMILY = "subscriber"
GENERATORS = ("autoregressive", "vae")
GOALS = {
    "autoregressive": {
        "accuracy": at_least(0.978),
        "c2st": at_most(0.56),
        "tstr": at_least(0.876),
    },
}
TARGET = ("--target", "CHURN")


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    _yardstick.prepare("expresso", data / "subscriber" / "expresso_churn_58k.parquet", out)


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The yardstick's numbers of one synthetic table."""
    return _yardstick.numbers(_yardstick.judged(train, holdout, synthetic, *TARGET))


def floor(train: Path, holdout: Path) -> Numbers:
    """The same of the holdout."""
    return _yardstick.floor(train, holdout, *TARGET)
