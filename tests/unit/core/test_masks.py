"""Typed parameters of log lines: what is taken out, and that nothing else is."""

from __future__ import annotations

import re

import pytest

from synth_spark.core.masks import MARK, TYPE_OF, is_of, mask, readable

LINES = [  # a line of a system, its shape, its parameters
    ("Responder 1 for block blk_-16 ends", "Responder <number> for block blk_<number> ends",
     ["1", "-16"]),
    ("src: /10.250.19.102:54106 up", "src: /<ip> up", ["10.250.19.102:54106"]),
    ("took 12ms of 1.5 KB", "took <number>ms of <number> KB", ["12", "1.5"]),
    ("lock=233570404, flags=0x1, u0", "lock=<number>, flags=<0x>, u0", ["233570404", "0x1"]),
    ("open /etc/httpd/x.conf and/or none", "open <path> and/or none", ["/etc/httpd/x.conf"]),
    ("[a01aa6b5-3fa8-4bd6-8e5a-38d3c7a2b1c0] ok", "[<uuid>] ok",
     ["a01aa6b5-3fa8-4bd6-8e5a-38d3c7a2b1c0"]),
    ("at 12:46:37 on 2016-09-28.", "at <clock> on <date>.", ["12:46:37", "2016-09-28"]),
    ("mac c4:b3:01:bd:b5:c3 token 9f4ef63", "mac <groups> token <hex>",
     ["c4:b3:01:bd:b5:c3", "9f4ef63"]),
    ("v 6.1.7601.23505 core.862", "v <dotted> core.<number>", ["6.1.7601.23505", "862"]),
    ("url http://a.b/c?d=1, then C:\\Windows\\x.dll", "url <url>, then <drive>",
     ["http://a.b/c?d=1", "C:\\Windows\\x.dll"]),
    ("session opened for user root", "session opened for user root", []),
]  # fmt: skip


@pytest.mark.parametrize(("line", "shape", "found"), LINES, ids=[x[0][:20] for x in LINES])
def test_parameters_are_taken_out_by_their_type(line: str, shape: str, found: list[str]) -> None:
    masked = mask(line)
    assert masked is not None
    assert (readable(masked[0]), masked[1]) == (shape, found)


@pytest.mark.parametrize("line", [x[0] for x in LINES])
def test_a_shape_filled_with_its_parameters_is_the_line_and_each_is_of_its_type(line: str) -> None:
    masked = mask(line)
    assert masked is not None
    shape, found = masked
    left = iter(found)
    assert re.sub("|".join(TYPE_OF), lambda _: next(left), shape) == line
    types = [TYPE_OF[c] for c in shape if c in TYPE_OF]
    assert all(is_of(t, v) for t, v in zip(types, found, strict=True))


def test_a_line_with_our_own_marks_or_of_two_lines_is_not_masked() -> None:
    assert mask(f"a {MARK['number']} b") is None
    assert mask("first\nsecond") is None


def test_a_value_is_of_a_type_only_as_a_whole() -> None:
    assert is_of("number", "-3.5")
    assert not is_of("number", "3 4")
    assert not is_of("hex", "123456")  # a number
    assert not is_of("word", "")
