"""Claims about the decoder: its positions, its trunk in NumPy, its draws and its prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth_spark.core.batch import RARE, Coded, Records
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column
from synth_spark.generators import _events_choice, _gpt_draws
from synth_spark.generators._events_kernels import FAR
from synth_spark.generators._events_layout import BEFORE, Layout
from synth_spark.generators._forest import Forest
from synth_spark.generators._gpt_folded import Cache, Trunk
from synth_spark.generators._gpt_model import BadTasteError, TransformerModel
from synth_spark.generators._gpt_rare import with_true_rates
from synth_spark.generators._gpt_seen import pack
from synth_spark.generators._gpt_subjects import draw_within
from synth_spark.generators.transformer import EXAMPLE, GENERATOR, TransformerParams
from synth_spark.pipelines.drawer import Tempered, load_drawer
from synth_spark.pipelines.model_folder import save
from tests.unit.generators.events_world import SCHEMA, phones

RECORDS = phones(100, 8)


def learned(records: Records, schema: Any = SCHEMA, **settings: Any) -> TransformerModel:
    training = pytest.importorskip("synth_spark.training.loop")
    story = GENERATOR.learn(schema, replace(EXAMPLE, **settings), 1)
    made: TransformerModel = learn(story, Local(records, train=training.train_local))
    return made


@pytest.fixture(scope="module")
def model() -> TransformerModel:
    return learned(RECORDS)


def drawn(model: TransformerModel, *asked: str, subjects: int = 100) -> Records:
    return model.conditioned(Condition.parse(asked, SCHEMA)).sample(0, subjects, 3)


def texts(records: Records, name: str) -> Any:
    value: Any = records.columns[name]
    return value.texts()


def hours_and_days(records: Records) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at = np.asarray(records.columns["at"]).astype("datetime64[s]").astype(np.int64)
    return at % 86_400 // 3_600, (at // 86_400 + 3) % 7


# ---- rows of positions --------------------------------------------------------------------------


def test_every_position_teaches_once_and_every_piece_begins_with_its_units_prefix() -> None:
    sizes = np.array([1, 5, 40, 2, 7, 7, 3])
    begin = np.cumsum(sizes) - sizes
    packed = pack(sizes, 12, 4)
    assert sorted(packed.at[packed.counted].tolist()) == list(range(int(sizes.sum())))
    unit = np.repeat(np.arange(len(sizes)), sizes)
    for row, at in zip(packed.segment, packed.at, strict=True):
        for number in set(row.tolist()) - {0}:
            places = at[row == number]
            assert len(set(unit[places].tolist())) == 1
            assert places[0] == begin[unit[places[0]]]
            assert (np.diff(places[1:]) == 1).all()


def test_short_units_leave_little_of_the_rows_empty() -> None:
    sizes = np.random.default_rng(0).integers(1, 60, 500)
    assert (pack(sizes, 192, 64).at >= 0).mean() > 0.95


# ---- the trunk ----------------------------------------------------------------------------------


DENSE = BEFORE + 3 + 3 * 3  # with one category of three values and no numbers


def module_and_input(length: int = 20) -> tuple[Any, dict[str, Any]]:
    torch = pytest.importorskip("torch")
    from synth_spark.models.event_net import NetShape
    from synth_spark.models.gpt import Gpt, GptShape

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = NetShape(
            inputs=1, after=42, pointer=10, times=5, jumps=2, cats=(3,), nums=(), width=16, head=8
        )
        shape = GptShape(
            net=net, dense=DENSE, own=4, tokens=30, layers=2, heads=2, context=8, fold=(0, 1, 2)
        )
        module = Gpt(shape).eval()
        for block in module.blocks:
            block.bias.data.normal_()
        batch = {
            "x": torch.randn(1, length, DENSE + 4),
            "told": torch.randint(0, 30, (1, length, 4)),
            "segment": torch.ones(1, length, dtype=torch.int16),
            "prefix": torch.arange(length)[None] == 0,
        }
    return module, batch


def positions(module: Any, batch: dict[str, Any]) -> NDArray[np.float32]:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return np.asarray(module.positions(**batch)[0].numpy())


def test_step_by_step_with_a_sliding_window_the_trunk_gives_what_torch_gives_at_once() -> None:
    module, batch = module_and_input()
    layout = Layout(
        np.array([3]),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        np.zeros(1, int),
        np.zeros(1, int),
        7_200.0,
        50,
        np.zeros(0),
        np.zeros(0),
        np.zeros(0),
    )
    weights = {k: v.numpy() for k, v in module.state_dict().items()}
    trunk = Trunk.of(weights, layout)
    expected = positions(module, batch)
    cache, out = Cache(trunk, 3, 8), np.empty((1, 16), np.float32)
    x, place = batch["x"][0].numpy(), np.array([2])
    own = x[:, DENSE:] @ trunk.own.weight + trunk.own.bias
    for i in range(len(x)):
        told = batch["told"][0, i : i + 1].numpy()
        cache.forward(x[i : i + 1, :DENSE].copy(), own[i : i + 1], told, place, np.array([i]), out)
        np.testing.assert_allclose(out[0], expected[i], atol=2e-3)


def test_no_position_sees_a_later_one_or_another_unit() -> None:
    module, batch = module_and_input(12)
    before = positions(module, batch)
    later = {**batch, "x": batch["x"].clone()}
    later["x"][0, 7] += 5
    after = positions(module, later)
    np.testing.assert_allclose(after[:7], before[:7], atol=1e-5)
    assert np.abs(after[7:] - before[7:]).max() > 0.01
    apart = {**later, "segment": batch["segment"].clone(), "prefix": batch["prefix"].clone()}
    apart["segment"][0, 8:], apart["prefix"][0, 8] = 2, True
    alone = positions(module, {k: v[:, 8:] for k, v in apart.items()})
    np.testing.assert_allclose(positions(module, apart)[8:], alone, atol=1e-5)


def test_what_lies_beyond_the_context_is_forgotten_but_for_the_prefix() -> None:
    module, batch = module_and_input(20)  # a context of 8 in two layers reaches 14 back
    before = positions(module, batch)
    moved = {**batch, "x": batch["x"].clone()}
    moved["x"][0, 2] += 5
    np.testing.assert_allclose(positions(module, moved)[17:], before[17:], atol=1e-5)
    moved["x"][0, 0] += 5
    assert np.abs(positions(module, moved)[17:] - before[17:]).max() > 0.01


def test_before_training_each_head_knows_its_tokens_shares() -> None:
    module, _ = module_and_input()
    share = np.array([0.9, 0.0999, 0.0001])
    module.start_from({"cat_out.0": share})
    np.testing.assert_allclose(np.exp(module.cat_out[0].bias.detach().numpy()), share, rtol=1e-5)


# ---- draws --------------------------------------------------------------------------------------


def chosen(shares: list[float], temperature: float, top_p: float) -> NDArray[np.float64]:
    """Share of each token among 20,000 evenly spread draws."""
    row = np.log(np.array([*shares, 1.0], np.float32))
    row[-1] = FAR
    taste = np.array([1 / temperature, top_p], np.float32)
    picks = [_gpt_draws.choose(row.copy(), taste, u) for u in (np.arange(20_000) + 0.5) / 20_000]
    return np.bincount(picks, minlength=len(row)) / 20_000


def test_a_temperature_sharpens_and_a_nucleus_cuts_as_their_formulas_say() -> None:
    np.testing.assert_allclose(chosen([0.2, 0.5, 0.3], 1, 1), [0.2, 0.5, 0.3, 0], atol=1e-3)
    squared = np.array([0.04, 0.25, 0.09]) / 0.38
    np.testing.assert_allclose(chosen([0.2, 0.5, 0.3], 0.5, 1)[:3], squared, atol=1e-3)
    np.testing.assert_allclose(chosen([0.2, 0.5, 0.3], 1, 0.7)[:3], [0, 0.625, 0.375], atol=1e-3)
    np.testing.assert_allclose(chosen([0.2, 0.5, 0.3], 1, 0.4)[:3], [0, 1, 0], atol=1e-3)


def test_a_token_of_one_in_ten_thousand_is_picked_as_often() -> None:
    row = np.log(np.array([0.9999, 0.0001], np.float32))
    taste = np.ones(2, np.float32)
    u = np.random.default_rng(0).random(200_000)
    rare = sum(_gpt_draws.choose(row.copy(), taste, v) for v in u)
    assert 7 < rare < 35  # 20 expected, standard deviation 4.5: fails once in 400 seeds


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(0.0, 1.0), (float("nan"), 1.0), (1.0, 0.0), (1.0, 1.5)]
)
def test_a_temperature_or_a_nucleus_that_cannot_be_drawn_by_is_refused(
    temperature: float, top_p: float
) -> None:
    with pytest.raises(BadTasteError):
        TransformerParams(temperature=temperature, top_p=top_p)


def test_a_low_temperature_can_be_asked_for_when_sampling(model: TransformerModel) -> None:
    def kinds(m: TransformerModel) -> int:
        table = m.sample(0, 200, 1).columns["seconds"]
        return len(np.unique(np.asarray(table)))

    assert kinds(model.tempered(temperature=0.2)) < kinds(model)
    assert kinds(model.tempered(top_p=0.3)) < kinds(model)


def test_a_saved_model_is_read_under_a_taste_and_keeps_what_is_not_said(
    model: TransformerModel, tmp_path: Path
) -> None:
    save(
        tmp_path / "m", model.tempered(top_p=0.5), generator="transformer", schema=SCHEMA,
        identifiers={}, facts={},
    )  # fmt: skip
    drawer = Tempered(temperature=0.2)(str(tmp_path / "m"))
    condition = Condition.parse(["hour=18..20"], SCHEMA)
    for read in (drawer, drawer.conditioned(condition)):
        taste = read.saved.model
        assert isinstance(taste, TransformerModel)
        assert (taste.temperature, taste.top_p) == (0.2, 0.5)
    fitted = load_drawer(str(tmp_path / "m")).saved.model
    assert isinstance(fitted, TransformerModel)
    assert (fitted.temperature, fitted.top_p) == (1.0, 0.5)


def test_bytes_do_not_depend_on_the_number_of_threads(model: TransformerModel) -> None:
    with threadpool_limits(limits=1):
        one = model.sample(1, 60, 5)
    with threadpool_limits(limits=2):
        two = model.sample(1, 60, 5)
    for name, value in one.columns.items():
        if isinstance(value, Coded):
            np.testing.assert_array_equal(texts(one, name), texts(two, name))
        else:
            np.testing.assert_array_equal(value, two.columns[name])


# ---- prompts ------------------------------------------------------------------------------------


def test_every_event_holds_clauses_on_categories_and_numbers(model: TransformerModel) -> None:
    r = drawn(model, "plan=a|c", "kind=call", "seconds=20..40")
    assert set(texts(r, "plan")) == {"a", "c"}
    assert set(texts(r, "kind")) == {"call"}
    seconds = np.asarray(r.columns["seconds"])
    assert seconds.min() >= 20
    assert seconds.max() <= 40


def test_a_clause_on_a_number_alone_leaves_only_events_that_can_hold_it(
    model: TransformerModel,
) -> None:
    assert set(texts(drawn(model, "seconds=20..40"), "kind")) == {"call"}
    assert set(texts(drawn(model, "seconds="), "kind")) == {"text"}
    assert set(np.asarray(drawn(model, "seconds=-1").columns["seconds"])) == {-1.0}


def test_every_event_stands_in_the_asked_hours_and_weekdays(model: TransformerModel) -> None:
    r = drawn(model, "hour=18..19", "weekday=sat|sun")
    hours, days = hours_and_days(r)
    assert set(hours.tolist()) <= {18, 19}
    assert set(days.tolist()) <= {5, 6}
    assert r.subjects == 100
    assert r.rows >= 100
    within = np.diff(r.owners) == 0
    steps = np.diff(np.asarray(r.columns["at"]).astype(np.int64))[within]
    assert (steps >= 0).all()


def test_hours_alone_leave_about_as_many_events_as_stand_there(model: TransformerModel) -> None:
    free, asked = drawn(model), drawn(model, "hour=8..13")
    hours, _ = hours_and_days(RECORDS)
    share = float(((hours >= 8) & (hours <= 13)).mean())
    assert 0.7 < asked.rows / (free.rows * share) < 1.4


def test_a_label_behind_the_ranks_is_kept_to(model: TransformerModel) -> None:
    assert set(texts(drawn(model, "cell=cell03|cell10"), "cell")) == {"cell03", "cell10"}


def test_subjects_of_more_values_than_ranks_keep_to_the_asked_labels_too() -> None:
    """Of 200 cells most are held by fewer subjects than 5, so that a rare one exists."""
    rng = np.random.default_rng(7)
    records = phones(50, 30)
    share = 1 / np.arange(1, 201)
    cells = Coded(
        rng.choice(200, records.rows, p=share / share.sum()).astype(np.int32),
        tuple(f"t{k:03d}" for k in range(200)),
    )
    held = [len(set(cells.codes[records.owners == i].tolist())) for i in range(50)]
    assert np.median(held) > 12  # a subject tells 10 by its ranks; the others are drawn behind them
    records = Records({**records.columns, "cell": cells}, records.offsets)
    model = learned(records, max_epochs=1, min_subjects=5)
    assert any(t.startswith(RARE) for t in texts(model.sample(0, 50, 3), "cell"))
    for wanted in ({"t003", "t010"}, {f"t{k:03d}" for k in range(20)}):
        assert set(texts(drawn(model, f"cell={'|'.join(wanted)}"), "cell")) <= wanted


@pytest.mark.parametrize(
    "asked",
    [["plan=z"], ["hour=2..4"], ["seconds=1e9.."], ["kind=text", "seconds=3"], ["plan="]],
    ids=" ".join,
)
def test_a_condition_without_a_chance_is_refused(model: TransformerModel, asked: list[str]) -> None:
    with pytest.raises(ImpossibleConditionError):
        drawn(model, *asked)


def test_a_conditioned_model_draws_the_same_again_and_from_its_saved_state(
    model: TransformerModel,
) -> None:
    other = TransformerModel.from_state(model.state())
    for again in (model, other):
        np.testing.assert_array_equal(
            drawn(again, "plan=b", "hour=9..12").columns["at"],
            drawn(model, "plan=b", "hour=9..12").columns["at"],
        )


def test_a_day_of_events_cannot_be_asked_for_but_its_hour_can() -> None:
    assert "hour=" in GENERATOR.objection(SCHEMA, Clause(field="at", low=0.0))
    assert not GENERATOR.objection(SCHEMA, Clause(field="hour", low=1.0, high=2.0))
    assert not GENERATOR.objection(SCHEMA, Clause(field="plan", labels=("a",)))


def test_a_restricted_draw_has_the_leaves_shares() -> None:
    """Two leaves by x <= 0.5, of 0, 0, 1, 2 and of 1, 2, 2, 2; only 1 and 2 are allowed."""
    forest = Forest(
        np.array([0, -1, -1], np.int32), np.array([0.5, 0, 0], np.float32),
        np.array([1, 0, 0], np.int32), np.array([0, 0, 4], np.int32), np.array([8, 4, 4], np.int32),
        np.array([0, 3], np.int32), np.array([0, 0, 1, 2, 1, 2, 2, 2], np.float32),
        np.zeros(0, np.float32), True, -1, np.zeros(8, np.float32), np.zeros(8, np.int32),
        np.zeros(0, np.int64), np.zeros((0, 0)),
    )  # fmt: skip
    given = np.repeat([[0.0], [1.0]], 4_000, axis=0)
    u = np.random.default_rng(0).random((8_000, 4))
    value, mass = draw_within(forest, given, u, forest.values > 0)
    assert mass[0] == 0.5
    assert mass[-1] == 1.0
    assert set(value.tolist()) == {1.0, 2.0}
    assert abs((value[:4_000] == 1).mean() - 0.5) < 0.03  # 4 standard deviations
    assert abs((value[4_000:] == 1).mean() - 0.25) < 0.03


def test_columns_drawn_before_the_asked_one_follow_it() -> None:
    """Region is drawn before plan; of those with plan b nine in ten live in the north."""
    rng = np.random.default_rng(3)
    records = phones(600, 1)
    north = rng.random(600) < 0.5
    plan = np.where(rng.random(600) < np.where(north, 0.45, 0.05), 1, 0)
    owners = records.owners
    columns = {
        **records.columns,
        "region": Coded(np.where(north, 0, 1).astype(np.int32)[owners], ("north", "south")),
        "plan": Coded(plan.astype(np.int32)[owners], ("a", "b")),
    }
    region = Column(name="region", kind="category", per="subject")
    schema = replace(SCHEMA, columns=(SCHEMA.columns[0], region, *SCHEMA.columns[1:]))
    model = learned(Records(columns, records.offsets), schema, max_epochs=1)
    made = model.conditioned(Condition.parse(["plan=b"], schema)).base.histories.draw(1_500, 1, 0)
    true = float(north[plan == 1].mean())
    assert set(made.subject[:, 1]) == {int(made.subject[0, 1])}
    codec = model.base.coder.subject[0].codec
    share = float((made.subject[:, 0] == codec.labels.index("north")).mean())
    assert abs(share - true) < 0.06


# ---- rare values --------------------------------------------------------------------------------


def test_a_rare_value_comes_as_often_as_it_is_said_to() -> None:
    rng = np.random.default_rng(6)
    records = phones(200, 9)
    kind = np.where(rng.random(records.rows) < 0.012, 2, rng.integers(0, 2, records.rows))
    columns = {**records.columns, "kind": Coded(kind.astype(np.int32), ("call", "text", "fault"))}
    model = learned(Records(columns, records.offsets), max_epochs=1)
    j = next(i for i, c in enumerate(model.base.coder.cats) if c.name == "kind")
    token = model.base.coder.cats[j].codec.labels.index("fault")

    def rate(m: TransformerModel) -> float:
        made = m.base.histories.draw(2_000, 7, 0)
        return float((m.events(made, 7, 0)[2][:, j] == token).mean())

    counts = {f"cat_out.{i}": np.full(c.tokens, 1e6) for i, c in enumerate(model.base.coder.cats)}
    counts[f"cat_out.{j}"] = np.array([6_000.0, 4_000.0, 60.0])
    true = float((kind == 2).mean())
    assert abs(rate(model) / true - 1) < 0.3  # about 200 events, a standard deviation of .07
    assert abs(rate(with_true_rates(model, counts, 1)) / (60 / 10_060) - 1) < 0.3


# ---- wide categories ----------------------------------------------------------------------------


def test_a_plain_category_of_hundreds_of_labels_is_drawn_with_its_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_events_choice, "MOST_PLAIN", 1_000)
    monkeypatch.setattr(_events_choice, "OWN_SHARE", 0.0)
    rng = np.random.default_rng(4)
    records = phones(200, 10)
    share = 1 / np.arange(1, 201)
    label = rng.choice(200, records.rows, p=share / share.sum())
    label[label == 60] = 61
    columns = dict(records.columns)
    columns["cell"] = Coded(label.astype(np.int32), tuple(f"t{k:03d}" for k in range(200)))
    model = learned(Records(columns, records.offsets))
    column = next(c for c in model.base.coder.cats if c.name == "cell")
    assert column.how == "plain"
    assert column.tokens > 150
    labels = np.concatenate([texts(model.sample(b, 512, 1), "cell") for b in range(2)])
    real = np.bincount(label, minlength=200) / len(label)
    made = np.array([(labels == f"t{k:03d}").mean() for k in range(200)])
    assert made[60] == 0
    assert abs(made[0] - real[0]) < 0.05
    assert abs(made[20:].sum() - real[20:].sum()) < 0.08
    assert (made > 0).sum() > 150


def test_subjects_of_one_event_each_are_drawn() -> None:
    records = phones(60, 8)
    first = Records({n: v[records.offsets[:-1]] for n, v in records.columns.items()}, np.arange(61))
    assert learned(first, max_epochs=1).sample(0, 50, 1).rows == 50


def test_a_training_that_diverges_stops_with_its_number() -> None:
    run = pytest.importorskip("synth_spark.training.run")
    with pytest.raises(run.LossNotFiniteError) as caught:
        learned(RECORDS, learning_rate=1e30, max_epochs=3)
    assert caught.value.code == "SYN-601"
