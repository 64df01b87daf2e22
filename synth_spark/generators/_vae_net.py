"""A trained autoencoder in NumPy: rows to codes, codes to the logits of every column.

Bases, learned vectors, direct tables and forbidden pairs are folded into tables, as `_flat_tables`
does for the masked network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from synth_spark.models.columns import Layout

Array = NDArray[np.float32]
Ints = NDArray[np.int32]
Tokens = NDArray[np.int32]
_LOG_VARIANCE = (-10.0, 3.0)  # as in models/vae.py


@dataclass(frozen=True, slots=True)
class Layer:
    """x @ weight + bias."""

    weight: Array  # (in, out)
    bias: Array  # (out,)

    def __call__(self, x: Array) -> Array:
        """Shape (rows, out)."""
        out: Array = x @ self.weight
        out += self.bias
        return out

    def rectified(self, x: Array) -> Array:
        """The same, not below 0."""
        out = self(x)
        return np.maximum(out, 0, out=out)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Tokens of whole rows to the Gaussians of their codes."""

    table: Array  # (tokens of all slots, units): what each token adds to the first layer
    starts: Ints  # (slots,) where each slot's tokens begin
    bias: Array  # (units,)
    inner: Layer
    mean: Layer
    spread: Layer  # logarithms of the variances

    def codes(self, tokens: Tokens) -> tuple[Array, Array]:
        """Means and standard deviations, each (rows, latent).

        Args:
            tokens: (rows, token columns) as `Coder.encode` gives them.
        """
        from synth_spark.generators._flat_kernels import add_rows

        h = np.empty((len(tokens), len(self.bias)), np.float32)
        slots = np.arange(len(self.starts), dtype=np.int32)
        across = np.ascontiguousarray(tokens.T)
        add_rows(across, slots, self.starts, self.table, self.bias, h)
        h = self.inner.rectified(np.maximum(h, 0, out=h))
        return self.mean(h), np.exp(0.5 * np.clip(self.spread(h), *_LOG_VARIANCE))


@dataclass(frozen=True, slots=True)
class Head:
    """One column. Token columns `slots` pick rows of `direct`, which holds the forbidden pairs."""

    up: Array  # (units, features)
    bias: Array  # (features,)
    direct: Array  # (rows, features), added up
    slots: Ints  # (p,)
    starts: Ints  # (p,)
    out: Array  # (features, vocabulary), or (0, 0) where the features are the logits
    out_bias: Array  # (vocabulary,) or (0,)

    @property
    def vocabulary(self) -> int:
        """Tokens of the column."""
        return len(self.out_bias) or len(self.bias)

    def alone(self, h: Array) -> Array:
        """Logits without what the columns before add; shape (rows, vocabulary)."""
        out: Array = h @ self.up
        out += self.bias
        if len(self.out):
            out = out @ self.out
            out += self.out_bias
        return out

    def logits(self, h: Array, tokens: Tokens) -> Array:
        """Shape (rows, vocabulary).

        Args:
            h: What the decoder made of the codes, (rows, units).
            tokens: (token columns, rows), known up to this column.
        """
        from synth_spark.generators._flat_kernels import add_rows

        out: Array = h @ self.up
        if len(self.slots):
            beside = np.empty_like(out)
            add_rows(tokens, self.slots, self.starts, self.direct, self.bias, beside)
            out += beside
        else:
            out += self.bias
        if len(self.out):
            out = out @ self.out
            out += self.out_bias
        return out


@dataclass(frozen=True, slots=True)
class VaeNet:
    """The whole autoencoder."""

    encoder: Encoder
    rise: Layer
    head: Layer
    heads: tuple[Head, ...]

    def decoded(self, z: Array) -> Array:
        """What the columns read: (rows, latent) to (rows, units)."""
        return self.head.rectified(self.rise.rectified(z))

    @property
    def latent(self) -> int:
        """Numbers of a code."""
        return len(self.rise.weight)

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {
            "encoder": _plain(self.encoder),
            "rise": _plain(self.rise),
            "head": _plain(self.head),
            "heads": [_plain(h) for h in self.heads],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The net that `state` came from."""
        parts = state["encoder"].items()
        encoder: dict[str, Any] = {k: Layer(**v) if isinstance(v, dict) else v for k, v in parts}
        heads = tuple(Head(**h) for h in state["heads"])
        return cls(Encoder(**encoder), Layer(**state["rise"]), Layer(**state["head"]), heads)


def _plain(part: Any) -> dict[str, Any]:
    named = {f.name: getattr(part, f.name) for f in fields(part)}
    return {k: _plain(v) if isinstance(v, Layer) else v for k, v in named.items()}


def folded(layout: Layout, weights: Mapping[str, NDArray[Any]]) -> VaeNet:
    """The net in NumPy.

    Args:
        layout: Of the columns.
        weights: State dict of `models/vae.py`.
    """
    enter = layout.entered(weights)
    ends = np.cumsum([0, *(e.shape[1] for e in enter)])
    tables = [e @ weights["enter"][a:b] for e, a, b in zip(enter, ends[:-1], ends[1:], strict=True)]
    starts = np.cumsum([0, *(len(t) for t in tables)])[:-1]
    encoder = Encoder(
        _f32(np.concatenate(tables)), starts.astype(np.int32), _f32(weights["enter_bias"]),
        _layer(weights, "inner"), _layer(weights, "mean"), _layer(weights, "spread"),
    )  # fmt: skip
    heads = _heads(layout, weights, enter)
    return VaeNet(encoder, _layer(weights, "rise"), _layer(weights, "head"), heads)


def _layer(weights: Mapping[str, NDArray[Any]], name: str) -> Layer:
    return Layer(_f32(weights[f"{name}.weight"].T), _f32(weights[f"{name}.bias"]))


def _heads(
    layout: Layout, weights: Mapping[str, NDArray[Any]], enter: list[Any]
) -> tuple[Head, ...]:
    out, at = [], 0
    for c, size in enumerate(layout.sizes):
        basis, rank = layout.outs[c], layout.ranks[c]
        width = rank or (size if basis is None else basis.shape[1])
        leave = np.eye(width, dtype=np.float32) if basis is None or rank else basis.T
        up = weights["up"][:, at : at + width] @ leave
        at += width
        tables = _beside(layout, weights[f"direct.{c}"] @ leave, c, enter)
        slots = sorted(tables)
        starts = np.cumsum([0, *(len(tables[s]) for s in slots)])[:-1]
        direct = [tables[s] for s in slots] or [np.zeros((0, up.shape[1]))]
        bias = weights[f"bias.{c}"]
        out.append(
            Head(
                _f32(up), np.zeros(rank, np.float32) if rank else _f32(bias),
                _f32(np.concatenate(direct)), np.array(slots, np.int32), starts.astype(np.int32),
                _f32(weights[f"out.{c}"]) if rank else np.zeros((0, 0), np.float32),
                _f32(bias) if rank else np.zeros(0, np.float32),
            )
        )  # fmt: skip
    return tuple(out)


def _beside(layout: Layout, direct: Any, column: int, enter: list[Any]) -> dict[int, Any]:
    """Tables of the direct and forbidden pairs of one column, by slot or gate."""
    at, tables = 0, {}
    for p in layout.parents[column]:
        rows = enter[p].shape[1]
        tables[p] = enter[p] @ direct[at : at + rows]
        at += rows
    if not layout.ranks[column]:
        end = np.cumsum([0, *layout.sizes])
        for i, rows_of in enumerate(layout.class_of):
            taken = layout.never[:, end[column] : end[column + 1]][rows_of]
            if taken.any():
                tables[i] = tables[i] + taken if i in tables else taken
    return tables


def _f32(values: NDArray[Any]) -> Array:
    return np.ascontiguousarray(values, np.float32)
