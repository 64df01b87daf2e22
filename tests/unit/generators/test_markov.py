"""Claims about the markov generator, on made-up phones."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators.markov import GENERATOR, MarkovModel, MarkovParams
from tests.unit.generators.events_world import SCHEMA, phones

RECORDS = phones()


@pytest.fixture(scope="module")
def model() -> MarkovModel:
    params = MarkovParams(min_subjects=1, leaf=15, trees=5)
    return learn(GENERATOR.learn(SCHEMA, params, 1), Local(RECORDS, parts=2))


@pytest.fixture(scope="module")
def twin(model: MarkovModel) -> Records:
    return model.sample(0, 1_000, 1)


def test_events_lie_in_the_hours_in_which_real_ones_do(twin: Records) -> None:
    at = twin.columns["at"]
    hours = (at - at.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
    assert ((hours >= 8) & (hours < 20)).mean() > 0.95  # the tables back off to all hours


def test_time_never_goes_back_and_stays_in_the_week(twin: Records) -> None:
    at = twin.columns["at"]
    assert (np.diff(at)[np.diff(twin.owners) == 0] >= np.timedelta64(0)).all()
    assert at.min() >= np.datetime64("2024-03-04")
    assert at.max() < np.datetime64("2024-03-11")
    assert (at.astype(np.int64) % 1_000_000 == 0).all()  # whole seconds, as in the source


def test_seconds_are_missing_for_texts_alone_and_the_sentinel_is_kept(twin: Records) -> None:
    call = twin.columns["kind"].texts() == "call"
    seconds = twin.columns["seconds"]
    np.testing.assert_array_equal(np.isnan(seconds), ~call)
    assert abs((seconds[call] == -1).mean() - 0.3) < 0.05
    assert (seconds[call] == np.rint(seconds[call])).all()


def test_a_subjects_column_is_the_same_in_all_its_rows(twin: Records) -> None:
    plan = twin.columns["plan"].codes
    assert (np.diff(plan)[np.diff(twin.owners) == 0] == 0).all()
    assert len(np.unique(plan)) == 3


def test_a_subject_keeps_to_a_few_cells_of_many(twin: Records) -> None:
    cells = twin.columns["cell"].codes
    distinct = [
        len(set(cells[a:b])) for a, b in zip(twin.offsets[:-1], twin.offsets[1:], strict=True)
    ]
    assert np.mean(distinct) < 3
    assert len(np.unique(cells)) > 40


def test_other_parties_are_made_up_for_each_subject(twin: Records) -> None:
    names = twin.columns["other"].texts()
    assert all(name.startswith(f"c{o}-") for name, o in zip(names, twin.owners, strict=True))


def test_every_subject_has_an_event(twin: Records) -> None:
    assert twin.lengths.min() >= 1
    assert abs(twin.lengths.mean() - RECORDS.lengths.mean()) < 1.5


def requests(subjects: int = 150, days: int = 8) -> tuple[Schema, Records]:
    """Days of browsing: from 8 h forty requests in runs of two or of eighteen, from 18 h four."""
    rng = np.random.default_rng(2)
    own = []
    for subject in range(subjects):
        for day in range(days):
            early = rng.random() < 0.6
            at = day * 86_400 + (8.2 if early else 18.2) * 3_600 + rng.integers(0, 900)
            for size in rng.permutation([2, 18, 2, 18] if early else [2, 2]):
                gaps = rng.integers(1, 9, size)
                own.append((np.full(size, subject), at + np.cumsum(gaps)))
                at += gaps.sum() + rng.integers(2_400, 4_800)
    owners, t = (np.concatenate(parts) for parts in zip(*own, strict=True))
    schema = Schema(
        family="events", shape="events", time="at", key=Column(name="person", kind="identifier"),
        columns=(
            Column(name="at", kind="time", source_type="timestamp_ntz"),
            Column(name="kind", kind="category"),
        ),
    )  # fmt: skip
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype(np.int64).astype("timedelta64[s]"),
        "kind": Coded(rng.integers(0, 2, len(t)).astype(np.int32), ("get", "post")),
    }
    return schema, Records(columns, np.searchsorted(owners, np.arange(subjects + 1)))


def runs_of_two(records: Records) -> float:
    """Share of the runs of events, between pauses of half an hour, that have two."""
    at = records.columns["at"].astype(np.int64) / 1e6
    new = np.append(True, (np.diff(records.owners) != 0) | (np.diff(at) >= 1_800))
    return float((np.bincount(np.cumsum(new) - 1) == 2).mean())


def test_runs_of_events_end_where_they_do_in_the_records() -> None:
    """By gaps alone runs of two would be .17 of all, as measured; chance is below .01."""
    schema, records = requests()
    made = learn(GENERATOR.learn(schema, MarkovParams(), 1), Local(records))
    assert runs_of_two(records) == pytest.approx(0.63, abs=0.01)
    assert runs_of_two(made.sample(0, 150, 1)) == pytest.approx(0.63, abs=0.25)


def test_days_begin_at_the_hours_at_which_real_ones_do() -> None:
    """Of 1,200 days a quarter at each: five standard errors are .06."""
    rng = np.random.default_rng(5)
    hours, days = np.arange(4, 8), 1_200  # 5 and 7 h are below themselves in 32 bits
    first = rng.integers(0, 7, days) * 86_400 + rng.choice(hours, days) * 3_600
    t = (first[:, None] + 3_600 * np.array([0, 1, 3])).ravel()
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype("timedelta64[s]"),
        "kind": Coded(rng.integers(0, 2, len(t)).astype(np.int32), ("get", "post")),
    }
    records = Records(columns, np.arange(days + 1, dtype=np.int64) * 3)
    made = learn(GENERATOR.learn(requests(2)[0], MarkovParams(), 1), Local(records))
    twin = made.sample(0, days, 1)
    at = twin.columns["at"].astype(np.int64) / 1e6
    begun = (at[twin.offsets[:-1]] % 86_400 // 3_600).astype(int)
    share = np.bincount(begun, minlength=24) / len(begun)
    assert share[hours] == pytest.approx(0.25, abs=0.06)
    assert share[hours].sum() == pytest.approx(1.0)


def test_where_no_value_follows_itself_units_end_with_what_real_ones_end_with() -> None:
    """Weeks of eight events end with a rest; a unit that ends early, or rested before, may not."""
    rng = np.random.default_rng(6)
    weeks, each = 400, 8
    t = np.sort(rng.integers(0, 6 * 86_400, (weeks, each)), axis=1).ravel()
    kind = np.cumsum(rng.integers(1, 3, (weeks, each)), axis=1) % 3
    kind = (kind - kind[:, -1:]) % 3
    columns = {
        "at": np.datetime64("2024-03-04", "us") + t.astype("timedelta64[s]"),
        "kind": Coded(kind.ravel().astype(np.int32), ("rest", "get", "post")),
    }
    records = Records(columns, np.arange(weeks + 1, dtype=np.int64) * each)
    made = learn(GENERATOR.learn(requests(2)[0], MarkovParams(), 1), Local(records))
    twin = made.sample(0, weeks, 1)
    kinds = twin.columns["kind"]
    assert isinstance(kinds, Coded)
    assert (kinds.texts()[twin.offsets[1:] - 1] == "rest").mean() > 0.9
