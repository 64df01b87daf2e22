"""The transitions and the dwell of markov's main category as a table that can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import RARE
from synth_spark.generators._events_coder import RANKS, EventColumn

NEXT = 3  # values that are named after each


def names_of(column: EventColumn) -> list[str]:
    """What each token of a category column is called."""
    if column.how == "ranked":
        return [f"own {k + 1}" for k in range(RANKS)] + ["other", "missing"]
    if column.how == "runs":
        return ["same", "new", "missing"][: column.tokens]
    tokens = np.arange(column.tokens, dtype=np.int32)
    found = column.codec.decode(tokens, np.full(column.tokens, 0.5)).texts().tolist()
    if (rare := getattr(column.codec, "rare_token", -1)) >= 0:
        found[rare] = RARE
    return ["missing" if name is None else str(name) for name in found]


def transitions(
    column: EventColumn, chain: NDArray[Any], dwell: NDArray[Any], weight: float
) -> list[dict[str, Any]]:
    """A row a value that was ever left, most often left first.

    Args:
        column: The main category.
        chain: Events by their value and the one before, shape (values before, values).
        dwell: Gaps behind each value by their level, shape (values, levels).
        weight: Events at which a chain of two values counts for half.

    Returns:
        Value; share of the events that leave it; order of the chain there, from 1 to 2 by the
        support of the pairs that lead to it; chance to stay; median and 90 % quantile of the gap
        behind it in seconds; the values that follow, with their chances.
    """
    names, left = names_of(column), chain.sum(axis=1)
    rows = []
    for v in np.argsort(-left, kind="stable").tolist():
        if not left[v]:
            continue
        support = chain[:, v]
        second = float((support * support / (support + weight)).sum() / max(support.sum(), 1))
        chance = chain[v] / left[v]
        after = [k for k in np.argsort(-chance, kind="stable").tolist() if k != v and chance[k] > 0]
        rows.append(
            {
                "value": names[v],
                "share": round(float(left[v] / left.sum()), 4),
                "order": round(1 + second, 2),
                "stays": round(float(chance[v]), 4),
                "gap_s": [_gap_s(dwell[v], share) for share in (0.5, 0.9)],
                "next": {names[k]: round(float(chance[k]), 4) for k in after[:NEXT]},
            }
        )
    return rows


def markdown(column: str, rows: list[dict[str, Any]]) -> str:
    """The same as a Markdown table."""
    head = (f"{column} left", "share", "order", "stays", "gap: half, 90 % below", "then")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        then = ", ".join(f"{name} {chance:.0%}" for name, chance in row["next"].items())
        gaps = ", ".join(_told(s) for s in row["gap_s"])
        cells = (
            row["value"], f"{row['share']:.1%}", f"{row['order']:.2f}", f"{row['stays']:.1%}",
            gaps, then,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _gap_s(levels: NDArray[Any], share: float) -> int:
    """The quantile of a gap, in seconds: the middle of its level."""
    at = int(np.searchsorted(np.cumsum(levels), share * levels.sum()))
    return round(2 ** ((at + 0.5) / 2) - 1)


def _told(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"
