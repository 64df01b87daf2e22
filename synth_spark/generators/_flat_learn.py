"""The story of learning a flat table: survey, sample, relations, tokens, one network, tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.columns.survey import Survey, merge_surveys, survey_state
from synth_spark.core.batch import Encoded, Records
from synth_spark.core.ports import Fold, Learning, Schedule, Take, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.generators import _flat_tokens as second
from synth_spark.generators import _flat_zeros as zeros
from synth_spark.generators._flat_boost import ROWS as BOOST_ROWS
from synth_spark.generators._flat_boost import Boosted, boosted, candidates
from synth_spark.generators._flat_fields import CLOCKS, Field, fields_of, split
from synth_spark.generators._flat_layout import layout_of
from synth_spark.generators._flat_model import FlatModel, Pass, parameters, relations_in_words
from synth_spark.generators._flat_relation import Relation
from synth_spark.generators._flat_relations import search
from synth_spark.generators._flat_tables import ColumnTables, fold
from synth_spark.generators._flat_tokens import Coder, Drawn, in_order

if TYPE_CHECKING:
    import torch

    from synth_spark.generators.autoregressive import AutoregressiveParams
    from synth_spark.models.made import Layout

SAMPLE_ROWS = 50_000
_USUAL_ROWS = 5_634  # the table on which decay, dropout and epochs were chosen
_MOST_EPOCHS = 30  # small tables are not read more often than that
_PIECE_ROWS = 4_096  # that the network is asked about at once
_FEW_ROWS = 1_000  # smaller ones are read less often
MOST_LABELS = 4_096  # of one category; lighter labels are RARE


class NothingToLearnError(SynthError):
    """A flat table has no column that can be learned."""

    code = "SYN-705"


@dataclass(slots=True)
class FlatTrainee:
    """The network of a flat table, for the training loop."""

    layout: Layout
    schedule: Schedule

    def build(self) -> torch.nn.Module:
        """A new network."""
        from synth_spark.models.made import Made

        return Made(self.layout)

    def examples(self, encoded: Encoded) -> dict[str, NDArray[Any]]:
        """A row is an example."""
        return {"tokens": encoded.context["tokens"]}

    def loss(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Nats of each row."""
        nats: torch.Tensor = module(batch["tokens"])
        return nats


def encode(coder: Coder, records: Records) -> Encoded:
    """Whole subjects as what `FlatTrainee` reads."""
    return Encoded({"tokens": coder.encode(records)}, {}, records.offsets)


def learn_flat(schema: Schema, params: AutoregressiveParams, seed: int) -> Learning:
    """Tell the story of a flat table.

    Args:
        schema: Of the table.
        params: `AutoregressiveParams`.
        seed: Of the trial of trees; the engine seeds the sample and the training.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        NothingToLearnError: There is no column to learn (SYN-705).
    """
    answer = yield Fold(partial(survey_state, schema), merge_surveys, "survey")
    survey = Survey.of(answer, schema)
    sample: Records = yield Take(subjects=SAMPLE_ROWS, rows=SAMPLE_ROWS)
    fields = fields_of(schema, survey, sample)
    if not fields:
        raise NothingToLearnError(
            "The table has no column that can be learned.",
            hint="check the kinds of its columns: identifiers are not learned",
            columns=[c.name for c in schema.columns],
        )
    whole = sample.rows == survey.rows  # the sample is the table: nothing more to count elsewhere
    numbers = tuple(f.name for f in fields if f.kind == "number" and f.part in ("", *CLOCKS))
    relations = search(split(schema, fields, sample), numbers) if params.relations else ()
    residual = {r.child: r for r in relations if not r.exact}
    count = partial(second.second_pass, schema, fields, tuple(residual.values()))
    extra = count(sample) if whole else (yield Fold(count, second.merge_second, "residuals"))
    coder = _coder(survey, fields, relations, extra, params)
    if not coder.drawn:
        return FlatModel(coder, (), {"subjects": survey.subjects}, params.block_size)
    tokens = coder.encode(sample)
    if whole:
        pairs = zeros.pairs_of_tokens(coder, tokens)
    else:
        counted = yield Fold(partial(zeros.count_pairs, coder), zeros.merge_pairs, "pairs")
        pairs = counted["pairs"]
    layout = layout_of(coder, tokens, pairs, caution(survey.rows, params)[1])
    schedule = schedule_of(survey.rows, params)
    trained = yield Train(partial(encode, coder), FlatTrainee(layout, schedule), "flat")
    tables = fold(layout, trained.weights)
    trees = _trees(coder, tables, tokens, seed) if params.boost else ()
    facts = _facts(survey, coder, layout, tables, trained)
    facts["boosted"] = {coder.drawn[t.column].field.name: len(t.roots) for t in trees}
    return FlatModel(coder, tables, facts, params.block_size, trees)


def _trees(
    coder: Coder, tables: tuple[ColumnTables, ...], tokens: NDArray[np.int32], seed: int
) -> tuple[Boosted, ...]:
    """Trees that correct the network's logits, from those that it gives on a sample."""
    some = tokens[:: max(-(-len(tokens) // BOOST_ROWS), 1)]
    wanted = candidates(coder, some)
    logits: dict[int, list[NDArray[np.float32]]] = {c: [] for c in wanted}
    for start in range(0, len(some) if wanted else 0, _PIECE_ROWS):
        net = Pass(tables, np.ascontiguousarray(some[start : start + _PIECE_ROWS].T))
        for c in range(max(wanted) + 1):
            out = net.logits(c)
            if c in logits:
                logits[c].append(out)
    return boosted(coder, some, {c: np.concatenate(parts) for c, parts in logits.items()}, seed)


def schedule_of(rows: int, params: AutoregressiveParams) -> Schedule:
    """Steps grow with the square root of the rows: 30 epochs at 5,600 rows, 11 at 50,000.

    2 at a million, 1 above 1.3 million; `max_minutes` then cuts the schedule to what fits. Below
    1,000 rows fewer epochs, 23 at 300: more of them come nearer to the records without telling
    more about rows that were not seen.
    """
    small = rows < 4_000
    wanted = min(30 * sqrt(_USUAL_ROWS / rows), _MOST_EPOCHS, 30 * (rows / _FEW_ROWS) ** 0.25)
    by_rows = ceil(wanted) if rows <= SAMPLE_ROWS else max(int(wanted), 1)
    return Schedule(
        batch_size=params.batch_size or (128 if small else 256),
        max_epochs=params.max_epochs or by_rows,
        max_minutes=params.max_minutes or 10.0,
        learning_rate=params.learning_rate or 1e-3,
        weight_decay=caution(rows, params)[0],
        valid_share=max(params.valid_share, 0.1 if small and params.valid_share else 0.0),
        patience=params.patience,
        keep="last",
    )


def caution(rows: int, params: AutoregressiveParams) -> tuple[float, float]:
    """Weight decay and dropout: the fewer rows, the less the network may lean on each."""
    decay = min(0.1 * max(_USUAL_ROWS / rows, 1.0), 3.0)
    given = params.weight_decay, params.dropout
    return (decay if given[0] is None else given[0], 0.1 if given[1] is None else given[1])


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
    extra: dict[str, Any], params: AutoregressiveParams,
) -> Coder:  # fmt: skip
    residual = {r.child: r for r in relations if not r.exact}
    computed = {r.child: r for r in relations if r.exact}
    order, sums = in_order(fields, residual, computed)
    least = params.min_subjects
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
            drawn.append(Drawn(field, Number.finish(_state(survey, extra, field), **settings)))
        elif field.kind == "place":
            drawn.append(Drawn(field, survey.codec(field.column, min_subjects=least)))
        else:
            rare = "label" if field.text else "kept"
            codec = survey.codec(
                field.column, min_subjects=least, max_labels=MOST_LABELS, rare=rare
            )
            drawn.append(Drawn(field, codec))
    return Coder(survey.schema, fields, tuple(drawn), tuple(sums))


def _state(survey: Survey, extra: dict[str, Any], field: Field) -> Any:
    return extra["halves"][field.name] if field.part else survey.columns[field.column]


def _facts(
    survey: Survey, coder: Coder, layout: Layout, tables: Any, trained: Trained
) -> dict[str, Any]:
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
        "forbidden_pairs": int((layout.never != 0).sum()),
        "numbers_in_tables": parameters(tables),
        "training": {k: float(v) for k, v in last.items()},
        "stopped": trained.stopped,
        "best_epoch": trained.best_epoch,
    }
