"""Exact copies: the share of records that are identical to a train record.

Read it against the floor: the real holdout has identical records too (short rows, common habits).
Flat tables compare whole rows; events compare rows with their time, runs of four events with the
gaps between them, and whole subjects with theirs. Identifiers take no part.

A table is kept as the 100,000 smallest of its distinct 64-bit hashes with their counts (bottom-k:
Cohen and Kaplan, PODC 2007), so states merge in bounded memory. Up to that size the comparison is
exact; above, it is made over the hashes below the smaller of the two largest kept ones, a random
sample whose size and interval stand in the detail. A smoke test, no proof of privacy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.ports import Score
from synth_spark.metrics._example import FLAT_EXAMPLE
from synth_spark.metrics._hashes import Hashes, mixed, row_hashes
from synth_spark.metrics._view import Seen, View
from synth_spark.metrics.base import ALL, Metric

KEPT = 100_000
RUN = 4  # events
ROWS, RUNS, SUBJECTS = "event rows, with their time", "runs of four events", "whole subjects"


class Copies(Metric):
    """The share of records that are identical to one of train."""

    name = "copies"
    title = "Exact copies of real records"
    good = "No more than the real holdout has by chance: nobody was copied."
    goal, best, worst = "low", 0.0, 1.0

    @staticmethod
    def state(seen: Seen) -> dict[str, Any]:
        if seen.view.schema.shape == "flat":
            return {ALL: _lowest(row_hashes(seen))}
        values = row_hashes(seen, without=seen.view.schema.time)
        gaps = np.nan_to_num(np.rint(np.nan_to_num(seen.gaps_s, nan=-1.0) * 1e6), nan=-1.0)
        gaps_us = gaps.astype(np.int64).astype(np.uint64)
        return {
            RUNS: _lowest(_runs(seen, values, gaps_us)),
            ROWS: _lowest(row_hashes(seen)),
            SUBJECTS: _lowest(_wholes(seen, values, gaps_us)),
        }

    @staticmethod
    def merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        return {key: _merged(value, right[key]) for key, value in left.items()}

    @classmethod
    def score(cls, view: View, real: dict[str, Any], synthetic: dict[str, Any]) -> list[Score]:
        if not view.forms:
            return [cls.one(ALL, None, (0, 0), why="every column is an identifier")]
        scores = [cls._compare(k, real[k], synthetic[k]) for k in real]
        if ALL in real:
            return scores
        head = scores[0]
        same = {"detail": {**head.detail, "item": head.item}, "why": head.why}
        return [cls.one(ALL, head.value, head.rows, **same), *scores]

    @classmethod
    def _compare(cls, item: str, real: dict[str, Any], synthetic: dict[str, Any]) -> Score:
        rows = (int(real["all"]), int(synthetic["all"]))
        if not all(rows):
            return cls.one(item, None, rows, why="one side has no record of this kind")
        limit = min(_edge(real), _edge(synthetic))
        judged = synthetic["hashes"] <= limit
        counts = synthetic["counts"][judged]
        total = int(counts.sum())
        if not total:
            return cls.one(item, None, rows, why="no record fell into the compared sample")
        found = np.isin(synthetic["hashes"][judged], real["hashes"], assume_unique=True)
        share = float(counts[found].sum() / total)
        low, high = wilson(share, total)
        exact = total == rows[1]
        interval = [round(low, 6), round(high, 6)]
        detail = {"compared": total, "exact": exact, "synthetic": interval}
        return cls.one(item, share, rows, detail=detail)


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of n; Wilson, JASA 22, 1927.

    Example:
        >>> [round(x, 3) for x in wilson(0.5, 100)]
        [0.404, 0.596]
    """
    middle = share + z * z / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(float((middle - half) / scale), 0.0), min(float((middle + half) / scale), 1.0)


# ---- what is hashed -----------------------------------------------------------------------------


def _runs(seen: Seen, values: Hashes, gaps_us: Hashes) -> Hashes:
    """A hash of each run of four events of one subject: their values and the three gaps."""
    starts = np.arange(max(seen.records.rows - RUN + 1, 0))
    owners = seen.records.owners
    starts = starts[owners[starts] == owners[starts + RUN - 1]] if len(starts) else starts
    found = values[starts]
    for step in range(1, RUN):
        found = mixed(mixed(found ^ gaps_us[starts + step]) + values[starts + step])
    return found


def _wholes(seen: Seen, values: Hashes, gaps_us: Hashes) -> Hashes:
    """A hash of each subject's whole sequence: its values and gaps, each with its place."""
    records = seen.records
    place = np.arange(records.rows) - np.repeat(records.offsets[:-1], records.lengths)
    gaps_us = np.where(place == 0, np.uint64(0), gaps_us)
    parts = mixed(mixed(values + gaps_us * np.uint64(3)) + place.astype(np.uint64))
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(parts, dtype=np.uint64)])
    sums = running[records.offsets[1:]] - running[records.offsets[:-1]]  # wraps, as it should
    return mixed(sums[records.lengths > 0])


# ---- the bottom-k state -------------------------------------------------------------------------


def _lowest(hashes: Hashes) -> dict[str, Any]:
    found, counts = np.unique(hashes, return_counts=True)
    full = len(found) > KEPT
    return {
        "hashes": found[:KEPT],
        "counts": counts[:KEPT].astype(np.int64),
        "cut": full,
        "all": len(hashes),
    }


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    limit = min(_edge(left), _edge(right))
    both = np.concatenate([left["hashes"], right["hashes"]])
    counts = np.concatenate([left["counts"], right["counts"]])
    found, place = np.unique(both, return_inverse=True)
    summed: NDArray[np.int64] = np.zeros(len(found), dtype=np.int64)
    np.add.at(summed, place, counts)
    kept = min(int((found <= limit).sum()), KEPT)  # above the limit one side may have dropped some
    cut = left["cut"] or right["cut"] or kept < len(found)
    everything = left["all"] + right["all"]
    return {"hashes": found[:kept], "counts": summed[:kept], "cut": cut, "all": everything}


def _edge(state: dict[str, Any]) -> np.uint64:
    """The largest hash up to which the state is complete."""
    complete = not state["cut"] or not len(state["hashes"])
    return np.uint64(2**64 - 1) if complete else np.uint64(state["hashes"][-1])


METRIC = Copies
EXAMPLE = FLAT_EXAMPLE
