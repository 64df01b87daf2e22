"""How likely whole rows are under a flat model, and which cells it could never draw."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import known_values, near_span
from synth_spark.core.batch import Records, Values
from synth_spark.generators._flat_fields import split
from synth_spark.generators._flat_model import Pass
from synth_spark.generators._flat_relation import CURVES, INVERSES
from synth_spark.generators._flat_tokens import Coder, Drawn

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

IMPOSSIBLE = 20.0  # nats

Reals = NDArray[np.float64]


def log_width(column: Drawn, token: NDArray[np.int32], values: Mapping[str, Values]) -> Reals:
    """Log of the width of each row's residual token in units of its column; (rows,).

    A known value is one of many in its token: the wider the token, the less likely the value. Far
    outside the token, where there is no other, it is all but impossible. Of a column without a
    residual the width says nothing about the row, and 0 is given.
    """
    if column.relation is None:
        return np.zeros(len(token))
    low, high = ends(column.codec, token)
    size = column.relation.size(values)
    scale, step, _ = column.relation.grid
    least = max(step, 1) / scale if scale else 1e-9
    r = column.relation.residual(values)
    with np.errstate(invalid="ignore"):
        outside = np.maximum(np.maximum(low - r, r - high), 0) * size > least
        width = np.log(np.maximum((high - low) * size, least))
    known = np.isfinite(r) & np.isfinite(low)
    return np.where(known, width + np.where(outside, IMPOSSIBLE, 0.0), 0.0)


def ends(codec: Any, token: NDArray[np.int32]) -> tuple[Reals, Reals]:
    """The least and the largest value of tokens; each of shape (rows,)."""
    own = int(codec.vocabulary)
    ends = np.tile(np.array([0.0, 1.0]), own)
    curve = codec.decode(np.repeat(np.arange(own, dtype=np.int32), 2), ends)
    low, high = curve.reshape(own, 2)[np.minimum(token, own - 1)].T
    return low, high


def log_probability(model: FlatModel, records: Records) -> Reals:
    """Nats of whole rows: the log of the chance that the model gives their tokens; (rows,).

    Numbers count as the bin (or single value) that they lie in. A number that follows others counts
    as its residual, by density in units of the column; one that lies far off its relation is all
    but impossible.
    """
    coder = model.coder
    values = split(coder.schema, coder.fields, records)
    tokens = np.ascontiguousarray(coder.encode_values(values).T)
    net, trees = Pass(model.tables, tokens), {t.column: t for t in model.trees}
    out = np.zeros(records.rows)
    for c in range(len(coder.drawn)):
        logits = net.logits(c)
        if c in trees:
            trees[c].add(tokens, logits)
        logits -= logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits).sum(axis=1, dtype=np.float64))
        out += logits[np.arange(records.rows), tokens[c]] - total
        out -= log_width(coder.drawn[c], tokens[c], values)
    return out


def unknown_cells(coder: Coder, records: Records) -> dict[str, NDArray[np.bool_]]:
    """By column, the rows whose cell the model could never draw; each of shape (rows,)."""
    out: dict[str, NDArray[np.bool_]] = {}
    values = split(coder.schema, coder.fields, records)
    bounds = {r.child: span(coder, r.child) for r in coder.computed}
    bounds |= {d.field.name: d.relation.bounds for d in coder.drawn if d.relation is not None}
    codecs = {d.field.name: d.codec for d in coder.drawn if d.field.kind != "place"}
    for field in coder.fields:
        name = field.name
        if name in bounds:
            x = np.asarray(values[name], np.float64)
            wrong = ~(np.isnan(x) | near_span(x, *bounds[name]))
        elif name in codecs and field.part not in ("gap", "id", "week day"):
            wrong = ~known_values(codecs[name], values[name])
        else:
            continue
        out[field.column] = wrong | out.get(field.column, False)
    return out


def span(coder: Coder, name: str) -> tuple[float, float]:
    """The least and the largest value that a field of numbers can have; infinite if not known."""
    for drawn in coder.drawn:
        if drawn.field.name == name:
            if drawn.relation is not None:
                return drawn.relation.bounds
            both = np.concatenate(
                ends(drawn.codec, np.arange(drawn.codec.vocabulary, dtype=np.int32))
            )
            both = both[np.isfinite(both)]
            return (float(both.min()), float(both.max())) if len(both) else (-np.inf, np.inf)
    relation = next(r for r in coder.computed if r.child == name)
    if relation.form in ("ratio", "linear", *CURVES, *INVERSES):
        return relation.bounds
    corners = np.array(list(product(*[span(coder, p) for p in relation.parents])))
    if not np.isfinite(corners).all():
        return relation.bounds
    value = relation.value(dict(zip(relation.parents, corners.T, strict=True)))
    return float(value.min()), float(value.max())
