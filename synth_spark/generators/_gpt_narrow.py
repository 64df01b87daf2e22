"""Which tokens of a column can hold a clause, and a codec that then decodes to such values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import RARE, Category
from synth_spark.core.conditions import Clause

COARSE, FINE = 64, 4_096  # places in a token that are looked at


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A codec whose tokens are decoded at allowed places only."""

    codec: Any
    start: NDArray[np.int64]  # (tokens + 1,), where a token's allowed places begin
    places: NDArray[np.float64]  # in [0, 1)

    @property
    def vocabulary(self) -> int:
        return int(self.codec.vocabulary)

    @property
    def missing_token(self) -> int:
        return int(self.codec.missing_token)

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> Any:
        """Values; a token without an allowed place is decoded as it is."""
        some = np.diff(self.start)[tokens]
        if not len(self.places):
            return self.codec.decode(tokens, inside)
        at = self.start[tokens] + np.minimum((inside * some).astype(np.int64), some - 1)
        held = self.places[np.clip(at, 0, len(self.places) - 1)]
        return self.codec.decode(tokens, np.where(some > 0, held, inside))


def token_mask(codec: Any, clause: Clause) -> NDArray[np.bool_]:
    """Tokens that can hold the clause, shape (vocabulary,)."""
    size = max(int(codec.vocabulary), 1)
    mask = np.zeros(size, bool)
    if clause.missing:
        if codec.missing_token >= 0:
            mask[codec.missing_token] = True
        return mask
    if isinstance(codec, Category):
        for k, label in enumerate(codec.labels):
            mask[k] = label in clause.labels
        if codec.rare_token >= 0 and codec.rare == "label":
            mask[codec.rare_token] = RARE in clause.labels
        return mask
    return np.asarray(np.diff(narrowed(codec, clause).start) > 0)


def narrowed(codec: Any, clause: Clause) -> Any:
    """The codec under a clause; categories need none, their tokens say it all."""
    if isinstance(codec, Category) or clause.missing:
        return codec
    size = max(int(codec.vocabulary), 1)
    parts = [_places(codec, token, clause) for token in range(size)]
    start = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    return Narrowed(codec, start, np.concatenate(parts))


def _places(codec: Any, token: int, clause: Clause) -> NDArray[np.float64]:
    """Places in a token whose values hold the clause."""
    for points in (COARSE, FINE):
        inside = (np.arange(points) + 0.5) / points
        values = _seconds(codec.decode(np.full(points, token, np.int32), inside))
        held = np.asarray(clause.holds(values), bool)
        known = values[~np.isnan(values)]
        outside = not len(known) or known.max() < clause.low or known.min() > clause.high
        if held.all() or (outside and points > COARSE):
            break
    return np.asarray(inside[held])


def _seconds(values: Any) -> NDArray[np.float64]:
    """Numbers as they are, times as seconds since 1970."""
    values = np.asarray(values)
    if values.dtype.kind != "M":
        return np.asarray(values, np.float64)
    gone = np.isnat(values)
    stamps = values.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(np.where(gone, np.nan, stamps))
