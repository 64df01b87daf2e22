from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth_spark.core.shelf import FAMILIES
from synth_spark.errors import PlanError
from synth_spark.records import world

SMALL = world.make(subscribers=60, days=14, seed=3)


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    again = world.make(subscribers=60, days=14, seed=3)
    for name in SMALL.cdr:
        np.testing.assert_array_equal(SMALL.cdr[name], again.cdr[name])
    other = world.make(subscribers=60, days=14, seed=4)
    assert len(other.cdr["event_at"]) != len(SMALL.cdr["event_at"])


def test_every_row_keeps_the_rules_of_its_family() -> None:
    for name in ("cell", "subscriber", "cdr"):
        assert (FAMILIES.get(name).check(getattr(SMALL, name)) == -1).all()


def test_events_are_in_time_order_within_each_subscriber_and_inside_the_weeks() -> None:
    who, when = SMALL.cdr["subscriber_id"], SMALL.cdr["event_at"]
    same = who[1:] == who[:-1]
    assert (when[1:] >= when[:-1])[same].all()
    assert when.min() >= world.START
    assert when.max() < world.START + np.timedelta64(14, "D")
    assert (~same).sum() == 60 - 1  # each subscriber's rows stand together


def test_the_default_world_has_the_size_that_the_demo_needs() -> None:
    rows = len(world.make().cdr["event_at"])
    assert 50_000 <= rows <= 100_000


def test_nights_are_quiet_and_few_contacts_take_most_calls() -> None:
    hour = SMALL.cdr["event_at"].astype("datetime64[h]").astype(int) % 24
    per_hour = np.bincount(hour, minlength=24)
    assert per_hour[1:5].sum() < per_hour[9:13].sum() / 3
    mine = SMALL.cdr["correspondent_id"][
        SMALL.cdr["subscriber_id"] == SMALL.cdr["subscriber_id"][0]
    ]
    _, counts = np.unique(mine[mine != None].astype(str), return_counts=True)  # noqa: E711
    assert np.sort(counts)[-5:].sum() > 0.4 * counts.sum()


def test_columns_named_as_the_subscribers_are_the_same_in_all_their_events() -> None:
    profile = dict(zip(SMALL.subscriber["subscriber_id"], SMALL.subscriber["plan"], strict=True))
    pairs = zip(SMALL.cdr["subscriber_id"], SMALL.cdr["plan"], strict=True)
    assert all(profile[who] == plan for who, plan in pairs)


def test_a_plan_may_name_the_world_as_its_source(tmp_path: Path) -> None:
    path = world.materialise("world:subscriber?subscribers=30&days=2&seed=9", tmp_path)
    assert pq.read_table(path).num_rows == 30


@pytest.mark.parametrize("source", ["world:calls", "world:cdr?people=3", "world:cdr?days=many"])
def test_a_wrong_name_or_setting_of_the_world_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        world.materialise(source, tmp_path)
    assert list(tmp_path.iterdir()) == []
