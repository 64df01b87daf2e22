"""A table of the user's own as a set: 80 % of its rows, or of its subjects, are train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import BenchSet, Numbers, _yardstick
from ._distance import SEED


def of_file(path: Path, key: str | None, time: str | None, target: str | None) -> BenchSet:
    """The set of a Parquet or CSV file; events where a key is named, rows on their own if not."""
    name = path.stem
    events = ("--key", key, "--time", time) if key and time else ()
    options = (*events, *(("--target", target) if target else ()))

    def prepare(data: Path, out: Path) -> None:
        del data  # the file is not among the reference data
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        if time:
            frame[time] = _times(frame[time])
        subject = frame[key] if key else pd.Series(range(len(frame)))
        names = np.random.default_rng(SEED).permutation(np.sort(subject.unique()))
        train = subject.isin(names[: int(0.8 * len(names))]).to_numpy()
        for part, rows in (("train", train), ("holdout", ~train)):
            frame[rows].reset_index(drop=True).to_parquet(out / f"{name}_{part}.parquet")

    def score(train: Path, holdout: Path, synthetic: Path) -> Numbers:
        return _yardstick.numbers(_yardstick.judged(train, holdout, synthetic, *options))

    def floor(train: Path, holdout: Path) -> Numbers:
        return _yardstick.floor(train, holdout, *options)

    return BenchSet(name, prepare, score, floor, ("autoregressive",), events)


def _times(values: pd.Series[Any]) -> pd.Series[Any]:
    """Times without a zone, as the yardstick reads them: from texts, seconds or an instant."""
    if values.dtype.kind in "if":
        return pd.to_datetime(values, unit="s" if values.abs().max() < 1e11 else "ms")
    times = pd.to_datetime(values)
    return times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times
