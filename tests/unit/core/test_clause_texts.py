"""Texts of conditions: what is written of labels is read as the same labels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from synth_spark.core.clause_texts import label_text, labels_of, split_clauses

SIGNS = ('"', "|", " ", "=", "x", "a", "\n")


def test_every_label_is_read_as_it_was_written() -> None:
    """All texts of up to five signs that mean something, alone and before another clause."""
    for size in range(6):
        for signs in product(SIGNS, repeat=size):
            label = "".join(signs)
            text = f"x={label_text(label)}"
            assert split_clauses(text, ["x", "a"]) == [text], label
            assert labels_of(text[2:]) == (label,)
            assert split_clauses(f"{text} a=1", ["x", "a"]) == [text, "a=1"], label


def test_several_labels_and_clauses_are_parted_where_they_were_joined() -> None:
    rng = np.random.default_rng(4)
    for _ in range(5_000):
        some = [
            ["".join(rng.choice(SIGNS, rng.integers(0, 9))) for _ in range(rng.integers(1, 4))]
            for _ in range(2)
        ]
        clauses = [
            f"{field}={'|'.join(label_text(v) for v in labels)}"
            for field, labels in zip("xa", some, strict=True)
        ]
        assert split_clauses(" ".join(clauses), ["x", "a"]) == clauses
        assert [labels_of(c[2:]) for c in clauses] == [tuple(labels) for labels in some]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('12" pipe', ('12" pipe',)),
        ('"a"b"', ('a"b',)),  # no end of a label: it need not be doubled
        ('"a|b""', ('a|b"',)),
        ('""vip""', ('"vip"',)),
        ('"a""|b"', ('a"|b',)),
        ('""', ("",)),
    ],
)
def test_a_persons_quotation_marks_are_taken_for_what_they_mean(
    text: str, labels: tuple[str, ...]
) -> None:
    assert labels_of(text) == labels


def test_many_quotation_marks_take_no_time() -> None:
    text = '"' * 2_001 + "x"
    assert labels_of(text) == (text,)
    assert split_clauses(f"x={text} a=1", ["x", "a"]) == [f"x={text}", "a=1"]
