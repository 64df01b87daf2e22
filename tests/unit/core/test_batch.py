"""Records in memory: taking, joining and recoding subjects."""

from __future__ import annotations

import numpy as np

from synth_spark.core.batch import Coded, Encoded, Records


def some() -> Records:
    """Three subjects with 2, 0 and 3 rows."""
    return Records(
        {"x": np.arange(5.0), "c": Coded.of(["b", None, "a", "b", "a"])}, np.array([0, 2, 2, 5])
    )


def test_taking_subjects_keeps_their_rows_in_order() -> None:
    taken = some().take(np.array([2, 0, 1]))
    assert taken.offsets.tolist() == [0, 3, 5, 5]
    assert taken.columns["x"].tolist() == [2.0, 3.0, 4.0, 0.0, 1.0]
    assert taken.columns["c"].texts().tolist() == ["a", "b", "a", "b", None]


def test_owners_name_each_rows_subject() -> None:
    assert some().owners.tolist() == [0, 0, 2, 2, 2]


def test_joining_parts_gives_the_whole_even_when_their_labels_differ() -> None:
    whole = some()
    other = Records({"x": np.array([9.0]), "c": Coded.of(["z"])}, np.array([0, 1]))
    joined = Records.joined([whole, other])
    assert joined.offsets.tolist() == [0, 2, 2, 5, 6]
    assert joined.columns["c"].texts().tolist() == ["b", None, "a", "b", "a", "z"]


def test_joining_cut_parts_changes_nothing() -> None:
    whole = some()
    parts = [whole.take(np.array([i])) for i in range(3)]
    joined = Records.joined(parts)
    assert joined.offsets.tolist() == whole.offsets.tolist()
    np.testing.assert_array_equal(joined.columns["x"], whole.columns["x"])


def test_recoding_sends_unknown_values_to_other_and_keeps_missing() -> None:
    assert Coded.of(["b", None, "q"]).recode(["a", "b"], 7).tolist() == [1, -1, 7]


def test_encoded_subjects_are_taken_with_context_and_events() -> None:
    encoded = Encoded(
        {"k": np.array([[1], [2], [3]])}, {"e": np.arange(10).reshape(5, 2)}, np.array([0, 2, 2, 5])
    )
    taken = encoded.take(np.array([2]))
    assert taken.context["k"].tolist() == [[3]]
    assert taken.events["e"].tolist() == [[4, 5], [6, 7], [8, 9]]
