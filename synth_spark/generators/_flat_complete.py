"""Rows of which some cells are known: the others drawn.

As in `_flat_given.py` each row is drawn as a few particles that are forced to the known cells and
weighed with the chance that the network gave them. Here every row may know other cells, so early
columns lean by tables of pairs (`_flat_pairs.py`), and what known sums and times leave for other
cells is worked out (`_flat_leavings.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.within import Within, within_those
from synth_spark.core.batch import Coded, Records, Values, known_first, missing
from synth_spark.core.given import Among
from synth_spark.core.seeds import generator
from synth_spark.generators._flat_chance import log_width, unknown_cells
from synth_spark.generators._flat_given import joined_values, regrouped
from synth_spark.generators._flat_kernels import pick
from synth_spark.generators._flat_leavings import Leavings
from synth_spark.generators._flat_model import Drawing
from synth_spark.generators._flat_pairs import Pairs, Scores
from synth_spark.generators._flat_tokens import Drawn

if TYPE_CHECKING:
    from synth_spark.generators._flat_model import FlatModel

PARTICLES = 24  # a row
_AT_ONCE = 12_288  # particles in memory
_NEVER = 60.0  # nats against what the network rules out

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Open:
    """What the particles of some rows may take of one column."""

    which: NDArray[np.int64]  # (particles,), position in `parts`; the last: any value
    parts: tuple[Within | None, ...]  # of numbers; None: anywhere in the token
    table: Scores  # (parts, vocabulary), of each token

    @classmethod
    def of(cls, column: Drawn, asked: Among, rows: slice) -> Open:
        """What is asked of the rows' particles."""
        parts: list[Within | None] = [within_those(column.codec, h) for h in asked.holds]
        shares = [p.share for p in parts if p is not None]
        for wanted in asked.sets:
            labels = (*column.codec.labels, *[""] * (column.vocabulary - len(column.codec.labels)))
            share = np.array([label in wanted for label in labels], float)
            share[len(column.codec.labels) :] = 0
            if None in wanted and column.codec.missing_token >= 0:
                share[column.codec.missing_token] = 1
            parts.append(None)
            shares.append(share)
        table = np.array([*shares, np.ones(column.vocabulary)], np.float32)
        which = np.repeat(asked.which[rows], PARTICLES)
        return cls(np.where(which < 0, len(parts), which), (*parts, None), table)

    @property
    def shares(self) -> Scores:
        """Of each token, (particles, vocabulary)."""
        return self.table[self.which]

    def inside(self, tokens: NDArray[np.int32], u: Reals) -> Reals:
        """Positions inside drawn tokens from uniforms; both of shape (particles,)."""
        out = u.copy()
        for k, part in enumerate(self.parts):
            mine = np.flatnonzero(self.which == k)
            if part is not None and len(mine):
                out[mine] = part.inside(tokens[mine], u[mine])
        return out


@dataclass(frozen=True, slots=True)
class Completer:
    """Fills the cells of a flat table that are missing."""

    model: FlatModel
    pairs: Pairs
    leavings: Leavings

    @classmethod
    def of(cls, model: FlatModel) -> Completer:
        """The completer of a model."""
        return cls(model, Pairs(model), Leavings(model.coder))

    def complete(
        self, records: Records, seed: int, block: int = 0, among: Mapping[str, Among] | None = None
    ) -> Records:
        """The same rows with every missing cell drawn given the row's others.

        Args:
            records: Rows with all columns of the schema; a missing cell is one to be drawn.
            seed: Of the drawing.
            block: The number of these rows among others that are completed with the same seed.
            among: By category, the labels that each row's missing cell may take.

        Returns:
            Rows in the same order; known cells are as they were.
        """
        rng = generator(seed, "flat complete", block)
        room = max(_AT_ONCE // PARTICLES, 1)
        parts = []
        for start in range(0, records.rows, room):
            some = records.take(np.arange(start, min(start + room, records.rows)))
            open_parts = self._open(among or {}, slice(start, start + room))
            known = self.leavings.known(some)
            parts.append(self._rows(known, open_parts, some.rows, rng))
        values = {n: joined_values([p[n] for p in parts]) for n in parts[0]}
        drawn = self.model.records(values, records.rows)
        columns = {n: known_first(records.columns[n], v) for n, v in drawn.columns.items()}
        return Records.flat(columns)

    def unknown(self, records: Records) -> dict[str, NDArray[np.bool_]]:
        """By column, the rows whose cell the model could never draw; each of shape (rows,)."""
        return unknown_cells(self.model.coder, records)

    def bounds(self, name: str) -> bool:
        """Whether `among` may name the column: a category, or a number that follows no other."""
        return any(
            d.field.name == name and d.relation is None and d.field.kind != "place"
            for d in self.model.coder.drawn
        )

    def _open(self, among: Mapping[str, Among], rows: slice) -> dict[int, Open]:
        """What each row may take of drawn columns."""
        return {
            c: Open.of(column, among[column.field.name], rows)
            for c, column in enumerate(self.model.coder.drawn)
            if column.field.name in among
        }

    def _rows(
        self,
        known: dict[str, Values],
        open_parts: dict[int, Open],
        rows: int,
        rng: np.random.Generator,
    ) -> dict[str, Values]:
        coder = self.model.coder
        known = {n: v[np.repeat(np.arange(rows), PARTICLES)] for n, v in known.items()}
        self.leavings.worked_back(known)
        pool = self.pairs.pool.values if self.leavings.gaps else {}
        log_weight = self.leavings.gone_back(known, pool, rng)
        drawing = Drawing(self.model, rows * PARTICLES, rng)
        told = [~missing(known[d.field.name]) for d in coder.drawn]
        bound = self.leavings.bound(known)
        last = max(
            (
                c
                for c, (t, d) in enumerate(zip(told, coder.drawn, strict=True))
                if t.any() or c in open_parts or d.field.name in bound
            ),
            default=-1,
        )
        for c in range(last + 1):
            log_weight += self._column(drawing, c, known, told, open_parts.get(c))
        which = regrouped(log_weight.reshape(rows, -1), rng).reshape(rows, -1)
        drawing = drawing.taken(which[np.arange(rows), rng.integers(PARTICLES, size=rows)])
        for c in range(last + 1, drawing.count):
            drawing.draw(c)
        drawing.compute()
        return drawing.values

    def _column(
        self,
        drawing: Drawing,
        c: int,
        known: dict[str, Values],
        told: list[NDArray[np.bool_]],
        part: Open | None,
    ) -> Reals:
        """Draw or force one column; what that adds to the log weights."""
        column, rng, rows = drawing.model.coder.drawn[c], drawing.rng, drawing.rows
        name, held = column.field.name, told[c]
        implied = self.leavings.implied(c, drawing.values, known)
        if implied is not None:
            known = {**known, name: known_first(known[name], implied)}
            held = held | np.isfinite(implied)
        weights = drawing.weights(c)
        total = weights.sum(axis=1, dtype=np.float64)
        lean = self.pairs.lean(c, {**known, **drawing.values}, told)
        if lean is not None:
            weights *= np.exp(lean)
        if part is not None:
            weights *= np.where(held[:, None], 1, part.shares)
        leaned = weights.sum(axis=1, dtype=np.float64)
        pick(weights, rng.random(rows), drawing.tokens[c])
        forced = column.tokens({**drawing.values, name: known[name]})
        drawing.tokens[c] = np.where(held, forced, drawing.tokens[c])
        inside = rng.random(rows)
        if part is None:
            value = column.drawn_values(drawing.tokens[c], inside, drawing.values)
        else:
            inside = part.inside(drawing.tokens[c], inside)
            value = column.values(drawing.tokens[c], inside, drawing.values)
        if not isinstance(value, Coded):
            value = known_first(known[name], value)
        drawing.put(c, value)
        own = weights[np.arange(rows), drawing.tokens[c]].astype(np.float64)
        moved = np.zeros(rows) if lean is None else lean[np.arange(rows), drawing.tokens[c]]
        with np.errstate(divide="ignore"):
            chance = (
                np.log(own)
                - moved
                - np.log(total)
                - log_width(column, drawing.tokens[c], drawing.values)
            )
            if implied is not None:
                chance -= self.leavings.doubt(c, drawing.tokens[c], implied)
            out = np.where(held, chance, np.log(leaned / total) - moved)
        return np.asarray(
            np.maximum(out, -_NEVER)
        )  # cells that exclude each other must not hide all others
