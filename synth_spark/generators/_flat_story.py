"""The first chapters of every generator of flat tables: survey, sample, relations, tokens, pairs.

A generator of flat tables takes them up by `yield from`, and goes on with a network of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.columns.survey import Survey, merge_surveys, survey_state
from synth_spark.core.batch import Encoded, Records
from synth_spark.core.ports import Fold, Request, Take, Trained
from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.generators import _flat_tokens as second
from synth_spark.generators import _flat_zeros as zeros
from synth_spark.generators._flat_days import Days
from synth_spark.generators._flat_fields import CLOCKS, Field, fields_of, split
from synth_spark.generators._flat_heads import heads
from synth_spark.generators._flat_model import relations_in_words
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_relations import search
from synth_spark.generators._flat_tokens import Coder, Drawn, in_order

SAMPLE_ROWS = 50_000
MOST_LABELS = 4_096  # of one category; lighter labels are RARE


class NothingToLearnError(SynthError):
    """A flat table has no column that can be learned."""

    code = "SYN-705"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of a table before a network is trained on it."""

    survey: Survey
    coder: Coder
    sample: Records
    tokens: NDArray[np.int32]  # of the sample, (rows, token columns) as `Coder.encode` gives them
    whole: bool  # the sample is the table


def prepared(
    schema: Schema, min_subjects: int, relations: bool, rows: int = 0, weeks: bool = True
) -> Generator[Request, Any, Prepared]:
    """Tell the story from the records to their tokens.

    Args:
        schema: Of the table.
        min_subjects: A label or spike held by fewer subjects is not told by itself.
        relations: Whether numbers that follow from other columns are looked for.
        rows: Of the sample; 0: `SAMPLE_ROWS`.
        weeks: Whether week days are fields where a table keeps time with the week.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        NothingToLearnError: There is no column to learn (SYN-705).
    """
    answer = yield Fold(partial(survey_state, schema), merge_surveys, "survey")
    survey = Survey.of(answer, schema)
    most = rows or SAMPLE_ROWS
    sample: Records = yield Take(subjects=most, rows=most)
    fields = fields_of(schema, survey, sample, weeks)
    if not fields:
        raise NothingToLearnError(
            "The table has no column that can be learned.",
            hint="check the kinds of its columns: identifiers are not learned",
            columns=[c.name for c in schema.columns],
        )
    whole = sample.rows == survey.rows  # nothing more to count elsewhere
    numbers = tuple(f.name for f in fields if f.kind == "number" and f.part in ("", *CLOCKS))
    values = split(schema, fields, sample)
    found = search(values, numbers) if relations else ()
    residual = tuple(r for r in found if not r.exact)
    count = partial(second.second_pass, schema, fields, residual)
    extra = count(sample) if whole else (yield Fold(count, second.merge_second, "residuals"))
    coder = _coder(survey, fields, found, extra, min_subjects, heads(fields, values))
    return Prepared(survey, coder, sample, coder.encode(sample), whole)


def pair_counts(ready: Prepared) -> Generator[Request, Any, NDArray[np.int64]]:
    """Tell how often every pair of classes occurs in all rows, see `_flat_zeros`."""
    if ready.whole:
        return zeros.pairs_of_tokens(ready.coder, ready.tokens)
    count = partial(zeros.count_pairs, ready.coder)
    counted = yield Fold(count, zeros.merge_pairs, "pairs")
    pairs: NDArray[np.int64] = counted["pairs"]
    return pairs


def token_shares(ready: Prepared) -> Generator[Request, Any, list[NDArray[np.float64]]]:
    """Tell the share of every token of the drawn columns in all rows, (vocabulary,) each."""
    counts = zeros.token_counts(ready.coder, ready.tokens)
    if not ready.whole:
        count = partial(zeros.count_tokens, ready.coder)
        counts = (yield Fold(count, zeros.merge_tokens, "tokens"))["tokens"]
    return [c / max(c.sum(), 1) for c in counts]


def encode(coder: Coder, records: Records) -> Encoded:
    """Whole subjects as what `FlatTrainee` reads."""
    return Encoded({"tokens": coder.encode(records)}, {}, records.offsets)


def facts_of(survey: Survey, coder: Coder, trained: Trained) -> dict[str, Any]:
    """What a model card tells of every network on a flat table."""
    curve = trained.curve[-1] if trained.curve else {}
    last = {k: v for k, v in curve.items() if k.endswith("nats") or k == "epoch"}  # no clock
    rare = {
        d.field.name: d.codec.rare_labels
        for d in coder.drawn
        if d.field.kind == "category" and d.codec.rare_token >= 0
    }
    return {
        "subjects": survey.subjects,
        "columns": {d.field.name: d.vocabulary for d in coder.drawn},
        "relations": relations_in_words(coder),
        "labels_grouped_as_rare": rare,
        "training": {k: float(v) for k, v in last.items()},
        "stopped": trained.stopped,
        "best_epoch": trained.best_epoch,
    }


def number_settings(rows: int, min_subjects: int) -> dict[str, Any]:
    """How finely numbers are cut: small tables get fewer and wider bins."""
    return {
        "min_subjects": min_subjects,
        "bins": int(min(48, max(6, sqrt(rows)))),
        "bin_rows": 15,
        "spike_rows": max(10, min_subjects),
    }


def _coder(
    survey: Survey, fields: tuple[Field, ...], relations: tuple[Relation, ...],
    extra: dict[str, Any], least: int, first: list[str],
) -> Coder:  # fmt: skip
    residual = {r.child: r for r in relations if not r.exact}
    computed = {r.child: r for r in relations if r.exact}
    order, sums = in_order(fields, residual, computed, first)
    settings = number_settings(survey.rows, least)
    drawn = []
    for field in order:
        name = field.name
        if name in residual:
            codec = Number.finish(extra["residuals"][name], **settings)
            plain = Number.finish(
                _state(survey, extra, field), **{**settings, "bins": 32, "exact_values": 32}
            )
            lone = extra["lone"][name] >= least
            drawn.append(Drawn(field, codec, residual[name], plain, lone))
        elif field.kind == "number":
            codec = Number.finish(_state(survey, extra, field), **settings)
            days = Days.of(extra["days"][name], least) if name in extra["days"] else None
            drawn.append(Drawn(field, codec, days=days))
        elif field.kind == "place":
            drawn.append(Drawn(field, survey.codec(field.column, min_subjects=least)))
        elif field.part in ("id", "week day"):
            state = extra["halves"][name]
            ids = Category.finish(state, min_subjects=least, max_labels=MOST_LABELS)
            drawn.append(Drawn(field, ids))
        else:
            rare = "label" if field.text else "kept"
            codec = survey.codec(
                field.column, min_subjects=least, max_labels=MOST_LABELS, rare=rare
            )
            drawn.append(Drawn(field, codec))
    return Coder(survey.schema, fields, tuple(drawn), tuple(sums))


def _state(survey: Survey, extra: dict[str, Any], field: Field) -> Any:
    return extra["halves"][field.name] if field.part else survey.columns[field.column]
