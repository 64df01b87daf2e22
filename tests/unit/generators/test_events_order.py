"""Claims about ranks that are drawn: in their order, and never twice running where none is so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._events_coder import RANKS, own_ranks
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._events_returns import never_twice
from synth_spark.generators._events_stick import Stick
from synth_spark.generators._events_tables import CLOCKS
from synth_spark.generators.autoregressive import GENERATOR, AutoregressiveParams
from synth_spark.generators.markov import MarkovModel
from synth_spark.training.loop import train_local
from tests.unit.generators.events_world import SCHEMA as WORLD

SCHEMA = replace(WORLD, columns=tuple(c for c in WORLD.columns if c.name in ("at", "cell")))
CELLS = 60


def stays(subjects: int = 150, seed: int = 5, wide: int = 0) -> Records:
    """Stays at three to six cells of one's own, the first most often, none twice running.

    The first `wide` subjects have 30 stays at 25 cells.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 16, subjects)
    lengths[:wide] = 30
    cells, times = [], []
    for i, n in enumerate(lengths):
        own = rng.choice(CELLS, 25 if i < wide else rng.integers(3, 7), replace=False)
        now, way = -1, []
        for _ in range(n):
            weight = 1.0 / np.arange(1, len(own) + 1) * (np.arange(len(own)) != now)
            now = int(rng.choice(len(own), p=weight / weight.sum()))
            way.append(own[now])
        cells += way
        times.append(np.sort(rng.integers(0, 7 * 86_400, n)))
    at = np.datetime64("2024-03-04", "us") + np.concatenate(times).astype("timedelta64[s]")
    labels = tuple(f"cell{k:02d}" for k in range(CELLS))
    coded = Coded(np.array(cells, np.int32), labels)
    return Records({"at": at, "cell": coded}, np.concatenate([[0], np.cumsum(lengths)]))


@pytest.fixture(scope="module")
def model() -> EventsModel:
    params = AutoregressiveParams(min_subjects=1, max_epochs=3)
    story = GENERATOR.learn(SCHEMA, params, 1)
    found = learn(story, Local(stays(), parts=2, seed=1, train=train_local))
    return EventsModel.from_state(found.state())


def walked(records: Records) -> MarkovModel:
    """The walk that is learned from records of places."""
    markov = GENERATORS.get("markov")
    return learn(markov.learn(SCHEMA, markov.Params(min_subjects=1), 1), Local(records, parts=2))


def counts_of(model: EventsModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of 400 drawn units: the drawn counts of the ranks, those of the events, the events' ranks."""
    drawn = model.base.histories.draw(400, 1, 0)
    attributes = model.base.histories.attributes
    n = drawn.table[:, attributes.index("n")]
    slot = attributes.slots.of_token[0]
    plan = (attributes.shares(drawn.table, 0) * n[:, None])[:, slot]
    lengths, _, cats, _ = model.events(drawn, 1, 0)
    made = np.zeros((len(lengths), cats.max() + 1))
    np.add.at(made, (np.repeat(np.arange(len(lengths)), lengths), cats[:, 0]), 1)
    return plan, made, np.column_stack([np.repeat(np.arange(len(lengths)), lengths), cats[:, 0]])


def test_a_unit_is_drawn_with_no_more_events_of_a_rank_than_of_the_one_before(
    model: EventsModel,
) -> None:
    plan, _, _ = counts_of(model)
    assert (np.diff(np.rint(plan[:, :RANKS]), axis=1) <= 0).all()


def test_the_first_rank_is_the_most_visited_in_nearly_every_unit(model: EventsModel) -> None:
    """After three epochs the network itself knows little; the order does not hang on it."""
    _, made, _ = counts_of(model)
    assert (made[:, 0] == made.max(axis=1)).mean() > 0.85


def test_no_place_comes_twice_running_where_none_does(model: EventsModel) -> None:
    _, _, events = counts_of(model)
    assert not (np.diff(events, axis=0) == 0).all(axis=1).any()
    records = model.sample(0, 400, 1)
    same = np.diff(records.columns["cell"].codes) == 0
    # Two of a subject's ranks may get one label where it has no other.
    assert same[np.diff(records.owners) == 0].mean() < 0.02


def test_the_walk_too_draws_no_place_twice_running() -> None:
    """Subjects whose other places follow one another do not make their own places do so."""
    model = walked(stays(wide=50))
    made, _, cats, _ = model._events(model.base.histories.draw(400, 1, 0), 1, 0)
    assert model.base.histories.attributes.slots.alone[0] == RANKS
    inner = np.ones(len(cats), bool)
    inner[np.concatenate([[0], np.cumsum(made)[:-1]])] = False
    both = inner[1:] & (cats[:-1, 0] < RANKS) & (cats[1:, 0] < RANKS)
    assert (cats[1:, 0] == cats[:-1, 0])[both].mean() < 0.001  # where nothing else is left


def test_busy_units_of_the_walk_have_most_of_the_events_that_they_were_drawn_with() -> None:
    """A third of the subjects has three times the stays of the others; some units end early."""
    model = walked(stays(wide=50))
    drawn = model.base.histories.draw(400, 1, 0)
    n = drawn.table[:, model.base.histories.attributes.index("n")]
    made = model._events(drawn, 1, 0)[0]
    busy = n >= 17
    assert busy.sum() > 80
    assert made[busy].sum() > 0.9 * n[busy].sum()


def test_a_unit_with_the_nights_of_its_rhythm_is_not_tilted() -> None:
    model = walked(stays())
    x = model.base.histories.draw(50, 1, 0).table
    at = model.base.histories.attributes.index("night")
    x[:, at] = 1.0
    contexts = replace(model.contexts, nights=np.ones(CLOCKS))
    assert (contexts.tilts(model.base.histories.attributes, x) == 1.0).all()
    x[:, at] = 0.9  # odds 9 against those of .95, 19
    contexts = replace(model.contexts, nights=np.full(CLOCKS, 0.95))
    tilts = contexts.tilts(model.base.histories.attributes, x)
    assert tilts == pytest.approx(9 / 19, rel=0.05)


def test_units_of_the_walk_have_the_nights_that_they_were_drawn_with() -> None:
    """Of real units a quarter; a tenth and a half of 500 each. Days of a few events fall short."""
    model = walked(stays())
    drawn = model.base.histories.draw(1_000, 1, 0)
    part = np.where(np.arange(1_000) < 500, 0.1, 0.5)
    drawn.table[:, model.base.histories.attributes.index("night")] = part
    made, t, _, _ = model._events(drawn, 1, 0)
    late = np.repeat(part, made) > 0.3
    night = t % 86_400 < 6 * 3_600
    assert night[~late].mean() == pytest.approx(0.1, abs=0.03)
    assert night[late].mean() == pytest.approx(0.5, abs=0.1)


def test_the_walk_ends_at_home_as_often_as_real_units_do() -> None:
    """Units that come back to the first of their places at the end; 1,000 drawn: error .014."""
    real = stays()
    cells, ends = real.columns["cell"].codes.copy(), real.offsets[1:] - 1
    own = [np.bincount(cells[a:b]).argmax() for a, b in zip(real.offsets, ends, strict=False)]
    back = cells[ends - 1] != own
    cells[ends[back]] = np.array(own)[back]
    cell = Coded(cells, real.columns["cell"].labels)
    records = Records({**real.columns, "cell": cell}, real.offsets)
    found = walked(records).sample(0, 1_000, 1)

    def at_home(given: Records) -> float:
        parts = zip(given.offsets[:-1], given.offsets[1:], strict=True)
        codes = [given.columns["cell"].codes[a:b] for a, b in parts]
        return float(np.mean([(c == c[-1]).sum() == np.bincount(c).max() for c in codes]))

    assert abs(at_home(found) - at_home(records)) < 0.1


def test_other_values_are_told_apart_by_their_rows() -> None:
    codes = np.tile(np.arange(14), 40)
    owners = np.zeros(len(codes), np.int64)
    assert never_twice(codes, own_ranks(codes, owners), owners)
    codes[200] = codes[201] = 13
    assert not never_twice(codes, own_ranks(codes, owners), owners)
    few = np.arange(14)
    assert not never_twice(few, own_ranks(few, owners[:14]), owners[:14])  # too few to tell


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("missing", "distinct"), [(0.0, 4), (0.25, 5), (0.25, 12), (0.0, 11)])
def test_a_stick_of_ranks_leaves_for_those_behind_what_they_can_hold(
    share: float, missing: float, distinct: int
) -> None:
    """60 events; missing values and those beyond the ranks come first, then ten ranks."""
    stick = Stick(1)
    stick.n = np.array([60.0])
    stick.begin(np.array([float(distinct)]), 12, ranks=RANKS)
    got = []
    kinds = ["missing", "other", *["rank"] * (RANKS - 1)]
    for k, kind in enumerate(kinds):
        left = stick.left.copy()
        part = np.array([missing if kind == "missing" else share])
        taken = stick.take(part, np.array([0.0]), last=k == len(kinds) - 1, kind=kind)
        got.append(float(np.rint(taken * left)[0]))
    got.append(float(stick.left[0]))
    assert sum(got) == 60
    assert sum(x > 0 for x in got) == distinct
    assert got[0] == 60 * missing
    assert (got[1] > 0) == (distinct - (missing > 0) > RANKS)
    assert sorted(got[2:], reverse=True) == got[2:]


def test_where_no_value_comes_twice_running_none_has_more_than_half() -> None:
    """All counts up to 12, with and without a missing one: units of nothing but missing stay so."""
    for n in range(1, 13):
        for missing in (0, 1, n):
            stick = Stick(1)
            stick.n = np.array([float(n)])
            stick.begin(np.array([1.0 + (0 < missing < n)]), 12, ranks=RANKS, apart=True)
            got = []
            for kind in ("missing", "other", *["rank"] * (RANKS - 1)):
                left, share = stick.left.copy(), float(missing) / n if kind == "missing" else 1.0
                taken = stick.take(np.array([share]), np.zeros(1), last=False, kind=kind)
                got.append(float(np.rint(taken * left)[0]))
            assert sum(got) == n
            assert got[0] == missing
            assert max(got[1:]) <= -(-n // 2)


def test_missing_places_stay_as_many() -> None:
    """Three in ten cells are missing; 400 drawn subjects of about ten events: error .008."""
    records = stays()
    gone = np.random.default_rng(0).random(records.rows) < 0.3
    cell = records.columns["cell"]
    coded = Coded(np.where(gone, -1, cell.codes).astype(np.int32), cell.labels)
    given = Records({**records.columns, "cell": coded}, records.offsets)
    for name in ("markov", "autoregressive"):
        generator = GENERATORS.get(name)
        params = generator.Params(min_subjects=1, **({} if name == "markov" else {"max_epochs": 3}))
        local = Local(given, parts=2, seed=1, train=train_local)
        found = learn(generator.learn(SCHEMA, params, 1), local).sample(0, 400, 1)
        assert abs((found.columns["cell"].codes < 0).mean() - gone.mean()) < 0.06


def test_a_condition_holds_where_values_alternate() -> None:
    """Every second event is "out"; with nothing else allowed all are."""
    records = stays()
    side = np.concatenate([np.arange(n) % 2 for n in records.lengths])
    columns = {"at": records.columns["at"], "cell": Coded(side.astype(np.int32), ("in", "out"))}
    params = AutoregressiveParams(min_subjects=1, max_epochs=2)
    local = Local(Records(columns, records.offsets), parts=2, seed=1, train=train_local)
    model = learn(GENERATOR.learn(SCHEMA, params, 1), local)
    assert model.seen.layout.alone[0] == 2
    found = model.conditioned(Condition.parse(["cell=out"], SCHEMA)).sample(0, 200, 1)
    assert {found.columns["cell"].labels[c] for c in found.columns["cell"].codes} == {"out"}


def test_a_condition_holds_in_the_walk_where_values_alternate() -> None:
    records = stays()
    side = np.concatenate([np.arange(n) % 2 for n in records.lengths])
    columns = {"at": records.columns["at"], "cell": Coded(side.astype(np.int32), ("in", "out"))}
    model = walked(Records(columns, records.offsets))
    assert model.base.histories.attributes.slots.alone[0] == 2
    found = model.conditioned(Condition.parse(["cell=out"], SCHEMA)).sample(0, 200, 1)
    assert {found.columns["cell"].labels[c] for c in found.columns["cell"].codes} == {"out"}


def test_slots_are_filled_as_drawn_and_as_many_as_they_should_be() -> None:
    rng = np.random.default_rng(2)
    stick = Stick(4_000)
    stick.n = rng.integers(1, 30, 4_000).astype(float)
    wanted = stick.begin(rng.integers(1, 7, 4_000).astype(float), 6)
    counts, left = [], stick.n.copy()
    for k in range(5):
        free = (stick.owed > 0) & (stick.owed < 6 - k)
        drawn = (rng.random(4_000) < 0.5).astype(float)
        some = stick.used(drawn)
        assert (some[free] == drawn[free]).all()
        low, high = stick.between()
        share = low + (high - low) * rng.random(4_000)
        counts.append(np.rint(stick.take(share, rng.random(4_000), k == 4) * left))
        assert ((counts[-1] > 0) == (some > 0)).all()
        left = left - counts[-1]
    counts.append(left)
    filled = (np.array(counts) > 0).sum(axis=0)
    assert (filled == np.minimum(wanted, stick.n)).all()
    assert (np.sum(counts, axis=0) == stick.n).all()
