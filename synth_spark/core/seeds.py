"""Random numbers that depend on a seed, a stream's name and a block number, and on nothing else.

Never on partitions, workers, retries or time: docs/decisions/0001-rows-from-seed-and-number.md.
Not for privacy noise, which comes from the operating system and takes no seed.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_U64 = np.uint64


def stream_key(seed: int, stream: str) -> int:
    """A 128-bit key for one named stream of one seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=16).digest())


def generator(seed: int, stream: str, block: int = 0) -> np.random.Generator:
    """The generator of one block of one stream: Philox, keyed by seed and stream, at `block`.

    Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.
    """
    key = np.frombuffer(stream_key(seed, stream).to_bytes(16), dtype=np.uint64)
    counter = np.array([0, 0, block, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def uniforms(seed: int, stream: str, numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One uniform in [0, 1) for each row or subject number; shape as `numbers`.

    Example:
        >>> a = uniforms(7, "x", np.array([3, 1], dtype=np.uint64))
        >>> bool(a[1] == uniforms(7, "x", np.array([1], dtype=np.uint64))[0])
        True
    """
    with np.errstate(over="ignore"):
        mixed = _mix(
            numbers.astype(_U64) * _U64(0x9E3779B97F4A7C15) + _U64(stream_key(seed, stream) >> 64)
        )
    return (mixed >> _U64(11)).astype(np.float64) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014, figure 17."""
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))
