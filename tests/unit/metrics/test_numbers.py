"""The arithmetic of single metrics, against numbers worked out by hand or in a slower way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import ks_2samp

from synth_spark.core.batch import Coded, Records
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps
from synth_spark.metrics import _example as example
from synth_spark.metrics import copies
from synth_spark.metrics._traits import traits
from synth_spark.metrics._view import Seen, gaps_s, learn_view
from synth_spark.metrics.base import overlap
from synth_spark.metrics.copies import Copies, wilson
from synth_spark.metrics.gaps import Gaps
from synth_spark.metrics.lengths import Lengths
from synth_spark.metrics.pairs import Pairs
from synth_spark.metrics.ranges import Ranges
from synth_spark.metrics.rhythm import Rhythm
from synth_spark.metrics.transitions import Transitions
from synth_spark.metrics.unseen import Unseen

DAY = 86_400_000_000  # microseconds


def events(kinds: list[str], seconds: list[float], sizes: list[int]) -> Records:
    at = example.START + np.array(np.array(seconds) * 1e6, dtype="timedelta64[us]")
    columns = {"at": at, "kind": Coded.of(kinds), "length_s": np.ones(len(kinds))}
    return Records(columns, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def test_overlap_is_one_minus_half_the_summed_differences() -> None:
    assert overlap(np.array([5, 3, 2]), np.array([1, 1, 2])) == pytest.approx(1 - 0.3)


def test_gap_distance_agrees_with_scipy_up_to_the_width_of_a_bin() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(5, 2, 4_000), rng.lognormal(5.5, 1.5, 3_000)
    view = learn_view(example.EVENTS, example.events(), 0)
    states = []
    for gap in (a, b):
        at = np.concatenate([[0.0], np.cumsum(gap)])
        seen = Seen(view, events(["x"] * len(at), at.tolist(), [len(at)]))
        states.append(Gaps.state(seen))
    found = Gaps.score(view, *states)[0].value
    assert found == pytest.approx(ks_2samp(a, b).statistic, abs=0.02)


def test_the_first_event_of_a_subject_has_no_gap() -> None:
    records = events(list("aabbb"), [0, 10, 5, 5, 65], [2, 3])
    np.testing.assert_array_equal(gaps_s(example.EVENTS, records), [np.nan, 10, np.nan, 0, 60])


def test_length_distance_and_mean_by_hand() -> None:
    view = learn_view(example.EVENTS, example.events(), 0)
    real = Lengths.state(Seen(view, events(list("aaaa"), [0, 1, 2, 3], [1, 3])))
    fake = Lengths.state(Seen(view, events(list("aaaa"), [0, 1, 2, 3], [2, 2])))
    head, mean = Lengths.score(view, real, fake)
    assert head.value == pytest.approx(0.5)  # half of the real subjects have one event
    assert mean.value == pytest.approx(0.0)


def test_rhythm_counts_hours_from_monday_midnight() -> None:
    view = learn_view(example.EVENTS, example.events(), 0)
    seen = Seen(view, events(["a", "a"], [3_600 * 5, 3_600 * (6 * 24 + 23)], [2]))  # Mon 5, Sun 23
    assert np.flatnonzero(Rhythm.state(seen)["hours"]).tolist() == [5, 167]


def test_transitions_weigh_states_by_how_often_the_real_records_are_in_them() -> None:
    view = learn_view(example.EVENTS, events(["call", "text"] * 10, list(range(20)), [20]), 0)
    real = Transitions.state(Seen(view, events(["call", "text"] * 4, list(range(8)), [8])))
    fake = Transitions.state(Seen(view, events(["call"] * 5, list(range(5)), [5])))
    # real: 4 of 7 steps start in call and always go to text, 3 start in text. Synthetic: call stays
    # call (all off), text is never reached (all off).
    assert Transitions.score(view, real, fake)[0].value == pytest.approx(1.0)
    half = events(["call", "text", "call", "call", "text"], list(range(5)), [5])
    off = Transitions.score(view, real, Transitions.state(Seen(view, half)))[0].value
    assert off == pytest.approx((4 * 1 / 3 + 3 * 0) / 7)


def test_traits_agree_with_a_plain_loop() -> None:
    records = example.events(seed=4, subjects=25)
    forms = {"at": "time", "kind": "coded", "length_s": "number"}
    found = traits(example.EVENTS, forms, records, gaps_s(example.EVENTS, records))
    kind = records.columns["kind"]
    assert isinstance(kind, Coded)
    texts, at = kind.texts(), np.asarray(records.columns["at"])
    length = np.asarray(records.columns["length_s"])
    for i, (a, b) in enumerate(pairwise(records.offsets.tolist())):
        mine, clock = list(texts[a:b]), at[a:b]
        assert found["events"][i] == b - a
        assert found["span (h)"][i] == pytest.approx(
            (clock[-1] - clock[0]) / np.timedelta64(1, "h")
        )
        hours = (clock - clock.astype("datetime64[D]")) / np.timedelta64(1, "h")
        assert found["share at night"][i] == pytest.approx(np.mean(hours < 6))
        assert found["kind: distinct"][i] == len(set(mine))
        assert found["kind: favourite's share"][i] == pytest.approx(
            max(mine.count(k) for k in set(mine)) / len(mine)
        )
        repeats = np.mean([x == y for x, y in pairwise(mine)])
        assert found["kind: repeated at once"][i] == pytest.approx(repeats)
        known = length[a:b][~np.isnan(length[a:b])]
        if len(known):
            assert found["length_s: mean"][i] == pytest.approx(known.mean())


def test_values_beyond_the_range_of_train_are_counted_exactly() -> None:
    schema = Schema(family="table", shape="flat", columns=(Column(name="x", kind="number"),))
    view = learn_view(schema, Records.flat({"x": np.arange(10.0)}), 0)

    def state(x: list[float]) -> dict[str, object]:
        return Ranges.state(Seen(view, Records.flat({"x": np.array(x)})))

    real = state([0.0, 5.0, 9.0])
    assert Ranges.score(view, real, state([-1, 0, 9, 9.5, 100, np.nan]))[0].value == 3 / 5


def test_a_pair_that_train_never_has_is_counted_and_other_labels_are_not_judged() -> None:
    schema = Schema(
        family="table",
        shape="flat",
        columns=(Column(name="a", kind="category"), Column(name="b", kind="category")),
    )
    train = {"a": Coded.of(["x", "y"] * 6), "b": Coded.of(["u", "v"] * 6)}
    view = learn_view(schema, Records.flat(dict(train)), 0)
    fake = {"a": Coded.of(["x", "x", "y", "new"]), "b": Coded.of(["u", "v", "v", "u"])}
    real, other = (Pairs.state(Seen(view, Records.flat(dict(c)))) for c in (train, fake))
    assert Unseen.score(view, real, other)[0].value == pytest.approx(1 / 4)  # x with v


# ---- copies beyond the kept hashes --------------------------------------------------------------


def test_a_sampled_copy_share_is_near_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "KEPT", 2_000)
    schema = Schema(family="table", shape="flat", columns=(Column(name="x", kind="number"),))
    train = np.arange(20_000.0)
    fake = np.concatenate([np.arange(3_000.0), 1e6 + np.arange(9_000.0)])  # a quarter is copied
    view = learn_view(schema, Records.flat({"x": train}), 0)

    def state(x: np.ndarray) -> dict[str, object]:
        parts = [Copies.state(Seen(view, Records.flat({"x": p}))) for p in np.array_split(x, 5)]
        merged = parts[0]
        for part in parts[1:]:
            merged = Copies.merge(merged, part)
        return merged

    score = Copies.score(view, state(train), state(fake))[0]
    assert not score.detail["exact"]
    assert score.detail["compared"] < 2_500
    low, high = score.detail["synthetic"]
    assert low < 0.25 < high  # a 95 % interval; the data and the hashes are fixed
    assert len(dumps(state(train))) < 40_000  # 16 bytes a kept hash: bounded


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0.0, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)


def test_copies_do_not_depend_on_how_labels_are_coded() -> None:
    one = Records.flat({"c": Coded.of(["a", "b", None])})
    two = Records.flat({"c": Coded(np.array([2, 0, -1], np.int32), ("b", "unused", "a"))})
    schema = Schema(family="table", shape="flat", columns=(Column(name="c", kind="category"),))
    view = learn_view(schema, one, 0)
    states = [Copies.state(Seen(view, r))["all"] for r in (one, two)]
    assert np.array_equal(states[0]["hashes"], states[1]["hashes"])


def test_identifiers_take_no_part() -> None:
    columns = (*example.FLAT.columns, Column(name="id", kind="identifier"))
    records = example.flat()
    records.columns["id"] = Coded.of([str(i) for i in range(records.rows)])
    view = learn_view(replace(example.FLAT, columns=columns), records, 0)
    assert "id" not in view.forms
    assert all(i.column != "id" for i in view.items)


def test_states_stay_small_for_a_wide_table() -> None:
    columns = tuple(Column(name=f"x{i}", kind="number") for i in range(120))
    rng = np.random.default_rng(0)
    records = Records.flat({c.name: rng.normal(size=300) for c in columns})
    view = learn_view(Schema(family="table", shape="flat", columns=columns), records, 0)
    assert (len(view.pairs), len(view.triples)) == (1_000, 220)
    assert view.choices()["pairs of columns"] == "a fixed choice of 1,000 of 7,140"
