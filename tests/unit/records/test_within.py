"""Claims about ids within a subject: what is taken for one, and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth_spark.core.schema import Column
from synth_spark.records.detect import Counts, Detection, detect

USERS, EACH = 60, 40
OWNER = np.repeat(np.arange(USERS), EACH)
PLACE = np.tile(np.arange(EACH), USERS)  # of an event in its subject's history
WHEN = np.datetime64("2026-03-01", "us") + (PLACE * 600).astype("timedelta64[s]")


def found(**columns: Any) -> Detection:
    table = pa.table({"user_id": [f"u{o:03d}" for o in OWNER], "at": WHEN, **columns})
    return detect(table, key="user_id", time="at")


def the(**columns: Any) -> Column:
    return found(**columns).schema.column(next(iter(columns)))


SESSION = OWNER * 5 + PLACE // 8  # 300, of eight events each


def test_a_session_is_an_id_within_the_subject_and_the_reason_says_so() -> None:
    seen = found(session=[f"s{s}" for s in SESSION])
    column = seen.schema.column("session")
    assert (column.kind, column.per, column.counterpart) == ("identifier", "event", False)
    assert "belong to one user_id only" in seen.why["session"]


def test_values_that_come_back_are_ids_within_the_subject_as_well() -> None:
    sim = [f"sim{o * 2 + p % 2}" for o, p in zip(OWNER, PLACE, strict=True)]
    assert the(sim=sim).kind == "identifier"


@pytest.mark.parametrize("name", ["session_id", "tripNo", "device", "imsi"])
def test_whole_numbers_with_the_name_of_an_id_are_one(name: str) -> None:
    column = the(**{name: SESSION + 10_000})
    assert (column.kind, column.source_type) == ("identifier", "bigint")


def test_whole_numbers_with_another_name_stay_numbers() -> None:
    assert the(odometer=SESSION + 10_000).kind == "number"
    assert the(session_bytes=SESSION + 10_000).kind == "number"
    assert the(reading=[str(s + 10_000) for s in SESSION]).kind == "number"


def test_numbers_beyond_the_exact_ones_may_be_sessions() -> None:
    column = the(session=SESSION + 2**60)
    assert (column.kind, column.source_type) == ("identifier", "bigint")


def test_an_id_that_never_changes_within_its_subject_is_made_once_a_subject() -> None:
    for values in (OWNER + 262_010_000_000_000, [f"i{o}" for o in OWNER]):
        column = the(imsi=values)
        assert (column.kind, column.per) == ("identifier", "subject")


def test_some_sessions_may_be_missing() -> None:
    missing = [None if p % 8 == 3 else f"s{s}" for s, p in zip(SESSION, PLACE, strict=True)]
    assert the(session=missing).kind == "identifier"
    marked = ["-" if v is None else v for v in missing]
    assert the(session=marked).kind == "identifier"


def test_values_that_subjects_share_stay_a_category() -> None:
    cell = [f"cell{(o * 7 + p) % 150}" for o, p in zip(OWNER, PLACE, strict=True)]
    assert the(cell=cell).kind == "category"


def test_pages_of_which_all_subjects_use_one_stay_a_category() -> None:
    page = ["home" if p % 2 else f"page{s}" for s, p in zip(SESSION, PLACE, strict=True)]
    assert the(page=page).kind == "category"


def test_few_values_stay_a_category() -> None:
    assert the(town=[f"town{o // 3}" for o in OWNER]).kind == "category"


def test_the_values_of_a_lone_subject_say_nothing_about_owners() -> None:
    rows = 1_000
    table = pa.table(
        {
            "user_id": ["u1"] * rows,
            "at": WHEN[:1].repeat(rows) + np.arange(rows).astype("timedelta64[s]"),
            "site": [f"site{i % 200}" for i in range(rows)],
        }
    )
    counts = Counts(100_000, {"user_id": 90, "site": 900})
    seen = detect(table, key="user_id", time="at", counts=counts)
    assert seen.schema.column("site").kind == "category"


def test_one_row_in_twenty_of_a_long_table_still_shows_sessions() -> None:
    """First rows and spread rows as the command takes them: most sessions are seen once or not."""
    users, each = 2_000, 400
    owner = np.repeat(np.arange(users), each)
    session = owner * 40 + np.tile(np.arange(each) // 10, users)
    at = np.datetime64("2026-03-01", "us") + np.arange(len(owner)).astype("timedelta64[s]")
    spread = np.random.default_rng(3).choice(len(owner), 20_000, replace=False)
    for rows in (np.r_[:20_000, np.sort(spread)], np.sort(spread)):
        table = pa.table(
            {"user_id": owner[rows], "at": at[rows], "session": [f"s{s}" for s in session[rows]]}
        )
        counts = Counts(len(owner), {"user_id": users, "session": users * 40})
        seen = detect(table, key="user_id", time="at", counts=counts)
        assert seen.schema.column("session").kind == "identifier"
