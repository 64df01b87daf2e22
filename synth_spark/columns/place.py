"""Places: latitude and longitude through H3 cells, fine where many subjects were, coarse elsewhere.

Exact positions in a fine cell that enough subjects share (masts) are tokens of their own; where
they hold nearly all of its rows, the cell is these.

Values are arrays (rows, 2) of degrees, WGS84: latitude, longitude; a missing place is NaN in both.
State: subjects of each cell at the finest resolution, and of the coarser ones above them. A cell
with too few subjects hands its rows to its parent, up to the coarsest resolution; what is left over
joins the nearest kept cell.
Source: H3, https://h3geo.org (resolution 9: edge about 0.2 km; 3: about 69 km).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns import _sites
from synth_spark.core.batch import Values

FINEST = 9
COARSEST = 3
MOST_CELLS = 50_000  # cells kept in a state; beyond, the lightest become their parents
_AT = 1e-6  # degrees from a position, up to which a place is there rather than around it
State = dict[str, Any]


def cells_of(values: NDArray[np.float64], resolution: int) -> NDArray[np.int64]:
    """The H3 cell of each place, 0 where it is missing or not on Earth; shape (rows,)."""
    import h3.api.numpy_int as h3

    good = np.isfinite(values).all(axis=1)
    good &= (np.abs(values[:, 0]) <= 90) & (np.abs(values[:, 1]) <= 180)
    places, where = np.unique(np.round(values[good], 4), axis=0, return_inverse=True)
    found = np.fromiter(
        (h3.latlng_to_cell(lat, lon, resolution) for lat, lon in places.tolist()),
        np.int64,
        len(places),
    )
    cells = np.zeros(len(values), np.int64)
    cells[good] = found[where.ravel()]
    return cells


def parents_of(cells: NDArray[np.int64], resolution: int) -> NDArray[np.int64]:
    """The parent of each cell at a coarser resolution; a cell already as coarse stays."""
    import h3.api.numpy_int as h3

    def up(cell: int) -> int:
        own = int(h3.get_resolution(cell))
        return int(h3.cell_to_parent(cell, resolution)) if own > resolution else cell

    return np.fromiter((up(c) for c in cells.tolist()), np.int64, len(cells))


@dataclass(frozen=True, slots=True)
class Place:
    """Cells as tokens, heaviest first, then missing. A position inside the cell is drawn."""

    cells: NDArray[np.int64]  # (tokens,), H3 indices of mixed resolutions; one for each position
    centre: NDArray[np.float64]  # (tokens, 2), degrees
    reach: NDArray[np.float64]  # (tokens, 2), half width of the cell in degrees; 0: one position
    decimals: int  # of the source's degrees
    missing_token: int
    kind: ClassVar[str] = "place"

    @property
    def vocabulary(self) -> int:
        return len(self.cells) + (self.missing_token >= 0)

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> State:
        pairs = np.asarray(values, dtype=np.float64).reshape(-1, 2)
        cells = cells_of(pairs, FINEST)
        kept = cells != 0
        both = np.unique(np.column_stack([cells[kept], owners[kept]]), axis=0)
        names, subjects = np.unique(both[:, 0], return_counts=True)
        rows = np.unique(cells[kept], return_counts=True)[1]
        state = {
            "cells": names,
            "subjects": subjects.astype(np.int64),
            "rows": rows.astype(np.int64),
            "missing": int((~kept).sum()),
            "decimals": _decimals(pairs[kept]),
            "sites": _sites.counted(pairs[kept], cells[kept], owners[kept]),
            "above": _above(both),
        }
        return _bounded(state)

    @staticmethod
    def merge(left: State, right: State) -> State:
        cells = np.concatenate([left["cells"], right["cells"]])
        names, where = np.unique(cells, return_inverse=True)
        totals = {
            name: np.bincount(where, np.concatenate([left[name], right[name]]), len(names)).astype(
                np.int64
            )
            for name in ("subjects", "rows")
        }
        state = {
            "cells": names,
            **totals,
            "missing": left["missing"] + right["missing"],
            "decimals": max(left["decimals"], right["decimals"]),
            "sites": _sites.added(left["sites"], right["sites"]),
            "above": _both_above(left["above"], right["above"]),
        }
        return _bounded(state)

    @classmethod
    def finish(cls, state: State, *, min_subjects: int = 5) -> Self:
        """The codec of all parts.

        Args:
            state: What `merge` gave.
            min_subjects: A cell with fewer subjects hands its rows to its parent. Of a parent of
                which some is kept the subjects of the rest are bounded below, so a cell may be
                coarser than it need be, never finer.
        """
        import h3.api.numpy_int as h3

        cells = np.asarray(state["cells"])
        subjects, rows = np.asarray(state["subjects"]), np.asarray(state["rows"])
        above = dict(zip(*(state["above"][n].tolist() for n in ("cells", "subjects")), strict=True))
        kept: list[tuple[int, int]] = []
        told = np.zeros((0, 2), np.int64)  # kept cells, or those above them, and their subjects
        for resolution in range(FINEST, COARSEST - 1, -1):
            enough = subjects >= min_subjects
            kept += zip((-rows[enough]).tolist(), cells[enough].tolist(), strict=True)
            every = np.array([above.get(c, 0) for c in cells[enough].tolist()], np.int64)
            there = np.maximum(subjects[enough], every)  # no fewer than that
            told = np.vstack([told, np.column_stack([cells[enough], there])])
            cells, subjects, rows = cells[~enough], subjects[~enough], rows[~enough]
            if not len(cells) or resolution == COARSEST:
                break
            names, where = np.unique(parents_of(cells, resolution - 1), return_inverse=True)
            told[:, 0] = parents_of(told[:, 0], resolution - 1)
            # Children are disjoint in rows, not in subjects: a subject may stand in each of them.
            # A sum would overstate; half of it, or the largest child, is what we rely on, or all of
            # the parent less those of the cells in it that are kept. There are all of it at most.
            total = np.bincount(where, subjects, len(names)) / 2
            most = np.zeros(len(names))
            np.maximum.at(most, where, subjects)
            known = np.array([above.get(name, 0) for name in names.tolist()], np.int64)
            rest = known.copy()
            np.subtract.at(rest, *_within(told, names))
            subjects = np.maximum.reduce([most, np.floor(total), rest]).astype(np.int64)
            subjects = np.where(known > 0, np.minimum(subjects, known), subjects)
            rows = np.bincount(where, rows, len(names)).astype(np.int64)
            cells = names
        if not kept and len(cells):
            kept = [(-int(r), int(c)) for r, c in zip(rows, cells, strict=True)]
        of_cell = dict(zip(state["cells"].tolist(), state["subjects"].tolist(), strict=True))
        sites = _sites.found(state["sites"], min_subjects, of_cell)
        each: list[tuple[float, int, int]] = []  # rows (negative), cell, which of its sites
        for negative, cell in kept:
            shares = [share for _, _, share in sites.get(cell, [])] or [1.0]
            each += [(negative * share, cell, k) for k, share in enumerate(shares)]
        each.sort()
        tokens = np.array([cell for _, cell, _ in each], np.int64)
        centre = np.array([h3.cell_to_latlng(c) for c in tokens.tolist()]).reshape(-1, 2)
        edge = [h3.average_hexagon_edge_length(h3.get_resolution(c)) for c in tokens.tolist()]
        reach = np.array(edge).reshape(-1, 1) * 0.8 / 111.32 * np.ones((1, 2))
        reach[:, 1] /= np.maximum(np.cos(np.radians(centre[:, 0])), 0.01)
        for token, (_, cell, k) in enumerate(each):
            if cell in sites and np.isfinite(sites[cell][k][0]):
                centre[token], reach[token] = sites[cell][k][:2], 0.0
        missing = len(tokens) if state["missing"] or not len(tokens) else -1
        return cls(tokens, centre, reach, int(state["decimals"]), missing)

    def encode(self, values: Values) -> NDArray[np.int32]:
        pairs = np.asarray(values, dtype=np.float64).reshape(-1, 2)
        fine, where = np.unique(cells_of(pairs, FINEST), return_inverse=True)
        place = {c: i for i, c in reversed(list(enumerate(self.cells.tolist())))}
        tokens = np.array([self._token(c, place) for c in fine.tolist()], np.int32)
        out = tokens[where.ravel()]
        self._nearest(pairs, out)
        return out

    def _nearest(self, pairs: NDArray[np.float64], tokens: NDArray[np.int32]) -> None:
        """In cells of several tokens that of the nearest position, in place.

        Where one of them is the rest of the cell, a row that is at none of the positions is there.
        """
        order = np.argsort(self.cells, kind="stable")
        cells = self.cells[order]
        begin = np.flatnonzero(np.append(True, np.diff(cells) != 0)) if len(cells) else order[:0]
        count = np.diff(np.append(begin, len(cells)))
        size = np.zeros(self.vocabulary, np.int64)  # of each cell's first token: positions in it
        size[order[begin]] = count
        rows = np.flatnonzero(size[tokens] > 1)
        place = np.empty(len(self.cells), np.int64)
        place[order] = np.arange(len(order))
        first = tokens[rows]
        best = np.full(len(rows), np.inf)
        for k in range(int(count.max(initial=1))):
            some = np.flatnonzero(size[first] > k)
            other = order[place[first[some]] + k]
            away = ((pairs[rows[some]] - self.centre[other]) ** 2).sum(axis=1)
            away[self.reach[other, 0] > 0] = _AT**2  # the rest of the cell
            nearer = away < best[some]
            best[some[nearer]] = away[nearer]
            tokens[rows[some[nearer]]] = other[nearer]

    def _token(self, cell: int, place: dict[int, int]) -> int:
        import h3.api.numpy_int as h3

        if cell == 0 or not place:
            return self.missing_token if self.missing_token >= 0 else 0
        for resolution in range(FINEST, COARSEST - 1, -1):
            found = place.get(int(h3.cell_to_parent(cell, resolution)))
            if found is not None:
                return found
        at = np.array(h3.cell_to_latlng(cell))
        return int(np.argmin(((self.centre - at) ** 2).sum(axis=1)))

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions, shape (rows, 2): a spiral in the cell's disc, `inside` along it."""
        if not len(self.cells):
            return np.full((len(tokens), 2), np.nan)
        kept = np.minimum(tokens, len(self.cells) - 1)
        turn = inside * 1_000.0 * np.pi
        radius = np.sqrt(inside)
        offset = np.column_stack([np.sin(turn), np.cos(turn)]) * radius[:, None]
        around = np.round(self.centre[kept] + offset * self.reach[kept], self.decimals)
        places = np.where(self.reach[kept] > 0, around, self.centre[kept])
        places[tokens == self.missing_token] = np.nan
        return places

    def state(self) -> State:
        return {
            n: getattr(self, n) for n in ("cells", "centre", "reach", "decimals", "missing_token")
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(**state)


def _decimals(pairs: NDArray[np.float64], most: int = 7) -> int:
    for decimals in range(most):
        if np.allclose(pairs, np.round(pairs, decimals), rtol=0, atol=1e-9):
            return decimals
    return most


def _above(both: NDArray[np.int64]) -> State:
    """Subjects of each cell above the finest, from (cell, subject) pairs of shape (n, 2)."""
    names, counts = [], []
    for resolution in range(FINEST - 1, COARSEST - 1, -1):
        fine, where = np.unique(both[:, 0], return_inverse=True)
        pairs = np.column_stack([parents_of(fine, resolution)[where.ravel()], both[:, 1]])
        both = np.unique(pairs, axis=0)
        cells, subjects = np.unique(both[:, 0], return_counts=True)
        names.append(cells)
        counts.append(subjects.astype(np.int64))
    return _few_above({"cells": np.concatenate(names), "subjects": np.concatenate(counts)})


def _both_above(left: State, right: State) -> State:
    every = np.concatenate([left["cells"], right["cells"]])
    names, where = np.unique(every, return_inverse=True)
    subjects = np.bincount(where, np.concatenate([left["subjects"], right["subjects"]]), len(names))
    return _few_above({"cells": names, "subjects": subjects.astype(np.int64)})


def _few_above(state: State) -> State:
    """Without the lightest beyond `MOST_CELLS`."""
    order = np.argsort(-state["subjects"], kind="stable")[:MOST_CELLS]
    return {name: values[np.sort(order)] for name, values in state.items()}


def _within(
    told: NDArray[np.int64], names: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in `names` of those of the told cells that are there, and their subjects."""
    at = np.minimum(np.searchsorted(names, told[:, 0]), len(names) - 1)
    there = names[at] == told[:, 0]
    return at[there], told[there, 1]


def _bounded(state: State, most: int = MOST_CELLS) -> State:
    """The state with at most `most` cells: beyond, the lighter half goes up a step."""
    import h3.api.numpy_int as h3

    while len(state["cells"]) > most:
        light = np.argsort(state["rows"], kind="stable")[: len(state["cells"]) // 2]
        cells = np.asarray(state["cells"]).copy()
        cells[light] = [
            h3.cell_to_parent(c, max(h3.get_resolution(c) - 1, 0)) for c in cells[light].tolist()
        ]
        names, where = np.unique(cells, return_inverse=True)
        most_subjects = np.zeros(len(names), np.int64)
        np.maximum.at(most_subjects, where, state["subjects"])
        rows = np.bincount(where, state["rows"], len(names)).astype(np.int64)
        state = {**state, "cells": names, "subjects": most_subjects, "rows": rows}
    return state


CODEC = Place
EXAMPLE = (
    {"min_subjects": 2},
    np.array([[43.7, -72.3], [43.7, -72.3], [43.9, -72.1], [np.nan, np.nan], [43.7001, -72.3]]),
    np.array([0, 1, 1, 2, 3], dtype=np.int64),
)
