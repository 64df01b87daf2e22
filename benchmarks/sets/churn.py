"""Customers of a made-up telephone company (IBM's sample): 20 columns, churn is the target."""

from __future__ import annotations

from pathlib import Path

from . import Numbers, _yardstick, at_least, at_most

FAMILY = "subscriber"
GENERATORS = ("autoregressive", "vae", "transform")
SHARED = {"tstr": at_least(0.855), "broken": at_most(0.0), "dcr_excess": at_most(0.05)}
GOALS = {
    "autoregressive": {"accuracy": at_least(0.972), "c2st": at_most(0.57), **SHARED},
    "vae": {"accuracy": at_least(0.968), "c2st": at_most(0.60), **SHARED},
}
TARGET = ("--target", "Churn")


def prepare(data: Path, out: Path) -> None:
    """Write train and holdout."""
    _yardstick.prepare("churn", data / "subscriber" / "ibm_telco_churn_FICTIONAL.parquet", out)


def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
    """The yardstick's numbers of one synthetic table."""
    return _yardstick.numbers(_yardstick.judged(train, holdout, synthetic, *TARGET))


def floor(train: Path, holdout: Path) -> Numbers:
    """The same of the holdout."""
    return _yardstick.floor(train, holdout, *TARGET)
