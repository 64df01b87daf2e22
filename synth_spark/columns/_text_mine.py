"""Templates of log lines: mined from a sample, told only where enough subjects hold them.

Masked lines (`core/masks.py`) go through Drain, heaviest shape first, so that the result hangs on
the sample alone. A template that fewer than `min_subjects` subjects hold is mined once more with
its like under a looser threshold, which turns the words they differ in into parameters; what is
still held by too few is not told: its lines are known as `OTHER`. A free word that is one of a few
in nearly all lines becomes part of the template again.

Source: He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.masks import MARK, TYPE_OF, WORD, mask
from synth_spark.errors import SynthError

OTHER, MISSING = -1, -2  # of a line without a template that is told; of a row without a line
LIKE, LOOSE = 0.7, 0.3  # share of equal words within a template; when mined once more
FEW, COVERED, OFTEN = 8, 0.8, 0.03  # see `_split`
DEPTH, CHILDREN = 4, 100
LONGEST = 300  # words of a line; longer ones are not mined
_WORD = MARK[WORD]
_LETTERS = re.compile(r"[A-Za-z_]*$")  # right before a parameter


class NoMinerError(SynthError):
    """Lines are to be mined and the library for it is not installed."""

    code = "SYN-780"


@dataclass(frozen=True, slots=True)
class Templates:
    """Templates in the order of their weight; a word that is `_WORD` stands for any one word."""

    words: tuple[tuple[str, ...], ...]  # of each template, split at single spaces
    _at: dict[tuple[int, str], list[int]] = field(default_factory=dict, repr=False, compare=False)
    _seen: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Templates by number of words and first word; those with fewer free words first."""
        order = sorted(range(len(self.words)), key=lambda i: (self.words[i].count(_WORD), i))
        for i in order:
            self._at.setdefault((len(self.words[i]), self.words[i][0]), []).append(i)

    def __len__(self) -> int:
        return len(self.words)

    def of_shape(self, shape: str) -> int:
        """The template of a shape with the fewest free words, `OTHER` for none."""
        known = self._seen.get(shape)
        if known is None:
            known = self._seen[shape] = self._found(tuple(shape.split(" ")))
        return known

    def _found(self, words: tuple[str, ...]) -> int:
        for first in (words[0], _WORD):
            for i in self._at.get((len(words), first), ()):
                if all(a in (_WORD, b) for a, b in zip(self.words[i], words, strict=True)):
                    return i if all(self._fits(i, words)) else OTHER
        return OTHER

    def _fits(self, i: int, words: tuple[str, ...]) -> Iterable[bool]:
        """A free word is never empty: two spaces in a row belong to the template."""
        return (bool(w) for a, w in zip(self.words[i], words, strict=True) if a == _WORD)

    def parse(self, line: str) -> tuple[int, list[str]]:
        """A line's template and its parameters from left to right; `OTHER` and none without one.

        Example:
            >>> told = Templates((("a", MARK["number"], _WORD),))
            >>> told.parse("a 7 b8"), told.parse("b")
            ((0, ['7', 'b8']), (-1, []))
        """
        masked = mask(line)
        if masked is None:
            return OTHER, []
        shape, found = masked
        i = self.of_shape(shape)
        return (i, self._values(i, shape, found)) if i >= 0 else (OTHER, [])

    def _values(self, i: int, shape: str, found: list[str]) -> list[str]:
        template = self.words[i]
        if _WORD not in template:
            return found
        values, at = [], 0
        for word, seen in zip(template, shape.split(" "), strict=True):
            here = sum(c in TYPE_OF for c in seen)
            inside = found[at : at + here]
            at += here
            values += [_filled(seen, inside)] if word == _WORD else inside
        return values

    def types(self, i: int) -> list[str]:
        """The types of a template's parameters from left to right."""
        return [TYPE_OF[c] for word in self.words[i] for c in word if c in TYPE_OF]

    def pools(self, i: int) -> list[str]:
        """What a template's parameters can be shared by: their type and the letters before them.

        Example:
            >>> Templates((("blk_" + MARK["number"], MARK["ip"]),)).pools(0)
            ['number blk_', 'ip ']
        """
        text = self.text(i)
        marks = (place for place, c in enumerate(text) if c in TYPE_OF)
        return [f"{TYPE_OF[text[p]]} {_LETTERS.findall(text[:p])[0]}" for p in marks]

    def written(self, i: int, values: Sequence[str]) -> str:
        """The line of a template with these parameters."""
        return _filled(" ".join(self.words[i]), values)

    def text(self, i: int) -> str:
        """The template with its marks, one string."""
        return " ".join(self.words[i])

    def state(self) -> list[str]:
        """A tree for the wire."""
        return [self.text(i) for i in range(len(self.words))]

    @classmethod
    def from_state(cls, state: list[str]) -> Self:
        """What `state` came from."""
        return cls(tuple(tuple(t.split(" ")) for t in state))


def mine(
    lines: Sequence[str | None],
    owners: NDArray[np.int64],
    min_subjects: int,
) -> Templates:
    """The templates of a sample's lines.

    Args:
        lines: Shape (rows,).
        owners: The subject of each row.
        min_subjects: A template held by fewer subjects is not told.

    Raises:
        NoMinerError: The library is not installed (SYN-780).
    """
    rows, holders = _shapes(lines, owners)
    order = sorted(rows, key=lambda s: (-rows[s], s))
    found, lone = _enough(_clusters(order, LIKE), holders, min_subjects)
    again, _ = _enough(_clusters(lone, LOOSE), holders, min_subjects)
    told = dict.fromkeys(
        t for f in (*found, *again) for t in _split(*f, rows, holders, min_subjects)
    )
    weight: Counter[tuple[str, ...]] = Counter()
    templates = Templates(tuple(told))
    for shape in order:
        i = templates.of_shape(shape)
        if i >= 0:
            weight[templates.words[i]] += rows[shape]
    return Templates(tuple(sorted(weight, key=lambda t: (-weight[t], t))))


def _shapes(
    lines: Sequence[str | None], owners: NDArray[np.int64]
) -> tuple[Counter[str], dict[str, set[int]]]:
    """Rows of each shape, and the subjects that hold it."""
    rows: Counter[str] = Counter()
    holders: dict[str, set[int]] = defaultdict(set)
    for line, owner in zip(lines, owners.tolist(), strict=True):
        masked = None if line is None else mask(line)
        if masked and masked[0].count(" ") < LONGEST:
            rows[masked[0]] += 1
            holders[masked[0]].add(owner)
    return rows, holders


def _clusters(shapes: Sequence[str], like: float) -> list[tuple[tuple[str, ...], list[str]]]:
    """Templates by Drain, each with its shapes."""
    drain, members = _drain(like), defaultdict(list)
    for shape in shapes:
        found, _ = drain.add_log_message(shape)
        members[found.cluster_id].append(shape)
    return [(tuple(c.log_template_tokens), members[c.cluster_id]) for c in drain.clusters]


def _enough(
    clusters: list[tuple[tuple[str, ...], list[str]]],
    holders: dict[str, set[int]],
    min_subjects: int,
) -> tuple[list[tuple[tuple[str, ...], list[str]]], list[str]]:
    """Templates that enough subjects hold and that say something, and the shapes of the others."""
    told: list[tuple[tuple[str, ...], list[str]]] = []
    lone: list[str] = []
    for template, shapes in clusters:
        held = _held(shapes, holders)
        says = any(any(c not in TYPE_OF for c in word) for word in template)
        if held >= min_subjects and says:
            told.append((template, shapes))
        else:
            lone += shapes
    return told, lone


def _held(shapes: Iterable[str], holders: dict[str, set[int]]) -> int:
    """How many subjects hold one of the shapes."""
    return len(set[int]().union(*(holders[s] for s in shapes)))


def _split(
    template: tuple[str, ...],
    shapes: list[str],
    rows: Counter[str],
    holders: dict[str, set[int]],
    min_subjects: int,
) -> list[tuple[str, ...]]:
    """A template with a free word that is nearly always one of a few, as one template a word.

    Each of at most `FEW` words has `OFTEN` of the lines and enough subjects, and together they have
    `COVERED` of the lines. The free word stays for what is left, if enough subjects hold that.
    """
    best: tuple[float, int, dict[str, list[str]]] | None = None
    total = sum(rows[s] for s in shapes)
    for place in (i for i, w in enumerate(template) if w == _WORD):
        by_word: dict[str, list[str]] = defaultdict(list)
        for shape in shapes:
            by_word[shape.split(" ")[place]].append(shape)
        kept = {
            w: s
            for w, s in by_word.items()
            if sum(rows[x] for x in s) >= OFTEN * total and _held(s, holders) >= min_subjects
        }
        share = sum(rows[x] for s in kept.values() for x in s) / total
        if len(kept) <= FEW and share >= COVERED and (best is None or share > best[0]):
            best = (share, place, kept)
    if best is None:
        return [template]
    _, place, kept = best
    out = []
    for word, some in sorted(kept.items()):
        named = (*template[:place], word, *template[place + 1 :])
        out += _split(named, some, rows, holders, min_subjects)
    taken = {s for some in kept.values() for s in some}
    left = [s for s in shapes if s not in taken]
    return [*out, template] if _held(left, holders) >= min_subjects else out


def check_miner() -> None:
    """Refuse text columns where the library is not installed.

    Raises:
        NoMinerError: It is not (SYN-780).
    """
    if find_spec("drain3") is None:
        raise NoMinerError(
            "Columns of kind text need the library drain3.",
            hint="pip install synth-spark[logs], or kind: identifier in the plan",
        )


def _drain(like: float) -> Any:
    """Drain as it is published, on words that single spaces part."""
    check_miner()
    from drain3.drain import Drain  # type: ignore[import-untyped, unused-ignore]

    class Spaced(Drain):  # type: ignore[misc, unused-ignore]
        def get_content_as_tokens(self, content: str) -> list[str]:
            return content.split(" ")

    return Spaced(depth=DEPTH, sim_th=like, max_children=CHILDREN, param_str=_WORD)


def _filled(shape: str, values: Sequence[str]) -> str:
    """A shape with each mark replaced by the next value."""
    parts, at = [], 0
    for c in shape:
        if c in TYPE_OF:
            parts.append(values[at])
            at += 1
        else:
            parts.append(c)
    return "".join(parts)
