"""How a state of numbers is counted, merged, bounded and finished; see columns/number.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns import _tail
from synth_spark.columns._lattice import denoised, is_narrow, lattice, local_step, parts_of, snap

State = dict[str, Any]
Array = NDArray[Any]
_ENDS = 64  # values at each end that are never joined
_SUBS = 8  # sub-quantiles of a bin
_REPEATED = 3  # a value held so often, and by `min_subjects`, is drawn as it is inside a bin


def counted(values: Array, owners: Array) -> State:
    """Distinct values of one part with rows and subjects; infinite values count as missing."""
    known = np.isfinite(values)
    x, where = np.unique(values[known] + 0.0, return_inverse=True)  # + 0.0: no negative zero
    rows = np.bincount(where, minlength=len(x)).astype(np.int64)
    subjects, gone = rows, owners[~known]
    if not (len(owners) < 2 or bool((np.diff(owners) > 0).all())):
        pairs = np.unique(np.column_stack([where, owners[known]]), axis=0)
        subjects = np.bincount(pairs[:, 0], minlength=len(x)).astype(np.int64)
    return {
        "values": x,
        "rows": rows,
        "subjects": subjects,
        "joined": np.zeros(len(x), bool),
        "missing": [int((~known).sum()), len(np.unique(gone))],
    }


def added(left: State, right: State) -> State:
    """Two states as one; joined and exact entries of the same value stay apart."""
    both = {
        name: np.concatenate([left[name], right[name]])
        for name in ("values", "rows", "subjects", "joined")
    }
    order = np.lexsort((both["joined"], both["values"]))
    both = {name: v[order] for name, v in both.items()}
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(both["values"]) != 0) | (both["joined"][1:] != both["joined"][:-1])
    start = np.flatnonzero(new)
    return {
        "values": both["values"][start],
        "rows": _sums(both["rows"], start),
        "subjects": _sums(both["subjects"], start),
        "joined": both["joined"][start],
        "missing": [a + b for a, b in zip(left["missing"], right["missing"], strict=True)],
    }


def bounded(state: State, most: int) -> State:
    """At most `most` entries: light neighbours become one, at the one that holds their median.

    Kept exactly are the `_ENDS` values at each end and the heaviest quarter.
    """
    size = len(state["values"])
    if size <= most:
        return state
    rows = state["rows"]
    heavy = np.zeros(size, bool)
    order = np.lexsort((state["values"], -np.where(state["joined"], 0, rows)))
    heavy[order[: most // 4]] = True
    heavy[:_ENDS] = heavy[-_ENDS:] = True
    light = np.flatnonzero(~heavy)
    before = np.cumsum(rows[light]) - rows[light]
    group = before * (most // 2) // max(int(rows[light].sum()), 1)
    start = np.flatnonzero(np.diff(group, prepend=-1))
    stop = np.append(start[1:], len(light))
    middle = before[start] + (_sums(rows[light], start) // 2)
    at = np.clip(np.searchsorted(before, middle, side="right") - 1, start, stop - 1)
    joined = {
        "values": state["values"][light][at],
        "rows": _sums(rows[light], start),
        "subjects": _sums(state["subjects"][light], start),
        "joined": np.ones(len(start), bool),
        "missing": [0, 0],
    }
    kept = {n: state[n][heavy] for n in ("values", "rows", "subjects", "joined")}
    return added({**kept, "missing": state["missing"]}, joined)


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of `Number.finish`."""

    min_subjects: int
    bins: int
    halved: int
    bin_rows: int
    spike_share: float
    spike_rows: int
    exact_values: int


def finished(state: State, plan: Plan) -> dict[str, Any]:
    """The fields of a `Number`."""
    grid = lattice(state["values"])
    narrow = is_narrow(state["values"], grid[0])
    state, written = _denoised(state, grid[0], plan.min_subjects, narrow=narrow)
    x, rows = state["values"], state["rows"]
    total, missing = int(rows.sum()) + state["missing"][0], state["missing"][0]
    spike = _spikes(state, plan, int(rows.sum()))
    rest = np.flatnonzero(~spike)
    starts = _bin_starts(rows[rest], plan) if len(rest) else np.zeros(0, np.int64)
    stops = [*starts[1:], len(rest)]
    bins = [rest[a:b] for a, b in zip(starts, stops, strict=False)]
    centres = np.concatenate([x[spike], [_median(x[b], rows[b]) for b in bins]])
    place = np.empty(len(centres), np.int64)
    place[np.argsort(centres, kind="stable")] = np.arange(len(centres))
    spikes, count = x[spike], int(spike.sum())
    pieces = [_Piece.flat(v) for v in spikes]
    pieces += [
        _inside(state, b, grid, plan, first=i == 0, last=i == len(bins) - 1)
        for i, b in enumerate(bins)
    ]
    masses = [*rows[spike], *(rows[b].sum() for b in bins)]
    ordered = np.argsort(place)
    shares = [masses[i] / total for i in ordered] + ([missing / total] if missing else [])
    uppers = [_between(x[b[-1]], x[c[0]]) for b, c in pairwise(bins)]
    at, value, step = _curve([pieces[i] for i in ordered])
    value = _as_written(value, step, x, written)
    return {
        "spikes": spikes,
        "spike_tokens": place[:count].astype(np.int32),
        "uppers": np.array([*uppers, np.inf][: len(bins) or 0], np.float64),
        "bin_tokens": place[count:].astype(np.int32),
        "at": at,
        "value": value,
        "step": step,
        "lattice": (grid[0], grid[2]),
        "shares": np.array(shares, np.float64),
        "missing_token": len(centres) if missing else -1,
        "parts": parts_of(x, *grid[:2]),
        "narrow": narrow,
    }


def _spikes(state: State, plan: Plan, total: int) -> Array:
    """Which values are tokens of their own; shape (values,), bool."""
    rows = state["rows"]
    least = max(plan.spike_rows, int(np.ceil(plan.spike_share * total)))
    if len(rows) <= plan.exact_values:
        least = min(least, plan.min_subjects)
    held = state["subjects"] >= plan.min_subjects
    spike = np.asarray((rows >= least) & held & ~state["joined"])
    if spike.sum() > 2 * plan.exact_values:  # only the heaviest
        order = np.lexsort((state["values"], -np.where(spike, rows, 0)))
        spike = np.zeros(len(rows), bool)
        spike[order[: 2 * plan.exact_values]] = True
    return spike


def _bin_starts(rows: Array, plan: Plan) -> Array:
    """First positions of bins of about equal mass, each of at least `bin_rows` rows.

    Then the first and the last bin are halved, and the halves at the ends again, `halved` times.
    """
    total = int(rows.sum())
    count = int(min(plan.bins, max(total // plan.bin_rows, 1)))
    before = np.cumsum(rows) - rows
    starts = np.unique(np.searchsorted(before, total * np.arange(count) / count))
    kept = [0]
    for start in starts[1:]:
        after = total - (before[start] if start < len(rows) else total)
        if start < len(rows) and before[start] - before[kept[-1]] >= plan.bin_rows <= after:
            kept.append(int(start))
    edges = np.append(before, total)
    for last in (False, True):
        for _ in range(plan.halved):
            a, b = (kept[-1], len(rows)) if last else (0, kept[1] if len(kept) > 1 else len(rows))
            middle = int(np.searchsorted(before, (edges[a] + edges[b]) / 2))
            if min(edges[middle] - edges[a], edges[b] - edges[middle]) < plan.bin_rows:
                break
            kept.insert(len(kept) if last else 1, middle)
    return np.array(kept, np.int64)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The quantile curve inside one token: shares in [0, 1], values there, steps of segments."""

    at: Array
    value: Array
    step: Array

    @classmethod
    def flat(cls, value: float) -> _Piece:
        return cls(np.array([0.0, 1.0]), np.array([value, value]), np.zeros(2, np.int64))


def _inside(
    state: State, members: Array, grid: tuple[int, int, int], plan: Plan, *, first: bool, last: bool
) -> _Piece:
    """The curve of one bin: repeated values flat, the others between sub-quantiles."""
    x, rows = state["values"][members], state["rows"][members]
    least = plan.min_subjects
    often = max(_REPEATED, least)
    repeated = (rows >= often) & (state["subjects"][members] >= often)
    repeated &= ~state["joined"][members]
    single = np.flatnonzero(~repeated)
    scale, base, origin = grid
    step = local_step(x, rows, scale, base, origin) if scale else 0
    if not len(single):
        return _joined_segments([(v, v, float(r), 0) for v, r in zip(x, rows, strict=True)])
    segments = _quantile_segments(x[single], rows[single], least, first, last)
    out = [(a, b, m, step) for a, b, m in segments]
    out += [(x[i], x[i], float(rows[i]), 0) for i in np.flatnonzero(repeated)]
    if scale and (first or last):
        out = [(*_snapped(a, b, grid), m, s) if a != b else (a, b, m, s) for a, b, m, s in out]
    bounds = _natural_bounds(x)
    out = [(max(a, bounds[0]), min(max(b, bounds[0]), bounds[1]), m, s) for a, b, m, s in out]
    return _joined_segments(out)


def _snapped(low: float, high: float, grid: tuple[int, int, int]) -> tuple[float, float]:
    a, b = snap(np.array([low, high]), *grid).tolist()
    return a, b


def _quantile_segments(
    x: Array, rows: Array, least: int, first: bool, last: bool
) -> list[tuple[float, float, float]]:
    """Segments (low, high, rows) between sub-quantiles, with tails at the column's own ends."""
    total = int(rows.sum())
    if total < 2 * least and (first or last):  # too few to show an end: one blurred segment
        return _blurred(x, rows, least)
    before = np.cumsum(rows) - rows
    count = int(min(_SUBS, max(total // max(least, 1), 1)))
    cuts = np.unique(np.searchsorted(before + rows, total * np.arange(1, count) / count))
    cuts = cuts[(before[cuts] >= least) & (total - before[cuts] >= least)] if len(cuts) else cuts
    edges = [0, *(int(c) for c in cuts if c > 0)]
    out = []
    for start, stop in zip(edges, [*edges[1:], len(x)], strict=True):
        high = x[stop] if stop < len(x) else x[-1]
        out.append((float(x[start]), float(high), float(rows[start:stop].sum())))
    if last:
        out = out[:-1] + _tail.segments(x[edges[-1] :], rows[edges[-1] :])
    if first:
        stop = edges[1] if len(edges) > 1 else len(x)
        mirrored = _tail.segments(-x[:stop][::-1], rows[:stop][::-1])
        out = [(-b, -a, m) for a, b, m in mirrored[::-1]] + (out[1:] if len(edges) > 1 else [])
        if last and len(edges) == 1:
            out = _blurred(x, rows, least)
    return out


def _blurred(x: Array, rows: Array, least: int) -> list[tuple[float, float, float]]:
    """One segment over mean plus and minus 1.7 standard deviations: shows no single value."""
    total = float(rows.sum())
    mean = float((x * rows).sum() / total)
    spread = float(np.sqrt((rows * (x - mean) ** 2).sum() / total)) * np.sqrt(3)
    if spread == 0 and total < least:  # one value of a few subjects: only its magnitude is told
        size = 10.0 ** np.floor(np.log10(abs(mean))) if mean else 1.0
        mean, spread = float(np.rint(mean / size) * size), 0.5 * size
    return [(mean - spread, mean + spread, total)]


def _natural_bounds(x: Array) -> tuple[float, float]:
    """Signs are no secret: what is never negative stays so, and shares stay below 1."""
    low = 0.0 if x[0] >= 0 else -np.inf
    if x[-1] <= 0:
        return low, 0.0
    return low, 1.0 if x[0] >= 0 and 0.5 < x[-1] <= 1 else np.inf


def _joined_segments(segments: list[tuple[float, float, float, int]]) -> _Piece:
    """One curve over [0, 1] from segments (low, high, rows, step), ordered by middle."""
    ordered = sorted(segments, key=lambda s: (s[0] + s[1], s[0]))
    total = sum(s[2] for s in ordered)
    at, value, step, done = [], [], [], 0.0
    for low, high, mass, width in ordered:
        at += [done / total, (done + mass) / total]
        value += [low, high]
        step += [width, 0]
        done += mass
    return _Piece(np.array(at), np.array(value), np.array(step, np.int64))


def _curve(pieces: list[_Piece]) -> tuple[Array, Array, Array]:
    if not pieces:
        return np.zeros(0), np.zeros(0), np.zeros(0, np.int64)
    at = np.concatenate([i + np.minimum(p.at, 1.0) for i, p in enumerate(pieces)])
    value = np.concatenate([p.value for p in pieces])
    return at, value, np.concatenate([p.step for p in pieces])


def _denoised(state: State, scale: int, least: int, *, narrow: bool) -> tuple[State, Array]:
    """Values that differ only by float noise become one; and how each one is mostly written.

    As the records have it where that is held by so many subjects, noise and all.
    """
    if not scale:
        return state, state["values"]
    raw, rows, joined = state["values"], state["rows"], state["joined"]
    values = denoised(raw, scale)
    none: State = {n: state[n][:0] for n in ("values", "rows", "subjects", "joined")}
    out = added({**state, "values": values}, {**none, "missing": [0, 0]})
    order = np.lexsort((raw, -rows, joined, values))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(values[order]) != 0) | (joined[order][1:] != joined[order][:-1])
    first = order[new]
    plain = out["values"].astype(np.float32).astype(np.float64) if narrow else out["values"]
    held = (state["subjects"][first] >= least) & ~joined[first]
    return out, np.where(held, raw[first], plain)


def _as_written(value: Array, step: NDArray[np.int64], x: Array, written: Array) -> Array:
    """The knots of a curve, those of single values as these are written."""
    if not len(x):
        return value
    flat = np.zeros(len(value), bool)
    flat[:-1] = (step[:-1] == 0) & (np.diff(value) == 0)
    flat[1:] |= flat[:-1]
    place = np.clip(np.searchsorted(x, value), 0, len(x) - 1)
    return np.where(flat & (x[place] == value), written[place], value)


def _median(x: Array, rows: Array) -> float:
    return float(x[np.searchsorted(np.cumsum(rows), rows.sum() / 2)])


def _between(low: float, high: float) -> float:
    """A bound between two bins that is no one's value unless they touch."""
    middle = (low + high) / 2
    return middle if low < middle < high else low


def _sums(values: Array, start: Array) -> Array:
    return np.add.reduceat(values, start) if len(start) else values[:0]
