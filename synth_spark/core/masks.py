"""Typed parameters in text made by programs: what is a number, an address, a path in a log line.

`mask` takes them out of a line. What is left, the shape, holds one private-use character for each
parameter, so that lines of one statement of a program become equal or nearly so. Masking before
mining follows Drain3 and He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
ICWS 2017, section III-B.
"""

from __future__ import annotations

import re

FIRST = 0xE000  # the character of the first type; those of the private use area U+E000 to U+E0FF
WORD = "word"  # a whole word that differs from line to line, found by mining and not by a pattern
_UNITS = r"(?:[kKMGT]i?[Bb]?|[Bb]ytes|[Bb]|ms|us|ns|s|sec|secs|min|h|Hz|MHz|GHz|bps)(?![A-Za-z0-9])"
_OCTET = r"\d{1,3}"
_TYPES = {  # in the order in which they are tried
    "url": r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>,;()\[\]{}]+",
    "uuid": r"(?<![A-Za-z0-9])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![A-Za-z0-9])",
    "ip": rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?::\d{{1,5}})?(?![\w]|\.\d)",
    "date": r"(?<![\w./-])(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{4}\.\d{2}\.\d{2})"
    r"(?![\w/-]|\.\d)",
    "clock": r"(?<![\w:.])\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?![\w:]|[.,]\d)",
    "groups": r"(?<![\w:])[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}(?![\w:])",  # MAC, IPv6
    "drive": r"(?<![A-Za-z0-9])[A-Za-z]:\\[^\s\"',;()\[\]{}]+",
    "path": r"(?<![\w./])/(?!\d{1,3}(?:\.\d{1,3}){3})[\w.@%+~$-]+(?:/[\w.@%+~$-]+)*/?"
    r"(?:\?[\w.@%+~$=&:-]+)?",
    "0x": r"(?<![A-Za-z0-9])0[xX][0-9a-fA-F]+(?![A-Za-z0-9])",
    "hex": r"(?<![A-Za-z0-9])(?=[a-fA-F]*\d)(?=\d*[a-fA-F])(?:[0-9a-f]{6,}|[0-9A-F]{6,})"
    r"(?![A-Za-z0-9])",
    "dotted": r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w]|\.\d)",
    "number": r"(?<![A-Za-z0-9])(?<!\d\.)(?:(?<![A-Za-z0-9.)\]])-)?\d+(?:\.\d+)?"
    rf"(?:(?![A-Za-z0-9]|\.\d)|(?={_UNITS}))",
}
TYPES = (*_TYPES, WORD)
_ONE = {name: re.compile(pattern) for name, pattern in _TYPES.items()}
_ANY = re.compile("|".join(f"(?P<t{i}>{p})" for i, p in enumerate(_TYPES.values())))
_MARKS = {f"t{i}": chr(FIRST + i) for i in range(len(_TYPES))}
MARK = {name: chr(FIRST + i) for i, name in enumerate(TYPES)}
TYPE_OF = {mark: name for name, mark in MARK.items()}
# What a pattern can tell apart of a value's characters (x for 0x; letters after f are alike).
LOOKS = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ",
    "0000000000aaaaaagggggggggggggggggggAAAAAAGGGGGGGGGGGGGGGGGGG",
)
_OURS = re.compile("[\ue000-\uf8ff\n\r]")


def mask(line: str) -> tuple[str, list[str]] | None:
    """The shape of a line and its parameters from left to right; None for a line we cannot mask.

    Lines that hold a character of the private use area, or several lines in one, are not masked.

    Example:
        >>> shape, found = mask("Served blk_-16 of 67 KB to 10.0.0.1:80")
        >>> readable(shape), found
        ('Served blk_<number> of <number> KB to <ip>', ['-16', '67', '10.0.0.1:80'])
    """
    if _OURS.search(line):
        return None
    found: list[str] = []

    def taken(match: re.Match[str]) -> str:
        found.append(match.group())
        return _MARKS[str(match.lastgroup)]

    return _ANY.sub(taken, line), found


def is_of(type_: str, value: str) -> bool:
    """Whether a text is a whole value of a type.

    Example:
        >>> is_of("ip", "10.0.0.1"), is_of("ip", "10.0.0"), is_of("word", "a b")
        (True, False, False)
    """
    if type_ == WORD:
        return bool(value) and " " not in value and not _OURS.search(value)
    return _ONE[type_].fullmatch(value) is not None


def readable(shape: str) -> str:
    """A shape or a template for people: `<number>` for each number."""
    return "".join(f"<{TYPE_OF[c]}>" if c in TYPE_OF else c for c in shape)
