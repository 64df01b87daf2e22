"""Every token as often as in the records: the network's biases set by what it gives on real rows.

Weight decay, dropout, averaged weights and trees leave a rare label's mean chance a little off,
which for one row in a thousand is a large part of it. Given the real columns before it, a column's
mean chance of each token over all rows is compared with the token's share, and its bias moved by
the log of their ratio, over and over. Marginal shares are all that this tells the model.

What is drawn before a column is not what stands in the records: where that moves a token's share by
more than a little, its bias is moved again, by what it gives on drawn rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.seeds import generator
from synth_spark.generators._flat_boost import Boosted
from synth_spark.generators._flat_model import Drawing, FlatModel, Pass
from synth_spark.generators._flat_tables import ColumnTables

ROUNDS = 3
_PIECE_ROWS = 4_096
_DRAWN_ROWS = 8_192
_DRAWN_ROUNDS = 4
_LITTLE = 0.004  # of all rows
_SURE = 4.0  # standard errors
_DOUBT = 0.5  # rows added to both sides, so that a token of no rows stays where it is


def calibrated(
    tables: tuple[ColumnTables, ...],
    trees: Sequence[Boosted],
    tokens: NDArray[np.int32],
    shares: Sequence[NDArray[np.float64]],
) -> tuple[ColumnTables, ...]:
    """The tables with biases that give each token its share.

    Args:
        tables: Of the network.
        trees: Of the columns that have some.
        tokens: Of a sample of the rows, (rows, token columns).
        shares: Of every column's tokens over all rows, shape (vocabulary,) each.
    """
    for _ in range(ROUNDS):
        means = _mean_chances(tables, trees, tokens)
        rows = len(tokens)
        tables = tuple(
            _moved(table, np.log((share * rows + _DOUBT) / (mean * rows + _DOUBT)))
            for table, share, mean in zip(tables, shares, means, strict=True)
        )
    return tables


def settled(
    model: FlatModel, shares: Sequence[NDArray[np.float64]], seed: int
) -> tuple[ColumnTables, ...]:
    """Its tables with biases that give tokens their share among what it draws itself."""
    best, least = model.tables, np.inf
    for turn in range(_DRAWN_ROUNDS + 1):
        drawing = Drawing(model, _DRAWN_ROWS, generator(seed, "flat settled", turn))
        tables, total = list(model.tables), 0.0
        for c, share in enumerate(shares):
            chance = drawing.weights(c)
            chance /= chance.sum(axis=1, keepdims=True)
            mean = chance.mean(axis=0, dtype=np.float64)
            square = np.einsum("ij,ij->j", chance, chance) / _DRAWN_ROWS
            error = np.sqrt(np.maximum(square - mean**2, 0) / _DRAWN_ROWS)
            off = np.abs(mean - share)
            far = (off > _LITTLE) & (off > _SURE * error)
            total += off[far].sum()
            if far.any():
                floor = _DOUBT / _DRAWN_ROWS
                tables[c] = _moved(tables[c], far * np.log((share + floor) / (mean + floor)))
            drawing.draw(c, chance)
        if total < least:
            best, least = model.tables, total
        if not total:
            break
        model = replace(model, tables=tuple(tables))
    return best


def _mean_chances(
    tables: tuple[ColumnTables, ...], trees: Sequence[Boosted], tokens: NDArray[np.int32]
) -> list[NDArray[np.float64]]:
    """Mean chance of every token of every column given the real columns before it."""
    by_column = {t.column: t for t in trees}
    sums = [np.zeros(max(len(t.bias), len(t.out_bias))) for t in tables]
    for start in range(0, len(tokens), _PIECE_ROWS):
        piece = np.ascontiguousarray(tokens[start : start + _PIECE_ROWS].T)
        net = Pass(tables, piece)
        for c, total in enumerate(sums):
            logits = net.logits(c)
            if c in by_column:
                by_column[c].add(piece, logits)
            chance = np.exp(logits - logits.max(axis=1, keepdims=True))
            chance /= chance.sum(axis=1, keepdims=True)
            np.add(total, chance.sum(axis=0, dtype=np.float64), out=total)
    return [total / max(len(tokens), 1) for total in sums]


def _moved(table: ColumnTables, by: NDArray[np.float64]) -> ColumnTables:
    """The column with its logits moved by so much."""
    name = "out_bias" if len(table.out_bias) else "bias"
    return replace(table, **{name: (getattr(table, name) + by).astype(np.float32)})
