"""One parameter of one template: whether it repeats what stood before, or is new, and how new.

A value is the same as an earlier one of its line; or the last one at this place; or one of the last
`RECALLED` different values of its pool in the subject, whatever the template (a block that one line
opens another one closes); or the last one and a step; or fresh. A pool holds the values of one type
behind the same letters (`blk_`). How often each happens is counted behind each template
that stood before and each way of the parameter before it in the line (parts of an id change
together), and of two explanations the one that leaves less open is taken, parameter by parameter.
Fresh values are the told ones by their share, numbers by `columns/number.py`, or made up in the
format of the old ones (`_text_made.py`).

Copying from what stood before follows See, Liu and Manning, "Get To The Point: Summarization with
Pointer-Generator Networks", ACL 2017, section 2.2, with counts in the place of attention.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns._text_made import Dice, Formats
from synth_spark.columns._text_ways import (
    ANY,
    EXACT_DIGITS,
    Use,
    Way,
    after_step,
    behind_of,
    open_nats,
    steps_of,
    tied_of,
    way_of,
)
from synth_spark.columns.number import Number
from synth_spark.core.masks import is_of

RECALLED = 16  # values of a type that a subject's memory holds
MOST_TOLD = 200  # values of a parameter that are told
QUANTILES = 4_096  # of a number: values that a draw chooses from
_ALIKE = 0.9  # share of different values from which long numbers are names


@dataclass(slots=True)
class Memory:
    """What a subject's lines have said so far."""

    last: dict[tuple[int, int], str] = field(default_factory=dict)  # template, parameter -> value
    pools: dict[str, list[str]] = field(default_factory=dict)  # pool -> values, the latest first
    before: int = -1  # the template of the line before

    def note(self, template: int, slot: int, pool_name: str, value: str) -> None:
        """Remember a value."""
        self.last[template, slot] = value
        pool = self.pools.setdefault(pool_name, [])
        if value in pool:
            pool.remove(value)
        pool.insert(0, value)
        del pool[RECALLED:]


@dataclass(frozen=True, slots=True)
class Slot:
    """How one parameter is drawn."""

    type: str
    pool: str
    ways: tuple[Way, ...]
    upper: list[float]  # cumulative weights of the ways
    after: dict[tuple[int, str], list[float]]  # the same behind a template and a way, see `behind`
    told: tuple[str, ...]
    told_upper: list[float]  # of the told values; one entry more for what is made up
    formats: Formats
    number: Number | None
    decimals: int  # of a number
    width: int  # digits of a number that is padded with zeros; 0: not padded
    _table: list[NDArray[np.float64]] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def learn(
        cls, type_: str, pool: str, uses: list[Use], min_subjects: int, earlier: list[str]
    ) -> tuple[Self, list[str]]:
        """Count the ways of a parameter and learn its fresh values.

        Args:
            type_: See `core/masks.py`.
            pool: Whose values it can share.
            uses: Its values, line by line.
            min_subjects: What fewer subjects hold is not told.
            earlier: The way of the line's parameter before this one; "" for the first.

        Returns:
            The parameter, and the way of each use.
        """
        steps, tied = steps_of(type_, uses, min_subjects), tied_of(uses)
        told_ways = [[way_of(u, tied, steps, first) for u in uses] for first in ("last", "recall")]
        found = min(told_ways, key=lambda w: open_nats(w, uses))
        ways = Counter(found)
        fresh = [u for u, w in zip(uses, found, strict=True) if w[0] == "fresh"] or uses
        order = sorted(ways, key=lambda w: (-ways[w], w))
        share = np.array([ways[w] for w in order]) / len(uses)
        after = behind_of(uses, found, earlier, order, share)
        number, decimals, width = _number(type_, fresh, min_subjects)
        told, weights, made = _told(fresh, min_subjects)
        formats = Formats.learn(type_, ((u.value, u.owner) for u in fresh), min_subjects)
        slot = cls(
            type_, pool, tuple(order), np.cumsum(share).tolist(), after, told,
            np.cumsum([*weights, made]).astype(float).tolist(), formats, number, decimals, width,
        )  # fmt: skip
        return slot, [w[0] for w in found]

    def draw(
        self,
        key: tuple[int, int],
        line: list[str],
        earlier: str,
        memory: Memory,
        dice: Dice,
        at_us: int | None,
    ) -> tuple[str, str]:
        """A value for the parameter `key` (template, place) and the way in which it was found.

        Args:
            key: The template and the parameter's place in it.
            line: The line's parameters before it.
            earlier: The way of the last of them; "" for the first.
            memory: Of the subject.
            dice: Of the subject.
            at_us: The row's time in microseconds since 1970, where it has one.
        """
        upper = self.after.get((memory.before, earlier)) or self.after.get((ANY, earlier))
        way, which = self.ways[dice.among(upper or self.upper)]
        if way == "line":
            return line[which], way
        last = memory.last.get(key)
        if way == "last" and last is not None:
            return last, way
        if way == "step" and last is not None:
            stepped = after_step(last, which)
            return stepped if is_of(self.type, stepped) else last, way
        if way == "recall":
            pool = memory.pools.get(self.pool, ())
            if which < len(pool):
                return pool[which], way
        return self.fresh(dice, at_us), "fresh"

    def fresh(self, dice: Dice, at_us: int | None) -> str:
        """A value that does not hang on what stood before."""
        if self.number is not None:
            table = self._numbers(self.number)
            made = self._written(table.item(dice.below(len(table))))
            if is_of(self.type, made):
                return made
        at = dice.among(self.told_upper)
        return self.told[at] if at < len(self.told) else self.formats.draw(dice, at_us)

    def _numbers(self, number: Number) -> NDArray[np.float64]:
        """Evenly spaced quantiles of the number, computed once."""
        if not self._table:
            u = (np.arange(QUANTILES) + 0.5) / QUANTILES
            upper = np.cumsum(number.shares) / number.shares.sum()
            tokens = np.minimum(np.searchsorted(upper, u, "right"), len(upper) - 1)
            inside = (u - upper[tokens]) / number.shares[tokens] * number.shares.sum() + 1
            found = number.decode(tokens.astype(np.int32), np.clip(inside, 0, 1))
            self._table.append(found[np.isfinite(found)])
        return self._table[0]

    def _written(self, value: float) -> str:
        """A number as the source writes it."""
        if self.width:
            return f"{max(int(value), 0):0{self.width}d}"
        text = f"{value:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "type": self.type,
            "pool": self.pool,
            "after": [[*key, upper] for key, upper in self.after.items()],
            "ways": [list(w) for w in self.ways],
            "upper": self.upper,
            "told": list(self.told),
            "told_upper": self.told_upper,
            "formats": [list(self.formats.formats), self.formats.upper],
            "number": self.number.state() if self.number else None,
            "written": [self.decimals, self.width],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The parameter that `state` came from."""
        return cls(
            state["type"],
            state["pool"],
            tuple((w[0], w[1]) for w in state["ways"]),
            state["upper"],
            {(before, way): upper for before, way, upper in state["after"]},
            tuple(state["told"]),
            state["told_upper"],
            Formats(state["type"], tuple(state["formats"][0]), state["formats"][1]),
            Number.from_state(state["number"]) if state["number"] else None,
            *state["written"],
        )


def use_of(
    key: tuple[int, int], pool_name: str, owner: int, values: list[str], memory: Memory
) -> Use:
    """A value of the sample, before it is noted."""
    value, pool = values[key[1]], memory.pools.get(pool_name, [])
    ties = tuple(j for j in range(key[1]) if values[j] == value)
    recall = pool.index(value) if value in pool else -1
    return Use(owner, value, ties, memory.last.get(key), recall, memory.before)


def _told(fresh: list[Use], min_subjects: int) -> tuple[tuple[str, ...], list[int], int]:
    """Values that enough subjects hold, their rows, and the rows of all others."""
    rows: Counter[str] = Counter()
    held: defaultdict[str, set[int]] = defaultdict(set)
    for use in fresh:
        rows[use.value] += 1
        held[use.value].add(use.owner)
    able = sorted((v for v in rows if len(held[v]) >= min_subjects), key=lambda v: (-rows[v], v))
    told = tuple(able[:MOST_TOLD])
    weights = [rows[v] for v in told]
    return told, weights, len(fresh) - sum(weights)


def _number(type_: str, fresh: list[Use], min_subjects: int) -> tuple[Number | None, int, int]:
    """The codec of a number's fresh values, its decimals and its padded width.

    None for what is no number, and for long ones that hardly repeat: those are names.
    """
    texts = [u.value for u in fresh]
    if type_ != "number" or max(map(len, texts)) > EXACT_DIGITS:
        return None, 0, 0
    length = float(np.median([len(t) for t in texts]))
    if length >= 6 and len(set(texts)) >= _ALIKE * len(texts) and "." not in "".join(texts):
        return None, 0, 0
    decimals = Counter(len(t.partition(".")[2]) for t in texts).most_common(1)[0][0]
    padded = sum(t[0] == "0" and len(t) > 1 and t.isdigit() for t in texts) > 0.02 * len(texts)
    width = Counter(map(len, texts)).most_common(1)[0][0] if padded else 0
    owners = np.array([u.owner for u in fresh], np.int64)
    state = Number.summarise(np.array([float(t) for t in texts]), owners)
    number = Number.finish(state, min_subjects=min_subjects)
    told = number.vocabulary and np.isfinite(number.value).any() and number.shares.sum() > 0
    return (number if told else None), decimals, width
