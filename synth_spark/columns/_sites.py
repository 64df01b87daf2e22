"""Sites: exact positions that many rows share, such as masts or the points of a coarse grid.

State: each distinct position with its cell, rows and subjects. Above `MOST_SITES` the column is one
of free positions (a GPS track) and none is kept; `free` then stays set through all merges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SITES = 50_000  # distinct positions of a state
OWN_SHARE = 0.9  # of a cell's rows on positions of enough subjects, for it to be these
SPOT_SHARE = 0.05  # of a cell's rows on one position, for it to be told beside the rest
REST = (float("nan"), float("nan"))  # where the other rows of a cell are
UNIT = 1e7  # of a degree: positions are whole numbers of its inverse
_WIDE = 4_000_000_000  # above the number of longitudes
State = dict[str, Any]
Sites = list[tuple[float, float, float]]  # latitude and longitude in degrees, share of the rows


def counted(
    pairs: NDArray[np.float64], cells: NDArray[np.int64], owners: NDArray[np.int64]
) -> State:
    """The state of positions (rows, 2) in degrees, with the cell and the subject of each."""
    whole = np.rint(pairs * UNIT).astype(np.int64)
    keys = (whole[:, 0] + int(90 * UNIT)) * _WIDE + whole[:, 1] + int(180 * UNIT)
    names, first, where, rows = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    if len(names) > MOST_SITES:
        return _free()
    both = np.unique(np.column_stack([where.ravel(), owners]), axis=0)[:, 0]
    subjects = np.bincount(both, minlength=len(names)).astype(np.int64)
    written = np.full((len(names), 2), np.inf)  # as the source has them, to the last bit
    np.minimum.at(written, where.ravel(), pairs)
    return {
        "free": False, "keys": names, "cells": cells[first], "rows": rows.astype(np.int64),
        "subjects": subjects, "written": written,
    }  # fmt: skip


def added(left: State, right: State) -> State:
    """The state of two parts with different subjects."""
    if left["free"] or right["free"]:
        return _free()
    every = np.concatenate([left["keys"], right["keys"]])
    names, first, where = np.unique(every, return_index=True, return_inverse=True)
    if len(names) > MOST_SITES:
        return _free()
    sums = {
        part: np.bincount(
            where.ravel(), np.concatenate([left[part], right[part]]), len(names)
        ).astype(np.int64)
        for part in ("rows", "subjects")
    }
    cells = np.concatenate([left["cells"], right["cells"]])[first]
    written = np.full((len(names), 2), np.inf)
    np.minimum.at(written, where.ravel(), np.concatenate([left["written"], right["written"]]))
    return {"free": False, "keys": names, "cells": cells, "written": written, **sums}


def found(state: State, min_subjects: int, of_cell: Mapping[int, int]) -> dict[int, Sites]:
    """Cell -> positions of enough subjects, heaviest first, with the share of its rows of each.

    If they hold nearly all of its rows, the cell is these. Else the heaviest of them are told, and
    the rest of the rows lie somewhere in the cell (`REST`, last): phones at rest beside a road. If
    the cell has not enough subjects besides theirs, the rest goes to the nearest of those told.

    Args:
        state: Of all parts.
        min_subjects: That a position, and the rest of a cell, must have.
        of_cell: Subjects of each cell.
    """
    if state["free"] or not len(state["keys"]):
        return {}
    order = np.lexsort((-state["rows"], state["cells"]))
    cells, rows = state["cells"][order], state["rows"][order]
    begins = np.append(True, np.diff(cells) != 0)
    first, which = np.flatnonzero(begins), np.cumsum(begins) - 1
    total = np.add.reduceat(rows, first)
    good = state["subjects"][order] >= min_subjects
    whole = np.bincount(which, rows * good, len(first)) >= OWN_SHARE * total
    good &= whole[which] | (rows >= SPOT_SHARE * total[which])
    held = np.bincount(which, rows * good, len(first))
    beside = np.array([of_cell.get(cell, 0) for cell in cells[first].tolist()])
    beside -= np.bincount(which, state["subjects"][order] * good, len(first)).astype(np.int64)
    rest = (held > 0) & ~whole & (beside >= min_subjects)
    latitude, longitude = state["written"][order].T
    out: dict[int, Sites] = {}
    for i in np.flatnonzero(good).tolist():
        of = total[which[i]] if rest[which[i]] else held[which[i]]
        site = (float(latitude[i]), float(longitude[i]), float(rows[i] / of))
        out.setdefault(int(cells[i]), []).append(site)
    for c in np.flatnonzero(rest).tolist():
        out[int(cells[first[c]])].append((*REST, float(1 - held[c] / total[c])))
    return out


def _free() -> State:
    none = np.zeros(0, np.int64)
    return {
        "free": True, "keys": none, "cells": none, "rows": none, "subjects": none,
        "written": np.zeros((0, 2)),
    }  # fmt: skip
