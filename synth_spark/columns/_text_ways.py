"""The ways in which the value of a parameter is told: counted in the sample, use by use."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONG = 4  # characters from which a value that comes back is no coincidence
TIED = 0.95  # share of lines in which two parameters are equal, for short ones to be copied
MOST_STEPS = 12
ANY = -4  # in the place of a template: any
LEAST_USES = 5  # behind a template, before it has ways of its own
NEW = 0.5  # counts that each different way behind a template adds for the ways behind any
EXACT_DIGITS = 15
Way = tuple[str, int]  # "line" j, "last" 0, "step" by, "recall" k, "fresh" 0


@dataclass(frozen=True, slots=True)
class Use:
    """One value as it stood in the sample, with the ways in which it can be told."""

    owner: int
    value: str
    ties: tuple[int, ...]  # earlier parameters of the line that are equal
    last: str | None
    recall: int  # -1: not remembered
    before: int  # the template of the line before


def tied_of(uses: list[Use]) -> set[int]:
    """Earlier parameters of the line that are (nearly) always equal to this one."""
    ties = Counter(j for use in uses for j in use.ties)
    return {j for j, n in ties.items() if n >= TIED * len(uses)}


def behind_of(
    uses: list[Use],
    found: list[Way],
    earlier: list[str],
    order: list[Way],
    share: NDArray[np.float64],
) -> dict[tuple[int, str], list[float]]:
    """Cumulative weights of the ways behind a template (or `ANY`) and the earlier one's way."""
    behind: defaultdict[tuple[int, str], Counter[Way]] = defaultdict(Counter)
    for use, way, before in zip(uses, found, earlier, strict=True):
        behind[use.before, before][way] += 1
        behind[ANY, before][way] += 1
    out = {}
    for key, counts in sorted(behind.items()):
        if counts.total() >= LEAST_USES:
            rows = np.array([counts[w] for w in order]) + NEW * len(counts) * share
            out[key] = np.cumsum(rows).tolist()
    return out


def open_nats(ways: list[Way], uses: list[Use]) -> float:
    """Nats that are left open once the template before is known, over all uses."""
    pairs = Counter((u.before, w) for u, w in zip(uses, ways, strict=True))
    befores = Counter(u.before for u in uses)
    return float(sum(n * np.log(befores[b] / n) for (b, _), n in pairs.items()))


def way_of(use: Use, tied: set[int], steps: set[int], first: str) -> Way:
    """How a use is told; `first` is tried before the other of "last" and "recall"."""
    for j in use.ties:
        if j in tied or len(use.value) >= LONG:
            return ("line", j)
    last, recalled = use.value == use.last, use.recall >= 0 and len(use.value) >= LONG
    if last and (first == "last" or not recalled):
        return ("last", 0)
    if recalled:
        return ("recall", use.recall)
    step = _step(use)
    return ("step", step) if step is not None and step in steps else ("fresh", 0)


def _step(use: Use) -> int | None:
    a, b = use.last, use.value
    if a is None or not (a.isdigit() and b.isdigit()) or max(len(a), len(b)) > EXACT_DIGITS:
        return None
    return int(b) - int(a)


def after_step(last: str, step: int) -> str:
    """The last value and a step, padded as it was."""
    if not last.isdigit():
        return last
    value = int(last) + step
    return last if value < 0 else str(value).zfill(len(last) if last[0] == "0" else 0)


def steps_of(type_: str, uses: list[Use], min_subjects: int) -> set[int]:
    """Steps from the last value that enough subjects take, and that are no coincidence."""
    if type_ != "number":
        return set()
    held: defaultdict[int, set[int]] = defaultdict(set)
    rows: Counter[int] = Counter()
    for use in uses:
        step = _step(use)
        if step:
            held[step].add(use.owner)
            rows[step] += 1
    able = [s for s in rows if len(held[s]) >= min_subjects and rows[s] >= 0.02 * len(uses)]
    return set(sorted(able, key=lambda s: (-rows[s], s))[:MOST_STEPS])
