"""Whether a column holds lines that programs wrote: many different ones, of few templates."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from synth_spark.core.masks import mask
from synth_spark.records._profile import SMALL, Profile

LEAST_LINES = 100  # different lines before a column can be text
LONE_SHARE = 0.05  # of the rows that are different lines: fewer, and a category holds them all
WORDS = 2.0  # of a line, on average
REPEATS = 0.5  # share of the lines whose shape another line has, once parameters are masked
PARAMETERS = 0.3  # share of the lines that have a parameter


_WITH_DIGIT = re.compile(r"[^\s\ue000-\uf8ff]*\d\S*")


def _look(line: str) -> str | None:
    """A line without its parameters, and without what is left of words that hold a digit."""
    masked = mask(line)
    return None if masked is None else _WITH_DIGIT.sub("#", masked[0])


def lines_in(column: Profile) -> str:
    """Why a column is text written by programs; "" if it is not.

    Prose differs from line to line even where its numbers are masked; names and addresses have few
    words. Lines of programs repeat themselves but for their parameters.
    """
    lines = [str(v) for v in column.labels[:SMALL]]
    if len(column.labels) < LEAST_LINES or len(column.labels) < LONE_SHARE * column.rows:
        return ""
    if np.mean([len(line.split()) for line in lines]) < WORDS:
        return ""
    looks = [(line, look) for line in lines if (look := _look(line)) is not None]
    shapes = Counter(look for _, look in looks)
    again = sum(n for n in shapes.values() if n > 1) / len(lines)
    holding = sum(look != line for line, look in looks) / len(lines)
    if again < REPEATS or holding < PARAMETERS:
        return ""
    return (
        f"lines that programs write: {column.distinct:,} different ones; of {len(lines):,} looked "
        f"at, {again:.0%} differ from another in their numbers, ids or addresses only"
    )
