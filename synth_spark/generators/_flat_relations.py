"""Numbers that follow from other columns: totals, products, prices, segments.

For each number y the search tries simple functions f of other columns. If y = f(parents) up to
rounding, y is computed and not drawn. If y stays close to f, the network draws the residual
(y - f) / s instead, with s a product of powers of the parents. A relation is kept only if it
codes held-back rows, in the units of y, in fewer nats than y's own distribution given its best
parent does: a relation that would blur the spikes of y does not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np

from synth_spark.core.batch import Values
from synth_spark.generators._flat_linear import fit_linear
from synth_spark.generators._flat_relation import CURVES, INVERSES, Array, Relation
from synth_spark.generators._flat_total import fit_total, may_be_part, short
from synth_spark.generators._flat_worth import Table, is_exact, is_worth, spread_of

_NEAR = 8  # best-correlated columns that are tried as parents
_SPREAD = 0.25  # of y's own: a residual wider than this is no relation
_MOSTLY = 0.5  # of the rows: a number that is so often the same is followed
_SAYS_ALL = 0.98  # of a correlation: with such a number beside them no parts are found
_MIN_VALUES = 20  # a column with fewer distinct values is drawn as it is


def search(values: Mapping[str, Values], numbers: tuple[str, ...]) -> tuple[Relation, ...]:
    """The relations of a table, no two for one child, without cycles.

    Args:
        values: The fields of a sample of rows.
        numbers: Names of the number fields.
    """
    table = Table.of(values, numbers)
    wanted = [
        n for n in numbers if table.distinct[n] >= _MIN_VALUES and table.known[n].sum() >= 100
    ]
    found: dict[str, Relation] = {}
    for phase, first in _PHASES.items():
        for y in sorted(wanted, key=lambda n: (first(table, n), n)):
            if y in found:
                continue
            free = [n for n in table.ranks if n != y and not _leads_to(found, n, y)]
            best = _best(table, y, free, values, found, phase)
            if best is not None:
                found[y] = best
    return tuple(found.values())


# What is looked for in turn, and which children come first. All but the last are exact.
_PHASES: Mapping[str, Callable[[Table, str], float]] = {
    "sums": lambda table, y: table.distinct[y],  # of parts that all add: the whole is computed
    "exact": lambda table, y: table.distinct[y],  # the coarsest is computed
    "balances": lambda table, y: -spread_of(table.number(y)[table.known[y]]),  # the largest is
    "curves": lambda table, y: table.distinct[y],  # after sums: what is squared may be one
    "inverses": lambda table, y: table.distinct[y],
    "residual": lambda table, y: -table.distinct[y],
}
_ONE = {"curves": CURVES, "inverses": INVERSES}


def _best(
    table: Table,
    y: str,
    free: list[str],
    every: Mapping[str, Values],
    found: Mapping[str, Relation],
    phase: str,
) -> Relation | None:
    """The best relation of one phase for one child, or None.

    Args:
        table: The rows of the search.
        y: The child.
        free: Numbers that do not hang on it.
        every: All rows, to prove exactness on.
        found: The relations so far.
        phase: One of `_PHASES`.
    """
    near = [n for n in _nearest(table, y) if n in free]
    if phase == "residual":
        computed = {n for n, r in found.items() if r.exact}
        near = [n for n in near if n not in computed and _before(table, n, y)]
    target = table.number(y)
    spread = spread_of(target[table.known[y]])
    scored: list[tuple[float, int, Relation]] = []
    for relation in _tried(table, y, near, free, phase):
        r = target - relation.center(table.values)
        ok = np.isfinite(r)
        if spread > 0 and ok.sum() >= max(50, 0.5 * table.known[y].sum()):
            scored.append((_away(r[ok], spread), len(scored), relation))
    scored.sort(key=lambda s: s[:2])
    for ratio, _, relation in scored[:5]:
        bounded = _bounded(table, relation)
        if phase != "residual":
            if ratio < _SPREAD and is_exact(bounded, every):
                return replace(bounded, exact=True, bounds=_signs(target[table.known[y]]))
            continue
        finished = _scaled_residual(table, bounded)
        if ratio < _SPREAD and is_worth(table, finished, near):
            return finished
    return None


def _away(rest: Array, spread: float) -> float:
    """How wide a residual is beside y's own spread; one that is mostly nothing is narrow."""
    hits = float((np.abs(rest) < 0.01 * spread).mean())
    wide = spread_of(rest) / spread
    return min(wide, _SPREAD * (1 - hits)) if hits >= _MOSTLY else wide


def _before(table: Table, x: str, y: str) -> bool:
    """Whether x may tell of y: it has fewer values, or as many and a name that comes before."""
    return (table.distinct[x], x) < (table.distinct[y], y)


def _tried(table: Table, y: str, near: list[str], free: list[str], phase: str) -> list[Relation]:
    """The relations of one phase."""
    if phase == "balances":
        out = [Relation(y, "difference", pair) for pair in permutations(near, 2)]
        return [*out, *_total(table, y, [*near, *free])]
    if phase == "sums":
        numbers = {n: table.number(n) for n in (y, *free)}
        parts = [n for n in (*near, *free) if may_be_part(numbers[n], numbers[y])]
        sums = [Relation(y, "sum", pair) for pair in combinations(parts[:_NEAR], 2)]
        return [*sums, *_total(table, y, parts)]
    if phase in _ONE:
        tried = (Relation(y, form, (x,)) for x, form in product(near, _ONE[phase]))
        return [scaled for r in tried for scaled in _scaled(table, table.number(y), r)]
    out = _candidates(table, y, near)
    linear = fit_linear(table.values, y, table.fitting & table.known[y])
    if linear is not None:
        out.append(Relation(y, "linear", (), linear=linear))
    return [r for r in out if phase == "residual" or r.form != "difference"]


def _candidates(table: Table, y: str, near: list[str]) -> list[Relation]:
    target, out = table.number(y), []
    for x in near:
        out += _scaled(table, target, Relation(y, "scale", (x,)))
    for a, b in combinations(near, 2):
        out += _scaled(table, target, Relation(y, "product", (a, b)))
        out.append(Relation(y, "sum", (a, b)))
        for p, q in ((a, b), (b, a)):
            out.append(Relation(y, "difference", (p, q)))
            out += _scaled(table, target, Relation(y, "ratio", (p, q)))
    return out


def _total(table: Table, y: str, parts: list[str]) -> list[Relation]:
    numbers = {n: table.number(n) for n in dict.fromkeys(parts) if table.distinct[n] > 1}
    apart = {n: x for n, x in numbers.items() if not _says_all(table, n, y)}
    tried = [numbers, apart] if len(apart) < len(numbers) else [numbers]
    found = [fit_total(y, table.number(y), some, table.fitting) for some in tried]
    return [f for f in found if f is not None]


def _says_all(table: Table, x: str, y: str) -> bool:
    """Whether one number all but tells the other, as a tax does the sum that it is taken of."""
    both = table.fitting & table.known[x] & table.known[y]
    a, b = table.number(x)[both], table.number(y)[both]
    if len(a) < 25 or not a.std() or not b.std():
        return False
    return abs(float(np.corrcoef(a, b)[0, 1])) > _SAYS_ALL


def _scaled(table: Table, target: Array, relation: Relation) -> list[Relation]:
    """The relation with its median factor, and with the nearest k or 1/k."""
    base = relation.center(table.values)
    with np.errstate(all="ignore"):
        ratio = (target / base)[table.fitting]
    ratio = ratio[np.isfinite(ratio) & (ratio != 0)]
    if len(ratio) < 25:
        return []
    k = float(np.median(ratio))
    round_k = float(np.rint(k)) if abs(k) >= 1 else 1 / float(np.rint(1 / k))
    options = [round_k, k] if abs(round_k / k - 1) < 0.1 else [k]
    return [replace(relation, factor=f) for f in dict.fromkeys([*options, short(k) or k])]


def _bounded(table: Table, relation: Relation) -> Relation:
    y = table.number(relation.child)
    known = table.known[relation.child]
    grid = table.grids[relation.child]
    off = np.abs(y[known] - y[known].astype(np.float32))  # a quick reader of texts misses a bit
    single = grid[0] == 0 and bool((off <= 4e-16 * np.abs(y[known])).all())
    return replace(relation, grid=grid, bounds=_bounds(y[known]), single=single)


def _scaled_residual(table: Table, relation: Relation) -> Relation:
    """With the scale s under which the residual is likeliest (Laplace)."""
    if not relation.parents:
        return relation
    y, centre = table.number(relation.child), relation.center(table.values)
    both = np.isfinite(y) & np.isfinite(centre)
    floors = tuple(_floor(table.number(p)) for p in relation.parents)
    options = []
    for powers in product((0.0, 0.5, 1.0), repeat=len(relation.parents)):
        option = replace(relation, powers=powers, floors=floors)
        size = np.broadcast_to(option.size(table.values), y.shape)[both]
        with np.errstate(all="ignore"):
            nats = np.log(np.abs((y - centre)[both] / size).mean() + 1e-300) + np.log(size).mean()
        options.append((float(nats) + 0.01 * sum(powers), powers, option))
    return min(options, key=lambda o: o[:2])[2]


def _nearest(table: Table, y: str) -> list[str]:
    """Numbers by rank correlation with y, strongest first, that may be its parents."""
    scores = []
    for x in table.ranks:
        if x == y or table.distinct[x] < 3:
            continue
        both = table.known[x] & table.known[y]
        if both.sum() < 50:
            continue
        a, b = table.ranks[x][both], table.ranks[y][both]
        if a.std() > 0 and b.std() > 0:
            scores.append((-abs(float(np.corrcoef(a, b)[0, 1])), x))
    return [x for _, x in sorted(scores)[:_NEAR]]


def _leads_to(found: Mapping[str, Relation], start: str, end: str) -> bool:
    """Whether `start` is computed, at any remove, from `end`."""
    if start == end:
        return True
    return start in found and any(_leads_to(found, p, end) for p in found[start].needs)


def _bounds(x: Array) -> tuple[float, float]:
    """Between the signs that occur, and twice the 99.9 % quantiles beyond that."""
    low, high = (float(np.quantile(x, q)) for q in (0.001, 0.999))
    reach = high - low
    return (
        max(0.0, low - reach) if x.min() >= 0 else low - reach,
        min(0.0, high + reach) if x.max() <= 0 else high + reach,
    )


def _signs(x: Array) -> tuple[float, float]:
    """Only the signs that occur: what is computed exactly may be as large as its parts make it."""
    return (0.0 if x.min() >= 0 else -np.inf, 0.0 if x.max() <= 0 else np.inf)


def _floor(x: Array) -> float:
    size = np.abs(x[np.isfinite(x) & (x != 0)])
    return float(np.quantile(size, 0.01)) if len(size) else 1.0
