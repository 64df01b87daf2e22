"""The step that numbers keep: whole numbers, cents, multiples of .05, thirds, sixtieths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What a unit may be cut into: thirds to dozens, a day into hours, minutes and seconds, an hour too.
_PARTS = (3, 6, 7, 9, 12, 24, 60, 1_440, 3_600, 86_400)
# Values times one of these may be whole numbers: decimals, then parts.
_SCALES: tuple[int, ...] = (*(10**d for d in range(9)), *_PARTS)
_EVIDENCE_NATS = 25.0  # that decimals are rounded parts: by chance one column in 10,000,000,000
_WHOLE = 2.0**52  # above this a float has no fraction left to look at
_COARSER = (1000, 500, 250, 200, 100, 50, 25, 20, 10, 5, 4, 3, 2)


def scale_of(values: NDArray[np.float64]) -> int:
    """The smallest factor that makes all values whole up to float noise; 0 if none does.

    The noise allowed is 1e-7 of the value (a float32 read as a float64) and 1e-6 absolutely.
    """
    for scale in _SCALES:
        scaled = values * scale
        if np.abs(scaled).max(initial=0.0) > _WHOLE:
            return scale if scale == 1 else 0
        if bool((np.abs(scaled - np.rint(scaled)) <= _noise(scaled)).all()):
            return scale
    return 0


def _noise(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum(1e-6 + 1e-7 * np.abs(scaled), 0.01)


def denoised(values: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Values that are whole but for float noise where times the scale, without it; shape as given.

    Others stay as they are, and so do all where there is no scale.
    """
    if not scale:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values * scale
        whole = np.rint(scaled)
        return np.where(np.abs(scaled - whole) <= _noise(scaled), whole / scale, values)


def is_narrow(values: NDArray[np.float64], scale: int) -> bool:
    """Whether values on a lattice carry the noise of a float32 that was read as a float64."""
    if not scale:
        return False
    wide = values.astype(np.float32).astype(np.float64)
    return bool((wide == values).all() and (denoised(values, scale) != values).any())


def lattice(values: NDArray[np.float64]) -> tuple[int, int, int]:
    """The lattice that distinct values lie on, as whole numbers (scale, step, origin).

    Every value is (origin + i * step) / scale for a whole i. A scale of 0 means no lattice. With
    fewer than 8 values their common step says little, so the step is 1.
    """
    scale = scale_of(values)
    if scale == 0 or not len(values):
        return 0, 0, 0
    whole = np.rint(values * scale)
    if np.abs(whole).max() > _WHOLE or len(values) < 8:
        return scale, 1, 0
    whole = whole.astype(np.int64)
    step = int(np.gcd.reduce(np.abs(whole - whole[0])))
    return scale, max(step, 1), int(whole[0]) % max(step, 1)


def parts_of(values: NDArray[np.float64], scale: int, step: int) -> int:
    """The parts of a unit that distinct values are, rounded to the decimals of their lattice.

    Such as 17.583333 for 17 hours and 35 sixtieths; 0 where decimals are all that there is to say.
    """
    if scale <= 10 or scale in _PARTS:
        return 0
    for parts in _PARTS:
        rarer = scale / step / parts  # points of the one lattice beside the other's
        if rarer <= 1 or len(values) * np.log(rarer) < _EVIDENCE_NATS:
            return 0
        if bool((np.abs(values - rounded_parts(values, parts, scale)) * scale < 0.5).all()):
            return parts
    return 0


def rounded_parts(values: NDArray[np.float64], parts: int, scale: int) -> NDArray[np.float64]:
    """The nearest whole numbers of parts, rounded to the decimals of a lattice; shape as given."""
    return np.asarray(np.rint(np.rint(values * parts) / parts * scale) / scale)


def snap(
    values: NDArray[np.float64], scale: int, step: int | NDArray[np.int64], origin: int
) -> NDArray[np.float64]:
    """Values moved to the nearest point of a lattice (unchanged where scale or step is 0)."""
    if scale == 0:
        return values
    width = np.maximum(step, 1)
    moved = np.rint((values * scale - origin) / width) * width + origin
    return np.where(np.asarray(step) > 0, moved / scale, values)


def local_step(
    values: NDArray[np.float64], rows: NDArray[np.int64], scale: int, step: int, origin: int
) -> int:
    """The coarsest multiple of the lattice's step that holds 90 % of these rows."""
    if scale == 0 or len(values) < 8:
        return step
    index = (np.rint(values * scale).astype(np.int64) - origin) // step
    enough = 0.9 * rows.sum()
    for factor in _COARSER:
        if rows[index % factor == 0].sum() >= enough and factor < np.ptp(index):
            return step * factor
    return step
