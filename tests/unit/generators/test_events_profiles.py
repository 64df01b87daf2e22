"""Claims about subjects with many units: counts and shares by the subject's profile."""

from __future__ import annotations

import numpy as np
import pytest

from synth_spark.core.batch import Records
from synth_spark.generators._events_coder import RANKS, Coder
from synth_spark.generators._events_episodes import Drawn, Histories
from synth_spark.generators._events_own import counts_kept, parts_kept
from synth_spark.generators._events_scales import SILENT, beside, counted
from synth_spark.generators._gpt_subjects import (
    ClockShares,
    PromptedAttributes,
    PromptedHistories,
)
from tests.unit.generators.events_world import phones
from tests.unit.generators.test_events_coder import learned

SUBJECTS, WEEKS = 300, 8
EVERY_DAY = np.ones(7, bool)


@pytest.fixture(scope="module")
def world() -> tuple[Coder, Records, Histories]:
    """Eighty phones of eight weeks; each keeps a share of its events between .1 and 1."""
    records = phones(subjects=80, mean=500, days=7 * WEEKS)
    rng = np.random.default_rng(6)
    busy = rng.uniform(0.1, 1.0, 80)[records.owners]
    kept = np.flatnonzero(rng.random(records.rows) < busy)
    lengths = np.bincount(records.owners[kept], minlength=80)
    columns = {name: column[kept] for name, column in records.columns.items()}
    some = Records(columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    coder = learned(some)
    assert coder.episodes
    histories, _ = Histories.learn(coder, some, leaf=20, seed=1, trees=5)
    return coder, some, histories


@pytest.fixture(scope="module")
def drawn(world: tuple[Coder, Records, Histories]) -> Drawn:
    return world[2].draw(SUBJECTS, 3, 0)


def per_subject(drawn: Drawn, values: np.ndarray) -> np.ndarray:
    out = np.zeros((SUBJECTS, values.shape[1]))
    np.add.at(out, drawn.owner, values)
    return out


def test_counts_of_a_subjects_weeks_lie_around_its_own_level(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    """Real weeks: nearly all of the spread of log counts is between the phones."""
    attributes = world[2].attributes
    n = drawn.table[:, attributes.index("n")]
    level = drawn.table[:, attributes.index("level")]
    assert np.corrcoef(np.log1p(n), level)[0, 1] > 0.9


def test_over_all_its_weeks_a_subjects_shares_are_its_own(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    attributes = world[2].attributes
    n = drawn.table[:, attributes.index("n")]
    first = np.searchsorted(drawn.owner, np.arange(SUBJECTS))
    for j, slots in enumerate(attributes.slots.count):
        if slots < 2:
            continue
        total = per_subject(drawn, attributes.shares(drawn.table, j) * n[:, None])
        own = drawn.table[first, [c.name for c in attributes.columns].index(f"stick{j}/0")]
        assert np.abs(total[:, 0] / total.sum(axis=1) - own).mean() < 0.01


def test_over_all_its_weeks_a_subject_has_as_many_events_as_its_profile_says(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    attributes = world[2].attributes
    n = drawn.table[:, attributes.index("n")]
    first = np.searchsorted(drawn.owner, np.arange(SUBJECTS))
    total = np.bincount(drawn.owner, n, SUBJECTS)
    want = np.minimum(
        np.expm1(drawn.table[first, attributes.index("total")]), world[1].lengths.max()
    )
    assert np.median(np.abs(total / want - 1)) < 0.02  # weeks are whole events
    real = np.quantile(world[1].lengths, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(total, [0.1, 0.5, 0.9]), real, rtol=0.25)


def test_a_subject_goes_to_as_many_values_over_all_its_weeks_as_its_profile_says(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    attributes, coder = world[2].attributes, world[0]
    n = drawn.table[:, attributes.index("n")]
    first = np.searchsorted(drawn.owner, np.arange(SUBJECTS))
    ranked = [j for j, c in enumerate(coder.cats) if c.how == "ranked"]
    assert ranked
    for j in ranked:
        total = per_subject(drawn, np.rint(attributes.shares(drawn.table, j) * n[:, None]))
        ranks = attributes.slots.of_token[j][:RANKS]
        want = np.minimum(drawn.table[first, attributes.index(f"values{j}")], total.sum(axis=1))
        assert np.abs((total[:, ranks] > 0).sum(axis=1) - want).mean() < 0.3


def test_counts_keep_the_deviation_of_their_logarithms_and_the_total() -> None:
    """By hand: 3 and 15 (log 4, 16: deviation log 2) to half of that and 20 events: parts 1, 2."""
    n = np.array([3.0, 0, 15, 5])
    kept = counts_kept(n, np.array([0, 0, 0, 1]), np.array([np.log(2) / 2, 1.0]), np.array([20, 9]))
    assert kept.tolist() == [np.rint(22 / 3 - 1), 0, np.rint(44 / 3 - 1), 9]


def test_an_episode_of_one_event_stays_one_unless_there_is_no_other() -> None:
    kept = counts_kept(
        np.array([1.0, 3, 3, 1, 1]), np.array([0, 0, 0, 1, 1]), np.zeros(2), np.array([21, 8])
    )
    assert kept.tolist() == [1, 10, 10, 4, 4]


def test_parts_of_episodes_are_scaled_to_the_subjects_own_in_whole_events() -> None:
    """By hand: of 4, 4, 4 events 2, 0, 1 become 1, 0, .5; of 2 events 1 becomes 1.8."""
    part, n = np.array([0.5, 0.0, 0.25, 0.5, 0.0]), np.array([4.0, 4, 4, 2, 0])
    kept = parts_kept(part, n, np.array([0, 0, 0, 1, 1]), np.array([0.125, 0.9]))
    assert kept.tolist() == [0.25, 0.0, 0.25, 1.0, 0.0]


def test_every_history_begins_with_an_event(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    first = np.searchsorted(drawn.owner, np.arange(SUBJECTS))
    assert (drawn.table[first, world[2].attributes.index("n")] >= 1).all()


def test_a_history_drawn_under_no_restriction_is_as_busy_as_a_free_one(
    world: tuple[Coder, Records, Histories], drawn: Drawn
) -> None:
    histories = world[2]
    asked = PromptedHistories.over(histories, histories.attributes, {}, EVERY_DAY, 7)
    at = histories.attributes.index("n")
    found = asked.draw(SUBJECTS, 3, 0)
    means = [part.table[:, at].mean() for part in (drawn, found)]
    error = drawn.table[:, at].std() / np.sqrt(SUBJECTS)  # a subject's weeks are alike
    assert abs(means[0] - means[1]) < 5 * error


def test_hours_of_the_night_that_were_asked_for_are_not_scaled_to_the_subjects_own(
    world: tuple[Coder, Records, Histories],
) -> None:
    histories, hours = world[2], np.isin(np.arange(24), (1, 2, 3))
    clock = ClockShares.of(np.concatenate([np.full(24, 100), np.full(7, 300)]), hours, EVERY_DAY)
    asked = PromptedAttributes.over(histories.attributes, {}, set(), clock, episodes=True)
    found = PromptedHistories.over(histories, asked, {}, EVERY_DAY, 7).draw(60, 3, 0).table
    on = found[:, asked.index("n")] > 0
    assert (found[on, asked.index("night")] == 1).all()


def test_counts_come_back_from_beside_the_level() -> None:
    n = np.array([0.0, 1.0, 7.0, 400.0])
    level, spread = np.full(4, 2.0), np.array([0.0, 0.3, 1.0, 2.0])
    found = beside(n, level, spread)
    assert found[0] == SILENT
    np.testing.assert_allclose(counted(found, level, spread), n, rtol=1e-6)
