"""Templates of log lines: who has to hold them, and that lines read back."""

from __future__ import annotations

import numpy as np

from synth_spark.columns._text_mine import OTHER, Templates, mine
from synth_spark.core.masks import readable


def mined(lines: list[str], owners: list[int], least: int = 3) -> Templates:
    return mine(lines, np.array(owners), least)


def texts(templates: Templates) -> list[str]:
    return [readable(templates.text(i)) for i in range(len(templates))]


def test_a_template_that_enough_subjects_hold_is_told_and_another_is_not() -> None:
    lines = [f"open block {i}" for i in range(3)] + ["secret of alice", "secret of alice"]
    told = mined(lines, [0, 1, 2, 0, 1])
    assert texts(told) == ["open block <number>"]
    assert told.parse("open block 77") == (0, ["77"])
    assert told.parse("secret of alice") == (OTHER, [])


def test_words_in_which_rare_lines_differ_become_parameters() -> None:
    lines = [f"login failed for user {name} again" for name in ("ann", "bob", "cleo")]
    told = mined(lines, [0, 1, 2])
    assert texts(told) == ["login failed for user <word> again"]
    assert told.parse("login failed for user d-9 again") == (0, ["d-9"])


def test_the_order_of_the_rows_changes_nothing() -> None:
    lines = [f"read {n} from host{n % 4}" for n in range(40)] + [f"close {n}" for n in range(9)]
    owners = list(range(49))
    back = mined(lines[::-1], owners[::-1])
    assert mined(lines, owners).state() == back.state()


def test_a_line_that_is_read_is_written_as_it_was() -> None:
    lines = [f"a  b {n} c=/x/{n} d" for n in range(5)]
    told = mined(lines, [0, 1, 2, 3, 4])
    for line in lines:
        i, values = told.parse(line)
        assert told.written(i, values) == line


def test_the_template_with_the_fewest_free_words_is_chosen() -> None:
    told = Templates.from_state(["a \ue00c c", "a b c"])  # \ue00c is a free word
    assert told.parse("a b c")[0] == 1
    assert told.parse("a x c") == (0, ["x"])
    assert told.parse("a  c") == (OTHER, [])  # a free word is never empty


def test_templates_survive_the_wire() -> None:
    told = mined([f"open block {i}" for i in range(3)], [0, 1, 2])
    assert Templates.from_state(told.state()).state() == told.state()
