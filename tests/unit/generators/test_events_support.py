"""What never comes, by counts."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_clock import DAY_S, Clock
from synth_spark.generators._events_coder import EventColumn, Units
from synth_spark.generators._events_support import in_runs, never_of

PLAN = EventColumn("plan", "plain", 3, -1, None)


def units(t: np.ndarray, tokens: np.ndarray) -> Units:
    """Units as long as the rows of `t`, shape (units, events)."""
    many, each = t.shape
    none = np.zeros((many * each, 0))
    return Units(
        np.arange(many), np.zeros(many, np.int64), np.arange(many + 1) * each, t.ravel(),
        tokens.reshape(-1, 1).astype(np.int32), none.astype(np.int32), none,
    )  # fmt: skip


def daily(many: int) -> tuple[Clock, Units]:
    t = np.tile(np.arange(20) * DAY_S, (many, 1))
    clock = Clock.learn(np.diff(t).ravel(), horizon_days=20, tick_s=DAY_S)
    return clock, units(t, np.zeros_like(t))


def test_of_a_row_a_day_no_gap_and_no_jump_within_the_day_leads_on() -> None:
    clock, some = daily(60)
    never = never_of(clock, some)
    assert never[: clock.gaps + 1].all()
    assert not never[clock.gaps + 1 :].any()


def test_few_events_say_nothing_of_what_never_comes() -> None:
    assert not never_of(*daily(20)).any()


def test_a_category_is_in_runs_where_no_value_comes_back() -> None:
    t = np.tile(np.arange(12.0), (30, 1))
    once = np.tile([0] * 5 + [1] * 7, (30, 1))
    back = once.copy()
    back[:, 10:] = 0
    assert in_runs(PLAN, once.ravel(), units(t, once))
    assert not in_runs(PLAN, back.ravel(), units(t, back))
    assert not in_runs(PLAN, once[:10].ravel(), units(t[:10], once[:10]))  # too few
    short = np.tile([0, 1], (30, 1))
    assert not in_runs(PLAN, short.ravel(), units(t[:, :2], short))  # two events tell nothing
