"""The in-memory engine: answers a learning generator from arrays, cut into parts as Spark would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from synth_spark.core.batch import Records
from synth_spark.core.ports import Fold, Request, Take, Train, Trained
from synth_spark.core.seeds import generator
from synth_spark.core.wire import dumps, loads


@dataclass
class Local:
    """Answers from `records`, as the Spark engine does with the same seed.

    Attributes:
        records: The subjects to learn from.
        parts: How many states a fold merges.
        seed: Of the run: of which subjects a `Take` gets, and of everything in training.
        train: Trains where a net is asked for: `train_local` of training/loop.py, or another
            that takes a request, records and `seed=`.
    """

    records: Records
    parts: int = 1
    seed: int = 0
    train: Callable[..., Trained] | None = None

    def answer(self, request: Request) -> Any:
        """Answer one request; states pass through the wire format, as they do between machines."""
        match request:
            case Fold(state, merge):
                cuts = np.array_split(np.arange(self.records.subjects), self.parts)
                states = [loads(dumps(state(self.records.take(c)))) for c in cuts if len(c)]
                return reduce(merge, states) if states else None
            case Take(subjects, rows):
                return bounded_sample(self.records, subjects, rows, self.seed)
            case Train():
                if self.train is None:
                    raise TypeError("This engine was made without a training loop.")
                return self.train(request, self.records, seed=self.seed)


class NoRecords:
    """Answers where there is nothing to learn from: every fold has no state."""

    def answer(self, request: Request) -> Any:
        """None for a fold.

        Raises:
            TypeError: A sample or a training was asked for.
        """
        if isinstance(request, Fold):
            return None
        raise TypeError("There are no records to sample or to train on.")


def bounded_sample(records: Records, subjects: int, rows: int, seed: int) -> Records:
    """Whole subjects in random order, as many as both bounds allow; all of them if they fit."""
    if records.subjects <= subjects and records.rows <= rows:
        return records
    order = generator(seed, "take").permutation(records.subjects)[:subjects]
    kept = int(np.searchsorted(np.cumsum(records.lengths[order]), rows, side="right"))
    return records.take(np.sort(order[: max(kept, 1)]))
