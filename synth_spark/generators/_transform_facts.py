"""What an operation did to records, for the model card: shares changed, shifts, what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Schema

_DIGITS = 4


def effect(schema: Schema, before: Records, after: Records) -> dict[str, Any]:
    """How far rows that stand side by side differ.

    Args:
        schema: Of the records.
        before: Rows before an operation.
        after: The same rows after it.

    Returns:
        `changed`: share of values changed, by column; `shift`: mean and 95th percentile of the
        absolute change of numbers (in the column's unit), times (minutes) and places (metres);
        `correlation_kept`: one minus the mean absolute change of the rank correlations.
    """
    changed: dict[str, float] = {}
    shift: dict[str, dict[str, Any]] = {}
    partners = {c.partner for c in schema.columns if c.partner}
    for column in schema.columns:
        name = column.name
        if name not in before.columns or name in partners:
            continue
        old, new = before.columns[name], after.columns[name]
        if isinstance(old, Coded):
            assert isinstance(new, Coded)
            changed[name] = _share(old.texts() != new.texts())
            continue
        if column.kind == "place" and column.partner:
            moves, unit = _metres(column.name, column.partner, before, after), "m"
            gone = np.isnan(moves)
        else:
            a, b = _plain(old), _plain(new)
            unit = "minutes" if column.kind == "time" else "of the column"
            gone = np.isnan(a) != np.isnan(b)
            moves = np.abs(b - a) / (60.0 if column.kind == "time" else 1.0)
        known = moves[np.isfinite(moves)]
        changed[name] = _share((np.nan_to_num(moves) > 0) | (gone if unit != "m" else False))
        if len(known):
            shift[name] = {
                "mean": _rounded(known.mean()), "p95": _rounded(np.quantile(known, 0.95)),
                "unit": unit,
            }  # fmt: skip
    return {
        "changed": changed,
        "shift": shift,
        "correlation_kept": _correlation_kept(schema, before, after),
    }


def exact_share(made: Records, real: Records) -> float:
    """Share of rows that are, in every column, exactly some real row.

    Example:
        >>> a = Records.flat({"x": np.array([1.0, 2.0])})
        >>> exact_share(a, Records.flat({"x": np.array([2.0, 9.0])}))
        0.5
    """
    if not made.columns or not made.rows:
        return 0.0
    both = [_codes(v, real.columns[name]) for name, v in made.columns.items()]
    mine = np.column_stack([m for m, _ in both])
    theirs = np.column_stack([t for _, t in both])
    _, where = np.unique(np.concatenate([mine, theirs]), axis=0, return_inverse=True)
    where = where.ravel()
    return _share(np.isin(where[: len(mine)], where[len(mine) :]))


def _codes(mine: Values, theirs: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if isinstance(mine, Coded):
        assert isinstance(theirs, Coded)
        labels = tuple(sorted({*mine.labels, *theirs.labels}))
        a, b = mine.recode(labels, -1), theirs.recode(labels, -1)
        return a.astype(np.int64), b.astype(np.int64)
    joined = np.concatenate([_plain(mine), _plain(theirs)])
    _, where = np.unique(joined, return_inverse=True)  # NaN equals NaN here
    where = where.ravel().astype(np.int64)
    return where[: len(mine)], where[len(mine) :]


def _plain(values: Values) -> NDArray[np.float64]:
    """Numbers, or seconds since 1970; NaN where missing."""
    x = np.asarray(values)
    if x.dtype.kind != "M":
        return x.astype(np.float64)
    us = x.astype("datetime64[us]")
    return np.where(np.isnat(us), np.nan, us.astype(np.int64) / 1e6)


def _metres(name: str, partner: str, before: Records, after: Records) -> NDArray[np.float64]:
    from synth_spark.generators._transform_ops import distance_m

    a, b = (
        np.column_stack([_plain(r.columns[name]), _plain(r.columns[partner])])
        for r in (before, after)
    )
    return distance_m(a, b)


def _correlation_kept(schema: Schema, before: Records, after: Records) -> float | None:
    """None with fewer than two columns of numbers that vary."""
    names = [c.name for c in schema.of_kind("number") if c.name in before.columns]
    if len(names) < 2:
        return None
    a, b = (
        np.array([_ranks(_plain(r.columns[n])) for n in names]).reshape(len(names), -1)
        for r in (before, after)
    )
    vary = (a.std(axis=1) > 0) & (b.std(axis=1) > 0)
    if vary.sum() < 2:
        return None
    gap = np.abs(np.corrcoef(a[vary]) - np.corrcoef(b[vary]))
    return _rounded(1.0 - gap[np.triu_indices(len(gap), 1)].mean())


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks of equal values; missing values rank above all."""
    x = np.where(np.isfinite(x), x, np.inf)
    _, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(middle[where.ravel()])


def _share(flags: Any) -> float:
    return _rounded(np.asarray(flags).mean()) if len(flags) else 0.0


def _rounded(x: Any) -> float:
    return float(f"{float(x):.{_DIGITS}g}")
