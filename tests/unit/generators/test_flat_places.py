"""Places of a flat table: sites that lie in their region, and parts of the map."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._flat_model import Pass
from synth_spark.generators._flat_places import basis, parts
from synth_spark.generators._flat_story import encode
from synth_spark.generators.autoregressive import GENERATOR
from synth_spark.training.loop import train_local

torch = pytest.importorskip("torch")


SITES = Schema(
    family="table", shape="flat",
    columns=(
        Column(name="lat", kind="place", source_type="double", partner="lon"),
        Column(name="lon", kind="place", source_type="double"),
        Column(name="region", kind="category", source_type="string"),
    ),
)  # fmt: skip
CENTRES = np.array([[52.0, 5.0], [51.0, 4.0], [52.0, 6.5], [53.0, 5.5], [50.5, 6.0]])


def sites(rows: int) -> Records:
    """So many around the centre of their region, about 15 km from it."""
    rng = np.random.default_rng(8)
    region = rng.integers(0, 5, rows)
    lat, lon = np.round(CENTRES[region] + rng.normal(0, 0.15, (rows, 2)), 5).T
    return Records.flat({"lat": lat, "lon": lon, "region": Coded.of([str(r) for r in region])})


def elsewhere(records: Records) -> float:
    """Share of the sites that lie nearest to the centre of another region than theirs."""
    at = np.column_stack([records.columns["lat"], records.columns["lon"]]).astype(float)
    nearest = ((at[:, None] - CENTRES) ** 2).sum(axis=2).argmin(axis=1)
    region = np.array([int(r) for r in records.columns["region"].texts()])
    return float(np.mean(nearest != region))


@pytest.mark.parametrize("rows", [450, 6_000])
def test_sites_lie_in_their_region(rows):
    """On their own four in five would lie elsewhere."""
    records = sites(rows)
    assert elsewhere(records) < 0.02
    story = GENERATOR.learn(SITES, GENERATOR.Params(), 0)
    model = learn(story, Local(records, train=train_local, seed=0))
    assert elsewhere(model.sample(0, 1_000, 0)) < 0.08


@pytest.mark.parametrize("many", [40, 300])
def test_a_label_hangs_on_its_site_and_not_on_the_region(many):
    """Sites have one of four techs whatever is near by; 95 % of the rows of each have it."""
    rng = np.random.default_rng(0)
    at = np.round(np.column_stack([rng.uniform(50, 53, many), rng.uniform(3, 7, many)]), 5)
    tech, site = rng.integers(0, 4, many), rng.integers(0, many, 6_000)
    other = rng.random(6_000) < 0.05
    labels = Coded.of([str(t) for t in np.where(other, rng.integers(0, 4, 6_000), tech[site])])
    records = Records.flat({"lat": at[site, 0], "lon": at[site, 1], "region": labels})
    story = GENERATOR.learn(SITES, GENERATOR.Params(max_epochs=4), 0)
    drawn = learn(story, Local(records, train=train_local, seed=0)).sample(0, 2_000, 0).columns
    its = {tuple(place): t for place, t in zip(at.tolist(), tech.tolist(), strict=True)}
    places = zip(drawn["lat"].tolist(), drawn["lon"].tolist(), strict=True)
    agree = [its[place] == int(t) for place, t in zip(places, drawn["region"].texts(), strict=True)]
    assert np.mean(agree) > 0.93  # .9625 in the records


def test_places_that_are_all_missing_or_one_are_learned(recwarn):
    for at in (np.nan, 52.0):
        there = np.where(np.arange(400) % 4 > 0, at, np.nan)
        columns = {"lat": there, "lon": there - 47, "region": Coded.of(["a", "b"] * 200)}
        story = GENERATOR.learn(SITES, GENERATOR.Params(max_epochs=1), 0)
        model = learn(story, Local(Records.flat(columns), train=train_local, seed=0))
        drawn = np.asarray(model.sample(0, 400, 0).columns["lat"])
        assert np.isnan(drawn).mean() == pytest.approx(np.isnan(there).mean(), abs=0.08)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize("most", [5_000, 10])
def test_places_have_the_networks_own_probabilities(monkeypatch, most):
    """Also where they are many: they leave through learned vectors, and tables are of parts."""
    leave = "synth_spark.generators._flat_learn"
    monkeypatch.setattr(f"{leave}.calibrated", lambda tables, *_: tables)
    monkeypatch.setattr(f"{leave}.settled", lambda model, *_: model.tables)
    near = "synth_spark.generators._flat_near"
    monkeypatch.setattr(f"{near}._MOST_TOKENS", min(most, 400))
    monkeypatch.setattr("synth_spark.generators._flat_layout.MOST_PLAIN", min(most, 200))
    monkeypatch.setattr(f"{near}.MOST_PLAIN", min(most, 200))
    monkeypatch.setattr("synth_spark.generators._flat_zeros._MOST_LABELS", min(most, 200))
    records, kept = sites(450), {}
    number = np.array([float(r) for r in records.columns["region"].texts()])
    columns = (Column(name="code", kind="number", source_type="double"), *SITES.columns)
    schema = Schema(family="table", shape="flat", columns=columns)
    records = Records.flat({"code": 10 * number, **records.columns})

    def train(request, held, seed):
        kept["trainee"], kept["trained"] = request.trainee, train_local(request, held, seed)
        return kept["trained"]

    params = GENERATOR.Params(max_epochs=2, boost=False, relations=False)
    model = learn(GENERATOR.learn(schema, params, 0), Local(records, train=train, seed=0))
    assert kept["trainee"].layout.ranks[1] == (0 if most > 10 else 32)
    assert [slot for slot, _ in kept["trainee"].layout.beside[1]] == [0]
    tokens = encode(model.coder, records).context["tokens"][:200]
    module = kept["trainee"].build()
    module.load_state_dict({k: torch.tensor(v) for k, v in kept["trained"].weights.items()})
    with torch.no_grad():
        nats = module.eval()(torch.tensor(tokens)).numpy()
    net, total = Pass(model.tables, np.ascontiguousarray(tokens.T)), np.zeros(200)
    for c in range(len(model.tables)):
        logits = net.logits(c).astype(float)
        logits -= logits.max(axis=1, keepdims=True)
        total += np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(200), tokens[:, c]]
    np.testing.assert_allclose(total, nats, atol=2e-3)


def test_parts_hold_as_many_places_and_lie_apart():
    """Two towns of four corners each: first the towns, then their halves, then the corners."""
    corners = np.array([[0.0, 0.0], [0.0, 0.1], [0.2, 0.0], [0.2, 0.1]])
    towns = np.vstack([corners, corners + np.array([0, 3.0])]) + np.array([50.0, 5.0])
    first, second, third = parts(towns, 8)
    assert len(set(first[:4])) == len(set(first[4:])) == 1
    assert first[0] != first[4]
    np.testing.assert_array_equal(np.bincount(second), [2, 2, 2, 2])
    assert second[0] == second[1] != second[2] == second[3]  # .2 degrees north is the longer side
    assert sorted(third) == list(range(8))
    assert len(list(parts(towns, 5))) == 2
    assert not list(parts(towns[:1], 8))


def test_a_missing_place_lies_nowhere():
    centre = np.array([[50.0, 5.0], [51.0, 5.0], [52.0, 6.0], [53.0, 6.0]])
    told = basis(SimpleNamespace(centre=centre, vocabulary=5), 4)
    np.testing.assert_array_equal(told[4], [0] * (told.shape[1] - 1) + [1])
    assert (told[:4, -1] == 0).all()
    assert (told[:4, 2:4].argmax(axis=1) == [0, 0, 1, 1]).all()
