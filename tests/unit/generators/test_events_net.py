"""Claims about the running statistics and the event network."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from synth_spark.core.local import Local
from synth_spark.core.ports import Train, learn
from synth_spark.generators import _events_folded as folded
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators._events_folded import Folded
from synth_spark.generators._events_kernels import FAR, exp32, softmax_pick
from synth_spark.generators._events_layout import AFTER, AFTER_DENSE, BEFORE, LAST, Layout
from synth_spark.generators._events_net import EventsModel, EventsParams, learn_events
from synth_spark.generators._events_plan import _levels as levels
from synth_spark.generators._events_recall import RING, add_near
from synth_spark.generators._events_seen import encode
from synth_spark.generators._events_seen import noise as noise_of
from synth_spark.generators._events_support import Support
from synth_spark.models.recall import CENTERS, nearness
from tests.unit.generators.events_world import SCHEMA, phones

RECORDS = phones(60, 8)
LAYOUT = Layout(
    np.array([3, 2]),
    np.array([4]),
    np.array([3]),
    np.zeros(2, int),
    np.zeros(2, int),
    7_200.0,
    50,
    np.array([0.0, 1.0, 2.0, 0.0]),
    np.ones(1),
    np.zeros(1),
)
EVEN = np.full(3, 1 / 3, np.float32)
ROOM_S = 7 * 86_400.0


@pytest.fixture(scope="module")
def model() -> EventsModel:
    training = pytest.importorskip("synth_spark.training.loop")
    params = EventsParams(min_subjects=1, leaf=15, trees=4, max_epochs=2, width=32, head=16)
    asked: list[Train] = []

    def train(request: Train, records: object, seed: int) -> object:
        asked.append(request)
        return training.train_local(request, records)

    return learn(learn_events(SCHEMA, params, 1), Local(RECORDS, train=train))


def test_without_numbers_nothing_is_asked_of_what_is_near() -> None:
    none = np.zeros(0)
    layout = replace(LAYOUT, numbers=none.astype(int), missing=none.astype(int), typical=none,
                     spread=none)  # fmt: skip
    assert layout.near == ()
    asked = LAYOUT.near[0]
    assert (asked[0], asked[1], asked[3]) == (4, 3, 1.0)
    assert asked[2].tolist() == [0, 1, 2, 0]


def test_walking_real_events_gives_the_features_that_sampling_sees() -> None:
    rng = np.random.default_rng(0)
    rows = 9
    t = np.sort(rng.random(rows)) * 3 * 86_400
    cats, nums = (
        rng.integers(0, 2, (rows, 2)).astype(np.int32),
        rng.integers(0, 4, (rows, 1)).astype(np.int32),
    )
    end = np.zeros(rows, bool)
    end[[4, 8]] = True  # two units of four events
    share = np.full((rows, 3), 1 / 3, np.float32)
    x = np.empty((rows, LAYOUT.before), np.float32)
    z, q = (
        np.empty((rows, AFTER), np.float32),
        np.zeros((rows, 3, LAYOUT.pointer), np.float32),
    )
    p, weekday = LAYOUT.packed(), np.zeros(rows, np.int64)
    told = np.array([4.0, 2.5 * 86_400.0, 0.25, 13.0, 30_000.0, 4.0, 1.2])
    shown = np.tile(told, (rows, 1))
    room = np.full(rows, ROOM_S)
    ring, centers = np.empty((rows, RING), np.int16), np.empty((rows, 1, CENTERS), np.float32)
    stats.unroll(
        end, weekday, room, shown, t, cats, nums, share, p, LAYOUT.state_size, x, z, q, ring,
        centers,
    )  # fmt: skip
    s, one = np.empty(LAYOUT.state_size), np.empty(LAYOUT.dense)
    hot = np.empty(2 * LAST, np.int64)
    stats.reset(s, p, ROOM_S)
    for r in range(5, 8):  # the second unit starts afresh
        stats.before(s, p, 0, 4.0, told, share[r], one)
        np.testing.assert_allclose(one, x[r, : LAYOUT.dense], atol=1e-6)
        ones = np.flatnonzero(x[r, LAYOUT.dense :])
        assert sorted(hot[: stats.last_values(s, p, hot)]) == ones.tolist()
        assert len(ones) == 2 * min(r - 5, LAST)
        pauses = [k for k in range(5, r) if k == 5 or t[k] - t[k - 1] >= 7_200]
        ends = [int(t[k] % 86_400 // 300) for k in reversed(pauses)] or [100]
        assert ring[r].tolist() == (ends + [-1] * RING)[:RING]
        past, same = nums[5:r, 0].tolist(), nums[5:r, 0][cats[5:r, 0] == cats[r, 0]].tolist()
        known = [token for token in past if token != LAYOUT.missing[0]]  # as the values are
        level = (sum(known) + 0.05 * 4 * 1.2) / (len(known) + 0.05 * 4)
        last = [past[-1] if past else -1, same[-1] if same else -1]
        assert centers[r, 0] == pytest.approx([*last, min(level, 2)], abs=1e-6)
        stats.update(s, p, t[r], cats[r], nums[r])


def test_features_at_the_start_say_so_and_hold_no_past() -> None:
    s, x = np.empty(LAYOUT.state_size), np.empty(LAYOUT.dense)
    stats.reset(s, LAYOUT.packed(), ROOM_S)
    stats.before(
        s,
        LAYOUT.packed(),
        0,
        10.0,
        np.array([10.0, ROOM_S, 0.2, 14.0, 30_000.0, 10.0, 1.2]),
        EVEN,
        x,
    )
    assert x[7] == 1.0
    assert (x[BEFORE:] == 0).sum() >= LAYOUT.dense - BEFORE - 1
    assert x[34:37].tolist() == [0.0, 0.0, pytest.approx(np.log1p(3))]  # no last; three are owed
    assert stats.last_values(s, LAYOUT.packed(), np.empty(6, np.int64)) == 0


def test_how_far_the_last_event_is_and_the_pace_up_to_it_are_seen() -> None:
    s, x, day = np.empty(LAYOUT.state_size), np.empty(LAYOUT.dense), 86_400.0
    stats.reset(s, LAYOUT.packed(), ROOM_S)
    stats.update(s, LAYOUT.packed(), 0.5 * day, np.zeros(2, np.int32), np.zeros(1, np.int32))
    told = np.array([10.0, 1.5 * day, 0.2, 14.0, 30_000.0, 10.0, 1.2])
    stats.before(s, LAYOUT.packed(), 0, 10.0, told, EVEN, x)  # nine are owed in a day
    np.testing.assert_allclose(x[28:31], [1.0, 0.0, 0.5 * np.log(9.5 / 1.02)], rtol=1e-6)
    told[1] = 0.4 * day
    stats.before(s, LAYOUT.packed(), 0, 10.0, told, EVEN, x)  # it should be over by now
    np.testing.assert_allclose(x[28:30], [0.0, 1.0])


def test_what_is_owed_to_each_value_is_seen() -> None:
    """Of ten events six, three and one of the values; the one has come: it gets no more."""
    s, x, day = np.empty(LAYOUT.state_size), np.empty(LAYOUT.dense), 86_400.0
    share, told = np.array([0.6, 0.3, 0.1], np.float32), np.array([10.0, day, 0, 9, 0, 10.0, 1.2])
    stats.reset(s, LAYOUT.packed(), ROOM_S)
    stats.update(s, LAYOUT.packed(), 60.0, np.array([2, 0], np.int32), np.zeros(1, np.int32))
    stats.before(s, LAYOUT.packed(), 0, 10.0, told, share, x)
    np.testing.assert_allclose(x[34:37], [0.0, 1.0, np.log1p(2)], atol=1e-6)
    z, q = np.empty(AFTER), np.zeros((3, LAYOUT.pointer))
    stats.after(s, LAYOUT.packed(), 0, 120.0, share, z, q)
    np.testing.assert_allclose(q[:, 10], [6 / 4, 3 / 4, 0.0], atol=1e-6)
    assert q[:, 11].tolist() == [0.0, 0.0, 1.0]


def test_the_nights_and_hours_that_are_still_owed_are_seen() -> None:
    """Of ten events two at night and 14 h on average; one at 3 h came: nine at 15.2 h, one dark."""
    s, x = np.empty(LAYOUT.state_size), np.empty(LAYOUT.dense)
    stats.reset(s, LAYOUT.packed(), ROOM_S)
    stats.update(s, LAYOUT.packed(), 3 * 3_600.0, np.zeros(2, np.int32), np.zeros(1, np.int32))
    stats.before(
        s,
        LAYOUT.packed(),
        0,
        10.0,
        np.array([10.0, ROOM_S, 0.2, 14.0, 30_000.0, 10.0, 1.2]),
        EVEN,
        x,
    )
    owed = [1 / 9, np.log(2), (140 - 3) / 9 / 6 - 2]
    np.testing.assert_allclose(x[31:34], owed, rtol=1e-6)


def test_the_network_is_told_each_label_of_a_subjects_column(model: EventsModel) -> None:
    attributes = model.base.histories.attributes
    seen = replace(model.seen, labels=np.array([[attributes.index("n"), 5]]))
    x = np.zeros((3, len(attributes.columns)))
    x[:, attributes.index("n")] = [0, 4, 2]
    _, scaled = seen.of_units(model.base, x, np.full((3, 2), 0.5))
    assert scaled.shape[1] == seen.own == len(seen.columns) + 5
    assert scaled[:, -5:].tolist() == np.eye(5)[[0, 4, 2]].tolist()


def test_only_allowed_entries_are_picked_and_by_their_weight() -> None:
    logits = np.log(np.array([0.2, 0.5, 0.3], np.float32))
    logits[1] = FAR
    picks = [softmax_pick(logits.copy(), u) for u in np.linspace(0, 0.9999, 1_000)]
    assert set(picks) == {0, 2}
    assert abs(picks.count(0) / 1_000 - 0.4) < 0.01
    assert softmax_pick(np.full(3, FAR), 0.5) == -1


def test_the_short_exponential_is_near_the_real_one() -> None:
    x = np.linspace(-20, 20, 2_001).astype(np.float32)
    got = np.array([exp32(v) for v in x])
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=2e-4)
    assert 0 < exp32(np.float32(-1e6)) < 1e-20


def test_an_episode_shows_its_last_event_and_hides_its_count(model: EventsModel) -> None:
    rows, attributes = 4_000, model.base.histories.attributes
    x = np.zeros((rows, len(attributes.columns)))
    x[:, attributes.index("n")] = 1_000_000.0  # so many that all of the noise is on it
    x[:, attributes.index("span")] = 2.0
    x[:, attributes.index("first")] = 0.5
    u = np.random.default_rng(3).random((rows, 2))
    found = {}
    for loose, noise in ((False, (0.1, 0.1)), (True, (0.2, 0.02))):
        seen = replace(model.seen, loose=loose, noise=np.array(noise))
        shown, _ = seen.of_units(model.base, x, u)
        count, span = shown[:, 0] / 1_000_000.0, (shown[:, 1] / 86_400.0 - 0.5) / 2.0
        found[loose] = [np.log(count).std(), np.log(span).std()]
    # A deviation of 4,000 normal draws is off by 4.5 % (four of its own deviations) once in 16,000.
    np.testing.assert_allclose(found[False], [0.1, 0.1], rtol=0.045)
    np.testing.assert_allclose(found[True], [0.2, 0.02], rtol=0.045)


def test_noise_is_no_more_than_units_differ_by(model: EventsModel) -> None:
    attributes = model.base.histories.attributes
    mean, std = attributes.mean.copy(), attributes.std.copy()
    at = [attributes.index(name) for name in ("n", "span")]
    mean[at], std[at] = (400.0, 7.0), (80.0, 0.014)
    same = replace(attributes, mean=mean, std=std)
    np.testing.assert_allclose(noise_of(same, loose=False), [0.1, 0.002])
    np.testing.assert_allclose(noise_of(same, loose=True), [0.2, 0.002])


def test_a_unit_ends_no_sooner_than_noise_on_its_last_event_can_say(model: EventsModel) -> None:
    shown, clock = np.zeros((4, 5)), model.base.coder.clock
    shown[:, 0] = 9, 9, 1, 9
    shown[:, 1], shown[:, 4] = (500_000.0, 86_400.0, 500_000.0, 604_000.0), (0.0, 3_600.0, 0.0, 0.0)
    alike = replace(model.seen, noise=np.array([0.1, 0.01]))
    until = alike.until(shown, np.full(4, 604_800.0), clock)
    want = [500_000 * np.exp(-0.04), 3_600 + 82_800 * np.exp(-0.04)]
    np.testing.assert_allclose(until[:2], np.array(want) - clock.tick_s)
    assert until[2] == 0.0  # a single event ends whenever it comes
    assert until[3] <= 604_800 - clock.cut_s
    usual = replace(model.seen, noise=np.array([0.1, 0.1]))
    assert (usual.until(shown, np.full(4, 604_800.0), clock) == 0).all()


def test_the_first_event_comes_on_its_drawn_day(model: EventsModel) -> None:
    drawn = model.base.histories.draw(model.block_size, 3, 0)
    lengths, t, _, _ = model.events(drawn, 3, 0)
    day = drawn.table[:, model.base.histories.attributes.index("first")]
    some = lengths > 0
    first = t[(np.cumsum(lengths) - lengths)[some]] / 86_400.0
    assert (np.floor(first) == np.floor(day[some] + 1e-6)).all()


def test_the_level_of_a_number_is_worth_what_tells_units_apart(model: EventsModel) -> None:
    """Made-up units of 30 values each, half of them missing: levels of deviation 1, and none.

    The variance of 400 means is known to 7 %; with none it is within four errors of its noise.
    """
    attributes, rng = model.base.histories.attributes, np.random.default_rng(5)
    units, per = 400, 30
    columns = (attributes.index("n"), attributes.index("mean", 0), attributes.index("std", 0))
    found = []
    for between in (1.0, 0.0):
        values = between * rng.normal(size=(units, 1)) + 2 * rng.normal(size=(units, per))
        values[rng.random((units, per)) < 0.5] = np.nan
        x = np.zeros((units, len(attributes.columns)))
        x[:, columns[0]] = per
        x[:, columns[1]], x[:, columns[2]] = np.nanmean(values, 1), np.nanstd(values, 1)
        made = SimpleNamespace(values=values.reshape(-1, 1), lengths=np.full(units, per))
        found.append(levels(attributes, x, made)[1][0])
    assert 4 / 1.4 < found[0] < 4 * 1.4
    assert found[1] > 40


def test_the_first_event_is_told_in_whole_ticks(model: EventsModel) -> None:
    """Times of day as the forests hand them out, in days of 32 bits, are those that they were."""
    attributes, times = model.base.histories.attributes, np.arange(0, 86_400, 300.0)
    x = np.zeros((len(times), len(attributes.columns)))
    x[:, attributes.index("first")] = (times / 86_400).astype(np.float32)
    shown, _ = model.seen.of_units(model.base, x, np.full((len(times), 2), 0.5))
    assert shown[:, 4].tolist() == times.tolist()


def test_only_labels_with_a_drawn_share_of_their_own_are_rare(model: EventsModel) -> None:
    slots = model.base.histories.attributes.slots
    for j, (seldom, slot) in enumerate(zip(model.support.seldom, slots.of_token, strict=True)):
        shared = np.bincount(slot)[slot] > 1
        assert not (seldom & shared).any(), j
    groups = (np.zeros(len(slots.of_token[0]), np.int32), *slots.of_token[1:])
    histories = model.base.histories
    pooled = replace(histories.attributes, slots=replace(slots, of_token=groups))
    base = replace(model.base, histories=replace(histories, attributes=pooled))
    assert not Support.learn(base, model.seen.contexts, RECORDS).seldom[0].any()


def test_the_folded_network_gives_the_logits_of_the_network(model: EventsModel) -> None:
    torch = pytest.importorskip("torch")
    net, layout = model.trainee.build().eval(), model.seen.layout
    net.load_state_dict({k: torch.as_tensor(v) for k, v in model.weights.items()})
    example = model.trainee.examples(encode(model.base, model.seen, RECORDS))
    token = example["clock"][:, 0]
    rows = np.flatnonzero((token >= 0) & (token != model.base.coder.clock.end))[:300]
    part = {k: v[rows] for k, v in example.items()}
    x, z, q = (part[k].astype(np.float32) for k in ("x", "after", "pointer"))
    tokens = np.concatenate([part["cats"], part["nums"]], axis=1).astype(np.int32)
    time, heads = _folded_logits(Folded.of(model.weights, layout), layout, x, z, q, tokens)

    with torch.inference_mode():
        slices = net.slices(torch.from_numpy(x))
        np.testing.assert_allclose(time, net.time(slices[0]).numpy(), atol=1e-3)
        after, pointer = torch.from_numpy(z), torch.from_numpy(q)
        drawn = [torch.from_numpy(t.astype(np.int64)) for t in tokens.T]
        chosen = pointer[torch.arange(len(rows)), drawn[0]]
        cats = len(layout.widths)
        for j, got in enumerate(heads[:cats]):
            given = chosen if j else pointer
            want = net.category(j, slices[3 + j], after, drawn[:j], given).numpy()
            np.testing.assert_allclose(got, want, atol=1e-3)
        known = net.known(after, drawn[:cats], chosen)
        for j, got in enumerate(heads[cats:]):
            centers = part["centers"][:, j].astype(np.float32)
            given = drawn[cats : cats + j], torch.from_numpy(centers)
            want = net.number(j, slices[3 + cats + j], known, *given).numpy()
            near, size = nearness(*layout.near[j]), layout.near[j][0]
            for row, center in zip(got, centers, strict=True):
                add_near(row[:size], center, near, row[size:].copy())
            np.testing.assert_allclose(got[:, :size], want, atol=1e-3)


def _folded_logits(net, layout, x, z, q, tokens):
    """Logits of the time and of each value, by the folded weights; one-hots given as x and z."""
    hot = [np.flatnonzero(row) for row in x[:, layout.dense : layout.before]]
    found = np.array([len(h) for h in hot])
    at = np.zeros((len(x), max(found)), np.int64)
    for row, h in zip(at, hot, strict=True):
        row[: len(h)] = h
    own = x[:, layout.before :] @ net.own.weight + net.own.bias
    h = x[:, : layout.dense] @ net.dense
    folded.add_last(np.arange(len(x)), own, at, found, net.last, h)
    g = np.empty((len(x), h.shape[1] + AFTER_DENSE), np.float32)
    folded.add_bias(h @ net.second.weight, net.second.bias, g)
    trunk, head = g[:, : h.shape[1]], len(net.outs[0].weight)
    hidden = np.empty((len(x), head), np.float32)
    folded.add_bias(trunk @ net.time.weight, net.time.bias, hidden)
    time = hidden @ net.time_out.weight + net.time_out.bias
    g[:, h.shape[1] :] = z[:, :AFTER_DENSE]
    v, day = g @ net.values, z[:, AFTER_DENSE : AFTER_DENSE + 7].argmax(1)
    hour = z[:, AFTER_DENSE + 7 :].argmax(1)
    folded.add_clock(v, day, hour, net.weekday, net.hours, hidden)
    out = []
    for j, linear in enumerate(net.outs):
        if j == 1:
            folded.add_chosen(v, head, tokens, q, net.chosen)
        if j:
            folded.add_token(v, j, tokens, net.told, net.starts[j - 1], hidden)
        logits = hidden @ linear.weight + linear.bias
        if not j:
            width = layout.main
            by = np.einsum("rkf,rf->rk", q, logits[:, width:])
            logits = logits[:, :width] + by
        out.append(logits)
    return time, out


def test_bytes_do_not_depend_on_threads(model: EventsModel) -> None:
    with threadpool_limits(limits=1):
        one = model.sample(0, 400, 3)
    with threadpool_limits(limits=2):
        two = model.sample(0, 400, 3)
    assert list(one.columns) == list(two.columns)
    np.testing.assert_array_equal(one.columns["at"], two.columns["at"])
    np.testing.assert_array_equal(one.columns["seconds"], two.columns["seconds"])


def test_units_that_wait_for_a_place_get_their_events_too(
    model: EventsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = model.sample(0, 300, 4)
    monkeypatch.setattr("synth_spark.generators._events_window.AT_ONCE", 7)
    narrow = model.sample(0, 300, 4)
    same = narrow.lengths == wide.lengths
    assert same.mean() > 0.98  # up to rounding of the products


def test_the_net_keeps_order_calendar_and_support(model: EventsModel) -> None:
    twin = model.sample(0, 400, 2)
    at = twin.columns["at"]
    assert (np.diff(at)[np.diff(twin.owners) == 0] >= np.timedelta64(0)).all()
    assert at.max() < np.datetime64("2024-03-11")
    call = twin.columns["kind"].texts() == "call"
    np.testing.assert_array_equal(np.isnan(twin.columns["seconds"]), ~call)
    assert twin.lengths.min() >= 1


def test_the_first_subjects_of_a_block_do_not_depend_on_how_many_are_asked_for(
    model: EventsModel,
) -> None:
    few, many = model.sample(1, 3, 2), model.sample(1, 30, 2).take(np.arange(3))
    np.testing.assert_array_equal(few.columns["at"], many.columns["at"])
    np.testing.assert_array_equal(few.columns["seconds"], many.columns["seconds"])


def test_lengths_follow_the_drawn_counts(model: EventsModel) -> None:
    twin = model.sample(0, 1_000, 5)
    assert abs(twin.lengths.mean() / RECORDS.lengths.mean() - 1) < 0.25  # two epochs only


def test_short_units_are_never_longer_than_their_drawn_count(model: EventsModel) -> None:
    """One more event than the drawn shares are of would be a repeat that nobody drew."""
    drawn = model.base.histories.draw(900, 5, 0)
    table, at = drawn.table.copy(), model.base.histories.attributes.index("n")
    table[:, at] = np.arange(len(table)) % 12 + 1
    lengths, *_ = model.events(replace(drawn, table=table), 5, 0)
    short = table[:, at] <= 8
    assert (lengths[short] <= table[short, at]).all()
    assert (lengths[~short] > table[~short, at]).any()
