"""The story of learning a flat table: survey, sample, relations, tokens, one network, tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.survey import Survey
from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Learning, Schedule, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.generators._flat_beside import beside
from synth_spark.generators._flat_boost import ROWS as BOOST_ROWS
from synth_spark.generators._flat_boost import Boosted, boosted, candidates
from synth_spark.generators._flat_calibrate import calibrated, settled
from synth_spark.generators._flat_layout import layout_of
from synth_spark.generators._flat_model import FlatModel, Pass, parameters
from synth_spark.generators._flat_story import (
    SAMPLE_ROWS,
    encode,
    facts_of,
    pair_counts,
    prepared,
    token_shares,
)
from synth_spark.generators._flat_tables import ColumnTables, fold
from synth_spark.generators._flat_tokens import Coder

if TYPE_CHECKING:
    import torch

    from synth_spark.generators.autoregressive import AutoregressiveParams
    from synth_spark.models.columns import Layout

_SMALL_ROWS = 4_000  # below it more caution
_SMALL_EPOCHS = 13
_STRENGTH, _SMALL_STRENGTH = 2.0, 6.0  # of direct tables, the part that little data can tell
_SMALL_FINER = 0.7
_USUAL_ROWS = 5_634  # the table on which decay, dropout and epochs were chosen
_MOST_EPOCHS = 24  # small tables are not read more often than that
_PIECE_ROWS = 4_096  # that the network is asked about at once
_LONGER_EPOCHS, _LONGER_RATE = 40, 2e-3
_STILL_NATS = 0.02, 0.04  # an epoch, over the last third, of what held-back rows cost; of few
_FEW_ROWS = 1_000  # smaller ones are read less often


@dataclass(slots=True)
class FlatTrainee:
    """The network of a flat table, for the training loop."""

    layout: Layout
    schedule: Schedule

    @property
    def mark(self) -> str:
        """Of what the weights are no part of: a checkpoint of other tables is refused."""
        of = hashlib.sha256(str(self.layout.strength).encode())
        for slot, table in (pair for told in self.layout.beside for pair in told):
            of.update(f"{slot} {table.shape}".encode() + table.tobytes())
        return of.hexdigest()[:16]

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
    ready = yield from prepared(schema, params.min_subjects, params.relations)
    survey, coder, tokens = ready.survey, ready.coder, ready.tokens
    if not coder.drawn:
        return FlatModel(coder, (), {"subjects": survey.subjects}, params.block_size)
    pairs = yield from pair_counts(ready)
    dropout = caution(survey.rows, params)[1]
    told, small = beside(coder, tokens), survey.rows < _SMALL_ROWS
    strength, finer = (_SMALL_STRENGTH, _SMALL_FINER) if small else (_STRENGTH, 1.0)
    layout = layout_of(coder, tokens, pairs, dropout, told, strength, finer)
    schedule = schedule_of(survey.rows, params)
    trained = yield Train(partial(encode, coder), FlatTrainee(layout, schedule), "flat")
    longer = longer_of(schedule, trained, survey.rows, params)
    if longer is not None:
        again = yield Train(partial(encode, coder), FlatTrainee(layout, longer), "flat_longer")
        if _last_nats(again) < _last_nats(trained):
            trained = again
    tables = fold(layout, trained.weights)
    trees = _trees(coder, tables, tokens, seed) if params.boost else ()
    shares = yield from token_shares(ready)
    tables = calibrated(tables, trees, tokens, shares)
    facts = _facts(survey, coder, layout, tables, trained)
    facts["boosted"] = {coder.drawn[t.column].field.name: len(t.roots) for t in trees}
    model = FlatModel(coder, tables, facts, params.block_size, trees)
    return replace(model, tables=settled(model, shares, seed))


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
    """Steps grow with the square root of the rows: 24 epochs at 5,600 rows, 9 at 50,000.

    2 at a million, 1 above 1.3 million; `max_minutes` then cuts the schedule to what fits. Below
    4,000 rows 13 at most: more of them come nearer to the records without telling more about rows
    that were not seen.
    """
    small = rows < _SMALL_ROWS
    most = _SMALL_EPOCHS if small else _MOST_EPOCHS
    usual = _MOST_EPOCHS if rows <= SAMPLE_ROWS else 30  # of many, all are read once more
    wanted = min(usual * sqrt(_USUAL_ROWS / rows), most, 18 * (rows / _FEW_ROWS) ** 0.25)
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


def longer_of(
    schedule: Schedule, trained: Trained, rows: int, params: AutoregressiveParams
) -> Schedule | None:
    """The schedule of a second training from the start, where few rows ended still learning.

    Of some tables 13 epochs of a few steps each leave out how columns hang together, and held-back
    rows say so: they still gain at the end. Elsewhere more epochs only come nearer to the records.
    """
    nats = [float(e["valid_nats"]) for e in trained.curve if "valid_nats" in e]
    last = len(nats) // 3
    if rows >= _SMALL_ROWS or params.max_epochs or len(nats) != schedule.max_epochs or not last:
        return None
    if (nats[-1 - last] - nats[-1]) / last < _STILL_NATS[rows < _FEW_ROWS]:
        return None
    rate = schedule.learning_rate if params.learning_rate else _LONGER_RATE
    return replace(schedule, max_epochs=_LONGER_EPOCHS, learning_rate=rate)


def _last_nats(trained: Trained) -> float:
    return float(trained.curve[-1].get("valid_nats", np.inf)) if trained.curve else np.inf


def caution(rows: int, params: AutoregressiveParams) -> tuple[float, float]:
    """Weight decay and dropout: of few rows the network may lean less on each."""
    decay = 3.0 if rows < _SMALL_ROWS else 0.1 * max(_USUAL_ROWS / rows, 1.0)
    given = params.weight_decay, params.dropout
    return (decay if given[0] is None else given[0], 0.1 if given[1] is None else given[1])


def _facts(
    survey: Survey, coder: Coder, layout: Layout, tables: Any, trained: Trained
) -> dict[str, Any]:
    return {
        **facts_of(survey, coder, trained),
        "forbidden_pairs": int((layout.never != 0).sum()),
        "numbers_in_tables": parameters(tables),
    }
