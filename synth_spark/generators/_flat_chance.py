"""How likely whole rows are under a flat model, and which cells it could never draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.within import known_values, near_span
from synth_spark.core.batch import Records, Values, missing
from synth_spark.errors import SynthError
from synth_spark.generators._flat_fields import Field, split
from synth_spark.generators._flat_model import Pass
from synth_spark.generators._flat_relation import CURVES, INVERSES
from synth_spark.generators._flat_tokens import Coder, Drawn
from synth_spark.generators._flat_worth import off

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

IMPOSSIBLE = 20.0  # nats

Reals = NDArray[np.float64]


class MissingColumnError(SynthError):
    """Records lack a column of the model's."""

    code = "SYN-790"


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
    but impossible. A label that is not told counts as any rare one, where there were rare ones. Of
    an id, if the records have the column, it counts whether there is one; which, never. A number
    that is computed from others adds nothing. A row that the model could never draw has -inf, see
    `_impossible`, and so has one with labels that never occur together.

    Args:
        model: Of a flat table.
        records: Rows with every column that the model draws.

    Raises:
        MissingColumnError: A column is not there (SYN-790).
    """
    coder = model.coder
    needed(coder, records)
    values = split(coder.schema, coder.fields, records)
    tokens = np.ascontiguousarray(coder.encode_values(values).T)
    net, trees = Pass(model.tables, tokens), {t.column: t for t in model.trees}
    out = np.zeros(records.rows)
    for c, drawn in enumerate(coder.drawn):
        logits = net.logits(c)
        if c in trees:
            trees[c].add(tokens, logits)
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)  # as in drawing: 0 for what never occurs together
        logits[weights == 0] = -np.inf
        total = np.log(weights.sum(axis=1, dtype=np.float64))
        if drawn.field.part == "id":
            of_id = _of_an_id(drawn, logits, tokens[c])
            out += of_id - total if drawn.field.column in records.columns else 0.0
            continue
        out += logits[np.arange(records.rows), tokens[c]] - total
        out -= log_width(drawn, tokens[c], values)
    for wrong in _impossible(coder, values, records):
        out[wrong] = -np.inf
    return out


def _of_an_id(drawn: Drawn, logits: NDArray[np.float32], token: NDArray[np.int32]) -> Reals:
    """Logit of an id's being there or not; `token` becomes the likeliest id where one is."""
    gone = drawn.codec.missing_token
    if gone < 0:
        token[:] = logits.argmax(axis=1)
        return np.asarray(np.log(np.exp(logits).sum(axis=1, dtype=np.float64)))
    is_gone, own = token == gone, logits[:, gone].astype(np.float64)
    there = np.delete(logits, gone, axis=1)
    if not there.shape[1]:
        return own
    likeliest = there.argmax(axis=1)
    token[:] = np.where(is_gone, gone, likeliest + (likeliest >= gone))
    with np.errstate(divide="ignore"):
        return np.where(is_gone, own, np.log(np.exp(there).sum(axis=1, dtype=np.float64)))


def needed(coder: Coder, records: Records) -> None:
    """Refuse records without a column that the model draws; ids may be left out.

    Raises:
        MissingColumnError: It names the columns (SYN-790).
    """
    own = [f.column for f in coder.fields if f.part != "id"]
    own += [coder.schema.column(n).partner for n in own if coder.schema.column(n).partner]
    lacks = list(dict.fromkeys(n for n in own if n not in records.columns))
    if lacks:
        raise MissingColumnError(
            f"The records lack {', '.join(lacks)}, which the model draws.",
            hint="a column of missing values where it is to be drawn",
            columns=lacks,
        )


def _impossible(
    coder: Coder, values: Mapping[str, Values], records: Records
) -> Iterator[NDArray[np.bool_]]:
    """Rows that hold a cell which the model could never draw; each of shape (rows,).

    A label that it does not know, where no label was rare; a number that is not on its column's
    step or far beyond its ends; a missing value where none was ever seen, or a value where there
    can be none; a number that is computed from others and is not what they give.
    """
    yield from (wrong for _, wrong in _never_drawn(coder, values, rare=True))
    yield from (wrong for _, wrong in never_missing(coder, values, records))
    for drawn in coder.drawn:
        if drawn.relation is not None and not drawn.open_plain:
            there = ~missing(values[drawn.field.name])
            yield there & np.isnan(drawn.relation.residual(values))
    for relation in coder.computed:
        y, wanted = np.asarray(values[relation.child], np.float64), relation.center(values)
        drawn_as = relation.value(values)  # within its bounds
        differs = off(relation, y, wanted) & off(relation, y, drawn_as)
        yield (np.isfinite(y) != np.isfinite(wanted)) | differs


def never_missing(
    coder: Coder, values: Mapping[str, Values], records: Records
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """By column the rows, (rows,), without a value that no row ever lacked; ids if they are there.

    Args:
        coder: Of the model.
        values: The fields of the records.
        records: With every column that the model draws, ids aside.
    """
    for drawn in coder.drawn:
        column = drawn.field.column
        if drawn.codec.missing_token < 0 and column in records.columns:
            yield column, missing(values[drawn.field.name])


def unknown_cells(
    coder: Coder, records: Records, *, rare: bool = False
) -> dict[str, NDArray[np.bool_]]:
    """By column, the rows whose cell the model could never draw; each of shape (rows,).

    Args:
        coder: Of the model.
        records: Rows with every column that the model draws.
        rare: Whether a label that is not told counts as a rare one, where labels were rare.
    """
    out: dict[str, NDArray[np.bool_]] = {}
    values = split(coder.schema, coder.fields, records)
    for field, wrong in _never_drawn(coder, values, rare=rare):
        out[field.column] = wrong | out.get(field.column, False)
    return out


def _never_drawn(
    coder: Coder, values: Mapping[str, Values], *, rare: bool
) -> Iterator[tuple[Field, NDArray[np.bool_]]]:
    """Of each field the values, (rows,), that it could never have; missing ones are none."""
    bounds = {r.child: span(coder, r.child) for r in coder.computed}
    bounds |= {d.field.name: d.relation.bounds for d in coder.drawn if d.relation is not None}
    codecs = {d.field.name: d.codec for d in coder.drawn if d.field.kind != "place"}
    for field in coder.fields:
        name = field.name
        if name in bounds:
            x = np.asarray(values[name], np.float64)
            yield field, ~(np.isnan(x) | near_span(x, *bounds[name]))
        elif name in codecs and field.part not in ("gap", "id", "week day"):
            codec = codecs[name]
            if rare and isinstance(codec, Category) and codec.rare_token >= 0:
                continue
            yield field, ~known_values(codec, values[name])


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
