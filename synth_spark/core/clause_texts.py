"""Texts of conditions: several clauses in one text, and labels in quotation marks.

region=rural hour=18..20        two clauses, where `hour` is a field of the records
region="rural hour=18..20"      one clause: what stands in quotation marks is a label as it is
region="say ""a"" | b"          a quotation mark in it is written twice, where it may be its end
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_INSIDE = r'(?:""|[^"]|"(?!"|\s*(?:\||\Z)))*?'  # one alone counts where the label cannot end
_QUOTED = re.compile(rf'\s*"(?:({_INSIDE})|(.*?))"\s*(\||\Z)', re.DOTALL)
_UNLIKE = re.compile(r'\||^"|\s\S.*=|=\s*"', re.DOTALL)  # would be read as something else


def split_clauses(text: str, fields: Sequence[str]) -> list[str]:
    """The clauses of one text, cut before each ` field=` that stands in no quotation marks.

    Args:
        text: One clause or several; what precedes the first `=` is never cut.
        fields: Names that begin a clause; any other `name=` belongs to the label before it.

    Example:
        >>> split_clauses("region=rural area b=c hour=18..20", ["region", "hour"])
        ['region=rural area b=c', 'hour=18..20']
        >>> split_clauses('region="rural hour=18..20"', ["region", "hour"])
        ['region="rural hour=18..20"']
    """
    if not fields:
        return [text]
    named = "|".join(re.escape(f) for f in sorted(fields, key=len, reverse=True))
    begin = re.compile(rf"\s+(?={'(?:' + named + ')'}\s*=)")
    ended = rf"(?=\s*(?:\||\Z)|\s+(?:{named})\s*=)"
    quoted = re.compile(rf'[=|]\s*"(?:{_INSIDE}"{ended}|.*?"{ended})', re.DOTALL)
    inside = [m.span() for m in quoted.finditer(text)]
    found, start, at = [], 0, text.find("=") + 1
    while at and (cut := begin.search(text, at)):
        at = cut.end()
        if any(a <= cut.start() < b for a, b in inside):
            continue
        found.append(text[start : cut.start()])
        start, at = cut.end(), text.index("=", cut.end()) + 1
    return [*found, text[start:]]


def labels_of(value: str) -> tuple[str, ...]:
    """The labels of a clause, parted by bars; one in quotation marks is what stands in them.

    Example:
        >>> labels_of('basic | "a|b" | 12" pipe')
        ('basic', 'a|b', '12" pipe')
    """
    labels: list[str] = []
    rest, more = value, "|"
    while more:
        if found := _QUOTED.match(rest):
            doubled, as_is, more = found.groups()
            label = as_is if doubled is None else doubled.replace('""', '"')
            rest = rest[found.end() :]
        else:
            label, more, rest = rest.partition("|")
            label = label.strip()
        labels.append(label)
    return tuple(labels)


def label_text(label: str) -> str:
    """A label as it is written in a clause: in quotation marks where it would be read otherwise."""
    plain = label and label == label.strip() and not _UNLIKE.search(label)
    return label if plain else '"' + label.replace('"', '""') + '"'
