"""The columns of the subjects themselves: exchanged within strata, or held by a condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.conditions import Clause, Condition, ImpossibleConditionError
from synth_spark.generators._events_coder import Coder, EventColumn
from synth_spark.generators._transform_flat import clause_holds, known
from synth_spark.generators._transform_segments import Donors
from synth_spark.generators._transform_steps import Steps

Tokens = NDArray[np.int32]
_INSIDE = (np.arange(256) + 0.5) / 256  # places inside a token at which a clause is looked up


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where a clause holds: places inside tokens, token by token."""

    starts: NDArray[np.int64]  # (vocabulary + 1,)
    inside: NDArray[np.float64]

    @classmethod
    def of(cls, column: EventColumn, clause: Clause) -> Self:
        """Look a clause up at 256 places in every token of a column."""
        tokens = np.repeat(np.arange(column.tokens, dtype=np.int32), len(_INSIDE))
        inside = np.tile(_INSIDE, column.tokens)
        if column.how == "own":
            holds = (tokens > 0) if clause.missing else np.zeros(len(tokens), np.bool_)
        else:
            holds = clause_holds(clause, column.codec.decode(tokens, inside))
        counts = holds.reshape(column.tokens, -1).sum(axis=1)
        return cls(np.concatenate([[0], np.cumsum(counts)]), inside[holds])

    def some(self, tokens: Tokens) -> NDArray[np.bool_]:
        """Whether a clause can hold at all in a token; as `tokens`."""
        return np.asarray(np.diff(self.starts)[tokens] > 0)

    def values(self, column: EventColumn, tokens: Tokens, rng: np.random.Generator) -> Values:
        """Values of tokens at places where the clause holds; shape (rows,)."""
        count = np.diff(self.starts)[tokens]
        at = self.starts[tokens] + (rng.random(len(tokens)) * count).astype(np.int64)
        return column.codec.decode(tokens, self.inside[at])  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Own:
    """Tokens of the donors' own columns, and beside them levels of what their histories measure.

    Both go through the strata together, so that a drawn subject's history fits its columns.
    """

    held: Tokens  # (columns + measures, donors)
    columns: int
    steps: Steps | None  # strata of both; None: nothing is exchanged
    starts: NDArray[np.int64]  # (measures, levels + 1), where a level begins in `values`
    values: NDArray[np.float64]  # (measures, donors), ascending
    allowed: Mapping[int, Allowed]  # under a condition, by column

    def draw(
        self, base: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tokens, NDArray[np.float64]]:
        """Tokens (subjects, columns) and what the history shall measure (subjects, measures)."""
        held = self.held[:, base]
        if self.steps is not None:
            free = np.ones(len(held), np.bool_)
            free[list(self.allowed)] = False
            held = self.steps.run(held, free, rng)
        target = np.empty((len(base), len(self.values)))
        for d, level in enumerate(held[self.columns :]):
            low = self.starts[d][level]
            count = self.starts[d][level + 1] - low
            at = low + rng.random(len(base)) * (count - 1)
            target[:, d] = np.interp(at, np.arange(self.values.shape[1]), self.values[d])
        return np.ascontiguousarray(held[: self.columns].T), target

    def settle(
        self, records: Records, coder: Coder, base: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Put values that hold the condition into its columns."""
        for j, allowed in sorted(self.allowed.items()):
            column = coder.subject[j]
            if column.how == "own":
                continue  # missing or not, that is the token
            value = allowed.values(column, self.held[j, base], rng)[records.owners]
            old = records.columns[column.name]
            if not isinstance(value, Coded):
                value = np.asarray(value).astype(np.asarray(old).dtype)
            records.columns[column.name] = value

    def conditioned(
        self, condition: Condition, coder: Coder, donors: Donors
    ) -> tuple[Self, NDArray[np.int64]]:
        """This under a condition, and the donors that hold it.

        Raises:
            ImpossibleConditionError: Fewer donors than one stratum has (SYN-711).
        """
        names = [c.name for c in coder.subject]
        allowed, fits = dict[int, Allowed](), np.ones(donors.size, np.bool_)
        for clause in condition.clauses:
            known(clause, names)
            j = names.index(clause.field)
            allowed[j] = Allowed.of(coder.subject[j], clause)
            fits &= allowed[j].some(self.held[j])
        found, least = np.flatnonzero(fits), int(np.diff(donors.starts).min())
        if len(found) < least:
            raise ImpossibleConditionError(
                f"{len(found)} donors hold {condition.text()}; {least} are needed.",
                hint="a wider condition, or a smaller `histories`",
                holding=len(found),
                needed=least,
            )
        return replace(self, allowed=allowed), found

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        steps = self.steps.state() if self.steps else None
        rest = {n: getattr(self, n) for n in ("held", "columns", "starts", "values")}
        return {**rest, "steps": steps}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` came from."""
        steps = Steps.from_state(state["steps"]) if state["steps"] else None
        return cls(state["held"], state["columns"], steps, state["starts"], state["values"], {})
