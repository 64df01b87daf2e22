"""Known rows and a saved model: how likely they are, what fills their gaps, the way between two.

The verbs `model score`, `model complete` and `model interpolate`. No Spark: a file is read whole.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth_spark.cells import array_of, is_text
from synth_spark.columns._determined_given import among
from synth_spark.config import read_plan
from synth_spark.core.batch import ID_MARK, Coded, Records, Values, missing
from synth_spark.core.given import BLOCK_ROWS, refuse_cells
from synth_spark.core.schema import Column
from synth_spark.core.shelf import GENERATORS
from synth_spark.errors import SynthError
from synth_spark.frames import Rows, rows_of, table_of
from synth_spark.pipelines.drawer import Filler, ModelDrawer
from synth_spark.pipelines.model_folder import Saved, load_saved
from synth_spark.table_files import check_out, read_file, write_file

NATS = "log_probability_nats"
WAY = ("_pair", "_step", "_weight")


class NotOfferedError(SynthError):
    """The generator of a model does not do what is asked."""

    code = "SYN-793"


class NoPairsError(SynthError):
    """The rows of a table are not pairs."""

    code = "SYN-794"


@dataclass(frozen=True, slots=True)
class Opened:
    """A saved model and how its run names and reads columns."""

    saved: Saved
    names: dict[str, str]  # column to its name in the source
    zone: str


def opened(folder: Path) -> Opened:
    """The model of a run's folder, or of its own.

    Raises:
        ModelFolderError: It holds no whole model (SYN-702).
    """
    inner = folder / "models" / "twin"
    place = inner if inner.is_dir() else folder
    plan = place.parent.parent / "plan.yaml"
    saved = load_saved(place)
    if not plan.exists():
        return Opened(saved, {}, "UTC")
    read = read_plan(plan)
    return Opened(saved, read.source_names(), read.source.time_zone or "UTC")


def score(
    folder: Path,
    file: str,
    *,
    out: Path | None = None,
    drop: Sequence[str] = (),
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """How likely each row of a file is under a model, in nats; a row that cannot be has -inf.

    Args:
        folder: Of a run or a model.
        file: CSV or Parquet.
        out: CSV or Parquet: the file's rows with the column `log_probability_nats`.
        drop: Columns of the file that are not looked at.
        overwrite: Whether `out` may be there.
        as_json: Whether the summary is one JSON object.

    Raises:
        NotOfferedError: The generator does not tell (SYN-793).
        WrongColumnsError, WrongCellsError: The file does not fit the model (SYN-791, SYN-792).
        NoSuchFileError: The folder of `out` is not there (SYN-812).
        TwinTakenError: `out` is there (SYN-135).
    """
    check_out(out, overwrite=overwrite)
    model = opened(folder)
    _offered(model.saved, "weighs", "does not say how likely rows are")
    table, delimiter = read_file(file)
    rows = rows_of(table, model.saved, names=model.names, zone=model.zone, drop=drop)
    nats = model.saved.model.log_probability(rows.whole(model.saved))  # type: ignore[attr-defined]
    nats = np.where(_contradicts(model.saved, rows.records), -np.inf, nats)
    if out is not None:
        if NATS in table.column_names:
            table = table.drop_columns([NATS])
        write_file(table.append_column(NATS, pa.array(nats)), out, delimiter)
    _tell(_summary(nats, out), as_json=as_json)
    return 0


def complete(
    folder: Path,
    file: str,
    *,
    out: Path,
    seed: int = 1,
    drop: Sequence[str] = (),
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """Fill the empty cells of a file; known cells are kept, and a column that lacks is drawn.

    Args:
        folder: Of a run or a model.
        file: CSV or Parquet, with any of the model's columns.
        out: CSV or Parquet: the file's rows and columns, then those that it lacked.
        seed: Of the drawing.
        drop: Columns of the file that are not looked at.
        overwrite: Whether `out` may be there.
        as_json: Whether the summary is one JSON object.

    Raises:
        NotOfferedError: The generator fills no gaps, or not around these columns (SYN-793).
        WrongColumnsError, WrongCellsError: The file does not fit the model (SYN-791, SYN-792).
        ImpossibleConditionError: A cell that the model could never draw (SYN-711).
        NoSuchFileError: The folder of `out` is not there (SYN-812).
        TwinTakenError: `out` is there (SYN-135).
    """
    check_out(out, overwrite=overwrite)
    model = opened(folder)
    _offered(model.saved, "fills", "fills no gaps")
    table, delimiter = read_file(file)
    rows = rows_of(table, model.saved, names=model.names, zone=model.zone, partial=True, drop=drop)
    records, ids = _filled(model.saved, rows.records, seed)
    filled, cells = _in_place(rows, records, ids, model)
    write_file(filled, out, delimiter)
    said = {"rows": table.num_rows, "cells_filled": cells, "seed": seed, "out": str(out)}
    _tell(said, as_json=as_json)
    return 0


def interpolate(
    folder: Path,
    file: str,
    *,
    steps: int,
    out: Path,
    seed: int = 1,
    drop: Sequence[str] = (),
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """Rows on the way from the first to the second row of a file, the third to the fourth, ...

    Args:
        folder: Of a run or a model.
        file: CSV or Parquet, with an even number of rows.
        steps: Rows of each way, both ends included; 2 to 1,000.
        out: CSV or Parquet: `_pair` and `_step` from 0, `_weight` from 0 (like the first row) to 1
            (like the second), and the model's columns.
        seed: Of the drawing; the same random numbers in every step.
        drop: Columns of the file that are not looked at.
        overwrite: Whether `out` may be there.
        as_json: Whether the summary is one JSON object.

    Raises:
        NotOfferedError: The generator has no codes (SYN-793).
        WrongColumnsError, WrongCellsError: The file does not fit the model (SYN-791, SYN-792).
        NoPairsError: An odd number of rows (SYN-794).
        InterpolationError, WeakCodeError: There is no way (SYN-731, SYN-732).
        NoSuchFileError: The folder of `out` is not there (SYN-812).
        TwinTakenError: `out` is there (SYN-135).
    """
    check_out(out, overwrite=overwrite)
    model = opened(folder)
    _offered(model.saved, "blends", "has no codes to walk between")
    table, delimiter = read_file(file)
    rows = rows_of(table, model.saved, names=model.names, zone=model.zone, drop=drop)
    ends = rows.whole(model.saved)
    if ends.rows % 2:
        raise NoPairsError(
            f"{file} has {ends.rows} rows, and a way leads from one row to the next.",
            hint="an even number of rows: the first and second are one pair, and so on",
            rows=ends.rows,
        )
    drawer, parts = ModelDrawer(model.saved), []
    for pair in range(ends.rows // 2):
        a, b = (ends.take(np.array([2 * pair + side])) for side in (0, 1))
        way = model.saved.model.interpolate(a, b, steps, seed)  # type: ignore[attr-defined]
        way = drawer.beside(way, pair, seed)
        made = drawer.made(way, pair, seed)
        part = table_of(way, model.saved, names=model.names, zone=model.zone, ids=made)
        at = (np.full(steps, pair), np.arange(steps), np.linspace(0, 1, steps))
        for i, (name, values) in enumerate(zip(WAY, at, strict=True)):
            part = part.add_column(i, name, pa.array(values))
        parts.append(part)
    write_file(pa.concat_tables(parts), out, delimiter)
    said = {"pairs": len(parts), "steps": steps, "seed": seed, "out": str(out)}
    _tell(said, as_json=as_json)
    return 0


# ---- parts --------------------------------------------------------------------------------------


def _offered(saved: Saved, what: str, why: str) -> None:
    """Refuse what a generator does not do; `what` is the class variable that names the shapes."""
    able = [n for n in GENERATORS.names() if "flat" in getattr(GENERATORS.get(n), what, ())]
    if saved.generator not in able:
        raise NotOfferedError(
            f"{saved.generator} {why}.",
            hint=f"a model of {', '.join(able)}, on a flat table",
            generator=saved.generator,
            generators=able,
        )


def _contradicts(saved: Saved, records: Records) -> NDArray[np.bool_]:
    """Rows with a looked-up cell that does not go with what it is looked up from; (rows,)."""
    out = np.zeros(records.rows, bool)
    parents = {c: group.parents for group in saved.determined.groups for c in group.children}
    for child, wrong in among(saved.determined, records)[1].items():
        known = [p for p in parents[child] if p in records.columns]
        if len(known) == len(parents[child]):
            gone = [missing(records.columns[p]) for p in known]
            out |= wrong & ~np.any(gone, axis=0)
    return out


def _filled(saved: Saved, known: Records, seed: int) -> tuple[Records, dict[str, Any]]:
    """The rows with every gap filled, block after block, and their identifiers."""
    anew = ("identifier", "text")
    key = saved.schema.key.name if saved.schema.key else ""
    columns = {c.name: c for c in saved.schema.columns}
    given = {
        n: v
        for n, v in known.columns.items()
        if n != key and columns[n].kind not in anew and not columns[n].unique
    }
    filler = Filler.of(ModelDrawer(saved), given)
    if filler is None:
        looked_up = sorted(set(given) & set(saved.determined.children))
        raise NotOfferedError(
            f"The model cannot fill rows around {', '.join(looked_up or given)}.",
            hint="give what the columns are looked up from too, or --drop them",
            columns=looked_up,
        )
    around = Records(given, known.offsets)
    unknown = filler.unknown(around)
    refuse_cells(unknown, around)
    size = min(BLOCK_ROWS, saved.model.block_size)
    parts, made = [], []
    for block, start in enumerate(range(0, known.rows, size)):
        some = around.take(np.arange(start, min(start + size, known.rows)))
        records, ids = filler.fill(block, some, seed)
        parts.append(records)
        made.append(ids)
    ids = {n: np.concatenate([np.asarray(m[n], object) for m in made]) for n in made[0]}
    return _apart(Records.joined(parts), ids, known, columns, key)


def _apart(
    records: Records, ids: dict[str, Any], known: Records, columns: dict[str, Column], key: str
) -> tuple[Records, dict[str, Any]]:
    """The same, no gap filled with an id that another row has and that no two rows may share."""
    drawn, made = dict(records.columns), dict(ids)
    for name, values in known.columns.items():
        numbered = drawn.get(name)  # of an id: the numbers that rows share, if they do
        if name == key:
            made["#key"] = _own_ids(ids["#key"], values)
        elif columns[name].unique:
            drawn[name] = _own_ids(np.asarray(numbered, np.float64), values)
        elif name in ids and (not isinstance(numbered, Coded) or numbered.labels == (ID_MARK,)):
            made[name] = _own_ids(ids[name], values)
    return Records(drawn, records.offsets), made


def _own_ids(drawn: NDArray[Any], known: Values) -> NDArray[Any]:
    """Drawn ids, where a row has none of its own, that no row has: shape (rows,).

    A taken one is exchanged for the next that was drawn for a row that has its own. There are
    enough of them but for what is drawn as missing; then the gap stays as missing too.
    """
    gone, out = missing(known), drawn.copy()
    own = known.texts() if isinstance(known, Coded) else np.asarray(known)
    taken = set(own[~gone].tolist())
    unused = [v for v in drawn[~gone].tolist() if v is not None and v == v]  # noqa: PLR0124 (NaN)
    spare = sorted(v for v in unused if v not in taken)
    for row in np.flatnonzero(gone).tolist():
        if drawn[row] in taken:
            next_one = min(bisect(spare, drawn[row]), len(spare) - 1)
            out[row] = spare.pop(next_one) if spare else None
    return out


def _in_place(
    rows: Rows, records: Records, ids: dict[str, Any], model: Opened
) -> tuple[pa.Table, int]:
    """The table with its empty cells filled, and how many were."""
    saved, table, filled = model.saved, rows.table, 0
    key = saved.schema.key
    for column in (*((key,) if key else ()), *saved.schema.columns):
        values = ids.get("#key" if column is key else column.name)
        values = records.columns.get(column.name) if values is None else values
        if values is None:
            continue
        name = rows.names.get(column.name)
        if name is None:
            made = model.names.get(column.name, column.name)
            if made in table.column_names:  # the file's own, which nobody was to look at
                continue
            drawn = array_of(values, column, zone=model.zone)
            table = table.append_column(made, drawn)
            filled += len(drawn) - drawn.null_count
            continue
        raw = table.column(name).combine_chunks()
        gone = missing(rows.records.columns[column.name])
        kind = raw.type.value_type if pa.types.is_dictionary(raw.type) else raw.type
        drawn = _as_written(array_of(values, column, kind, model.zone), raw, rows, column)
        if pa.types.is_null(kind):
            raw = raw.cast(drawn.type)
        whole = pc.if_else(pa.array(gone), drawn, raw.cast(drawn.type))
        filled += int(gone.sum()) - whole.filter(pa.array(gone)).null_count
        whole = whole.dictionary_encode() if pa.types.is_dictionary(raw.type) else whole
        table = table.set_column(table.column_names.index(name), name, whole)
    return table, filled


def _as_written(drawn: pa.Array, raw: pa.Array, rows: Rows, column: Column) -> pa.Array:
    """Labels as the table's own cells write them: True for true, where that stands there."""
    labels = rows.records.columns[column.name]
    if not is_text(drawn.type) or not isinstance(labels, Coded) or column.kind != "category":
        return drawn
    texts, said = labels.texts(), raw.to_pylist()
    written = {label: text for label, text in zip(texts, said, strict=True) if label is not None}
    return pa.array([written.get(t, t) for t in drawn.to_pylist()], drawn.type)


def _summary(nats: NDArray[np.float64], out: Path | None) -> dict[str, Any]:
    there = nats[np.isfinite(nats)]
    least = np.argsort(nats, kind="stable")[:5]
    return {
        "rows": len(nats),
        "rows_without_a_chance": int((~np.isfinite(nats)).sum()),
        "mean_nats": float(there.mean()) if len(there) else None,
        "median_nats": float(np.median(there)) if len(there) else None,
        "least_likely_rows": least.tolist(),
        **({"out": str(out)} if out else {}),
    }


def _tell(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(said) + "\n")
        return
    for name, value in said.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        sys.stdout.write(f"{name.replace('_', ' '):<22} {shown}\n")
