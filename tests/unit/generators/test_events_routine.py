"""Claims about routine over many weeks: homes, second places on working days, and contacts stay."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators.markov import GENERATOR, MarkovModel, MarkovParams

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="cell", kind="category"),
        Column(name="other", kind="identifier", counterpart=True),
    ),
)
CELLS, WEEKS, SUBJECTS = 80, 12, 90


def routines(seed: int = 3) -> Records:
    """Twelve weeks of phones that go to work from 9 to 17 on working days and are home else.

    Each has a home, a work place, a share of events elsewhere of its own (.05 to .6), and a best
    friend who gets a share of the calls of its own (.2 to .9).
    """
    rng = np.random.default_rng(seed)
    owners, times, cells, others = [], [], [], []
    for s in range(SUBJECTS):
        home, work = rng.choice(CELLS, 2, replace=False)
        away, best = rng.uniform(0.05, 0.6), rng.uniform(0.2, 0.9)
        n = rng.poisson(30, WEEKS).sum()
        hour = np.sort(rng.integers(0, WEEKS * 7, n) * 24 + rng.integers(7, 23, n))
        at_work = (hour // 24 % 7 < 5) & (hour % 24 >= 9) & (hour % 24 < 17)
        cell = np.where(at_work, work, home)
        cell = np.where(rng.random(n) < away, rng.integers(0, CELLS, n), cell)
        other = np.where(rng.random(n) < best, 0, rng.integers(1, 8, n))
        owners += [s] * n
        times.append(hour * 3_600 + np.sort(rng.integers(0, 3_600, n)))
        cells.append(cell)
        others += [f"{s}-{k}" for k in other]
    lengths = np.bincount(owners)
    t, owner = np.concatenate(times), np.array(owners)
    order = np.lexsort((t, owner))
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t[order].astype("timedelta64[s]"),
        "cell": Coded(np.concatenate(cells)[order].astype(np.int32), labels()),
        "other": Coded.of(np.array(others)[order].tolist()),
    }
    return Records(columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def labels() -> tuple[str, ...]:
    return tuple(f"cell{k:02d}" for k in range(CELLS))


@pytest.fixture(scope="module")
def model() -> MarkovModel:
    params = MarkovParams(min_subjects=1, leaf=15, trees=5)
    return learn(GENERATOR.learn(SCHEMA, params, 1), Local(routines(), parts=2))


@pytest.fixture(scope="module")
def twin(model: MarkovModel) -> Records:
    assert model.base.coder.episodes  # the weeks are drawn one by one
    return model.sample(0, 200, 1)


def parted(records: Records, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Codes of a column in each subject's even and odd weeks; only who has ten in both."""
    at = np.asarray(records.columns["at"]).astype("datetime64[h]").astype(np.int64)
    week, codes = (at // 24 + 3) // 7, records.columns[name].codes
    bounds = zip(records.offsets[:-1], records.offsets[1:], strict=True)
    both = [(codes[a:b][week[a:b] % 2 == 0], codes[a:b][week[a:b] % 2 == 1]) for a, b in bounds]
    kept = [(x, y) for x, y in both if min(len(x), len(y)) >= 10]
    return [x for x, _ in kept], [y for _, y in kept]


def favourite(codes: np.ndarray) -> int:
    return int(np.bincount(codes).argmax())


def share_kept(records: Records, name: str) -> float:
    """Correlation over subjects of the favourite's share in even and in odd weeks."""
    even, odd = parted(records, name)
    tops = [favourite(np.concatenate(pair)) for pair in zip(even, odd, strict=True)]
    shares = [[float((x == t).mean()) for x, t in zip(xs, tops, strict=True)] for xs in (even, odd)]
    return float(np.corrcoef(shares)[0, 1])


def at_second(records: Records, working: bool) -> float:
    """Share of the subjects' second place among their events in or out of working hours."""
    at = np.asarray(records.columns["at"]).astype("datetime64[h]").astype(np.int64)
    inside = ((at // 24 + 3) % 7 < 5) & (at % 24 >= 9) & (at % 24 < 17)
    codes = records.columns["cell"].codes
    bounds = zip(records.offsets[:-1], records.offsets[1:], strict=True)
    second = [np.argsort(-np.bincount(codes[a:b]), kind="stable")[1] for a, b in bounds]
    there = codes == np.repeat(second, records.lengths)
    return float(there[inside == working].mean())


@pytest.mark.parametrize(("name", "least"), [("cell", 0.6), ("other", 0.85)])
def test_the_favourites_share_lasts_over_the_weeks(twin: Records, name: str, least: float) -> None:
    """Real .89 and .97; of 200 subjects a correlation of .7 has a standard error of .04."""
    assert share_kept(routines(), name) > least
    assert share_kept(twin, name) > least


@pytest.mark.parametrize("name", ["cell", "other"])
def test_the_favourite_of_even_weeks_is_that_of_odd_weeks(twin: Records, name: str) -> None:
    even, odd = parted(twin, name)
    same = [favourite(x) == favourite(y) for x, y in zip(even, odd, strict=True)]
    assert np.mean(same) > 0.8  # real 1; of 80 cells and of 8 contacts


def test_the_second_place_is_where_working_days_are_spent(twin: Records) -> None:
    """Real .67 of the events in working hours and .00 of the others, on 200 subjects each."""
    assert at_second(twin, working=True) > 0.45
    assert at_second(twin, working=False) < 0.15
