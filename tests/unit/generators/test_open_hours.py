"""Claims about conditions on hours and week days in models that draw whole histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition, ImpossibleConditionError, held_rows
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.shelf import GENERATORS
from synth_spark.generators._events_episodes import Drawn
from synth_spark.generators._events_open import OpenHours, Spans, _moved_to, chosen, week_shares
from synth_spark.generators._open_hours import open_hours, week_hours
from tests.unit.generators.events_world import SCHEMA, phones

WEEK, LONG = phones(), phones(40, 300, 60, 3)  # a week of each; 60 days, cut into episodes


def learned(name: str, records: Records) -> Any:
    kind = GENERATORS.get(name)
    settings = {"leaf": 15, "trees": 5} if name == "markov" else {}
    params = kind.Params(min_subjects=1, **settings)
    return learn(kind.learn(SCHEMA, params, 1), Local(records))


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        "week": learned("markov", WEEK),
        "long": learned("markov", LONG),
        "independent": learned("independent", WEEK),
    }


def asked(*texts: str) -> Condition:
    return Condition.parse(texts, SCHEMA)


def same(left: Records, right: Records) -> None:
    np.testing.assert_array_equal(left.offsets, right.offsets)
    for name, value in left.columns.items():
        other = right.columns[name]
        if isinstance(value, Coded):
            np.testing.assert_array_equal(value.texts(), other.texts(), name)
        else:
            np.testing.assert_array_equal(value, other, name)


@pytest.mark.parametrize("which", ["week", "long", "independent"])
@pytest.mark.parametrize(
    "texts",
    [["hour=18..19", "weekday=sat|sun"], ["hour=8..8"], ["weekday=wed", "kind=text", "plan=b"]],
    ids=" ".join,
)
def test_every_subject_has_an_event_in_the_open_hours_and_none_outside(
    models: dict[str, Any], which: str, texts: list[str]
) -> None:
    model = models[which].conditioned(asked(*texts))
    drawn = model.sample(1, model.block_size, 1)
    assert drawn.subjects == model.block_size
    assert drawn.lengths.min() >= 1
    assert held_rows(asked(*texts), SCHEMA, drawn).rows == drawn.rows
    steps = np.diff(np.asarray(drawn.columns["at"]).astype(np.int64))
    assert (steps[np.diff(drawn.owners) == 0] >= 0).all()
    days = np.asarray(drawn.columns["at"]).astype("datetime64[D]")
    of = (LONG if which == "long" else WEEK).columns["at"].astype("datetime64[D]")
    assert of.min() <= days.min() <= days.max() <= of.max()


@pytest.mark.parametrize(
    "texts", [["hour=8..13"], ["weekday=sat|sun"], ["hour=12..13", "weekday=tue"]], ids=" ".join
)
def test_subjects_have_as_many_events_there_as_those_of_a_free_draw(
    models: dict[str, Any], texts: list[str]
) -> None:
    """A ratio of means over some 1,500 subjects: its standard deviation is below .03."""
    model = models["week"]
    drawn = model.conditioned(asked(*texts)).sample(0, model.block_size, 1)
    free = held_rows(asked(*texts), SCHEMA, model.sample(0, model.block_size, 1))
    ratio = (drawn.rows / drawn.subjects) / (free.rows / free.subjects)
    assert 0.88 < ratio < 1.12


def test_a_free_draw_is_the_same_whether_or_not_conditions_were_met_before(
    models: dict[str, Any],
) -> None:
    for model in models.values():
        before = model.sample(2, 50, 3)
        model.conditioned(asked("hour=9..12")).sample(2, 50, 3)
        same(model.sample(2, 50, 3), before)


@pytest.mark.parametrize("which", ["week", "independent"])
def test_a_part_of_a_block_and_a_saved_model_draw_the_same(
    models: dict[str, Any], which: str
) -> None:
    model = models[which]
    condition = asked("plan=b", "hour=9..10")
    whole = model.conditioned(condition).sample(0, model.block_size, 1)
    saved = type(model).from_state(model.state()).conditioned(condition)
    same(saved.sample(0, 30, 1), whole.take(np.arange(30)))


@pytest.mark.parametrize("which", ["week", "long"])
def test_hours_in_which_no_event_begins_are_refused(models: dict[str, Any], which: str) -> None:
    with pytest.raises(ImpossibleConditionError):
        models[which].conditioned(asked("hour=2..4"))  # phones sleep from 20 to 8


@pytest.mark.parametrize("name", ["markov", "independent"])
def test_days_on_which_nothing_ever_happens_are_refused(name: str) -> None:
    model = learned(name, phones(days=1))  # all on Monday, 4 March 2024
    with pytest.raises(ImpossibleConditionError):
        model.conditioned(asked("weekday=sat"))
    drawn = model.conditioned(asked("weekday=mon")).sample(0, 20, 1)
    assert drawn.subjects == 20


def test_the_hours_of_the_week_begin_on_monday() -> None:
    times = np.array(["2024-03-04T00:30", "2024-03-10T23:59", "1970-01-01T00:00"], "datetime64[us]")
    assert week_hours(times).tolist() == [0, 167, 72]
    opened = open_hours(asked("hour=18..20", "weekday=sat|sun").clauses)
    assert np.argwhere(opened).tolist() == [[d, h] for d in (5, 6) for h in (18, 19, 20)]


def test_what_a_unit_expects_is_its_count_times_the_part_of_its_days_that_is_open() -> None:
    """Events lie evenly in the week; Saturday and Sunday from 12 on are open."""
    opened = np.zeros((7, 24), bool)
    opened[5:, 12:] = True
    drawn = Drawn(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)))
    hours = OpenHours(np.full((4, 7, 24), 1 / 168), opened, np.zeros((24, 12)), drawn)
    monday = np.full(4, 19_786)  # 4 March 2024
    first, last = np.array([0, 5, 0, 4]), np.array([6, 5, 4, 12])
    spans = Spans(
        np.array([0, 1, 2, 2]), monday, np.zeros(4, np.int64), np.ones(4),
        np.array([14.0, 3, 9, 18]), first, last,
    )  # fmt: skip
    expected = [14 * 24 / 168, 3 * 12 / 24, 0, 18 * 36 / 216]  # Friday to the next Saturday
    np.testing.assert_allclose(hours.expected(spans), expected)
    np.testing.assert_allclose(hours.chance(spans, 3), 1 - np.exp([-2, -1.5, -3]))


def test_a_unit_with_many_nights_expects_more_of_its_events_in_them() -> None:
    """Seven days of 14 events: a quarter of the hours are nights, or half with odds of three."""
    opened = np.zeros((7, 24), bool)
    opened[:, :6] = True
    drawn = Drawn(*(np.zeros(0),) * 4)
    hours = OpenHours(np.full((1, 7, 24), 1 / 168), opened, np.zeros((24, 12)), drawn)
    two, none = np.arange(2), np.zeros(2, np.int64)
    spans = Spans(two, none, none, np.array([1.0, 3]), np.full(2, 14.0), none, none + 6)
    np.testing.assert_allclose(hours.expected(spans), [3.5, 7])


def test_an_hour_that_only_stray_gaps_reached_has_no_share() -> None:
    counts, seen = np.zeros((1, 7, 24)), np.zeros((7, 24))
    counts[0, :, 9], counts[0, 2, 3] = 1_000, 2
    seen[:, 9], seen[4, 17] = 1, 1
    share = week_shares(counts, seen)
    assert share[0, 2, 3] == 0
    assert 0 < share[0, :, 17].sum() < 1e-4  # real events stand there, but none was drawn
    assert share.sum() == pytest.approx(1)


def test_the_nearest_burst_moves_and_the_rest_stays() -> None:
    hour = 3_600.0
    t = np.array([1.0, 5.0, 5.5, 6.0, 20.0]) * hour
    np.testing.assert_array_equal(
        _moved_to(8 * hour, t, 24 * hour) / hour, [1.0, 7.0, 7.5, 8.0, 20.0]
    )
    np.testing.assert_array_equal(_moved_to(0.0, t, 24 * hour) / hour, [0.0, 5.0, 5.5, 6.0, 20.0])


def test_subjects_are_chosen_with_all_their_units() -> None:
    drawn = Drawn(
        np.array([0, 0, 1, 2, 2]), np.arange(5), np.arange(5.0)[:, None], np.array([[7], [8], [9]])
    )
    found = chosen(drawn, np.array([2, 0, 2]))
    assert found.owner.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.anchor.tolist() == [3, 4, 0, 1, 3, 4]
    assert found.subject[:, 0].tolist() == [9, 7, 9]
