"""The Spark engine: answers a learning generator over histories, one partition at a time.

States travel as bytes of `core/wire.py`; a partition merges its own as it goes, the driver (or, if
there are many, a second stage) merges the partitions' in their order, so that the same table and
the same number of partitions give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from synth_spark.core.batch import Records
from synth_spark.core.ports import Fold, Request, Take, Train, Trained
from synth_spark.core.schema import Schema
from synth_spark.core.wire import dumps, loads
from synth_spark.spark import shards, tables
from synth_spark.spark.arrow import map_in_arrow, quoted, to_records

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH_ROWS = 100_000  # events of one Arrow batch, about
STATES_AT_ONCE = 64  # more partitions than this are merged in two stages
_PROBE_SUBJECTS = 8

TrainShards = Callable[[Train, Path, dict[str, Any]], Trained]


@dataclass
class SparkEngine:
    """Answers from histories (one row a subject, see `histories.py`).

    Attributes:
        histories: The subjects to learn from, one split.
        schema: Of the records.
        seed: Of the run; decides which subjects a `Take` gets.
        folder: On storage that workers share; shards go to `folder/shards/NAME`.
        train: Trains on shards: request, folder of shards, manifest (`shards.py`).
    """

    histories: DataFrame
    schema: Schema
    seed: int = 1
    folder: Path | None = None
    train: TrainShards | None = None
    _counts: tuple[int, int] | None = None
    _taken: dict[Take, Records] = field(default_factory=dict)  # the last sample

    def answer(self, request: Request) -> Any:
        """Answer one request; see `core/ports.py`."""
        with tables.clear_errors(self.folder or "the records"):
            self._bound_batches()
            match request:
                case Fold():
                    return self.fold(request)
                case Take():
                    if request not in self._taken:
                        self._taken = {request: self.take(request)}
                    return self._taken[request]
                case Train():
                    return self.train_on_shards(request)

    def counts(self) -> tuple[int, int]:
        """Subjects and rows in all; counted once."""
        if self._counts is None:
            row = self.histories.selectExpr(
                "count(*) AS n", "coalesce(sum(_length), 0) AS rows"
            ).first()
            self._counts = (int(row["n"]), int(row["rows"]))
        return self._counts

    def _bound_batches(self) -> None:
        """Bound the rows that one Arrow batch holds, not only the subjects."""
        subjects, rows = self.counts()
        mean = max(1, rows // max(subjects, 1))
        size = max(16, min(BATCH_ROWS, BATCH_ROWS // mean))
        self.histories.sparkSession.conf.set(
            "spark.sql.execution.arrow.maxRecordsPerBatch", str(size)
        )

    def fold(self, request: Fold) -> Any:
        """One state of all subjects; None if there are none."""
        from pyspark.sql import functions as sf

        work = partial(_fold, self.schema, request.state, request.merge)
        states = map_in_arrow(self.histories, work, "part int, state binary")
        if self._partitions() > STATES_AT_ONCE:
            few = sf.expr(f"part div {max(1, self._partitions() // 16)}")
            states = states.repartitionById(16, few.cast("int")).sortWithinPartitions("part")
            states = map_in_arrow(states, partial(_merge, request.merge), "part int, state binary")
        rows = states.toArrow().to_pylist()
        parts = [loads(r["state"]) for r in sorted(rows, key=lambda r: r["part"])]
        return reduce(request.merge, parts) if parts else None

    def _partitions(self) -> int:
        """Input files stand for partitions: a frame does not tell without a job."""
        try:
            return len(self.histories.inputFiles())
        except Exception:  # a frame that was not read from files
            return 1

    def take(self, request: Take) -> Records:
        """Whole subjects in the order of their content's hash, as many as both bounds allow."""
        from pyspark.sql import functions as sf

        subjects, rows = self.counts()
        frame = self.histories
        # another hash than that of the shards, so that a sample is not their first part
        drawn = sf.xxhash64(sf.lit(self.seed), sf.lit("take"), sf.col("_order"))
        frame = frame.withColumn("_drawn", drawn)
        if subjects > request.subjects or rows > request.rows:
            first = (
                frame.select("_drawn", "_length")
                .orderBy("_drawn", "_length")
                .limit(request.subjects)
                .toArrow()
            )
            kept = int(
                np.searchsorted(np.cumsum(first["_length"].to_numpy()), request.rows, side="right")
            )
            kept = max(kept, 1)
            last = first["_drawn"][min(kept, first.num_rows) - 1].as_py()
            frame = frame.where(sf.col("_drawn") <= sf.lit(last))
            table = (
                frame.toArrow()
                .sort_by([("_drawn", "ascending"), ("_length", "ascending")])
                .slice(0, kept)
            )
        else:
            table = frame.toArrow().sort_by([("_drawn", "ascending"), ("_length", "ascending")])
        return to_records(table.combine_chunks(), self.schema)

    def train_on_shards(self, request: Train) -> Trained:
        """Write encoded shards once and hand them to the training callable."""
        if self.train is None or self.folder is None:
            raise TypeError("This engine was made without a training callable or a folder.")
        _, rows = self.counts()
        probe = to_records(
            self.histories.limit(_PROBE_SUBJECTS).toArrow().combine_chunks(), self.schema
        )
        layout = shards.layout_of(request.encode(probe))
        folder = self.folder / "shards" / request.name
        manifest = shards.write_shards(
            self.histories,
            self.schema,
            request.encode,
            layout,
            folder,
            rows=rows,
            valid=self._valid(request.trainee.schedule.valid_share),
        )
        return self.train(request, folder, manifest)

    def _valid(self, share: float) -> str:
        """The condition of the validation split: a subject in it and one outside, at least."""
        drawn = f"shiftrightunsigned(xxhash64({int(self.seed)}L, 'valid', _order), 11)"
        subjects, _ = self.counts()
        if share <= 0 or subjects < 2:
            return "false"
        limit = int(share * 2**53)
        row = self.histories.selectExpr(
            f"count_if({drawn} < {limit}L) AS n", f"min({drawn}) AS low", f"max({drawn}) AS high"
        ).first()
        if row["n"] == 0:
            limit = row["low"] + 1
        elif row["n"] == subjects:
            limit = row["high"]
        return f"{drawn} < {limit}L"


def _part() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return int(context.partitionId()) if context else 0


def _state_batch(state: Any) -> pa.RecordBatch:
    arrays = [pa.array([_part()], pa.int32()), pa.array([dumps(state)], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, names=["part", "state"])


def _fold(
    schema: Schema,
    state: Callable[[Records], Any],
    merge: Callable[[Any, Any], Any],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """One state of this partition, merged as it goes so that no list of states is held."""
    have, so_far = False, None
    for batch in batches:
        if not batch.num_rows:
            continue
        # through the wire, so that a state means the same whether it travelled or not
        new = loads(dumps(state(to_records(batch, schema))))
        so_far, have = (merge(so_far, new) if have else new), True
    if have:
        yield _state_batch(so_far)


def _merge(
    merge: Callable[[Any, Any], Any], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    states = (loads(s) for batch in batches for s in batch.column("state").to_pylist())
    have, so_far = False, None
    for new in states:
        so_far, have = (merge(so_far, new) if have else new), True
    if have:
        yield _state_batch(so_far)


def engine_of(frame: DataFrame, schema: Schema, split: str, **more: Any) -> SparkEngine:
    """The engine of one split of a histories table: train or holdout."""
    from pyspark.sql import functions as sf

    columns = ["_length", "_order", *(quoted(c.name) for c in schema.columns)]
    return SparkEngine(frame.where(sf.col("_split") == split).select(*columns), schema, **more)
