"""On which scale an attribute of a unit is learned and drawn: as a part, or beside a level.

A habit is drawn around the subject's own level, a count in spreads from the subject's own, what
grows with the count or with the days that are left as a part of it.
"""

from __future__ import annotations

import numpy as np

from synth_spark.generators import _events_facts as facts
from synth_spark.generators._events_coder import DAY_S
from synth_spark.generators._events_facts import Attribute, Floats

SILENT = -20.0  # stands for a unit without events, far below all others
LEAST_SPREAD = 0.2  # of the logarithm of a subject's counts


def own_levels(columns: tuple[Attribute, ...]) -> dict[int, int]:
    """Columns that are drawn around a level of the subject's own, and where that level stands.

    What is learned of them is the distance from the subject's level, so that a habit outlives the
    leaves: its level is the subject's, not the mean of the units that share a leaf. The median gap
    of a long history is drawn around the gap that would fill its span evenly (`slope_of`).
    """
    place = {c.name: i for i, c in enumerate(columns) if c.role == "given" or c.name == "even"}
    out = {}
    for j, c in enumerate(columns):
        name = f"stick{c.column}/{c.place}" if c.role == "share" else f"own_{c.name}"
        name += str(c.column) if c.role == "drawn" and c.column >= 0 else ""
        name = "even" if name == "own_gap" and "even" in place else name
        if c.role in ("drawn", "share") and c.name not in ("span", "first") and name in place:
            out[j] = place[name]
    return out


def slope_of(level: Attribute, at: Floats, values: Floats, n: Floats) -> float:
    """How far a column goes with the level that it is drawn around, 0 to 1.

    A habit goes with the subject's own wholly. The gap that fills a span evenly is another matter:
    of a history in sessions the median gap is one within a session, and tells nothing of the span.
    Histories of one or two events do not count: their gap is their span.
    """
    many = n > 2
    if level.name != "even" or not many.any():
        return 1.0
    away = at[many] - at[many].mean()
    return float(np.clip((away * values[many]).sum() / max((away**2).sum(), 1e-12), 0.0, 1.0))


def beside(n: Floats, level: Floats, spread: Floats) -> Floats:
    """Counts beside the subject's own: in spreads from its level; `SILENT` for none."""
    away = (np.log1p(n) - level) / (spread + LEAST_SPREAD)
    return np.where(n > 0, np.maximum(away, SILENT / 2), SILENT)


def counted(beside: Floats, level: Floats, spread: Floats) -> Floats:
    """The counts that `beside` was made from; one at least where it is not `SILENT`."""
    n = np.expm1(np.minimum(level + beside * (spread + LEAST_SPREAD), 30.0))
    return np.where(beside <= SILENT, 0.0, np.maximum(n, 1.0))


def divided(column: Attribute, values: Floats, n: Floats, anchor: Floats, last_day: int) -> Floats:
    """What is learned of a ratio: a span by the days that are left, else by the later events.

    Of distinct values the later events are as many as may bring one.
    """
    if column.name == "span":
        return values / facts.room_days(anchor, last_day)
    return np.where(n > 1, (values - 1) / np.maximum(n - 1, 1), 1.0)  # the first has its own day


def possible(name: str, values: Floats, n: Floats, first: Floats, span: Floats) -> Floats:
    """Values that a unit of so many events can have, between its first event and its last.

    Args:
        name: Of the column; one that is not named here is left as it is.
        values: As drawn, shape (units,).
        n: Events of each unit.
        first: Days from the unit's start to its first event.
        span: Days from its first event to its last.
    """
    if name == "span":
        return np.where(n > 1, values, 0.0)
    if name == "gap":  # half of the gaps are as long at least
        most = np.log1p(np.maximum(span, 0) * DAY_S / np.maximum(np.ceil((n - 1) / 2), 1))
        return np.where(n > 1, np.minimum(values, most), 0.0)
    low = first % 1 * 24
    high = low + 24 * span
    within = high < 24  # of one day: the hours lie between the two
    if name == "night":
        one = 1 / np.maximum(n, 1)
        least = np.where(high < 6, 1.0, np.where(low < 6, one, 0.0))
        most = np.where(low >= 6, 0.0, np.where(high >= 6, 1 - one, 1.0))
        return np.where(within, np.clip(values, least, np.maximum(most, least)), values)
    if name == "hour_mean":
        return np.where(within, np.clip(values, low, high), values)
    if name == "hour_std":
        return np.where(within, np.minimum(values, (high - low) / 2), values)
    return values


def around(column: Attribute, level: Floats, away: Floats, n: Floats, u: Floats) -> Floats:
    """A value by its distance from the subject's level, in the range that the column has."""
    value = level + away
    if column.role == "share":
        return np.clip(value, 0, 1)
    if column.name in ("night", "weekend", "self"):  # shares of the unit's events: whole events
        events = np.maximum(n, 1)
        return np.clip(np.floor(value * events + u), 0, events) / events
    if column.name == "hour_mean":
        return np.clip(value, 0, 24)
    return value if column.name == "mean" else np.maximum(value, 0)
