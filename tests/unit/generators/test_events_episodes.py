"""Claims about whole histories: where they end, and how busy they may be."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._events_decode import learn_base

DAY = np.timedelta64(1, "D")
SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="who", kind="identifier"),
    time="at",
    columns=(Column(name="at", kind="time", source_type="date"),),
)


@lru_cache
def buyers(subjects: int = 400) -> Records:
    """Dates of purchases in 300 days; who buys often rarely buys twice a day, one in 50 does so.

    Everybody starts on a day of the first 200 and may buy until the last one.
    """
    rng = np.random.default_rng(0)
    lengths = np.minimum(1 + rng.geometric(0.25, subjects) * rng.choice([1, 8], subjects), 90)
    start = rng.integers(0, 200, subjects)
    days = [
        np.sort(np.append(a, rng.choice(np.arange(a, 300), n - 1, replace=n > 300 - a)))
        for a, n in zip(start, lengths, strict=True)
    ]
    at = np.concatenate(days).astype("timedelta64[D]") + np.datetime64("2024-01-01", "us")
    return Records({"at": at}, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


@lru_cache
def learned(name: str):
    generator = GENERATORS.get(name)
    train = None
    if name == "autoregressive":
        train = pytest.importorskip("synth_spark.training.loop").train_local
    params = generator.Params(min_subjects=1, leaf=20, trees=6)
    return learn(generator.learn(SCHEMA, params, 1), Local(buyers(), train=train))


@pytest.mark.parametrize("name", ["markov", "autoregressive"])
def test_nothing_happens_after_the_last_day_of_the_records(name: str) -> None:
    at = learned(name).sample(0, 400, 3).columns["at"]
    assert at.max() <= buyers().columns["at"].max()
    assert at.max() >= buyers().columns["at"].max() - 5 * DAY  # and they are not cut short


def test_busy_histories_keep_their_days() -> None:
    """Purchases on the same day as the one before, of those who buy more than 20 times."""
    shares = []
    for records in (buyers(), learned("autoregressive").sample(0, 400, 4)):
        busy = (records.lengths > 20)[records.owners]
        same = (np.diff(records.columns["at"]) < DAY) & (np.diff(records.owners) == 0)
        shares.append(float(same[busy[1:]].mean()))
    assert abs(shares[1] - shares[0]) < 0.06


def test_no_subject_is_busier_than_the_busiest() -> None:
    rng = np.random.default_rng(2)
    lengths = np.full(30, 900)
    weeks = np.repeat(rng.integers(1, 40, 30), lengths)
    owners = np.repeat(np.arange(30), lengths)
    second = rng.random(len(owners)) * weeks * 7 * 86_400
    second = second[np.lexsort((second, owners))]
    at = np.datetime64("2024-01-01", "us") + second.astype(np.int64) * np.timedelta64(1, "s")
    records = Records({"at": at}, np.arange(0, 27_001, 900).astype(np.int64))
    story = learn_base(SCHEMA, min_subjects=1, bins=8, leaf=5, trees=4, seed=1)
    base, _ = learn(story, Local(records))
    assert base.coder.episodes
    drawn = base.histories.draw(200, 1, 0)
    n = drawn.table[:, base.histories.attributes.index("n")]
    events = np.bincount(drawn.owner, n, 200)
    assert events.max() <= 900
    assert np.median(events) > 300
