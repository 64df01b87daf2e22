"""Where the cells of records stand: by a table, by the records' own coordinates, or not at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from synth_spark.errors import TooFewSubjectsError
from synth_spark.generators._sim_cold import town_for
from synth_spark.generators._sim_counts import Ask
from synth_spark.generators._sim_facts import Labels
from synth_spark.generators._sim_params import SimulationParams
from synth_spark.generators._sim_spans import State
from synth_spark.generators._sim_town import Town, seen_town, town_at


def learned_town(
    ask: Ask, params: SimulationParams, cells: Labels | None, sums: State, seed: int
) -> Town:
    """The cells of the records, and where they stand if that is known.

    Raises:
        TooFewSubjectsError: There are places, but none that enough subjects share (SYN-202).
    """
    if ask.family not in ("cdr", "location"):
        return seen_town(("",), np.ones(1))
    if params.cells_file:
        town = town_for(params, seed)
        shares = dict(zip(cells.labels, cells.shares.tolist(), strict=True)) if cells else {}
        weights = np.array([shares.get(n, 0.0) for n in town.labels])
        known = replace(town, homes=weights + 1e-12, works=weights + 1e-12)
        return known if weights.sum() > 0 else town
    if cells and ask.place:
        rows, north, east = sums["where"]
        if rows.sum() > 0:  # cells without a position stand in the middle of all
            middle = [float(v.sum() / rows.sum()) for v in (north, east)]
            at = [np.where(rows > 0, v / np.maximum(rows, 1), m)
                  for v, m in zip((north, east), middle, strict=True)]  # fmt: skip
            return town_at(cells.labels, at[0], at[1], cells.shares)
    if cells and not ask.place:
        return seen_town(cells.labels, cells.shares)
    codec = ask.place_codec
    if not ask.place:
        return town_for(params, seed)
    if codec is None or not len(codec.cells):
        raise TooFewSubjectsError(
            f"No place of {ask.place} is shared by {params.min_subjects} subjects.",
            hint="more subjects, a smaller min_subjects, or leave the places out",
        )
    names = _names(codec.cells.tolist())
    weights = sums["at"][: len(names)].astype(float) + 1e-9
    return town_at(names, codec.centre[:, 0], codec.centre[:, 1], weights)


def _names(cells: list[int]) -> tuple[str, ...]:
    """A name for each position: its cell, and a number from the second one there on."""
    seen: Counter[int] = Counter()
    out = []
    for cell in cells:
        out.append(f"{cell:x}-{seen[cell]}" if seen[cell] else f"{cell:x}")
        seen[cell] += 1
    return tuple(out)
