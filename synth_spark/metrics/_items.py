"""How one column becomes a few bins: learned from a sample of train, then used on every dataset.

Numbers and dates get at most ten bins of equal mass (a value that fills a bin by itself keeps it),
categories their ten most frequent labels and "other", times also the hour and the weekday, places
sixteen cells of equal mass. Missing is always the last bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Values
from synth_spark.core.seeds import generator

ItemKind = Literal["number", "category", "date", "hour", "weekday", "gap", "place"]
BINS = 10
MIN_HELD = 5  # a label of fewer subjects of the sample is counted, but never named
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MISSING, OTHER = "(missing)", "(other)"
_NONE: Any = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One binned view of a column: tokens in [0, size), the last one for missing values."""

    name: str
    column: str
    kind: ItemKind
    names: tuple[str, ...]  # of the bins, for pictures
    cuts: NDArray[np.float64] = field(default_factory=lambda: _NONE)  # inner cuts, ascending
    bands: NDArray[np.float64] = field(default_factory=lambda: _NONE)  # place: (4, 3) cuts
    labels: tuple[str, ...] = ()
    partner: str = ""

    @property
    def size(self) -> int:
        return len(self.names)

    def tokens(self, values: Values, partner: Values | None = None) -> NDArray[np.int64]:
        """The bin of each value, shape (rows,).

        Args:
            values: The column as `Item.kind` expects it: `Coded`, float64 or seconds since 1970.
            partner: Longitudes, for a place.
        """
        if isinstance(values, Coded):
            codes = values.recode(self.labels, len(self.labels)).astype(np.int64)
            return np.where(codes < 0, self.size - 1, codes)
        x = np.asarray(values, dtype=np.float64)
        if self.kind == "hour":
            found = np.floor(x / 10_800) % 8
        elif self.kind == "weekday":
            found = (np.floor(x / 86_400) + 3) % 7  # 1970-01-01 was a Thursday
        elif self.kind == "place":
            return self._cells(x, np.asarray(partner, dtype=np.float64))
        else:
            found = np.searchsorted(self.cuts, x, side="right")
        known = np.isfinite(x)
        return np.where(known, np.where(known, found, 0), self.size - 1).astype(np.int64)

    def _cells(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        band = np.searchsorted(self.cuts, lat, side="right")
        inside = (lon[:, None] >= self.bands[band]).sum(axis=1)
        known = np.isfinite(lat) & np.isfinite(lon)
        return np.where(known, band * 4 + inside, self.size - 1).astype(np.int64)


# ---- learning -----------------------------------------------------------------------------------


def equal_mass(values: NDArray[np.float64], bins: int = BINS) -> NDArray[np.float64]:
    """Inner cuts that part the values in at most `bins` groups of about equal mass.

    Up to `bins` distinct values each get a group. Where repeated values make quantiles coincide,
    more quantiles are tried until there are enough cuts (as mostlyai-qa does), so that spikes do
    not cost resolution elsewhere.

    Returns:
        Ascending cuts, shape (at most bins - 1,); a value equal to a cut lies above it.

    Example:
        >>> equal_mass(np.array([0., 0., 0., 1., 5.]), 3)
        array([1., 5.])
    """
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return np.zeros(0)
    distinct = np.unique(known)
    if len(distinct) <= bins:
        return distinct[1:]
    wanted = bins + 1
    for count in range(wanted, 1000):
        at = np.linspace(0, len(known) - 1, count).astype(np.int64)
        marks = np.unique(known[at])
        if len(marks) >= wanted or count > len(known):
            break
    return marks[1:-1] if len(marks) > 2 else marks[1:]


def number_item(name: str, column: str, values: NDArray[np.float64], kind: ItemKind) -> Item:
    """The bins of a number, a gap in seconds or a date (seconds since 1970)."""
    cuts = equal_mass(values)
    distinct, held = np.unique(values[np.isfinite(values)], return_counts=True)
    if 0 < len(distinct) == len(cuts) + 1 and kind == "number":
        pairs = zip(distinct, held, strict=True)
        names = [f"{v:.6g}" if n >= MIN_HELD else "rare value" for v, n in pairs]
    else:
        whole = kind == "number" and bool(np.all(distinct == np.floor(distinct)))
        names = _whole_ranges(cuts) if whole else _ranges(_cut_texts(cuts, kind), kind)
    return Item(name, column, kind, (*names, MISSING), cuts=cuts)


def _ranges(text: list[str], kind: ItemKind) -> list[str]:
    """Names of the bins between cuts; the least and the most value are never named."""
    if not text:
        return ["any"]
    if kind == "date":
        return [f"before {text[0]}", *(f"from {t}" for t in text)]
    middle = [f"{a} – {b}" for a, b in pairwise(text)]
    return [f"< {text[0]}", *middle, f"≥ {text[-1]}"]


def _whole_ranges(cuts: NDArray[np.float64]) -> list[str]:
    """The same for whole numbers: both ends belong to the bin."""
    if not len(cuts):
        return ["any"]
    ends = [(short(a), short(b - 1)) for a, b in pairwise(cuts)]
    middle = [a if a == b else f"{a} – {b}" for a, b in ends]
    return [f"< {short(cuts[0])}", *middle, f"≥ {short(cuts[-1])}"]


def _cut_texts(cuts: NDArray[np.float64], kind: ItemKind) -> list[str]:
    if kind == "date":
        day = len(cuts) < 2 or (cuts[-1] - cuts[0]) > 5 * 86_400
        stamps = np.datetime_as_string(cuts.astype("datetime64[s]"), "D" if day else "m")
        return [str(s).replace("T", " ") for s in stamps]
    return [duration(c) if kind == "gap" else short(c) for c in cuts]


def short(value: float) -> str:
    """A number in about three digits.

    Example:
        >>> [short(x) for x in (10450.0, 0.03571, 63.0, -2.5)]
        ['10,450', '0.0357', '63', '-2.5']
    """
    if 1_000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would take.

    Example:
        >>> [duration(x) for x in (29.0, 841.0, 5400.0, 200_000.0)]
        ['29 s', '14 min', '1.5 h', '2.31 d']
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * 1.5 or (unit != "min" and seconds >= size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def category_item(
    name: str, column: str, values: Coded, owners: NDArray[np.int64], most: int = BINS,
    below: float = np.inf,
) -> Item:  # fmt: skip
    """The most frequent labels (in five rows or more), "other", and missing.

    A label that fewer than five subjects hold has its bin, but no name that a report could print.

    Args:
        name: Of the item.
        column: Where the values stand.
        values: Of the sample.
        owners: The subject of each row, by position; shape (rows,).
        most: Labels that are kept.
        below: Only labels of fewer rows are kept.
    """
    known, width = values.codes >= 0, max(len(values.labels), 1)
    counts = np.bincount(values.codes[known], minlength=width)
    once = np.unique(owners[known] * width + values.codes[known]) % width
    held = np.bincount(once, minlength=width)
    able = [i for i in range(len(values.labels)) if MIN_HELD <= counts[i] < below]
    able.sort(key=lambda i: (-counts[i], values.labels[i]))
    kept = tuple(values.labels[i] for i in able[:most])
    shown = [
        values.labels[i] if held[i] >= MIN_HELD else f"(unnamed {place + 1})"
        for place, i in enumerate(able[:most])
    ]
    return Item(name, column, "category", (*shown, OTHER, MISSING), labels=kept)


def hour_item(name: str, column: str) -> Item:
    """Eight blocks of three hours."""
    names = tuple(f"{h:02d}–{h + 3:02d} h" for h in range(0, 24, 3))
    return Item(name, column, "hour", (*names, MISSING))


def weekday_item(name: str, column: str) -> Item:
    """Monday to Sunday."""
    return Item(name, column, "weekday", (*WEEKDAYS, MISSING))


def place_item(
    name: str, column: str, partner: str, lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> Item:
    """Sixteen cells of equal mass: four bands of latitude, each cut in four by longitude."""
    known = np.isfinite(lat) & np.isfinite(lon)
    if not known.any():
        return Item(name, column, "place", ("any", MISSING), bands=np.full((1, 3), np.inf))
    cuts = np.quantile(lat[known], (0.25, 0.5, 0.75))
    band = np.searchsorted(cuts, lat, side="right")
    rows = [_quartiles(lon[known & (band == b)]) for b in range(4)]
    names = tuple(f"band {b + 1}, part {p + 1}" for b in range(4) for p in range(4))
    return Item(
        name, column, "place", (*names, MISSING), cuts=cuts, bands=np.stack(rows), partner=partner
    )


def _quartiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else np.full(3, np.inf)


def chosen(groups: Sequence[tuple[int, ...]], most: int, seed: int) -> NDArray[np.int64]:
    """All groups, or a fixed choice of `most` of them; shape (groups, members)."""
    if not groups:
        return np.zeros((0, 0), dtype=np.int64)
    table = np.array(groups, dtype=np.int64)
    if len(table) <= most:
        return table
    picked = generator(seed, "metrics.groups").permutation(len(table))[:most]
    return table[np.sort(picked)]
