"""Claims about the attributes of units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.generators._events_attributes import Attributes, own_levels
from synth_spark.generators._events_episodes import Histories
from synth_spark.generators._events_facts import Attribute, Slots, measure
from synth_spark.generators._events_scales import possible, slope_of
from tests.unit.generators.events_world import SCHEMA, phones
from tests.unit.generators.test_events_coder import learned

RECORDS = phones()
CODER = learned(RECORDS)
UNITS = CODER.units(RECORDS)
GIVEN = {"anchor": UNITS.anchor.astype(float)}


def drawn() -> tuple[Attributes, np.ndarray]:
    attributes = Attributes.learn(CODER, UNITS, GIVEN, leaf=15, seed=1, trees=5)
    u = np.random.default_rng(0).random((500, len(attributes.columns), 4))
    return attributes, attributes.draw({"anchor": np.full(500, UNITS.anchor[0], float)}, u)


def test_facts_of_a_unit_are_what_a_plain_count_says() -> None:
    facts, counts = measure(CODER, Slots.learn(CODER, UNITS), UNITS)
    for i in (0, 5, 33):
        part = slice(UNITS.offsets[i], UNITS.offsets[i + 1])
        t = UNITS.t[part]
        assert facts["n"][i] == len(t)
        assert facts["days"][i] == len({int(x // 86_400) for x in t})
        np.testing.assert_allclose(facts["span"][i], (t[-1] - t[0]) / 86_400)
        np.testing.assert_allclose(facts["gap"][i], np.log1p(np.median(np.diff(t))))
        for j in range(len(CODER.cats)):
            tokens = UNITS.cats[part, j]
            assert counts[j][i].sum() == len(t)
            np.testing.assert_allclose(
                facts[f"self{j}"][i], (tokens[1:] == tokens[:-1]).sum() / max(len(t) - 1, 1)
            )


def test_shares_are_whole_events_and_as_many_values_as_drawn() -> None:
    attributes, x = drawn()
    n = x[:, attributes.index("n")]
    for j in range(len(CODER.cats)):
        counts = attributes.shares(x, j) * n[:, None]
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
        np.testing.assert_allclose(counts.sum(axis=1), n)
        at = attributes.index("distinct", j)
        if at >= 0:
            assert ((counts > 0.5).sum(axis=1) == x[:, at]).mean() > 0.98


def of_labels(tastes: np.ndarray, seed: int) -> tuple[Attributes, np.ndarray, np.ndarray]:
    """Attributes of events of labels, each subject with its shares, and the real and drawn table.

    Args:
        tastes: Chance of each label, shape (subjects, labels).
        seed: Of the events.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 60, len(tastes))
    labels = [rng.choice(len(p), n, p=p) for n, p in zip(lengths, tastes, strict=True)]
    at = [np.sort(rng.integers(0, 7 * 86_400, n)) for n in lengths]
    columns = {
        "at": np.datetime64("2024-03-04", "us") + np.concatenate(at).astype("timedelta64[s]"),
        "kind": Coded(np.concatenate(labels).astype(np.int32), tuple("abcdefgh")[: len(tastes[0])]),
    }
    records = Records(columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    schema = replace(SCHEMA, columns=tuple(c for c in SCHEMA.columns if c.name in ("at", "kind")))
    coder = learned(records, schema)
    units = coder.units(records)
    given = {"anchor": units.anchor.astype(float)}
    attributes = Attributes.learn(coder, units, given, leaf=40, seed=1, trees=10)
    attributes = Attributes.from_state(attributes.state())
    return attributes, attributes.table(coder, units, given), made_of(attributes, units.anchor[0])


def made_of(attributes: Attributes, anchor: int, held: dict | None = None) -> np.ndarray:
    u = np.random.default_rng(0).random((2_000, len(attributes.columns), 4))
    return attributes.draw({"anchor": np.full(2_000, anchor, float)}, u, held)


# eight labels, each subject with shares of its own: most use five or six
TASTES = np.random.default_rng(3).dirichlet(3.2 * np.arange(8, 0, -1) / 36, 600)


def test_labels_are_used_by_as_many_subjects_and_as_unevenly_as_in_the_records() -> None:
    """Of three seeds the first distance was .06 to .10, and .35 where leaves mix who uses some."""
    attributes, real, made = of_labels(TASTES, 3)
    assert attributes.slots.common.all()
    real, made = (attributes.shares(x, 0) for x in (real, made))
    assert np.abs((real > 0).mean(axis=0) - (made > 0).mean(axis=0)).sum() < 0.2
    assert abs(real.max(axis=1).mean() - made.max(axis=1).mean()) < 0.02


def test_a_closed_slot_is_not_filled_and_the_open_ones_hold_all() -> None:
    attributes, _, _ = of_labels(TASTES, 3)
    open_ = np.arange(8) % 3 == 1
    x = made_of(attributes, 19_786, {0: open_})
    shares = attributes.shares(x, 0)
    assert (shares[:, ~open_] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    some = [i for i, c in enumerate(attributes.columns) if c.name == "some" and not open_[c.place]]
    assert len(some) >= 4
    assert (x[:, some] == 0).all()


def test_a_label_that_few_use_for_most_of_their_events_keeps_its_part() -> None:
    """The real part is .038; two thirds were lost where its use was drawn first."""
    tastes = np.tile([0.5, 0.3, 0.2, 0.0], (600, 1))
    tastes[:40] = [0.21, 0.13, 0.08, 0.58]
    attributes, real, made = of_labels(tastes, 0)
    assert not attributes.slots.common.any()
    at = attributes.index("n")
    parts = [np.average(attributes.shares(x, 0)[:, 3], weights=x[:, at]) for x in (real, made)]
    assert 0.7 < parts[1] / parts[0] < 1.4


def test_drawn_means_are_near_the_real_ones() -> None:
    attributes, x = drawn()
    real = attributes.table(CODER, UNITS, GIVEN)
    for name in ("n", "days", "hour_mean"):
        at = attributes.index(name)
        error = real[:, at].std() / np.sqrt(len(real)) + 1e-9
        assert abs(x[:, at].mean() - real[:, at].mean()) < 4 * error


def test_what_the_first_and_the_last_event_leave_possible() -> None:
    """Units of 1, 5 and 3 events: at 9 h; from 10 to 16 h; over two days."""
    n, first = np.array([1.0, 5, 3]), np.array([9 / 24, 10 / 24, 0.5])
    span = possible("span", np.array([0.2, 0.25, 1.0]), n, first, np.zeros(3))
    assert span.tolist() == [0.0, 0.25, 1.0]
    wanted = {
        "hour_mean": ([14.0, 18.0, 3.0], [9.0, 16.0, 3.0]),
        "hour_std": ([1.0, 5.0, 5.0], [0.0, 3.0, 5.0]),
        "night": ([1.0, 0.4, 0.3], [0.0, 0.0, 0.3]),
        "gap": ([5.0, 12.0, 2.0], [0.0, np.log1p(6 * 3_600 / 2), 2.0]),
    }
    for name, (drawn, kept) in wanted.items():
        found = possible(name, np.array(drawn), n, first, span)
        np.testing.assert_allclose(found, kept, atol=1e-9)


def test_a_habit_is_drawn_around_the_level_of_its_own_column() -> None:
    columns = (
        Attribute("own_night", "given"),
        Attribute("own_self1", "given"),
        Attribute("stick0/2", "given"),
        Attribute("n", "whole"),
        Attribute("self", "drawn", 0),
        Attribute("self", "drawn", 1),
        Attribute("night", "drawn"),
        Attribute("share", "share", 0, 1),
        Attribute("share", "share", 0, 2),
    )
    assert own_levels(columns) == {5: 1, 6: 0, 8: 2}


def test_a_subjects_nights_stay_its_own_from_week_to_week() -> None:
    rng = np.random.default_rng(4)
    records = phones(subjects=60, mean=500, days=56)
    owl = rng.random(60)[records.owners] * 0.6 > rng.random(records.rows)
    at = records.columns["at"].astype("datetime64[D]").astype("datetime64[us]")
    late = at + rng.integers(0, 6 * 3_600, records.rows).astype("timedelta64[s]")
    at = np.where(owl, late, records.columns["at"])
    order = np.lexsort((at, records.owners))
    columns = {k: v[order] for k, v in (records.columns | {"at": at}).items()}
    from synth_spark.core.batch import Records

    kept = Records(columns, records.offsets)
    coder = learned(kept)
    assert coder.episodes
    histories, _ = Histories.learn(coder, kept, leaf=20, seed=1, trees=5)
    units = histories.draw(200, 3, 0)
    night = units.table[:, histories.attributes.index("night")]
    odd = np.arange(len(night)) % 2 == 1
    means = [
        np.bincount(units.owner[s], night[s], 200)
        / np.maximum(np.bincount(units.owner[s], minlength=200), 1)
        for s in (odd, ~odd)
    ]
    assert np.corrcoef(means)[0, 1] > 0.9


def test_a_subjects_weeks_resemble_one_another() -> None:
    rng = np.random.default_rng(4)
    records = phones(subjects=60, mean=500, days=56)
    busy = np.flatnonzero(rng.random(records.rows) < np.where(records.owners % 2, 1.0, 0.1))
    offsets = np.searchsorted(records.owners[busy], np.arange(61))
    from synth_spark.core.batch import Records

    kept = Records({k: v[busy] for k, v in records.columns.items()}, offsets)
    coder = learned(kept)
    assert coder.episodes
    histories, _ = Histories.learn(coder, kept, leaf=20, seed=1, trees=5)
    units = histories.draw(60, 3, 0)
    n = units.table[:, histories.attributes.index("n")]
    odd = np.arange(len(n)) % 2 == 1
    means = [
        np.bincount(units.owner[s], n[s], 60)
        / np.maximum(np.bincount(units.owner[s], minlength=60), 1)
        for s in (odd, ~odd)
    ]
    assert np.corrcoef(np.log1p(means))[0, 1] > 0.8


def test_a_gap_goes_with_the_even_one_as_far_as_the_records_say() -> None:
    """By hand: gaps of half the even ones, and gaps that do not hang on them; habits do wholly."""
    even, own = Attribute("even", "computed"), Attribute("own_gap", "given")
    at, n = np.array([1.0, 2.0, 3.0, 4.0, 0.0]), np.array([9.0, 9.0, 3.0, 9.0, 1.0])
    assert slope_of(even, at, 0.5 * at + 7, n) == pytest.approx(0.5)
    assert slope_of(even, at, np.array([4.0, 5.0, 5.0, 4.0, 0.0]), n) == 0.0  # but of one event
    assert slope_of(own, at, np.zeros(5), n) == 1.0
    assert slope_of(even, at, np.zeros(5), np.ones(5)) == 1.0
