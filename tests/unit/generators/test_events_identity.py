"""Labels behind ranks: which other values a subject has, and what they are called."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators import _events_identity_kernels as kernels
from synth_spark.generators._events_coder import RANKS
from synth_spark.generators._events_decode import Base, learn_base
from synth_spark.generators._events_labels import decode_ranked

SUBJECTS, EVENTS, HOSTS = 60, 120, 400


def browsing() -> Records:
    """Sixty people ask for hosts within a day, some hosts much more often than others."""
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, HOSTS + 1)
    hosts = rng.choice(HOSTS, SUBJECTS * EVENTS, p=weight / weight.sum())
    at = np.sort(rng.integers(0, 86_400, (SUBJECTS, EVENTS)), axis=1).ravel()
    return Records(
        {
            "at": np.datetime64("2026-01-05", "us") + at.astype("timedelta64[s]"),
            "host": Coded(hosts.astype(np.int32), tuple(f"h{k}" for k in range(HOSTS))),
        },
        np.arange(SUBJECTS + 1, dtype=np.int64) * EVENTS,
    )


def learned(records: Records) -> Base:
    columns = (
        Column(name="at", kind="time", source_type="timestamp_ntz"),
        Column(name="host", kind="category", source_type="string"),
    )
    key = Column(name="person", kind="identifier", source_type="string")
    schema = Schema(family="table", shape="events", columns=columns, key=key, time="at")
    story = learn_base(schema, min_subjects=5, bins=8, leaf=20, trees=1, seed=0)
    base, _ = learn(story, Local(records))
    return base


def seconds(records: Records) -> np.ndarray:
    """Time of each event."""
    return np.asarray(records.columns["at"], "datetime64[us]").astype(np.int64) / 1e6


def counts(labels: Coded) -> np.ndarray:
    """Events of each subject's labels, the heaviest first; (subjects, labels)."""
    owners = np.repeat(np.arange(SUBJECTS), EVENTS)
    table = np.zeros((SUBJECTS, len(labels.labels)), int)
    np.add.at(table, (owners, labels.codes), 1)
    return -np.sort(-table, axis=1)


def test_another_value_is_none_of_the_subjects_ranks_and_no_heavier_than_the_last() -> None:
    records = browsing()
    base = learned(records)
    column = base.coder.cats[0]
    assert column.how == "ranked"
    tokens = base.coder.units(records).cats[:, 0]
    drawn = decode_ranked(
        column, base.coder, base.identities[0], tokens, records.offsets, seconds(records), 0,
        np.random.default_rng(1),
    )  # fmt: skip
    ranked = np.stack([np.bincount(t, minlength=RANKS + 1) for t in tokens.reshape(SUBJECTS, -1)])
    # Made-up names of rare labels may fall together: in 3 draws of 60 subjects for two.
    same = (counts(drawn)[:, :RANKS] == -np.sort(-ranked[:, :RANKS], axis=1)).all(axis=1)
    assert same.mean() > 0.9


def test_popular_labels_stand_for_the_values_with_more_events() -> None:
    records = browsing()
    base = learned(records)
    tokens = base.coder.units(records).cats[:, 0]
    drawn = decode_ranked(
        base.coder.cats[0], base.coder, base.identities[0], tokens, records.offsets,
        seconds(records), 0, np.random.default_rng(2),
    )  # fmt: skip
    told = np.array([label in {f"h{k}" for k in range(50)} for label in drawn.labels])[drawn.codes]
    real = np.asarray(records.columns["host"].codes) < 50
    # 68 % of the events are of the 50 most asked for, who are 36 % of all values beyond the ranks.
    assert abs(told.mean() - real.mean()) < 0.1


def test_without_a_rare_label_a_value_beyond_all_labels_is_one_that_has_a_share() -> None:
    """Subject 0 holds both labels that have a share already, subject 1 holds none."""
    owner, labels = np.array([0, 0, 1, 1, 1]), np.array([[1, 3], [0, 0]])
    upper = np.cumsum([[0.0, 0.5, 0.0, 0.5]], axis=1)
    u = np.random.default_rng(0).random((5, 24))
    found = kernels.wild(owner, labels, upper, -1, u)
    assert set(found.tolist()) <= {1, 3}
    assert set(found[2:4].tolist()) == {1, 3}  # none twice while there is another
