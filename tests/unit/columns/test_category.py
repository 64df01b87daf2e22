from __future__ import annotations

import numpy as np

from synth_spark.columns import category
from synth_spark.columns.category import RARE, Category
from synth_spark.core.batch import Coded
from synth_spark.core.wire import dumps, loads


def state_of(values, owners=None):
    owners = np.arange(len(values)) if owners is None else np.asarray(owners)
    return Category.summarise(Coded.of(values), owners)


def test_a_label_of_too_few_subjects_is_not_told():
    # "b" fills four rows but belongs to one subject
    state = state_of(["a", "a", "a", "b", "b", "b", "b"], [0, 1, 2, 3, 3, 3, 3])
    codec = Category.finish(state, min_subjects=2)
    assert codec.labels == ("a",)
    decoded = codec.decode(codec.encode(Coded.of(["a", "b"])), np.zeros(2))
    assert decoded.texts().tolist() == ["a", RARE]


def test_two_parts_give_what_the_whole_gives():
    values = ["x", "y", None, "x", "z", "x", "y", None]
    whole = Category.finish(state_of(values), min_subjects=2)
    parts = Category.merge(state_of(values[:3]), loads(dumps(state_of(values[3:]))))
    assert Category.finish(parts, min_subjects=2).labels == whole.labels == ("x", "y")
    assert parts["missing"] == [2, 2]


def test_missing_is_a_token_and_comes_back_missing():
    codec = Category.finish(state_of(["a", None, "a"]), min_subjects=1)
    tokens = codec.encode(Coded.of(["a", None]))
    assert tokens[1] == codec.missing_token
    assert codec.decode(tokens, np.zeros(2)).texts().tolist() == ["a", None]


def test_a_column_that_cannot_hold_the_rare_word_draws_a_kept_label():
    codec = Category.finish(state_of(["1", "1", "1", "0", "0", "7"]), min_subjects=2, rare="kept")
    rare = np.full(5, codec.rare_token, np.int32)
    drawn = codec.decode(rare, np.array([0.0, 0.3, 0.59, 0.61, 0.99])).texts().tolist()
    assert drawn == ["1", "1", "1", "0", "0"]  # shares .6 and .4


def test_a_million_labels_stay_bounded_and_are_counted():
    rows = 120_000
    codes = np.concatenate([np.zeros(50, np.int32), np.arange(1, rows + 1, dtype=np.int32)])
    labels = tuple(f"v{i:07d}" for i in range(rows + 1))
    state = Category.summarise(Coded(codes, labels), np.arange(len(codes)))
    assert len(state["labels"]) == category.MOST_LABELS
    assert state["cut"] == [rows + 1 - category.MOST_LABELS] * 2
    codec = Category.finish(state)
    assert codec.labels == ("v0000000",)
    assert codec.rare_labels == rows


def test_an_unseen_label_gets_a_token_even_without_rare():
    codec = Category.finish(state_of(["a"] * 6 + ["b"] * 5))
    assert codec.rare_token == -1
    assert codec.encode(Coded.of(["new"])).tolist() == [1]  # the lightest


def test_the_model_file_gives_the_codec_back():
    codec = Category.finish(state_of(["a"] * 6 + ["b"] * 5 + ["c", None]))
    again = Category.from_state(loads(dumps(codec.state())))
    tokens = np.arange(codec.vocabulary, dtype=np.int32)
    inside = np.full(len(tokens), 0.5)
    assert again.vocabulary == 4
    assert again.decode(tokens, inside).texts().tolist() == ["a", "b", RARE, None]


def test_many_rare_labels_come_back_as_so_many_made_up_ones():
    codec = Category.finish(state_of(["a"] * 9 + [f"r{k}" for k in range(4)]), min_subjects=2)
    rare = np.full(8, codec.rare_token, np.int32)
    drawn = codec.decode(rare, np.arange(8) / 8).texts().tolist()
    assert drawn == [f"{RARE}{k}" for k in (0, 0, 1, 1, 2, 2, 3, 3)]
    assert (codec.encode(Coded.of(drawn)) == codec.rare_token).all()
