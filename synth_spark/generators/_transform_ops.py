"""The operations of `transform` as pure functions of arrays and a source of random numbers.

Ordered columns are moved in the space of their tokens (bins and spikes that enough subjects hold),
so what comes out lies on the column's own lattice once it is decoded.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._transform_groups import grouped_starts

EARTH_M = 6_371_008.8  # mean radius, metres (IUGG)
_GRID = np.linspace(-4.0, 4.0, 4_097)
_CDF = np.array([NormalDist().cdf(float(z)) for z in _GRID])

Tokens = NDArray[np.int32]
Reals = NDArray[np.float64]


def jitter_seconds(second: Reals, minutes: float, tick_s: float, rng: np.random.Generator) -> Reals:
    """Seconds of the day moved by up to `minutes`, kept in their day and on the tick.

    Args:
        second: Seconds since midnight, NaN where missing, shape (rows,).
        minutes: Greatest move.
        tick_s: Values stay whole multiples of it.
        rng: Two numbers a row at most are drawn.
    """
    moved = second + rng.uniform(-60 * minutes, 60 * minutes, len(second))
    moved = np.where(moved < 0, -moved, moved)  # back from midnight, as a ball from a wall
    last = 86_400.0 - tick_s
    moved = np.where(moved > last, 2 * last - moved, moved)
    return np.asarray(np.clip(np.rint(moved / tick_s) * tick_s, 0.0, last))


def jitter_places(degrees: Reals, metres: float, decimals: int, rng: np.random.Generator) -> Reals:
    """Places moved in a random direction, evenly over a disc of `metres`, on the sphere.

    Args:
        degrees: Latitude and longitude, shape (rows, 2), NaN where missing.
        metres: Greatest distance.
        decimals: Of the degrees that come back.
        rng: Two numbers a row.
    """
    lat, lon = np.radians(degrees[:, 0]), np.radians(degrees[:, 1])
    far = metres / EARTH_M * np.sqrt(rng.random(len(lat)))
    course = 2 * np.pi * rng.random(len(lat))
    up = np.sin(lat) * np.cos(far) + np.cos(lat) * np.sin(far) * np.cos(course)
    north = np.arcsin(np.clip(up, -1.0, 1.0))
    east = lon + np.arctan2(
        np.sin(course) * np.sin(far) * np.cos(lat), np.cos(far) - np.sin(lat) * up
    )
    east = (np.degrees(east) + 180.0) % 360.0 - 180.0
    return np.round(np.column_stack([np.degrees(north), east]), decimals)


def distance_m(a: Reals, b: Reals) -> Reals:
    """Great-circle distance of places in degrees, both (rows, 2); metres, shape (rows,)."""
    (p, q), (s, t) = np.radians(a).T, np.radians(b).T
    half = np.sin((s - p) / 2) ** 2 + np.cos(p) * np.cos(s) * np.sin((t - q) / 2) ** 2
    return np.asarray(2 * EARTH_M * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def rank_swap(
    tokens: Tokens, stratum: NDArray[np.int64], held: Tokens, starts: NDArray[np.int64],
    share: float, rng: np.random.Generator,
) -> Tokens:  # fmt: skip
    """Each value exchanged for one of a near rank in its stratum.

    Moore, "Controlled data-swapping techniques for masking public use microdata sets", US Bureau
    of the Census RR 96-04 (1996): partners are at most `share` of the ranks apart.

    Args:
        tokens: Of one ordered column, shape (rows,).
        stratum: Of each row, shape (rows,).
        held: The donors' tokens, stratum by stratum and sorted within each.
        starts: Where each stratum begins in `held`, shape (strata + 1,).
        share: Of a stratum's ranks, in (0, 1].
        rng: Two numbers a row.
    """
    begin, size = starts[stratum], np.diff(starts)[stratum]
    wide = int(held.max(initial=0)) + 1
    keys = np.repeat(np.arange(len(starts) - 1), np.diff(starts)) * wide + held
    own = stratum * wide + tokens
    low, high = np.searchsorted(keys, own, "left"), np.searchsorted(keys, own, "right")
    at = low - begin + rng.random(len(tokens)) * np.maximum(high - low, 1)  # any of its equals
    at += size * rng.uniform(-share, share, len(tokens))
    at = np.abs(at)
    at = np.where(at >= size, 2 * size - at, at)  # back from the ends
    at = np.clip(at.astype(np.int64), 0, np.maximum(size - 1, 0))
    return np.where(size > 0, held[np.minimum(begin + at, len(held) - 1)], tokens).astype(np.int32)


def category_strata(columns: Tokens, least: int) -> tuple[NDArray[np.int64], list[int]]:
    """Records with the same categories, as far as at least `least` of them have.

    Columns join one by one, those that split most evenly first; one that would leave a stratum
    with fewer than `least` records is passed over.

    Args:
        columns: Tokens of the categories, shape (columns, rows).
        least: Records of a stratum.

    Returns:
        The stratum of each row, and the columns that make it.
    """
    rows = columns.shape[1]
    stratum = np.zeros(rows, np.int64)
    even = [float((np.bincount(c) / max(rows, 1)).max(initial=1.0)) for c in columns]
    used: list[int] = []
    for j in sorted(range(len(columns)), key=lambda i: (even[i], i)):
        both = np.unique(stratum * (int(columns[j].max(initial=0)) + 1) + columns[j],
                         return_inverse=True)[1].ravel()  # fmt: skip
        if rows and np.bincount(both).min() >= least and both.max() > stratum.max():
            stratum = both.astype(np.int64)
            used.append(j)
    return stratum, used


def noisy(tokens: Tokens, shares: Reals, share: float, rng: np.random.Generator) -> Tokens:
    """A smoothed bootstrap on normal scores: z becomes (z + h e) / sqrt(1 + h^2), e normal.

    The marginal shares stay as they are. Silverman and Young, "The bootstrap: to smooth or not to
    smooth?", Biometrika 74 (1987), section 2 (the smoothed bootstrap that keeps the variance).

    Args:
        tokens: Of one ordered column, shape (rows,).
        shares: Of each token, shape (vocabulary,).
        share: h, the noise as a share of the spread.
        rng: Two numbers a row.
    """
    upper = np.cumsum(shares)
    lower = upper - shares
    u = lower[tokens] + shares[tokens] * rng.random(len(tokens))
    z = (normal_of(u) + share * rng.standard_normal(len(tokens))) / np.sqrt(1 + share**2)
    return token_at(uniform_of(z), upper)


def redrawn(tokens: Tokens, shares: Reals, chance: float, rng: np.random.Generator) -> Tokens:
    """Labels, each with a chance drawn anew by the column's shares; shape (rows,)."""
    fresh = token_at(rng.random(len(tokens)), np.cumsum(shares))
    return np.where(rng.random(len(tokens)) < chance, fresh, tokens).astype(np.int32)


def correlation_of_scores(tokens: Tokens, shares: list[Reals]) -> Reals:
    """Correlation of normal scores at the middles of the tokens' shares; (columns, columns).

    Args:
        tokens: Shape (columns, rows).
        shares: Of each column's tokens.
    """
    scores = []
    for column, share in zip(tokens, shares, strict=True):
        z = normal_of(np.cumsum(share) - share / 2)[column]
        spread = z.std()
        scores.append((z - z.mean()) / (spread if spread > 0 else 1.0))
    joint = np.atleast_2d(np.array(scores) @ np.array(scores).T / max(tokens.shape[1], 1))
    np.fill_diagonal(joint, 1.0)
    return nearest_correlation(joint)


def nearest_correlation(joint: Reals) -> Reals:
    """A correlation matrix with no eigenvalue below 1e-6: those are lifted and it is rescaled."""
    values, vectors = np.linalg.eigh(joint)
    lifted = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    size = np.sqrt(np.diag(lifted))
    return np.asarray(lifted / size / size[:, None])


def copula(rows: int, root: Reals, shares: list[Reals], rng: np.random.Generator) -> Tokens:
    """Rows of a Gaussian copula: ordered shares of each column read at correlated uniforms.

    Nelsen, An Introduction to Copulas, 2nd ed. (2006), section 2.3 (Sklar) and example 2.12.

    Args:
        rows: How many.
        root: Lower triangular root of the correlation, shape (columns, columns).
        shares: Of each column's tokens.
        rng: One number a row and column.

    Returns:
        Tokens, shape (columns, rows).
    """
    u = uniform_of(root @ rng.standard_normal((len(root), rows)))
    return np.stack([token_at(x, np.cumsum(s)) for x, s in zip(u, shares, strict=True)])


def uniform_of(z: Reals) -> Reals:
    """The normal distribution function, by a table (error below 1e-6); as `z`."""
    return np.asarray(np.interp(z, _GRID, _CDF))


def normal_of(u: Reals) -> Reals:
    """The normal quantile function between -4 and 4, by the same table; as `u`."""
    return np.asarray(np.interp(u, _CDF, _GRID))


def token_at(u: Reals, upper: Reals) -> Tokens:
    """The token whose share holds u, from cumulative shares; empty tokens are never met."""
    found = np.searchsorted(upper, np.minimum(u, np.nextafter(1.0, 0.0)) * upper[-1], side="right")
    top = int(np.searchsorted(upper, upper[-1]))
    return np.asarray(np.minimum(found, top), np.int32)


def centred(tokens: Tokens, ordered: NDArray[np.bool_], group: NDArray[np.int64]) -> Tokens:
    """Each record replaced by its group's middle token (ordered) or most frequent one.

    Micro-aggregation: the mean of a group is taken on ranks, so that it is a token again.

    Args:
        tokens: Shape (columns, rows).
        ordered: Shape (columns,).
        group: Of each row, shape (rows,).
    """
    order, starts = grouped_starts(group)
    size = np.diff(starts)
    out = np.empty_like(tokens)
    for j, column in enumerate(tokens):
        if ordered[j]:
            sums = np.add.reduceat(column[order].astype(np.float64), starts[:-1])
            out[j] = np.rint(sums / size).astype(np.int32)[group]
            continue
        wide = int(column.max(initial=0)) + 1
        pairs, counts = np.unique(group * wide + column, return_counts=True)
        best = np.lexsort((pairs, -counts, pairs // wide))
        first = np.searchsorted((pairs // wide)[best], np.arange(len(size)))
        out[j] = (pairs % wide)[best][first].astype(np.int32)[group]
    return out
