"""New parameter values in the format of the old ones: no real id, address or name is copied.

A format is a value cut at its punctuation. A piece of letters or digits stays as it is where at
least `min_subjects` subjects have it at this place; else only its characters' kinds stay (a digit,
a lower-case letter, ...), and a draw fills them. Dates and clocks are those of the row's own time.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from synth_spark.core.masks import WORD, is_of

_KINDS = {  # of a character that a draw fills; the private use area does not occur in values
    "\uf000": "0123456789",
    "\uf001": "123456789",
    "\uf002": "abcdefghijklmnopqrstuvwxyz",
    "\uf003": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "\uf004": "0123456789abcdef",
    "\uf005": "0123456789ABCDEF",
}
_DIGIT, _FIRST, _LOWER, _UPPER, _HEX, _BIG_HEX = _KINDS
_OCTET = "\uf006"  # of an address: a number from 1 to 254
_PIECES = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9]+")
_HEXED = ("hex", "0x", "uuid", "groups")
_BARE = ("number", "hex", "0x")
_CALENDARS = ("date", "clock")
MOST_FORMATS = 64
_M64 = (1 << 64) - 1
STANDARD = {  # a value of each type, where nothing else may be told
    "url": "http://host/path",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ip": "10.0.0.1",
    "date": "2000-01-01",
    "clock": "00:00:00",
    "groups": "00:00:00:00:00:00",
    "drive": "C:\\path",
    "path": "/path",
    "0x": "0x0",
    "hex": "0a0a0a",
    "dotted": "1.0.0",
    "number": "0",
    WORD: "x",
}


class Dice:
    """Random numbers of one subject, one after the other: SplitMix64, as in Steele et al. 2014."""

    __slots__ = ("state",)

    def __init__(self, state: int) -> None:
        self.state = state & _M64

    def bits(self) -> int:
        """64 random bits."""
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & _M64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _M64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _M64
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return (self.bits() >> 11) * 2.0**-53

    def below(self, count: int) -> int:
        """A whole number in [0, count)."""
        return (self.bits() * count) >> 64

    def among(self, upper: list[float]) -> int:
        """A position by cumulative weights."""
        goal, low, high = self.uniform() * upper[-1], 0, len(upper) - 1
        while low < high:
            middle = (low + high) // 2
            if upper[middle] > goal:
                high = middle
            else:
                low = middle + 1
        return low


@dataclass(frozen=True, slots=True)
class Formats:
    """How the values of one parameter are written, with the weight of each format."""

    type: str
    formats: tuple[str, ...]
    upper: list[float]  # cumulative weights

    @classmethod
    def learn(cls, type_: str, values: Iterable[tuple[str, int]], min_subjects: int) -> Self:
        """Formats that enough subjects have.

        Args:
            type_: Of the parameter, see `core/masks.py`.
            values: Values with the subject that holds each.
            min_subjects: Least subjects of a piece and of a format.
        """
        held: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
        cut = [(_PIECES.findall(value), owner) for value, owner in values]
        for pieces, owner in cut:
            for place, piece in enumerate(pieces):
                held[place, piece].add(owner)
        told = {key for key, owners in held.items() if len(owners) >= min_subjects}
        rows: Counter[str] = Counter()
        owners_of: defaultdict[str, set[int]] = defaultdict(set)
        for pieces, owner in cut:
            parts = [
                piece if (place, piece) in told else _kinds(piece, type_, place)
                for place, piece in enumerate(pieces)
            ]
            form = "".join(parts)
            rows[form] += 1
            owners_of[form].add(owner)
        kept = sorted(
            (f for f in rows if len(owners_of[f]) >= min_subjects), key=lambda f: (-rows[f], f)
        )[:MOST_FORMATS]
        if cut and not kept and type_ in _BARE:  # how many digits such values have names nobody
            bare = Counter("".join(_kinds(p, type_, i) for i, p in enumerate(c)) for c, _ in cut)
            kept = [min(bare, key=lambda f: (-bare[f], f))]
            rows[kept[0]] = bare[kept[0]]
        return cls(type_, tuple(kept), _cumulative([rows[f] for f in kept]))

    def draw(self, dice: Dice, at_us: int | None) -> str:
        """A new value of the type.

        Args:
            dice: Of the subject.
            at_us: The row's time in microseconds since 1970, where it has one.
        """
        if self.type in _CALENDARS:
            form = self.formats[dice.among(self.upper)] if self.formats else STANDARD[self.type]
            made = _timed(form, self.type, dice, at_us)
        elif self.formats:
            form = self.formats[dice.among(self.upper)]
            made = "".join(_char(c, dice) for c in form)
        else:
            made = _usual(self.type, dice)
        return made if is_of(self.type, made) else _usual(self.type, dice)


def _kinds(piece: str, type_: str, place: int) -> str:
    """A piece by the kinds of its characters; punctuation stays."""
    if not piece[0].isalnum():
        return piece
    if type_ == "ip" and place < 7:
        return _OCTET
    if type_ in _HEXED and (type_ != "0x" or place == 0):
        if type_ == "0x":
            return piece[:2] + (_BIG_HEX if _shouts(piece[2:]) else _HEX) * len(piece[2:])
        return (_BIG_HEX if _shouts(piece) else _HEX) * len(piece)
    out = [_DIGIT if c.isdigit() else _UPPER if c.isupper() else _LOWER for c in piece]
    if piece.isdigit() and piece[0] != "0" and type_ not in _CALENDARS:
        out[0] = _FIRST
    return "".join(out)


def _shouts(text: str) -> bool:
    return any(c in "ABCDEF" for c in text) and not any(c in "abcdef" for c in text)


def _char(c: str, dice: Dice) -> str:
    if c == _OCTET:
        return str(1 + dice.below(254))
    letters = _KINDS.get(c)
    return c if letters is None else letters[dice.below(len(letters))]


def _usual(type_: str, dice: Dice) -> str:
    """A value of the type that looks like no particular one."""
    if type_ == "ip":
        return "10." + ".".join(str(1 + dice.below(254)) for _ in range(3))
    if type_ == "hex":
        return "a0" + "".join(_char(_HEX, dice) for _ in range(6))
    if type_ == "0x":
        return "0x" + "".join(_char(_HEX, dice) for _ in range(8))
    if type_ == "uuid":
        form = "-".join(_HEX * n for n in (8, 4, 4, 4, 12))
        return "".join(_char(c, dice) for c in form)
    if type_ == WORD:
        return "".join(_char(_LOWER, dice) for _ in range(6))
    return STANDARD[type_]


_CALENDAR = re.compile(r"[0-9\uf000\uf001]+")


def _timed(form: str, type_: str, dice: Dice, at_us: int | None) -> str:
    """A date or a clock of the row's time, in the widths of a format; without one, any."""
    us = dice.below(28 * 86_400_000_000) if at_us is None else at_us
    if type_ == "date":
        import numpy as np

        year, month, day = str(np.datetime64(us // 86_400_000_000, "D")).split("-")
        parts = [int(year), int(month), int(day)]
    else:
        s = us // 1_000_000
        parts = [s // 3_600 % 24, s // 60 % 60, s % 60, us % 1_000_000]
    widths = iter(parts)

    def put(match: re.Match[str]) -> str:
        width, value = len(match.group()), next(widths, 0)
        if type_ == "clock" and match.start() and form[match.start() - 1] in ".,":
            return f"{value:06d}".ljust(width, "0")[:width]
        return f"{value:0{width}d}"

    return _CALENDAR.sub(put, form)


def _cumulative(weights: Iterable[float]) -> list[float]:
    out, total = [], 0.0
    for w in weights:
        total += w
        out.append(total)
    return out
