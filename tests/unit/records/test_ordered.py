"""Ids of a flat table that run with another column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.core.schema import Column
from synth_spark.records.detect import detect

ROWS = 1_000
RNG = np.random.default_rng(7)
OPENED = np.datetime64("2025-11-03T06:00:00", "us") + np.sort(
    RNG.integers(0, 3 * 10**7, ROWS)
) * np.timedelta64(1, "s")
IDS = 70_000 + np.cumsum(RNG.integers(1, 4, ROWS))


def column(name: str, **columns: object) -> Column:
    schema = detect(pa.table(columns)).schema
    return schema.key if schema.key and schema.key.name == name else schema.column(name)


@pytest.mark.parametrize("form", ["", "%d/%m/%Y %H:%M"])
def test_a_ticket_number_that_runs_with_time_is_a_unique_number(form: str) -> None:
    import pandas as pd

    opened = pd.Series(OPENED).dt.strftime(form).to_numpy() if form else OPENED
    queue = np.array(["a", "b"])[RNG.integers(0, 2, ROWS)]
    found = column("ticket_id", ticket_id=IDS, opened=opened, queue=queue)
    assert (found.kind, found.unique) == ("number", True)


def test_one_that_runs_with_a_label_is_too() -> None:
    region = np.array(["n", "e", "s", "w"])[np.arange(ROWS) // 250]
    assert column("id", id=IDS, region=region, x=RNG.normal(size=ROWS)).unique


def test_one_that_runs_with_nothing_is_a_key_as_before() -> None:
    """By chance a chi-square lies 8 deviations off in less than one table in 10,000."""
    mixed = RNG.permutation(IDS)
    found = column("ticket_id", ticket_id=mixed, opened=OPENED, x=RNG.normal(size=ROWS))
    assert (found.kind, found.unique) == ("identifier", False)


def test_a_key_that_the_user_names_stays_one() -> None:
    schema = detect(pa.table({"ticket_id": IDS, "opened": OPENED}), key="ticket_id").schema
    assert schema.key is not None
    assert schema.key.name == "ticket_id"


def test_texts_and_repeats_are_no_serial_numbers() -> None:
    assert not column("ticket_id", ticket_id=[f"T{i}" for i in IDS], opened=OPENED).unique
    twice = np.repeat(IDS[: ROWS // 2], 2)
    assert not column("ticket_id", ticket_id=twice, opened=OPENED).unique


def test_ids_of_events_that_rise_within_their_subjects_are_ids_and_cells_are_labels() -> None:
    """Sixty sites number their alarms from anywhere below 500: two may have the same ones."""
    site = np.repeat(np.arange(60), 40)
    alarm = np.repeat(RNG.integers(1, 500, 60), 40) + np.tile(np.arange(40) // 2, 60)
    at = OPENED[0] + np.arange(len(site)) * np.timedelta64(90, "s")
    table = {"site": site, "at": at, "alarm_id": alarm, "cell_id": RNG.integers(0, 300, len(site))}
    mixed = RNG.permutation(len(site))  # rows of a table need not lie in order
    schema = detect(pa.table({n: v[mixed] for n, v in table.items()}), key="site", time="at").schema
    assert schema.column("alarm_id").kind == "identifier"
    assert schema.column("cell_id").kind == "category"
