"""Identifiers: made anew in the source's format, never learned.

What is kept of the source's ids is how they are written: which lengths, which characters at which
place, and a prefix or suffix that many subjects share. No id is stored, and a character at a place
is fixed only when at least `MIN_SUBJECTS` subjects have it there and (nearly) nobody has another.
Of ids that are whole numbers the range is kept, in steps of their first two digits, without the
lowest and the highest ids as far as they are fewer than `MIN_SUBJECTS`.

A new id is a permutation of the subject's number inside the free places, so two numbers never get
the same id: cycle walking over a Feistel network (Black and Rogaway, "Ciphers with Arbitrary
Finite Domains", CT-RSA 2002, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values
from synth_spark.core.seeds import stream_key
from synth_spark.errors import SynthError

MIN_SUBJECTS = 20  # that must share a character at a place before it is kept
MAX_LENGTH = 64  # places that are looked at; longer ids are cut to it
MIXED_BITS = 60  # of an id that the permutation fills; what is left of a long id is a hash
ENOUGH = 50  # ids after which a place of a hex id that never held a letter is taken for digits
FEW = 4  # characters at a place that are kept as they are, each with MIN_SUBJECTS subjects
ALPHABETS = {
    "digit": "0123456789",
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "alnum": "0123456789abcdefghijklmnopqrstuvwxyz",
    "ALNUM": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}
_ASCII = 128


class NeverLearnedError(SynthError):
    """An identifier was to be turned into tokens; it is made anew instead."""

    code = "SYN-207"


class TooManyIdsError(SynthError):
    """The ids' type has no room for so many different ones."""

    code = "SYN-208"


@dataclass(frozen=True, slots=True)
class Identifier:
    """The format of a column of ids, one entry a place, of the most frequent length.

    `whole` marks ids that are whole numbers: they lie in a range, or else, of few ids, their first
    digit is never 0, and is 1 where another might pass the end of a 32 or 64-bit integer.
    """

    places: tuple[str, ...]  # a name of ALPHABETS, or "=" and the few characters that stand there
    whole: bool
    low: int = 0  # the range of whole numbers
    high: int = -1  # the last one; below `low`: there is no range
    most: int = 2**63 - 1  # the greatest number that the ids' type holds

    kind: ClassVar[str] = "identifier"
    vocabulary: ClassVar[int] = 0
    missing_token: ClassVar[int] = -1

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> dict[str, Any]:
        """Counts by length and place over the different ids of a part; no id is kept.

        Numbers are read as whole numbers. `owners` is not needed: each id counts once a part.
        """
        texts, whole = _texts(values)
        lengths = np.zeros(MAX_LENGTH + 1, dtype=np.int64)
        seen = np.zeros((MAX_LENGTH + 1, MAX_LENGTH, _ASCII), dtype=np.int64)
        for length in sorted({min(len(t), MAX_LENGTH) for t in texts}):
            same = [t[:MAX_LENGTH] for t in texts if min(len(t), MAX_LENGTH) == length]
            lengths[length] = len(same)
            raw = "".join(same).encode("ascii", "replace")
            codes = np.frombuffer(raw, dtype=np.uint8).reshape(len(same), length)
            for place in range(length):
                seen[length, place] = np.bincount(codes[:, place], minlength=_ASCII)
        used = np.flatnonzero(lengths)
        at = [min(len(t), MAX_LENGTH) * 100 + int(t[:2].ljust(2, "0")) for t in texts if whole]
        heads = np.bincount(np.array(at, np.int64), minlength=(MAX_LENGTH + 1) * 100)
        return {
            "lengths": lengths, "used": used, "seen": seen[used], "whole": whole, "heads": heads,
        }  # fmt: skip

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """The counts of two parts."""
        used = np.union1d(left["used"], right["used"])
        seen = np.zeros((len(used), MAX_LENGTH, _ASCII), dtype=np.int64)
        for part in (left, right):
            seen[np.searchsorted(used, part["used"])] += part["seen"]
        return {
            "lengths": left["lengths"] + right["lengths"],
            "used": used,
            "seen": seen,
            "whole": left["whole"] and right["whole"],
            # an id may be in both, so they do not add up
            "heads": np.maximum(left["heads"], right["heads"]),
        }

    @classmethod
    def finish(cls, state: dict[str, Any] | None, **settings: Any) -> Self:
        """The format of the most frequent length; without any id, ten lower-case hex digits."""
        if state is None or not state["lengths"].sum():
            return cls(("hex",) * 10, whole=False)
        length = int(np.argmax(state["lengths"]))
        seen = state["seen"][int(np.searchsorted(state["used"], length))]
        if length == 0:
            return cls(("hex",) * 10, whole=False)
        upper = bool(seen[:length, 65:91].sum() > seen[:length, 97:123].sum())
        letters = seen[:length, 65:91].sum(axis=0) + seen[:length, 97:123].sum(axis=0)
        hexed = bool(letters.sum()) and not letters[6:].sum()
        places = tuple(_place(seen[i], hexed=hexed, upper=upper) for i in range(length))
        if bool(state["whole"]):
            return cls(tuple("digit" for _ in places), True, *_range(state["heads"]))
        return cls(places, whole=False)

    def encode(self, values: Values) -> NoReturn:
        """Ids are never learned.

        Raises:
            NeverLearnedError: Always (SYN-207).
        """
        raise NeverLearnedError("An identifier has no tokens.", hint="ids(numbers, seed)")

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> NoReturn:
        """Ids are never learned; see `encode`."""
        raise NeverLearnedError("An identifier has no tokens.", hint="ids(numbers, seed)")

    @property
    def room(self) -> int:
        """How many different ids are made; the format may have more than 2**60."""
        if self.high >= self.low:
            return self.most - self.low + 1
        room = 1
        for alphabet in self._alphabets():
            room = min(room * len(alphabet), 2**MIXED_BITS)
        return room

    def limited(self, most: int) -> Identifier:
        """This format for a type whose greatest number is `most`; 0: without a range."""
        if self.low > most or not most:
            return replace(self, low=0, high=-1)
        return replace(self, high=min(self.high, most), most=most)

    def widened(self, subjects: int) -> Identifier:
        """This format, or a longer one if it has not room for twice `subjects` ids.

        A range stays: numbers beyond it go on above it, as far as the type has room.
        """
        wider = self
        if self.high >= self.low:
            return self
        while wider.room < 2 * subjects:
            free = (p for p in self.places if p[0] != "=")
            grown = "digit" if self.whole else next(free, "digit")
            wider = Identifier((*wider.places, grown), self.whole)
        return wider

    def ids(self, numbers: NDArray[np.uint64], seed: int, name: str = "id") -> NDArray[np.object_]:
        """One id for each number, different for different numbers.

        Args:
            numbers: Subject numbers, shape (n,); each below `room` (see `widened`).
            seed: The run's seed.
            name: The column's name, so that two columns get different ids.

        Raises:
            TooManyIdsError: A number is not below `room` (SYN-208).
        """
        if len(numbers) and int(numbers.max()) >= self.room:
            raise TooManyIdsError(
                f"The format {self.pattern()} has room for {self.room:,} ids.",
                hint="widened(subjects)",
                room=self.room,
            )
        key = stream_key(seed, f"ids/{name}")
        if self.high >= self.low:
            return self._in_range(numbers.astype(np.uint64), key)
        mixed = permute(numbers.astype(np.uint64), self.room, key)
        filler = _mix(mixed ^ np.uint64(key >> 64))  # for the places that the permutation spares
        columns, left = [], self.room
        for alphabet in self._alphabets()[::-1]:
            letters, base = np.array(list(alphabet)), np.uint64(len(alphabet))
            if left <= 1 < len(letters):
                mixed, left, filler = filler, 2**48, _mix(filler)
            columns.append(letters[(mixed % base).astype(np.int64)])
            mixed, left = mixed // base, -(-left // len(letters))
        table = np.stack(columns[::-1], axis=1) if columns else np.zeros((len(numbers), 0), "U1")
        joined = np.ascontiguousarray(table).view(f"<U{len(self.places)}")
        return joined.reshape(-1).astype(object)

    def _in_range(self, numbers: NDArray[np.uint64], key: int) -> NDArray[np.object_]:
        """Ids in the range, then those above it in order; whatever others are drawn, shape (n,)."""
        out, span = numbers.copy(), min(self.high - self.low + 1, 2**63)
        inside = numbers < np.uint64(span)
        out[inside] = permute(numbers[inside], span, key)
        return (out + np.uint64(self.low)).astype(str).astype(object)

    def pattern(self) -> str:
        """The range, or the format: 9 a digit, f a hex digit, a and A letters, x either."""
        if self.high >= self.low:
            return f"{self.low}..{self.high}"
        marks = {"digit": "9", "hex": "f", "HEX": "F", "lower": "a", "upper": "A"}
        kept = (p[1:] if len(p) == 2 else f"[{p[1:]}]" for p in self.places)
        pairs = zip(self.places, kept, strict=True)
        return "".join(k if p[0] == "=" else marks.get(p, "x") for p, k in pairs)

    def _alphabets(self) -> list[str]:
        found = [p[1:] if p[0] == "=" else ALPHABETS[p] for p in self.places]
        if self.whole and len(found) > 1:
            found[0] = "1" if len(found) in (10, 19) else "123456789"  # a leading 0 would be lost
        return found

    def state(self) -> dict[str, Any]:
        """A tree for the model folder."""
        span = [self.low, self.high]
        return {"places": list(self.places), "whole": self.whole, "range": span}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The format that `state` came from."""
        return cls(
            tuple(state["places"]), bool(state["whole"]), *map(int, state.get("range", (0, -1)))
        )


def _range(heads: NDArray[np.int64]) -> tuple[int, int]:
    """First and last of the whole numbers, from counts by length and first two digits.

    Nothing (0, -1) where so few ids are that nothing is left between the lowest and the highest.
    """
    below, above = np.cumsum(heads), np.cumsum(heads[::-1])[::-1]
    inner = np.flatnonzero((heads > 0) & (below >= MIN_SUBJECTS) & (above >= MIN_SUBJECTS))
    if not len(inner) or below[-1] < 2 * MIN_SUBJECTS:
        return 0, -1
    (low, _), (_, high) = (_numbers(int(cell)) for cell in inner[[0, -1]])
    return (min(low, 1) if low <= high // 50 else low), high


def _numbers(cell: int) -> tuple[int, int]:
    """First and last whole number of a length and first two digits (a single one's come first)."""
    length, head = divmod(cell, 100)
    if length == 1:
        return head // 10, head // 10
    step = 10 ** (length - 2)
    return head * step, (head + 1) * step - 1


def permute(numbers: NDArray[np.uint64], room: int, key: int) -> NDArray[np.uint64]:
    """A keyed permutation of [0, room): four Feistel rounds, walked until back inside.

    Args:
        numbers: Each below `room`, shape (n,).
        room: At most 2**63.
        key: 128 bits.

    Example:
        >>> sorted(permute(np.arange(7, dtype=np.uint64), 7, 99).tolist())
        [0, 1, 2, 3, 4, 5, 6]
    """
    half = np.uint64(max(1, ((room - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    out = numbers.copy()
    todo = np.arange(len(out))
    while len(todo):
        left, right = out[todo] >> half, out[todo] & mask
        for turn in range(4):
            word = np.uint64((key >> (32 * turn)) & 0xFFFFFFFF)
            left, right = right, left ^ (_mix(right + (word << np.uint64(31))) & mask)
        out[todo] = (left << half) | right
        todo = todo[out[todo] >= np.uint64(room)]
    return out


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = (z + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _place(  # noqa: PLR0911 (a list of cases)
    seen: NDArray[np.int64], *, hexed: bool, upper: bool
) -> str:
    """One place of the format from how often each character stood there, shape (128,)."""
    top = int(np.argmax(seen))
    total = int(seen.sum())
    mark = not chr(top).isalnum()
    if seen[top] >= MIN_SUBJECTS and seen[top] >= (0.5 if mark else 0.999) * total:
        return f"={chr(top)}"
    if mark and seen[top] >= 0.9 * total:
        return f"={chr(top)}"  # punctuation names nobody, however few ids there are
    chars = np.flatnonzero(seen)
    if 1 < len(chars) <= FEW and seen[chars].min() >= MIN_SUBJECTS and total >= 100:
        return "=" + "".join(chr(c) for c in chars)
    digits, big, small = int(seen[48:58].sum()), int(seen[65:91].sum()), int(seen[97:123].sum())
    if not big + small and (not hexed or total >= ENOUGH):
        return "digit"
    if hexed:
        return "HEX" if upper else "hex"
    if not digits:
        return "upper" if upper else "lower"
    return "ALNUM" if upper else "alnum"


def _texts(values: Values) -> tuple[list[str], bool]:
    """The different ids as texts, and whether they are whole numbers by type."""
    if isinstance(values, Coded):
        used = np.unique(values.codes[values.codes >= 0])
        return [values.labels[c] for c in used], False
    there = np.asarray(values, dtype=np.float64)
    return [str(abs(int(v))) for v in np.unique(there[~np.isnan(there)])], True


CODEC = Identifier
EXAMPLE: tuple[dict[str, Any], Values, NDArray[np.int64]] = (
    {},
    Coded.of([f"{i:04d}-{'ABCDEFGHIJ'[i % 10] * 3}{'KLMNO'[i % 5]}" for i in range(60)]),
    np.arange(60, dtype=np.int64),
)
