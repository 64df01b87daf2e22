"""Labels behind ranks hang on the subject and on its events, where the records say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._events_coder import RANKS
from synth_spark.generators._events_decode import Base, learn_base
from synth_spark.generators._events_evidence import Events, Said, beside_of
from synth_spark.generators._events_evidence_search import fewer
from synth_spark.generators._events_identity import Identity
from synth_spark.generators._events_identity_kernels import assign, assign_by

SUBJECTS, EVENTS, CELLS = 400, 24, 60
KINDS = ("call", "data", "text")


@dataclass(frozen=True)
class World:
    """Phones that are of one of two regions; each cell is of a region and serves one kind most."""

    base: Base
    records: Records
    region: NDArray[np.int64]  # (subjects,)

    @property
    def identity(self) -> Identity:
        found = self.base.identities[[c.name for c in self.base.coder.cats].index("cell")]
        assert isinstance(found, Identity)
        return found


def learned(columns: dict[str, Values], *more: Column) -> tuple[Base, Records]:
    """What is learned of phones with a time, a cell and more columns."""
    first = Column(name="at", kind="time"), Column(name="cell", kind="category")
    schema = Schema(
        family="table", shape="events", time="at", key=Column(name="phone", kind="identifier"),
        columns=(*first, *more),
    )  # fmt: skip
    records = Records(columns, np.arange(SUBJECTS + 1, dtype=np.int64) * EVENTS)
    story = learn_base(schema, min_subjects=5, bins=8, leaf=20, trees=1, seed=0)
    return learn(story, Local(records))[0], records


def world(telling: bool) -> World:
    rng = np.random.default_rng(4)
    region = rng.integers(0, 2, SUBJECTS)
    own = np.array([rng.choice(CELLS // 2, 4, replace=False) * 2 for _ in range(SUBJECTS)])
    own += region[:, None] if telling else rng.integers(0, 2, own.shape)
    cell = own[np.arange(SUBJECTS)[:, None], rng.integers(0, 4, (SUBJECTS, EVENTS))].ravel()
    kind = rng.integers(0, 3, SUBJECTS * EVENTS)
    if telling:
        kind = np.where(rng.random(len(cell)) < 0.9, cell // 2 % 3, kind)
    at = np.sort(rng.integers(0, 7 * 86_400, (SUBJECTS, EVENTS)), axis=1).ravel()
    columns = {
        "at": np.datetime64("2026-01-05", "us") + at.astype("timedelta64[s]"),
        "cell": Coded(cell.astype(np.int32), tuple(f"c{k}" for k in range(CELLS))),
        "kind": Coded(kind.astype(np.int32), KINDS),
        "region": Coded(np.repeat(region, EVENTS).astype(np.int32), ("north", "south")),
    }
    more = (
        Column(name="kind", kind="category"),
        Column(name="region", kind="category", per="subject"),
    )
    base, records = learned(columns, *more)
    return World(base, records, region)


@pytest.fixture(scope="module")
def telling() -> World:
    return world(telling=True)


def drawn(of: World) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Label of each rank (subjects, RANKS), ranks and kinds of the real events."""
    coder, records = of.base.coder, of.records
    units = coder.units(records)
    names = [c.name for c in coder.cats]
    ranks, kinds = units.cats[:, names.index("cell")], units.cats[:, names.index("kind")]
    seconds = np.asarray(records.columns["at"]).astype(np.int64) / 1e6
    events = Events(records.owners, seconds, units.cats, units.nums)
    own = np.asarray(coder.subject[0].codec.encode(records.columns["region"]))
    said = Said(own[records.offsets[:-1], None].astype(np.int32), records.offsets, ranks, events)
    labels = of.identity.labels(SUBJECTS, np.random.default_rng(1), said)
    return labels, ranks, kinds


def test_a_cell_is_of_the_subjects_region_and_serves_the_kind_of_its_events(
    telling: World,
) -> None:
    assert {f.kind for f in telling.identity.evidence.features} >= {"own", "cats"}
    labels, ranks, kinds = drawn(telling)
    column = next(c for c in telling.base.coder.cats if c.name == "cell")
    name = column.codec.decode(np.arange(column.codec.vocabulary), np.zeros(0)).texts()
    number = np.array([int(str(t)[1:]) if str(t)[1:].isdigit() else -1 for t in name])
    cell = number[labels[telling.records.owners, ranks]]
    assert (cell >= 0).all()
    region = telling.region[telling.records.owners]
    assert (cell % 2 == region).mean() > 0.95  # one in two without evidence
    kind = np.array([KINDS.index(t) for t in telling.base.coder.cats[1].codec.decode(
        kinds, np.zeros(0)).texts()])  # fmt: skip
    assert (cell // 2 % 3 == kind).mean() > 0.8  # .93 in the records, one in three without


def test_no_label_stands_for_two_ranks_of_a_subject(telling: World) -> None:
    labels, ranks, _ = drawn(telling)
    used = np.zeros(labels.shape, bool)
    used[telling.records.owners, ranks] = True
    for row, mine in zip(labels, used, strict=True):
        assert len(set(row[mine].tolist())) == mine.sum()


def test_where_nothing_tells_there_is_no_evidence() -> None:
    assert world(telling=False).identity.evidence.features == ()


def test_without_nats_labels_are_as_common_as_by_the_plain_draw() -> None:
    """Shares of 40,000 draws, each within four of its own deviations: wrong in 1 of 500 runs."""
    rng = np.random.default_rng(2)
    first, popular = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    pairs = np.array([0, 1, 1, 1]), np.array([2]), np.array([5.0])
    many = 40_000
    plain = assign(rng.random((many, 2, 80)), np.cumsum(first), np.cumsum(popular), *pairs, -1)
    none = np.zeros((many, 2, 3)), np.zeros((many, 2, 2)), np.zeros((0, 0))
    by = assign_by(rng.random((many, 2)), *none, first, popular, *pairs, -1)
    for k in range(2):
        shares = [np.bincount(x[:, k], minlength=3) / many for x in (plain, by)]
        np.testing.assert_allclose(shares[0], shares[1], atol=4 * np.sqrt(2 * 0.25 / many))


def test_a_label_beside_another_leans_to_those_that_real_events_have_beside_it() -> None:
    """Of labels 1 and 2 one in two; beside label 0, twice, nats of log 3 / 2: label 1 three to one.

    A share of 40,000 draws is off by .0087 (four of its own deviations) once in 16,000.
    """
    many, u = 40_000, np.random.default_rng(3).random((40_000, 2))
    first, popular = np.array([1.0, 0, 0]), np.array([0.2, 0.4, 0.4])
    pairs = np.zeros(4, np.int64), np.zeros(0, np.int64), np.zeros(0)
    beside = np.tile([[0.0, 0.0], [2.0, 0.0]], (many, 1, 1))
    table = np.array([[0.0, np.log(3) / 2, 0.0], [9, 9, 9], [9, 9, 9]])
    out = assign_by(u, np.zeros((many, 2, 3)), beside, table, first, popular, *pairs, -1)
    assert (out[:, 0] == 0).all()
    assert abs((out[:, 1] == 1).mean() - 0.75) < 0.0087


def test_with_fewer_labels_than_ranks_one_is_given_again_and_none_without_a_chance() -> None:
    """As under a prompt on labels 2 and 3: the others have no chance."""
    rng = np.random.default_rng(5)
    chance = np.array([0.0, 0.0, 0.7, 0.3])
    pairs = np.zeros(5, np.int64), np.zeros(0, np.int64), np.zeros(0)
    out = assign_by(
        rng.random((500, 4)), rng.normal(size=(500, 4, 4)), np.zeros((500, 4, 4)),
        np.zeros((0, 0)), chance, chance, *pairs, -1,
    )  # fmt: skip
    assert set(out.ravel().tolist()) == {2, 3}
    assert (np.sort(out[:, :2], axis=1) == [2, 3]).all()


def test_of_many_pairs_those_of_some_subjects_are_kept_and_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("synth_spark.generators._events_evidence_search._MOST_PAIRS", 30)
    pairs = np.column_stack([np.repeat(np.arange(40), 3), np.tile([5, 6, 7], 40)])
    of_event = np.append(np.repeat(np.arange(120), 2), -1)
    kept, again = fewer(pairs, of_event)
    assert len(kept) == 30
    assert (np.bincount(pairs[kept, 0])[np.unique(pairs[kept, 0])] == 3).all()
    there = again >= 0
    assert there.sum() == 60
    assert (kept[again[there]] == of_event[there]).all()


def test_neighbours_are_counted_both_ways_within_a_subject() -> None:
    pair, owners = np.array([0, 0, 1, -1, 1, 2, 3]), np.array([0, 0, 0, 0, 0, 0, 1])
    of, other = beside_of(pair, owners)
    assert sorted(zip(of.tolist(), other.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_the_evidence_outlives_the_wire(telling: World) -> None:
    again = Identity.from_state(telling.identity.state())
    assert [f.weight for f in again.evidence.features] == [
        f.weight for f in telling.identity.evidence.features
    ]
    assert RANKS == 10  # what `labels` gives places for


def test_a_label_is_told_by_the_very_number_that_goes_with_it() -> None:
    """Neighbours in length lie in other cells, so groups of them tell nothing."""
    rng = np.random.default_rng(6)
    own = np.array([rng.choice(CELLS, 4, replace=False) for _ in range(SUBJECTS)])
    cell = own[np.arange(SUBJECTS)[:, None], rng.integers(0, 4, (SUBJECTS, EVENTS))].ravel()
    length = 10.0 + cell * 23 % 40
    at = np.sort(rng.integers(0, 7 * 86_400, (SUBJECTS, EVENTS)), axis=1).ravel()
    columns = {
        "at": np.datetime64("2026-01-05", "us") + at.astype("timedelta64[s]"),
        "cell": Coded(cell.astype(np.int32), tuple(f"c{k}" for k in range(CELLS))),
        "length": length,
    }
    base, records = learned(columns, Column(name="length", kind="number"))
    identity = base.identities[0]
    assert isinstance(identity, Identity)
    first = identity.evidence.features[0]
    assert (first.kind, len(first.ratio)) == ("nums", 40)
    units = base.coder.units(records)
    events = Events(records.owners, at.astype(float), units.cats, units.nums)
    ranks = units.cats[:, 0]
    said = Said(np.zeros((SUBJECTS, 0), np.int32), records.offsets, ranks, events)
    labels = identity.labels(SUBJECTS, np.random.default_rng(1), said)
    codec = base.coder.cats[0].codec
    name = codec.decode(np.arange(codec.vocabulary), np.zeros(0)).texts()
    drawn = np.array([int(str(t)[1:]) for t in name])[labels[records.owners, ranks]]
    assert (10.0 + drawn * 23 % 40 == length).mean() > 0.9  # one in forty without it
