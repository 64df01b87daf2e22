from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest

from synth_spark.columns.survey import Survey, survey_state
from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator
from synth_spark.core.wire import dumps, loads
from synth_spark.errors import EmptyTableError
from synth_spark.generators._flat_fields import fields_of
from synth_spark.generators._flat_learn import longer_of, schedule_of
from synth_spark.generators._flat_model import Pass
from synth_spark.generators._flat_story import NothingToLearnError, encode
from synth_spark.generators.autoregressive import GENERATOR

torch = pytest.importorskip("torch")

ROWS = 1_200
SCHEMA = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="plan", kind="category", per="subject"),
        Column(name="add_on", kind="category", per="subject"),
        Column(name="paid", kind="category", source_type="boolean", per="subject"),
        Column(name="months", kind="number", per="subject"),
        Column(name="price", kind="number", per="subject"),
        Column(name="total", kind="number", per="subject"),
        Column(name="cents", kind="number", per="subject"),
        Column(name="joined", kind="time", per="subject"),
        Column(name="left", kind="time", per="subject"),
        Column(name="msisdn", kind="identifier", per="subject"),
    ),
)


def records(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    plan = rng.integers(0, 3, rows)
    add_on = np.where(plan == 0, 0, rng.integers(0, 2, rows))  # plan a never has the add-on
    months = rng.integers(0, 73, rows).astype(float)
    price = np.round(20 + 15.0 * plan + rng.integers(0, 80, rows) / 4, 2)
    price[rng.random(rows) < 0.1] = np.nan
    total = np.where(months == 0, np.nan, np.round(np.nan_to_num(price, nan=33) * months, 2))
    joined = np.datetime64("2020-01-01", "us") + rng.integers(0, 900, rows) * np.timedelta64(1, "D")
    joined += rng.integers(8, 18, rows) * np.timedelta64(3_600, "s")
    left = joined + rng.integers(60, 7_200, rows) * np.timedelta64(1, "s")
    left[rng.random(rows) < 0.3] = np.datetime64("NaT")
    return Records.flat(
        {
            "plan": Coded.of([("a", "b", "c")[i] for i in plan]),
            "add_on": Coded.of([("no", "yes")[i] for i in add_on]),
            "paid": Coded.of([("true", "false")[i] for i in rng.integers(0, 2, rows)]),
            "months": months,
            "price": price,
            "total": total,
            "cents": np.where(np.isnan(price), np.nan, np.rint(price * 100)),
            "joined": joined,
            "left": left,
            "msisdn": Coded.of([f"x{i}" for i in range(rows)]),
        }
    )


def plain_loop(request, held, seed=0):
    """The shortest loop that trains: no shards, no averaging, no schedule."""
    trainee = request.trainee
    torch.manual_seed(0)
    module = trainee.build()
    batch = {k: torch.tensor(v) for k, v in trainee.examples(request.encode(held)).items()}
    adam = torch.optim.AdamW(module.parameters(), lr=5e-3)
    for _ in range(25):
        adam.zero_grad()
        trainee.loss(module, batch).mean().backward()
        adam.step()
    weights = {k: v.detach().numpy() for k, v in module.state_dict().items()}
    return _Trained(weights, module)


class _Trained:
    curve: tuple = ()
    stopped, best_epoch = "epochs", 0

    def __init__(self, weights, module):
        self.weights, self.module = weights, module


@lru_cache
def learned(parts=1):
    kept = {}

    def train(request, held, seed):
        kept["module"], kept["request"] = plain_loop(request, held), request
        return kept["module"]

    story = GENERATOR.learn(SCHEMA, GENERATOR.Params(), 0)
    return learn(story, Local(records(), parts=parts, train=train)), kept


def drawn(model, blocks=2, seed=3):
    return Records.joined([model.sample(b, model.block_size, seed) for b in range(blocks)]).columns


def test_every_column_but_the_identifier_is_drawn_in_its_form():
    columns = drawn(learned()[0], 1)
    assert set(columns) == {c.name for c in SCHEMA.columns} - {"msisdn"}
    assert isinstance(columns["plan"], Coded)
    assert columns["joined"].dtype == np.dtype("datetime64[us]")
    assert columns["price"].dtype == np.float64


def test_the_same_seed_and_block_give_the_same_rows_whatever_else_is_asked():
    model = learned()[0]
    few, all_rows = model.sample(5, 10, 1), model.sample(5, model.block_size, 1)
    other = model.sample(6, 10, 1)
    for name, values in few.columns.items():
        whole = all_rows.columns[name][slice(0, 10)]
        if isinstance(values, Coded):
            assert values.texts().tolist() == whole.texts().tolist()
        else:
            np.testing.assert_array_equal(values, whole)
    assert not np.array_equal(few.columns["joined"], other.columns["joined"])


def test_the_wire_gives_the_model_back_and_parts_change_nothing():
    model, bytes_ = learned()[0], dumps(learned()[0].state())
    again = GENERATOR.Model.from_state(loads(bytes_))
    np.testing.assert_array_equal(again.sample(0, 50, 2).columns["total"],
                                  model.sample(0, 50, 2).columns["total"])  # fmt: skip
    assert dumps(learned(4)[0].state()) == bytes_


def leave_the_biases(monkeypatch):
    """As trained, so that they are the network's."""
    learn_flat = "synth_spark.generators._flat_learn"
    monkeypatch.setattr(f"{learn_flat}.calibrated", lambda tables, *_: tables)
    monkeypatch.setattr(f"{learn_flat}.settled", lambda model, *_: model.tables)


def test_folded_tables_give_the_networks_own_probabilities(monkeypatch):
    leave_the_biases(monkeypatch)
    model, kept = learned.__wrapped__()
    tokens = encode(model.coder, records()).context["tokens"][:200]
    module = kept["module"].module.eval()
    with torch.no_grad():
        nats = module(torch.tensor(tokens)).numpy()
    np.testing.assert_allclose(_nats(model, tokens), nats, atol=2e-3)


def _nats(model, tokens):
    """The slow obvious way: look every table up row by row."""
    rows, h, top, total = len(tokens), [], [], np.zeros(len(tokens))
    for c, t in enumerate(model.tables):
        hidden = np.tile(t.hidden_bias, (rows, 1))
        for slot, start in zip(t.hidden_slots, t.hidden_starts, strict=True):
            hidden += t.hidden[start + tokens[:, slot]]
        h.append(np.maximum(hidden, 0))
        seen = np.hstack(h)[:, -len(t.second) :]  # all blocks, or its own in a wide table
        top.append(np.maximum(seen @ t.second + t.second_bias, 0))
        logits = t.bias + np.hstack(top)[:, -len(t.up) :] @ t.up
        for slot, start in zip(t.direct_slots, t.direct_starts, strict=True):
            logits = logits + t.direct[start + tokens[:, slot]]
        logits = logits - logits.max(1, keepdims=True)
        total += np.log(np.exp(logits).sum(1)) - logits[np.arange(rows), tokens[:, c]]
    return total


def test_a_wide_table_whose_columns_see_their_strongest_slots_only_folds_too(monkeypatch):
    monkeypatch.setattr("synth_spark.generators._flat_layout._WIDE", 3)
    monkeypatch.setattr("synth_spark.generators._flat_layout._REACH", 2)
    leave_the_biases(monkeypatch)
    kept = {}

    def train(request, held, seed):
        kept["trained"] = plain_loop(request, held)
        return kept["trained"]

    model = learn(GENERATOR.learn(SCHEMA, GENERATOR.Params(), 0), Local(records(), train=train))
    assert max(len(t.hidden_slots) for t in model.tables) == 2
    assert {t.second.shape for t in model.tables} == {(12, 12)}
    tokens = encode(model.coder, records()).context["tokens"][:200]
    with torch.no_grad():
        nats = kept["trained"].module.eval()(torch.tensor(tokens)).numpy()
    np.testing.assert_allclose(_nats(model, tokens), nats, atol=2e-3)


def test_a_table_larger_than_the_sample_is_counted_whole(monkeypatch):
    """Twelve rows outside the sample hold a pair: it must not count as one that never occurs."""
    monkeypatch.setattr("synth_spark.generators._flat_story.SAMPLE_ROWS", 300)
    held = records()
    outside = generator(0, "take").permutation(ROWS)[300:312]
    codes = held.columns["plan"].recode(("a", "b", "c"), -1).copy()
    adds = held.columns["add_on"].recode(("no", "yes"), -1).copy()
    codes[outside], adds[outside] = 0, 1
    columns = {**held.columns, "plan": Coded(codes, ("a", "b", "c"))}
    columns["add_on"] = Coded(adds, ("no", "yes"))
    kept = {}

    def train(request, rows, seed):
        kept["request"] = request
        return plain_loop(request, rows)

    story = GENERATOR.learn(SCHEMA, GENERATOR.Params(), 0)
    model = learn(story, Local(Records.flat(columns), parts=4, train=train))
    names = [d.field.name for d in model.coder.drawn]
    sizes = kept["request"].trainee.layout.sizes
    start = sum(sizes[: names.index("add_on")])
    never = kept["request"].trainee.layout.never[:, start : start + 2]
    assert not never.any()
    assert model.facts["subjects"] == ROWS


@pytest.mark.parametrize(
    ("rows", "epochs"), [(300, 13), (3_999, 13), (5_634, 24), (50_000, 9), (10**6, 2), (10**7, 1)]
)
def test_epochs_fall_with_the_rows(rows, epochs):
    assert schedule_of(rows, GENERATOR.Params()).max_epochs == epochs


@pytest.mark.parametrize(
    ("rows", "gain", "given", "again"),
    [
        (500, 0.1, None, True),
        (500, 0.01, None, False),
        (5_000, 0.1, None, False),
        (500, 0.1, 22, False),
    ],
)
def test_few_rows_that_are_still_learning_are_read_longer(rows, gain, given, again):
    params = GENERATOR.Params(max_epochs=given)
    schedule = schedule_of(rows, params)
    curve = [{"valid_nats": 30 - gain * e} for e in range(schedule.max_epochs)]
    trained = SimpleNamespace(curve=curve)
    longer = longer_of(schedule, trained, rows, params)
    assert (longer is not None) == again


def test_pairs_that_never_occur_are_never_drawn():
    columns = drawn(learned()[0])
    plan, add_on = columns["plan"].texts(), columns["add_on"].texts()
    assert not np.any((plan == "a") & (add_on == "yes"))


def test_what_can_be_computed_is_computed():
    columns = drawn(learned()[0])
    both = np.isfinite(columns["price"])
    assert np.array_equal(both, np.isfinite(columns["cents"]))
    np.testing.assert_allclose(columns["cents"][both], columns["price"][both] * 100, atol=1e-6)


def test_a_total_is_known_where_its_price_is_not_as_in_the_records():
    real, columns = records().columns, drawn(learned()[0])
    for source in (real, columns):
        lone = np.isnan(source["price"]) & np.isfinite(source["total"])
        assert lone.mean() == pytest.approx(0.1, abs=0.03)
    assert not np.any((columns["months"] == 0) & np.isfinite(columns["total"]))


def test_an_end_comes_after_its_start_within_its_span():
    columns = drawn(learned()[0])
    gap = (columns["left"] - columns["joined"]) / np.timedelta64(1, "s")
    known = ~np.isnat(columns["left"])
    assert gap[known].min() > 0
    assert gap[known].max() < 3 * 7_200
    hours = (columns["joined"].astype("datetime64[h]").astype(int)) % 24
    assert set(hours.tolist()) == set(range(8, 18))


def test_a_table_of_identifiers_is_refused():
    schema = Schema(family="table", shape="flat", columns=(Column(name="id", kind="identifier"),))
    story = GENERATOR.learn(schema, GENERATOR.Params(), 0)
    with pytest.raises(NothingToLearnError) as caught:
        learn(story, Local(Records.flat({"id": Coded.of(list("abcdefgh"))})))
    assert caught.value.facts["columns"] == ["id"]


def test_an_empty_table_is_refused():
    story = GENERATOR.learn(SCHEMA, GENERATOR.Params(), 0)
    with pytest.raises(EmptyTableError):
        learn(story, Local(records().take(np.zeros(0, np.int64))))


@pytest.mark.parametrize("labels", [300])
def test_a_category_of_many_labels_trains_and_keeps_its_shares(labels):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, labels, 3_600).astype(np.int32)
    names = tuple(f"c{i:04d}" for i in range(labels))
    schema = Schema(
        family="table",
        shape="flat",
        columns=(Column(name="city", kind="category"), Column(name="half", kind="category")),
    )
    half = Coded((codes >= labels // 2).astype(np.int32), ("low", "high"))
    held = Records.flat({"city": Coded(codes, names), "half": half})
    story = GENERATOR.learn(schema, GENERATOR.Params(), 0)
    model = learn(story, Local(held, train=plain_loop))
    columns = drawn(model, 1)
    low = np.array([t is not None and t < "c0150" for t in columns["city"].texts()])
    assert low.mean() == pytest.approx(0.5, abs=0.06)
    assert len(set(columns["city"].texts().tolist())) > 0.9 * labels


def test_a_time_that_never_lies_before_another_never_does_in_the_twin():
    """The two spread over the same two years: close to each other they are not."""
    rng = np.random.default_rng(4)
    start = np.datetime64("2024-01-01T00:00:00", "us")
    created = rng.integers(0, 700 * 86_400, 2_000)
    updated = created + np.where(rng.random(2_000) < 0.2, 0, rng.random(2_000) ** 3 * 6e7)
    columns = {
        "updated": start + updated.astype("timedelta64[s]"),
        "created": start + created.astype("timedelta64[s]"),
    }
    made = tuple(Column(name=n, kind="time", per="subject") for n in columns)
    schema = Schema(family="table", shape="flat", columns=made)
    model = learn(
        GENERATOR.learn(schema, GENERATOR.Params(max_epochs=1), 0),
        Local(Records.flat(columns), train=plain_loop),
    )
    twin = model.sample(0, 4_000, 3).columns
    assert (twin["updated"] >= twin["created"]).all()
    assert (twin["updated"] == twin["created"]).mean() == pytest.approx(0.2, abs=0.04)


def test_a_date_stays_a_date_beside_a_later_time():
    rng = np.random.default_rng(4)
    at = np.datetime64("2024-01-01", "us") + rng.integers(0, 6e7, 500).astype("timedelta64[s]")
    columns = {"at": at, "day": at.astype("datetime64[D]").astype("datetime64[us]")}
    made = tuple(Column(name=n, kind="time", per="subject") for n in columns)
    schema = Schema(family="table", shape="flat", columns=made)
    table = Records.flat(columns)
    fields = fields_of(schema, Survey.of(survey_state(schema, table), schema), table)
    assert [f.name for f in fields] == ["at#day", "at#second", "day#day"]


def test_biases_give_every_token_its_share_of_the_rows():
    """Summed over the real rows the chances of a token are its rows, within one in fifty."""
    model = learned()[0]
    tokens = encode(model.coder, records()).context["tokens"]
    net = Pass(model.tables, np.ascontiguousarray(tokens.T))
    trees = {t.column: t for t in model.trees}
    for c, drawn_ in enumerate(model.coder.drawn):
        logits = net.logits(c)
        if c in trees:
            trees[c].add(net.tokens, logits)
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        sums = (chance / chance.sum(axis=1, keepdims=True)).sum(axis=0)
        rows = np.bincount(tokens[:, c], minlength=drawn_.vocabulary)
        np.testing.assert_allclose(sums[rows > 0], rows[rows > 0], rtol=0.02, atol=0.5)
