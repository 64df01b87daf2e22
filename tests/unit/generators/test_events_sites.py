"""Labels that have a place: a subject's cells lie where its cells would lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from synth_spark.columns.determined import Determined, Group
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._events_evidence import Evidence
from synth_spark.generators._events_places_kernels import apart_km
from synth_spark.generators._events_sites import Sites
from synth_spark.generators.markov import GENERATOR, MarkovModel, MarkovParams

SUBJECTS, EVENTS, TOWNS, CELLS = 160, 24, 4, 12  # cells of each town
LABELS = tuple(f"t{k // CELLS}-{k % CELLS}" for k in range(TOWNS * CELLS))
PLACES = np.column_stack(
    [48 + np.arange(TOWNS * CELLS) // CELLS, 11 + np.arange(TOWNS * CELLS) % CELLS * 0.02]
)  # towns are a degree of latitude apart, neighbours in one 1.5 km
SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="phone", kind="identifier"),
    time="at",
    columns=(
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="cell", kind="category"),
        Column(name="rat", kind="category"),
        Column(name="lat", kind="place", partner="lon"),
        Column(name="lon", kind="place"),
    ),
)


def records(placed: float = 1.0) -> Records:
    """Phones of one town each, at four of its cells; even cells are 4G, odd ones 5G."""
    rng = np.random.default_rng(3)
    town = np.arange(SUBJECTS) % TOWNS
    own = np.array([rng.choice(CELLS, 4, replace=False) for _ in town]) + town[:, None] * CELLS
    cell = own[
        np.arange(SUBJECTS)[:, None],
        rng.choice(4, (SUBJECTS, EVENTS), p=(4, 3, 2, 1) / np.float64(10)),
    ]
    at = np.sort(rng.integers(0, 7 * 86_400, (SUBJECTS, EVENTS)), axis=1).ravel()
    places = np.where(rng.random(len(LABELS))[:, None] < placed, PLACES, np.nan)[cell.ravel()]
    columns = {
        "at": np.datetime64("2026-01-05", "us") + at.astype("timedelta64[s]"),
        "cell": Coded(cell.ravel().astype(np.int32), LABELS),
        "rat": Coded((cell.ravel() % 2).astype(np.int32), ("4G", "5G")),
        "lat": places[:, 0],
        "lon": places[:, 1],
    }
    return Records(columns, np.arange(SUBJECTS + 1, dtype=np.int64) * EVENTS)


def looked_up() -> Determined:
    codes = np.arange(len(LABELS))
    group = Group(
        "cell", "", "", "label", False, ("lat",), LABELS, (), np.zeros(0),
        np.ones(len(codes)), (PLACES,),
    )  # fmt: skip
    return Determined((group,))


def learned(real: Records) -> MarkovModel:
    story = GENERATOR.learn(looked_up().rest(SCHEMA), MarkovParams(leaf=15, trees=5), 1)
    model: MarkovModel = learn(story, Local(real, parts=2))
    return MarkovModel.from_state(model.state())


@pytest.fixture(scope="module")
def model() -> MarkovModel:
    return learned(records())


@pytest.fixture(scope="module")
def twin(model: MarkovModel) -> Records:
    return model.sample(0, 300, 1)


def cells(twin: Records) -> NDArray[np.int64]:
    """The cell of each row as a position in `LABELS`."""
    coded = twin.columns["cell"]
    assert isinstance(coded, Coded)
    return np.array([LABELS.index(label) for label in coded.labels])[coded.codes]


def test_a_schema_says_which_labels_have_a_place() -> None:
    rest = looked_up().rest(SCHEMA)
    assert rest.sites == (("cell", "lat", "lon"),)
    assert [c.name for c in rest.columns] == ["at", "cell", "rat"]
    assert Schema.from_json(rest.to_json()) == rest


def test_a_subject_stays_in_the_town_of_its_cells(twin: Records) -> None:
    town = cells(twin) // CELLS
    first = town[twin.offsets[:-1]][twin.owners]
    assert (town == first).mean() > 0.97


def test_ranks_of_a_subject_are_different_cells(model: MarkovModel, twin: Records) -> None:
    own = cells(twin)
    distinct = [
        len(set(own[a:b])) for a, b in zip(twin.offsets[:-1], twin.offsets[1:], strict=True)
    ]
    real = cells(records()).reshape(SUBJECTS, EVENTS)
    assert np.mean(distinct) == pytest.approx(np.mean([len(set(row)) for row in real]), abs=0.25)


def serving(twin: Records) -> float:
    """Share of the events at a cell that serves their radio."""
    rat = twin.columns["rat"]
    assert isinstance(rat, Coded)
    of_event = np.array([("4G", "5G").index(v) for v in rat.labels])[rat.codes]
    return float((cells(twin) % 2 == of_event).mean())


def test_events_still_speak_for_the_cells_that_serve_them(
    model: MarkovModel, twin: Records
) -> None:
    at = [c.name for c in model.base.coder.cats].index("cell")
    sites = model.base.identities[at]
    assert isinstance(sites, Sites)
    deaf = replace(sites.identity, evidence=Evidence(()))
    places = replace(sites, places=replace(sites.places, identity=deaf))
    identities = (*model.base.identities[:at], places, *model.base.identities[at + 1 :])
    without = replace(model, base=replace(model.base, identities=identities))
    assert serving(without.sample(0, 300, 1)) == pytest.approx(0.5, abs=0.05)
    assert serving(twin) > 0.6


def test_labels_of_which_few_have_a_place_are_given_without(model: MarkovModel) -> None:
    at = [c.name for c in model.base.coder.cats].index("cell")
    assert isinstance(model.base.identities[at], Sites)
    assert not isinstance(learned(records(placed=0.2)).base.identities[at], Sites)


def test_a_label_without_a_place_comes_as_often_as_the_others() -> None:
    real = records(placed=0.8)
    nowhere = np.unique(cells(real)[np.isnan(np.asarray(real.columns["lat"]))])
    twin = learned(real).sample(0, 300, 1)
    want, got = (np.isin(cells(r), nowhere).mean() for r in (real, twin))
    assert 0.15 < want < 0.4
    assert got == pytest.approx(want, abs=0.06)


def test_steps_from_cell_to_cell_are_as_long_as_real_ones(twin: Records) -> None:
    def km(some: Records) -> float:
        at, inner = PLACES[cells(some)], np.flatnonzero(np.diff(some.owners) == 0)
        return float(np.median([apart_km(*at[i], *at[i + 1]) for i in inner.tolist()]))

    assert km(twin) == pytest.approx(km(records()), rel=0.3)


def test_the_place_of_a_label_that_one_subject_has_is_not_in_the_model() -> None:
    real = records()
    coded = real.columns["cell"]
    assert isinstance(coded, Coded)
    codes, lat = coded.codes.copy(), np.asarray(real.columns["lat"]).copy()
    codes[:5], lat[:5] = len(LABELS), 70.0  # the first phone alone, at the end of the world
    columns = {**real.columns, "cell": Coded(codes, (*LABELS, "far")), "lat": lat}
    model = learned(Records(columns, real.offsets))
    sites = model.base.identities[[c.name for c in model.base.coder.cats].index("cell")]
    assert isinstance(sites, Sites)
    north = sites.centre[:, 0] + sites.reach[:, 0]
    assert north.max() <= PLACES[:, 0].max() + 1e-9


def test_one_row_with_another_place_moves_no_label() -> None:
    real = records()
    lat = np.asarray(real.columns["lat"]).copy()
    lat[3] = 70.0
    model = learned(Records({**real.columns, "lat": lat}, real.offsets))
    sites = model.base.identities[[c.name for c in model.base.coder.cats].index("cell")]
    assert isinstance(sites, Sites)
    told = ~sites.nowhere
    assert sites.centre[:, 0].max() <= PLACES[:, 0].max()
    assert set(sites.centre[told, 0].tolist()) <= set(PLACES[:, 0].tolist())


def test_cells_on_one_meridian_are_drawn_with_and_without_places() -> None:
    real = records(placed=0.8)
    lon = np.where(np.isnan(np.asarray(real.columns["lon"])), np.nan, 11.0)
    model = learned(Records({**real.columns, "lon": lon}, real.offsets))
    assert model.sample(0, 60, 1).subjects == 60
