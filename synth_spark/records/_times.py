"""Times that a source holds as text or as a count since 1970: which format, said in strftime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import product

import numpy as np
from numpy.typing import NDArray

_CLOCKS = ("", "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_ZONED = ("%H:%M:%S%z", "%H:%M:%S.%f%z", "%H:%M%z")
_YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
_DAY_FIRST = tuple(f"%d{s}%m{s}{y}" for y, s in product(("%Y", "%y"), "/-."))
_MONTH_FIRST = tuple(f"%m{s}%d{s}{y}" for y, s in product(("%Y", "%y"), "/-."))
_WORDS = ("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y")
_COMPACT = ("%Y%m%d%H%M%S", "%Y%m%d")
_MAY_BE_SHORT = ("%m", "%d", "%H", "%I")
_PIECES = re.compile(r"%[A-Za-z]")
_RUNS = re.compile(r"\d+|[A-Za-z]+")
_MARKS = re.compile(r"(?<=\d)T(?=\d)|(?<=\d)Z$")  # of ISO 8601, no pieces of their own
_LOOKS = re.compile(r"(?=.*\d)[\dA-Za-z ,:./+TZ-]{6,40}")
_COMPACT_LOOKS = re.compile(r"(?:19|20)\d{6}(?:\d{6})?")


def time_format_of(texts: Sequence[str]) -> str:
    """The strftime format that at least 99 % of the texts follow, or "".

    Where day and month could change places the texts decide (a 13 is a day); if none does, the
    day is taken to stand first. Texts of digits only (20260302) are left to `compact_format_of`.
    """
    texts = [t.strip() for t in texts]
    if not texts or sum(bool(_LOOKS.fullmatch(t)) for t in texts) < 0.99 * len(texts):
        return ""
    if all(t.replace(".", "").lstrip("+-").isdigit() and t.count(".") < 2 for t in texts[:50]):
        return ""
    for dates in (_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST, _WORDS):
        for date in dates:
            if not _follows(texts[:3], (date, *(f"{date}{s}" for s in (" ", "T"))), prefix=True):
                continue
            clocks = [f"{date}{gap}{c}" for c in _CLOCKS[1:] + _ZONED for gap in (" ", "T")]
            for form in (date, *clocks):
                if _share(texts, form) >= 0.99:
                    return _digits_as_written(_zone_as_written(form, texts), texts)
    return ""


def _digits_as_written(form: str, texts: Sequence[str]) -> str:
    """A 4 may be written 04 or 4: %-d for a day that is mostly written without the 0, and so on."""
    pieces = _PIECES.findall(form)
    runs = [_RUNS.findall(_MARKS.sub(" ", t)) for t in texts]
    runs = [r for r in runs if len(r) == len(pieces)]
    for i, piece in enumerate(pieces):
        if piece in _MAY_BE_SHORT:
            short = sum(len(r[i]) == 1 for r in runs)
            if short > sum(len(r[i]) > 1 and r[i][0] == "0" for r in runs):
                form = form.replace(piece, f"%-{piece[1]}", 1)
    return form


def _zone_as_written(form: str, texts: Sequence[str]) -> str:
    """%z takes +0200, +02:00 and Z; a twin is to write what the source does: %:z has the colon."""
    colons = sum(t[-3:-2] == ":" and t[-6:-5] in "+-" for t in texts if len(t) > 6)
    return form.replace("%z", "%:z") if form.endswith("%z") and 2 * colons > len(texts) else form


def compact_format_of(texts: Sequence[str]) -> str:
    """%Y%m%d%H%M%S or %Y%m%d when nearly all texts follow it, or "". For columns named as times."""
    if not texts or not all(_COMPACT_LOOKS.fullmatch(t.strip()) for t in texts[:50]):
        return ""
    return next((f for f in _COMPACT if _share([t.strip() for t in texts], f) >= 0.99), "")


def epoch_unit_of(numbers: NDArray[np.float64]) -> str:
    """epoch_s or epoch_ms when nearly all numbers lie between 1990 and 2100 as such, or ""."""
    there = numbers[~np.isnan(numbers)]
    for unit, scale in (("epoch_s", 1.0), ("epoch_ms", 1e3)):
        inside = (there >= 631_152_000 * scale) & (there < 4_102_444_800 * scale)
        if len(there) and inside.mean() >= 0.99:
            return unit
    return ""


def _share(texts: Sequence[str], form: str) -> float:
    if sum(_parses(t, form) for t in texts[:20]) < 0.8 * len(texts[:20]):
        return 0.0  # most forms fail at once, and parsing is slow
    return sum(_parses(t, form) for t in texts) / len(texts)


def _parses(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _follows(texts: Sequence[str], forms: Sequence[str], *, prefix: bool) -> bool:
    """Whether the first texts could begin by one of the forms; sorts most forms out quickly."""
    separators = re.sub(r"%.", "", forms[0])
    mark = separators[:1]
    return all(mark in t for t in texts) if prefix and mark else True
