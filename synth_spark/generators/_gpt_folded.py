"""The decoder's trunk for drawing, in NumPy and compiled loops, with keys and values kept.

Each unit under way has a place in the cache: its prefix for good, and a ring of the last `context`
positions, so that a history of any length is drawn in the same memory. What the trunk gives is
that of `models/gpt.py` up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_folded import F32, Folded, Linear
from synth_spark.generators._events_kernels import exp32, silu
from synth_spark.generators._events_layout import Layout


@dataclass(frozen=True, slots=True)
class Layer:
    """One block."""

    norm: Linear  # weight and bias of the norm before attention, (width,) each
    qkv: Linear
    mix: Linear
    bias: F32  # (heads, context + 1), by distance; the last of the prefix
    norm2: Linear
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class Trunk:
    """All weights below the heads, and the heads."""

    stats: F32  # (statistics, width)
    own: Linear  # attributes -> width
    told: F32  # (tokens, width)
    layers: tuple[Layer, ...]
    norm: Linear
    net: Folded  # the heads

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]], layout: Layout) -> Self:
        """Fold the weights (the state dict) of a `Gpt`."""
        into = weights["stats_in.weight"].T
        layers = tuple(
            _layer(weights, f"blocks.{k}")
            for k in range(sum(name.endswith(".qkv.weight") for name in weights))
        )
        none = {  # the heads are folded as those of the event net, which has a trunk of its own
            "trunk.0.weight": np.zeros((1, layout.before)),
            "trunk.0.bias": np.zeros(1),
            "trunk.3.weight": np.zeros((1, 1)),
            "trunk.3.bias": np.zeros(1),
        }
        return cls(
            _f32(into[: layout.dense]),
            Linear(_f32(into[layout.dense :]), _f32(weights["stats_in.bias"])),
            _f32(weights["told.weight"]),
            layers,
            _norm(weights, "norm"),
            Folded.of({**weights, **none}, layout),
        )


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> Layer:
    bias = weights[f"{name}.bias"]
    spread = np.concatenate([bias[:, weights["bucket"]], bias[:, -1:]], axis=1)
    linear = {
        part: Linear(_f32(weights[f"{name}.{part}.weight"].T), _f32(weights[f"{name}.{part}.bias"]))
        for part in ("qkv", "mix", "up", "down")
    }
    return Layer(
        norm=_norm(weights, f"{name}.norm"),
        norm2=_norm(weights, f"{name}.norm2"),
        bias=_f32(spread),
        **linear,
    )


def _norm(weights: Mapping[str, NDArray[Any]], name: str) -> Linear:
    return Linear(_f32(weights[f"{name}.weight"]), _f32(weights[f"{name}.bias"]))


def _f32(x: NDArray[Any]) -> F32:
    return np.ascontiguousarray(x, np.float32)


class Cache:
    """Keys and values of the units under way, and buffers of one position of each."""

    def __init__(self, trunk: Trunk, places: int, context: int) -> None:
        width = trunk.stats.shape[1]
        f32 = np.float32
        self.trunk = trunk
        shape = (len(trunk.layers), places, context + 1, width)
        self.keys, self.values = np.empty(shape, f32), np.empty(shape, f32)
        self.h, self.n = np.empty((places, width), f32), np.empty((places, width), f32)
        self.seen, self.out = np.empty((places, width), f32), np.empty((places, width), f32)
        self.qkv = np.empty((places, 3 * width), f32)
        self.up = np.empty((places, 2 * width), f32)

    def forward(
        self, x: F32, own: F32, told: NDArray[np.int64], place: NDArray[np.int64],
        step: NDArray[np.int64], out: F32,
    ) -> None:  # fmt: skip
        """One position of each of n units.

        Args:
            x: Statistics, shape (n, statistics).
            own: What the attributes add, shape (n, width).
            told: Rows of the table of tokens, shape (n, fields).
            place: Each unit's place in the cache, shape (n,).
            step: Each unit's number of this position, 0 at the prefix; shape (n,).
            out: Where the trunk's result goes, in its first columns; shape (n, at least width).
        """
        n, t = len(x), self.trunk
        h, normed, seen, added = self.h[:n], self.n[:n], self.seen[:n], self.out[:n]
        np.dot(x, t.stats, out=h)
        add_told(h, own, told, t.told)
        for k, layer in enumerate(t.layers):
            norm(h, layer.norm.weight, layer.norm.bias, normed)
            np.dot(normed, layer.qkv.weight, out=self.qkv[:n])
            attend(
                self.qkv[:n], layer.qkv.bias, place, step, self.keys[k], self.values[k],
                layer.bias, seen,
            )  # fmt: skip
            np.dot(seen, layer.mix.weight, out=added)
            add(h, added, layer.mix.bias)
            norm(h, layer.norm2.weight, layer.norm2.bias, normed)
            np.dot(normed, layer.up.weight, out=self.up[:n])
            open_up(self.up[:n], layer.up.bias)
            np.dot(self.up[:n], layer.down.weight, out=added)
            add(h, added, layer.down.bias)
        norm(h, t.norm.weight, t.norm.bias, out)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_told(h, own, told, table):  # type: ignore[no-untyped-def]
    """Add the unit's own row and those of the tokens of the event before (row 0 is none)."""
    for a in range(len(h)):
        y, mine = h[a], own[a]
        for k in range(len(y)):
            y[k] += mine[k]
        for f in range(told.shape[1]):
            if told[a, f] > 0:
                row = table[told[a, f]]
                for k in range(len(y)):
                    y[k] += row[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def norm(h, weight, bias, out):  # type: ignore[no-untyped-def]
    """Layer norm of each row into the first columns of `out`."""
    width = h.shape[1]
    share = np.float32(1.0 / width)
    for a in range(len(h)):
        x, y = h[a], out[a]
        mean = np.float32(0.0)
        for k in range(width):
            mean += x[k]
        mean *= share
        spread = np.float32(0.0)
        for k in range(width):
            spread += (x[k] - mean) * (x[k] - mean)
        scale = np.float32(1.0) / np.sqrt(spread * share + np.float32(1e-5))
        for k in range(width):
            y[k] = (x[k] - mean) * scale * weight[k] + bias[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add(h, x, bias):  # type: ignore[no-untyped-def]
    """Add x and the bias to h."""
    for a in range(len(h)):
        y, z = h[a], x[a]
        for k in range(len(bias)):
            y[k] += z[k] + bias[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def open_up(x, bias):  # type: ignore[no-untyped-def]
    """Silu(x + bias) in place."""
    for a in range(len(x)):
        y = x[a]
        for k in range(len(bias)):
            y[k] = silu(y[k] + bias[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def attend(qkv, bias, place, step, keys, values, distance, out):  # type: ignore[no-untyped-def]
    """Keep the key and value of this position, and look at all that are kept of the unit."""
    heads, context = distance.shape[0], distance.shape[1] - 1
    width = out.shape[1]
    size = width // heads
    scale = np.float32(1.0 / np.sqrt(size))
    weight = np.empty((heads, context + 1), np.float32)
    for a in range(len(qkv)):
        row = qkv[a]
        for k in range(len(bias)):
            row[k] += bias[k]
        i = step[a]
        at = 0 if i == 0 else 1 + (i - 1) % context
        key, value = keys[place[a]], values[place[a]]
        key[at] = row[width : 2 * width]
        value[at] = row[2 * width :]
        kept = min(i, context) + 1
        for e in range(kept):
            one = key[e]
            far = context if e == 0 else (at - e) % context
            for h in range(heads):
                total = np.float32(0.0)
                q, c = row[h * size : (h + 1) * size], one[h * size : (h + 1) * size]
                for k in range(size):
                    total += q[k] * c[k]
                weight[h, e] = total * scale + distance[h, far]
        y = out[a]
        y[:] = np.float32(0.0)
        for h in range(heads):
            w, part = weight[h, :kept], y[h * size : (h + 1) * size]
            top = w[0]
            for e in range(1, kept):
                top = max(top, w[e])
            total = np.float32(0.0)
            for e in range(kept):
                w[e] = exp32(w[e] - top)
                total += w[e]
            for e in range(kept):
                share, v = w[e] / total, value[e, h * size : (h + 1) * size]
                for k in range(size):
                    part[k] += share * v[k]
